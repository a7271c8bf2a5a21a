// Backfills: transcripts of one coordinator and those that lead after it.
import { describe, expect, test } from "vitest";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { all, atNoon, lines, noon, only, start, wish } from "./backfill-story.ts";
import { Bench } from "./bench.ts";

/** Time passes, and what was sent is left alone. */
const idle = (bench: Bench, ms: number) => bench.pass(ms, [1]);

function say(bench: Bench, kind: "pause" | "resume" | "cancel", id = "usage.b1") {
  return bench.say({ kind: "backfill", action: { kind, id, reason: "maintenance" } });
}

const runs = (bench: Bench) => [...bench.memory.manifests.keys()].sort();

/** The next leader, after the executors have found it. */
function takeOver(bench: Bench): Bench {
  const next = new Bench(bench.memory, "c2");
  next.wallFrom = noon + bench.at;
  next.lead();
  next.attach(1, { slots: 8 });
  return next;
}

describe("a backfill", () => {
  test("makes the missing days one after the other, also of a job without a schedule", () => {
    const bench = atNoon();
    expect(start(bench)).toMatchObject({
      kind: "backfills",
      backfills: [{ id: "usage.b1", state: "running", by: "ann", toDo: 3, skipped: 1 }],
    });
    idle(bench, 3_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-10 running usage.2026-01-10.r1: running",
      "2026-01-11 skipped revision 1 is there",
      "2026-01-12 to do",
      "2026-01-13 to do",
    ]);
    expect(bench.state.durable.runs.get("usage.2026-01-10.r1")).toMatchObject({
      lane: "backlog",
      origin: "backfill",
    });
    bench.live(20_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-10 done r1",
      "2026-01-11 skipped revision 1 is there",
      "2026-01-12 done r1",
      "2026-01-13 done r1",
    ]);
    expect(only(bench)).toMatchObject({ state: "done", toDo: 0, done: 3, skipped: 1 });
    expect(bench.memory.desks.get("usage")?.desk.backfills?.[0]?.state).toBe("done");
    bench.live(60_000);
    expect(runs(bench)).toHaveLength(4);
  });

  test("makes all days again, the newest first, so many at a time", () => {
    const bench = atNoon();
    start(bench, { redo: "all", order: "newest", concurrency: 2 });
    idle(bench, 3_000);
    expect(only(bench).days.map(({ day, state }) => `${day} ${state}`)).toEqual([
      "2026-01-13 running",
      "2026-01-12 running",
      "2026-01-11 to do",
      "2026-01-10 to do",
    ]);
    bench.live(20_000);
    expect(runs(bench)).toEqual(
      ["10.r1", "11.r1", "11.r2", "12.r1", "13.r1"].map((run) => `usage.2026-01-${run}`),
    );
  });

  test("looks first: a day without files is skipped, and nothing is started for it", () => {
    const bench = new Bench();
    bench.memory.lookedAt.set("ipdr|2026-01-12", []);
    atNoon(bench);
    start(bench);
    bench.live(20_000);
    expect(lines(only(bench))[2]).toBe("2026-01-12 skipped missing input: ipdr: no file yet");
    expect(only(bench)).toMatchObject({ state: "done", done: 2, skipped: 2 });
    expect(runs(bench).filter((run) => run.includes("-12."))).toEqual([]);
  });

  test("looks again: what was seen when the day was still in the window counts no more", () => {
    const bench = atNoon(new Bench(), sampleJob({ schedule: "0 1 * * *", backlogDays: 1 }));
    bench.live(20_000);
    expect(runs(bench)).toContain("usage.2026-01-18.r1");
    // Ten days on the folder is empty.
    bench.wallFrom += 10 * 86_400_000;
    bench.memory.lookedAt.set("ipdr|2026-01-18", []);
    start(bench, { from: "2026-01-18", to: "2026-01-18", redo: "all" });
    bench.live(20_000);
    expect(lines(only(bench))).toEqual(["2026-01-18 skipped missing input: ipdr: no file yet"]);
  });

  test("remembers which days have failed, and makes those again on command", () => {
    const bench = atNoon();
    const failure = { code: "inputEmpty", message: "file 3 is empty", detail: {} } as const;
    bench.override = (ask) =>
      ask.kind === "listInputs" && ask.day === "2026-01-12"
        ? { kind: "failed", failure }
        : undefined;
    start(bench);
    bench.live(20_000);
    expect(lines(only(bench))[2]).toBe(
      "2026-01-12 failed usage.2026-01-12.r1 failed: file 3 is empty",
    );
    expect(only(bench)).toMatchObject({ state: "done", done: 2, failed: 1, skipped: 1 });
    bench.override = () => undefined;
    start(bench, { redo: "failed" }, "two");
    bench.live(10_000);
    const [second, first] = all(bench).toSorted((a, b) => (a.id < b.id ? 1 : -1));
    expect(first).toMatchObject({ id: "usage.b1", failed: 1 });
    expect(second).toMatchObject({ id: "usage.b2", done: 1, skipped: 3 });
    expect(second && lines(second)[2]).toBe("2026-01-12 done r2");
  });

  test("waits for a run of the day that somebody else has started, and makes none beside it", () => {
    const bench = atNoon();
    bench.submit("usage", { day: "2026-01-10", requestId: "theirs" });
    start(bench);
    idle(bench, 5_000);
    expect(lines(only(bench))[0]).toBe("2026-01-10 running usage.2026-01-10.r1: running");
    bench.live(20_000);
    expect(lines(only(bench))[0]).toBe("2026-01-10 done r1");
    expect(runs(bench).filter((run) => run.includes("-10."))).toEqual(["usage.2026-01-10.r1"]);
  });
});

