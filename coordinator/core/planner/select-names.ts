/**
 * The names in one SELECT: every clause with each column resolved to `[alias, column]`, select aliases and ordinals
 * replaced by what they stand for, subqueries turned into relations.
 */

import { isAggregateCall } from "./aggregates.ts";
import { type Ctes, type Reading, readFrom } from "./from-clause.ts";
import { freshItemName } from "./join-split.ts";
import { ordinalOf } from "./modifiers.ts";
import { Refusal } from "./refusal.ts";
import { type From, orderExpr, orderLike, ordersOf } from "./relation.ts";
import { expandStar, type Resolver, resolve, resolveNames, type Scope } from "./scope.ts";
import { type Growing, inPlace, takePredicate } from "./subqueries.ts";
import {
  childOf,
  classOf,
  columnRef,
  columnRefs,
  conjuncts,
  type Item,
  keyOf,
  listOf,
  some,
  type Tree,
  textOf,
  textsOf,
  walk,
  withoutAlias,
} from "./tree.ts";

/** The parts of a SELECT over one FROM, names resolved. */
export interface Parts {
  from: From;
  where: readonly Tree[];
  select: readonly Item[];
  groups: readonly Tree[];
  sets: readonly (readonly number[])[] | undefined;
  aggregated: boolean;
  having: readonly Tree[];
  qualify: readonly Tree[];
  orders: readonly Tree[];
  distinct: boolean;
  distinctOn: readonly Tree[];
  /** One-row subqueries read only after the aggregate: joined there. */
  late: readonly From[];
}

export function resolveParts(node: Tree, ctes: Ctes, reading: Reading): Parts {
  const clause = readFrom(childOf(node, "from_table"), ctes, reading);
  const growing: Growing = { from: clause.from, singles: [] };
  const aliases = new Map<string, Tree>();
  const resolver: Resolver = {
    scope: clause.scope,
    aliases,
    onSubquery: (expr) => inPlace(expr, ctes, growing, reading),
    onLogicalTime: reading.onLogicalTime,
  };
  const name = (expr: Tree): Tree => withoutAlias(resolveNames(expr, resolver));
  const select = resolveSelect(node, clause.scope, aliases, name);
  const where: Tree[] = [];
  for (const part of conjuncts(childOf(node, "where_clause"))) {
    if (!takePredicate(part, ctes, growing, resolver, reading)) where.push(name(part));
  }
  const qualify = conjuncts(childOf(node, "qualify")).map(name);
  const modifiers = listOf(node, "modifiers");
  const orders = modifiers
    .filter((entry) => textOf(entry, "type") === "ORDER_MODIFIER")
    .flatMap(ordersOf)
    .flatMap((entry) => resolveOrder(entry, select, aliases, clause.scope, name));
  const distinct = modifiers.find((entry) => textOf(entry, "type") === "DISTINCT_MODIFIER");
  const on = distinct === undefined ? [] : listOf(distinct, "distinct_on_targets");
  if (on.length > 0 && qualify.length > 0) {
    throw new Refusal("DISTINCT ON", "with QUALIFY: put one of them into a subquery");
  }
  const groupAll = textOf(node, "aggregate_handling") === "FORCE_AGGREGATES";
  const groups = groupAll
    ? select.map((item) => item.expr).filter((expr) => !hasAggregate(expr) && !isConstant(expr))
    : listOf(node, "group_expressions").map((expr) => ordinalItem(expr, select) ?? name(expr));
  const sets = groupingSets(node);
  const having = groupAll
    ? conjuncts(childOf(node, "having")).map(name)
    : resolveHaving(node, groups, resolver);
  if (groupAll) refuseGroupingMore(having, groups, growing);
  const exprs = [
    ...select.map((item) => item.expr),
    ...having,
    ...qualify,
    ...orders.map(orderExpr),
  ];
  const aggregated =
    groupAll ||
    (Array.isArray(node["group_sets"]) && node["group_sets"].length > 0) ||
    groups.length > 0 ||
    sets !== undefined ||
    having.length > 0 ||
    exprs.some(hasAggregate);
  const early = aggregated ? readBefore(exprs, [...where, ...groups]) : undefined;
  const late = growing.singles.filter((single) => early !== undefined && !early.has(single.alias));
  return {
    from: joinSingles(
      growing.from,
      growing.singles.filter((single) => !late.includes(single)),
    ),
    late,
    where,
    select,
    groups,
    sets,
    aggregated,
    having,
    qualify,
    orders,
    distinct: distinct !== undefined && on.length === 0,
    distinctOn: on.map((expr) => ordinalItem(expr, select) ?? name(expr)),
  };
}

/** In HAVING, like the engine: what is grouped by, else an output column, else (in aggregates: at once) one of the FROM. */
function resolveHaving(node: Tree, groups: readonly Tree[], resolver: Resolver): readonly Tree[] {
  const grouped = new Set(groups.map(keyOf));
  const whole: Resolver["whole"] = (expr, lambda) => {
    if (isAggregateCall(expr)) return resolveNames(expr, resolver, lambda);
    if (some(expr, (entry) => classOf(entry) === "SUBQUERY")) return undefined;
    const plain = resolveNames(expr, resolver, lambda);
    if (grouped.has(keyOf(plain))) return plain;
    const [name, ...others] = textsOf(expr, "column_names").map((part) => part.toLowerCase());
    if (name === undefined || others.length > 0 || lambda.includes(name)) return undefined;
    return resolver.aliases.get(name);
  };
  const inHaving = { ...resolver, whole };
  return conjuncts(childOf(node, "having")).map((part) =>
    withoutAlias(resolveNames(part, inHaving)),
  );
}

