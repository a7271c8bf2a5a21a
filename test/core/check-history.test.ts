/** What is usual for a weekday: the judgement by values, and the figures that a leader remembers for it. */
import { describe, expect, test } from "vitest";
import {
  type DayFigures,
  figuresOf,
  judgeFigure,
  medianOf,
  rememberFigures,
  usualOf,
  weekdayOf,
} from "../../coordinator/core/check-history.ts";
import { emptyDurable } from "../../coordinator/core/durable.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import type { CheckSpec } from "../../shared/kernel/check.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const dayMs = 86_400_000;

/** The day so many days after 2026-01-01, a Thursday. */
function dayAt(index: number): string {
  return new Date(Date.UTC(2026, 0, 1) + index * dayMs).toISOString().slice(0, 10);
}

/** Days of a feed: weekends have a third of the rows, each day is up to 10 % off, always the same way. */
function noisy(index: number): number {
  const weekday = weekdayOf(dayAt(index));
  const base = weekday === 0 || weekday === 6 ? 30_000 : 90_000;
  const noise = ((index * 7_919) % 2_001) / 1_000 - 1;
  return Math.round(base * (1 + 0.1 * noise));
}

function historyOf(days: number, rows: (index: number) => number, job = "usage") {
  const durable = emptyDurable();
  for (let index = 0; index < days; index++) {
    fold(durable, {
      kind: "revisionFound",
      job,
      day: dayAt(index),
      revision: 1,
      state: "committed",
      datasets: ["totals"],
      figures: { rows: { totals: rows(index) }, sources: { ipdr: { rows: 2 * rows(index) } } },
    });
  }
  return durable;
}

const totals = ({ rows }: DayFigures) => rows["totals"];
const usual = { tolerance: 0.4, floor: 0 } as const;

test("weekdays, also around leap days", () => {
  const days = ["2026-01-01", "2026-11-25", "2024-02-29", "2000-03-01", "1999-12-31"];
  expect(days.map(weekdayOf)).toEqual(days.map((one) => new Date(`${one}T00:00Z`).getUTCDay()));
});

test("the median is not moved by one odd day", () => {
  expect(medianOf([5])).toBe(5);
  expect(medianOf([9, 1, 5])).toBe(5);
  expect(medianOf([100, 104, 96, 1_000_000])).toBe(102);
});

describe("a figure", () => {
  const thursdays = (points: readonly number[]) => ({ weekday: "Thursday", points });
  const eight = thursdays([100, 104, 96, 101, 99, 103, 97, 5_000]);

  test.each([
    [141, "failed"],
    [140, "passed"],
    [61, "passed"],
    [60, "failed"],
    [0, "failed"],
  ])("%i against eight points around 100: %s", (value, state) => {
    expect(judgeFigure(value, eight, usual)).toEqual({
      state,
      bound: "101 ± 40 (median of 8 Thursdays)",
      expected: "expected 101 ± 40 (median of 8 Thursdays)",
    });
  });

  test("within the floor no share is too much: small feeds are noisy", () => {
    expect(judgeFigure(10, thursdays([2, 3, 4, 2, 3, 4, 3]), usual).state).toBe("failed");
    const floored = { ...usual, floor: 20 };
    expect(judgeFigure(10, thursdays([2, 3, 4, 2, 3, 4, 3]), floored).state).toBe("passed");
    expect(judgeFigure(24, thursdays([2, 3, 4, 2, 3, 4, 3]), floored).state).toBe("failed");
  });

  test("is not compared with fewer than seven points, and says so", () => {
    expect(judgeFigure(0, thursdays([1, 2, 3, 4, 5, 6]), usual)).toEqual({
      state: "skipped",
      bound: "nothing yet: 6 of 7 Thursdays",
      expected: "not compared: only 6 earlier Thursdays are known, at least 7 are needed",
    });
    expect(judgeFigure(0, thursdays([1]), usual).expected).toContain("only 1 earlier Thursday is");
    expect(judgeFigure(0, thursdays([]), usual).expected).toContain("no earlier Thursdays are");
    expect(judgeFigure(6, thursdays([5, 5, 5, 5, 5, 5, 5]), usual).state).toBe("passed");
  });

  test("has a least that needs no history", () => {
    const least = { ...usual, atLeast: 1_000 };
    expect(judgeFigure(999, thursdays([]), least)).toMatchObject({
      state: "failed",
      expected: "expected at least 1,000",
    });
    expect(judgeFigure(1_000, thursdays([]), least)).toMatchObject({
      state: "skipped",
      bound: "at least 1,000, nothing yet: 0 of 7 Thursdays",
    });
  });
});

