/** NATS lost exchange streams: what was read from them before is not made again, what was not is. */
import { describe, expect, test } from "vitest";
import { fold } from "../../coordinator/core/fold.ts";
import { must } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { noNegative, sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const run = `usage.${day}.r1`;
const withCheck = sampleJob({ checks: [noNegative] });

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  return bench;
}

/** A coordinator that leads after `old` is gone. */
function successor(old: Bench): Bench {
  const next = new Bench(old.memory, "c2");
  next.at = old.at;
  next.lead();
  next.attach(1, { incarnation: 2 });
  return next;
}

/** Works until a task of this kind is sent, and gives it unfinished. */
function workUntil(bench: Bench, kind: "reduce" | "check"): SentTask {
  for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
    const found = tasks.find((task) => task.work.kind === kind);
    if (found !== undefined) return found;
    for (const task of tasks) bench.finish(task);
  }
  throw new Error(`no ${kind} was sent`);
}

function resultsOf(bench: Bench, stage: number): number {
  return must(bench.state.durable.runs.get(run)?.stages[stage], "the stage is there").done;
}

describe("streams that are gone", () => {
  test("when all rows were read: the next leader only checks and commits", () => {
    const old = leader();
    old.submit(withCheck);
    workUntil(old, "check");
    old.memory.streams.clear();
    const next = successor(old);
    expect(next.run()).toMatchObject({ state: "checking" });
    next.pass(limits.executorLostMs + limits.tickEveryMs, [1]);
    expect(next.work().map((work) => work.kind)).toEqual(["check"]);
    expect(next.run()).toMatchObject({ state: "committed" });
    // Nobody may stand on what was kept in them.
    next.submit("usage", { rerun: true });
    expect(next.work().filter((work) => work.kind === "map")).toHaveLength(4);
    expect(next.run(2)).toMatchObject({ state: "committed" });
  });

  test("when one reader is not done: everything in them is made again", () => {
    const old = leader();
    old.submit(withCheck);
    workUntil(old, "reduce");
    old.memory.streams.clear();
    const next = successor(old);
    expect(resultsOf(next, 0)).toBe(0);
    next.pass(limits.executorLostMs + limits.tickEveryMs, [1]);
    next.work();
    expect(next.run()).toMatchObject({ state: "committed" });
  });

  test("of two levels: an earlier one is made again for a later one", () => {
    const old = leader();
    old.memory.plan = twoLevels();
    old.submit();
    for (let round = 0; round < 2; round++) for (const task of old.takeTasks()) old.finish(task);
    const middle = old.takeTasks();
    expect(middle.map((task) => task.work.kind)).toEqual(["reduce", "reduce"]);
    for (const task of middle) old.report(task, wroteTo("x1"));
    expect([resultsOf(old, 0), resultsOf(old, 1)]).toEqual([4, 2]);
    const lost = streamsOf(old, "x1");
    for (const stream of lost) old.memory.streams.delete(stream);
    expect(resultsOf(successor(old), 0)).toBe(4);
    for (const stream of [...lost, ...streamsOf(old, "x0")]) old.memory.streams.delete(stream);
    const next = successor(old);
    expect([resultsOf(next, 0), resultsOf(next, 1)]).toEqual([0, 0]);
  });
});

test("checks look again when a file that they saw is made again", () => {
  const bench = leader();
  bench.submit(sampleJob({ checks: [noNegative, { ...noNegative, name: "other" }] }));
  bench.finish(workUntil(bench, "check"));
  expect(resultsOf(bench, 2)).toBe(1);
  const durable = bench.state.durable;
  const attemptId = durable.runs.get(run)?.stages[1]?.tasks[0]?.result?.attemptId ?? "";
  fold(durable, { kind: "outputDropped", run, stage: 1, task: 0, attemptId });
  expect(resultsOf(bench, 2)).toBe(0);
  bench.pass(limits.attemptMissingMs + limits.tickEveryMs, [1]);
  const kinds = bench.work().map((work) => work.kind);
  expect(kinds).toEqual(["reduce", "check", "check"]);
  expect(bench.run()).toMatchObject({ state: "committed" });
});

function streamsOf(bench: Bench, exchange: string): readonly string[] {
  return bench.state.durable.runs.get(run)?.exchanges.get(exchange)?.streams ?? [];
}

/** The sample plan with a second exchange between its reduce and another one. */
function twoLevels(): JobPlan {
  const plan = samplePlan();
  const [scan, reduce] = plan.stages;
  const [first] = plan.exchanges;
  if (scan === undefined || reduce === undefined || first === undefined) throw new Error("a plan");
  const second = { kind: "exchange", exchange: "x1", sql: "SELECT * FROM x0" } as const;
  return {
    ...plan,
    stages: [
      scan,
      { ...reduce, outputs: [second] },
      { ...reduce, id: "s2", input: { kind: "exchange", exchanges: ["x1"] } },
    ],
    exchanges: [first, { ...first, id: "x1" }],
    datasets: plan.datasets.map((dataset) => ({ ...dataset, stage: "s2" })),
  };
}

function wroteTo(exchange: string) {
  const output = { exchange, digest: "d", checksum: "c", rows: 1, bytes: 1, messages: 1 };
  const counters = { rowsIn: 1, bytesIn: 1, rowsOut: 1, bytesOut: 1, elapsedMs: 1 };
  const outputs = [output];
  const done = { kind: "done", outputs, files: [], accounts: [] } as const;
  return { ...done, counters: { ...counters, peakMemoryBytes: 1 } };
}
