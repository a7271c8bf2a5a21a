/**
 * One DuckDB engine per attempt: opened, locked down, bounded and thrown away. It reads only the files it was told
 * of and writes only where it was told to; after the lock no SQL can change that. It decides nothing about data.
 */
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import { translateDuckDb } from "./duckdb-errors.ts";
import { makeDirs } from "./make-dirs.ts";
import { storageFailure } from "./store-files.ts";

export type { DuckDBConnection } from "@duckdb/node-api";

export interface EngineOptions {
  /** The attempt's own folder, absolute: spill files, unpacked inputs. Made if missing. */
  readonly tempDir: string;
  /** Files that may be read, absolute. */
  readonly readable: readonly string[];
  /** Folders that may be read and written, absolute. */
  readonly writable: readonly string[];
  /** What the whole worker may use; the engine gets `limits.engineMemoryShare…` of it. */
  readonly memoryBytes: number;
  readonly threads: number;
  /** IANA zone of the job. */
  readonly timezone: string;
  /** ISO time that `now()` stands for, where the SQL uses it. */
  readonly logicalTime?: string;
  /** After out-of-memory: tables in a database file instead of memory that spills, and a larger share of the memory. */
  readonly diskBacked: boolean;
  readonly signal: AbortSignal;
}

/** A value of a result as text, or null. */
export type Cell = string | null;

export interface Engine {
  /** For the exchange, which moves column buffers. */
  readonly connection: DuckDBConnection;
  /** Runs one statement; gives the rows it changed or wrote. `what` names it in errors. */
  run(sql: string, what: string): Promise<number>;
  /** Runs a SELECT with a small result; every value as text (cast in SQL where the form matters). */
  rows(sql: string, what: string): Promise<readonly (readonly Cell[])[]>;
  /** Interrupts what runs and frees everything. Safe to call twice. */
  close(): void;
}

/**
 * Opens and locks an engine. Aborting the signal interrupts the running statement (`cancelled`).
 * Errors: `storageFull`, `storageDenied` … for the temporary folder; `jobInvalid` for an unknown time zone.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const spill = join(options.tempDir, "spill");
  await makeDirs(spill).catch((error: unknown) => {
    throw storageFailure(error, "make the folder", spill);
  });
  const place = options.diskBacked ? join(options.tempDir, "work.db") : ":memory:";
  let instance: DuckDBInstance;
  let connection: DuckDBConnection;
  try {
    instance = await DuckDBInstance.create(place, { threads: String(options.threads) });
    connection = await instance.connect();
  } catch (error) {
    throw translateDuckDb(error, "opening the engine");
  }
  const engine = wrap(instance, connection, options.signal);
  try {
    for (const statement of lockDown(options, spill)) await engine.run(statement, "engine setting");
  } catch (error) {
    engine.close();
    if (error instanceof Error && /time ?zone/i.test(error.message)) {
      throw fail(
        "jobInvalid",
        `timezone: ${options.timezone} is not a known IANA zone; write one such as Asia/Kolkata`,
      );
    }
    throw error;
  }
  return engine;
}

/** The order matters: after external access is off, folders can no longer be added; after the lock, nothing can. */
function lockDown(options: EngineOptions, spill: string): readonly string[] {
  const share = options.diskBacked ? limits.engineMemoryShareRetry : limits.engineMemoryShare;
  const memoryMiB = Math.floor((options.memoryBytes * share) / (1024 * 1024));
  const folders = [options.tempDir, ...options.writable];
  const statements = [
    `SET temp_directory = ${sqlText(spill)}`,
    `SET allowed_directories = [${folders.map(sqlText).join(", ")}]`,
    `SET allowed_paths = [${options.readable.map(sqlText).join(", ")}]`,
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    `SET memory_limit = '${memoryMiB}MiB'`,
    `SET threads = ${options.threads}`,
    "SET preserve_insertion_order = false",
    `SET TimeZone = ${sqlText(options.timezone)}`,
    "SET enable_external_access = false",
    "SET lock_configuration = true",
  ];
  if (options.logicalTime !== undefined) {
    statements.push(
      `SET VARIABLE logical_time = CAST(${sqlText(options.logicalTime)} AS TIMESTAMPTZ)`,
    );
  }
  return statements;
}

function wrap(instance: DuckDBInstance, connection: DuckDBConnection, signal: AbortSignal): Engine {
  let closed = false;
  const interrupt = (): void => {
    if (!closed) connection.interrupt();
  };
  signal.addEventListener("abort", interrupt);
  const guard = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    if (signal.aborted) throw fail("cancelled", `${what}: cancelled`);
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw fail("cancelled", `${what}: cancelled`, undefined, error);
      throw translateDuckDb(error, what);
    }
  };
  return {
    connection,
    run: (sql, what) => guard(what, async () => (await connection.run(sql)).rowsChanged),
    rows: (sql, what) =>
      guard(what, async () => {
        const reader = await connection.runAndReadAll(sql);
        return reader.getRowsJson().map((row) => row.map(cellText));
      }),
    close: () => {
      if (closed) return;
      closed = true;
      signal.removeEventListener("abort", interrupt);
      connection.closeSync();
      instance.closeSync();
    },
  };
}

function cellText(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A text as an SQL literal. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as an SQL identifier. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
