/** An executor that returns as another process is not taken for its former self, whatever of that still arrives. */
import { describe, expect, test } from "vitest";
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { carryOut } from "../sim/executor-model.ts";
import { sampleFiles } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

/** Two tasks ran on the first process of e1 (connection 1); it went away, and the second one is here (connection 2). */
function replaced(): { bench: Bench; before: SentTask[]; after: SentTask[] } {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.memory.inputs = sampleFiles(6);
  bench.submit();
  const before = bench.takeTasks();
  bench.post({ kind: "detached", connection: 1 });
  bench.attach(2, { executor: "e1", incarnation: 2 });
  return { bench, before, after: bench.takeTasks() };
}

function busy(bench: Bench): string[] {
  return [...(bench.state.executors.get("e1")?.busy.keys() ?? [])];
}

function stateOf(bench: Bench, task: SentTask): string | undefined {
  return bench.state.durable.attempts.get(task.attemptId)?.state;
}

test("all of its slots are free for new work, and its former attempts are lost, uncounted", () => {
  const { bench, before, after } = replaced();
  expect(before).toHaveLength(2);
  expect(after).toHaveLength(2);
  expect(busy(bench)).toEqual(after.map((task) => task.attemptId));
  expect(before.map((task) => stateOf(bench, task))).toEqual(["lost", "lost"]);
  const [stage] = bench.state.durable.runs.get(`usage.${day}.r1`)?.stages ?? [];
  expect(stage?.tasks.map((task) => task.failures)).toEqual([0, 0, 0, 0, 0, 0]);
});

describe("from the connection of the former process", () => {
  test("a heartbeat changes nothing: neither what is busy nor how long it was silent", () => {
    const { bench, before, after } = replaced();
    const executor = must(bench.state.executors.get("e1"), "e1 is here");
    bench.pass(1_000);
    const { heardAt } = executor;
    bench.beat(
      1,
      before.map((task) => task.attemptId),
    );
    expect(busy(bench)).toEqual(after.map((task) => task.attemptId));
    expect(executor.heardAt).toBe(heardAt);
    expect(bench.commands()).toEqual([]);
  });

  test("a report is not taken, and not acknowledged: whoever it belongs to has to dial in", () => {
    const { bench, before } = replaced();
    const task = must(before[0], "a task");
    const outcome = carryOut(bench.memory, task.work, task.delivery);
    bench.post({ kind: "report", connection: 1, attemptId: task.attemptId, outcome });
    expect(bench.run().stages[0]?.done).toBe(0);
    expect(bench.commands()).toEqual([]);
  });

  test.each(["detached", "draining"] as const)("%s does not touch its successor", (kind) => {
    const { bench } = replaced();
    bench.post(
      kind === "detached" ? { kind, connection: 1 } : { kind, connection: 1, reason: "SIGTERM" },
    );
    expect(bench.state.executors.get("e1")).toMatchObject({
      incarnation: 2,
      connection: 2,
      draining: false,
      lost: false,
    });
  });
});

test("a former process that dials in while its successor is connected is turned away", () => {
  const { bench, before, after } = replaced();
  bench.attach(3, {
    executor: "e1",
    incarnation: 1,
    runningAttempts: before.map((task) => task.attemptId),
  });
  expect(bench.commands()).toMatchObject([
    { connection: 3, command: { kind: "refused", failure: { code: "unavailable" } } },
  ]);
  expect(bench.state.executors.get("e1")).toMatchObject({ incarnation: 2, connection: 2 });
  expect(busy(bench)).toEqual(after.map((task) => task.attemptId));
});

test("a new process does not answer for failures of the former one", () => {
  const { bench, after } = replaced();
  for (const task of after) bench.fail(task, failure("workerLost", "exit code 9"));
  expect(bench.state.executors.get("e1")).toMatchObject({ failed: 2 });
  bench.post({ kind: "detached", connection: 2 });
  bench.attach(4, { executor: "e1", incarnation: 3 });
  expect(bench.state.executors.get("e1")).toMatchObject({ failed: 0, committed: 0, outcomes: [] });
});

describe("after a takeover", () => {
  test("a process that the journal does not know has none of the attempts: they start again at once", () => {
    const { bench, after } = replaced();
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    next.attach(9, { executor: "e1", incarnation: 3 });
    expect(after.map((task) => stateOf(next, task))).toEqual(["lost", "lost"]);
    const again = next.takeTasks();
    expect(again).toHaveLength(2);
    expect(busy(next)).toEqual(again.map((task) => task.attemptId));
  });

  test("the process that the journal knows keeps them", () => {
    const { bench, after } = replaced();
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    const runningAttempts = after.map((task) => task.attemptId);
    next.attach(9, { executor: "e1", incarnation: 2, runningAttempts });
    expect(after.map((task) => stateOf(next, task))).toEqual(["running", "running"]);
    expect(next.takeTasks()).toEqual([]);
    next.pass(limits.attemptMissingMs + 1_000, [9]);
    expect(next.takeTasks()).toEqual([]);
  });
});
