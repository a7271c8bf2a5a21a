// What a backfill does with its days, by values: what is wanted, what becomes of a day, which are next, what is refused.
import { describe, expect, test } from "vitest";
import {
  type BackfillView,
  isWanted,
  judgeBackfillDay,
  stepsOf,
  wrongWish,
} from "../../../coordinator/core/days/backfill.ts";
import {
  foldBackfillDays,
  foldBackfillStarted,
  withoutTaken,
} from "../../../coordinator/core/days/fold-backfills.ts";
import type { DeskRecord } from "../../../coordinator/core/durable.ts";
import {
  type Backfill,
  type BackfillWish,
  daysOfBackfill,
} from "../../../shared/kernel/backfill.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { dayAfter } from "../../../shared/kernel/time.ts";

const wish: BackfillWish = {
  job: "usage",
  from: "2026-01-10",
  to: "2026-01-13",
  redo: "missing",
  order: "oldest",
  concurrency: 2,
  by: "ann",
  reason: "",
};

const backfill = (changes: Partial<Backfill> = {}): Backfill => ({
  ...wish,
  id: "usage.b1",
  requestId: "one",
  wallMs: 0,
  state: "running",
  before: {},
  days: {},
  ...changes,
});

const view = (changes: Partial<BackfillView> = {}): BackfillView => ({
  committed: 0,
  highest: 0,
  live: undefined,
  stopped: undefined,
  refused: undefined,
  input: { verdict: "ready", reason: "4 files", missing: 0, isFinal: true },
  ...changes,
});

const failed = (revision: number, changes: Partial<NonNullable<BackfillView["failed"]>> = {}) => ({
  revision,
  message: `r${revision} failed: file 3 is empty`,
  isSameJob: true,
  retryMs: undefined,
  ...changes,
});

describe("days", () => {
  test("go on over months, leap days and years", () => {
    const after = ["2026-01-30", "2026-01-31", "2024-02-28", "2026-02-28", "2025-12-31"];
    expect(after.map(dayAfter)).toEqual([
      "2026-01-31",
      "2026-02-01",
      "2024-02-29",
      "2026-03-01",
      "2026-01-01",
    ]);
  });

  test("of a backfill are in its order, and no more are named than one over the limit", () => {
    const days = ["2026-01-10", "2026-01-11", "2026-01-12", "2026-01-13"];
    expect(daysOfBackfill(wish, 400)).toEqual(days);
    expect(daysOfBackfill({ ...wish, order: "newest" }, 400)).toEqual(days.reverse());
    expect(daysOfBackfill({ ...wish, from: "0001-01-01" }, 400)).toHaveLength(401);
  });
});

describe("what is wanted", () => {
  test.each([
    ["missing", view(), true, "it has no revision"],
    ["missing", view({ committed: 2, highest: 2 }), false, "revision 2 is there"],
    ["missing", view({ live: "r1: running" }), true, "it has no revision"],
    ["failed", view(), false, "no run of it has failed; it has no revision"],
    [
      "failed",
      view({ highest: 1, failed: failed(1) }),
      true,
      "its last run failed: r1 failed: file 3 is empty",
    ],
    // The journal that knew why is lost.
    ["failed", view({ highest: 1 }), true, "its last run failed: revision 1 was not committed"],
    [
      "failed",
      view({ highest: 2, live: "r2: running" }),
      false,
      "a run is under way (r2: running)",
    ],
    ["all", view({ committed: 1, highest: 1 }), true, "revision 1 is there"],
  ] as const)("%s: %#", (redo, known, isTrue, reason) => {
    expect(isWanted(redo, known)).toEqual({ isWanted: isTrue, reason });
  });
});

