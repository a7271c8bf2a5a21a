/**
 * Where a relation's rows come from. A row-wise view has no place of its own: it is computed wherever its anchor (the
 * source, aggregate, join … below it) is. Expressions over views can be carried down to the anchor's columns, which
 * makes "partitioned by" comparable between models.
 */
import { makesRows } from "./aggregates.ts";
import { leavesOf, type Relation, type Relations } from "./relation.ts";
import { classOf, column, columnRefs, keyOf, mapColumns, some, type Tree } from "./tree.ts";

export class Lineage {
  private readonly relations: Relations;
  private readonly pinned = new Set<string>();

  constructor(relations: Relations) {
    this.relations = relations;
  }

  /** Gives a view a place of its own: it becomes an anchor. */
  pin(name: string): void {
    this.pinned.add(name);
  }

  isPinned(name: string): boolean {
    return this.pinned.has(name);
  }

  /** The anchor of a relation; undefined when it is the same in every task. */
  anchorOf(name: string): string | undefined {
    if (this.relations.isReplicated(name)) return undefined;
    const below = this.below(this.relations.get(name));
    return below === undefined ? name : this.anchorOf(below);
  }

  /** Must the relation be placed, rather than follow its input? */
  isFixed(name: string): boolean {
    return this.anchorOf(name) === name && this.relations.get(name).body.kind !== "base";
  }

  /** `expr` over `[t, column]` of a relation as an expression over its anchor; undefined when that can't be said. */
  carryDown(name: string, expr: Tree): Tree | undefined {
    const relation = this.relations.get(name);
    if (this.below(relation) === undefined) return expr;
    const { body } = relation;
    if (body.kind === "view") {
      const spread = leavesOf(body.from).find(
        (leaf) => !this.relations.isReplicated(leaf.relation),
      );
      if (spread === undefined) return undefined;
      const items = new Map(body.select.map((item) => [item.name, item.expr]));
      const inner = mapColumns(expr, (ref) => items.get(ref.name));
      if (some(inner, (entry) => unsayable(entry))) return undefined;
      if (!columnRefs(inner).every((ref) => ref.table === spread.alias)) return undefined;
      return this.carryDown(
        spread.relation,
        mapColumns(inner, (ref) => column("t", ref.name)),
      );
    }
    if (body.kind !== "setop") return undefined;
    const carried = body.inputs.map((input, index) => {
      const names = body.columns[index] ?? [];
      const own = mapColumns(expr, (ref) => {
        return column("t", names[relation.columns.indexOf(ref.name)] ?? ref.name);
      });
      return this.carryDown(input, own);
    });
    const [first] = carried;
    const agree = carried.every((entry) => entry && first && keyOf(entry) === keyOf(first));
    return agree ? first : undefined;
  }

  /** The same as text, for comparing. */
  textDown(name: string, expr: Tree): string | undefined {
    const carried = this.carryDown(name, expr);
    return carried === undefined ? undefined : keyOf(carried);
  }

  /** The input that a relation follows; undefined for anchors. */
  private below(relation: Relation): string | undefined {
    const { body, name } = relation;
    if (this.pinned.has(name)) return undefined;
    if (body.kind === "view") {
      return leavesOf(body.from).find((leaf) => !this.relations.isReplicated(leaf.relation))
        ?.relation;
    }
    if (body.kind !== "setop" || body.op !== "UNION" || !body.all) return undefined;
    const anchors = new Set(body.inputs.map((input) => this.anchorOf(input)));
    return anchors.size === 1 && !anchors.has(undefined) ? body.inputs[0] : undefined;
  }
}

function unsayable(expr: Tree): boolean {
  return classOf(expr) === "SUBQUERY" || classOf(expr) === "WINDOW" || makesRows(expr);
}