/** With GROUP BY ALL the engine groups by every column that HAVING reads as well, were it within an output column. */
function refuseGroupingMore(
  having: readonly Tree[],
  groups: readonly Tree[],
  { singles }: Growing,
): void {
  const grouped = new Set(groups.map(keyOf));
  const isMore = (expr: Tree): boolean => {
    const ref = columnRef(expr);
    return (
      ref !== undefined &&
      !grouped.has(keyOf(expr)) &&
      !singles.some((single) => single.alias === ref.table)
    );
  };
  for (const expr of having) {
    walk(expr, (entry) => {
      if (isAggregateCall(entry)) return false;
      if (!isMore(entry)) return undefined;
      throw new Refusal(
        "HAVING",
        `of GROUP BY ALL groups by ${columnRef(entry)?.name ?? "its columns"}, too; name the columns to group by, or filter around the query`,
      );
    });
  }
}

function resolveSelect(
  node: Tree,
  scope: Scope,
  aliases: Map<string, Tree>,
  name: (expr: Tree) => Tree,
): readonly Item[] {
  const taken = new Set<string>();
  const select: Item[] = [];
  for (const expr of listOf(node, "select_list")) {
    if (classOf(expr) === "STAR") {
      const resolved = expandStar(scope, expr);
      for (const item of resolved) {
        const known = item.expr["class"] === "COLUMN_REF" && columnRefs(item.expr).length > 0;
        select.push({
          name: freshItemName(item.name, taken),
          expr: known ? item.expr : name(item.expr),
        });
      }
      continue;
    }
    const alias = textOf(expr, "alias");
    const own = textsOf(expr, "column_names").at(-1);
    const item = { name: freshItemName(alias || own || unnamed(expr), taken), expr: name(expr) };
    select.push(item);
    // Like the engine: a column of the FROM wins over an alias of the same name (see resolveNames).
    if (alias !== "") aliases.set(alias.toLowerCase(), item.expr);
  }
  return select;
}

/** Close to the engine's own name for an expression without alias; models take their names from the engine. */
function unnamed(expr: Tree): string {
  const name = textOf(expr, "function_name");
  if (name === "") return "column";
  const args = listOf(expr, "children").map((entry) => textsOf(entry, "column_names").join("."));
  return `${name}(${args.join(", ")})`;
}

function resolveOrder(
  entry: Tree,
  select: readonly Item[],
  aliases: ReadonlyMap<string, Tree>,
  scope: Scope,
  name: (expr: Tree) => Tree,
): readonly Tree[] {
  const expr = orderExpr(entry);
  if (classOf(expr) === "STAR") return select.map((item) => orderLike(entry, item.expr));
  const names = textsOf(expr, "column_names");
  const alias = names.length === 1 ? aliases.get(names[0]?.toLowerCase() ?? "") : undefined;
  const ordinal = ordinalItem(expr, select);
  if (alias === undefined && ordinal === undefined && resolve(scope, names) === undefined) {
    const output = select.find((item) => item.name.toLowerCase() === names[0]?.toLowerCase());
    if (output !== undefined && names.length === 1) return [orderLike(entry, output.expr)];
  }
  return [orderLike(entry, alias ?? ordinal ?? name(expr))];
}

function ordinalItem(expr: Tree, select: readonly Item[]): Tree | undefined {
  const ordinal = ordinalOf(expr);
  return ordinal === undefined ? undefined : select[ordinal - 1]?.expr;
}

function isConstant(expr: Tree): boolean {
  return classOf(expr) === "CONSTANT";
}

function groupingSets(node: Tree): readonly (readonly number[])[] | undefined {
  const sets = node["group_sets"];
  if (!Array.isArray(sets) || sets.length === 0) return undefined;
  const list = sets.map((set) =>
    Array.isArray(set) ? set.filter((entry) => typeof entry === "number") : [],
  );
  return list.length === 1 ? undefined : list;
}

function hasAggregate(expr: Tree): boolean {
  return some(expr, isAggregateCall);
}

/** Aliases that must be there before the aggregate: read by `rows` or inside aggregate calls. */
function readBefore(exprs: readonly Tree[], rows: readonly Tree[]): ReadonlySet<string> {
  const found = new Set(rows.flatMap(columnRefs).map((ref) => ref.table));
  for (const expr of exprs) {
    walk(expr, (entry) => {
      if (!isAggregateCall(entry)) return undefined;
      for (const ref of columnRefs(entry)) found.add(ref.table);
      return false;
    });
  }
  return found;
}

/** One-row relations joined to a FROM: every row sees their only row. */
export function joinSingles(from: From, singles: readonly From[]): From {
  return singles.reduce<From>(
    (left, right) => ({ kind: "join", joinType: "LEFT", left, right, condition: [] }),
    from,
  );
}
