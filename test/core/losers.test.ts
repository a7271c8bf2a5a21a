/** What losing attempts left in the exchange is removed; what a winner wrote never is. */
import { describe, expect, test } from "vitest";
import { spare } from "../../coordinator/core/losers.ts";
import type { Ask } from "../../coordinator/core/protocol.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { carryOut } from "../sim/executor-model.ts";
import { Bench, day, type SentTask } from "./bench.ts";

/** A bench that leads, with a submitted day and its first two map tasks out. */
function started(): { bench: Bench; tasks: SentTask[] } {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  return { bench, tasks: bench.takeTasks() };
}

function purged(bench: Bench): string[] {
  return bench.effects.flatMap((one) => (one.kind === "purgeStreams" ? one.attempts : []));
}

/** Attempts that have messages in any stream. */
function written(bench: Bench): string[] {
  const all = [...bench.memory.streams.values()].flatMap((stream) => [...stream.keys()]);
  return [...new Set(all)].sort();
}

function winners(bench: Bench): string[] {
  const outputs = [...bench.state.durable.kept.values()].flatMap((kept) => [
    ...kept.outputs.values(),
  ]);
  return outputs.map((output) => output.attemptId).sort();
}

function first(tasks: readonly SentTask[]): SentTask {
  const [task] = tasks;
  if (task === undefined) throw new Error("a task was sent");
  return task;
}

describe("an attempt", () => {
  test("that failed is removed from every stream of its exchange, after the failure is saved", () => {
    const { bench, tasks } = started();
    const task = first(tasks);
    carryOut(bench.memory, task.work, task.delivery);
    bench.hold = (ask) => ask.kind === "append";
    bench.fail(task, failure("workerLost", "it crashed"));
    expect(purged(bench)).toEqual([]);
    bench.hold = () => false;
    bench.release();
    const asks = bench.effects.filter((one): one is Ask => one.kind === "purgeStreams");
    expect(asks).toMatchObject([
      { streams: task.delivery.outputs[0]?.streams, attempts: [task.attemptId] },
    ]);
    expect(written(bench)).toEqual([]);
  });

  test("that was lost is removed some time after another has won, and can't win any more", () => {
    const { bench, tasks } = started();
    bench.attach(2, { slots: 4 });
    const lost = first(tasks);
    const outcome = carryOut(bench.memory, lost.work, lost.delivery);
    bench.pass(limits.executorLostMs + 200, [2]);
    bench.effects = bench.effects.filter((one) => one.kind === "toExecutor");
    const again = bench
      .takeTasks()
      .find((task) => task.connection === 2 && task.delivery.task === lost.delivery.task);
    if (again === undefined) throw new Error("the lost task was not started elsewhere");
    bench.finish(again);
    expect(purged(bench)).toEqual([]);
    expect(written(bench)).toContain(lost.attemptId);
    bench.pass(limits.purgeAfterMs, [2]);
    expect(purged(bench)).toContain(lost.attemptId);
    expect(written(bench)).not.toContain(lost.attemptId);
    expect(written(bench)).toContain(again.attemptId);
    // The winner's rows are lost now: a late success of the removed attempt must not take its place.
    const attempt = again.attemptId;
    bench.attach(3, { executor: "e1", runningAttempts: [lost.attemptId] });
    for (const stream of bench.memory.streams.values()) stream.delete(attempt);
    const where = { run: `usage.${day}.r1`, stage: 0, task: lost.delivery.task };
    expect(bench.state.durable.attempts.get(lost.attemptId)?.state).toBe("failed");
    bench.post({ kind: "report", connection: 3, attemptId: lost.attemptId, outcome });
    const { stages } = bench.state.durable.runs.get(where.run) ?? { stages: [] };
    expect(stages[0]?.tasks[where.task]?.result?.attemptId).toBe(attempt);
  });

  test("that reports late, after it was cancelled, is removed then", () => {
    const { bench, tasks } = started();
    const [slow, other] = tasks;
    if (slow === undefined || other === undefined) throw new Error("two tasks were sent");
    bench.finish(other);
    const winner = bench.state.durable.attempts.get(other.attemptId);
    expect(winner?.state).toBe("done");
    bench.fail(slow, failure("cancelled", "told to stop"));
    bench.fail(slow, failure("cancelled", "told to stop"));
    expect(purged(bench)).toEqual([slow.attemptId, slow.attemptId]);
  });

  test("that won is not removed by whatever is reported of it later", () => {
    const { bench, tasks } = started();
    const task = first(tasks);
    bench.finish(task);
    bench.finish(task);
    bench.fail(task, failure("workerLost", "it crashed after its work"));
    bench.pass(limits.purgeAfterMs + 200, [1]);
    expect(purged(bench)).toEqual([]);
    expect(written(bench)).toEqual([task.attemptId]);
  });
});

describe("at the end of a run", () => {
  test("kept streams hold what is kept and nothing else", () => {
    const { bench, tasks } = started();
    const [one, other] = tasks;
    if (one === undefined || other === undefined) throw new Error("two tasks were sent");
    bench.finish(one);
    carryOut(bench.memory, other.work, other.delivery);
    bench.cancel(`usage.${day}.r1`);
    expect(written(bench)).toEqual([one.attemptId, other.attemptId].sort());
    bench.pass(limits.purgeAfterMs + 200, [1]);
    expect(written(bench)).toEqual([one.attemptId]);
    expect(winners(bench)).toEqual([one.attemptId]);
  });

  test("a former winner goes too, once nobody reads it", () => {
    const { bench, tasks } = started();
    for (const task of tasks) bench.finish(task);
    for (const task of bench.takeTasks()) bench.finish(task);
    const reduces = bench.takeTasks();
    const reduce = first(reduces);
    for (const task of reduces.slice(1)) bench.finish(task);
    const attempt = reduce.delivery.inputs[0]?.winners[0]?.attemptId ?? "";
    bench.fail(reduce, failure("exchangeShort", "rows are missing", { attempt, stream: "s" }));
    bench.pass(limits.retryBackoffMsMax, [1]);
    for (let round = 0; round < 5; round++) {
      bench.work();
      bench.pass(1_000, [1]);
    }
    expect(bench.run().state).toBe("committed");
    bench.pass(limits.purgeAfterMs + 200, [1]);
    expect(winners(bench)).not.toContain(attempt);
    expect(written(bench)).toEqual(winners(bench));
  });

  test("outputs that can't be kept are removed as well", () => {
    const { bench, tasks } = started();
    const task = first(tasks);
    bench.rejectsFile = `${task.delivery.stagingDir}/_rejects.parquet`;
    bench.finish(task);
    bench.cancel(`usage.${day}.r1`);
    bench.pass(limits.purgeAfterMs + 200, [1]);
    expect(winners(bench)).toEqual([]);
    expect(written(bench)).toEqual([]);
  });
});

test("a removal that waits for its time spares attempts that were found again meanwhile", () => {
  const { state } = new Bench().lead();
  const purge = (attempts: readonly string[]) => ({
    ask: { kind: "purgeStreams" as const, id: 0, streams: ["x"], attempts },
    purpose: { kind: "background" as const },
    tries: 0,
    at: 5_000,
  });
  state.retries = [purge(["found", "lost"]), purge(["found"])];
  spare({ state, at: 0, wall: 0, effects: [] }, new Set(["found"]));
  expect(state.retries).toEqual([purge(["lost"])]);
});
