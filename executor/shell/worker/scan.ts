/**
 * The files of a split as a relation named like their source: kept columns only, rejects taken out, event-time rule
 * applied. Every row is numbered by its file where a count needs it, so that every count belongs to one file.
 */
import { join } from "node:path";
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { dayOfArranged } from "../../../shared/adapters/store-paths.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import {
  type Column,
  isDelimited,
  type OutsideRule,
  type SourceSpec,
} from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileAccount, FileFingerprint, MapWork } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";
import { type EventSql, eventSql } from "./event-time.ts";
import { type FileEvents, makeFilesTable } from "./files-table.ts";
import { rejectsTable, stagePrivate } from "./rejects.ts";
import { scanArrow } from "./scan-arrow.ts";
import { scanCsv } from "./scan-csv.ts";
import { scanParquet } from "./scan-parquet.ts";

const scanTable = "__scan";
/** Holds the index of the row's file in the split. */
const fileColumn = "__file";

export interface Scanned {
  readonly accounts: readonly FileAccount[];
  /** Staged file of late records, relative to the root. */
  readonly lateFile?: string;
}

/** How the rows of a source lie in the scan table, and what of them the stage may see. */
interface ScanShape {
  readonly source: SourceSpec;
  /** What the stage sees, in its order. */
  readonly seen: readonly Column[];
  /** Those of them that the files have: what the scan table holds. */
  readonly keep: readonly Column[];
  readonly rule: OutsideRule;
  /** Over the columns of the file. */
  readonly inFile: EventSql | undefined;
  /** Over the columns of the scan table. */
  readonly inTable: EventSql | undefined;
  /** Does the scan table tell rows of different files apart? */
  readonly numbered: boolean;
  /** The event-time column, where the stage does not keep it anyway. */
  readonly time: Column | undefined;
}

/** Reads the split: makes view `<source>`, and table `<source>_files` where the stage reads it. */
export async function scanSplit(attempt: Attempt, work: MapWork): Promise<Scanned> {
  const { source, stage, split } = work;
  if (stage.input.kind !== "scan") throw fail("internal", `stage ${stage.id} is no scan`);
  const shape = shapeOf(work, stage.input.keep);
  await createScanTable(attempt, shape);
  let [rows, bytes] = [0, 0];
  const read = await scanFiles(attempt, work, shape, (account) => {
    rows += account.lines;
    bytes += Math.min(account.plainBytes, account.file.size);
    attempt.context.progress(rows, bytes);
  });
  const found =
    shape.inTable === undefined ? new Map() : await eventsByFile(attempt, shape.inTable);
  const accounts = read.map((account, index) => withEvents(account, found.get(index), shape.rule));
  const lateFile = await takeOutside(attempt, split.files, shape.rule);
  await createView(attempt, shape);
  if (stage.input.files) await makeFilesTable(attempt, source, accounts, found);
  return { accounts, ...(lateFile === undefined ? {} : { lateFile }) };
}

function shapeOf(work: MapWork, names: readonly string[]): ScanShape {
  const { source, day } = work;
  const { columns, absent = [] } = source;
  const seen = names.map((name) => declared(source, name, [...columns, ...absent]));
  const keep = seen.filter((column) => columns.includes(column));
  const name = source.eventTime?.column;
  const inFile = name === undefined ? undefined : eventSql(source, day, sqlName(name));
  if (name === undefined || inFile === undefined) {
    const numbered = isDelimited(source.format) && work.split.files.length > 1;
    const untimed = {
      rule: "keep",
      inFile: undefined,
      inTable: undefined,
      time: undefined,
    } as const;
    return { source, seen, keep, numbered, ...untimed };
  }
  const kept = names.includes(name);
  return {
    source,
    seen,
    keep,
    rule: source.eventTime?.outside ?? "keep",
    inFile,
    numbered: true,
    inTable: kept ? inFile : eventSql(source, day, "__time"),
    time: kept ? undefined : declared(source, name, columns),
  };
}

function declared(source: SourceSpec, name: string, among: readonly Column[]): Column {
  const column = among.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw fail("internal", `source ${source.name}: column ${name} is not declared`);
}

/**
 * Beside the kept columns: `__file` for what is counted by file, `__time` for event times, `__outside` for rows that leave,
 * `__row` so that a table of no columns still has rows.
 */
async function createScanTable(attempt: Attempt, shape: ScanShape): Promise<void> {
  const { source, keep, rule, time } = shape;
  const list = keep.map(({ name, type }) => `${sqlName(name)} ${type}`);
  if (shape.numbered) list.push(`${fileColumn} INTEGER`);
  if (time !== undefined) list.push(`__time ${time.type}`);
  if (rule === "reject") list.push("__outside VARCHAR");
  if (rule === "late_table") {
    const members = source.columns.map(({ name, type }) => `${sqlName(name)} ${type}`);
    list.push(`__outside STRUCT(${members.join(", ")})`);
  }
  if (list.length === 0) list.push("__row BOOLEAN");
  await attempt.engine.run(
    `CREATE TABLE ${scanTable} (${list.join(", ")})`,
    `source ${source.name}`,
  );
}

