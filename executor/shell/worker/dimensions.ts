/**
 * Small tables that the stage joins, each whole under its own name: read from the executor's cache where an earlier
 * attempt left it, else loaded from its file and left there. A dimension is strict: one bad line is an error, because
 * a missing row of it would change joined rows everywhere.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { openInput } from "../../../shared/adapters/integrity-open.ts";
import { fail, fromUnknown } from "../../../shared/kernel/failure.ts";
import { isDelimited } from "../../../shared/kernel/job.ts";
import type { DimensionInput, FileAccount, Work } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";
import { dimensionKey, findEntry, keepEntry } from "./dimension-cache.ts";
import { rejectsTable } from "./rejects.ts";
import { scanArrow } from "./scan-arrow.ts";
import { scanCsv } from "./scan-csv.ts";
import { scanParquet } from "./scan-parquet.ts";

/** Bad lines named in the message. */
const linesShown = 5;

/** The one table of a cache entry. */
const cachedTable = "dimension";

/**
 * Cache entries of the work's dimensions, by name of the dimension: paths that the engine must be allowed to read.
 * Looked up before the engine is opened, because it is locked to what it is told then.
 */
export async function cachedDimensions(
  folder: string,
  work: Work,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  if (work.kind === "check") return found;
  for (const input of work.dimensions) {
    if (!work.stage.dimensions.includes(input.spec.name)) continue;
    const path = await findEntry(folder, dimensionKey(input, work.timezone));
    if (path !== undefined) found.set(input.spec.name, path);
  }
  return found;
}

/** The engine also asks for the journal that a database file may have beside it. */
export function readablePaths(cached: ReadonlyMap<string, string>): readonly string[] {
  return [...cached.values()].flatMap((path) => [path, `${path}.wal`]);
}

/**
 * Makes one table or view per dimension that the stage reads. Errors: `inputMalformed` naming file, lines and reasons;
 * `inputChanged`, also where the rows are there already.
 */
export async function loadDimensions(
  attempt: Attempt,
  work: Exclude<Work, { kind: "check" }>,
): Promise<void> {
  for (const [index, name] of work.stage.dimensions.entries()) {
    const input = work.dimensions.find(({ spec }) => spec.name === name);
    if (input === undefined) {
      throw fail("internal", `stage reads dimension ${name}, but the work brings no file of it`);
    }
    const database = sqlName(`__dimension_${index}`);
    if (await attachCached(attempt, input, database)) continue;
    await load(attempt, input);
    await keep(attempt, input, dimensionKey(input, work.timezone), database);
  }
}

/** Reads the dimension where it lies in the cache; false when it is not there (any more). */
async function attachCached(
  attempt: Attempt,
  { spec, file }: DimensionInput,
  database: string,
): Promise<boolean> {
  const { engine, context } = attempt;
  const path = attempt.cachedDimensions.get(spec.name);
  if (path === undefined) return false;
  const input = await openInput(context.root, file);
  await input.handle.close();
  const what = `dimension ${spec.name}`;
  try {
    await engine.run(`ATTACH ${sqlText(path)} AS ${database} (READ_ONLY)`, what);
  } catch (error) {
    if (context.signal.aborted) throw error;
    // Removed since it was looked up, to make room for another.
    context.log.debug("a cached dimension is not there any more", { dimension: spec.name });
    return false;
  }
  await engine.run(
    `CREATE VIEW ${sqlName(spec.name)} AS SELECT * FROM ${database}.main.${cachedTable}`,
    what,
  );
  context.log.debug("dimension read from the cache", { dimension: spec.name });
  return true;
}

/** Leaves the loaded rows for later attempts. What goes wrong here costs them time, and this one nothing. */
async function keep(
  attempt: Attempt,
  { spec }: DimensionInput,
  key: string,
  database: string,
): Promise<void> {
  const { engine, context } = attempt;
  const what = `cache of dimension ${spec.name}`;
  const path = join(attempt.folder, "dimension.duckdb");
  try {
    await engine.run(`ATTACH ${sqlText(path)} AS ${database}`, what);
    try {
      await engine.run(
        `CREATE TABLE ${database}.main.${cachedTable} AS SELECT * FROM ${sqlName(spec.name)}`,
        what,
      );
    } finally {
      // Also writes all of it to the file.
      await engine.run(`DETACH ${database}`, what);
    }
    await keepEntry(context.dimensionDir, key, path);
    context.log.debug("dimension loaded from its file", { dimension: spec.name });
  } catch (error) {
    if (context.signal.aborted) throw error;
    const { code, message } = fromUnknown(error);
    context.log.warn("a dimension is not cached", { dimension: spec.name, code, reason: message });
  } finally {
    await rm(path, { force: true });
  }
}

async function load(attempt: Attempt, { spec, file }: DimensionInput): Promise<void> {
  const { engine, context, folder } = attempt;
  const columns = spec.columns.map(({ name, type }) => `${sqlName(name)} ${type}`).join(", ");
  await engine.run(`CREATE TABLE ${sqlName(spec.name)} (${columns})`, `dimension ${spec.name}`);
  const common = {
    engine,
    root: context.root,
    columns: spec.columns,
    table: spec.name,
    signal: context.signal,
  };
  const select = spec.columns.map(({ name }) => sqlName(name));
  const { csv, format } = spec;
  const one = { select: () => select, numberColumn: undefined, singly: true };
  const accounts = isDelimited(format)
    ? await scanCsv({ ...common, ...one, folder, gzip: format === "csv.gz", csv }, [file])
    : [await (format === "arrow" ? scanArrow : scanParquet)({ ...common, file, select })];
  for (const account of accounts) {
    if (account.rejects > 0) throw await refused(attempt, spec.name, account);
  }
}

async function refused(attempt: Attempt, name: string, account: FileAccount): Promise<Error> {
  const rows = await attempt.engine.rows(
    `SELECT line::VARCHAR, reason FROM ${rejectsTable} ORDER BY line LIMIT ${linesShown}`,
    `dimension ${name}`,
  );
  const lines = rows.map(([line, reason]) => `line ${line}: ${reason}`).join("; ");
  return fail(
    "inputMalformed",
    `dimension ${name}: file ${account.file.path} has ${account.rejects} bad lines (${lines}); mend the file`,
    { file: account.file.path, dimension: name },
  );
}
