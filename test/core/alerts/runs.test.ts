// Rules about how runs go, each figure by itself.
import { describe, expect, test } from "vitest";
import { type DayFigures, rememberFigures } from "../../../coordinator/core/check-history.ts";
import { emptyDurable } from "../../../coordinator/core/durable.ts";
import type { RunSpeed } from "../../../shared/kernel/manifest.ts";
import { carryOut } from "../../sim/executor-model.ts";
import { sampleFiles, sampleJob } from "../../sim/sample-job.ts";
import type { Bench } from "../bench.ts";
import {
  alertConfig,
  atNight,
  daily,
  dayMs,
  hourMs,
  keys,
  midnight,
  minuteMs,
  textOf,
  withAlerts,
} from "./story.ts";

/** Manifests of the days before the one whose run is judged, newest last, and no journal; each as minutes that its run took and bytes of its input. */
function history(
  bench: Bench,
  days: readonly {
    readonly minutes: number;
    readonly bytes?: number;
    readonly rows?: number;
    readonly kind?: RunSpeed["kind"];
  }[],
): void {
  days.forEach(({ minutes, bytes = 400, rows = 40, kind = "live" }, index) => {
    const at = midnight - (days.length - index + 1) * dayMs;
    const day = new Date(at).toISOString().slice(0, 10);
    const endedMs = at + dayMs + 2 * hourMs;
    const source = { source: "ipdr", files: 4, lines: rows, rows, rejects: 0, blank: 0, bytes };
    const run = `usage.${day}.r1`;
    bench.memory.manifests.set(run, {
      version: 1,
      state: "committed",
      run,
      job: "usage",
      day,
      revision: 1,
      replaces: 0,
      epoch: 1,
      coordinator: "c0",
      jobDigest: "d",
      wallMs: endedMs,
      sources: [{ ...source, inputDigest: "" }],
      datasets: [{ dataset: "totals", columns: [], rows: 8, files: [] }],
      rejectFiles: [],
      checks: [],
      speed: { run, durationMs: minutes * minuteMs, rows, kind, endedMs },
    });
  });
}

/** The newest day's run begins and takes so long: what is open just before its end, and a while after it. */
function runFor(
  bench: Bench,
  minutes: number,
): { readonly during: string[]; readonly after: string[] } {
  bench.wallFrom = midnight + hourMs;
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.register(daily({ backlogDays: 1 }));
  bench.pass(40_000, [1]);
  bench.wallFrom += minutes * minuteMs - 60_000;
  bench.pass(20_000, [1]);
  const during = keys(bench);
  bench.work();
  bench.live(90_000);
  return { during, after: keys(bench) };
}

const usual = (count = 10) => Array.from({ length: count }, () => ({ minutes: 40 }));
const slow = "warning runSlow/usage/2026-01-17/";

