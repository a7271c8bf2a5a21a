/**
 * One delimited file into a table: our pass first, then DuckDB's scan, then the sum. Every declared column is read,
 * so that what is rejected never depends on which columns the models need. The sum must close or the task fails.
 */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, sqlName } from "../../../shared/adapters/duckdb.ts";
import { type Inspection, inspect } from "../../../shared/adapters/integrity.ts";
import { assertUnchanged, openInput } from "../../../shared/adapters/integrity-open.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column, CsvOptions } from "../../../shared/kernel/job.ts";
import type { FileAccount, FileFingerprint } from "../../../shared/kernel/work.ts";
import { findBadLines } from "./bad-lines.ts";
import { csvTable, readsAll } from "./csv-table.ts";
import { collectDefects } from "./rejects.ts";

export interface CsvScan {
  readonly engine: Engine;
  readonly root: string;
  /** The attempt's temporary folder, absolute. */
  readonly folder: string;
  readonly file: FileFingerprint;
  readonly gzip: boolean;
  readonly csv: CsvOptions;
  /** All declared columns. */
  readonly columns: readonly Column[];
  /** Table to append to. */
  readonly table: string;
  /** Expressions over the declared columns, one per column of the table. */
  readonly select: readonly string[];
  readonly signal: AbortSignal;
}

/** Appends the file's rows and takes its rejects over. `outsideDay` is left 0. Errors: `input…`, `storage…`, `internal`. */
export async function scanCsv(scan: CsvScan): Promise<FileAccount> {
  const { file, gzip, csv, signal, columns } = scan;
  const input = await openInput(scan.root, file);
  try {
    const copyPath = join(scan.folder, "plain.csv");
    const columnCount = columns.length;
    const found = await inspect({ input, gzip, csv, columnCount, copyPath, signal });
    assertHeader(scan, found.header);
    const rows = found.lines === 0 ? 0 : await append(scan, found);
    // In a file of one column a blank line is a row with an empty value.
    const blank = columnCount === 1 ? 0 : found.blank;
    const rejects = await takeRejects(scan, found, found.lines - rows - blank);
    await assertUnchanged(input);
    if (found.scanPath !== input.path) await unlink(found.scanPath);
    if (found.defectsPath !== undefined) await unlink(found.defectsPath);
    return {
      file,
      contentSha256: found.contentSha256,
      plainBytes: found.plainBytes,
      lines: found.lines,
      rows,
      rejects,
      blank,
      outsideDay: 0,
      lastLineUnterminated: found.lastLineUnterminated,
    };
  } finally {
    await input.handle.close();
  }
}

async function append(scan: CsvScan, found: Inspection): Promise<number> {
  return await scan.engine.run(
    `INSERT INTO ${sqlName(scan.table)} SELECT ${scan.select.join(", ")}
     FROM ${csvTable(scan.csv, scan.columns, found.scanPath, "skip")} WHERE ${readsAll(scan.columns)}`,
    `file ${scan.file.path}`,
  );
}

/** Every missing row must turn up as a bad line, else the file's rows are not to be trusted. Gives their number. */
async function takeRejects(scan: CsvScan, found: Inspection, missing: number): Promise<number> {
  const file = scan.file.path;
  if (missing < found.defective) {
    throw fail("internal", `file ${file}: more rows than its ${found.lines} lines can hold`, {
      file,
    });
  }
  const { defectsPath } = found;
  if (defectsPath !== undefined) await collectDefects(scan.engine, file, defectsPath);
  const expected = missing - found.defective;
  if (expected > 0) {
    const { engine, folder, csv, columns } = scan;
    const { scanPath } = found;
    await findBadLines({ engine, folder, file, scanPath, csv, columns, defectsPath, expected });
  }
  return missing;
}

/** A header is skipped, not obeyed; one that names the declared columns in another order would mix them up. */
function assertHeader(scan: CsvScan, header: string | undefined): void {
  if (header === undefined) return;
  const names = header.split(scan.csv.delimiter).map((name) => {
    const bare = name.trim();
    const quoted = scan.csv.quote !== "" && bare.startsWith(scan.csv.quote);
    return (quoted ? bare.slice(1, -1) : bare).toLowerCase();
  });
  const declared = scan.columns.map(({ name }) => name.toLowerCase());
  const sameNames = [...names].sort().join("\n") === [...declared].sort().join("\n");
  if (sameNames && names.join("\n") !== declared.join("\n")) {
    throw fail(
      "inputMalformed",
      `file ${scan.file.path}: header has the columns in another order than the job declares; declare them as in the file`,
      { file: scan.file.path },
    );
  }
}
