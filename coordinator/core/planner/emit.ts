/**
 * Relations back to DuckDB trees. One relation gives one SELECT over tables whose names the caller chooses; columns that
 * nobody needs are left out. The engine's own formatter turns the tree into text, so spelling is always canonical.
 */

import { unreachable } from "../../../shared/kernel/assert.ts";
import type { Json } from "../../../shared/kernel/canonical.ts";
import { keptCalls, keptItems } from "./pruning.ts";
import { type Body, type From, orderExpr, type Relation } from "./relation.ts";
import {
  cast,
  column,
  conjunction,
  constant,
  type Item,
  isTree,
  keyOf,
  order,
  rewrite,
  type Tree,
} from "./tree.ts";

/** The table that holds a relation where the SELECT will run. */
export type TableName = (relation: string) => string;

interface SelectParts {
  readonly select: readonly Item[];
  readonly from: Tree;
  readonly where?: readonly Tree[];
  readonly groups?: readonly Tree[];
  readonly sets?: readonly (readonly number[])[];
  readonly modifiers?: readonly Tree[];
}

/** A SELECT_NODE. */
export function selectNode(parts: SelectParts): Tree {
  const where = conjunction(parts.where ?? []);
  const groups = parts.groups ?? [];
  const sets = parts.sets ?? (groups.length > 0 ? [groups.map((_, index) => index)] : []);
  const list = parts.select.map((item) => ({ ...item.expr, alias: item.name }));
  return {
    type: "SELECT_NODE",
    modifiers: (parts.modifiers ?? []) as readonly Json[],
    cte_map: { map: [] },
    select_list: list as readonly Json[],
    from_table: parts.from as Json,
    where_clause: (where ?? null) as Json,
    group_expressions: groups as readonly Json[],
    group_sets: sets,
    aggregate_handling: "STANDARD_HANDLING",
    having: null,
    sample: null,
    qualify: null,
  };
}

export function tableReference(table: string, alias: string): Tree {
  return {
    type: "BASE_TABLE",
    alias: alias === table ? "" : alias,
    sample: null,
    schema_name: "",
    table_name: table,
    column_name_alias: [],
    catalog_name: "",
    at_clause: null,
  };
}

/** A whole statement, as json_deserialize_sql wants it. */
export function statement(node: Tree): Tree {
  return { error: false, statements: [{ node: node as Json, named_param_map: [] }] };
}

/** `WITH name AS (node) …` in front of a node. */
export function withTables(node: Tree, tables: readonly { name: string; node: Tree }[]): Tree {
  const map = tables.map((entry) => ({
    key: entry.name,
    value: {
      aliases: [],
      query: { node: entry.node as Json, named_param_map: [] },
      materialized: "CTE_MATERIALIZE_DEFAULT",
      key_targets: [],
    },
  }));
  return { ...node, cte_map: { map } };
}

/** SELECT columns FROM table; `casts` gives other types to some of them. */
export function plainSelect(
  table: string,
  columns: readonly string[],
  casts: ReadonlyMap<string, string> = new Map(),
  where: readonly Tree[] = [],
): Tree {
  const select = columns.map((name) => {
    const type = casts.get(name);
    const ref = column("t", name);
    return { name, expr: type === undefined ? ref : cast(ref, type) };
  });
  return selectNode({ select, from: tableReference(table, "t"), where });
}

/** The SELECT that makes a relation; `needed` limits its columns (absent: all). */
export function relationNode(
  relation: Relation,
  table: TableName,
  needed?: ReadonlySet<string>,
): Tree {
  const { body } = relation;
  const keep = (list: readonly Item[]): readonly Item[] => {
    const kept = needed === undefined ? list : keptItems(list, needed);
    return kept.map((item) => ({ name: item.name, expr: withSubqueries(item.expr, table) }));
  };
  switch (body.kind) {
    case "base":
      return plainSelect(table(relation.name), relation.columns);
    case "view":
    case "join":
      return selectNode({
        select: keep(body.select),
        from: fromTree(body.from, table),
        where: body.kind === "view" ? body.where.map((expr) => withSubqueries(expr, table)) : [],
      });
    case "aggregate":
      return aggregateNode(body, table, needed);
    case "window":
      return selectNode({
        select: keep(body.select),
        from: tableReference(table(body.input), "t"),
      });
    case "distinct": {
      const node = plainSelect(table(body.input), relation.columns);
      return { ...node, modifiers: [{ type: "DISTINCT_MODIFIER", distinct_on_targets: [] }] };
    }
    case "limit":
      return limitNode(relation, body, table);
    case "setop":
      return setNode(relation, body, table, needed);
    default:
      return unreachable(body);
  }
}

