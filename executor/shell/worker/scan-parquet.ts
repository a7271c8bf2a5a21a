/**
 * One Parquet file, or a range of its rows, into a table. Columns are taken by name and cast to the declared types;
 * a row with a value that does not fit, or only when rounded, is a reject, as a line of a CSV file would be.
 */
import { createHash } from "node:crypto";
import { type Engine, sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { parquetError } from "../../../shared/adapters/duckdb-parquet.ts";
import {
  assertUnchanged,
  type OpenInput,
  openInput,
  storedBytes,
} from "../../../shared/adapters/integrity-open.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileAccount, FileFingerprint } from "../../../shared/kernel/work.ts";
import { rejectsTable } from "./rejects.ts";

export interface ParquetScan {
  readonly engine: Engine;
  readonly root: string;
  readonly file: FileFingerprint;
  /** Rows [from, to); all when absent. */
  readonly rows?: { readonly from: number; readonly to: number };
  readonly columns: readonly Column[];
  readonly table: string;
  /** Expressions over the declared columns, one per column of the table. */
  readonly select: readonly string[];
  readonly signal: AbortSignal;
}

/** A declared column whose type in the file is another one. */
interface Misfit extends Column {
  /** Type in the file. */
  readonly stored: string;
}

/** Appends the rows. `outsideDay` is left 0; `contentSha256` is empty for a range. Errors: `input…`, `storage…`. */
export async function scanParquet(scan: ParquetScan): Promise<FileAccount> {
  const { file } = scan;
  const input = await openInput(scan.root, file);
  try {
    const total = await rowsIn(scan, input.path);
    const range = scan.rows ?? { from: 0, to: total };
    if (range.to > total) {
      throw fail("inputChanged", `file ${file.path}: has fewer rows than when it was planned`, {
        file: file.path,
      });
    }
    const bad = await misfits(scan, input.path);
    const source = rangeOf(scan, input.path);
    const rejects = bad.length === 0 ? 0 : await rejectRows(scan, source, bad);
    const good = bad.length === 0 ? "true" : `NOT (${bad.map(unfit).join(" OR ")})`;
    const rows = await reading(scan, () =>
      scan.engine.run(
        `INSERT INTO ${sqlName(scan.table)} SELECT ${scan.select.join(", ")}
         FROM (SELECT ${casts(scan.columns)} FROM ${source} WHERE ${good})`,
        `file ${file.path}`,
      ),
    );
    const contentSha256 = scan.rows === undefined ? await contentHash(scan, input) : "";
    await assertUnchanged(input);
    const lines = range.to - range.from;
    if (rows + rejects !== lines) {
      throw fail("internal", `file ${file.path}: ${lines} rows, but ${rows} + ${rejects} rejects`);
    }
    return {
      file,
      contentSha256,
      plainBytes: total === 0 ? file.size : Math.round((file.size * lines) / total),
      lines,
      rows,
      rejects,
      blank: 0,
      outsideDay: 0,
      lastLineUnterminated: false,
    };
  } finally {
    await input.handle.close();
  }
}

async function contentHash(scan: ParquetScan, input: OpenInput): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of storedBytes(input, scan.signal)) hash.update(chunk);
  return hash.digest("hex");
}

async function reading<T>(scan: ParquetScan, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw parquetError(error, scan.file.path);
  }
}

async function rowsIn(scan: ParquetScan, path: string): Promise<number> {
  const rows = await reading(scan, () =>
    scan.engine.rows(
      `SELECT num_rows::VARCHAR FROM parquet_file_metadata(${sqlText(path)})`,
      `file ${scan.file.path}`,
    ),
  );
  return Number(rows[0]?.[0]);
}

/** Declared columns whose type in the file is another one. Errors: `inputMalformed` for a missing column. */
async function misfits(scan: ParquetScan, path: string): Promise<readonly Misfit[]> {
  const described = await reading(scan, () =>
    scan.engine.rows(
      `DESCRIBE SELECT * FROM read_parquet(${sqlText(path)}, hive_partitioning = false)`,
      scan.file.path,
    ),
  );
  const types = new Map(described.map((row) => [row[0]?.toLowerCase(), row[1]]));
  return scan.columns.flatMap(({ name, type }) => {
    const stored = types.get(name.toLowerCase());
    if (stored === undefined || stored === null) {
      throw fail(
        "inputMalformed",
        `file ${scan.file.path}: no column ${name}; declare the columns as the file has them`,
        { file: scan.file.path, column: name },
      );
    }
    return stored === type ? [] : [{ name, type, stored }];
  });
}

function rangeOf(scan: ParquetScan, path: string): string {
  const rows = `read_parquet(${sqlText(path)}, file_row_number = true, hive_partitioning = false)`;
  if (scan.rows === undefined) return rows;
  const { from, to } = scan.rows;
  return `(SELECT * FROM ${rows} WHERE file_row_number >= ${from} AND file_row_number < ${to})`;
}

function casts(columns: readonly Column[]): string {
  return columns
    .map(({ name, type }) => `TRY_CAST(${sqlName(name)} AS ${type}) AS ${sqlName(name)}`)
    .join(", ");
}

/** True, false or NULL for a row; a number that is another one when cast back was rounded. */
function unfit({ name, type, stored }: Misfit): string {
  const column = sqlName(name);
  const cast = `TRY_CAST(${column} AS ${type})`;
  const rounded = rounds(stored, type)
    ? ` OR TRY_CAST(${cast} AS ${stored}) IS DISTINCT FROM ${column}`
    : "";
  return `(${column} IS NOT NULL AND (${cast} IS NULL${rounded}))`;
}

/** Between binary fractions of different length, the nearest one is what the declared type asks for. */
function rounds(stored: string, declared: string): boolean {
  const isFraction = (type: string) => /^(FLOAT|DOUBLE)$/.test(type);
  const isNumber = (type: string) => isFraction(type) || /INT(EGER)?$|^DECIMAL\b/.test(type);
  return isNumber(stored) && isNumber(declared) && !(isFraction(stored) && isFraction(declared));
}

/** Rejected rows are kept as text; their line is the row's number in the file, from 1. */
async function rejectRows(
  scan: ParquetScan,
  source: string,
  bad: readonly Misfit[],
): Promise<number> {
  const reasons = bad.map(
    (column) => `WHEN ${unfit(column)} THEN ${sqlText(`value does not fit column ${column.name}`)}`,
  );
  const packed = scan.columns.map(({ name }) => sqlName(name)).join(", ");
  return await reading(scan, () =>
    scan.engine.run(
      `INSERT INTO ${rejectsTable}
       SELECT ${sqlText(scan.file.path)}, file_row_number + 1, CASE ${reasons.join(" ")} END,
         left(CAST(struct_pack(${packed}) AS VARCHAR), ${limits.rejectLineBytesKept})
       FROM ${source} WHERE ${bad.map(unfit).join(" OR ")}`,
      `file ${scan.file.path}`,
    ),
  );
}