describe("a day whose turn has come", () => {
  const day = "2026-01-10";
  const judge = (known: BackfillView, changes: Partial<Backfill> = {}, nowMs = 1_000) =>
    judgeBackfillDay(backfill(changes), day, known, nowMs);
  const settled = (outcome: object) => ({ kind: "settle", outcome });

  test("runs when its input is there, with gaps where that is enough", () => {
    expect(judge(view())).toEqual({ kind: "run", missing: 0, reason: "4 files" });
    const gaps = { verdict: "gaps", reason: "3 of 4 files", missing: 1, isFinal: true } as const;
    expect(judge(view({ input: gaps }))).toMatchObject({ kind: "run", missing: 1 });
  });

  test("is looked at first, and again while its files change; without files it is skipped", () => {
    expect(judge(view({ input: undefined }))).toMatchObject({ kind: "look" });
    const input = { verdict: "waiting", reason: "ipdr: no file yet", missing: 0 } as const;
    expect(judge(view({ input: { ...input, isFinal: false } }))).toMatchObject({ kind: "look" });
    expect(judge(view({ input: { ...input, isFinal: true } }))).toEqual(
      settled({ state: "skipped", reason: "missing input: ipdr: no file yet" }),
    );
  });

  test("is done by what was committed since the start, whoever made it", () => {
    expect(judge(view({ committed: 1, highest: 1 }))).toEqual(
      settled({ state: "done", revision: 1 }),
    );
    const before = { [day]: { committed: 1, highest: 2 } };
    // Revision 2 was under way when everything was to be made again: it may have begun with the old form.
    const two = view({ committed: 2, highest: 2 });
    expect(judge(two, { redo: "all", before })).toMatchObject({ kind: "run" });
    expect(judge(two, { redo: "failed", before })).toMatchObject(settled({ state: "done" }));
    const three = view({ committed: 3, highest: 3 });
    expect(judge(three, { redo: "all", before })).toEqual(settled({ state: "done", revision: 3 }));
  });

  test("waits for a run of the day, whoever started it", () => {
    const known = view({ live: "usage.2026-01-10.r1: running" });
    expect(judge(known)).toEqual({ kind: "wait", reason: "usage.2026-01-10.r1: running" });
    expect(judge(known, { state: "cancelled" })).toMatchObject({ kind: "wait" });
  });

  test("has failed when its run did for good, and is tried again when that may help", () => {
    const known = view({ highest: 1, failed: failed(1) });
    const outcome = { state: "failed", reason: "r1 failed: file 3 is empty" };
    expect(judge(known)).toEqual(settled(outcome));
    // An older failure is what it was started for.
    const before = { [day]: { committed: 0, highest: 1 } };
    expect(judge(known, { before, redo: "failed" })).toMatchObject({ kind: "run" });
    const passing = view({ highest: 1, failed: failed(1, { retryMs: 61_000 }) });
    expect(judge(passing)).toEqual({
      kind: "wait",
      reason: "r1 failed: file 3 is empty; again in 1 min",
    });
    expect(judge(passing, {}, 61_000)).toMatchObject({ kind: "run" });
    const changed = view({ highest: 1, failed: failed(1, { isSameJob: false }) });
    expect(judge(changed)).toMatchObject({ kind: "run" });
  });

  test("is skipped when somebody holds it, refused for good when it can't be started", () => {
    expect(judge(view({ stopped: "held: bad feed" }))).toEqual(
      settled({ state: "skipped", reason: "held: bad feed" }),
    );
    const refused = { message: "the dataset is another job's", untilMs: 2_000, isFinal: true };
    expect(judge(view({ refused }))).toEqual(
      settled({ state: "failed", reason: "the dataset is another job's" }),
    );
    expect(judge(view({ refused: { ...refused, isFinal: false } }))).toMatchObject({
      kind: "wait",
    });
    expect(judge(view({ refused }), {}, 2_000)).toMatchObject({ kind: "run" });
  });

  test("starts nothing in a backfill that is paused or cancelled", () => {
    const changed = { reason: "maintenance", wallMs: 0 };
    expect(judge(view(), { state: "paused", changed })).toEqual({
      kind: "wait",
      reason: "the backfill is paused: maintenance",
    });
    expect(judge(view(), { state: "cancelled" })).toEqual(
      settled({ state: "skipped", reason: "the backfill was cancelled before it ran" }),
    );
  });
});

