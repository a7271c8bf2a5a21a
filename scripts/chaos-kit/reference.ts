/**
 * The second opinion: test/reference as a process of its own, plain DuckDB over the raw files.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../shared/adapters/project.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { World } from "./world.ts";

interface Compared {
  readonly dataset: string;
  readonly equal: boolean;
  readonly firstDifference?: unknown;
}

/** How many datasets were compared and how those that differ do. Could not compare: `internal`. */
export async function compareWithReference(
  world: Pick<World, "work" | "root" | "day" | "stopSignal"> & {
    readonly job: Pick<World["job"], "spec">;
  },
): Promise<{ readonly compared: number; readonly differences: readonly string[] }> {
  const job = join(world.work, "job.json");
  writeFileSync(job, JSON.stringify(world.job.spec));
  const program = join(projectRoot(), "test/reference/reference.mjs");
  const args = [program, "--job", job, "--root", world.root, "--day", world.day];
  const output = await run(args, world.stopSignal);
  const lines = output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Compared);
  if (lines.length === 0) throw fail("internal", "the reference compared nothing");
  const differences = lines
    .filter(({ equal }) => !equal)
    .map(({ dataset, firstDifference }) => `${dataset}: ${JSON.stringify(firstDifference)}`);
  return { compared: lines.length, differences };
}

/** Its standard output; exit code 1 (some difference) is an answer. */
function run(args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { signal, maxBuffer: 16 * 1024 * 1024, timeout: 120_000 };
    execFile(process.execPath, [...args], options, (error, stdout, stderr) => {
      if (error === null || error.code === 1) resolve(stdout);
      else if (signal.aborted) reject(fail("cancelled", "interrupted"));
      else reject(fail("internal", `the reference failed: ${stderr.trim() || error.message}`));
    });
  });
}
