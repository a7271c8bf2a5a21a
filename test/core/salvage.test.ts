/** A day that failed goes on from the model that failed: what the failed run had finished stands for its tasks. */
import { describe, expect, test } from "vitest";
import { fold } from "../../coordinator/core/fold.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { must } from "../../shared/kernel/assert.ts";
import { type FailureCode, failure } from "../../shared/kernel/failure.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { noNegative, sampleFiles, sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

/** s0 scans into x0; s1 makes the model totals of it and sends to x1; s2 makes the model heavy of that. */
function chain(heavySql = "SELECT 1"): JobPlan {
  const plan = samplePlan();
  const [scan, reduce] = plan.stages;
  const totals = must(reduce?.outputs[0], "the sample writes a dataset");
  const x0 = must(plan.exchanges[0], "the sample exchanges");
  const middle = must(reduce, "the sample reduces");
  const heavy = { ...totals, kind: "dataset", model: "heavy", sql: heavySql } as typeof totals;
  return {
    ...plan,
    stages: [
      must(scan, "the sample scans"),
      {
        ...middle,
        outputs: [totals, { kind: "exchange", exchange: "x1", sql: "SELECT * FROM x0" }],
      },
      {
        ...middle,
        id: "s2",
        input: { kind: "exchange", exchanges: ["x1"] },
        outputs: [heavy],
      },
    ],
    exchanges: [x0, { ...x0, id: "x1" }],
    datasets: [
      ...plan.datasets,
      { ...must(plan.datasets[0], "a dataset"), model: "heavy", stage: "s2" },
    ],
  };
}

const job = sampleJob({
  models: ["totals", "heavy"].map((name) => ({
    name,
    sql: `SELECT '${name}'`,
    file: `${name}.sql`,
  })),
});

/** A leader with one executor, which has been sent the first tasks of the day. */
function begun({ slots = 8, whole = job, inputs = sampleFiles(4) } = {}): Bench {
  const bench = new Bench();
  bench.memory.plan = chain();
  bench.memory.inputs = inputs;
  bench.lead();
  bench.attach(1, { slots });
  bench.submit(whole);
  return bench;
}

/** A day whose run failed at its last stage, after `finished` of that stage's two tasks. */
function failed(code: FailureCode = "sqlRefused", finished = 0, whole = job): Bench {
  const bench = begun({ whole });
  failAt(bench, "s2", code, finished);
  expect(bench.run(1)).toMatchObject({ state: "failed", failure: { code } });
  return bench;
}

function failAt(bench: Bench, stage: string, code: FailureCode, finished: number): void {
  let left = finished;
  for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
    for (const task of tasks) {
      const fails = task.delivery.stage === stage && left-- <= 0;
      if (fails) bench.fail(task, failure(code, "no"));
      else bench.finish(task);
    }
  }
}

/** `stage/task` of what is done now, in order. */
function works(bench: Bench): string[] {
  const done: string[] = [];
  for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
    for (const task of tasks) {
      done.push(`${task.delivery.stage}/${task.delivery.task}`);
      bench.finish(task);
    }
  }
  return done.sort();
}

const names = (tasks: readonly (SentTask | undefined)[]) =>
  tasks.map((task) => `${task?.delivery.stage}/${task?.delivery.task}`).sort();

function leaderAfter(bench: Bench, slots: number): Bench {
  const next = new Bench(bench.memory, "c2");
  next.at = bench.at;
  next.lead();
  next.attach(1, { slots });
  return next;
}

function again(bench: Bench, whole: typeof job | string = "usage"): string[] {
  bench.submit(whole, { rerun: true });
  return works(bench);
}

/** Names of all input files in a committed dataset, sorted; each is there once for each group that holds it. */
function rows(bench: Bench, revision: number, dataset: string): string[] {
  const manifest = bench.memory.manifests.get(`usage.${day}.r${revision}`);
  const found = manifest?.datasets.find((one) => one.dataset === dataset);
  return (found?.files ?? []).flatMap(({ path }) => bench.memory.files.get(path) ?? []).sort();
}

