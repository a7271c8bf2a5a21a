/** Attempts that an executor names, or does not: which go on, which are told to stop, which start again. */
import { expect, test } from "vitest";
import { must } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleFiles } from "../sim/sample-job.ts";
import { Bench, type SentTask } from "./bench.ts";

function leader(...executors: number[]): Bench {
  const bench = new Bench().lead();
  for (const connection of executors) bench.attach(connection);
  bench.effects = [];
  return bench;
}

function one(tasks: readonly SentTask[]): SentTask {
  expect(tasks).toHaveLength(1);
  return must(tasks[0], "a task was sent");
}

test("what was given up and goes on is left alone until somebody has won", () => {
  const bench = leader(1, 2);
  bench.memory.inputs = sampleFiles(1);
  bench.submit();
  const task = one(bench.takeTasks());
  bench.pass(limits.executorLostMs + 600, [2]);
  const again = one(bench.takeTasks());
  expect([task.connection, again.connection]).toEqual([1, 2]);
  bench.attach(3, { executor: "e1", runningAttempts: [task.attemptId] });
  bench.beat(3, [task.attemptId]);
  const cancelled = () =>
    bench
      .commands()
      .flatMap(({ command }) => (command.kind === "cancelTask" ? [command.attemptId] : []));
  expect(cancelled()).toEqual([]);
  bench.finish(again);
  bench.beat(3, [task.attemptId]);
  expect(cancelled()).toEqual([task.attemptId]);
});

test("what it names when it dials in and nobody wants is cancelled at once", () => {
  const bench = leader();
  bench.attach(1, { runningAttempts: ["stranger"] });
  expect(bench.commands().map(({ command }) => command)).toMatchObject([
    { kind: "welcome" },
    { kind: "cancelTask", attemptId: "stranger" },
  ]);
});

test("one whose command waits for the journal is not missed before the executor can know of it", () => {
  const bench = leader(1);
  bench.submit();
  const [done, running] = bench.takeTasks();
  const other = must(running, "two tasks were sent").attemptId;
  bench.hold = (ask) => ask.kind === "append";
  bench.finish(must(done, "two tasks were sent"));
  const [held = ""] = [...bench.state.durable.running].filter((id) => id !== other);
  const beat = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 500) {
      bench.pass(500);
      bench.beat(1, [other]);
    }
  };
  beat(2 * limits.attemptMissingMs);
  expect([...bench.state.durable.running]).toEqual([other, held]);
  bench.hold = () => false;
  bench.release();
  expect(bench.takeTasks().map(({ attemptId }) => attemptId)).toEqual([held]);
  // It was sent, and is not there all the same.
  beat(limits.attemptMissingMs + 1_000);
  expect(bench.state.durable.attempts.get(held)?.state).toBe("lost");
  expect(bench.takeTasks()).toHaveLength(1);
});
