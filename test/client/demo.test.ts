/** The demo's options, work folder and verdict, as values. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { demoOptions } from "../../scripts/demo-options.ts";
import { type DemoFacts, summarise, summaryLines } from "../../scripts/demo-summary.ts";
import { demoJob, prepareWork } from "../../scripts/demo-work.ts";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import { emptyRun, stage } from "./fake-coordinator.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "daymill-demo-"));
  folders.push(made);
  return made;
}

function options(...argv: readonly string[]) {
  const read = demoOptions(argv);
  if (read === "help") throw new Error("help was not asked for");
  return read;
}

const reduce = {
  ...stage,
  id: "s1",
  label: "reduce x0",
  committedBy: { "executor-1": 2, "executor-2": 3 },
};
const facts: DemoFacts = {
  run: {
    ...emptyRun,
    state: "committed",
    createdMs: 1_000,
    endedMs: 5_000,
    rowsIn: 2_000_000,
    exchangeRows: 1_000_000,
    committedBy: { "executor-1": 10, "executor-2": 11 },
    stages: [stage, reduce],
  },
  planJson: JSON.stringify({
    exchanges: [
      { partitions: 1, groups: 1 },
      { partitions: 32, groups: 8 },
    ],
  }),
  executors: ["executor-1", "executor-2"],
  pids: { "executor-1": 5 },
  made: { files: 16, bytes: 300_000_000, seconds: 5 },
  storageRoot: "/data",
  peakMemory: [{ name: "executor-1 worker", pid: 6, peakBytes: 300 * 1024 * 1024 }],
  totalPeakPssBytes: 900 * 1024 * 1024,
  natsVersion: "2.9.10",
  duckdbVersion: "v1.5.6",
};

describe("options", () => {
  test("defaults, and numbers with separators", () => {
    expect(options()).toMatchObject({ rows: 2_000_000, day: "2026-01-15", executors: 2, slots: 1 });
    expect(options("--rows", "20_000_000", "--memory", "256MiB")).toMatchObject({
      rows: 20_000_000,
      memoryBytes: 268_435_456,
    });
    expect(demoOptions(["--help"])).toBe("help");
  });
  test.each([
    ["--rows", "0"],
    ["--day", "yesterday"],
    ["--skew", "odd"],
    ["--malformed", "1"],
    ["--nope"],
  ])("%s %s is refused by name", (...argv) => {
    expect(() => demoOptions(argv)).toThrow(argv[0]);
  });
});

describe("the verdict", () => {
  test("figures of a good run", () => {
    const summary = summarise(facts);
    expect(summary).toMatchObject({
      ok: true,
      problems: [],
      runSeconds: 4,
      recordsPerSecond: 500_000,
      exchangeRowsPerInputRow: 0.5,
      partitions: 32,
      groups: 8,
      reduceCommittedBy: { "executor-1": 2, "executor-2": 3 },
    });
    expect(summaryLines(summary, facts.run).join("\n")).toContain(
      "2,000,000 records (286 MiB in 16 files) in 4.0 s: 500 k records/s",
    );
  });

  const verdict = (change: Partial<DemoFacts>) => summarise({ ...facts, ...change }).problems;
  const run = (change: Partial<DemoFacts["run"]>) => verdict({ run: { ...facts.run, ...change } });

  test("a failed run", () => {
    const failure = { code: "inputTruncated", message: "a.csv ends early", detail: {} };
    expect(run({ state: "failed", failure })).toEqual([
      "the run ended as failed: a.csv ends early",
    ]);
  });
  test("an executor that did nothing", () => {
    expect(run({ committedBy: { "executor-1": 21 } })).toEqual(["executor-2 committed no task"]);
  });
  test("all reduces on one executor; with a single executor that is as it must be", () => {
    const stages = [stage, { ...reduce, committedBy: { "executor-1": 5 } }];
    expect(run({ stages })[0]).toMatch(/reduce tasks ran on 1 executor/);
    const alone = { ...facts.run, stages, committedBy: { "executor-1": 21 } };
    expect(verdict({ executors: ["executor-1"], run: alone })).toEqual([]);
  });
  test("too few partitions", () => {
    expect(verdict({ planJson: '{"exchanges":[]}' })[0]).toMatch(/only 0 partitions/);
  });
});

describe("the work folder", () => {
  test("an earlier demo is emptied, anything else refused", () => {
    const work = join(folder(), "demo");
    prepareWork(work);
    writeFileSync(join(work, "old"), "");
    prepareWork(work);
    expect(readdirSync(work)).toEqual(["made-by-daymill-demo"]);
    const other = folder();
    writeFileSync(join(other, "mine.txt"), "");
    expect(() => prepareWork(other)).toThrow(/not empty and not of an earlier demo/);
    expect(readdirSync(other)).toEqual(["mine.txt"]);
  });

  test("a cluster that still runs there is not pulled away", () => {
    const work = join(folder(), "demo");
    prepareWork(work);
    const command = readFileSync("/proc/self/cmdline", "utf8")
      .replace(/\0$/, "")
      .split("\0")
      .join(" ");
    const processes = [{ name: "executor-1", pid: process.pid, command }];
    writeFileSync(join(work, "cluster.json"), JSON.stringify({ processes, coordinators: [] }));
    expect(() => prepareWork(work)).toThrow(/still runs.*down --work/);
  });

  test("the job is the example itself, or fits gzip and damaged lines", async () => {
    expect(demoJob(options())).toMatch(/jobs\/ipdr-daily\.yaml$/);
    const work = folder();
    mkdirSync(join(work, "job"));
    const file = demoJob(options("--work", work, "--gzip", "--malformed", "0.1"));
    const [source] = parseJob(await readJobBundle(file)).sources;
    expect([source?.format, source?.path]).toEqual(["csv.gz", "raw/ipdr/day={day}/gw=*/*.csv.gz"]);
    expect(source?.rejectsMaxShare).toBeCloseTo(0.151, 6);
  });
});
