/**
 * One SELECT as a chain of relations, each with one duty: rows (FROM, WHERE) → aggregate → HAVING → windows → QUALIFY →
 * output → DISTINCT → top-n. Names are resolved once, at the start; later steps only compare expressions.
 */

import { isAggregateCall, orderCall } from "./aggregates.ts";
import { type Ctes, type Reading, uniqueAlias } from "./from-clause.ts";
import { freshItemName, splitJoins } from "./join-split.ts";
import { addDistinct, addLimit, items } from "./modifiers.ts";
import { Refusal } from "./refusal.ts";
import { leavesOf, orderExpr, orderLike } from "./relation.ts";
import { joinSingles, type Parts, resolveParts } from "./select-names.ts";
import {
  call,
  classOf,
  column,
  columnRefs,
  type Item,
  keyOf,
  listOf,
  order,
  rewrite,
  some,
  type Tree,
  textOf,
  walk,
  withoutAlias,
} from "./tree.ts";
import { orderWindow, windowGroups } from "./window-order.ts";

export function readSelect(node: Tree, ctes: Ctes, reading: Reading): string {
  const parts = resolveParts(node, ctes, reading);
  const split = splitJoins(parts.from, parts.where, reading);
  mapParts(parts, split.map);
  parts.from = split.from;
  parts.where = split.where;
  if (parts.aggregated) addAggregate(parts, reading);
  if (parts.late.length > 0) joinLate(parts, reading);
  if (parts.distinctOn.length > 0) distinctOnAsWindow(parts);
  if (hasWindow(parts)) addWindow(parts, reading);
  return addOutput(parts, listOf(node, "modifiers"), reading);
}

/** One-row subqueries of an aggregated query, joined to its groups. */
function joinLate(parts: Parts, reading: Reading): void {
  const split = splitJoins(joinSingles(parts.from, parts.late), parts.where, reading);
  mapParts(parts, split.map);
  parts.from = split.from;
  parts.where = split.where;
}

function mapParts(parts: Parts, map: (expr: Tree) => Tree): void {
  parts.where = parts.where.map(map);
  parts.select = parts.select.map((item) => ({ name: item.name, expr: map(item.expr) }));
  parts.groups = parts.groups.map(map);
  parts.having = parts.having.map(map);
  parts.qualify = parts.qualify.map(map);
  parts.orders = parts.orders.map((entry) => orderLike(entry, map(orderExpr(entry))));
  parts.distinctOn = parts.distinctOn.map(map);
}

// --- steps ------------------------------------------------------------------------------------

/**
 * FROM and WHERE as one relation with the columns that `exprs` read; gives how to read them from it. Subqueries of `calls`
 * (over dimensions) are columns of it, too: rows can be brought together by a column, but not by a subquery.
 */
function wrap(
  parts: Parts,
  exprs: readonly Tree[],
  calls: readonly Tree[],
  reading: Reading,
): { input: string; map: (expr: Tree) => Tree } {
  const { from, where } = parts;
  const computed = new Map<string, string>();
  const toT = (names: ReadonlyMap<string, string>) => (expr: Tree) =>
    rewrite(expr, (entry) => {
      const whole = classOf(entry) === "SUBQUERY" ? computed.get(keyOf(entry)) : undefined;
      if (whole !== undefined) return column("t", whole);
      const [ref] = classOf(entry) === "COLUMN_REF" ? columnRefs(entry) : [];
      if (ref === undefined) return undefined;
      return column("t", names.get(`${ref.table}.${ref.name}`) ?? ref.name);
    });
  const subqueries = calls.flatMap((expr) => found(expr, (one) => classOf(one) === "SUBQUERY"));
  if (from.kind === "leaf" && where.length === 0 && subqueries.length === 0)
    return { input: from.relation, map: toT(new Map()) };
  const names = new Map<string, string>();
  const taken = new Set<string>();
  const select: Item[] = [];
  for (const expr of subqueries) {
    if (computed.has(keyOf(expr))) continue;
    const name = freshItemName("answer", taken);
    computed.set(keyOf(expr), name);
    select.push({ name, expr: withoutAlias(expr) });
  }
  for (const ref of exprs.flatMap(columnRefs)) {
    const key = `${ref.table}.${ref.name}`;
    if (names.has(key)) continue;
    const name = freshItemName(ref.name, taken);
    names.set(key, name);
    select.push({ name, expr: column(ref.table, ref.name) });
  }
  if (select.length === 0) select.push({ name: "one", expr: oneConstant });
  const name = reading.relations.freshName(reading.model);
  const columns = select.map((item) => item.name);
  reading.relations.add({
    name,
    model: reading.model,
    columns,
    body: { kind: "view", from, where, select },
  });
  return { input: name, map: toT(names) };
}

