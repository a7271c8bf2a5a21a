/**
 * Gives windows a total order where their answer depends on it, so that every partitioning and every re-run sees the
 * same rows. Ties are broken by the other columns the query reads: rows equal in all of them are the same to it.
 */
import { orderedAggregates, orderedWindows } from "./functions.ts";
import { Refusal } from "./refusal.ts";
import { orderExpr } from "./relation.ts";
import { column, type Item, isTree, keyOf, listOf, order, type Tree, textOf } from "./tree.ts";

/** `names`: every column (of table `t`) that the query reads. */
export function orderWindow(window: Tree, names: readonly string[]): Tree {
  if (!needsOrder(window)) return window;
  const orders = listOf(window, "orders");
  const known = new Set(orders.map((entry) => keyOf(orderExpr(entry))));
  const breakers = names.map((name) => column("t", name)).filter((ref) => !known.has(keyOf(ref)));
  return { ...window, orders: [...orders, ...breakers.map((ref) => order(ref))] as never };
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

function needsOrder(window: Tree): boolean {
  const type = textOf(window, "type");
  const rows = textOf(window, "start").endsWith("_ROWS") || textOf(window, "end").endsWith("_ROWS");
  const whole =
    textOf(window, "start") === "UNBOUNDED_PRECEDING" &&
    textOf(window, "end") === "UNBOUNDED_FOLLOWING";
  if (type === "WINDOW_AGGREGATE") {
    const name = textOf(window, "function_name").toLowerCase();
    if (orderedAggregates.has(name) && !rows) {
      throw new Refusal(
        `${name}() OVER`,
        "follows the order of rows; give a frame with ROWS BETWEEN, or use min()/max()",
      );
    }
    return rows && !whole;
  }
  if (!orderedWindows.has(type)) return false;
  const frameByPeers =
    !rows && !whole && (type === "WINDOW_LAST_VALUE" || type === "WINDOW_NTH_VALUE");
  if (frameByPeers || (isTree(window["start_expr"]) !== isTree(window["end_expr"]) && !rows)) {
    throw new Refusal(
      `${textOf(window, "function_name")}() OVER`,
      "over a RANGE frame depends on the order among equals; write ROWS BETWEEN …",
    );
  }
  return true;
}
