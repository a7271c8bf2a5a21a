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
import type { FileAccount, FileFingerprint } from "../../../shared/kernel/work.ts";
import { castList, isBad, misfits, rejectRows, type StoredColumn } from "./typed-rows.ts";

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
    const columns = await storedColumns(scan, input.path);
    const source = rangeOf(scan, input.path);
    const rejects = await reading(scan, () =>
      rejectRows(scan.engine, { file: file.path, source, number: "file_row_number + 1" }, columns),
    );
    const rows = await reading(scan, () =>
      scan.engine.run(
        `INSERT INTO ${sqlName(scan.table)} SELECT ${scan.select.join(", ")}
         FROM (SELECT ${castList(columns)} FROM ${source} WHERE NOT ${isBad(misfits(columns))})`,
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

/** The declared columns as the file has them. Errors: `inputMalformed` for a missing column. */
async function storedColumns(scan: ParquetScan, path: string): Promise<readonly StoredColumn[]> {
  const described = await reading(scan, () =>
    scan.engine.rows(
      `DESCRIBE SELECT * FROM read_parquet(${sqlText(path)}, hive_partitioning = false)`,
      scan.file.path,
    ),
  );
  const types = new Map(described.map((row) => [row[0]?.toLowerCase(), row[1]]));
  return scan.columns.map(({ name, type }) => {
    const stored = types.get(name.toLowerCase());
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

function rangeOf(scan: ParquetScan, path: string): string {
  const rows = `read_parquet(${sqlText(path)}, file_row_number = true, hive_partitioning = false)`;
  if (scan.rows === undefined) return rows;
  const { from, to } = scan.rows;
  return `(SELECT * FROM ${rows} WHERE file_row_number >= ${from} AND file_row_number < ${to})`;
}
