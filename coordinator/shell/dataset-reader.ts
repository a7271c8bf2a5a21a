/**
 * Rows of one committed dataset day as pieces of an Arrow IPC stream, read from the real paths in its manifest: links
 * may move while we read, those files don't. One locked-down engine for each read, gone afterwards.
 */
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEngine, sqlName, sqlText } from "../../shared/adapters/duckdb.ts";
import { translateDuckDb } from "../../shared/adapters/duckdb-errors.ts";
import { DaymillError, fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { ManifestDataset } from "../../shared/kernel/manifest.ts";

export interface DatasetRead {
  /** Absolute storage root. */
  readonly root: string;
  readonly dataset: ManifestDataset;
  /** 0 = all rows. */
  readonly limit: number;
  /** A column, optionally followed by ` DESC` or ` ASC`; empty = stored order. */
  readonly orderBy: string;
  readonly signal: AbortSignal;
}

/** A file of the dataset is not there: removed by retention, or by somebody. */
export class FileGone extends Error {
  readonly path: string;
  constructor(path: string) {
    super(`${path} is gone`);
    this.path = path;
  }
}

/**
 * Pieces of at most `limits.readReplyBytesMax`. Errors: `FileGone`, `badRequest` for the order, storage and engine codes.
 */
export async function* readDataset(read: DatasetRead): AsyncGenerator<Uint8Array> {
  const sql = datasetSql(read);
  await checkFiles(read);
  const tempDir = await mkdtemp(join(tmpdir(), "daymill-read-"));
  try {
    const engine = await openEngine({
      tempDir,
      readable: read.dataset.files.map((file) => join(read.root, file.path)),
      writable: [],
      memoryBytes: limits.readMemoryBytes,
      threads: 1,
      timezone: "UTC",
      diskBacked: false,
      signal: read.signal,
    });
    try {
      // Only whoever reads rows needs Arrow's library: a coordinator starts in half the time without it.
      const { encodeQuery } = await import("../../shared/adapters/duckdb-arrow.ts");
      for await (const piece of encodeQuery(engine.connection, sql, { signal: read.signal })) {
        for (let from = 0; from < piece.length; from += limits.readReplyBytesMax) {
          yield piece.subarray(from, from + limits.readReplyBytesMax);
        }
      }
    } catch (error) {
      if (error instanceof DaymillError) throw error;
      // Removed while it was read: the engine's own words would not say so.
      await checkFiles(read);
      throw translateDuckDb(error, `reading dataset ${read.dataset.dataset}`);
    } finally {
      engine.close();
    }
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
}

async function checkFiles({ root, dataset }: DatasetRead): Promise<void> {
  for (const { path } of dataset.files) {
    try {
      await access(join(root, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw new FileGone(path);
    }
  }
}

/** The SELECT: declared columns with their declared types, whatever single files say. */
export function datasetSql(read: Pick<DatasetRead, "root" | "dataset" | "limit" | "orderBy">) {
  const { dataset, limit, root } = read;
  const order = orderClause(read.orderBy, dataset);
  const rows = limit === 0 ? "" : ` LIMIT ${limit}`;
  if (dataset.files.length === 0) {
    const nulls = dataset.columns.map((c) => `CAST(NULL AS ${c.type}) AS ${sqlName(c.name)}`);
    return `SELECT ${nulls.join(", ")} WHERE false`;
  }
  const columns = dataset.columns.map(
    ({ name, type }) => `CAST(${sqlName(name)} AS ${type}) AS ${sqlName(name)}`,
  );
  const paths = dataset.files.map((file) => sqlText(join(root, file.path))).join(", ");
  const from = `read_parquet([${paths}], hive_partitioning = false)`;
  return `SELECT ${columns.join(", ")} FROM ${from}${order}${rows}`;
}

function orderClause(orderBy: string, dataset: ManifestDataset): string {
  if (orderBy.trim() === "") return "";
  const match = /^(.*?)(?:\s+(asc|desc))?$/i.exec(orderBy.trim());
  const column = dataset.columns.find(({ name }) => name === match?.[1]);
  if (column !== undefined) {
    return ` ORDER BY ${sqlName(column.name)} ${match?.[2]?.toUpperCase() ?? "ASC"} NULLS LAST`;
  }
  const known = dataset.columns.map(({ name }) => name).join(", ");
  throw fail(
    "badRequest",
    `cannot order ${dataset.dataset} by ${JSON.stringify(orderBy)}; name one of its columns ` +
      `(${known}), with DESC after it if wanted`,
  );
}
