/**
 * The files of a split as a relation named like their source: kept columns only, rejects taken out, event-time rule
 * applied. Files are read one after the other, so that every count belongs to one file.
 */
import { join } from "node:path";
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column, OutsideRule, SourceSpec } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileAccount, FileFingerprint, MapWork } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";
import { type EventSql, eventSql } from "./event-time.ts";
import { type FileEvents, makeFilesTable } from "./files-table.ts";
import { rejectsTable, stagePrivate } from "./rejects.ts";
import { scanCsv } from "./scan-csv.ts";
import { scanParquet } from "./scan-parquet.ts";

const scanTable = "__scan";

export interface Scanned {
  readonly accounts: readonly FileAccount[];
  /** Staged file of late records, relative to the root. */
  readonly lateFile?: string;
}

/** Reads the split: makes view `<source>`, and table `<source>_files` where the stage reads it. */
export async function scanSplit(attempt: Attempt, work: MapWork): Promise<Scanned> {
  const { source, stage, split } = work;
  if (stage.input.kind !== "scan") throw fail("internal", `stage ${stage.id} is no scan`);
  const events = eventSql(source, work.day);
  const rule = events === undefined ? "keep" : (source.eventTime?.outside ?? "keep");
  const keep = keptColumns(source, stage.input.keep);
  await createScanTable(attempt, source, keep, events, rule);
  const read: FileAccount[] = [];
  let [rows, bytes] = [0, 0];
  for (const [index, file] of split.files.entries()) {
    const select = selectList(source, keep, events, rule, index);
    const account = await scanFile(attempt, work, file, select);
    read.push(account);
    rows += account.lines;
    bytes += Math.min(account.plainBytes, file.size);
    attempt.context.progress(rows, bytes);
  }
  const found = events === undefined ? new Map() : await eventsByFile(attempt);
  const accounts = read.map((account, index) => withEvents(account, found.get(index), rule));
  const lateFile = await takeOutside(attempt, split.files, rule);
  await createView(attempt, source, keep, rule);
  if (stage.input.files) await makeFilesTable(attempt, source, accounts, found);
  return { accounts, ...(lateFile === undefined ? {} : { lateFile }) };
}

function keptColumns(source: SourceSpec, keep: readonly string[]): readonly Column[] {
  return keep.map((name) => {
    const column = source.columns.find((candidate) => candidate.name === name);
    if (column === undefined) {
      throw fail("internal", `source ${source.name}: kept column ${name} is not declared`);
    }
    return column;
  });
}

/**
 * Beside the kept columns: `__file` and `__ms` for the accounts of event time, `__outside` for rows that leave,
 * `__row` so that a table of no columns still has rows.
 */
async function createScanTable(
  attempt: Attempt,
  source: SourceSpec,
  keep: readonly Column[],
  events: EventSql | undefined,
  rule: OutsideRule,
): Promise<void> {
  const columns = keep.map(({ name, type }) => `${sqlName(name)} ${type}`);
  if (events !== undefined) columns.push("__file INTEGER", "__ms BIGINT", "__late BOOLEAN");
  if (rule === "reject") columns.push("__outside VARCHAR");
  if (rule === "late_table") columns.push(`__outside STRUCT(${structOf(source)})`);
  if (columns.length === 0) columns.push("__row BOOLEAN");
  await attempt.engine.run(
    `CREATE TABLE ${scanTable} (${columns.join(", ")})`,
    `source ${source.name}`,
  );
}

function structOf(source: SourceSpec): string {
  return source.columns.map(({ name, type }) => `${sqlName(name)} ${type}`).join(", ");
}

function selectList(
  source: SourceSpec,
  keep: readonly Column[],
  events: EventSql | undefined,
  rule: OutsideRule,
  index: number,
): readonly string[] {
  const list = keep.map(({ name }) => sqlName(name));
  if (events !== undefined) list.push(String(index), events.milliseconds, events.outside);
  const all = source.columns.map(({ name }) => sqlName(name));
  if (events !== undefined && rule === "reject") {
    const texts = all.map((name) => `coalesce(${name}::VARCHAR, '')`);
    const line = texts.join(` || ${sqlText(source.csv.delimiter)} || `);
    list.push(`CASE WHEN ${events.outside} THEN left(${line}, ${limits.rejectLineBytesKept}) END`);
  }
  if (events !== undefined && rule === "late_table") {
    const members = all.map((name) => `${name} := ${name}`);
    list.push(`CASE WHEN ${events.outside} THEN struct_pack(${members.join(", ")}) END`);
  }
  return list.length === 0 ? ["true"] : list;
}

