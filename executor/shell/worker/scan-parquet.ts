/**
 * One Parquet file, or a range of its rows, into a table. Columns are taken by name and cast to the declared types;
 * a row with a value that does not fit, or only when rounded, is a reject, as a line of a CSV file would be.
 */
import { createHash } from "node:crypto";
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { parquetError } from "../../../shared/adapters/duckdb-parquet.ts";
import {
  assertUnchanged,
  changed,
  type OpenInput,
  openInput,
  storedBytes,
} from "../../../shared/adapters/integrity-open.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import { dayColumn } from "../../../shared/kernel/history.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import type { FileAccount } from "../../../shared/kernel/work.ts";
import { type StoredColumn, type TypedScan, takeRows, typedAccount } from "./typed-rows.ts";

export interface ParquetScan extends TypedScan {
  /** Rows [from, to); all when absent. */
  readonly rows?: { readonly from: number; readonly to: number };
  /** The file is of a dataset: its rows are of this day. `isLenient`: columns that it lacks are NULL. */
  readonly ofDay?: { readonly day: Day; readonly isLenient: boolean };
}

/** Appends the rows. `outsideDay` is left 0. Errors: `input…`, `storage…`. */
export async function scanParquet(scan: ParquetScan): Promise<FileAccount> {
  const { file } = scan;
  const input = await openInput(scan.root, file);
  try {
    const total = await rowsIn(scan, input.path);
    const range = scan.rows ?? { from: 0, to: total };
    if (range.to > total) throw changed(file.path);
    const columns = await storedColumns(scan, input.path);
    const rows = {
      source: rangeOf(scan, input.path),
      number: "file_row_number + 1",
      lines: range.to - range.from,
    };
    const sums = await reading(scan, () => takeRows(scan, rows, columns));
    const contentSha256 = await contentHash(scan, input, range, total);
    await assertUnchanged(input);
    const plainBytes = total === 0 ? file.size : Math.round((file.size * rows.lines) / total);
    return typedAccount(file, sums, { contentSha256, plainBytes });
  } finally {
    await input.handle.close();
  }
}

/** Of the file's bytes; for a range of its rows of the same share of them, so that its ranges together hash it once. */
async function contentHash(
  { file, signal }: ParquetScan,
  input: OpenInput,
  rows: { readonly from: number; readonly to: number },
  total: number,
): Promise<string> {
  const at = (row: number) => (row === total ? file.size : Math.floor(file.size * (row / total)));
  const range = { from: rows.from === 0 ? 0 : at(rows.from), to: at(rows.to) };
  const hash = createHash("sha256");
  for await (const chunk of storedBytes(input, signal, range)) hash.update(chunk);
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

/** The declared columns as the file has them. Errors: `inputMalformed` for a missing column. */
async function storedColumns(scan: ParquetScan, path: string): Promise<readonly StoredColumn[]> {
  const described = await reading(scan, () =>
    scan.engine.rows(
      `DESCRIBE SELECT * FROM read_parquet(${sqlText(path)}, hive_partitioning = false)`,
      scan.file.path,
    ),
  );
  const types = new Map(described.map((row) => [row[0]?.toLowerCase(), row[1]]));
  const { ofDay } = scan;
  return scan.columns.map(({ name, type }) => {
    if (ofDay !== undefined && name === dayColumn.name)
      return constant(name, type, sqlText(ofDay.day));
    const stored = types.get(name.toLowerCase());
    if (stored === undefined && ofDay?.isLenient === true) return constant(name, type, "NULL");
    if (stored === undefined || stored === null) {
      throw fail(
        "inputMalformed",
        `file ${scan.file.path}: no column ${name}; declare the columns as the file has them`,
        { file: scan.file.path, column: name },
      );
    }
    return { name, type, stored, raw: sqlName(name), value: sqlName(name) };
  });
}

/** The same in every row. */
function constant(name: string, type: string, sql: string): StoredColumn {
  const value = `CAST(${sql} AS ${type})`;
  return { name, type, stored: type, raw: value, value };
}

function rangeOf(scan: ParquetScan, path: string): string {
  const rows = `read_parquet(${sqlText(path)}, file_row_number = true, hive_partitioning = false)`;
  if (scan.rows === undefined) return rows;
  const { from, to } = scan.rows;
  return `(SELECT * FROM ${rows} WHERE file_row_number >= ${from} AND file_row_number < ${to})`;
}
