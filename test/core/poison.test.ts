/** A task that keeps failing ends its run after it was tried on two executors, and the error names its files. */
import { describe, expect, test } from "vitest";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, type SentTask } from "./bench.ts";

const crash = failure("workerLost", "the worker process ended: signal SIGSEGV");

function leader(
  files: number,
  options: { maxAttempts?: number; executors?: number; splitBytes?: number } = {},
) {
  const { maxAttempts = 3, executors = 2, splitBytes = 100 } = options;
  const bench = new Bench().lead();
  for (let connection = 1; connection <= executors; connection++) bench.attach(connection);
  bench.memory.inputs = sampleFiles(files);
  bench.submit(sampleJob({ execution: { partitions: 4, groups: 2, splitBytes, maxAttempts } }));
  return bench;
}

function isPoison(task: SentTask): boolean {
  return task.work.kind === "map" && task.work.split.files.some(({ inode }) => inode === "0");
}

/** Lets the task with the first file fail until the run ends, and all others finish. Gives where it was tried. */
function failOn(bench: Bench, connections: readonly number[], why: Failure = crash): number[] {
  const tried: number[] = [];
  for (let round = 0; round < 400 && bench.run().state === "running"; round++) {
    for (const task of bench.takeTasks()) {
      if (!isPoison(task)) bench.finish(task);
      else {
        tried.push(task.connection);
        bench.fail(task, why);
      }
    }
    bench.pass(500, connections);
  }
  return tried;
}

describe("a poison file", () => {
  test("ends the run after the attempts of the job, on two executors, and is named", () => {
    const bench = leader(4);
    const tried = failOn(bench, [1, 2]);
    expect(tried).toHaveLength(3);
    expect(new Set(tried).size).toBe(2);
    expect(bench.run()).toMatchObject({
      state: "failed",
      failure: {
        code: "workerLost",
        message:
          "task 0 of stage s0 (raw/day=2026-01-15/part-0.csv) failed 3 times on e1, e2; last: " +
          "the worker process ended: signal SIGSEGV",
        detail: { file: "raw/day=2026-01-15/part-0.csv", stage: "s0", task: 0 },
      },
    });
  });

  test("ends it on the only executor as well", () => {
    const bench = leader(4, { executors: 1 });
    expect(failOn(bench, [1])).toEqual([1, 1, 1]);
    expect(bench.run().failure?.message).toContain("failed 3 times on e1; last");
  });

  test("is tried on another executor that comes before the last attempt", () => {
    const bench = leader(4, { executors: 1 });
    const tried: number[] = [];
    while (tried.length < 2) {
      for (const task of bench.takeTasks()) {
        if (!isPoison(task)) bench.finish(task);
        else {
          tried.push(task.connection);
          bench.fail(task, crash);
        }
      }
      bench.pass(500, [1]);
    }
    const out = bench.takeTasks();
    for (const task of out.filter((one) => !isPoison(one))) bench.finish(task);
    bench.attach(2);
    for (const task of out.filter(isPoison)) bench.fail(task, crash);
    // Three failures, all on e1: e2 has not had its turn.
    expect(bench.run().state).toBe("running");
    expect(failOn(bench, [1, 2])).toEqual([2]);
    expect(bench.run().failure?.message).toContain("failed 4 times on e1, e2");
  });

  test("ends the run at last when the other executor can never be given work", () => {
    const bench = leader(4);
    const second = bench.state.executors.get("e2");
    if (second === undefined) throw new Error("e2 is here");
    // Full with work that is nobody's: present, and without a free slot.
    const tasks = bench.takeTasks();
    for (const task of tasks.filter(isPoison)) bench.fail(task, crash);
    bench.pass(limits.retryBackoffMsMax, [1, 2]);
    expect(bench.takeTasks().filter(isPoison)).toEqual([]);
    second.exclusion = { until: Number.MAX_SAFE_INTEGER, note: "for this test" };
    bench.post({ kind: "detached", connection: 2 });
    bench.attach(3, { executor: "e2", runningAttempts: [...second.busy.keys()] });
    const tried = failOn(bench, [1, 3]);
    expect(tried).toEqual(Array.from({ length: limits.failuresPerTaskMax - 1 }, () => 1));
    expect(bench.run().failure?.message).toContain("failed 8 times on e1; last");
  });

  test("fails at the first attempt where the job allows only one", () => {
    const bench = leader(4, { maxAttempts: 1 });
    expect(failOn(bench, [1, 2])).toHaveLength(1);
    expect(bench.run().failure?.message).toContain("failed 1 times on e1");
  });
});

describe("of a split with many files", () => {
  test("the one is named that the failure names", () => {
    const bench = leader(12, { splitBytes: 10_000 });
    const file = "raw/day=2026-01-15/part-1.csv";
    const why = failure("storageFailed", `file ${file}: input/output error`, {
      file,
      errno: "EIO",
    });
    failOn(bench, [1, 2], why);
    const { message = "", detail } = bench.run().failure ?? {};
    expect(message).toMatch(/^task 0 of stage s0 \(raw\/day=2026-01-15\/part-1\.csv\) failed 3/);
    expect(detail).toMatchObject({ file, errno: "EIO" });
  });

  test("all are named when it names none", () => {
    const bench = leader(12, { splitBytes: 300 });
    failOn(bench, [1, 2]);
    const { message = "", detail } = bench.run().failure ?? {};
    const paths = [0, 1].map((index) => `raw/day=2026-01-15/part-${index}.csv`);
    expect(message).toContain(`task 0 of stage s0 (one of ${paths.join(", ")}) failed 3 times`);
    expect(detail?.["file"]).toBeUndefined();
  });

  test("ten at most", () => {
    const bench = leader(100, { splitBytes: 4_000, executors: 2 });
    failOn(bench, [1, 2]);
    const { message = "" } = bench.run().failure ?? {};
    expect(message.match(/part-\d+\.csv/g)).toHaveLength(limits.filesNamedMax);
    expect(message).toMatch(/part-9\.csv and \d+ more files\)/);
  });
});
