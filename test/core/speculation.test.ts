/** Slow tasks get a second attempt elsewhere; the first to finish wins and the other leaves nothing behind. */
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { carryOut } from "../sim/executor-model.ts";
import { noNegative, sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const run = `usage.${day}.r1`;

function finishIn(bench: Bench, task: SentTask, elapsedMs: number): void {
  const outcome = carryOut(bench.memory, task.work, task.delivery);
  if (outcome.kind === "failed") throw new Error(outcome.failure.message);
  bench.report(task, { ...outcome, counters: { ...outcome.counters, elapsedMs } });
}

/** Eight maps on two executors with room for all of them; those of `slow` are still running, the others took 1 s. */
function nearlyDone(
  slow: readonly number[],
  changes: { readonly executors?: number; readonly files?: readonly FileFingerprint[] } = {},
): { bench: Bench; running: SentTask[]; all: number[] } {
  const { executors = 2, files = sampleFiles(8) } = changes;
  const bench = new Bench().lead();
  const all = Array.from({ length: executors }, (_, index) => index + 1);
  for (const connection of all) bench.attach(connection, { slots: 8 });
  bench.memory.inputs = files;
  bench.submit();
  const running: SentTask[] = [];
  for (const task of bench.takeTasks()) {
    if (slow.includes(task.delivery.task)) running.push(task);
    else finishIn(bench, task, 1_000);
  }
  bench.takeTasks();
  return { bench, running, all };
}

function only(tasks: readonly SentTask[]): SentTask {
  const [task] = tasks;
  if (task === undefined || tasks.length !== 1) throw new Error(`${tasks.length} tasks were sent`);
  return task;
}

function events(bench: Bench, kind: string) {
  return bench.effects.flatMap((one) =>
    one.kind === "publishEvent" && one.event === kind ? [one.data] : [],
  );
}

describe("a slow attempt", () => {
  test("gets a second one on another executor, at the floor and not before", () => {
    const { bench, running, all } = nearlyDone([5]);
    const slow = only(running);
    bench.pass(limits.slowAfterMsMin, all);
    expect(bench.takeTasks()).toEqual([]);
    bench.pass(limits.slowLookEveryMs + limits.tickEveryMs, all);
    expect(events(bench, "task.speculated")).toMatchObject([
      { run, stage: "s0", task: 5, executor: "e1", slowExecutor: "e2", medianMs: 1_000 },
    ]);
    const second = only(bench.takeTasks());
    expect(slow.connection).toBe(2);
    expect(second.connection).toBe(1);
    expect(second.work).toEqual(slow.work);
    expect(second.attemptId).not.toBe(slow.attemptId);
    expect(bench.run().secondAttempts).toBe(1);
    expect(bench.run().stages[0]).toMatchObject({ running: 1, done: 7 });
  });

  test("is judged by the median of those that finished", () => {
    const { bench, running, all } = nearlyDone([5, 6]);
    const [first] = running;
    if (first === undefined) throw new Error("two are running");
    // 1 s six times and 60 s once: the median is 1 s, the mean would be 9 s.
    finishIn(bench, first, 60_000);
    bench.takeTasks();
    bench.pass(limits.slowAfterMsMin + 1_200, all);
    expect(bench.takeTasks()).toHaveLength(1);
  });

  test("waits for twice the median where that is longer than the floor", () => {
    const bench = new Bench().lead();
    bench.attach(1, { slots: 8 });
    bench.attach(2, { slots: 8 });
    bench.submit();
    const [slow, ...others] = bench.takeTasks();
    expect(slow?.delivery.task).toBe(0);
    for (const task of others) finishIn(bench, task, 20_000);
    bench.takeTasks();
    bench.pass(40_000, [1, 2]);
    expect(bench.takeTasks()).toEqual([]);
    bench.pass(1_200, [1, 2]);
    expect(bench.takeTasks()).toHaveLength(1);
  });

  test("has more time when it has more to read", () => {
    const files = sampleFiles(8).map((file, index) =>
      index === 7 ? { ...file, size: 2_500 } : file,
    );
    const { bench, running, all } = nearlyDone([7], { files });
    expect(only(running).work).toMatchObject({ split: { files: [{ size: 2_500 }] } });
    // 2,500 bytes where a split has 400 on average: 6.25 times the median, twice.
    bench.pass(12_000, all);
    expect(bench.takeTasks()).toEqual([]);
    bench.pass(1_800, all);
    expect(bench.takeTasks()).toHaveLength(1);
  });

  test("has no second one before most of its stage is done", () => {
    const { bench, all } = nearlyDone([5, 6, 7]);
    bench.pass(60_000, all);
    expect(bench.takeTasks()).toEqual([]);
    expect(bench.run().secondAttempts).toBe(0);
  });

  test("has one at last when it stands still, however much of its stage is open", () => {
    const { bench, running, all } = nearlyDone([5, 6, 7]);
    const [still, moving] = running;
    if (still === undefined || moving === undefined) throw new Error("three are running");
    let rows = 0;
    const pass = (ms: number) => {
      for (const until = bench.at + ms; bench.at < until; ) {
        bench.pass(10_000, all);
        const told = running.map(({ attemptId, connection }) => ({ attemptId, connection }));
        for (const connection of all) {
          const own = told.filter((one) => one.connection === connection);
          const figures = own.map(({ attemptId }) => ({
            attemptId,
            rows: attemptId === still.attemptId ? 0 : ++rows,
            bytes: 0,
          }));
          const beat = { kind: "heartbeat", connection, workerPids: [] } as const;
          bench.post({ ...beat, running: figures, peakMemoryBytes: 0 });
        }
      }
    };
    pass(limits.standsStillMs);
    expect(bench.takeTasks()).toEqual([]);
    pass(20_000);
    const second = only(bench.takeTasks());
    expect(second.delivery.task).toBe(still.delivery.task);
    expect(second.connection).not.toBe(still.connection);
    finishIn(bench, second, 1_000);
    expect(bench.commands().map(({ command }) => command)).toContainEqual(
      expect.objectContaining({ kind: "cancelTask", attemptId: still.attemptId }),
    );
  });

  test("that stands still does not keep a day from ending whose other tasks may run only in its slot", () => {
    const bench = new Bench().lead();
    for (const connection of [1, 2]) bench.attach(connection, { slots: 1 });
    bench.memory.inputs = sampleFiles(2);
    bench.submit();
    const [failing, hung] = bench.takeTasks();
    if (failing === undefined || hung === undefined) throw new Error("two are running");
    bench.fail(failing, failure("workerLost", "exit code 9"));
    // It failed on one executor, and the other one is busy for ever: a slot is free and nothing starts.
    bench.pass(limits.standsStillMs / 2, [1, 2]);
    // That its executor dials in anew is no sign of life of the attempt.
    const { connection } = hung;
    const runningAttempts = [hung.attemptId];
    bench.attach(3, { executor: `e${connection}`, slots: 1, runningAttempts });
    const all = [failing.connection, 3];
    bench.pass(limits.standsStillMs / 2 - 1_000, all);
    expect(bench.takeTasks()).toEqual([]);
    bench.pass(5_000, all);
    const second = only(bench.takeTasks());
    expect([second.connection, second.delivery.task]).toEqual([1, hung.delivery.task]);
    bench.finish(second);
    bench.fail({ ...hung, connection: 3 }, failure("cancelled", "killed"));
    expect(only(bench.takeTasks())).toMatchObject({ connection: 3, work: failing.work });
  });

  test("has none when there is no other executor", () => {
    const { bench, all } = nearlyDone([5], { executors: 1 });
    bench.pass(60_000, all);
    expect(bench.takeTasks()).toEqual([]);
  });

  test("has none where the task failed already", () => {
    const { bench, running } = nearlyDone([5]);
    bench.fail(only(running), failure("workerLost", "exit code 9"));
    bench.pass(1_000, [1, 2]);
    expect(only(bench.takeTasks()).connection).toBe(1);
    bench.pass(60_000, [1, 2]);
    expect(bench.takeTasks()).toEqual([]);
    bench.attach(3);
    bench.pass(1_000, [1, 2, 3]);
    expect(only(bench.takeTasks()).connection).toBe(3);
  });

  test("never has a third one", () => {
    const { bench, running, all } = nearlyDone([5], { executors: 3 });
    bench.pass(10_000, all);
    const second = only(bench.takeTasks());
    bench.pass(60_000, all);
    expect(bench.takeTasks()).toEqual([]);
    bench.fail(second, failure("workerLost", "exit code 9"));
    bench.pass(60_000, all);
    expect(bench.takeTasks()).toEqual([]);
    finishIn(bench, only(running), 130_000);
    expect(bench.run().stages[0]).toMatchObject({ done: 8, failedAttempts: 1 });
  });

  test("takes no more than its share of the slots, the slowest first", () => {
    const files = sampleFiles(40);
    const bench = new Bench().lead();
    for (const connection of [1, 2]) bench.attach(connection, { slots: 8 });
    bench.memory.inputs = files;
    bench.submit();
    const late: SentTask[] = [];
    for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
      for (const task of tasks) {
        if (task.delivery.task >= 34) late.push(task);
        else finishIn(bench, task, 100);
      }
    }
    expect(late).toHaveLength(6);
    bench.pass(20_000, [1, 2]);
    // 16 slots, of which a quarter.
    expect(bench.takeTasks().map((task) => task.delivery.task)).toEqual([34, 35, 36, 37]);
    expect(bench.run().secondAttempts).toBe(4);
  });

  test("is not looked for while another task waits for the slot", () => {
    const bench = new Bench().lead();
    for (const connection of [1, 2]) bench.attach(connection, { slots: 1 });
    bench.submit();
    const finished = bench.takeTasks();
    for (const task of finished) finishIn(bench, task, 100);
    const [slow, other] = bench.takeTasks();
    if (slow === undefined || other === undefined) throw new Error("two more are running");
    finishIn(bench, other, 100);
    bench.submit(sampleJob(), { day: "2026-01-16" });
    expect(only(bench.takeTasks()).delivery.run).toContain("2026-01-16");
    bench.pass(60_000, [1, 2]);
    expect(bench.takeTasks()).toEqual([]);
  });

  test("of a check has none", () => {
    const bench = new Bench().lead();
    for (const connection of [1, 2]) bench.attach(connection, { slots: 8 });
    const names = ["a", "b", "c", "d"];
    bench.submit(sampleJob({ checks: names.map((name) => ({ ...noNegative, name })) }));
    let checks: SentTask[] = [];
    for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
      checks = tasks.filter((task) => task.work.kind === "check");
      for (const task of tasks) if (task.work.kind !== "check") bench.finish(task);
    }
    for (const task of checks.slice(1)) bench.finish(task);
    bench.takeTasks();
    bench.pass(60_000, [1, 2]);
    expect(bench.run()).toMatchObject({ state: "checking" });
    expect(bench.takeTasks()).toEqual([]);
  });
});

