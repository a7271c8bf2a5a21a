/**
 * What a worker process calls for each attempt: one engine, one temporary folder, one kind of work, and nothing left
 * behind afterwards. It keeps no state between attempts and never retries.
 */
import { realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { openEngine } from "../../../shared/adapters/duckdb.ts";
import { fileError, insideRoot } from "../../../shared/adapters/inputs-files.ts";
import { makeDirs } from "../../../shared/adapters/make-dirs.ts";
import { unreachable } from "../../../shared/kernel/assert.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { AttemptSuccess, Delivery, Work } from "../../../shared/kernel/work.ts";
import { leaveAccount } from "./account.ts";
import type { Attempt, WorkerContext } from "./attempt.ts";
import { cachedDimensions, readablePaths } from "./dimensions.ts";
import { peakMemoryBytes } from "./own-process.ts";
import type { WorkResult } from "./result.ts";
import { runCheck } from "./run-check.ts";
import { runMap } from "./run-map.ts";
import { runReduce } from "./run-reduce.ts";
import { makeStaging } from "./staging.ts";

export type { WorkerContext } from "./attempt.ts";

/** Carries out one attempt. Throws a `DaymillError`; then its files are gone, the temporary and the staged ones. */
export async function runWork(
  work: Work,
  delivery: Delivery,
  context: WorkerContext,
): Promise<AttemptSuccess> {
  const started = performance.now();
  const root = await realRoot(context.root);
  const folder = join(context.tempDir, `attempt-${safeName(delivery.attemptId)}`);
  await makeFolder(folder);
  try {
    if (work.kind !== "check") await makeStaging(root, delivery.stagingDir);
    const cached = await cachedDimensions(context.dimensionDir, work);
    const engine = await openEngine({
      tempDir: folder,
      readable: [...(await readableFiles(work, root)), ...readablePaths(cached)],
      writable: work.kind === "check" ? [] : [join(root, delivery.stagingDir)],
      memoryBytes: context.memoryBytes,
      threads: delivery.lowMemory ? 1 : context.threads,
      timezone: work.timezone,
      ...("logicalTime" in work && work.logicalTime !== undefined
        ? { logicalTime: work.logicalTime }
        : {}),
      diskBacked: delivery.lowMemory,
      signal: context.signal,
    });
    try {
      const result = await carryOut(work, {
        context: { ...context, root },
        delivery,
        engine,
        folder,
        cachedDimensions: cached,
      });
      const done = success(result, performance.now() - started);
      if (work.kind === "map") await leaveAccount(work, delivery, context, done);
      return done;
    } finally {
      engine.close();
    }
  } catch (error) {
    // On a full disk what a failed attempt has staged is in the way of the next one. Its folder is nobody else's.
    await removeStaged(work, join(root, delivery.stagingDir), context);
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function removeStaged(work: Work, staged: string, { log }: WorkerContext): Promise<void> {
  if (work.kind === "check") return;
  try {
    await rm(staged, { recursive: true, force: true });
  } catch (error) {
    log.warn("staged files of a failed attempt stay", { staged, why: String(error) });
  }
}

async function carryOut(work: Work, attempt: Attempt): Promise<WorkResult> {
  switch (work.kind) {
    case "map":
      return await runMap(attempt, work);
    case "reduce":
      return await runReduce(attempt, work);
    case "check":
      return await runCheck(attempt, work);
    default:
      return unreachable(work);
  }
}

/** Attempt ids are ours, but this one becomes a path. */
function safeName(attemptId: string): string {
  if (!/^[A-Za-z0-9._-]{1,200}$/.test(attemptId) || attemptId.startsWith(".")) {
    throw fail("badRequest", "attempt id: must be letters, digits, dots, dashes");
  }
  return attemptId;
}

/** The engine compares paths as texts: one spelling for all. */
async function realRoot(root: string): Promise<string> {
  try {
    return await realpath(root);
  } catch (error) {
    throw fileError(error, root);
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
    await makeDirs(folder, 0o700);
  } catch (error) {
    throw fileError(error, folder);
  }
}

/** Real paths of all files that the work names: the engine may read these and no others. */
async function readableFiles(work: Work, root: string): Promise<readonly string[]> {
  const paths =
    work.kind === "check"
      ? work.files
      : [
          ...(work.kind === "map" ? work.split.files.map(({ path }) => path) : []),
          ...work.dimensions.map(({ file }) => file.path),
        ];
  const real: string[] = [];
  for (const path of paths) real.push(await insideRoot(root, path));
  return real;
}

function success(result: WorkResult, elapsedMs: number): AttemptSuccess {
  const { rowsIn, bytesIn, ...rest } = result;
  const produced = [...result.outputs, ...result.files];
  return {
    kind: "done",
    ...rest,
    counters: {
      rowsIn,
      bytesIn,
      rowsOut: produced.reduce((sum, { rows }) => sum + rows, 0),
      bytesOut: produced.reduce((sum, { bytes }) => sum + bytes, 0),
      elapsedMs: Math.round(elapsedMs),
      peakMemoryBytes: peakMemoryBytes(),
    },
  };
}
