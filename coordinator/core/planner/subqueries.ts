/**
 * Subqueries in expressions. Over dimensions alone they stay where they are. Over spread data, IN and EXISTS of a WHERE
 * become semi- or anti-joins and a scalar becomes a one-row join; anything else is refused by name.
 */
import { isAggregateCall, makesRows } from "./aggregates.ts";
import { type Ctes, leaf, type Reading, readFrom } from "./from-clause.ts";
import { freshItemName, splitJoins } from "./join-split.ts";
import { ordinalOf } from "./modifiers.ts";
import { Refusal } from "./refusal.ts";
import type { From } from "./relation.ts";
import { type Resolver, resolveNames, type Scope } from "./scope.ts";
import {
  call,
  childOf,
  column,
  columnRefs,
  comparison,
  conjuncts,
  constant,
  type Item,
  isTree,
  listOf,
  mapColumns,
  some,
  type Tree,
  textOf,
} from "./tree.ts";

/** FROM as it grows while predicates of the WHERE turn into joins. */
export interface Growing {
  from: From;
  /** One-row subqueries met so far, not joined yet. */
  readonly singles: (From & { readonly kind: "leaf" })[];
}

const innerNode = (expr: Tree): Tree => childOf(childOf(expr, "subquery") ?? {}, "node") ?? {};

/** A subquery met inside an expression. */
export function inPlace(
  expr: Tree,
  ctes: Ctes,
  growing: Growing | undefined,
  reading: Reading,
): Tree {
  if (childOf(expr, "subquery")?.["relation"] !== undefined) return expr;
  const kind = textOf(expr, "subquery_type");
  const relation = reading.query(innerNode(expr), ctes);
  if (reading.relations.isReplicated(relation)) return { ...expr, subquery: { relation } };
  if (kind === "SCALAR" && growing !== undefined) {
    if (!isOneRow(relation, reading)) {
      throw new Refusal(
        "scalar subquery",
        "must be an aggregate without GROUP BY, so that it has one row",
      );
    }
    return joinOneRow(relation, growing, reading);
  }
  if ((kind === "EXISTS" || kind === "NOT_EXISTS") && growing !== undefined) {
    const counted = countRows(relation, reading);
    const rows = joinOneRow(counted, growing, reading);
    const type = kind === "EXISTS" ? "COMPARE_GREATERTHAN" : "COMPARE_EQUAL";
    return comparison(type, rows, constant("INTEGER", 0));
  }
  throw new Refusal(
    kind === "ANY" ? "IN (SELECT …)" : "subquery",
    "over spread data is only distributed as a plain condition of WHERE (AND-ed); use a JOIN, or NOT EXISTS for NOT IN",
  );
}

function joinOneRow(relation: string, growing: Growing, reading: Reading): Tree {
  const clause = leaf(relation, "single", [], reading);
  if (clause.from.kind === "leaf") growing.singles.push(clause.from);
  const [first] = clause.scope.tables[0]?.columns ?? [];
  if (first === undefined) throw new Refusal("scalar subquery", "has no column");
  return first.expr;
}

function countRows(relation: string, reading: Reading): string {
  const name = reading.relations.freshName(reading.model);
  reading.relations.add({
    name,
    model: reading.model,
    columns: ["rows"],
    body: {
      kind: "aggregate",
      input: relation,
      keys: [],
      calls: [{ name: "rows", expr: call("count_star", []) }],
    },
  });
  return name;
}

/** Follows views down to an aggregate without keys. */
export function isOneRow(name: string, reading: Pick<Reading, "relations">): boolean {
  const { body } = reading.relations.get(name);
  if (body.kind === "aggregate") return body.keys.length === 0 && body.sets === undefined;
  if (body.kind !== "view" || body.where.length > 0 || body.from.kind !== "leaf") return false;
  return isOneRow(body.from.relation, reading);
}

/**
 * Tries to take a WHERE conjunct as a semi- or anti-join onto `growing`; false when it is an ordinary condition.
 * `outer` resolves names of the query around.
 */
