/**
 * One aggregate as two: partial results where the rows are, and their combination where groups meet. The combined
 * columns have the names and types of the plain aggregate, so whatever reads it doesn't notice.
 */
import type { Column } from "../../../shared/kernel/job.ts";
import type { CallKind } from "./aggregates.ts";
import { extremes, functionName } from "./aggregates.ts";
import { coalesce } from "./from-clause.ts";
import type { Body } from "./relation.ts";
import {
  call,
  cast,
  childOf,
  column,
  comparison,
  conjunction,
  constant,
  type Item,
  listOf,
  mapColumns,
  operator,
  order,
  type Tree,
} from "./tree.ts";

type Aggregate = Body & { readonly kind: "aggregate" };

export interface TwoStep {
  /** Calls of the partial aggregate (its keys are the keys of the whole). */
  readonly partial: readonly Item[];
  /** Keys of the combination, over the partial relation. */
  readonly keys: readonly Item[];
  readonly calls: readonly Item[];
  /** Means that variances are combined around, one for each grouping set: window columns to add to the partials first. */
  readonly means: readonly Item[];
}

/** `kinds` belong to `body.calls`, in order; none is holistic. `columns`: the aggregate's own columns with types. */
export function twoStep(
  body: Aggregate,
  kinds: readonly CallKind[],
  columns: readonly Column[],
): TwoStep {
  const partial: Item[] = [];
  const means: Item[] = [];
  const types = new Map(columns.map((entry) => [entry.name, entry.type]));
  const groupings = groupingsOf(body);
  const calls = body.calls.map((item, index) => {
    const kind = kinds[index];
    const expr =
      kind === undefined || kind.kind === "holistic" || kind.kind === "grouping"
        ? groupingCall(item, body)
        : combined(item, kind.how, { partial, means, groupings });
    const type = types.get(item.name);
    return { name: item.name, expr: type === undefined ? expr : cast(expr, type) };
  });
  const keys = body.keys.map((key) => ({ name: key.name, expr: column("t", key.name) }));
  return { partial, keys, calls, means };
}

interface Making {
  readonly partial: Item[];
  readonly means: Item[];
  readonly groupings: readonly Grouping[];
}

/** One way in which the rows are grouped; with grouping sets there are several. */
interface Grouping {
  readonly keys: readonly Tree[];
  /** Is a combined row of this one? undefined: there is no other. */
  readonly isMeant: Tree | undefined;
}

function groupingsOf({ keys, sets }: Aggregate): readonly Grouping[] {
  const refs = keys.map((key) => column("t", key.name));
  if (sets === undefined) return [{ keys: refs, isMeant: undefined }];
  const asked: Tree = {
    class: "OPERATOR",
    type: "GROUPING_FUNCTION",
    alias: "",
    children: refs as never,
  };
  const byBits = new Map<number, Grouping>();
  for (const set of sets) {
    // GROUPING() has a bit for each key, the last one lowest, which is 1 where rows are not grouped by it.
    const bits = refs.reduce((sum, _, index) => sum * 2 + (set.includes(index) ? 0 : 1), 0);
    const isMeant = comparison("COMPARE_EQUAL", asked, constant("BIGINT", bits));
    byBits.set(bits, { keys: refs.filter((_, index) => set.includes(index)), isMeant });
  }
  return [...byBits.values()];
}

function combined(item: Item, how: string, making: Making): Tree {
  const part = (suffix: string, expr: Tree): Tree => {
    making.partial.push({ name: `${item.name}${suffix}`, expr });
    return column("t", `${item.name}${suffix}`);
  };
  switch (how) {
    case "sum":
      return call("sum", [part("", item.expr)]);
    case "count":
      return coalesce(call("sum", [part("", item.expr)]), constant("INTEGER", 0));
    case "avg": {
      const total = part("_sum", { ...item.expr, function_name: "sum" });
      const count = part("_count", { ...item.expr, function_name: "count" });
      return operator("/", cast(call("sum", [total]), "DOUBLE"), call("sum", [count]));
    }
    case "extreme": {
      const value = part("", item.expr);
      const by = part("_by", extremeOf(item.expr));
      const order_bys = { type: "ORDER_MODIFIER", orders: [order(value) as never] };
      return { ...call(functionName(item.expr), [value, by]), order_bys };
    }
    case "moments":
      return combinedMoments(item, part, making);
    default:
      return call(functionName(item.expr), [part("", item.expr)]);
  }
}