describe("a dry run", () => {
  test("tells what would become of each day, and changes nothing", () => {
    const bench = atNoon();
    const before = JSON.stringify([...bench.state.durable.desks]);
    const reply = bench.say({
      kind: "backfill",
      action: { kind: "start", requestId: "dry", dryRun: true, wish },
    });
    if (reply?.kind !== "backfills") throw new Error(JSON.stringify(reply));
    const [plan] = reply.backfills;
    expect(plan).toMatchObject({ id: "", state: "dry run", toDo: 3, skipped: 1 });
    expect(plan && lines(plan)).toEqual([
      "2026-01-10 to do it has no revision",
      "2026-01-11 skipped revision 1 is there",
      "2026-01-12 to do it has no revision",
      "2026-01-13 to do it has no revision",
    ]);
    bench.live(20_000);
    expect(JSON.stringify([...bench.state.durable.desks])).toBe(before);
    expect(runs(bench)).toHaveLength(1);
  });
});

describe("what people say about a backfill", () => {
  test("pause and resume: what runs goes on, no other day begins meanwhile", () => {
    const bench = atNoon();
    start(bench);
    idle(bench, 3_000);
    expect(say(bench, "pause")).toMatchObject({ backfills: [{ state: "paused" }] });
    bench.live(20_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-10 done r1",
      "2026-01-11 skipped revision 1 is there",
      "2026-01-12 to do",
      "2026-01-13 to do",
    ]);
    expect(only(bench)).toMatchObject({ state: "paused", changed: "maintenance" });
    say(bench, "resume");
    bench.live(20_000);
    expect(only(bench)).toMatchObject({ state: "done", done: 3 });
    expect(say(bench, "pause")).toMatchObject({
      failure: {
        code: "conflict",
        message: "backfill usage.b1 is done already; start another one for its days",
      },
    });
  });

  test("cancel: what runs is followed to its end, and its days are free for another one", () => {
    const bench = atNoon();
    start(bench);
    idle(bench, 3_000);
    say(bench, "cancel");
    bench.live(20_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-10 done r1",
      "2026-01-11 skipped revision 1 is there",
      "2026-01-12 to do",
      "2026-01-13 to do",
    ]);
    expect(only(bench).state).toBe("cancelled");
    expect(start(bench, {}, "two")).toMatchObject({ backfills: [{ id: "usage.b2", toDo: 2 }] });
    bench.live(20_000);
    expect(runs(bench)).toHaveLength(4);
  });

  test("is on storage before it is confirmed, and the same request is the same backfill", () => {
    const bench = atNoon();
    bench.hold = ({ kind }) => kind === "saveDesk";
    expect(start(bench)).toBeUndefined();
    expect(start(bench)).toBeUndefined();
    expect(bench.memory.desks.get("usage")).toBeUndefined();
    bench.hold = () => false;
    bench.release();
    expect(bench.memory.desks.get("usage")?.desk.backfills).toHaveLength(1);
    expect(start(bench)).toMatchObject({ backfills: [{ id: "usage.b1" }] });
    expect(all(bench)).toHaveLength(1);
  });

  test("a request that comes twice before it is answered is one backfill, too", () => {
    const bench = atNoon();
    bench.hold = ({ kind }) => kind === "planCalendar";
    start(bench);
    start(bench);
    bench.effects = [];
    bench.hold = () => false;
    bench.release();
    const replies = bench.effects.flatMap((one) => (one.kind === "reply" ? [one.result] : []));
    expect(replies).toHaveLength(2);
    for (const reply of replies) expect(reply).toMatchObject({ backfills: [{ id: "usage.b1" }] });
    expect(all(bench)).toHaveLength(1);
  });

  test("a day that is held when its turn comes is skipped; a paused backlog stops backfills, too", () => {
    const bench = atNoon(new Bench(), sampleJob({ schedule: "0 1 * * *", backlogDays: 1 }));
    const about = { kind: "markDay", job: "usage", day: "2026-01-12" } as const;
    bench.say({ ...about, mark: "held", reason: "bad feed" });
    const pause = { kind: "pauseBacklog", job: "usage", reason: "" } as const;
    bench.say({ ...pause, paused: true });
    start(bench);
    bench.live(20_000);
    expect(only(bench)).toMatchObject({ toDo: 3, skipped: 1 });
    bench.say({ ...pause, paused: false });
    bench.live(20_000);
    expect(lines(only(bench))[2]).toBe("2026-01-12 skipped held: bad feed");
    expect(only(bench)).toMatchObject({ state: "done", done: 2, skipped: 2 });
  });

  test("words that make no sense are refused", () => {
    const bench = atNoon();
    const refusals = [
      start(bench, { job: "other" }),
      start(bench, { from: "2026-01-14" }),
      start(bench, { to: "2026-01-20" }),
      start(bench, { to: "2027-01-01" }),
      start(bench, { from: "2024-01-01" }),
      start(bench, { concurrency: 9 }),
      start(bench, {}, ""),
      start(bench, {}, "x".repeat(201)),
      say(bench, "pause", "usage.b7"),
    ];
    start(bench, {}, "one");
    refusals.push(start(bench, { from: "2026-01-13", to: "2026-01-15" }, "two"));
    const texts = refusals.map((reply) =>
      reply?.kind === "failed" ? reply.failure.message : reply?.kind,
    );
    expect(texts).toEqual([
      'job "other" is not known; known jobs: usage',
      "the last day 2026-01-13 is before the first one 2026-01-14",
      "day 2026-01-20 is not over yet in UTC: the last one that a backfill may have is 2026-01-19",
      "day 2027-01-01 is not over yet in UTC: the last one that a backfill may have is 2026-01-19",
      "a backfill has at most 400 days, 2024-01-01 to 2026-01-13 are more; start several, one after the other",
      "from 1 to 8 days of a backfill may be under way at a time, not 9",
      "a backfill needs a request id of 1 to 200 characters",
      "a backfill needs a request id of 1 to 200 characters",
      'backfill "usage.b7" is not known; there is none',
      "backfill usage.b1 (running) has days 2026-01-10 to 2026-01-13 already: wait for its end, or cancel it (daymill backfill-cancel usage.b1)",
    ]);
    expect(start(bench, { from: "2026-01-14", to: "2026-01-19" }, "three")).toMatchObject({
      backfills: [{ id: "usage.b2" }],
    });
  });
});