/** `file`: SQL for the index of the row's file. */
function selectList(shape: ScanShape, file: string): readonly string[] {
  const { source, keep, rule, time, inFile, numbered } = shape;
  const list = keep.map(({ name }) => sqlName(name));
  if (numbered) list.push(file);
  if (time !== undefined) list.push(sqlName(time.name));
  const all = source.columns.map(({ name }) => sqlName(name));
  if (inFile !== undefined && rule === "reject") {
    const texts = all.map((name) => `coalesce(${name}::VARCHAR, '')`);
    const line = texts.join(` || ${sqlText(source.csv.delimiter)} || `);
    list.push(`CASE WHEN ${inFile.outside} THEN left(${line}, ${limits.rejectLineBytesKept}) END`);
  }
  if (inFile !== undefined && rule === "late_table") {
    const members = all.map((name) => `${name} := ${name}`);
    list.push(`CASE WHEN ${inFile.outside} THEN struct_pack(${members.join(", ")}) END`);
  }
  return list.length === 0 ? ["true"] : list;
}

/** `done` is told every account as soon as it is there. */
async function scanFiles(
  attempt: Attempt,
  work: MapWork,
  shape: ScanShape,
  done: (account: FileAccount) => void,
): Promise<readonly FileAccount[]> {
  const { source, split } = work;
  const { engine, context, folder } = attempt;
  const { csv, columns } = source;
  const { root, signal } = context;
  const common = { engine, root, columns, table: scanTable, signal };
  if (split.rows !== undefined && source.format !== "parquet") {
    throw fail("internal", `source ${source.name}: a row range needs Parquet files`);
  }
  if (isDelimited(source.format)) {
    const select = (file: string): readonly string[] => selectList(shape, file);
    const numberColumn = shape.numbered ? fileColumn : undefined;
    const gzip = source.format === "csv.gz";
    const singly = attempt.delivery.lowMemory;
    const scan = { ...common, folder, gzip, csv, select, numberColumn, singly };
    return await scanCsv(scan, split.files, done);
  }
  const rows = split.rows === undefined ? {} : { rows: split.rows };
  const accounts: FileAccount[] = [];
  for (const [index, file] of split.files.entries()) {
    const select = selectList(shape, String(index));
    const account =
      source.format === "arrow"
        ? await scanArrow({ ...common, file, select })
        : await scanParquet({ ...common, ...rows, ...ofDay(source, file), file, select });
    accounts.push(account);
    done(account);
  }
  return accounts;
}

function ofDay({ history }: SourceSpec, { path }: FileFingerprint) {
  if (history === undefined) return {};
  return { ofDay: { day: dayOfArranged(path), isLenient: history.isOwn } };
}

async function eventsByFile(attempt: Attempt, events: EventSql): Promise<Map<number, FileEvents>> {
  const rows = await attempt.engine.rows(
    `SELECT __file::VARCHAR, min(ms)::VARCHAR, max(ms)::VARCHAR, count(*) FILTER (outside)::VARCHAR
     FROM (SELECT __file, ${events.milliseconds} AS ms, ${events.outside} AS outside FROM ${scanTable})
     GROUP BY __file`,
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
  if (rule === "keep" || files.length === 0) return undefined;
  const { engine, context, delivery } = attempt;
  const names = files.map(({ path }) => sqlText(path)).join(", ");
  const file = `([${names}])[__file + 1]`;
  if (rule === "reject") {
    await engine.run(
      `INSERT INTO ${rejectsTable}
       SELECT ${file}, NULL, 'event time outside the day', __outside FROM ${scanTable} WHERE __outside IS NOT NULL`,
      "event times",
    );
    return undefined;
  }
  const [count] = await engine.rows(
    `SELECT count(*)::VARCHAR FROM ${scanTable} WHERE __outside IS NOT NULL`,
    "event times",
  );
  if (count?.[0] === "0") return undefined;
  const path = `${delivery.stagingDir}/_late-${delivery.task}.parquet`;
  await stagePrivate(
    attempt,
    join(context.root, path),
    `SELECT ${file} AS __source_file, unnest(__outside) FROM ${scanTable} WHERE __outside IS NOT NULL`,
    "writing the file of late records",
  );
  return path;
}

async function createView(attempt: Attempt, shape: ScanShape): Promise<void> {
  const { source, seen, keep, rule } = shape;
  const columns = seen.map((column) => {
    const name = sqlName(column.name);
    return keep.includes(column) ? name : `CAST(NULL AS ${column.type}) AS ${name}`;
  });
  const list = columns.length === 0 ? "true AS __row" : columns.join(", ");
  const filter = rule === "keep" ? "" : " WHERE __outside IS NULL";
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
