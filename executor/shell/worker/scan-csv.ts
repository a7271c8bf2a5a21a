/**
 * Delimited files into a table: our pass over each first, then DuckDB's scan, then the sum of each file. Every declared
 * column is read, so that what is rejected never depends on which columns the models need. A file's sum must close or
 * the task fails.
 */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, sqlName } from "../../../shared/adapters/duckdb.ts";
import { type Inspection, inspect } from "../../../shared/adapters/integrity.ts";
import {
  assertUnchanged,
  type OpenInput,
  openInput,
} from "../../../shared/adapters/integrity-open.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column, CsvOptions } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileAccount, FileFingerprint } from "../../../shared/kernel/work.ts";
import { findBadLines } from "./bad-lines.ts";
import { assertHeader } from "./csv-header.ts";
import { csvTable, readsAll } from "./csv-table.ts";
import { collectDefects } from "./rejects.ts";

/** How the files of a source are read. */
export interface CsvScan {
  readonly engine: Engine;
  readonly root: string;
  /** The attempt's temporary folder, absolute. */
  readonly folder: string;
  readonly gzip: boolean;
  readonly csv: CsvOptions;
  /** All declared columns. */
  readonly columns: readonly Column[];
  /** Table to append to. */
  readonly table: string;
  /**
   * Expressions over the declared columns, one per column of the table. `file` is SQL for the file's number, which
   * belongs into `numberColumn`.
   */
  readonly select: (file: string) => readonly string[];
  /** Column of the table that tells files apart; undefined: they are scanned one by one. */
  readonly numberColumn: string | undefined;
  /** One file after the other, so that no more than one is held at a time. */
  readonly singly: boolean;
  readonly signal: AbortSignal;
}

/** A file that our pass has gone over and that is held open. */
interface Inspected {
  readonly input: OpenInput;
  readonly found: Inspection;
}

/**
 * Appends the files' rows and takes their rejects over; gives an account of each, in order. `outsideDay` is left 0.
 * `done` is told each account once its rows are in. Errors: `input…`, `storage…`, `internal`.
 */
export async function scanCsv(
  scan: CsvScan,
  files: readonly FileFingerprint[],
  done: (account: FileAccount) => void = () => {},
): Promise<readonly FileAccount[]> {
  const accounts: FileAccount[] = [];
  const held = new Set<OpenInput>();
  let batch: Inspected[] = [];
  const flush = async (): Promise<void> => {
    for (const account of await scanBatch(scan, batch, accounts.length)) {
      accounts.push(account);
      done(account);
    }
    for (const { input } of batch) {
      held.delete(input);
      await input.handle.close();
    }
    batch = [];
  };
  try {
    for (const [index, file] of files.entries()) {
      if (scan.singly && batch.length > 0) await flush();
      const input = await openInput(scan.root, file);
      held.add(input);
      const next = { input, found: await inspectFile(scan, input, index) };
      if (batch.length > 0 && !fits(scan, batch, next)) await flush();
      batch.push(next);
    }
    if (batch.length > 0) await flush();
    return accounts;
  } finally {
    for (const { handle } of held) await handle.close();
  }
}

async function inspectFile(scan: CsvScan, input: OpenInput, index: number): Promise<Inspection> {
  const { gzip, csv, signal, columns } = scan;
  const copyPath = join(scan.folder, `plain-${index}.csv`);
  const found = await inspect({
    input,
    gzip,
    csv,
    columnCount: columns.length,
    copyPath,
    signal,
  });
  if (found.header !== undefined) {
    assertHeader(input.fingerprint.path, found.header, csv, columns);
  }
  return found;
}

/** May the file be scanned in one query with the others? The bounds are for open files, plain copies and query texts. */
function fits(scan: CsvScan, batch: readonly Inspected[], next: Inspected): boolean {
  const plainBytes = [...batch, next].reduce((sum, { found }) => sum + found.plainBytes, 0);
  return (
    isBatched(scan) &&
    batch.length < limits.scanBatchFilesMax &&
    plainBytes <= limits.scanBatchBytesMax
  );
}

/** A declared column of the virtual one's name hides it; quoted files are read by one thread each anyway. */
function isBatched({ csv, columns, numberColumn, singly }: CsvScan): boolean {
  return (
    !singly &&
    numberColumn !== undefined &&
    csv.quote === "" &&
    !columns.some(({ name }) => name.toLowerCase() === "file_index")
  );
}

/** `first`: number of the batch's first file. */
async function scanBatch(
  scan: CsvScan,
  batch: readonly Inspected[],
  first: number,
): Promise<readonly FileAccount[]> {
  const rows = await append(scan, batch, first);
  const accounts: FileAccount[] = [];
  for (const [at, { input, found }] of batch.entries()) {
    const account = accountOf(scan, input.fingerprint, found, rows[at] ?? 0);
    await takeRejects(scan, input.fingerprint.path, found, account.rejects);
    await assertUnchanged(input);
    if (found.scanPath !== input.path) await unlink(found.scanPath);
    if (found.defectsPath !== undefined) await unlink(found.defectsPath);
    accounts.push(account);
  }
  return accounts;
}

function accountOf(
  scan: CsvScan,
  file: FileFingerprint,
  found: Inspection,
  rows: number,
): FileAccount {
  const { contentSha256, plainBytes, lines, lastLineUnterminated } = found;
  // In a file of one column a blank line is a row with an empty value.
  const blank = scan.columns.length === 1 ? 0 : found.blank;
  const rejects = lines - rows - blank;
  return {
    file,
    contentSha256,
    plainBytes,
    lines,
    rows,
    rejects,
    blank,
    outsideDay: 0,
    lastLineUnterminated,
  };
}

/** Rows of each file of the batch, by position. */
async function append(
  scan: CsvScan,
  batch: readonly Inspected[],
  first: number,
): Promise<readonly number[]> {
  const { engine, csv, columns, numberColumn } = scan;
  const table = sqlName(scan.table);
  const paths = batch.map(({ found }) => found.scanPath);
  const what = filesText(batch);
  if (batch.every(({ found }) => found.lines === 0)) return [];
  const together = batch.length > 1;
  const number = together ? `(file_index + ${first})::INTEGER` : String(first);
  const rows = await engine.run(
    `INSERT INTO ${table} SELECT ${scan.select(number).join(", ")}
     FROM ${csvTable(csv, columns, paths, "skip")} WHERE ${readsAll(columns)}`,
    what,
  );
  if (!together || numberColumn === undefined) return [rows];
  const counted = await engine.rows(
    `SELECT (${numberColumn} - ${first})::VARCHAR, count(*)::VARCHAR FROM ${table}
     WHERE ${numberColumn} >= ${first} GROUP BY ${numberColumn}`,
    what,
  );
  const byFile = new Map(counted.map(([at, count]) => [Number(at), Number(count)]));
  return batch.map((_, at) => byFile.get(at) ?? 0);
}

function filesText(batch: readonly Inspected[]): string {
  const [name, last] = [batch[0], batch.at(-1)].map((entry) => entry?.input.fingerprint.path);
  return batch.length === 1 ? `file ${name}` : `files ${name} to ${last}`;
}

/** Every missing row must turn up as a bad line, else the file's rows are not to be trusted. */
async function takeRejects(
  scan: CsvScan,
  file: string,
  found: Inspection,
  missing: number,
): Promise<void> {
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
    const { scanPath, plainBytes } = found;
    const lines = { file, scanPath, plainBytes, defectsPath, expected };
    await findBadLines({ engine, folder, csv, columns, ...lines });
  }
}
