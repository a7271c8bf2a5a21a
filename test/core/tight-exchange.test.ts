/** NATS without any room: nothing that writes rows starts, what can be spared goes, and the day goes on when there is room. */
import { expect, test } from "vitest";
import type { Ask } from "../../coordinator/core/protocol.ts";
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench, type SentTask } from "./bench.ts";

const job = sampleJob({ backlogDays: 10 });
const full = failure("exchangeFull", "no room on the server");
const soon = limits.spaceLookWhenFullMs + limits.tickEveryMs;

/** Days 11 to 13 are committed and kept, a gigabyte each; day 14 is under way with two maps out. */
function underWay(): { bench: Bench; tasks: SentTask[] } {
  const bench = new Bench().lead();
  bench.attach(1, { slots: 8 });
  for (const day of ["2026-01-11", "2026-01-12", "2026-01-13"]) {
    bench.submit(job, { day });
    bench.work();
  }
  bench.pass(limits.spaceLookEveryMs, [1]);
  bench.post({ kind: "detached", connection: 1 });
  bench.attach(2, { executor: "e2", slots: 2 });
  bench.submit(job, { day: "2026-01-14" });
  for (const name of bench.memory.streams.keys()) bench.memory.streamBytes.set(name, 500_000_000);
  return { bench, tasks: bench.takeTasks() };
}

/** Of the day that is under way. */
function status(bench: Bench) {
  const reply = bench.ask({ kind: "run", run: "usage.2026-01-14.r1" });
  if (reply?.kind !== "run") throw new Error("no such run");
  return reply.run;
}

function keptDays(bench: Bench): string[] {
  return [...bench.state.durable.kept.values()].map(({ day }) => day);
}

/** Every look says that there is no room, as long as more than so many days are kept besides the one under way. */
function tightAbove(bench: Bench, days: number): () => number {
  let looks = 0;
  bench.override = (ask: Ask) => {
    if (ask.kind !== "readUsage") return undefined;
    looks++;
    const answer = bench.memory.answer(ask, { coordinator: "c1", address: "c1:1" });
    const isTight = keptDays(bench).length > days + 1;
    return answer.kind === "usage" && isTight ? { ...answer, isTight } : answer;
  };
  return () => looks;
}

function failAll(bench: Bench, tasks: readonly SentTask[]): void {
  for (const task of tasks) bench.fail(task, full);
}

test("after an attempt that found none nothing starts before the next look, which lets all go on", () => {
  const { bench, tasks } = underWay();
  expect(tasks).toHaveLength(2);
  failAll(bench, tasks);
  // Two others wait whose turn would have come.
  expect(bench.takeTasks()).toEqual([]);
  bench.pass(limits.spaceLookWhenFullMs - limits.tickEveryMs, [2]);
  expect(bench.takeTasks()).toEqual([]);
  bench.pass(3 * limits.tickEveryMs, [2]);
  expect(bench.takeTasks()).toHaveLength(2);
});

test("kept outputs go, oldest day first, until what is kept free for the journal fits again", () => {
  const { bench, tasks } = underWay();
  tightAbove(bench, 1);
  failAll(bench, tasks);
  bench.pass(soon, [2]);
  expect(keptDays(bench)).toEqual(["2026-01-13", "2026-01-14"]);
  expect(bench.events().filter((event) => event === "exchange.evicted")).toHaveLength(2);
  bench.pass(2 * soon, [2]);
  bench.work();
  expect(status(bench)).toMatchObject({ day: "2026-01-14", state: "committed" });
});

test("they go also when no attempt has met it: the look itself says so", () => {
  const { bench, tasks } = underWay();
  tightAbove(bench, 0);
  bench.pass(limits.spaceLookEveryMs + limits.tickEveryMs, [2]);
  expect(keptDays(bench)).not.toContain("2026-01-11");
  bench.pass(3 * soon, [2]);
  expect(keptDays(bench)).toEqual(["2026-01-14"]);
  for (const task of tasks) bench.finish(task);
  bench.work();
  expect(status(bench)).toMatchObject({ state: "committed" });
});