describe("a slow run", () => {
  test("is found while it runs, and stays for a day after its commit", () => {
    const bench = withAlerts();
    history(bench, usual());
    expect(runFor(bench, 70)).toEqual({ during: [slow], after: [slow] });
    expect(textOf(bench, "runSlow")).toMatch(
      /^usage 2026-01-17: run usage.2026-01-17.r1 took 1 h \d+ min, usual are 40 min \(median of 10 runs\) \| most of the time went into scan ipdr: 1 h .*, with 1 executors \| daymill run usage.2026-01-17.r1$/,
    );
    bench.wallFrom += dayMs;
    bench.memory.lookedAt.set("ipdr|2026-01-18", []);
    bench.live(90_000);
    expect(keys(bench).filter((key) => key.includes("runSlow"))).toEqual([]);
  });

  test("is over when its day is made again, be it from what was mapped before", () => {
    const bench = withAlerts();
    history(bench, usual());
    expect(runFor(bench, 70).after).toEqual([slow]);
    const days = bench.state.durable.days;
    const measured = () => days.get("usage|2026-01-17")?.figures?.speed?.run;
    bench.submit("usage", { rerun: true, day: "2026-01-17" });
    bench.live(90_000);
    expect(days.get("usage|2026-01-17")?.committed).toBe(2);
    expect(measured()).toBe("usage.2026-01-17.r1");
    expect(keys(bench)).toEqual([]);
  });

  test("says while it runs where it stands", () => {
    const bench = withAlerts();
    history(bench, usual());
    bench.wallFrom = midnight + hourMs;
    bench.lead();
    bench.attach(1, { slots: 8 });
    bench.register(daily({ backlogDays: 1 }));
    bench.pass(40_000, [1]);
    bench.wallFrom += 90 * minuteMs;
    bench.pass(10_000, [1]);
    expect(textOf(bench, "runSlow")).toMatch(
      /has taken 1 h 30 min so far, usual are 40 min .* \| most of the time went into scan ipdr: 0 of 4 tasks in 1 h 30 min, with 1 executors \| daymill watch /,
    );
  });

  test("says that nobody had room for it, where that took longest", () => {
    const bench = withAlerts({ thresholds: { ...alertConfig().thresholds, executorsMin: 0 } });
    history(bench, usual());
    bench.wallFrom = midnight + hourMs;
    bench.lead();
    bench.register(daily({ backlogDays: 1 }));
    bench.pass(40_000);
    bench.wallFrom += 70 * minuteMs;
    bench.attach(1, { slots: 8 });
    bench.live(90_000);
    expect(textOf(bench, "runSlow")).toMatch(
      / took 1 h 10 min, .* \| for 1 h 10 min no task of it could begin: all slots were taken, or there were none \| /,
    );
  });

  test.each([
    { what: "too few runs to compare with", days: usual(6), minutes: 200 },
    { what: "below the floor", days: usual().map(() => ({ minutes: 5 })), minutes: 14 },
    {
      what: "only backfills before it",
      days: usual().map((one) => ({ ...one, kind: "other" as const })),
      minutes: 200,
    },
    {
      what: "only runs that had mapped ahead",
      days: usual().map((one) => ({ ...one, kind: "ahead" as const })),
      minutes: 200,
    },
    {
      what: "a day with twice the input",
      days: usual().map((one) => ({ ...one, bytes: 200, rows: 20 })),
      minutes: 75,
    },
  ])("is not one: $what", ({ days, minutes }) => {
    const bench = withAlerts();
    history(bench, days);
    expect(runFor(bench, minutes)).toEqual({ during: [], after: [] });
  });

  /** Four tasks read a part of it each. */
  const parquet = sampleFiles(1).map((file) => ({ ...file, size: 400 }));

  test.each([
    { bytes: 400, as: "csv", files: sampleFiles(4), slow: ["warning runSlow/usage/2026-01-17/"] },
    { bytes: 400, as: "parquet", files: parquet, slow: ["warning runSlow/usage/2026-01-17/"] },
    { bytes: 200, as: "csv", files: sampleFiles(4), slow: [] },
  ] as const)(
    "of a day that nobody looked at goes by what the run itself found: usual are $bytes bytes, it reads $as",
    (of) => {
      const bench = withAlerts();
      const rows = of.as === "csv" ? {} : { rows: [4 * 122_880] };
      const listed = { source: "ipdr", files: of.files, ...rows };
      bench.override = (ask) =>
        ask.kind === "listInputs"
          ? { kind: "listed", sources: [listed], dimensions: [] }
          : undefined;
      history(
        bench,
        usual().map((one) => ({ ...one, bytes: of.bytes, rows: of.bytes / 10 })),
      );
      atNight(bench, "no job");
      const sources = sampleJob().sources.map((source) => ({ ...source, format: of.as }));
      bench.submit(sampleJob({ sources }), { day: "2026-01-17" });
      expect(bench.takeTasks()).toHaveLength(4);
      bench.pass(10_000, [1]);
      bench.wallFrom += 75 * minuteMs;
      bench.pass(10_000, [1]);
      expect(keys(bench)).toEqual(of.slow);
    },
  );

  test("few records a second on a small day", () => {
    const bench = withAlerts();
    // Ten times the rows in the same time: the run is not slow, its records are.
    history(
      bench,
      usual().map((one) => ({ ...one, rows: 400 })),
    );
    const { after } = runFor(bench, 40);
    expect(after).toContain("warning throughputLow/usage/2026-01-17/");
    expect(textOf(bench, "throughputLow")).toMatch(
      /run usage.2026-01-17.r1 made 0\.01\d records a second, usual are 0\.17 \|/,
    );
  });
});

