/** Words that come late: an acknowledgement, a success, an append's answer. Each counts for what it was when it was sent. */
import { expect, test } from "vitest";
import { fold } from "../../coordinator/core/fold.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { carryOut } from "../sim/executor-model.ts";
import { Bench, day } from "./bench.ts";

test("a renewal counts from when it was sent: its late answer does not stretch a leadership", () => {
  const bench = new Bench().lead();
  bench.hold = (ask) => ask.kind === "renew";
  bench.pass(limits.renewEveryMs + limits.tickEveryMs);
  const [renewal] = bench.heldAsks;
  if (renewal === undefined) throw new Error("a renewal was sent");
  const sentBy = bench.at;
  bench.pass(limits.stepDownAfterMs - limits.renewEveryMs - 4 * limits.tickEveryMs);
  bench.post({ kind: "answered", id: renewal.id, answer: { kind: "ok" } });
  expect(bench.state.role.kind).toBe("leader");
  bench.pass(sentBy + limits.stepDownAfterMs + limits.tickEveryMs - bench.at);
  expect(bench.state.role.kind).toBe("standby");
});

test("an append's answer lets go of what rests on it, and of nothing decided since", () => {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  const [one, other] = bench.takeTasks();
  if (one === undefined || other === undefined) throw new Error("two tasks were sent");
  const acknowledged = () =>
    bench.commands().flatMap(({ command }) => ("attemptId" in command ? [command.attemptId] : []));
  bench.hold = (ask) => ask.kind === "append";
  bench.finish(one);
  bench.finish(other);
  bench.release();
  expect(acknowledged()).toContain(one.attemptId);
  expect(acknowledged()).not.toContain(other.attemptId);
  bench.release();
  expect(acknowledged()).toContain(other.attemptId);
});

test("an answer that was asked for by an earlier leadership of the process is nobody's", () => {
  const bench = new Bench().lead();
  bench.hold = (ask) => ask.kind === "append";
  bench.submit();
  const [old] = bench.heldAsks;
  if (old === undefined) throw new Error("an append was sent");
  bench.heldAsks = [];
  bench.post({ kind: "leaderHeard", epoch: 7, coordinator: "c7", address: "c7:1", beat: 1 });
  expect(bench.state.role.kind).toBe("standby");
  bench.hold = () => false;
  bench.lead();
  bench.hold = (ask) => ask.kind === "append";
  const reply = bench.submit("usage", { day: "2026-01-16" });
  expect(bench.heldAsks).toHaveLength(1);
  bench.post({ kind: "answered", id: old.id, answer: { kind: "appended", sequence: 99 } });
  expect(bench.replyTo(reply)).toBeUndefined();
  bench.release();
  bench.release();
  expect(bench.replyTo(reply)).toMatchObject({ created: true });
});

test("what waits for several saves leaves whole and in its order", () => {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.attach(2);
  bench.submit();
  const tasks = bench.takeTasks();
  bench.hold = (ask) => ask.kind === "append";
  for (const task of tasks) bench.finish(task);
  const { held } = bench.state.journal;
  const waiting = held.map(({ effect }) => effect);
  expect(new Set(held.map(({ after }) => after)).size).toBeGreaterThan(2);
  bench.effects = [];
  for (let round = 0; round < 3; round++) bench.release();
  expect(bench.effects.filter((effect) => waiting.includes(effect))).toEqual(waiting);
});

test("a success of an attempt that was given up changes nothing once another has won", () => {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  const [lost] = bench.takeTasks();
  if (lost === undefined) throw new Error("a task was sent");
  const outcome = carryOut(bench.memory, lost.work, lost.delivery);
  bench.attach(2, { slots: 4 });
  bench.pass(limits.executorLostMs + 2 * limits.tickEveryMs, [2]);
  const again = bench.takeTasks().find(({ delivery }) => delivery.task === lost.delivery.task);
  if (again === undefined) throw new Error("the lost task was started elsewhere");
  bench.finish(again);
  bench.attach(3, { executor: "e1", runningAttempts: [lost.attemptId] });
  bench.post({ kind: "report", connection: 3, attemptId: lost.attemptId, outcome });
  const { durable } = bench.state;
  const winner = () =>
    durable.runs.get(`usage.${day}.r1`)?.stages[0]?.tasks[lost.delivery.task]?.result?.attemptId;
  expect(winner()).toBe(again.attemptId);
  // Not "done": what it wrote is a loser's, and is removed.
  expect(durable.attempts.get(lost.attemptId)?.state).not.toBe("done");
  const acknowledged = bench.commands().map(({ command }) => command);
  expect(acknowledged).toContainEqual({ kind: "reportAck", attemptId: lost.attemptId });
  // An older leader may have journaled such a success: the fold keeps the first, too.
  if (outcome.kind !== "done") throw new Error("the attempt succeeded");
  fold(durable, {
    kind: "attemptDone",
    attemptId: lost.attemptId,
    success: outcome,
    wallMs: 1,
  });
  expect(winner()).toBe(again.attemptId);
});