test("where all that is there is needed the run waits and says so, and is looked after every second", () => {
  const { bench, tasks } = underWay();
  const looks = tightAbove(bench, -1);
  failAll(bench, tasks);
  bench.pass(60_000, [2]);
  expect(bench.takeTasks()).toEqual([]);
  expect(looks()).toBe(60);
  const { state, warnings } = status(bench);
  expect([state, warnings]).toEqual(["running", ["waiting: no room on the server"]]);
  tightAbove(bench, 9);
  bench.pass(2 * soon, [2]);
  bench.work();
  expect(status(bench)).toMatchObject({ state: "committed", warnings: [] });
});

test("what reads rows and writes none goes on", () => {
  const { bench, tasks } = underWay();
  for (const task of tasks) bench.finish(task);
  for (const task of bench.takeTasks()) bench.finish(task);
  const [reduce, other] = bench.takeTasks();
  if (reduce === undefined || other === undefined) throw new Error("two reduces were sent");
  tightAbove(bench, -1);
  bench.pass(limits.spaceLookEveryMs + soon, [2]);
  bench.fail(reduce, failure("workerLost", "exit code 9"));
  bench.finish(other);
  bench.pass(limits.retryBackoffMsMin + 2 * limits.tickEveryMs, [2]);
  expect(bench.takeTasks().map(({ work }) => work.kind)).toEqual(["reduce"]);
});

test("nor does a second attempt of what stands still: it would write, too", () => {
  const { bench, tasks } = underWay();
  const [still, moving] = tasks;
  if (still === undefined || moving === undefined) throw new Error("two scans were sent");
  bench.attach(3, { executor: "e3", slots: 2 });
  for (const task of [moving, ...bench.takeTasks()]) bench.finish(task);
  tightAbove(bench, -1);
  bench.pass(limits.standsStillMs + 60_000, [2, 3]);
  expect(bench.takeTasks()).toEqual([]);
  tightAbove(bench, 9);
  bench.pass(2 * soon, [2, 3]);
  const [second] = bench.takeTasks();
  expect([second?.connection, second?.delivery.task]).toEqual([3, still.delivery.task]);
});

test("a server on which none of our rows lie is not waited for: it may be too small for what is kept free", () => {
  const bench = new Bench().lead();
  bench.attach(1);
  tightAbove(bench, -2);
  bench.pass(limits.spaceLookEveryMs + soon, [1]);
  bench.submit(job, { day: "2026-01-14" });
  const [task] = bench.takeTasks();
  // Streams without a row in them are not in the way either.
  for (const name of bench.memory.streams.keys()) bench.memory.streamBytes.set(name, 0);
  bench.pass(limits.spaceLookEveryMs + soon, [1]);
  bench.finish(must(task, "a scan was sent"));
  expect(bench.takeTasks()).toHaveLength(1);
});

test("a task that finds none is started again for as long as a day: somebody else's rows may lie there", () => {
  const bench = new Bench().lead();
  bench.attach(1, { slots: 8 });
  bench.submit(job, { day: "2026-01-14" });
  const [scan] = bench.state.durable.runs.get("usage.2026-01-14.r1")?.stages ?? [];
  for (const task of scan?.tasks ?? []) task.starts = limits.attemptsPerTaskTotalMax - 2;
  for (let n = 0; n < 5; n++) {
    const tasks = bench.takeTasks();
    expect(tasks).toHaveLength(4);
    failAll(bench, tasks);
    bench.pass(limits.retryBackoffMsMax + limits.tickEveryMs, [1]);
  }
  const { state, warnings } = status(bench);
  expect([state, warnings]).toEqual(["running", ["waiting: no room on the server"]]);
  expect(Math.min(...(scan?.tasks ?? []).map((task) => task.starts))).toBeGreaterThan(
    limits.attemptsPerTaskTotalMax,
  );
  bench.work();
  expect(status(bench)).toMatchObject({ state: "committed", warnings: [] });
});
