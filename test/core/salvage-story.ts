/** A job of two models, the second made of the first, and days whose run failed in the second: what salvage tests are told with. */
import { expect } from "vitest";
import { must } from "../../shared/kernel/assert.ts";
import { type FailureCode, failure } from "../../shared/kernel/failure.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { sampleFiles, sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

/** s0 scans into x0; s1 makes the model totals of it and sends to x1; s2 makes the model heavy of that. */
export function chain(heavySql = "SELECT 1"): JobPlan {
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

/** s0 makes the model totals while it scans, and sends to x0; s1 makes the model heavy of that. */
export function besideScan(): JobPlan {
  const plan = chain();
  const [scan, middle, last] = plan.stages;
  const [totals, heavy] = plan.datasets;
  const stages = [
    {
      ...must(scan, "s0"),
      outputs: [...must(scan, "s0").outputs, must(middle?.outputs[0], "totals")],
    },
    { ...must(last, "s2"), id: "s1", input: must(middle, "s1").input },
  ];
  return {
    ...plan,
    stages,
    exchanges: plan.exchanges.slice(0, 1),
    datasets: [
      { ...must(totals, "totals"), stage: "s0" },
      { ...must(heavy, "heavy"), stage: "s1" },
    ],
  };
}

export const job = sampleJob({
  models: ["totals", "heavy"].map((name) => ({
    name,
    sql: `SELECT '${name}'`,
    file: `${name}.sql`,
  })),
});

/** A leader with one executor, which has been sent the first tasks of the day. */
export function begun({
  slots = 8,
  whole = job,
  inputs = sampleFiles(4),
  plan = chain(),
} = {}): Bench {
  const bench = new Bench();
  bench.memory.plan = plan;
  bench.memory.inputs = inputs;
  bench.lead();
  bench.attach(1, { slots });
  bench.submit(whole);
  return bench;
}

/** A day whose run failed at its last stage, after `finished` of that stage's two tasks. */
export function failed(code: FailureCode = "sqlRefused", finished = 0, whole = job): Bench {
  const bench = begun({ whole });
  failAt(bench, "s2", code, finished);
  expect(bench.run(1)).toMatchObject({ state: "failed", failure: { code } });
  return bench;
}

export function failAt(bench: Bench, stage: string, code: FailureCode, finished: number): void {
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
export function works(bench: Bench): string[] {
  const done: string[] = [];
  for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
    for (const task of tasks) {
      done.push(`${task.delivery.stage}/${task.delivery.task}`);
      bench.finish(task);
    }
  }
  return done.sort();
}

export function leaderAfter(bench: Bench, slots: number): Bench {
  const next = new Bench(bench.memory, "c2");
  next.at = bench.at;
  next.lead();
  next.attach(1, { slots });
  return next;
}

export function again(bench: Bench, whole: typeof job | string = "usage"): string[] {
  bench.submit(whole, { rerun: true });
  return works(bench);
}

/** Names of all input files in a committed dataset, sorted; each is there once for each group that holds it. */
export function rows(bench: Bench, revision: number, dataset: string): string[] {
  const manifest = bench.memory.manifests.get(`usage.${day}.r${revision}`);
  const found = manifest?.datasets.find((one) => one.dataset === dataset);
  return (found?.files ?? []).flatMap(({ path }) => bench.memory.files.get(path) ?? []).sort();
}

/** What a day that never failed commits. */
export function undisturbed(inputs = sampleFiles(4)): Bench {
  const bench = begun({ inputs });
  bench.work();
  return bench;
}

export function expectSameRows(bench: Bench, revision: number, other = undisturbed()): void {
  for (const dataset of ["totals", "heavy"]) {
    expect(rows(bench, revision, dataset)).toEqual(rows(other, 1, dataset));
    expect(rows(bench, revision, dataset).length).toBeGreaterThan(0);
  }
}