function aggregateNode(
  body: Body & { readonly kind: "aggregate" },
  table: TableName,
  needed: ReadonlySet<string> | undefined,
): Tree {
  const calls = needed === undefined ? body.calls : keptCalls(body, needed);
  const from = tableReference(table(body.input), "t");
  const named = (item: Item): Item => ({ ...item, expr: withSubqueries(item.expr, table) });
  const select = [...body.keys, ...calls].map(named);
  if (body.sets !== undefined) {
    return selectNode({
      select,
      from,
      groups: body.keys.map((item) => named(item).expr),
      sets: body.sets,
    });
  }
  // By position: a constant key would otherwise be read as a position itself.
  const groups = body.keys.map((_, index) => constant("INTEGER", index + 1));
  return selectNode({ select, from, groups });
}

function limitNode(
  relation: Relation,
  body: Body & { readonly kind: "limit" },
  table: TableName,
): Tree {
  const known = new Set(body.orders.map((entry) => keyOf(orderExpr(entry))));
  const breakers = relation.columns
    .map((name) => column("t", name))
    .filter((ref) => !known.has(keyOf(ref)))
    .map((ref) => order(ref));
  const modifiers = [
    { type: "ORDER_MODIFIER", orders: [...body.orders, ...breakers] as readonly Json[] },
    {
      type: "LIMIT_MODIFIER",
      limit: (body.limit ?? null) as Json,
      offset: (body.offset ?? null) as Json,
    },
  ];
  return { ...plainSelect(table(body.input), relation.columns), modifiers };
}

function setNode(
  relation: Relation,
  body: Body & { readonly kind: "setop" },
  table: TableName,
  needed: ReadonlySet<string> | undefined,
): Tree {
  const all = relation.columns.map((_, index) => index);
  const wanted = all.filter((index) => needed?.has(relation.columns[index] ?? "") ?? true);
  const positions = body.op === "UNION" ? (wanted.length > 0 ? wanted : all.slice(0, 1)) : all;
  const names = positions.map((index) => relation.columns[index] ?? "");
  const branches = body.inputs.map((input, at) => {
    const columns = body.columns[at] ?? [];
    const select = positions.map((index, order) => ({
      name: names[order] ?? "",
      expr: column("t", columns[index] ?? ""),
    }));
    return selectNode({ select, from: tableReference(table(input), "t") });
  });
  const [first, ...others] = branches;
  return others.reduce<Tree>(
    (left, right) => ({
      type: "SET_OPERATION_NODE",
      modifiers: [],
      cte_map: { map: [] },
      setop_type: body.op,
      left: left as Json,
      right: right as Json,
      setop_all: body.all,
    }),
    first ?? {},
  );
}

function fromTree(from: From, table: TableName): Tree {
  switch (from.kind) {
    case "empty":
      return { type: "EMPTY", alias: "", sample: null };
    case "leaf":
      return tableReference(table(from.relation), from.alias);
    case "literal":
      return { ...from.tree, alias: from.alias, column_name_alias: from.columns };
    case "join": {
      const conditions = from.condition.map((expr) => withSubqueries(expr, table));
      const always = constant("BOOLEAN", true);
      const cross = conditions.length === 0 && from.joinType === "INNER";
      return {
        type: "JOIN",
        alias: "",
        sample: null,
        left: fromTree(from.left, table) as Json,
        right: fromTree(from.right, table) as Json,
        condition: (cross ? null : (conjunction(conditions) ?? always)) as Json,
        join_type: from.joinType,
        ref_type: cross ? "CROSS" : "REGULAR",
        using_columns: [],
        delim_flipped: false,
        duplicate_eliminated_columns: [],
      };
    }
    default:
      return unreachable(from);
  }
}

/** Subqueries name relations; here they get their SELECT over the relation's table. */
function withSubqueries(expr: Tree, table: TableName): Tree {
  return rewrite(expr, (entry) => {
    const inner = entry["subquery"];
    if (!isTree(inner) || typeof inner["relation"] !== "string") return undefined;
    const child = entry["child"];
    const star = {
      class: "STAR",
      type: "STAR",
      alias: "",
      relation_name: "",
      exclude_list: [],
      replace_list: [],
      columns: false,
      expr: null,
      qualified_exclude_list: [],
      rename_list: [],
    };
    const from = tableReference(table(inner["relation"]), "s");
    const node = { ...selectNode({ select: [], from }), select_list: [star] };
    return {
      ...entry,
      child: (isTree(child) ? withSubqueries(child, table) : null) as Json,
      subquery: { node: node as Json, named_param_map: [] },
    };
  });
}
