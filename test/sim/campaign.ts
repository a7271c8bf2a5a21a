/**
 * What each half of the seeds demands of its share: no failure, nothing left uncovered, enough takeovers. The compiled
 * program does it: it takes a quarter of the time less than the test runner's own form of the code.
 * A seed's history changes with the code: which of two thousand cells chance leaves out, if any, does too. Then a few
 * seeds more have to meet it.
 */
import { execFile } from "node:child_process";
import { setPriority } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { projectRoot } from "../../shared/adapters/project.ts";

const moreMax = 50;
/** Niceness of the program: other tests have workers of lower priority, too, and those go first as well. */
const givesWay = 19;

/** Runs seeds `from` … `from + seeds - 1` and prints the report. */
export async function proves(from: number, seeds: number, takeovers: number): Promise<void> {
  const program = join(projectRoot(), "dist/scripts/sim.js");
  const numbers = Object.entries({ from, seeds, takeovers, more: moreMax });
  const options = numbers.flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { code, output } = await run(["--enable-source-maps", program, ...options]);
  console.log(output);
  const wrong = output.split("\n").filter((line) => /^(seed|not covered|too few)/.test(line));
  expect(wrong).toEqual([]);
  const [, done = "0"] = /^(\d+) seeds, /m.exec(output) ?? [];
  expect(Number(done)).toBeGreaterThanOrEqual(seeds);
  expect(code).toBe(0);
}

function run(args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...args],
      { maxBuffer: 64 * 1024 * 1024 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
    if (child.pid !== undefined) setPriority(child.pid, givesWay);
  });
}