describe("thirty days and more of noise", () => {
  test("thirty days are too few of any weekday: nothing is said", () => {
    const durable = historyOf(30, noisy);
    const found = usualOf(durable, "usage", dayAt(30), totals);
    expect(found.points).toHaveLength(4);
    expect(judgeFigure(0, found, usual).state).toBe("skipped");
  });

  test("from the eighth week on each day passes, half a day and a doubled one do not, whatever the weekday", () => {
    const durable = historyOf(90, noisy);
    for (let index = 49; index < 90; index++) {
      const found = usualOf(durable, "usage", dayAt(index), totals);
      expect(found.points.length, dayAt(index)).toBeGreaterThanOrEqual(7);
      const state = (value: number) => judgeFigure(value, found, usual).state;
      expect([state(noisy(index)), state(noisy(index) * 0.5), state(noisy(index) * 2)]).toEqual([
        "passed",
        "failed",
        "failed",
      ]);
    }
  });

  test("a weekend is compared with weekends", () => {
    const durable = historyOf(90, noisy);
    const saturday = [...Array(7).keys()].map((i) => dayAt(83 + i)).find((d) => weekdayOf(d) === 6);
    const found = usualOf(durable, "usage", saturday ?? "", totals);
    expect(found.weekday).toBe("Saturday");
    expect(judgeFigure(30_000, found, usual).state).toBe("passed");
    expect(judgeFigure(90_000, found, usual).state).toBe("failed");
  });

  test("one dead day in the history changes no judgement", () => {
    const dead = historyOf(90, (index) => (index === 76 ? 0 : noisy(index)));
    const found = usualOf(dead, "usage", dayAt(83), totals);
    expect(found.points[0]).toBe(0);
    expect(judgeFigure(noisy(83), found, usual).state).toBe("passed");
  });

  test("only earlier days of the same job count, and not the day itself", () => {
    const durable = historyOf(90, noisy, "other");
    expect(usualOf(durable, "usage", dayAt(90), totals).points).toEqual([]);
    const own = historyOf(90, noisy);
    expect(usualOf(own, "usage", dayAt(7), totals).points).toEqual([noisy(0)]);
  });
});

describe("what is remembered", () => {
  test("is bounded: the newest days of each job, in whatever order they come", () => {
    const durable = emptyDurable();
    const days = [...Array(limits.checkDaysKept + 30).keys()].reverse().map(dayAt);
    for (const one of days) {
      const facts = {
        job: "usage",
        day: one,
        revision: 1,
        state: "committed",
        datasets: [],
      } as const;
      fold(durable, { kind: "revisionFound", ...facts, figures: figuresOf([], []) });
    }
    const known = [...durable.days.values()].filter(({ figures }) => figures !== undefined);
    expect(known).toHaveLength(limits.checkDaysKept);
    expect(known.map((one) => one.day).sort()[0]).toBe(dayAt(30));
    expect(durable.days.size).toBe(limits.checkDaysKept + 30);
  });

  test("stands in snapshots", () => {
    const durable = historyOf(3, noisy);
    expect(decodeSnapshot(encodeSnapshot(durable))).toEqual(durable);
  });

  test("a later revision takes the place of an earlier one, an earlier one changes nothing", () => {
    const durable = historyOf(1, () => 10);
    const found = {
      kind: "revisionFound",
      job: "usage",
      day: dayAt(0),
      state: "committed",
    } as const;
    const figures = (rows: number) => ({ rows: { totals: rows }, sources: {} });
    fold(durable, { ...found, revision: 3, datasets: ["totals"], figures: figures(30) });
    fold(durable, { ...found, revision: 2, datasets: ["totals"], figures: figures(20) });
    expect(usualOf(durable, "usage", dayAt(7), totals).points).toEqual([30]);
  });

  test("figures that a manifest lacks are left out", () => {
    const record = { job: "usage" } as { job: string; figures?: DayFigures };
    rememberFigures(emptyDurable(), record, figuresOf([], [{ source: "ipdr", rows: 5 }]));
    expect(record.figures).toEqual({ rows: {}, sources: { ipdr: { rows: 5 } } });
  });
});

