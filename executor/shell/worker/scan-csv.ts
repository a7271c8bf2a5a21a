/**
 * One delimited file into a table: our pass first, then DuckDB's scan, then the sum. Every declared column is read,
 * so that what is rejected never depends on which columns the models need. The sum must close or the task fails.
 */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { type Inspection, inspect } from "../../../shared/adapters/integrity.ts";
import { assertUnchanged, openInput } from "../../../shared/adapters/integrity-open.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column, CsvOptions } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileAccount, FileFingerprint } from "../../../shared/kernel/work.ts";
import { collectRejects } from "./rejects.ts";

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
  const { file, gzip, csv, signal } = scan;
  const input = await openInput(scan.root, file);
  try {
    const copyPath = join(scan.folder, "plain.csv");
    const found = await inspect({ input, gzip, csv, copyPath, signal });
    assertHeader(scan, found.header);
    const rows = found.lines === 0 ? 0 : await append(scan, found);
    const rejects =
      found.lines === 0
        ? 0
        : await collectRejects(scan.engine, {
            file: file.path,
            table: "__errors",
            defectsPath: found.defectsPath,
          });
    if (found.lines > 0) await dropScanTables(scan.engine);
    await assertUnchanged(input);
    // In a file of one column a blank line is a row with an empty value.
    const blank = scan.columns.length === 1 ? 0 : found.blank;
    assertSum(file.path, { lines: found.lines, rows, rejects, blank });
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
     FROM ${csvTable(scan, found.scanPath)} WHERE ${readsAll(scan.columns)}`,
    `file ${scan.file.path}`,
  );
}

async function dropScanTables(engine: Engine): Promise<void> {
  await engine.run("DROP TABLE __errors", "rejects");
  await engine.run("DROP TABLE __scans", "rejects");
}

/** The scan itself: nothing is detected, everything is declared. */
function csvTable(scan: CsvScan, path: string): string {
  const { csv, columns } = scan;
  const declared = columns.map(({ name, type }) => `${sqlText(name)}: ${sqlText(type)}`);
  const options = [
    `columns = {${declared.join(", ")}}`,
    "auto_detect = false",
    `header = ${csv.header}`,
    `delim = ${sqlText(csv.delimiter)}`,
    `quote = ${sqlText(csv.quote)}`,
    `escape = ${sqlText(csv.escape)}`,
    `nullstr = ${sqlText(csv.nullString)}`,
    "compression = 'none'",
    `max_line_size = ${limits.lineBytesMax}`,
    `buffer_size = ${limits.scanBufferBytes}`,
    // A quoted line feed may lie where two threads would divide the file.
    `parallel = ${csv.quote === ""}`,
    "store_rejects = true",
    "rejects_table = '__errors'",
    "rejects_scan = '__scans'",
    "rejects_limit = 0",
  ];
  if (csv.timestampFormat !== "") options.push(`timestampformat = ${sqlText(csv.timestampFormat)}`);
  if (csv.dateFormat !== "") options.push(`dateformat = ${sqlText(csv.dateFormat)}`);
  if (csv.decimalSeparator !== "") {
    options.push(`decimal_separator = ${sqlText(csv.decimalSeparator)}`);
  }
  return `read_csv(${sqlText(path)}, ${options.join(", ")})`;
}

/** Always true, but the optimiser cannot know it: a column that nothing reads would not be checked. */
function readsAll(columns: readonly Column[]): string {
  return `${columns.map(({ name }) => `(${sqlName(name)} IS NULL)::INTEGER`).join(" + ")} >= 0`;
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

interface LineSum {
  readonly lines: number;
  readonly rows: number;
  readonly rejects: number;
  readonly blank: number;
}

function assertSum(path: string, sum: LineSum): void {
  if (sum.rows + sum.rejects + sum.blank === sum.lines) return;
  throw fail(
    "internal",
    `file ${path}: ${sum.lines} lines, but ${sum.rows} rows + ${sum.rejects} rejects + ${sum.blank} blank; nothing of it is used`,
    { file: path, ...sum },
  );
}