async function scanFile(
  attempt: Attempt,
  work: MapWork,
  file: FileFingerprint,
  select: readonly string[],
): Promise<FileAccount> {
  const { source, split } = work;
  const { engine, context, folder } = attempt;
  const common = {
    engine,
    root: context.root,
    file,
    columns: source.columns,
    table: scanTable,
    select,
    signal: context.signal,
  };
  if (source.format === "parquet") {
    return await scanParquet(split.rows === undefined ? common : { ...common, rows: split.rows });
  }
  if (split.rows !== undefined) {
    throw fail("internal", `source ${source.name}: a row range needs Parquet files`);
  }
  return await scanCsv({ ...common, folder, gzip: source.format === "csv.gz", csv: source.csv });
}

async function eventsByFile(attempt: Attempt): Promise<Map<number, FileEvents>> {
  const rows = await attempt.engine.rows(
    `SELECT __file::VARCHAR, min(__ms)::VARCHAR, max(__ms)::VARCHAR,
       count(*) FILTER (__late)::VARCHAR FROM ${scanTable} GROUP BY __file`,
    "event times",
  );
  return new Map(
    rows.map(([index, first, last, outside]) => [
      Number(index),
      { firstMs: first ?? null, lastMs: last ?? null, outside: Number(outside) },
    ]),
  );
}

/** Rows that the rule rejects leave the rows of their file; late rows stay counted as rows. */
function withEvents(
  account: FileAccount,
  events: FileEvents | undefined,
  rule: OutsideRule,
): FileAccount {
  const outsideDay = events?.outside ?? 0;
  if (rule !== "reject") return { ...account, outsideDay };
  return {
    ...account,
    outsideDay,
    rows: account.rows - outsideDay,
    rejects: account.rejects + outsideDay,
  };
}

/** Brings rows outside the day to where the rule wants them; gives the staged file of late rows. */
async function takeOutside(
  attempt: Attempt,
  files: readonly FileFingerprint[],
  rule: OutsideRule,
): Promise<string | undefined> {
  if (rule === "keep") return undefined;
  const { engine, context, delivery } = attempt;
  const names = files.map(({ path }) => sqlText(path)).join(", ");
  const file = `([${names}])[__file + 1]`;
  if (rule === "reject") {
    await engine.run(
      `INSERT INTO ${rejectsTable}
       SELECT ${file}, NULL, 'event time outside the day', __outside FROM ${scanTable} WHERE __late`,
      "event times",
    );
    return undefined;
  }
  const [count] = await engine.rows(
    `SELECT count(*)::VARCHAR FROM ${scanTable} WHERE __late`,
    "event times",
  );
  if (count?.[0] === "0") return undefined;
  const path = `${delivery.stagingDir}/_late-${delivery.task}.parquet`;
  await stagePrivate(
    attempt,
    join(context.root, path),
    `SELECT ${file} AS __source_file, unnest(__outside) FROM ${scanTable} WHERE __late`,
  );
  return path;
}

async function createView(
  attempt: Attempt,
  source: SourceSpec,
  keep: readonly Column[],
  rule: OutsideRule,
): Promise<void> {
  const list =
    keep.length === 0 ? "true AS __row" : keep.map(({ name }) => sqlName(name)).join(", ");
  const filter = rule === "keep" ? "" : " WHERE NOT __late";
  await attempt.engine.run(
    `CREATE VIEW ${sqlName(source.name)} AS SELECT ${list} FROM ${scanTable}${filter}`,
    `source ${source.name}`,
  );
}

/** Frees the rows of the split once nothing reads them any more. */
export async function dropScan(attempt: Attempt, source: SourceSpec): Promise<void> {
  await attempt.engine.run(`DROP VIEW ${sqlName(source.name)}`, `source ${source.name}`);
  await attempt.engine.run(`DROP TABLE ${scanTable}`, `source ${source.name}`);
}
