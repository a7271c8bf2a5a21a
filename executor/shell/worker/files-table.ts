/**
 * Table `<source>_files`: one row per file of the split, for feed reports. Made from the accounts, never by reading
 * the files again.
 */
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import type { SourceSpec } from "../../../shared/kernel/job.ts";
import { fileTableColumns } from "../../../shared/kernel/plan.ts";
import type { FileAccount } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";

/** Event times of one file's rows; BIGINT texts, null without any. */
export interface FileEvents {
  readonly firstMs: string | null;
  readonly lastMs: string | null;
  /** Rows outside the day. */
  readonly outside: number;
}

/** Rows of one INSERT: keeps the statement's text small. */
const rowsAtOnce = 500;

/** Makes and fills the table. `events` is by index of the file. */
export async function makeFilesTable(
  attempt: Attempt,
  source: SourceSpec,
  accounts: readonly FileAccount[],
  events: ReadonlyMap<number, FileEvents>,
): Promise<void> {
  const table = sqlName(`${source.name}_files`);
  const columns = fileTableColumns.map(({ name, type }) => `${name} ${type}`).join(", ");
  const what = `files of source ${source.name}`;
  await attempt.engine.run(`CREATE TABLE ${table} (${columns})`, what);
  for (let from = 0; from < accounts.length; from += rowsAtOnce) {
    const rows = accounts
      .slice(from, from + rowsAtOnce)
      .map((account, offset) => valuesOf(account, events.get(from + offset)));
    await attempt.engine.run(`INSERT INTO ${table} VALUES ${rows.join(", ")}`, what);
  }
}

function valuesOf(account: FileAccount, events: FileEvents | undefined): string {
  const values: Readonly<Record<string, string>> = {
    file: sqlText(account.file.path),
    bytes: String(account.file.size),
    lines: String(account.lines),
    rows: String(account.rows),
    rejects: String(account.rejects),
    blank: String(account.blank),
    outside_day: String(account.outsideDay),
    first_event_ms: events?.firstMs ?? "NULL",
    last_event_ms: events?.lastMs ?? "NULL",
  };
  return `(${fileTableColumns.map(({ name }) => values[name] ?? "NULL").join(", ")})`;
}