describe("of two attempts", () => {
  function raced() {
    const { bench, running, all } = nearlyDone([5]);
    bench.pass(10_000, all);
    return { bench, all, slow: only(running), second: only(bench.takeTasks()) };
  }

  test.each(["second", "slow"] as const)("the %s one wins when it is first", (which) => {
    const { bench, all, ...two } = raced();
    const winner = two[which];
    const loser = which === "slow" ? two.second : two.slow;
    carryOut(bench.memory, loser.work, loser.delivery);
    finishIn(bench, winner, 9_000);
    expect(bench.commands()).toContainEqual({
      kind: "toExecutor",
      connection: loser.connection,
      epoch: 1,
      command: expect.objectContaining({ kind: "cancelTask", attemptId: loser.attemptId }),
    });
    expect(bench.run().stages[0]).toMatchObject({ done: 8, failedAttempts: 0 });
    const writers = () =>
      [...bench.memory.streams.values()].flatMap((stream) => [...stream.keys()]);
    expect(writers()).toContain(loser.attemptId);
    bench.pass(limits.purgeAfterMs + 200, all);
    expect(writers()).not.toContain(loser.attemptId);
    expect(writers()).toContain(winner.attemptId);
    // A success that comes after all changes nothing.
    bench.finish(loser);
    const [stage] = bench.state.durable.runs.get(run)?.stages ?? [];
    expect(stage?.tasks[5]?.result?.attemptId).toBe(winner.attemptId);
  });

  test("one that fails leaves the task to the other", () => {
    const { bench, all, slow, second } = raced();
    bench.fail(slow, failure("workerLost", "exit code 9"));
    bench.pass(30_000, all);
    expect(bench.takeTasks()).toEqual([]);
    finishIn(bench, second, 30_000);
    bench.work();
    expect(bench.run()).toMatchObject({ state: "committed", secondAttempts: 1 });
    const rows = [...bench.memory.files].flatMap(([path, names]) =>
      path.includes("r1-e1") ? names : [],
    );
    expect(rows.length).toBe(16);
    expect(new Set(rows).size).toBe(16);
  });

  test("both are known to the next leader, which starts no third", () => {
    const { bench, slow, second } = raced();
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    next.attach(1, { slots: 8, runningAttempts: [second.attemptId] });
    next.attach(2, { slots: 8, runningAttempts: [slow.attemptId] });
    next.pass(30_000, [1, 2]);
    expect(next.takeTasks()).toEqual([]);
    finishIn(next, second, 30_000);
    const cancelled = next
      .commands()
      .flatMap(({ command }) => (command.kind === "cancelTask" ? [command.attemptId] : []));
    expect(cancelled).toEqual([slow.attemptId]);
    next.work();
    expect(next.run()).toMatchObject({ state: "committed", secondAttempts: 1 });
  });
});

