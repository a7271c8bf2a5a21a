/** Rows in kept streams that are nobody's: found by what is there, whoever was to remove them. */
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { carryOut } from "../sim/executor-model.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const run = `usage.${day}.r1`;

/** A leader with the first two map tasks of a day out. */
function started(): { bench: Bench; done: SentTask; open: SentTask } {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  const [done, open] = bench.takeTasks();
  if (done === undefined || open === undefined) throw new Error("two tasks were sent");
  return { bench, done, open };
}

/** One of the two tasks has won, the other has written rows and goes on when the run is cancelled. */
function cancelled(): { bench: Bench; winner: string; loser: string } {
  const { bench, done, open } = started();
  bench.finish(done);
  carryOut(bench.memory, open.work, open.delivery);
  bench.cancel(run);
  return { bench, winner: done.attemptId, loser: open.attemptId };
}

function successor(old: Bench): Bench {
  const next = new Bench(old.memory, "c2");
  next.at = old.at;
  return next;
}

function written(bench: Bench): string[] {
  const all = [...bench.memory.streams.values()].flatMap((stream) => [...stream.keys()]);
  return [...new Set(all)].sort();
}

function looks(bench: Bench): (readonly string[])[] {
  return bench.effects.flatMap((one) => (one.kind === "listWriters" ? [one.streams] : []));
}

/** A moment after which everything that is due has been looked at. */
const soon = limits.purgeAfterMs + limits.leftoversLookEveryMs + limits.tickEveryMs;

describe("the rows of a loser", () => {
  test("are found by the next leader when the one that was to remove them is gone", () => {
    const { bench, winner, loser } = cancelled();
    expect(written(bench)).toEqual([winner, loser].sort());
    const next = successor(bench).lead();
    // It leads, and gives whoever does not know yet a moment to stop.
    expect(written(next)).toEqual([winner, loser].sort());
    next.pass(soon);
    expect(written(next)).toEqual([winner]);
  });

  test("are found when the leader was gone before its run had ended", () => {
    const { bench, done, open } = started();
    bench.finish(done);
    carryOut(bench.memory, open.work, open.delivery);
    bench.hold = (ask) => ask.kind === "commit";
    bench.cancel(run);
    const next = successor(bench).lead();
    next.pass(soon);
    expect(next.run().state).toBe("cancelled");
    expect(written(next)).toEqual([done.attemptId]);
  });

  test("that come after the look are found by the next round", () => {
    const { bench, winner } = cancelled();
    bench.pass(soon, [1]);
    for (const stream of bench.memory.streams.values()) stream.set("late-e1-9", ["cut off"]);
    bench.pass(soon, [1]);
    expect(written(bench)).toContain("late-e1-9");
    bench.pass(limits.leftoversRoundEveryMs, [1]);
    expect(written(bench)).toEqual([winner]);
  });

  test("are removed a part at a time when they are many", () => {
    const { bench, winner } = cancelled();
    const names = Array.from({ length: limits.leftoversRemovedMax + 50 }, (_, n) => `l-e1-${n}`);
    for (const stream of bench.memory.streams.values()) {
      for (const name of names) stream.set(name, ["rows"]);
    }
    bench.pass(limits.purgeAfterMs + limits.tickEveryMs, [1]);
    const purges = bench.effects.flatMap((one) => (one.kind === "purgeStreams" ? [one] : []));
    expect(purges.map(({ streams }) => streams.length)).toEqual([1, 1]);
    expect(purges.map(({ attempts }) => attempts.length)).toEqual([100, 100]);
    expect(written(bench)).toHaveLength(1 + 1 + 50);
    bench.pass(limits.leftoversLookEveryMs + limits.tickEveryMs, [1]);
    expect(written(bench)).toEqual([winner]);
  });
});

