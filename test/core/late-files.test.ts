/** Files that come for days before the window: written down and told once, and the day is left alone. Transcripts of one leader. */
import { describe, expect, test } from "vitest";
import { emptyDurable } from "../../coordinator/core/durable.ts";
import { fold } from "../../coordinator/core/fold.ts";
import type { Effect } from "../../coordinator/core/protocol.ts";
import { must } from "../../shared/kernel/assert.ts";
import type { LateFileStatus } from "../../shared/kernel/late.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const midnight = Date.parse("2026-01-18T00:00:00Z");
const roundMs = (limits.lateDaysBackMax / limits.lateDaysPerLookMax) * limits.lateLookEveryMs;

const daily = (backlogDays = 2) => sampleJob({ schedule: "0 1 * * *", backlogDays });

/** A leader at 02:00 of 18 January, whose days 15, 16 and 17 are done: they are its window. */
function atWork(bench = new Bench()): Bench {
  // A run reads what a look shows.
  bench.override = (ask) => {
    if (ask.kind !== "listInputs") return undefined;
    const files = bench.memory.lookedAt.get(`ipdr|${ask.day}`) ?? sampleFiles(4);
    return { kind: "listed", sources: [{ source: "ipdr", files }], dimensions: [] };
  };
  bench.wallFrom = midnight + 2 * hourMs;
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.register(daily());
  live(bench, 120_000);
  bench.effects = [];
  return bench;
}

function live(bench: Bench, ms: number): Effect[] {
  const all: Effect[] = [];
  const until = bench.at + ms;
  while (bench.at < until) {
    bench.pass(Math.min(5_000, until - bench.at), [1]);
    all.push(...bench.effects);
    bench.work();
  }
  return all;
}

/** One round over all days, as fast as they can be looked at. */
function round(bench: Bench): Effect[] {
  const all: Effect[] = [];
  for (let n = 0; n < limits.lateDaysBackMax / limits.lateDaysPerLookMax; n++) {
    bench.state.desk.late.nextAt = 0;
    all.push(...live(bench, limits.tickEveryMs));
  }
  return all;
}

/** One file more than was there, with the time of now. */
function deliver(bench: Bench, day: string, name: string): FileFingerprint {
  const key = `ipdr|${day}`;
  const ns = `${bench.wallFrom + bench.at}000000`;
  const file = { path: `raw/day=${day}/${name}`, size: 50, mtimeNs: "1", ctimeNs: ns, inode: name };
  const there = bench.memory.lookedAt.get(key) ?? sampleFiles(4);
  bench.memory.lookedAt.set(key, [...there, file]);
  return file;
}

const told = (effects: readonly Effect[]) =>
  effects.flatMap((effect) =>
    effect.kind === "publishEvent" && effect.event === "file.late"
      ? [`${effect.job} ${effect.day} ${String(effect.data["file"])}`]
      : [],
  );

function late(bench: Bench): readonly LateFileStatus[] {
  const reply = bench.ask({ kind: "late", job: "usage" });
  if (reply?.kind !== "late") throw new Error(JSON.stringify(reply));
  return reply.late.files;
}

const listed = (bench: Bench) =>
  late(bench).map(({ day, path, revision, readBy }) => `${day} ${path} r${revision} ${readBy}`);

const runsOf = (bench: Bench, day: string) =>
  [...bench.memory.manifests.values()].filter((one) => one.day === day).map(({ run }) => run);

