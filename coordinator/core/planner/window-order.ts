/**
 * Gives windows a total order where their answer depends on it, so that every partitioning and every re-run sees the
 * same rows. Ties are broken by the other columns the query reads: rows equal in all of them are the same to it.
 */
import { functionName } from "./aggregates.ts";
import { anyRowAggregates, orderedAggregates, orderedWindows } from "./functions.ts";
import { Refusal } from "./refusal.ts";
import { orderExpr } from "./relation.ts";
import { column, type Item, isTree, keyOf, listOf, order, type Tree, textOf } from "./tree.ts";

/** `names`: every column (of table `t`) that the query reads. */
export function orderWindow(window: Tree, names: readonly string[]): Tree {
  const called = textOf(window, "type") === "WINDOW_AGGREGATE" ? orderArguments(window) : window;
  if (!needsOrder(called)) return called;
  const total = (orders: readonly Tree[]): never => {
    const known = new Set(orders.map((entry) => keyOf(orderExpr(entry))));
    const refs = names.map((name) => column("t", name)).filter((ref) => !known.has(keyOf(ref)));
    return [...orders, ...refs.map((ref) => order(ref))] as never;
  };
  const own = listOf(called, "arg_orders");
  const arg_orders = own.length > 0 ? total(own) : [];
  return { ...called, orders: total(listOf(called, "orders")), arg_orders };
}

/** An aggregate whose answer follows the order of its rows, in that of the window, and by its argument among equals. */
function orderArguments(window: Tree): Tree {
  const name = functionName(window);
  const [argument] = listOf(window, "children");
  if (argument === undefined || !orderedAggregates.has(name)) return window;
  const own = listOf(window, "arg_orders");
  const orders = own.length > 0 ? own : listOf(window, "orders");
  if (anyRowAggregates.has(name) && orders.length === 0) {
    return { ...window, function_name: "min" };
  }
  return { ...window, arg_orders: [...orders, order(argument)] as never };
}

/** Windows that can be computed where rows meet by one set of keys, together; others one after the other. */
export function windowGroups(windows: readonly Item[]): readonly (readonly Item[])[] {
  const groups: { keys: ReadonlySet<string>; items: Item[] }[] = [];
  for (const item of windows) {
    const keys = new Set(listOf(item.expr, "partitions").map(keyOf));
    const group = groups.find((entry) =>
      keys.size === 0 ? entry.keys.size === 0 : [...entry.keys].some((key) => keys.has(key)),
    );
    if (group === undefined) groups.push({ keys, items: [item] });
    else {
      group.keys = new Set([...group.keys].filter((key) => keys.has(key)));
      group.items.push(item);
    }
  }
  return groups.map((group) => group.items);
}

/** Frames of equals change with the order that tells equals apart: a window that looks at one may not be given it. */
function followsEquals(window: Tree): boolean {
  const edges = [textOf(window, "start"), textOf(window, "end")];
  return (
    edges.some((edge) => /_(RANGE|GROUPS)$/.test(edge)) ||
    ["GROUP", "TIES"].includes(textOf(window, "exclude_clause"))
  );
}

function needsOrder(window: Tree): boolean {
  const type = textOf(window, "type");
  const rows = textOf(window, "start").endsWith("_ROWS") || textOf(window, "end").endsWith("_ROWS");
  if (type === "WINDOW_AGGREGATE") {
    if (rows && followsEquals(window)) throw dependsOnEquals(window);
    return rows;
  }
  if (!orderedWindows.has(type)) return false;
  const ranges = [window["start_expr"], window["end_expr"]].some(isTree) && !rows;
  const own = listOf(window, "arg_orders").length > 0;
  const looks = own || (framedWindows.has(type) && !isEndOfPartition(window));
  if (ranges || (looks && followsEquals(window))) throw dependsOnEquals(window);
  return true;
}

const framedWindows = new Set(["WINDOW_FIRST_VALUE", "WINDOW_LAST_VALUE", "WINDOW_NTH_VALUE"]);

/** The first of a frame that begins with the partition, or the last of one that ends with it: whatever its other end. */
function isEndOfPartition(window: Tree): boolean {
  const [edge, unbounded] =
    textOf(window, "type") === "WINDOW_FIRST_VALUE"
      ? ["start", "UNBOUNDED_PRECEDING"]
      : ["end", "UNBOUNDED_FOLLOWING"];
  return (
    textOf(window, "type") !== "WINDOW_NTH_VALUE" &&
    textOf(window, edge) === unbounded &&
    textOf(window, "exclude_clause") === "NO_OTHER" &&
    window["ignore_nulls"] !== true
  );
}

function dependsOnEquals(window: Tree): Refusal {
  return new Refusal(
    `${textOf(window, "function_name")}() OVER`,
    "over a frame of equals (RANGE, GROUPS, EXCLUDE GROUP or TIES) depends on the order among them; write ROWS BETWEEN … without such an EXCLUDE",
  );
}