describe("a look", () => {
  test("leaves the streams of a live run alone, under its next leader, too", () => {
    const { bench, open } = started();
    carryOut(bench.memory, open.work, open.delivery);
    const next = successor(bench).lead();
    next.attach(1, { runningAttempts: [open.attemptId] });
    next.pass(limits.leftoversRoundEveryMs + soon, [1]);
    expect(looks(next)).toEqual([]);
    expect(written(next)).toContain(open.attemptId);
  });

  test("whose answer comes when the day is run again removes nothing", () => {
    const { bench, winner, loser } = cancelled();
    bench.hold = (ask) => ask.kind === "listWriters";
    bench.pass(soon, [1]);
    expect(bench.heldAsks).toHaveLength(1);
    bench.submit("usage", { requestId: "again" });
    const [task] = bench.takeTasks();
    if (task === undefined) throw new Error("a task was sent");
    carryOut(bench.memory, task.work, task.delivery);
    bench.hold = () => false;
    bench.release();
    bench.pass(soon, [1]);
    expect(written(bench)).toEqual([winner, loser, task.attemptId].sort());
  });

  test("that failed is made again", () => {
    const { bench, winner } = cancelled();
    const away = failure("unavailable", "nobody answers");
    bench.override = (ask) =>
      ask.kind === "listWriters" ? { kind: "failed", failure: away } : undefined;
    bench.pass(soon, [1]);
    bench.override = () => undefined;
    expect(written(bench)).not.toEqual([winner]);
    bench.pass(soon, [1]);
    expect(written(bench)).toEqual([winner]);
  });

  test("at a stream that can't be reached does not keep the others from being cleaned", () => {
    const { bench, winner, loser } = cancelled();
    const [gone = "", other = ""] = bench.memory.streams.keys();
    const away = failure("unavailable", "nobody answers", { stream: gone });
    bench.override = (ask) =>
      ask.kind === "listWriters" && ask.streams.includes(gone)
        ? { kind: "failed", failure: away }
        : undefined;
    bench.pass(2 * soon, [1]);
    expect([...(bench.memory.streams.get(other)?.keys() ?? [])]).toEqual([winner]);
    expect([...(bench.memory.streams.get(gone)?.keys() ?? [])]).toEqual([winner, loser]);
    bench.override = () => undefined;
    bench.pass(limits.leftoversRoundEveryMs + soon, [1]);
    expect(written(bench)).toEqual([winner]);
  });

  test("at many more than fit between two rounds comes to each of them, also beside one that is gone", () => {
    const { bench } = cancelled();
    const [scope, kept] = [...bench.state.durable.kept][0] ?? [];
    if (scope === undefined || kept === undefined) throw new Error("something is kept");
    const looksBetween = limits.leftoversRoundEveryMs / limits.leftoversLookEveryMs;
    const count = Math.ceil(1.1 * looksBetween * limits.leftoversStreamsPerLookMax);
    const streams = Array.from({ length: count }, (_, n) => `many-${n}`);
    bench.state.durable.kept.delete(scope);
    bench.state.durable.kept.set("many", { ...kept, exchanges: [{ exchange: "x0", streams }] });
    const away = failure("unavailable", "nobody answers", { stream: "many-0" });
    const asked = new Set<string>();
    bench.override = (ask) => {
      if (ask.kind !== "listWriters") return undefined;
      if (ask.streams.includes("many-0")) return { kind: "failed", failure: away };
      for (const stream of ask.streams) asked.add(stream);
      return undefined;
    };
    bench.pass(3 * limits.leftoversRoundEveryMs, [1]);
    expect(streams.filter((stream) => !asked.has(stream))).toEqual(["many-0"]);
  });

  test("waits while a run is being planned: a lost journal may know less than lies there", () => {
    const { bench, winner } = cancelled();
    bench.hold = (ask) => ask.kind === "planJob";
    bench.submit("usage", { day: "2026-01-14" });
    bench.effects = [];
    bench.pass(soon, [1]);
    expect(looks(bench)).toEqual([]);
    bench.hold = () => false;
    bench.release();
    bench.pass(soon, [1]);
    expect(written(bench)).toContain(winner);
    expect(looks(bench)).toHaveLength(1);
  });

  test("whose answer comes while a run is being planned is made again after that", () => {
    const { bench, winner, loser } = cancelled();
    bench.hold = (ask) => ask.kind === "listWriters";
    bench.pass(soon, [1]);
    const looked = bench.heldAsks;
    bench.heldAsks = [];
    bench.hold = (ask) => ask.kind === "planJob";
    bench.submit("usage", { day: "2026-01-14" });
    const planning = bench.heldAsks;
    bench.heldAsks = looked;
    bench.hold = () => false;
    bench.release();
    expect(written(bench)).toEqual([winner, loser].sort());
    bench.heldAsks = planning;
    bench.release();
    bench.pass(soon, [1]);
    expect(written(bench)).toContain(winner);
    expect(written(bench)).not.toContain(loser);
  });

  test("is made soon by a leader that led before", () => {
    const { bench, winner } = cancelled();
    bench.pass(soon, [1]);
    expect(written(bench)).toEqual([winner]);
    const hint = { coordinator: "c2", address: "c2:1", beat: 1 };
    bench.post({ kind: "leaderHeard", epoch: bench.state.epochSeen + 1, ...hint });
    expect(bench.state.role.kind).toBe("standby");
    for (const stream of bench.memory.streams.values()) stream.set("late-e1-9", ["cut off"]);
    bench.lead();
    bench.pass(soon);
    expect(written(bench)).toEqual([winner]);
  });

  test("is at a few streams, and the next one goes on where it stopped", () => {
    const { bench } = cancelled();
    const [kept] = bench.state.durable.kept.values();
    if (kept === undefined) throw new Error("something is kept");
    const streams = Array.from({ length: 40 }, (_, n) => `many-${n}`);
    const exchanges = [{ exchange: "x0", streams }];
    bench.state.durable.kept.set("many", { ...kept, exchanges });
    bench.pass(limits.leftoversRoundEveryMs + 5 * limits.leftoversLookEveryMs, [1]);
    const asked = looks(bench).filter((one) => one.some((stream) => stream.startsWith("many-")));
    expect(asked.map((one) => one.length)).toEqual([16, 16, 10]);
    expect(asked.flat().filter((stream) => stream.startsWith("many-"))).toEqual(streams);
  });
});