test("a new leader judges what runs by when it was started, not by when it took over", () => {
  const { bench, running } = nearlyDone([5]);
  const slow = only(running);
  bench.pass(4_000, [1, 2]);
  const next = new Bench(bench.memory, "c2");
  next.at = bench.at;
  next.lead();
  next.attach(1, { slots: 8 });
  next.attach(2, { slots: 8, runningAttempts: [slow.attemptId] });
  next.takeTasks();
  next.pass(limits.slowLookEveryMs + limits.tickEveryMs, [1, 2]);
  expect(only(next.takeTasks()).work).toEqual(slow.work);
});

test("no second attempt reads an exchange that is not whole at that moment", () => {
  const bench = new Bench().lead();
  for (const connection of [1, 2]) bench.attach(connection, { slots: 8 });
  const groups = 8;
  bench.memory.plan = { ...bench.memory.plan, exchanges: [] };
  bench.memory.plan = {
    ...bench.memory.plan,
    exchanges: [{ id: "x0", columns: [], keys: ["msisdn"], partitions: 8, groups }],
  };
  bench.submit();
  for (const task of bench.takeTasks()) finishIn(bench, task, 100);
  const [slow, short, ...others] = bench.takeTasks();
  if (slow === undefined || short === undefined) throw new Error("eight reduces were sent");
  for (const task of others) finishIn(bench, task, 100);
  const attempt = short.delivery.inputs[0]?.winners[0]?.attemptId ?? "";
  bench.fail(short, failure("exchangeShort", "rows are missing", { attempt, stream: "s" }));
  const again = only(bench.takeTasks());
  expect(again.work.kind).toBe("map");
  bench.pass(30_000, [1, 2]);
  // The map that runs again may have its second attempt; the reduce that reads it may not.
  expect(bench.takeTasks().map((task) => task.work.kind)).toEqual(["map"]);
  finishIn(bench, again, 100);
  bench.pass(1_200, [1, 2]);
  const kinds = bench.takeTasks().map((task) => `${task.work.kind} ${task.delivery.task}`);
  expect(kinds.sort()).toEqual(["reduce 0", "reduce 1"]);
});