/** What a day that never failed commits. */
function undisturbed(inputs = sampleFiles(4)): Bench {
  const bench = begun({ inputs });
  bench.work();
  return bench;
}

function expectSameRows(bench: Bench, revision: number, other = undisturbed()): void {
  for (const dataset of ["totals", "heavy"]) {
    expect(rows(bench, revision, dataset)).toEqual(rows(other, 1, dataset));
    expect(rows(bench, revision, dataset).length).toBeGreaterThan(0);
  }
}

describe("the day's next run", () => {
  test("makes the failed model, and nothing that was finished", () => {
    const bench = failed();
    expect(again(bench)).toEqual(["s2/0", "s2/1"]);
    expect(bench.run(2)).toMatchObject({ state: "committed" });
    expect(bench.run(2).stages.map(({ tasks, reused }) => `${reused} of ${tasks}`)).toEqual([
      "4 of 4",
      "2 of 2",
      "0 of 2",
    ]);
    expectSameRows(bench, 2);
  });

  test("makes what was left of a stage that failed in the middle", () => {
    const bench = failed("sqlRefused", 1);
    expect(again(bench)).toEqual(["s2/1"]);
    expectSameRows(bench, 2);
  });

  test("takes over all that was finished before any other task can fail it", () => {
    const bench = begun({ slots: 2 });
    for (const task of [...bench.takeTasks(), ...bench.takeTasks()]) bench.finish(task);
    for (const task of bench.takeTasks()) bench.finish(task);
    const [first, second] = bench.takeTasks();
    expect(names([first, second])).toEqual(["s1/0", "s1/1"]);
    bench.finish(must(second, "s1/1"));
    bench.fail(must(first, "s1/0"), failure("sqlRefused", "no"));
    expect(bench.run(1).state).toBe("failed");
    const next = leaderAfter(bench, 1);
    next.submit("usage", { rerun: true });
    expect(next.run(2).stages[1]).toMatchObject({ done: 1, reused: 1, running: 1 });
    failAt(next, "s1", "sqlRefused", 0);
    expect(next.run(2).state).toBe("failed");
    next.submit("usage", { rerun: true });
    expect(works(next)).toEqual(["s1/0", "s2/0", "s2/1"]);
    expectSameRows(next, 3);
    expect(next.state.reusing.size).toBe(0);
  });

  test("goes on from the one before it also when that went on from another", () => {
    const bench = failed();
    bench.submit("usage", { rerun: true });
    failAt(bench, "s2", "sqlRefused", 1);
    expect(bench.run(2).state).toBe("failed");
    expect(bench.memory.stagedRuns()).toEqual([`usage.${day}.r1`, `usage.${day}.r2`]);
    expect(again(bench)).toEqual(["s2/1"]);
    expectSameRows(bench, 3);
  });

  test("of a day whose check failed makes the check alone", () => {
    const whole = { ...job, checks: [noNegative] };
    const bench = begun({ whole });
    failAt(bench, "checks", "sqlRefused", 0);
    expect(bench.run(1).state).toBe("failed");
    expect(again(bench, { ...whole, checks: [{ ...noNegative, expect: 0 }] })).toEqual([
      "checks/0",
    ]);
    expectSameRows(bench, 2);
  });

  test("with the failed model's SQL corrected makes that one", () => {
    const bench = failed();
    bench.memory.plan = chain("SELECT 2");
    const models = job.models.map((one) => ({ ...one, sql: `${one.sql} AS n` }));
    expect(again(bench, { ...job, models })).toEqual(["s2/0", "s2/1"]);
  });

  test("with a late file makes every model that reads it", () => {
    const bench = failed();
    bench.memory.inputs = sampleFiles(5);
    expect(again(bench)).toEqual(["s0/4", "s1/0", "s1/1", "s2/0", "s2/1"]);
    expectSameRows(bench, 2, undisturbed(sampleFiles(5)));
  });

  test("under another leader goes on from it just the same, also from a snapshot", () => {
    const bench = failed();
    const copy = decodeSnapshot(encodeSnapshot(bench.state.durable));
    expect(copy).toEqual(bench.state.durable);
    const next = leaderAfter(bench, 8);
    next.submit("usage", { rerun: true });
    expect(works(next)).toEqual(["s2/0", "s2/1"]);
    expectSameRows(next, 2);
  });
});