/** The outermost sub-expressions that satisfy the test. */
function found(expr: Tree, test: (expr: Tree) => boolean): readonly Tree[] {
  const all: Tree[] = [];
  walk(expr, (entry) => {
    if (!test(entry)) return undefined;
    all.push(entry);
    return false;
  });
  return all;
}

const oneConstant: Tree = {
  class: "CONSTANT",
  type: "VALUE_CONSTANT",
  alias: "",
  value: { type: { id: "INTEGER", type_info: null }, is_null: false, value: 1 },
};

function partsExprs(parts: Parts): readonly Tree[] {
  const { select, having, qualify, orders, groups, distinctOn } = parts;
  return [
    ...select.map((item) => item.expr),
    ...having,
    ...qualify,
    ...orders.map(orderExpr),
    ...groups,
    ...distinctOn,
  ];
}

/** Replaces FROM by an aggregate relation: keys `g0…`, calls `a0…`; HAVING becomes the WHERE over it. */
function addAggregate(parts: Parts, reading: Reading): void {
  const exprs = partsExprs(parts);
  const inside = [...parts.groups, ...exprs.flatMap((expr) => found(expr, isAggregateCall))];
  const { input, map } = wrap(parts, exprs, inside, reading);
  const alias = uniqueAlias("grouped", reading);
  const keys: Item[] = [];
  const calls: Item[] = [];
  const byText = new Map<string, Tree>();
  const positions: number[] = [];
  const lateAliases = new Set(parts.late.flatMap(leavesOf).map((leaf) => leaf.alias));
  for (const group of parts.groups) {
    const text = keyOf(group);
    if (!byText.has(text)) {
      const name = `g${keys.length}`;
      keys.push({ name, expr: map(group) });
      byText.set(text, column(alias, name));
    }
    positions.push(keys.findIndex((key) => keyOf(key.expr) === keyOf(map(group))));
  }
  const post = (expr: Tree): Tree =>
    rewrite(expr, (entry) => {
      const text = keyOf(entry);
      const known = byText.get(text);
      if (known !== undefined) return known;
      if (isAggregateCall(entry)) {
        const name = `a${calls.length}`;
        calls.push({ name, expr: map(orderCall(withoutAlias(plainCall(entry)))) });
        const ref = column(alias, name);
        byText.set(text, ref);
        return ref;
      }
      const [ref] = classOf(entry) === "COLUMN_REF" ? columnRefs(entry) : [];
      if (ref === undefined || lateAliases.has(ref.table)) return undefined;
      throw new Refusal(`column ${ref.name}`, "must be in GROUP BY or inside an aggregate");
    });
  parts.select = parts.select.map((item) => ({ name: item.name, expr: post(item.expr) }));
  parts.where = parts.having.map(post);
  parts.qualify = parts.qualify.map(post);
  parts.orders = parts.orders.map((entry) => orderLike(entry, post(orderExpr(entry))));
  parts.distinctOn = parts.distinctOn.map(post);
  parts.having = [];
  parts.groups = [];
  // GROUP BY () without any aggregate still makes one row.
  if (keys.length === 0 && calls.length === 0)
    calls.push({ name: "a0", expr: call("count_star", []) });
  const name = reading.relations.freshName(reading.model);
  const sets = parts.sets?.map((set) => [...new Set(set.map((index) => positions[index] ?? 0))]);
  const body = {
    kind: "aggregate" as const,
    input,
    keys,
    calls,
    ...(sets === undefined ? {} : { sets }),
  };
  const columns = [...keys, ...calls].map((item) => item.name);
  reading.relations.add({ name, model: reading.model, columns, body });
  parts.from = { kind: "leaf", alias, relation: name };
}

/** `count(1)` and friends count rows; DISTINCT means nothing to min and max. */
function plainCall(expr: Tree): Tree {
  const name = textOf(expr, "function_name").toLowerCase();
  const children = listOf(expr, "children");
  if (name === "count" && children.length === 0) return { ...expr, function_name: "count_star" };
  if ((name === "min" || name === "max") && children.length === 1) {
    return { ...expr, distinct: false, order_bys: { type: "ORDER_MODIFIER", orders: [] } };
  }
  return expr;
}

function isWindow(expr: Tree): boolean {
  return classOf(expr) === "WINDOW";
}

function hasWindow(parts: Parts): boolean {
  const exprs = [
    ...parts.select.map((item) => item.expr),
    ...parts.qualify,
    ...parts.orders.map(orderExpr),
  ];
  return parts.qualify.length > 0 || exprs.some((expr) => some(expr, isWindow));
}