describe("a file for a day before the window", () => {
  test("is told once and listed, and its day is not opened", () => {
    const bench = atWork();
    expect(told(round(bench))).toEqual([]);
    deliver(bench, "2026-01-10", "late-1.csv");
    const line = "raw/day=2026-01-10/late-1.csv";
    expect(told(round(bench))).toEqual([`usage 2026-01-10 ${line}`]);
    expect(told([...round(bench), ...round(bench)])).toEqual([]);
    expect(listed(bench)).toEqual([`2026-01-10 ${line} r0 0`]);
    expect(bench.backlog().late).toBe(1);
    expect(runsOf(bench, "2026-01-10")).toEqual([]);
    expect(bench.state.durable.days.has("usage|2026-01-10")).toBe(false);
    deliver(bench, "2026-01-10", "late-2.csv");
    expect(told(round(bench))).toEqual(["usage 2026-01-10 raw/day=2026-01-10/late-2.csv"]);
  });

  test("is another one when it is delivered again with other bytes", () => {
    const bench = atWork();
    const file = deliver(bench, "2026-01-10", "late.csv");
    round(bench);
    const again = { ...file, size: 51, ctimeNs: `${bench.wallFrom + bench.at}000000` };
    bench.memory.lookedAt.set("ipdr|2026-01-10", [...sampleFiles(4), again]);
    expect(told(round(bench))).toHaveLength(1);
    expect(late(bench).map(({ bytes }) => bytes)).toEqual([51, 50]);
  });

  test("of the window is none: its day runs again; when the day has left the window, a later one is", () => {
    const bench = atWork();
    deliver(bench, "2026-01-15", "more.csv");
    expect(told(live(bench, 150_000))).toEqual([]);
    expect(runsOf(bench, "2026-01-15").at(-1)).toMatch(/r[2-9]$/);
    const revision = runsOf(bench, "2026-01-15").length;
    bench.at += 2 * dayMs;
    bench.lead();
    bench.attach(2, { slots: 8, incarnation: 2 });
    bench.pass(60_000, [2]);
    expect(told(round(bench))).toEqual([]);
    deliver(bench, "2026-01-15", "too-late.csv");
    expect(told(round(bench))).toEqual(["usage 2026-01-15 raw/day=2026-01-15/too-late.csv"]);
    expect(listed(bench)[0]).toMatch(new RegExp(`too-late.csv r${revision} 0$`));
    expect(runsOf(bench, "2026-01-15")).toHaveLength(revision);
  });

  test("that was there before anybody looked is none", () => {
    const bench = new Bench();
    const old = { ...sampleFiles(1)[0], ctimeNs: `${midnight - dayMs}000000` } as FileFingerprint;
    bench.memory.lookedAt.set("ipdr|2026-01-10", [old]);
    atWork(bench);
    expect(told(round(bench))).toEqual([]);
  });

  test("is seen at once when upstream says that it is there, and read when the day is made again", () => {
    const bench = atWork();
    deliver(bench, "2026-01-10", "late.csv");
    bench.effects = [];
    bench.say({ kind: "delivered", job: "usage", day: "2026-01-10", source: "" });
    expect(told(live(bench, 1_000))).toHaveLength(1);
    bench.submit("usage", { day: "2026-01-10" });
    bench.work();
    round(bench);
    expect(listed(bench)).toEqual(["2026-01-10 raw/day=2026-01-10/late.csv r0 1"]);
  });
});

describe("a file that is none", () => {
  test("a run of its day is under way, which reads it; what that has not read is told when it is over", () => {
    const bench = atWork();
    const hold = bench.hold;
    deliver(bench, "2026-01-10", "in-time.csv");
    bench.pass(10_000, [1]);
    bench.hold = ({ kind }) => kind === "listInputs";
    bench.submit("usage", { day: "2026-01-10" });
    expect(told(round(bench))).toEqual([]);
    bench.hold = hold;
    bench.release();
    deliver(bench, "2026-01-10", "after-its-listing.csv");
    const tasks = bench.takeTasks();
    bench.state.desk.late.nextAt = 0;
    bench.pass(limits.tickEveryMs, [1]);
    expect(listed(bench)).toEqual([]);
    for (const task of tasks) bench.finish(task);
    bench.work();
    expect(told(round(bench))).toEqual([
      "usage 2026-01-10 raw/day=2026-01-10/after-its-listing.csv",
    ]);
    expect(listed(bench)).toEqual(["2026-01-10 raw/day=2026-01-10/after-its-listing.csv r1 0"]);
  });

  test("its day is not before a window that is not known, or that has not begun", () => {
    const bench = new Bench();
    bench.wallFrom = midnight + 2 * hourMs;
    bench.hold = ({ kind }) => kind === "planCalendar";
    bench.lead();
    bench.attach(1, { slots: 8 });
    bench.register(daily());
    live(bench, 1_000);
    deliver(bench, "2026-01-17", "today.csv");
    bench.effects = [];
    bench.say({ kind: "delivered", job: "usage", day: "2026-01-17", source: "" });
    expect(told(live(bench, 2_000))).toEqual([]);
    expect(listed(bench)).toEqual([]);
    bench.hold = () => false;
    bench.release();
    // Now it is.
    deliver(bench, "2026-01-10", "late.csv");
    bench.effects = [];
    bench.say({ kind: "delivered", job: "usage", day: "2026-01-10", source: "" });
    expect(told(live(bench, 2_000))).toEqual(["usage 2026-01-10 raw/day=2026-01-10/late.csv"]);
  });
});

