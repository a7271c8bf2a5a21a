/**
 * Types across an exchange: what a key is cast to before hashing (so that equal values of different types meet), what a
 * column travels as, and what a dataset may hold.
 */
import { isWireType } from "../../../shared/kernel/plan.ts";
import { Refusal } from "./refusal.ts";

const integers = new Set("TINYINT SMALLINT INTEGER BIGINT UTINYINT USMALLINT UINTEGER".split(" "));
const wide = new Set(["UBIGINT", "HUGEINT", "UHUGEINT"]);
const viaText = new Set(["UUID", "INTERVAL", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"]);

/** The type that keys of this type are hashed as: hash(-1::INTEGER) is not hash(-1::BIGINT). */
export function hashType(type: string): string {
  if (integers.has(type)) return "BIGINT";
  if (wide.has(type)) return "HUGEINT";
  return type.startsWith("ENUM") ? "VARCHAR" : type;
}

/** The type in which the engine compares two key types; undefined when a cast must be written by the user. */
export function commonType(left: string, right: string): string | undefined {
  const [a, b] = [hashType(left), hashType(right)];
  if (a === b) return a;
  const pair = new Set([a, b]);
  const both = (x: string, y: string): boolean => pair.has(x) && pair.has(y);
  if (both("BIGINT", "HUGEINT")) return "HUGEINT";
  if (both("BIGINT", "DOUBLE") || both("HUGEINT", "DOUBLE")) return "DOUBLE";
  // 16777217 equals 16777216::FLOAT: an integer is compared as FLOAT there.
  if (both("BIGINT", "FLOAT") || both("HUGEINT", "FLOAT")) return "FLOAT";
  if (both("FLOAT", "DOUBLE")) return "DOUBLE";
  if (both("DATE", "TIMESTAMP")) return "TIMESTAMP";
  return undefined;
}

/** Has the type an exact form on the way to another task? */
export function travels(type: string): boolean {
  return travelForm(type) !== undefined;
}

function travelForm(type: string): string | undefined {
  if (isWireType(type)) return type;
  if (type === "HUGEINT") return "DECIMAL(38,0)";
  return viaText.has(type) ? "VARCHAR" : undefined;
}

/** What a column of this type travels as. Types without an exact form are refused. */
export function travelType(column: string, type: string): string {
  const form = travelForm(type);
  if (form !== undefined) return form;
  throw new Refusal(
    `column ${column} of type ${type}`,
    "can't travel between tasks; use plain columns (for lists: string_agg, or unnest before grouping)",
  );
}

/** What a dataset column of this type is written as. */
export function datasetType(column: string, type: string): string {
  if (isWireType(type)) return type;
  if (type === "HUGEINT") return "DECIMAL(38,0)";
  if (type === "UUID" || type.startsWith("ENUM")) return "VARCHAR";
  if (type === "TIMESTAMP_S" || type === "TIMESTAMP_MS") return "TIMESTAMP";
  throw new Refusal(
    `column ${column} of type ${type}`,
    "datasets hold plain columns; cast it, e.g. to VARCHAR or BIGINT",
  );
}