export function takePredicate(
  expr: Tree,
  ctes: Ctes,
  growing: Growing,
  outer: Resolver,
  reading: Reading,
): boolean {
  const [inner] = listOf(expr, "children");
  const negated = textOf(expr, "type") === "OPERATOR_NOT" && inner !== undefined;
  const subject = negated ? inner : expr;
  if (subject["class"] !== "SUBQUERY") return false;
  const kind = textOf(subject, "subquery_type");
  if (kind === "ANY" && !negated && textOf(subject, "comparison_type") === "COMPARE_EQUAL") {
    const relation = reading.query(innerNode(subject), ctes);
    const child = childOf(subject, "child");
    const clause = leaf(relation, "listed", [], reading);
    const columns = clause.scope.tables[0]?.columns ?? [];
    if (child === undefined) return false;
    const sought = columns.length > 1 ? listOf(child, "children") : [child];
    const condition = columns.flatMap(({ expr }, index) => {
      const one = sought[index];
      return one === undefined ? [] : [comparison("COMPARE_EQUAL", resolveNames(one, outer), expr)];
    });
    growing.from = {
      kind: "join",
      joinType: "SEMI",
      left: growing.from,
      right: clause.from,
      condition,
    };
    return true;
  }
  if (kind !== "EXISTS" && kind !== "NOT_EXISTS") return false;
  return takeExists(subject, (kind === "EXISTS") !== negated, ctes, growing, outer.scope, reading);
}

/** Has a SELECT rows exactly where its FROM and WHERE have some? Then EXISTS may ignore the rest of it. */
function hasRowPerRow(node: Tree): boolean {
  const changesRows = (expr: Tree): boolean => isAggregateCall(expr) || makesRows(expr);
  const sets = node["group_sets"];
  return (
    textOf(node, "aggregate_handling") !== "FORCE_AGGREGATES" &&
    listOf(node, "group_expressions").length === 0 &&
    (!Array.isArray(sets) || sets.length === 0) &&
    !["having", "qualify", "sample"].some((clause) => isTree(node[clause])) &&
    !listOf(node, "select_list").some((expr) => some(expr, changesRows)) &&
    listOf(node, "modifiers").every(keepsSomeRow)
  );
}

function keepsSomeRow(modifier: Tree): boolean {
  const type = textOf(modifier, "type");
  if (type !== "LIMIT_MODIFIER") return type === "ORDER_MODIFIER" || type === "DISTINCT_MODIFIER";
  const limit = childOf(modifier, "limit");
  return !isTree(modifier["offset"]) && limit !== undefined && (ordinalOf(limit) ?? 0) > 0;
}

function takeExists(
  subject: Tree,
  positive: boolean,
  ctes: Ctes,
  growing: Growing,
  outer: Scope,
  reading: Reading,
): boolean {
  const node = innerNode(subject);
  if (textOf(node, "type") !== "SELECT_NODE") return false;
  if (listOf(childOf(node, "cte_map") ?? {}, "map").length > 0) return false;
  const clause = readFrom(childOf(node, "from_table"), ctes, reading);
  const own = new Set(
    clause.scope.tables
      .flatMap((table) => table.columns)
      .flatMap((item) => columnRefs(item.expr))
      .map((ref) => ref.table),
  );
  const resolver: Resolver = {
    scope: clause.scope,
    aliases: new Map(),
    outer,
    onSubquery: (expr) => inPlace(expr, ctes, undefined, reading),
    onLogicalTime: reading.onLogicalTime,
  };
  const parts = conjuncts(childOf(node, "where_clause")).map((part) =>
    resolveNames(part, resolver),
  );
  const correlated = parts.filter((part) => columnRefs(part).some((ref) => !own.has(ref.table)));
  if (correlated.length === 0) return false;
  if (!hasRowPerRow(node)) {
    throw new Refusal(
      "EXISTS",
      "that reads the query around it must be plain: SELECT … FROM … WHERE, without aggregates, unnest, GROUP BY, HAVING, QUALIFY, OFFSET or LIMIT 0; join with a subquery that has them instead",
    );
  }
  const split = splitJoins(
    clause.from,
    parts.filter((part) => !correlated.includes(part)),
    reading,
  );
  const select: Item[] = [];
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const ref of correlated.flatMap(columnRefs).filter((entry) => own.has(entry.table))) {
    const key = `${ref.table}.${ref.name}`;
    if (names.has(key)) continue;
    const name = freshItemName(ref.name, taken);
    names.set(key, name);
    select.push({ name, expr: split.map(column(ref.table, ref.name)) });
  }
  if (select.length === 0) return false;
  const relation = reading.relations.add({
    name: reading.relations.freshName(reading.model),
    model: reading.model,
    columns: select.map((item) => item.name),
    body: { kind: "view", from: split.from, where: split.where, select },
  });
  const right = leaf(relation.name, "matched", [], reading);
  const alias = right.from.kind === "leaf" ? right.from.alias : "";
  const condition = correlated.map((part) =>
    mapColumns(part, (ref) => {
      const name = names.get(`${ref.table}.${ref.name}`);
      return own.has(ref.table) && name !== undefined ? column(alias, name) : undefined;
    }),
  );
  const joinType = positive ? "SEMI" : "ANTI";
  growing.from = { kind: "join", joinType, left: growing.from, right: right.from, condition };
  return true;
}
