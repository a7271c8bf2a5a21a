/** A producer that runs again and gives other rows: whoever read the old ones runs again, however far down. */
import { describe, expect, test } from "vitest";
import { fold } from "../../coordinator/core/fold.ts";
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { AttemptSuccess } from "../../shared/kernel/work.ts";
import { noNegative, sampleFiles, sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const run = `usage.${day}.r1`;

/** s0 scans into x0; s1 reduces it into x1; s2 reduces that into the dataset. Two tasks each. */
function threeStages(): JobPlan {
  const plan = samplePlan();
  const [scan, reduce] = plan.stages;
  const [first] = plan.exchanges;
  const middle = must(reduce, "the sample reduces");
  const second = { kind: "exchange", exchange: "x1", sql: "SELECT * FROM x0" } as const;
  return {
    ...plan,
    stages: [
      must(scan, "the sample scans"),
      { ...middle, outputs: [second] },
      { ...middle, id: "s2", input: { kind: "exchange", exchanges: ["x1"] } },
    ],
    exchanges: [
      must(first, "the sample exchanges"),
      { ...must(first, "the sample exchanges"), id: "x1" },
    ],
    datasets: plan.datasets.map((dataset) => ({ ...dataset, stage: "s2" })),
  };
}

/** A success whose rows sum to `checksum` in every exchange that it writes. */
function gave(task: SentTask, checksum: string): AttemptSuccess {
  const outputs = task.delivery.outputs.map(({ exchange }) => ({
    exchange,
    digest: `${task.attemptId} ${checksum}`,
    checksum,
    rows: 1,
    bytes: 1,
    messages: 1,
  }));
  const sizes = { rowsIn: 1, bytesIn: 1, rowsOut: 1, bytesOut: 1 };
  const counters = { ...sizes, elapsedMs: 1, peakMemoryBytes: 1 };
  return { kind: "done", outputs, files: [], accounts: [], counters };
}

/** A run of which the first two stages are done, and the two tasks of the last one are sent. */
function atTheEnd(): { bench: Bench; last: readonly [SentTask, SentTask] } {
  const bench = new Bench().lead();
  bench.attach(1, { slots: 8 });
  bench.memory.inputs = sampleFiles(2);
  bench.memory.plan = threeStages();
  bench.submit();
  for (const stage of ["s0", "s1"]) {
    const tasks = bench.takeTasks();
    expect(names(tasks)).toEqual([`${stage}/0`, `${stage}/1`]);
    for (const task of tasks) bench.report(task, gave(task, `old ${stage}`));
  }
  const [one, other] = bench.takeTasks();
  return { bench, last: [must(one, "s2/0"), must(other, "s2/1")] };
}

function names(tasks: readonly SentTask[]): string[] {
  return tasks.map(({ delivery }) => `${delivery.stage}/${delivery.task}`).sort();
}

/** The task finds nothing of the first producer that it reads. */
function missesOne(bench: Bench, task: SentTask): void {
  const [input] = task.delivery.inputs;
  const attempt = must(input?.winners[0], "a producer").attemptId;
  bench.fail(task, failure("exchangeShort", "rows are missing", { attempt, stream: "s" }));
}

function done(bench: Bench): number[] {
  return bench.state.durable.runs.get(run)?.stages.map((stage) => stage.done) ?? [];
}

/** Carries out all that is sent from here on, with the same rows for each stage, and gives what it was. */
function workOn(bench: Bench, connections: readonly number[], checksum: string): string[] {
  const worked: SentTask[] = [];
  for (let round = 0; round < 20; round++) {
    const tasks = bench.takeTasks();
    for (const task of tasks) bench.report(task, gave(task, `${checksum} ${task.delivery.stage}`));
    worked.push(...tasks);
    if (tasks.length === 0) bench.pass(500, connections);
  }
  return names(worked);
}

/** The only task that is out. */
function sole(bench: Bench): SentTask {
  const tasks = bench.takeTasks();
  expect(tasks).toHaveLength(1);
  return must(tasks[0], "a task");
}

describe("a producer that runs again", () => {
  test("and gives the same rows leaves those who read them alone", () => {
    const { bench, last } = atTheEnd();
    bench.report(last[1], gave(last[1], ""));
    missesOne(bench, last[0]);
    expect(workOn(bench, [1], "old")).toEqual(["s1/0", "s2/0"]);
    expect(bench.run().state).toBe("committed");
  });

  test("and gives other rows makes all of its consumers run again", () => {
    const { bench, last } = atTheEnd();
    bench.report(last[1], gave(last[1], ""));
    missesOne(bench, last[0]);
    expect(workOn(bench, [1], "new")).toEqual(["s1/0", "s2/0", "s2/1"]);
    expect(bench.run().state).toBe("committed");
  });

  test("does so down to the last stage, through those that were complete", () => {
    const { bench, last } = atTheEnd();
    bench.report(last[1], gave(last[1], ""));
    missesOne(bench, last[0]);
    const middle = sole(bench);
    expect(names([middle])).toEqual(["s1/0"]);
    missesOne(bench, middle);
    const first = sole(bench);
    expect(names([first])).toEqual(["s0/0"]);
    expect(done(bench)).toEqual([1, 1, 1]);
    bench.report(first, gave(first, "new s0"));
    expect(done(bench)).toEqual([2, 0, 0]);
    // s1 gives what it gave before, and yet s2 can't know: it read an s1 that is gone.
    expect(workOn(bench, [1], "old")).toEqual(["s1/0", "s1/1", "s2/0", "s2/1"]);
    expect(bench.run().state).toBe("committed");
  });

  test("is compared with what it gave before, also by the next leader", () => {
    const { bench, last } = atTheEnd();
    bench.report(last[1], gave(last[1], ""));
    missesOne(bench, last[0]);
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    next.attach(2, { executor: "e2", slots: 8 });
    next.pass(limits.executorLostMs + 200, [2]);
    expect(done(next)).toEqual([2, 1, 1]);
    expect(workOn(next, [2], "new")).toEqual(["s1/0", "s2/0", "s2/1"]);
    expect(next.run().state).toBe("committed");
  });

  test("is compared by one that starts from a snapshot", () => {
    const { bench, last } = atTheEnd();
    bench.report(last[1], gave(last[1], ""));
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    missesOne(bench, last[0]);
    expect(bench.memory.snapshot?.texts[0]).toContain("replaces");
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    next.attach(2, { executor: "e2", slots: 8 });
    next.pass(limits.executorLostMs + 200, [2]);
    expect(workOn(next, [2], "new")).toEqual(["s1/0", "s2/0", "s2/1"]);
  });
});

test("a producer that is started again without a word of why is compared too: a part of the journal is lost", () => {
  const { bench, last } = atTheEnd();
  bench.report(last[1], gave(last[1], ""));
  const { durable } = bench.state;
  const place = { run, stage: 1, task: 0, executor: "e1", incarnation: 1 };
  fold(durable, { kind: "attemptStarted", ...place, attemptId: "again", wallMs: 1 });
  expect(done(bench)).toEqual([2, 1, 1]);
  const success = gave(last[0], "");
  const outputs = [
    { exchange: "x1", digest: "d", checksum: "new", rows: 1, bytes: 1, messages: 1 },
  ];
  fold(durable, {
    kind: "attemptDone",
    attemptId: "again",
    success: { ...success, outputs },
    wallMs: 2,
  });
  expect(done(bench)).toEqual([2, 2, 0]);
  expect(durable.runs.get(run)?.stages[1]?.tasks[0]?.result?.attemptId).toBe("again");
});

describe("a consumer that runs while its producer gives other rows", () => {
  test("can't win with what it has read: its success is passed over and it starts again", () => {
    const { bench, last } = atTheEnd();
    const [short, running] = last;
    missesOne(bench, short);
    const producer = sole(bench);
    bench.report(producer, gave(producer, "new s1"));
    expect(bench.state.durable.attempts.get(running.attemptId)?.state).toBe("failed");
    bench.report(running, gave(running, ""));
    expect(done(bench)).toEqual([2, 2, 0]);
    bench.pass(1_000, [1]);
    const again = bench.takeTasks();
    expect(names(again)).toEqual(["s2/0", "s2/1"]);
    const read = again.map(({ delivery }) => delivery.inputs[0]?.winners.map((one) => one.digest));
    for (const digests of read) expect(digests).toContain(`${producer.attemptId} new s1`);
  });

  test("is told to stop", () => {
    const { bench, last } = atTheEnd();
    missesOne(bench, last[0]);
    const producer = sole(bench);
    bench.report(producer, gave(producer, "new s1"));
    bench.effects = [];
    bench.beat(1, [last[1].attemptId]);
    expect(bench.commands()).toMatchObject([
      { command: { kind: "cancelTask", attemptId: last[1].attemptId } },
    ]);
  });

  test("and finishes in between runs again nevertheless", () => {
    const { bench, last } = atTheEnd();
    missesOne(bench, last[0]);
    const producer = sole(bench);
    bench.report(last[1], gave(last[1], ""));
    expect(done(bench)).toEqual([2, 1, 1]);
    bench.report(producer, gave(producer, "new s1"));
    expect(done(bench)).toEqual([2, 2, 0]);
  });

  test("was given up as lost and reports after all: too late", () => {
    const { bench, last } = atTheEnd();
    const [short, lost] = last;
    missesOne(bench, short);
    const producer = sole(bench);
    bench.beat(1, [producer.attemptId]);
    bench.pass(limits.attemptMissingMs, []);
    bench.beat(1, [producer.attemptId]);
    bench.pass(200, []);
    bench.beat(1, [producer.attemptId]);
    expect(bench.state.durable.attempts.get(lost.attemptId)?.state).toBe("lost");
    bench.report(producer, gave(producer, "new s1"));
    bench.report(lost, gave(lost, ""));
    expect(done(bench)).toEqual([2, 2, 0]);
  });
});

test("checks that looked at the old rows look again", () => {
  const bench = new Bench().lead();
  bench.attach(1, { slots: 8 });
  bench.memory.inputs = sampleFiles(2);
  bench.submit(sampleJob({ checks: [noNegative, { ...noNegative, name: "other" }] }));
  for (let kind = ""; kind !== "check"; ) {
    const tasks = bench.takeTasks();
    kind = tasks[0]?.work.kind ?? "";
    if (kind !== "check") for (const task of tasks) bench.finish(task);
    else bench.finish(must(tasks[0], "the first check"));
  }
  expect(done(bench)).toEqual([2, 2, 1]);
  const { durable } = bench.state;
  const attemptId = durable.runs.get(run)?.stages[0]?.tasks[0]?.result?.attemptId ?? "";
  fold(durable, { kind: "outputDropped", run, stage: 0, task: 0, attemptId });
  expect(done(bench)).toEqual([1, 2, 1]);
  bench.effects = [];
  bench.pass(1_000, [1]);
  const map = sole(bench);
  bench.report(map, { ...gave(map, "other rows"), accounts: [] });
  expect(done(bench)).toEqual([2, 0, 0]);
});
