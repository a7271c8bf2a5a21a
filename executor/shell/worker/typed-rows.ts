/**
 * Rows of a file that has types of its own (Parquet, Arrow), cast to the declared ones: which rows fit, and how those
 * that don't become rejects, as a line of a CSV file would. SQL texts but for the one statement that keeps rejects.
 */
import { type Engine, sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileAccount, FileFingerprint } from "../../../shared/kernel/work.ts";
import { rejectsTable } from "./rejects.ts";

export interface TypedScan {
  readonly engine: Engine;
  readonly root: string;
  readonly file: FileFingerprint;
  /** All declared columns. */
  readonly columns: readonly Column[];
  /** Table to append to. */
  readonly table: string;
  /** Expressions over the declared columns, one per column of the table. */
  readonly select: readonly string[];
  readonly signal: AbortSignal;
}

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
function misfits(columns: readonly StoredColumn[]): readonly StoredColumn[] {
  return columns.filter(({ raw, value, stored, type }) => stored !== type || raw !== value);
}

/** Select list of the declared columns. */
function castList(columns: readonly StoredColumn[]): string {
  return columns
    .map(({ name, type, value }) => `TRY_CAST(${value} AS ${type}) AS ${sqlName(name)}`)
    .join(", ");
}

/** True for a row that is a reject, else false, never NULL. `bad`: see `misfits`. */
function isBad(bad: readonly StoredColumn[]): string {
  return bad.length === 0 ? "false" : `(${bad.map(unfit).join(" OR ")})`;
}

/** True or false for a row; a number or a time that is another one when cast back was rounded. */
function unfit({ raw, value, type, stored }: StoredColumn): string {
  const cast = `TRY_CAST(${value} AS ${type})`;
  const there = judgedAs(stored, type);
  const rounded =
    there === undefined
      ? ""
      : ` OR TRY_CAST(TRY_CAST(${value} AS ${there}) AS ${stored}) IS DISTINCT FROM ${value}`;
  return `(${raw} IS NOT NULL AND (${cast} IS NULL${rounded}))`;
}

const isFraction = (type: string) => /^(FLOAT|DOUBLE)$/.test(type);
const isNumber = (type: string) => isFraction(type) || /INT(EGER)?$|^DECIMAL\b/.test(type);

/** Type that a value must come back from unchanged; undefined: nothing can be lost that the declared type does not ask for. */
function judgedAs(stored: string, declared: string): string | undefined {
  if (isNumber(stored) && isNumber(declared)) {
    // Between binary fractions of different length, the nearest one is what the declared type asks for.
    return isFraction(stored) && isFraction(declared) ? undefined : declared;
  }
  if (!/^(DATE|TIMESTAMP\b|TIMESTAMP_)/.test(stored)) return undefined;
  switch (declared) {
    // A moment would lose its hour, or its day.
    case "DATE":
    case "TIME":
      return declared;
    // The way into a zone and back is not always the same one, when clocks change; digits are lost before.
    case "TIMESTAMP":
    case "TIMESTAMP WITH TIME ZONE":
      return stored.endsWith(" ZONE") ? undefined : "TIMESTAMP";
    default:
      return undefined;
  }
}

/** Rows of a file, or of a part of it. */
export interface TypedRows {
  /** SQL of a relation. */
  readonly source: string;
  /** SQL of a row's number in the file, from 1. */
  readonly number: string;
  /** How many there are. */
  readonly lines: number;
}

export interface TypedSums {
  readonly lines: number;
  readonly rows: number;
  readonly rejects: number;
}

/**
 * Appends the rows that fit and keeps the others as text. Those are looked for only where some are missing, so that a
 * clean file is read once. Whether the sum closes: see `typedAccount`.
 */
export async function takeRows(
  scan: TypedScan,
  from: TypedRows,
  columns: readonly StoredColumn[],
): Promise<TypedSums> {
  const bad = misfits(columns);
  const rows = await scan.engine.run(
    `INSERT INTO ${sqlName(scan.table)} SELECT ${scan.select.join(", ")}
     FROM (SELECT ${castList(columns)} FROM ${from.source} WHERE NOT ${isBad(bad)})`,
    `file ${scan.file.path}`,
  );
  const { lines } = from;
  const isClean = rows === lines || bad.length === 0;
  return { lines, rows, rejects: isClean ? 0 : await keepRejects(scan, from, columns, bad) };
}

async function keepRejects(
  { engine, file }: TypedScan,
  { source, number }: TypedRows,
  columns: readonly StoredColumn[],
  bad: readonly StoredColumn[],
): Promise<number> {
  const reasons = bad.map(
    (column) => `WHEN ${unfit(column)} THEN ${sqlText(`value does not fit column ${column.name}`)}`,
  );
  const packed = columns.map(({ name, raw }) => `${sqlName(name)} := ${raw}`).join(", ");
  return await engine.run(
    `INSERT INTO ${rejectsTable}
     SELECT ${sqlText(file.path)}, ${number}, CASE ${reasons.join(" ")} END,
       left(CAST(struct_pack(${packed}) AS VARCHAR), ${limits.rejectLineBytesKept})
     FROM ${source} WHERE ${isBad(bad)}`,
    `file ${file.path}`,
  );
}

/**
 * The account of a file that is known to be unchanged.
 * `outsideDay` is left 0. Errors: `internal` when the sum does not close.
 */
export function typedAccount(
  file: FileFingerprint,
  sums: TypedSums,
  found: Pick<FileAccount, "contentSha256" | "plainBytes">,
): FileAccount {
  const { lines, rows, rejects } = sums;
  if (rows + rejects !== lines) {
    throw fail("internal", `file ${file.path}: ${lines} rows, but ${rows} + ${rejects} rejects`);
  }
  return { file, ...found, ...sums, blank: 0, outsideDay: 0, lastLineUnterminated: false };
}