describe("a new leader in the middle", () => {
  /** Stopped after so many milliseconds, with a run under way or none. */
  test.each([1_000, 2_000, 3_000, 4_000, 5_000, 7_000])("after %i ms: each day once", (ms) => {
    const bench = atNoon();
    start(bench, { redo: "all" });
    bench.live(ms);
    const next = takeOver(bench);
    next.live(40_000);
    expect(only(next)).toMatchObject({ state: "done", done: 4, skipped: 0, failed: 0 });
    expect(runs(next)).toEqual(
      ["10.r1", "11.r1", "11.r2", "12.r1", "13.r1"].map((run) => `usage.2026-01-${run}`),
    );
  });

  test.each([1_000, 2_000, 3_000, 4_000, 5_000, 7_000])(
    "after %i ms and without the journal: no day twice, none left out",
    (ms) => {
      const bench = atNoon();
      // The accounts of what comes of the days do not reach storage: manifests have to tell.
      start(bench, { redo: "all" });
      bench.hold = ({ kind }) => kind === "saveDesk";
      bench.live(ms);
      bench.memory.loseJournal();
      bench.memory.snapshot = undefined;
      const next = takeOver(bench);
      next.live(40_000);
      expect(only(next)).toMatchObject({ id: "usage.b1", state: "done", done: 4, by: "ann" });
      expect(runs(next)).toEqual(
        ["10.r1", "11.r1", "11.r2", "12.r1", "13.r1"].map((run) => `usage.2026-01-${run}`),
      );
    },
  );

  test("what was paused stays so", () => {
    const bench = atNoon();
    start(bench);
    say(bench, "pause");
    bench.memory.loseJournal();
    const next = takeOver(bench);
    next.live(20_000);
    expect(only(next)).toMatchObject({ state: "paused", toDo: 3, changed: "maintenance" });
    say(next, "resume");
    next.live(20_000);
    expect(only(next)).toMatchObject({ state: "done", done: 3 });
  });
});

test("a backfill of a scheduled job and its window do not make a day twice", () => {
  const bench = new Bench();
  bench.wallFrom = noon;
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.memory.inputs = sampleFiles(4);
  bench.register(sampleJob({ schedule: "0 1 * * *", backlogDays: 3 }));
  start(bench, { from: "2026-01-14", to: "2026-01-19", concurrency: 4 });
  bench.live(60_000);
  expect(runs(bench)).toEqual(
    ["14", "15", "16", "17", "18", "19"].map((day) => `usage.2026-01-${day}.r1`),
  );
  expect(only(bench)).toMatchObject({ state: "done", done: 6 });
});
