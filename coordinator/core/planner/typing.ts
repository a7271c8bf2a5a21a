/**
 * Column and expression types during placement, from the engine's answers. Relations that placement itself makes are asked
 * about when first needed.
 */
import { must } from "../../../shared/kernel/assert.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import { type Asker, columnsOf, describeQuestion, type KnownTables } from "./binding.ts";
import { selectNode, tableReference } from "./emit.ts";
import type { Relations } from "./relation.ts";
import { columnRef, type Tree } from "./tree.ts";

export class Typing {
  private readonly relations: Relations;
  private readonly asker: Asker;
  private readonly known: KnownTables;
  private readonly types: Map<string, readonly Column[]>;
  private readonly noted = new Map<string, Column>();

  constructor(
    relations: Relations,
    asker: Asker,
    known: KnownTables,
    types: Map<string, readonly Column[]>,
  ) {
    this.relations = relations;
    this.asker = asker;
    this.known = known;
    this.types = types;
  }

  columnsOf(name: string): readonly Column[] {
    const found = this.types.get(name);
    if (found !== undefined) return found;
    const question = describeQuestion(name, this.relations, this.known);
    const columns = columnsOf(this.asker.demand(question), this.relations.get(name).model);
    this.types.set(name, columns);
    return columns;
  }

  /** Partial results have the keys of the whole: known without asking. */
  noteKeys(partial: string, whole: string, keys: readonly { readonly name: string }[]): void {
    const columns = this.columnsOf(whole);
    for (const key of keys) {
      const found = columns.find((entry) => entry.name === key.name);
      if (found !== undefined) this.noted.set(`${partial}.${key.name}`, found);
    }
  }

  columnType(name: string, column: string): string {
    const noted = this.noted.get(`${name}.${column}`);
    if (noted !== undefined) return noted.type;
    const found = this.columnsOf(name).find((entry) => entry.name === column);
    return must(found, `${name} has column ${column}`).type;
  }

  /** Type of an expression over `[t, column]` of a relation. */
  exprType(name: string, expr: Tree): string {
    const ref = columnRef(expr);
    if (ref !== undefined) return this.columnType(name, ref.name);
    const select = selectNode({ select: [{ name: "key", expr }], from: tableReference(name, "t") });
    const question = describeQuestion(name, this.relations, this.known, select);
    const [column] = columnsOf(this.asker.demand(question), this.relations.get(name).model);
    return must(column, "an expression has a type").type;
  }
}