test("a re-run that takes most of its day from the exchange changes no measure", () => {
  const speed = { run: "usage.2026-01-17.r1", durationMs: 1_000, rows: 40, endedMs: 5 };
  const of = (kind: RunSpeed["kind"], run: string) => ({
    ...{ rows: {}, sources: {} },
    speed: { ...speed, kind, run },
  });
  const record: { job: string; figures?: DayFigures } = { job: "usage" };
  for (const [kind, run] of [
    ["live", "r1"],
    ["other", "r2"],
    ["ahead", "r3"],
    ["other", "r4"],
  ] as const) {
    rememberFigures(emptyDurable(), record, of(kind, run));
  }
  expect(record.figures?.speed?.run).toBe("r3");
});

describe("a trend", () => {
  const trending = (minutes: readonly number[]) => {
    const bench = withAlerts();
    history(bench, [...usual(), ...minutes.map((one) => ({ minutes: one }))]);
    runFor(bench, 40);
    return keys(bench).filter((key) => key.includes("runsSlowing"));
  };

  test("is three slow runs, not one among them", () => {
    expect(trending([55, 55])).toEqual(["critical runsSlowing/usage//"]);
    expect(trending([55, 40])).toEqual([]);
    expect(trending([40, 120])).toEqual([]);
  });

  test("below the floor is none", () => {
    const bench = withAlerts();
    history(bench, [...usual().map(() => ({ minutes: 6 })), { minutes: 10 }, { minutes: 10 }]);
    runFor(bench, 10);
    expect(keys(bench)).toEqual([]);
  });
});

describe("what a day brought", () => {
  const week = (rows: number) =>
    Array.from({ length: 56 }, () => ({ minutes: 1, rows, bytes: rows * 10 }));

  test("is far from other days of its weekday", () => {
    const bench = withAlerts();
    history(bench, week(100));
    const { after } = runFor(bench, 1);
    expect(after).toEqual(["warning volumeOdd/usage/2026-01-17/ipdr"]);
    expect(textOf(bench, "volumeOdd")).toBe(
      "usage 2026-01-17: source ipdr brought 40 rows, 40 % of what is usual | usual are 100 (median of 8 Saturdays) | daymill run usage.2026-01-17.r1",
    );
  });

  test.each([60, 45, 30])("is as usual: 40 rows, %i in the median", (rows) => {
    const bench = withAlerts();
    history(bench, week(rows));
    expect(runFor(bench, 1).after).toEqual([]);
  });

  test("has many rejected lines, once its files are read", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.submit(sampleJob());
    for (const task of bench.takeTasks()) {
      const outcome = carryOut(bench.memory, task.work, task.delivery);
      if (outcome.kind === "failed") throw new Error(outcome.failure.message);
      const rejected = { lines: 100, rows: 99, rejects: 1 };
      const accounts = outcome.accounts.map((account) => ({ ...account, ...rejected }));
      bench.report(task, { ...outcome, accounts });
    }
    bench.pass(5_000, [1]);
    expect(keys(bench)).toEqual(["warning rejectsHigh/usage/2026-01-15/ipdr"]);
    expect(textOf(bench, "rejectsHigh")).toBe(
      "usage 2026-01-15: 1 % of the lines of source ipdr were rejected | " +
        "4 of 400 lines; the _rejects files of run usage.2026-01-15.r1 say why | daymill run usage.2026-01-15.r1",
    );
  });
});