test("a day that has come into a longer window while it was looked at is not told: it is made again", () => {
  const bench = atWork();
  deliver(bench, "2026-01-13", "late.csv");
  bench.hold = (ask) => ask.kind === "lookAtDay" && ask.day === "2026-01-13";
  bench.say({ kind: "delivered", job: "usage", day: "2026-01-13", source: "" });
  expect(told(live(bench, 2_000))).toEqual([]);
  expect(bench.heldAsks).toHaveLength(1);
  bench.register(daily(6));
  bench.pass(1_000, [1]);
  bench.effects = [];
  bench.hold = () => false;
  bench.release();
  expect([told(live(bench, 2_000)), listed(bench)]).toEqual([[], []]);
});

describe("what is known", () => {
  test("is on storage, and the next leader tells nothing twice, with the journal or without", () => {
    for (const isLost of [false, true]) {
      const bench = atWork();
      deliver(bench, "2026-01-10", "late.csv");
      expect(told(round(bench))).toHaveLength(1);
      expect(bench.memory.desks.get("usage")?.desk.late?.total).toBe(1);
      if (isLost) {
        bench.memory.loseJournal();
        bench.memory.snapshot = undefined;
      }
      const next = new Bench(bench.memory, "c2");
      next.at = bench.at;
      next.wallFrom = bench.wallFrom;
      next.lead();
      next.attach(1, { slots: 8, incarnation: 2 });
      expect(told([...round(next), ...round(next)])).toEqual([]);
      expect(listed(next)).toHaveLength(1);
      deliver(next, "2026-01-11", "later.csv");
      expect(told(round(next))).toHaveLength(1);
    }
  });

  test("has a bound: more files are told over several looks, and the newest are listed, each told once", () => {
    const bench = atWork();
    const many = limits.lateFilesKept + limits.lateFilesPerLookMax + 7;
    for (let n = 0; n < many; n++) deliver(bench, "2026-01-10", `f${n}`);
    const seen = told(Array.from({ length: 8 }, () => round(bench)).flat());
    expect(seen).toHaveLength(many);
    expect(new Set(seen).size).toBe(many);
    expect(late(bench)).toHaveLength(limits.lateFilesKept);
    expect(bench.backlog().late).toBe(many);
    bench.at += 60_000;
    bench.lead();
    bench.attach(2, { slots: 8, incarnation: 2 });
    deliver(bench, "2026-01-10", "one-more");
    expect(told(live(bench, 2 * roundMs))).toEqual([
      "usage 2026-01-10 raw/day=2026-01-10/one-more",
    ]);
  });

  test("has a bound, too, where each day has late files: days that nobody looks at any more are forgotten", () => {
    const durable = emptyDurable();
    const file = must(sampleFiles(1)[0], "a file");
    const about = { kind: "lateFound", job: "usage", source: "ipdr", files: [file] } as const;
    const first = Date.parse("2025-01-01T00:00:00Z");
    const dayOf = (n: number) => new Date(first + n * dayMs).toISOString().slice(0, 10);
    // Each once, and not in their order: 401 is a prime.
    for (let n = 1; n <= 400; n++) {
      const day = dayOf(((7 * n) % 401) - 1);
      fold(durable, { ...about, day, digest: "d", revision: 1, wallMs: n });
    }
    const { days = {}, total } = durable.desks.get("usage")?.late ?? {};
    const last = Array.from({ length: limits.lateDaysBackMax }, (_, n) => dayOf(310 + n));
    expect([Object.keys(days), total]).toEqual([last, 400]);
  });

  test("costs a slow look: so many days in so much time, each as often as the others", () => {
    const bench = atWork();
    const days: string[] = [];
    const before = bench.override;
    bench.override = (ask) => {
      const purpose = ask.kind === "lookAtDay" && bench.state.asked.get(ask.id)?.purpose;
      if (purpose && purpose.kind === "lateLook") days.push(purpose.day);
      return before(ask);
    };
    live(bench, 2 * roundMs);
    expect(days).toHaveLength(2 * limits.lateDaysBackMax);
    expect(new Set(days).size).toBe(limits.lateDaysBackMax);
    expect(days.every((of) => of < "2026-01-15")).toBe(true);
    expect([...days].sort()[0]).toBe("2025-10-17");
  });
});
