/**
 * DISTINCT and LIMIT as relations over a finished output. Both read every column of it, so that which rows
 * remain never depends on how rows are spread.
 */
import type { Reading } from "./from-clause.ts";
import { Refusal } from "./refusal.ts";
import { childOf, column, type Item, isTree, type Tree, textOf } from "./tree.ts";

export function addDistinct(input: string, reading: Reading): string {
  const { relations, model } = reading;
  const { columns } = relations.get(input);
  const name = relations.freshName(model);
  relations.add({ name, model, columns, body: { kind: "distinct", input } });
  return name;
}

/** A bare integer constant: a position in the select list. */
export function ordinalOf(expr: Tree): number | undefined {
  if (expr["class"] !== "CONSTANT") return undefined;
  const constant = childOf(expr, "value") ?? {};
  // 2.5 is DECIMAL(2,1) with the value 25.
  if (textOf(childOf(constant, "type") ?? {}, "id") === "DECIMAL") return undefined;
  const value = constant["value"];
  return typeof value === "number" && Number.isInteger(value) ? value : undefined;
}

/** Adds a top-n relation when there is a LIMIT or OFFSET; `orders` read `[t, column]` of `input`. */
export function addLimit(
  input: string,
  orders: readonly Tree[],
  modifiers: readonly Tree[],
  reading: Reading,
): string {
  const modifier = modifiers.find((entry) => textOf(entry, "type") === "LIMIT_MODIFIER");
  if (modifier === undefined) return input;
  const { relations, model } = reading;
  const limit = limitConstant(modifier["limit"], "LIMIT");
  const offset = limitConstant(modifier["offset"], "OFFSET");
  const { columns } = relations.get(input);
  const name = relations.freshName(model);
  relations.add({ name, model, columns, body: { kind: "limit", input, orders, limit, offset } });
  return name;
}

function limitConstant(value: unknown, clause: string): Tree | undefined {
  if (value === null || value === undefined) return undefined;
  const expr = value as Tree;
  if (ordinalOf(expr) === undefined || !isTree(expr)) {
    throw new Refusal(clause, "must be a whole number written in the SQL");
  }
  return expr;
}

/** The number in a LIMIT or OFFSET constant, 0 when absent. */
export function limitValue(expr: Tree | undefined): number {
  return expr === undefined ? 0 : (ordinalOf(expr) ?? 0);
}

export function items(names: readonly string[], table: string): readonly Item[] {
  return names.map((name) => ({ name, expr: column(table, name) }));
}