/** DISTINCT ON keeps the first row of each group in the given order: a numbered window with a total order. */
function distinctOnAsWindow(parts: Parts): void {
  const used = parts.select.map((item) => order(item.expr));
  const number: Tree = {
    ...call("row_number", []),
    class: "WINDOW",
    type: "WINDOW_ROW_NUMBER",
    partitions: parts.distinctOn as never,
    orders: [...parts.orders, ...used] as never,
    start: "UNBOUNDED_PRECEDING",
    end: "CURRENT_ROW_RANGE",
    start_expr: null,
    end_expr: null,
    offset_expr: null,
    default_expr: null,
    ignore_nulls: false,
    filter_expr: null,
    exclude_clause: "NO_OTHER",
    arg_orders: [],
  };
  const {
    filter: _filter,
    order_bys: _orders,
    is_operator: _operator,
    export_state: _state,
    ...window
  } = number;
  const one = {
    class: "COMPARISON",
    type: "COMPARE_EQUAL",
    alias: "",
    left: window,
    right: oneConstant,
  };
  parts.qualify = [...parts.qualify, one as Tree];
  parts.distinctOn = [];
}

/** Replaces FROM by window relations: the columns read later, and `w0…`; QUALIFY becomes the WHERE over them. */
function addWindow(parts: Parts, reading: Reading): void {
  const exprs = partsExprs(parts);
  const inside = exprs.flatMap((expr) => found(expr, isWindow));
  const { input, map } = wrap(parts, exprs, inside, reading);
  const alias = uniqueAlias("windowed", reading);
  const used = partsExprs(parts).map(map).flatMap(columnRefs);
  const names = [...new Set(used.map((ref) => ref.name))];
  const taken = new Set(names.map((name) => name.toLowerCase()));
  const windows = new Map<string, Item>();
  const post = (expr: Tree): Tree =>
    rewrite(map(expr), (entry) => {
      if (isWindow(entry)) {
        const text = keyOf(entry);
        const known = windows.get(text) ?? {
          name: freshItemName(`w${windows.size}`, taken),
          expr: orderWindow(withoutAlias(entry), names),
        };
        windows.set(text, known);
        return column(alias, known.name);
      }
      const [ref] = classOf(entry) === "COLUMN_REF" ? columnRefs(entry) : [];
      return ref === undefined ? undefined : column(alias, ref.name);
    });
  parts.select = parts.select.map((item) => ({ name: item.name, expr: post(item.expr) }));
  parts.where = parts.qualify.map(post);
  parts.orders = parts.orders.map((entry) => orderLike(entry, post(orderExpr(entry))));
  parts.qualify = [];
  let relation = input;
  const columns = [...names];
  for (const group of windowGroups([...windows.values()])) {
    const select = [...items(columns, "t"), ...group];
    columns.push(...group.map((item) => item.name));
    const name = reading.relations.freshName(reading.model);
    const body = { kind: "window" as const, input: relation, select };
    reading.relations.add({ name, model: reading.model, columns: [...columns], body });
    relation = name;
  }
  parts.from = { kind: "leaf", alias, relation };
}

/** The output list, then DISTINCT and top-n over it; order columns that are no output travel hidden. */
function addOutput(parts: Parts, modifiers: readonly Tree[], reading: Reading): string {
  const { relations, model } = reading;
  const limited = modifiers.some((entry) => textOf(entry, "type") === "LIMIT_MODIFIER");
  const select = [...parts.select];
  const taken = new Set(select.map((item) => item.name.toLowerCase()));
  const orders = !limited
    ? []
    : parts.orders.map((entry) => {
        const expr = orderExpr(entry);
        const known = select.find((item) => keyOf(item.expr) === keyOf(expr));
        if (known !== undefined) return orderLike(entry, column("t", known.name));
        if (parts.distinct)
          throw new Refusal("ORDER BY", "of SELECT DISTINCT must name an output column");
        const hidden = { name: freshItemName("__order", taken), expr };
        select.push(hidden);
        return orderLike(entry, column("t", hidden.name));
      });
  const name = relations.freshName(model);
  const columns = select.map((item) => item.name);
  const { from, where } = parts;
  relations.add({ name, model, columns, body: { kind: "view", from, where, select } });
  const distinct = parts.distinct ? addDistinct(name, reading) : name;
  const top = addLimit(distinct, orders, modifiers, reading);
  if (select.length === parts.select.length) return top;
  const alias = uniqueAlias("top", reading);
  const visible = relations.freshName(model);
  relations.add({
    name: visible,
    model,
    columns: parts.select.map((item) => item.name),
    body: {
      kind: "view",
      from: { kind: "leaf", alias, relation: top },
      where: [],
      select: parts.select.map((item) => ({ name: item.name, expr: column(alias, item.name) })),
    },
  });
  return visible;
}
