/**
 * Lines that did not become rows: one table while the attempt runs, one staged file (mode 0600) at its end.
 * A line counts once, however many of its columns are wrong. Raw lines go nowhere else: not to logs, not to messages.
 */
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, sqlText } from "../../../shared/adapters/duckdb.ts";
import { fileError } from "../../../shared/adapters/inputs-files.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Attempt } from "./attempt.ts";
import { noteTables } from "./csv-table.ts";
import { secureFile } from "./staging.ts";

/** Reserved: no source, model or dimension may have this name. */
export const rejectsTable = "__rejects";

/** Makes the empty table (file, line, reason, raw). */
export async function openRejects(engine: Engine): Promise<void> {
  await engine.run(
    `CREATE TABLE ${rejectsTable} (file VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR)`,
    "rejects",
  );
}

/** What one reading of a file's block noted, and the lines that the engine never got. */
export interface NotedLines {
  /** Path for people, relative to the storage root. */
  readonly file: string;
  /** Lines of the file before the block. */
  readonly before: number;
  /** Newline-delimited JSON of the integrity pass: those lines are taken over by `collectDefects`. */
  readonly defectsPath: string | undefined;
}

/** Column trouble is told by its kind; the wrong number of columns explains the other errors of a line. */
const reason = `CASE error_type
  WHEN 'MISSING COLUMNS' THEN 'too few columns'
  WHEN 'TOO MANY COLUMNS' THEN 'too many columns'
  WHEN 'CAST' THEN 'value does not fit column ' || coalesce(column_name, '?')
  WHEN 'UNQUOTED VALUE' THEN 'quote not closed'
  WHEN 'LINE SIZE OVER MAXIMUM' THEN 'line too long'
  WHEN 'INVALID ENCODING' THEN 'not UTF-8'
  ELSE lower(error_type) END`;
const rank = "(CASE WHEN error_type LIKE '%COLUMNS' THEN 0 ELSE 1 END, coalesce(byte_position, 0))";

/** Takes over what the engine noted; gives the number of lines. */
export async function collectRejects(engine: Engine, noted: NotedLines): Promise<number> {
  const { file, before, defectsPath } = noted;
  const known =
    defectsPath === undefined
      ? ""
      : `WHERE line + ${before} NOT IN (SELECT line FROM ${defectsTable(defectsPath)})`;
  return await engine.run(
    `INSERT INTO ${rejectsTable}
     SELECT ${sqlText(file)}, line + ${before}, arg_min(${reason}, ${rank}),
       left(ltrim(any_value(csv_line), chr(10) || chr(13)), ${limits.rejectLineBytesKept})
     FROM ${noteTables[0]} ${known} GROUP BY line`,
    `rejects of ${file}`,
  );
}

/** Takes over the lines that the integrity pass took out; gives their number. */
export async function collectDefects(
  engine: Engine,
  file: string,
  defectsPath: string,
): Promise<number> {
  return await engine.run(
    `INSERT INTO ${rejectsTable}
     SELECT ${sqlText(file)}, line, defect, raw FROM ${defectsTable(defectsPath)}`,
    `rejects of ${file}`,
  );
}

function defectsTable(path: string): string {
  return `read_json(${sqlText(path)}, format = 'newline_delimited',
    columns = {'line': 'BIGINT', 'defect': 'VARCHAR', 'raw': 'VARCHAR'})`;
}

/** Writes the rejects file; undefined when no line was rejected. Gives its path relative to the root. */
export async function stageRejects(attempt: Attempt): Promise<string | undefined> {
  const { engine, delivery, context } = attempt;
  const [row] = await engine.rows(`SELECT count(*)::VARCHAR FROM ${rejectsTable}`, "rejects");
  if (row?.[0] === "0") return undefined;
  const path = `${delivery.stagingDir}/_rejects-${delivery.task}.parquet`;
  await stagePrivate(
    attempt,
    join(context.root, path),
    `SELECT * FROM ${rejectsTable} ORDER BY file, line NULLS LAST, raw`,
    "writing the rejects file",
  );
  return path;
}

/**
 * Writes rows with subscriber data: nobody but the owner may read the file, from its first byte on. `what` names it in
 * errors, which are `storage…` and the engine's.
 */
export async function stagePrivate(
  attempt: Attempt,
  path: string,
  sql: string,
  what: string,
): Promise<void> {
  const before = process.umask(0o077);
  try {
    await attempt.engine.run(
      `COPY (${sql}) TO ${sqlText(path)} (FORMAT parquet, COMPRESSION zstd)`,
      what,
    );
    await chmod(path, 0o600);
  } catch (error) {
    throw fileError(error, path);
  } finally {
    process.umask(before);
  }
  await secureFile(path);
}
