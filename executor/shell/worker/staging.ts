/**
 * Files of an attempt on shared storage: written by the engine, then made to last. DuckDB never calls fsync, so we do,
 * on the file and its folder; what could not be synced is thrown away, because its pages may already be lost.
 */
import { createHash } from "node:crypto";
import { open, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { fileError } from "../../../shared/adapters/inputs-files.ts";
import { makeDirs } from "../../../shared/adapters/make-dirs.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import type { StagedFile } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";

/** Makes the attempt's staging folder. Errors: `storage…`. */
export async function makeStaging(root: string, stagingDir: string): Promise<void> {
  try {
    await makeDirs(join(root, stagingDir), 0o750);
  } catch (error) {
    throw fileError(error, stagingDir);
  }
}

export interface DatasetOutput {
  readonly model: string;
  readonly sql: string;
  readonly columns: readonly Column[];
  /** Keep the file even if it has no row. */
  readonly keepEmpty: boolean;
}

/** Writes one dataset file, synced and hashed; undefined when there is no row and none is needed. */
export async function stageDataset(
  attempt: Attempt,
  output: DatasetOutput,
): Promise<StagedFile | undefined> {
  const { engine, delivery, context } = attempt;
  const path = `${delivery.stagingDir}/${output.model}-${delivery.task}.parquet`;
  const absolute = join(context.root, path);
  const rows = await engine.run(
    `COPY (SELECT ${castColumns(output.columns)} FROM (${output.sql}))
     TO ${sqlText(absolute)} (FORMAT parquet, COMPRESSION zstd)`,
    `model ${output.model}`,
  );
  if (rows === 0 && !output.keepEmpty) {
    await removed(absolute, path);
    return undefined;
  }
  await secureFile(absolute);
  const { bytes, sha256 } = await digest(absolute, path);
  return { model: output.model, path, rows, bytes, sha256 };
}

/** Select list with explicit types: the schema of a file never depends on what its rows happen to be. */
export function castColumns(columns: readonly Column[]): string {
  return columns
    .map(({ name, type }) => `CAST(${sqlName(name)} AS ${type}) AS ${sqlName(name)}`)
    .join(", ");
}

/** Makes a written file last, and its name. After a failed sync the file is removed. Errors: `storage…`. */
export async function secureFile(absolute: string): Promise<void> {
  try {
    await synced(absolute, "r+");
    await synced(dirname(absolute), "r");
  } catch (error) {
    await unlink(absolute).catch(() => undefined);
    throw fileError(error, absolute);
  }
}

async function synced(path: string, flags: string): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removed(absolute: string, shown: string): Promise<void> {
  try {
    await unlink(absolute);
  } catch (error) {
    throw fileError(error, shown);
  }
}

async function digest(
  absolute: string,
  shown: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  try {
    const handle = await open(absolute, "r");
    try {
      for await (const chunk of handle.createReadStream({ highWaterMark: 1024 * 1024 })) {
        hash.update(chunk as Buffer);
      }
    } finally {
      await handle.close();
    }
    return { bytes: (await stat(absolute)).size, sha256: hash.digest("hex") };
  } catch (error) {
    throw fileError(error, shown);
  }
}