describe("what was finished", () => {
  const staged = (bench: Bench) => bench.memory.stagedRuns();

  test("stays until the day is made: files and exchange", () => {
    const bench = failed();
    expect(staged(bench)).toEqual([`usage.${day}.r1`]);
    bench.pass(120_000, [1]);
    expect(staged(bench)).toEqual([`usage.${day}.r1`]);
    expect(bench.memory.streams.size).toBe(4);
    again(bench);
    expect(staged(bench)).toEqual([]);
    // Map outputs stay for re-runs.
    expect(bench.memory.streams.size).toBe(2);
  });

  test("is made again where its files have gone", () => {
    const bench = failed();
    const [gone = ""] = [...bench.memory.files.keys()].filter((path) =>
      path.startsWith("staging/"),
    );
    bench.memory.files.delete(gone);
    expect(again(bench)).toEqual(["s1/0", "s2/0", "s2/1"]);
    expectSameRows(bench, 2);
  });

  test("is made again where its exchange has gone", () => {
    const bench = failed();
    for (const stream of [...bench.memory.streams.keys()]) {
      const writers = [...(bench.memory.streams.get(stream)?.keys() ?? [])];
      if (writers.some((id) => id.startsWith("s1"))) bench.memory.streams.delete(stream);
    }
    expect(again(bench)).toEqual(["s1/0", "s1/1", "s2/0", "s2/1"]);
    expectSameRows(bench, 2);
  });

  test("goes when another day's run finds storage full", () => {
    const bench = failed();
    bench.submit("usage", { day: "2026-01-16" });
    const [task] = bench.takeTasks();
    bench.fail(must(task, "a scan"), failure("storageDenied", "no"));
    bench.pass(60_000, [1]);
    expect(staged(bench)).toEqual([`usage.${day}.r1`]);
    const [other] = bench.takeTasks();
    bench.fail(must(other, "a scan again"), failure("storageFull", "no space left"));
    bench.pass(60_000, [1]);
    expect(staged(bench)).toEqual([]);
    expect([...bench.state.durable.kept.values()].map(({ source }) => source)).toEqual([
      "ipdr",
      "ipdr",
    ]);
  });

  test("does not stay when its run failed because storage took nothing", () => {
    for (const [code, stages] of [
      ["sqlRefused", 1],
      ["storageFull", 0],
    ] as const) {
      const bench = begun();
      for (const stage of ["s0", "s1"]) {
        for (const task of bench.takeTasks()) {
          expect(task.delivery.stage).toBe(stage);
          bench.finish(task);
        }
      }
      const { durable } = bench.state;
      const ended = { kind: "runEnded", run: `usage.${day}.r1`, state: "failed" } as const;
      fold(durable, { ...ended, failure: failure(code, "no"), wallMs: 1 });
      const salvaged = [...durable.kept.values()].filter(({ isSalvage }) => isSalvage);
      expect(salvaged).toHaveLength(stages);
    }
  });

  test("does not stay for a job that keeps no days", () => {
    const bench = failed("sqlRefused", 0, { ...job, backlogDays: 0 });
    expect(staged(bench)).toEqual([]);
    expect(bench.state.durable.kept.size).toBe(0);
    expect(bench.memory.streams.size).toBe(0);
  });

  test("goes with a form of the job that nobody runs any more", () => {
    const bench = failed();
    bench.memory.plan = samplePlan();
    bench.submit({ ...job, models: job.models.slice(0, 1) }, { rerun: true });
    failAt(bench, "s1", "sqlRefused", 0);
    expect(bench.run(2).state).toBe("failed");
    expect(staged(bench)).toEqual([]);
    expect([...bench.state.durable.kept.values()].map(({ source }) => source)).toEqual(["ipdr"]);
  });
});