describe("in a run", () => {
  const head = { severity: "block", tolerance: 0.4, floor: 0 } as const;
  const rows: CheckSpec = { ...head, name: "rows", model: "totals", kind: "rows" };
  const volume: CheckSpec = { ...head, name: "volume", model: "ipdr", kind: "volume", of: "bytes" };

  function committed(bench: Bench, figures: DayFigures): void {
    for (let week = 1; week <= 8; week++) {
      const at = Date.parse(`${day}T00:00Z`) - week * 7 * dayMs;
      const before = new Date(at).toISOString().slice(0, 10);
      bench.memory.manifests.set(`usage.${before}.r1`, {
        version: 1,
        state: "committed",
        run: `usage.${before}.r1`,
        job: "usage",
        day: before,
        revision: 1,
        replaces: 0,
        epoch: 1,
        coordinator: "c0",
        jobDigest: "",
        wallMs: 0,
        sources: [
          {
            source: "ipdr",
            files: 1,
            lines: 1,
            rows: figures.sources["ipdr"]?.rows ?? 0,
            rejects: 0,
            blank: 0,
            bytes: figures.sources["ipdr"]?.bytes ?? 0,
            inputDigest: "",
          },
        ],
        datasets: [
          { dataset: "totals", columns: [], rows: figures.rows["totals"] ?? 0, files: [] },
        ],
        rejectFiles: [],
        checks: [],
      });
    }
  }

  function leaderAfter(figures: DayFigures): Bench {
    const bench = new Bench();
    committed(bench, figures);
    bench.lead();
    bench.attach(1);
    return bench;
  }

  test("a day like the others is committed, with manifests alone as the memory", () => {
    const bench = leaderAfter({ rows: { totals: 9 }, sources: { ipdr: { rows: 40, bytes: 500 } } });
    bench.submit(sampleJob({ checks: [rows, volume] }));
    expect(bench.work().map((work) => work.kind)).not.toContain("check");
    expect(bench.run()).toMatchObject({
      state: "committed",
      checks: [
        {
          name: "rows",
          state: "passed",
          value: "8",
          reason: "has 8 rows, expected 9 ± 4 (median of 8 Thursdays)",
        },
        {
          name: "volume",
          state: "passed",
          value: "400",
          reason: "brought 400 bytes, expected 500 ± 200 (median of 8 Thursdays)",
        },
      ],
    });
  });

  test("a day with a fifth of the rows fails, and becomes no point itself", () => {
    const bench = leaderAfter({
      rows: { totals: 40 },
      sources: { ipdr: { rows: 40, bytes: 400 } },
    });
    bench.submit(sampleJob({ checks: [rows, volume] }));
    bench.work();
    expect(bench.run()).toMatchObject({
      state: "failed",
      failure: {
        code: "checkFailed",
        message: "check rows on totals has 8 rows, expected 40 ± 16 (median of 8 Thursdays)",
      },
    });
    expect(bench.state.durable.days.get(`usage|${day}`)?.figures).toBeUndefined();
  });

  test("a committed day's figures are there for the next leader, from its journal", () => {
    const bench = leaderAfter({ rows: {}, sources: {} });
    bench.submit(sampleJob({ checks: [{ ...rows, severity: "warn" }] }));
    bench.work();
    const figures = {
      rows: { totals: 8 },
      sources: { ipdr: { rows: 40, bytes: 400, lines: 40, rejects: 0 } },
      speed: {
        run: `usage.${day}.r1`,
        durationMs: 0,
        rows: 40,
        kind: "live",
        endedMs: bench.wallFrom + bench.at,
      },
    };
    expect(bench.run()).toMatchObject({ state: "committed", checks: [{ state: "failed" }] });
    expect(bench.state.durable.days.get(`usage|${day}`)?.figures).toEqual(figures);
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    expect(next.state.durable.days.get(`usage|${day}`)?.figures).toEqual(figures);
  });
});