describe("the next days", () => {
  const about = { nowMs: 1_000, isPaused: false };
  const unseen = () => view({ input: undefined });

  test("are so many as may be under way, in the order of the backfill", () => {
    const oldest = stepsOf(backfill(), unseen, about);
    expect(oldest.days).toEqual({
      "2026-01-10": { state: "taken" },
      "2026-01-11": { state: "taken" },
    });
    expect(oldest.looks).toEqual(["2026-01-10", "2026-01-11"]);
    const newest = stepsOf(backfill({ order: "newest", concurrency: 1 }), unseen, about);
    expect(Object.keys(newest.days)).toEqual(["2026-01-13"]);
  });

  test("are taken in the place of those that need none", () => {
    const held = (day: string) => (day < "2026-01-12" ? view({ stopped: "held: x" }) : unseen());
    const { days } = stepsOf(backfill({ concurrency: 1 }), held, about);
    expect(Object.entries(days).map(([day, { state }]) => `${day} ${state}`)).toEqual([
      "2026-01-10 skipped",
      "2026-01-11 skipped",
      "2026-01-12 taken",
    ]);
  });

  test("none while the backlog of the job is paused; it is done when each day has its end", () => {
    const days = { "2026-01-10": { state: "taken" } } as const;
    const paused = stepsOf(backfill({ days }), () => view(), { ...about, isPaused: true });
    expect(paused).toMatchObject({ days: {}, starts: [], isDone: false });
    expect(paused.waits.get("2026-01-10")).toBe("the job's backlog is paused");
    const all = () => view({ committed: 1, highest: 1 });
    expect(stepsOf(backfill({ concurrency: 1 }), all, about)).toMatchObject({ isDone: true });
  });
});

describe("what is remembered", () => {
  test("what came of a day is final; what has no end is not put on storage", () => {
    const desk: DeskRecord = { changes: 0 };
    foldBackfillStarted(desk, backfill());
    const fact = { kind: "backfillDays", job: "usage", id: "usage.b1" } as const;
    foldBackfillDays(desk, { ...fact, days: { "2026-01-10": { state: "done", revision: 3 } } });
    foldBackfillDays(desk, {
      ...fact,
      days: { "2026-01-10": { state: "taken" }, "2026-01-11": { state: "taken" } },
    });
    const [known] = desk.backfills ?? [];
    expect(known?.days).toEqual({
      "2026-01-10": { state: "done", revision: 3 },
      "2026-01-11": { state: "taken" },
    });
    expect(withoutTaken(known ?? backfill()).days).toEqual({
      "2026-01-10": { state: "done", revision: 3 },
    });
    expect(desk.changes).toBe(3);
  });

  test("backfills that have ended make room, the oldest first; open ones stay", () => {
    const desk: DeskRecord = { changes: 0 };
    foldBackfillStarted(desk, backfill({ id: "usage.b1" }));
    for (let number = 2; number <= limits.backfillsKept + 2; number++) {
      foldBackfillStarted(desk, backfill({ id: `usage.b${number}`, state: "done" }));
    }
    const ids = desk.backfills?.map(({ id }) => id);
    expect(ids).toHaveLength(limits.backfillsKept);
    expect(ids?.slice(0, 2)).toEqual(["usage.b1", "usage.b4"]);
  });
});

test.each([
  [
    { from: "2026-01-14" },
    "badRequest: the last day 2026-01-13 is before the first one 2026-01-14",
  ],
  [{ to: "tomorrow" }, 'badRequest: day "tomorrow" is not a date; write YYYY-MM-DD'],
  [
    { from: "2024-01-01" },
    "limitExceeded: a backfill has at most 400 days, 2024-01-01 to 2026-01-13 are more; start several, one after the other",
  ],
  [
    { concurrency: 0 },
    "badRequest: from 1 to 8 days of a backfill may be under way at a time, not 0",
  ],
  [
    { concurrency: 9 },
    "badRequest: from 1 to 8 days of a backfill may be under way at a time, not 9",
  ],
])("a wish that makes no sense is refused: %j", (changes, message) => {
  expect(wrongWish(wish)).toBeUndefined();
  const why = wrongWish({ ...wish, ...changes });
  expect(`${why?.code}: ${why?.message}`).toBe(message);
});
