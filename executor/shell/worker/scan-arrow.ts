/**
 * One Arrow IPC file or stream into a table, batch by batch: never more of it in memory than one batch and what was
 * loaded since the last statement. Columns are taken by name; a row with a value that does not fit is a reject.
 */
import {
  createColumnReader,
  type LoadedColumn,
  loadedType,
  typeName,
} from "../../../shared/adapters/arrow-columns.ts";
import { type ArrowFile, malformed, openArrowFile } from "../../../shared/adapters/arrow-file.ts";
import type { ArrowField } from "../../../shared/adapters/arrow-metadata.ts";
import { type Loader, openLoader } from "../../../shared/adapters/duckdb-arrow-load.ts";
import { translateDuckDb } from "../../../shared/adapters/duckdb-errors.ts";
import {
  assertUnchanged,
  type OpenInput,
  openInput,
} from "../../../shared/adapters/integrity-open.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileAccount } from "../../../shared/kernel/work.ts";
import {
  type StoredColumn,
  type TypedScan,
  type TypedSums,
  takeRows,
  typedAccount,
} from "./typed-rows.ts";

/** Holds rows as the file has them, until a statement has checked and cast them. */
const loadTable = "__arrow";

/** Appends the rows. `outsideDay` is left 0. Errors: `input…`, `limitExceeded`, `storage…`, `cancelled`. */
export async function scanArrow(scan: TypedScan): Promise<FileAccount> {
  const { file, signal } = scan;
  const input = await openInput(scan.root, file);
  try {
    const arrow = await openArrowFile(input, signal);
    const columns = scan.columns.map((column) => place(input, arrow.fields, column));
    const sums = await readAll(scan, input, arrow, columns);
    await assertUnchanged(input);
    const contentSha256 = arrow.contentSha256();
    return typedAccount(file, sums, { contentSha256, plainBytes: file.size });
  } finally {
    await input.handle.close();
  }
}

async function readAll(
  scan: TypedScan,
  input: OpenInput,
  arrow: ArrowFile,
  columns: readonly LoadedColumn[],
): Promise<TypedSums> {
  const stored = columns.map((column, index) => storedColumn(scan, column, index));
  const reader = createColumnReader(input.fingerprint.path, arrow.fields, columns);
  let sums: TypedSums = { lines: 0, rows: 0, rejects: 0 };
  let loaded = { rows: 0, bytes: 0 };
  let loader: Loader | undefined;
  const flush = async (): Promise<void> => {
    loader?.finish();
    loader = undefined;
    if (loaded.rows > 0) sums = await takeLoaded(scan, stored, loaded.rows, sums);
    loaded = { rows: 0, bytes: 0 };
  };
  try {
    for await (const { header, body } of arrow.messages()) {
      if (header.kind === "dictionary") {
        const { id, delta, batch } = header;
        checked(input, () => reader.learn(id, delta, batch, body));
        continue;
      }
      loader ??= await startLoading(scan, columns);
      const into = loader;
      checked(input, () => {
        for (const batch of reader.read(header.batch, body)) into.append(batch, []);
      });
      loaded = { rows: loaded.rows + header.batch.rows, bytes: loaded.bytes + body.byteLength };
      if (loaded.bytes >= limits.arrowLoadBytesMax) await flush();
    }
    await flush();
    return sums;
  } finally {
    // Also after a failure: an appender that stays open keeps its rows in memory.
    loader?.finish();
  }
}

async function startLoading(scan: TypedScan, columns: readonly LoadedColumn[]): Promise<Loader> {
  const list = columns.map(({ type }, index) => `c${index} ${type}`).join(", ");
  const what = `file ${scan.file.path}`;
  await scan.engine.run(`CREATE OR REPLACE TABLE ${loadTable} (${list})`, what);
  const layouts = columns.map(({ layout }) => layout);
  try {
    return await openLoader(scan.engine.connection, loadTable, layouts);
  } catch (error) {
    throw translateDuckDb(error, what);
  }
}

