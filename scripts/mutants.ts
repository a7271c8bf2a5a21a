/**
 * Do the tests notice? Puts one bug at a time into a copy of the sources and runs the tests that must catch it.
 *
 *   npm run mutants                  all; exit 1 when one survives
 *   npm run mutants -- --only NAME   one; given several times, several
 *   npm run mutants -- --list        what there is
 *
 * A mutant counts as caught only when a test ran and failed: sources that don't load, or hang, prove nothing.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "../shared/adapters/project.ts";
import { type Mutant, mutants } from "./mutant-list.ts";
import { asProgram } from "./trial-bed.ts";

/** One mutant's tests take seconds; the whole list without a mutant a little longer. */
const testsWithinMs = 180_000;
const baselineWithinMs = 600_000;

interface Verdict {
  readonly passed: number;
  /** File and name of each failed test. */
  readonly failed: readonly string[];
  readonly isFinished: boolean;
}

/** The files that git knows or would take, with the packages of this checkout. */
function copySources(): string {
  const root = projectRoot();
  const copy = mkdtempSync(path.join(os.tmpdir(), "daymill-mutants-"));
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of listed.split("\n").filter((line) => line !== "")) {
    cpSync(path.join(root, file), path.join(copy, file), { recursive: true });
  }
  for (const shared of ["node_modules", "dist"]) {
    symlinkSync(path.join(root, shared), path.join(copy, shared));
  }
  mkdirSync(path.join(copy, ".cache"));
  return copy;
}

async function runTests(
  copy: string,
  tests: readonly string[],
  only: string | undefined,
  withinMs: number,
): Promise<Verdict> {
  const report = path.join(copy, ".cache/mutant.json");
  rmSync(report, { force: true });
  const vitest = path.join(copy, "node_modules/vitest/vitest.mjs");
  const filter = only === undefined ? [] : ["-t", only];
  const to = ["--reporter=json", `--outputFile=${report}`];
  const child = spawn(process.execPath, [vitest, "run", ...tests, ...filter, ...to], {
    cwd: copy,
    stdio: "ignore",
    detached: true,
  });
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), withinMs);
  await new Promise((resolve) => child.once("exit", resolve));
  clearTimeout(timer);
  return readReport(copy, report);
}

function readReport(copy: string, report: string): Verdict {
  let text: string;
  try {
    text = readFileSync(report, "utf8");
  } catch {
    return { passed: 0, failed: [], isFinished: false };
  }
  const { numPassedTests, testResults } = JSON.parse(text) as {
    numPassedTests: number;
    testResults: {
      name: string;
      assertionResults: { status: string; fullName: string }[];
    }[];
  };
  const failed = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === "failed")
      .map(({ fullName }) => `${path.relative(copy, name)} › ${fullName}`),
  );
  return { passed: numPassedTests, failed, isFinished: true };
}

/** Writes the mutant into the copy; gives how to take it out again. */
function apply(copy: string, { name, file, from, to }: Mutant): () => void {
  const target = path.join(copy, file);
  const text = readFileSync(target, "utf8");
  const found = text.split(from).length - 1;
  if (found !== 1) {
    throw new Error(
      `mutant ${name}: its text occurs ${found} times in ${file}, not once: mend scripts/mutant-list.ts`,
    );
  }
  writeFileSync(
    target,
    text.replace(from, () => to),
  );
  return () => writeFileSync(target, text);
}

async function tryOne(copy: string, mutant: Mutant): Promise<boolean> {
  const began = performance.now();
  const undo = apply(copy, mutant);
  const { failed, isFinished } = await runTests(copy, mutant.tests, mutant.only, testsWithinMs);
  undo();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const [first, ...others] = failed;
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  const how = isFinished ? "no test failed" : `its tests did not end in ${testsWithinMs / 1000} s`;
  const said = first === undefined ? `SURVIVED  ${how}` : `caught    ${first}${more}`;
  console.log(`${mutant.name.padEnd(32)} ${seconds.padStart(6)} s  ${said}`);
  return first !== undefined;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: "string", multiple: true }, list: { type: "boolean" } },
  });
  if (values.list === true) {
    for (const { name, what } of mutants) console.log(`${name.padEnd(32)} ${what}`);
    return 0;
  }
  const { only } = values;
  const unknown = only?.find((wanted) => !mutants.some(({ name }) => name === wanted));
  if (unknown !== undefined) {
    console.error(`no mutant ${unknown}; --list names them all`);
    return 2;
  }
  const chosen = mutants.filter(({ name }) => only === undefined || only.includes(name));
  const copy = copySources();
  try {
    const tests = [...new Set(chosen.flatMap((mutant) => mutant.tests))];
    const clean = await runTests(copy, tests, undefined, baselineWithinMs);
    if (!clean.isFinished || clean.passed === 0 || clean.failed.length > 0) {
      console.error(`the tests fail without a mutant, so they prove nothing: ${clean.failed[0]}`);
      return 1;
    }
    console.log(`${clean.passed} tests in ${tests.length} files pass without a mutant`);
    let survived = 0;
    for (const mutant of chosen) if (!(await tryOne(copy, mutant))) survived++;
    console.log(`${chosen.length - survived} caught, ${survived} survived`);
    return survived === 0 ? 0 : 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

await asProgram(import.meta.url, main);
