/**
 * What one aggregate call asks of the plan: can it be computed in two steps, does it count distinct values, must all
 * rows of a group meet? Also the canonical form of calls whose answer would follow the order of rows.
 */
import type { Column } from "../../../shared/kernel/job.ts";
import { aggregateNames, anyRowAggregates, orderedAggregates, rowMakers } from "./functions.ts";
import { travels } from "./key-types.ts";
import { type Body, orderExpr } from "./relation.ts";
import { classOf, type Item, keyOf, listOf, order, type Tree, textOf } from "./tree.ts";

export type CallKind =
  /** Partial results of any cut of the rows combine into the answer. */
  | { readonly kind: "mergeable"; readonly how: Merge }
  /** Partial results combine where equal arguments are in one task. */
  | { readonly kind: "distinct"; readonly argument: Tree; readonly how: Merge }
  /** GROUPING(…): asks about the grouping set, not about rows. */
  | { readonly kind: "grouping" }
  /** All rows of the group are needed in one task. */
  | { readonly kind: "holistic" };

export type Merge = "sum" | "count" | "same" | "avg" | "moments" | "extreme";

const sums = new Set(["sum", "sum_no_overflow", "fsum", "kahan_sum", "sumkahan"]);
const counts = new Set(["count", "count_star", "count_if", "countif", "regr_count"]);
const unchanged = new Set("min max bool_and bool_or bit_and bit_or bit_xor product".split(" "));
const averages = new Set(["avg", "mean"]);
/** `arg_max(value, by)` and its kin, and which extreme of `by` they take. */
export const extremes: ReadonlyMap<string, "min" | "max"> = new Map([
  ...["arg_min", "argmin", "min_by"].map((name) => [name, "min"] as const),
  ...["arg_max", "argmax", "max_by"].map((name) => [name, "max"] as const),
]);
const moments = new Set("stddev stddev_samp stddev_pop variance var_samp var_pop sem".split(" "));

/** `type`: the call's result type as the engine says (an average of times is not a sum over a count). */
export function callKind(expr: Tree, type: string): CallKind {
  if (textOf(expr, "type") === "GROUPING_FUNCTION") return { kind: "grouping" };
  const name = functionName(expr);
  const [argument, ...others] = listOf(expr, "children");
  const how = mergeOf(name, others.length, type);
  if (how === undefined || name === "") return { kind: "holistic" };
  if (how === "extreme" && !isOwnTieBreak(expr)) return { kind: "holistic" };
  // The least of lists or structs is one of them: as a partial result it could not be sent.
  if (type !== "" && !travels(type)) return { kind: "holistic" };
  if (expr["distinct"] !== true || how === "extreme") return { kind: "mergeable", how };
  if (argument === undefined || how === "moments") return { kind: "holistic" };
  return { kind: "distinct", argument, how };
}

function mergeOf(name: string, extraArguments: number, type: string): Merge | undefined {
  if (counts.has(name)) return "count";
  if (extremes.has(name) && extraArguments === 1) return "extreme";
  if (extraArguments > 0) return undefined;
  if (sums.has(name)) return "sum";
  if (unchanged.has(name)) return "same";
  if (averages.has(name) && type === "DOUBLE") return "avg";
  return moments.has(name) ? "moments" : undefined;
}

/** Is the only order of the call its own value, as `orderCall` writes it? */
function isOwnTieBreak(expr: Tree): boolean {
  const orders = listOf((expr["order_bys"] ?? {}) as Tree, "orders");
  const [argument] = listOf(expr, "children");
  const [first, ...others] = orders;
  if (first === undefined || argument === undefined || others.length > 0) return false;
  return textOf(first, "type") === "ORDER_DEFAULT" && keyOf(orderExpr(first)) === keyOf(argument);
}

export function functionName(expr: Tree): string {
  return textOf(expr, "function_name").toLowerCase();
}

/** The call with one answer whatever the order of its rows. */
export function orderCall(expr: Tree): Tree {
  const name = functionName(expr);
  const orders = listOf((expr["order_bys"] ?? {}) as Tree, "orders");
  const [argument] = listOf(expr, "children");
  if (argument === undefined || !orderedAggregates.has(name)) return expr;
  if (anyRowAggregates.has(name) && orders.length === 0) return { ...expr, function_name: "min" };
  if (orders.some((entry) => keyOf(orderExpr(entry)) === keyOf(argument))) return expr;
  const total = [...orders, order(argument)];
  return { ...expr, order_bys: { type: "ORDER_MODIFIER", orders: total as never } };
}

/** How an aggregate as a whole can be spread. */
export interface Spreading {
  /** Every call is mergeable: partial results may be made anywhere. */
  readonly free: boolean;
  /** Set when the calls need nothing but equal values of this one argument to meet. */
  readonly distinctArgument: Tree | undefined;
  readonly kinds: readonly CallKind[];
}

export function spreadingOf(
  body: Body & { readonly kind: "aggregate" },
  columns: readonly Column[],
): Spreading {
  const typeOf = new Map(columns.map((entry) => [entry.name, entry.type]));
  const kinds = body.calls.map((item: Item) => callKind(item.expr, typeOf.get(item.name) ?? ""));
  const distinct = kinds.filter((entry) => entry.kind === "distinct");
  const [first] = distinct;
  const one =
    first !== undefined && distinct.every((e) => keyOf(e.argument) === keyOf(first.argument));
  const holistic = kinds.some((entry) => entry.kind === "holistic");
  return {
    free: !holistic && distinct.length === 0,
    distinctArgument: one && !holistic ? first.argument : undefined,
    kinds,
  };
}

/** Is the expression itself a call of an aggregate, or GROUPING()? */
export function isAggregateCall(expr: Tree): boolean {
  const grouping = textOf(expr, "type") === "GROUPING_FUNCTION";
  return (
    grouping ||
    (classOf(expr) === "FUNCTION" &&
      aggregateNames.has(textOf(expr, "function_name").toLowerCase()))
  );
}

/** Is the expression itself a call that gives several rows or none for one? */
export function makesRows(expr: Tree): boolean {
  return classOf(expr) === "FUNCTION" && rowMakers.has(functionName(expr));
}