/** Rows that were loaded since the last time → the scan's table, or rejects. Gives all sums so far. */
async function takeLoaded(
  scan: TypedScan,
  columns: readonly StoredColumn[],
  lines: number,
  before: TypedSums,
): Promise<TypedSums> {
  const number = `${before.lines} + rowid + 1`;
  const taken = await takeRows(scan, { source: loadTable, number, lines }, columns);
  await scan.engine.run(`DROP TABLE ${loadTable}`, `file ${scan.file.path}`);
  return {
    lines: before.lines + lines,
    rows: before.rows + taken.rows,
    rejects: before.rejects + taken.rejects,
  };
}

/** What the bytes of a batch do not allow is a damaged file; an engine's trouble is its own. */
function checked(input: OpenInput, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof RangeError) throw malformed(input, error.message);
    throw translateDuckDb(error, `file ${input.fingerprint.path}`);
  }
}

/** Where a declared column lies in the file. Errors: `inputMalformed` naming the column. */
function place(
  input: OpenInput,
  fields: readonly ArrowField[],
  { name, type }: Column,
): LoadedColumn {
  const named = fields.filter((field) => field.name.toLowerCase() === name.toLowerCase());
  const [field] = named;
  const refuse = (what: string) =>
    fail("inputMalformed", `file ${input.fingerprint.path}: ${what}`, {
      file: input.fingerprint.path,
      column: name,
    });
  if (field === undefined) {
    throw refuse(`no column ${name}; declare the columns as the file has them`);
  }
  if (named.length > 1)
    throw refuse(`${named.length} columns are called ${name}; give each a name`);
  const loaded = loadedType(field);
  if (loaded === undefined) {
    throw refuse(`column ${name} is ${typeName(field)}, which cannot be read; write another type`);
  }
  if (!isCastable(loaded.type, type)) {
    throw refuse(`column ${name} is ${typeName(field)}, which is no ${type}; declare it as it is`);
  }
  const before = fields.slice(0, fields.indexOf(field));
  const sum = (count: (field: ArrowField) => number): number =>
    before.reduce((total, other) => total + count(other), 0);
  return {
    field,
    node: sum(({ nodes }) => nodes),
    buffer: sum(({ buffers }) => buffers),
    views: sum(({ views }) => views),
    ...loaded,
  };
}

/** Texts are read as values, and values written as texts; otherwise both must be of one kind. */
function isCastable(stored: string, declared: string): boolean {
  const [from, to] = [kindOf(stored), kindOf(declared)];
  return from === to || (from === "text" && to !== "bytes") || (to === "text" && from !== "bytes");
}

function kindOf(type: string): "number" | "moment" | "time" | "bytes" | "text" | "boolean" {
  if (type === "DATE" || type.startsWith("TIMESTAMP")) return "moment";
  if (type === "VARCHAR") return "text";
  if (type === "BLOB") return "bytes";
  if (type === "TIME") return "time";
  return type === "BOOLEAN" ? "boolean" : "number";
}

/** A moment with a zone is one of UTC, in whatever unit; one without is a local time, as in other formats. */
function storedColumn(scan: TypedScan, { field, type }: LoadedColumn, index: number): StoredColumn {
  const declared = scan.columns[index];
  if (declared === undefined) throw fail("internal", `no declared column ${index}`);
  const raw = `c${index}`;
  if (field.type.kind !== "timestamp" || !field.type.zoned) {
    return { ...declared, raw, value: raw, stored: type };
  }
  const moment = `TRY_CAST(${raw} AS TIMESTAMP)`;
  // NULL, and so a reject, where digits of nanoseconds would be lost.
  const whole = `CASE WHEN TRY_CAST(${moment} AS ${type}) = ${raw} THEN ${moment} END`;
  const value = `((${whole}) AT TIME ZONE 'UTC')`;
  return { ...declared, raw, value, stored: "TIMESTAMP WITH TIME ZONE" };
}
