/** Where a trial takes place: a cluster of its own, in a folder that goes with it unless somebody named it. */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { errorLines } from "../client/exit-codes.ts";
import {
  type LocalCluster,
  type LocalClusterOptions,
  startLocalCluster,
} from "../client/local-cluster.ts";
import { DaymillError } from "../shared/kernel/failure.ts";

/** The exit code: 0 when `trial` says that all was as it should be. `work`: the folder that was named. */
export async function onCluster(
  work: string | undefined,
  shape: Omit<LocalClusterOptions, "work">,
  trial: (cluster: LocalCluster, work: string) => Promise<boolean>,
): Promise<number> {
  const folder = work ?? mkdtempSync(path.join(os.tmpdir(), "daymill-trial-"));
  try {
    const cluster = await startLocalCluster({ work: folder, ...shape });
    try {
      return (await trial(cluster, folder)) ? 0 : 1;
    } finally {
      await cluster.stop();
    }
  } finally {
    if (work === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A trial as a program: its exit code, or 2 with one line for options that are none, whose list heads its source. What
 * Daymill says of a failure is one line, too, with exit code 1; other errors keep their stack.
 */
export async function asProgram(url: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    const isOption = code.startsWith("ERR_PARSE_ARGS");
    const isOurs = error instanceof DaymillError;
    if (!isOption && !isOurs) throw error;
    if (isOurs && error.failure.code !== "badRequest") {
      for (const line of errorLines(error.failure)) process.stderr.write(`${line}\n`);
      process.exitCode = 1;
      return;
    }
    const source = path.basename(fileURLToPath(url)).replace(/js$/, "ts");
    const text = `${(error as Error).message}; options are listed at the head of scripts/${source}`;
    process.stderr.write(`error: ${text}\n`);
    process.exitCode = 2;
  }
}

/** Looks again and again. Not within the bound: an error that says what was waited for. */
export async function until(
  what: string,
  withinMs: number,
  met: () => boolean | Promise<boolean>,
  everyMs = 100,
): Promise<void> {
  const missing = async () => ((await met()) ? "" : what);
  await untilNothing(what, withinMs, missing, everyMs);
}

/** The same where it can be told what is missing still; empty: nothing. */
export async function untilNothing(
  what: string,
  withinMs: number,
  missing: () => string | Promise<string>,
  everyMs = 100,
): Promise<void> {
  const end = performance.now() + withinMs;
  for (let left = await missing(); left !== ""; left = await missing()) {
    if (performance.now() > end) {
      throw new Error(`${what}: not within ${withinMs} ms${left === what ? "" : `: ${left}`}`);
    }
    await pause(everyMs);
  }
}
