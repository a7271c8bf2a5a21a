/**
 * Rows of a file that has types of its own (Parquet, Arrow), cast to the declared ones: which rows fit, and how those
 * that don't become rejects, as a line of a CSV file would. SQL texts but for the one statement that keeps rejects.
 */
import { type Engine, sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { rejectsTable } from "./rejects.ts";

/** A declared column as it lies in the file. */
export interface StoredColumn extends Column {
  /** SQL of the value in the file; NULL only where the file has none. */
  readonly raw: string;
  /** SQL of the same value in a type that can be cast to the declared one. */
  readonly value: string;
  /** Type of `value`. */
  readonly stored: string;
}

/** The columns whose values may not fit. */
export function misfits(columns: readonly StoredColumn[]): readonly StoredColumn[] {
  return columns.filter(({ raw, value, stored, type }) => stored !== type || raw !== value);
}

/** Select list of the declared columns. */
export function castList(columns: readonly StoredColumn[]): string {
  return columns
    .map(({ name, type, value }) => `TRY_CAST(${value} AS ${type}) AS ${sqlName(name)}`)
    .join(", ");
}

/** True for a row that is a reject, else false or NULL. `bad`: see `misfits`. */
export function isBad(bad: readonly StoredColumn[]): string {
  return bad.length === 0 ? "false" : `(${bad.map(unfit).join(" OR ")})`;
}

/** True, false or NULL for a row; a number or a time that is another one when cast back was rounded. */
function unfit({ raw, value, type, stored }: StoredColumn): string {
  const cast = `TRY_CAST(${value} AS ${type})`;
  const rounded = rounds(stored, type)
    ? ` OR TRY_CAST(${cast} AS ${stored}) IS DISTINCT FROM ${value}`
    : "";
  return `(${raw} IS NOT NULL AND (${cast} IS NULL${rounded}))`;
}

/** Between binary fractions of different length, the nearest one is what the declared type asks for. */
function rounds(stored: string, declared: string): boolean {
  const isFraction = (type: string) => /^(FLOAT|DOUBLE)$/.test(type);
  const isNumber = (type: string) => isFraction(type) || /INT(EGER)?$|^DECIMAL\b/.test(type);
  // A TIMESTAMP declared as DATE would lose its hour, one of nanoseconds the last three digits.
  const isTime = (type: string) => /^(DATE|TIMESTAMP(_\w+)?)$/.test(type);
  if (isTime(stored) && isTime(declared)) return true;
  return isNumber(stored) && isNumber(declared) && !(isFraction(stored) && isFraction(declared));
}

/** Where rows come from. */
export interface TypedRows {
  /** Path for people. */
  readonly file: string;
  /** SQL of a relation. */
  readonly source: string;
  /** SQL of a row's number in the file, from 1. */
  readonly number: string;
}

/** Keeps the bad rows as text; gives how many there are. */
export async function rejectRows(
  engine: Engine,
  { file, source, number }: TypedRows,
  columns: readonly StoredColumn[],
): Promise<number> {
  const bad = misfits(columns);
  if (bad.length === 0) return 0;
  const reasons = bad.map(
    (column) => `WHEN ${unfit(column)} THEN ${sqlText(`value does not fit column ${column.name}`)}`,
  );
  const packed = columns.map(({ name, raw }) => `${sqlName(name)} := ${raw}`).join(", ");
  return await engine.run(
    `INSERT INTO ${rejectsTable}
     SELECT ${sqlText(file)}, ${number}, CASE ${reasons.join(" ")} END,
       left(CAST(struct_pack(${packed}) AS VARCHAR), ${limits.rejectLineBytesKept})
     FROM ${source} WHERE ${isBad(bad)}`,
    `file ${file}`,
  );
}
