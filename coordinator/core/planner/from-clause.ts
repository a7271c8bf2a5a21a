/**
 * FROM: table references become leaves over relations, with the scope that the rest of the query sees.
 * Joins are only read here; join-split.ts decides which of them need an exchange.
 */
import { Refusal } from "./refusal.ts";
import type { From, Relations } from "./relation.ts";
import { emptyScope, resolve, resolveNames, type Scope, type ScopeTable } from "./scope.ts";
import {
  childOf,
  column,
  comparison,
  conjuncts,
  type Item,
  isTree,
  type Tree,
  textOf,
  textsOf,
} from "./tree.ts";

/** What reading one model carries along. */
export interface Reading {
  readonly relations: Relations;
  readonly model: string;
  /** Names in FROM that are not CTEs: sources, dimensions, models; lower case → relation. */
  readonly tables: ReadonlyMap<string, string>;
  /** Aliases used so far in this model, so that no two leaves share one. */
  readonly aliases: Set<string>;
  readonly onLogicalTime: () => void;
  /** Reads a nested query; gives its relation. */
  readonly query: (node: Tree, ctes: Ctes) => string;
}

/** CTEs in sight, by lower-case name. */
export type Ctes = ReadonlyMap<string, CteTable>;

export interface CteTable {
  readonly relation: string;
  /** Column names given in `WITH name(a, b)`. */
  readonly names: readonly string[];
}

export interface FromClause {
  readonly from: From;
  readonly scope: Scope;
}

export function readFrom(reference: Tree | undefined, ctes: Ctes, reading: Reading): FromClause {
  if (reference === undefined) return { from: { kind: "empty" }, scope: emptyScope };
  switch (textOf(reference, "type")) {
    case "EMPTY":
      return { from: { kind: "empty" }, scope: emptyScope };
    case "BASE_TABLE":
      return readTable(reference, ctes, reading);
    case "SUBQUERY": {
      const node = childOf(childOf(reference, "subquery") ?? {}, "node") ?? {};
      const relation = reading.query(node, ctes);
      const alias = textOf(reference, "alias") || "subquery";
      return leaf(relation, alias, textsOf(reference, "column_name_alias"), reading);
    }
    case "EXPRESSION_LIST":
      return readValues(reference, reading);
    case "JOIN":
      return readJoin(reference, ctes, reading);
    default:
      throw new Refusal(textOf(reference, "type"), "this form of FROM can't be spread over tasks");
  }
}

function readTable(reference: Tree, ctes: Ctes, reading: Reading): FromClause {
  const name = textOf(reference, "table_name");
  const alias = textOf(reference, "alias") || name;
  const names = textsOf(reference, "column_name_alias");
  const cte = ctes.get(name.toLowerCase());
  if (cte !== undefined)
    return leaf(cte.relation, alias, names.length > 0 ? names : cte.names, reading);
  const relation = reading.tables.get(name.toLowerCase());
  if (relation === undefined)
    throw new Refusal(`table ${name}`, "is not known", { code: "jobInvalid" });
  return leaf(relation, alias, names, reading);
}

/** A leaf over a relation, under an alias that no other leaf of the model has. */
export function leaf(
  relation: string,
  alias: string,
  names: readonly string[],
  reading: Reading,
): FromClause {
  const unique = uniqueAlias(alias, reading);
  const columns = reading.relations.get(relation).columns.map((name, index) => ({
    name: names[index] ?? name,
    expr: column(unique, name),
  }));
  return {
    from: { kind: "leaf", alias: unique, relation },
    scope: { tables: [{ alias, columns }], merged: new Map() },
  };
}

export function uniqueAlias(alias: string, reading: Reading): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? alias : `${alias}_${number}`;
    if (!reading.aliases.has(name.toLowerCase())) {
      reading.aliases.add(name.toLowerCase());
      return name;
    }
  }
}

function readValues(reference: Tree, reading: Reading): FromClause {
  const rows = Array.isArray(reference["values"]) ? reference["values"] : [];
  const [first] = rows;
  const width = Array.isArray(first) ? first.length : 0;
  const given = textsOf(reference, "column_name_alias");
  const names = Array.from({ length: width }, (_, index) => given[index] ?? `col${index}`);
  const alias = uniqueAlias(textOf(reference, "alias") || "valueslist", reading);
  const columns = names.map((name) => ({ name, expr: column(alias, name) }));
  const tables: ScopeTable[] = [{ alias: textOf(reference, "alias") || "valueslist", columns }];
  return {
    from: { kind: "literal", alias, tree: reference, columns: names },
    scope: { tables, merged: new Map() },
  };
}

function readJoin(reference: Tree, ctes: Ctes, reading: Reading): FromClause {
  const left = readFrom(childOf(reference, "left"), ctes, reading);
  const right = readFrom(childOf(reference, "right"), ctes, reading);
  const joinType = textOf(reference, "join_type");
  const natural = textOf(reference, "ref_type") === "NATURAL";
  const using = natural
    ? commonNames(left.scope, right.scope)
    : textsOf(reference, "using_columns");
  const oneSided = joinType === "SEMI" || joinType === "ANTI";
  const merged = new Map([...left.scope.merged, ...(oneSided ? [] : right.scope.merged)]);
  const condition: Tree[] = [];
  for (const name of using) {
    const leftKey = columnOf(left.scope, name);
    const rightKey = columnOf(right.scope, name);
    condition.push(comparison("COMPARE_EQUAL", leftKey, rightKey));
    if (!oneSided) merged.set(name.toLowerCase(), mergedColumn(joinType, leftKey, rightKey));
  }
  const both: Scope = { tables: [...left.scope.tables, ...right.scope.tables], merged };
  const on = reference["condition"];
  if (isTree(on)) {
    const resolver = {
      scope: both,
      aliases: new Map<string, Tree>(),
      onSubquery: refuseSubquery,
      onLogicalTime: reading.onLogicalTime,
    };
    condition.push(...conjuncts(resolveNames(on, resolver)));
  }
  const tables = oneSided ? left.scope.tables : both.tables;
  return {
    from: { kind: "join", joinType, left: left.from, right: right.from, condition },
    scope: { tables, merged },
  };
}

function refuseSubquery(): Tree {
  throw new Refusal("subquery in ON", "move it to WHERE, or join with it as a table");
}

function columnOf(scope: Scope, name: string): Tree {
  const found = resolve(scope, [name]);
  if (found === undefined) throw new Refusal(`USING (${name})`, "is not a column of both sides");
  return found;
}

function mergedColumn(joinType: string, left: Tree, right: Tree): Tree {
  if (joinType === "RIGHT") return right;
  return joinType === "FULL" ? coalesce(left, right) : left;
}

/** coalesce(a, b) as the parser writes it. */
export function coalesce(left: Tree, right: Tree): Tree {
  return {
    class: "OPERATOR",
    type: "OPERATOR_COALESCE",
    alias: "",
    children: [left as never, right as never],
  };
}

function commonNames(left: Scope, right: Scope): readonly string[] {
  const all = (scope: Scope): readonly Item[] => scope.tables.flatMap((table) => table.columns);
  const names = new Set(all(right).map((item) => item.name.toLowerCase()));
  return [...new Set(all(left).map((item) => item.name))].filter((name) =>
    names.has(name.toLowerCase()),
  );
}
