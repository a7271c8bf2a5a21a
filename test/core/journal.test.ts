// Save before you tell: what leaves, when, and what happens when saving fails.
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { Bench } from "./bench.ts";

const unavailable = { kind: "failed", failure: failure("unavailable", "no answer") } as const;

describe("save before you tell", () => {
  test("nothing that rests on a fact leaves before the append was acknowledged", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.hold = (ask) => ask.kind === "append";
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toBeUndefined();
    expect(bench.events()).not.toContain("run.created");
    bench.hold = () => false;
    bench.release();
    expect(bench.replyTo(reply)).toMatchObject({ created: true });
    expect(bench.takeTasks()).toHaveLength(2);
  });

  test("facts decided meanwhile travel together in the next append", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.attach(2);
    bench.submit();
    const tasks = bench.takeTasks();
    bench.hold = (ask) => ask.kind === "append";
    for (const task of tasks) bench.finish(task);
    expect(bench.heldAsks).toHaveLength(1);
    const before = bench.memory.journalLast;
    bench.hold = () => false;
    bench.release();
    expect(bench.memory.journalLast).toBe(before + 2);
  });

  test("a report is acknowledged only when it is saved", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    const [task] = bench.takeTasks();
    if (task === undefined) throw new Error("no task was sent");
    bench.hold = (ask) => ask.kind === "append";
    bench.finish(task);
    expect(bench.commands()).toEqual([]);
    bench.hold = () => false;
    bench.release();
    expect(bench.commands()[0]).toMatchObject({ command: { kind: "reportAck" } });
  });

  test("reads show saved state only, stamped with its sequence", () => {
    const bench = new Bench().lead();
    bench.hold = (ask) => ask.kind === "append";
    bench.submit();
    expect(bench.ask({ kind: "runs", job: "", limit: 1 })).toBeUndefined();
    bench.effects = [];
    bench.hold = () => false;
    bench.release();
    const stamps = bench.effects.flatMap((one) => (one.kind === "reply" ? [one.stamp] : []));
    expect(stamps[0]).toEqual({ epoch: 1, journalSequence: 2, coordinator: "c1" });
  });
});

describe("an append without an answer", () => {
  test("that was saved is found by reading, and not made twice", () => {
    const bench = new Bench().lead();
    let once = true;
    bench.override = (ask) => {
      if (ask.kind !== "append" || !once) return undefined;
      once = false;
      bench.memory.answer(ask, { coordinator: "c1", address: "c1:1" });
      return unavailable;
    };
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toMatchObject({ created: true });
    const texts = bench.memory.journal.map((record) => record.text);
    expect(new Set(texts).size).toBe(texts.length);
  });

  test("that was not saved is made again", () => {
    const bench = new Bench().lead();
    let failures = 3;
    bench.override = (ask) => (ask.kind === "append" && failures-- > 0 ? unavailable : undefined);
    const reply = bench.submit();
    bench.pass(1_000);
    expect(bench.replyTo(reply)).toMatchObject({ created: true });
    expect(bench.state.journal.sequence).toBe(bench.memory.journalLast);
  });

  test("that is refused at once, each time, is not made in a circle, and soon after there is room", () => {
    const bench = new Bench().lead();
    const appends = bench.withoutRoom();
    const reply = bench.submit();
    expect(appends()).toBe(2);
    bench.pass(10_000);
    // After 0, 0, 250, 500 ms, and then every second.
    expect(appends()).toBe(13);
    expect(bench.state.role.kind).toBe("leader");
    bench.override = () => undefined;
    bench.pass(limits.appendRetryMsMax + limits.tickEveryMs);
    expect(bench.replyTo(reply)).toMatchObject({ created: true });
  });

  test("goes on when NATS is back, also when reading failed for a while", () => {
    const bench = new Bench().lead();
    let isAway = true;
    bench.override = (ask) =>
      isAway && (ask.kind === "append" || ask.kind === "readJournal") ? unavailable : undefined;
    const reply = bench.submit();
    bench.pass(500);
    expect(bench.replyTo(reply)).toBeUndefined();
    isAway = false;
    bench.pass(1_000);
    expect(bench.replyTo(reply)).toMatchObject({ created: true });
  });

  test("another's record there ends the leadership; what was held never leaves", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.memory.journalLast++;
    bench.memory.journal.push({ sequence: bench.memory.journalLast, text: "another's" });
    bench.effects = [];
    const reply = bench.submit();
    expect(bench.state.role.kind).toBe("standby");
    expect(bench.replyTo(reply)).toMatchObject({ failure: { code: "noLeader" } });
    expect(bench.events()).toEqual([]);
  });

  test("a journal that went back ends the leadership", () => {
    const bench = new Bench().lead();
    bench.submit();
    bench.memory.loseJournal();
    bench.attach(1);
    expect(bench.state.role.kind).toBe("standby");
  });
});