/** The extreme that the chosen value belongs to: rows without a value don't count. */
function extremeOf(expr: Tree): Tree {
  const [value, by] = listOf(expr, "children");
  const filter = conjunction([
    ...(childOf(expr, "filter") ? [expr["filter"] as Tree] : []),
    isNotNull(value ?? {}),
  ]);
  return { ...call(extremes.get(functionName(expr)) ?? "", [by ?? {}]), filter: filter as never };
}

function isNotNull(expr: Tree): Tree {
  return { class: "OPERATOR", type: "OPERATOR_IS_NOT_NULL", alias: "", children: [expr as never] };
}

/**
 * Variance from counts, means and squared deviations of the parts: deviations around the group's mean are
 * Σ (M2 + n·(mean − group mean)²), which stays exact where Σx² − n·mean² would cancel.
 */
function combinedMoments(
  item: Item,
  part: (suffix: string, expr: Tree) => Tree,
  making: Making,
): Tree {
  const of = (name: string): Tree => ({ ...item.expr, function_name: name });
  // A part of equal values has exactly their mean and no deviation, whatever sums and divisions round to.
  const equal = comparison("COMPARE_EQUAL", of("min"), of("max"));
  const exactMean = choice(equal, cast(of("min"), "DOUBLE"), of("avg"));
  const squared = operator("*", of("var_pop"), of("count"));
  const count = part("_n", of("count"));
  const mean = part("_mean", exactMean);
  const deviation = part("_m2", choice(equal, cast(constant("INTEGER", 0), "DOUBLE"), squared));
  const weighted = operator("*", count, mean);
  const zero = constant("INTEGER", 0);
  const spreads = making.groupings.map(({ keys, isMeant }, index) => {
    const over = (expr: Tree): Tree => windowSum(expr, keys);
    const name = `${item.name}_group_mean${isMeant === undefined ? "" : `_${index}`}`;
    making.means.push({ name, expr: operator("/", over(weighted), over(count)) });
    const off = operator("-", mean, column("t", name));
    const spread = operator("*", count, operator("*", off, off));
    return { isMeant, sum: call("sum", [coalesce(spread, zero)]) };
  });
  const equalMeans = comparison("COMPARE_EQUAL", call("min", [mean]), call("max", [mean]));
  const spread = spreads.reduce<Tree>(
    (others, { isMeant, sum }) => (isMeant === undefined ? sum : choice(isMeant, sum, others)),
    zero,
  );
  const between = choice(equalMeans, zero, spread);
  const squares = operator("+", call("sum", [deviation]), between);
  const rows = call("sum", [count]);
  return momentResult(functionName(item.expr), squares, rows);
}

function choice(when: Tree, then: Tree, otherwise: Tree): Tree {
  return {
    class: "CASE",
    type: "CASE_EXPR",
    alias: "",
    case_checks: [{ when_expr: when, then_expr: then }] as never,
    else_expr: otherwise as never,
  };
}

function momentResult(name: string, squares: Tree, rows: Tree): Tree {
  const zero = constant("INTEGER", 0);
  const population = operator("/", squares, call("nullif", [rows, zero]));
  const sample = operator(
    "/",
    squares,
    call("nullif", [operator("-", rows, constant("INTEGER", 1)), zero]),
  );
  switch (name) {
    case "var_pop":
      return population;
    case "var_samp":
    case "variance":
      return sample;
    case "stddev_pop":
      return call("sqrt", [population]);
    case "sem":
      return call("sqrt", [operator("/", population, call("nullif", [rows, zero]))]);
    default:
      return call("sqrt", [sample]);
  }
}

function windowSum(expr: Tree, partitions: readonly Tree[]): Tree {
  return {
    class: "WINDOW",
    type: "WINDOW_AGGREGATE",
    alias: "",
    function_name: "sum",
    schema: "",
    catalog: "",
    children: [expr as never],
    partitions: partitions as never,
    orders: [],
    start: "UNBOUNDED_PRECEDING",
    end: "CURRENT_ROW_RANGE",
    start_expr: null,
    end_expr: null,
    offset_expr: null,
    default_expr: null,
    ignore_nulls: false,
    filter_expr: null,
    exclude_clause: "NO_OTHER",
    distinct: false,
    arg_orders: [],
  };
}

/** GROUPING(key): the same question, asked of the combined keys. */
function groupingCall(item: Item, body: Aggregate): Tree {
  const keys = body.keys.map((key) => ({ text: JSON.stringify(key.expr), name: key.name }));
  const children = listOf(item.expr, "children").map((child) => {
    const found = keys.find((key) => key.text === JSON.stringify(child));
    return found === undefined ? mapColumns(child, () => undefined) : column("t", found.name);
  });
  return { ...item.expr, children: children as never };
}
