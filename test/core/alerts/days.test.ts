// Rules about days, as transcripts of one coordinator: what is found, its words, and what else it keeps quiet about.
import { describe, expect, test } from "vitest";
import type { DayFailed } from "../../../coordinator/core/days/day.ts";
import { planCalendar } from "../../../shared/adapters/calendar.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { dayAfter } from "../../../shared/kernel/time.ts";
import { noNegative, sampleFiles, sampleJob } from "../../sim/sample-job.ts";
import { Bench, day } from "../bench.ts";
import {
  alertConfig,
  atNight,
  daily,
  dayMs,
  hourMs,
  keys,
  later,
  midnight,
  minuteMs,
  openAlerts,
  textOf,
  withAlerts,
} from "./story.ts";

const inputEmpty = {
  kind: "failed",
  failure: { code: "inputEmpty", message: "file 3 is empty" },
} as const;

describe("a run that failed", () => {
  test("is told after its last try, and is over when the day is committed", () => {
    const bench = atNight(withAlerts());
    const broken = (ask: { readonly kind: string; readonly day?: string }) =>
      ask.kind === "listInputs" && ask.day === "2026-01-16" ? inputEmpty : undefined;
    bench.override = broken;
    bench.live(50_000);
    expect(keys(bench)).toEqual(["critical runFailed/usage/2026-01-16/"]);
    expect(textOf(bench, "runFailed")).toBe(
      "usage 2026-01-16: run usage.2026-01-16.r1 failed | file 3 is empty | daymill run usage.2026-01-16.r1",
    );
    bench.override = () => undefined;
    bench.say({ kind: "markDay", job: "usage", day: "2026-01-16", mark: "wanted", reason: "" });
    bench.live(2 * minuteMs);
    expect(keys(bench)).toEqual([]);
  });

  test("is not told while it is tried again by itself", () => {
    const bench = atNight(withAlerts());
    const failure = { code: "timeout", message: "storage hangs" } as const;
    bench.override = (ask) =>
      ask.kind === "listInputs" && ask.day === "2026-01-16"
        ? { kind: "failed", failure }
        : undefined;
    bench.live(50_000);
    expect(bench.state.durable.days.get("usage|2026-01-16")?.failed?.times).toBe(1);
    expect(keys(bench)).toEqual([]);
    bench.override = () => undefined;
    bench.live(2 * minuteMs);
    expect(bench.state.durable.days.get("usage|2026-01-16")?.committed).toBeGreaterThan(0);
    expect(keys(bench)).toEqual([]);
  });

  test("of a job without a schedule is told at once, one that was cancelled is not", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.override = (ask) => (ask.kind === "listInputs" ? inputEmpty : undefined);
    bench.submit();
    bench.live(10_000);
    expect(keys(bench)).toEqual([`critical runFailed/usage/${day}/`]);
    bench.override = () => undefined;
    bench.submit(sampleJob(), { day: "2026-01-14" });
    bench.cancel("usage.2026-01-14.r1");
    bench.live(10_000);
    expect(keys(bench)).toEqual([`critical runFailed/usage/${day}/`]);
  });
});

describe("checks", () => {
  /** A run of a day whose check finds three rows. */
  function checked(severity: "warn" | "block" | "quarantine"): Bench {
    const bench = atNight(withAlerts(), "no job");
    bench.submit(sampleJob({ checks: [{ ...noNegative, severity }] }));
    for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
      for (const task of tasks) {
        if (task.work.kind !== "check") bench.finish(task);
        else {
          const counters = { rowsIn: 1, bytesIn: 1, rowsOut: 1, bytesOut: 1, elapsedMs: 1 };
          bench.report(task, {
            kind: "done",
            outputs: [],
            files: [],
            accounts: [],
            counters: { ...counters, peakMemoryBytes: 1 },
            checkValue: "3",
          });
        }
      }
    }
    bench.live(10_000);
    return bench;
  }
  const gave = "check no-negative on totals gave 3, expected 0";
  const next = `daymill run usage.${day}.r1`;

  test.each([
    ["block", "critical", `run usage.${day}.r1 was stopped by check no-negative`],
    ["quarantine", "critical", `run usage.${day}.r1 is in quarantine by check no-negative`],
    ["warn", "warning", "check no-negative was not kept; the day is committed"],
  ] as const)("that %s: one alert, and none for the run", (severity, how, what) => {
    const bench = checked(severity);
    expect(keys(bench)).toEqual([`${how} checkFailed/usage/${day}/no-negative`]);
    expect(textOf(bench, "checkFailed")).toBe(`usage ${day}: ${what} | ${gave} | ${next}`);
  });

  test("a release ends it, and so does a day after a warning", () => {
    const held = checked("quarantine");
    held.releaseRun(`usage.${day}.r1`);
    held.live(70_000);
    expect(keys(held)).toEqual([]);
    const warned = checked("warn");
    later(warned, 24 * hourMs);
    warned.live(minuteMs);
    expect(keys(warned)).toEqual([]);
  });
});

describe("a deadline", () => {
  const due = (changes: Partial<JobSpec> = {}) => daily({ finishBy: "01:02", ...changes });

  test("is missed by a day whose run hangs, and not by days that were due before the job was known", () => {
    const bench = withAlerts();
    bench.memory.finishAfterMs = 2 * minuteMs;
    atNight(bench, due());
    bench.pass(4 * minuteMs, [1]);
    expect(keys(bench)).toEqual(["critical deadlineMissed/usage/2026-01-17/"]);
    expect(textOf(bench, "deadlineMissed")).toBe(
      "usage 2026-01-17 is late: it was to be done at 2026-01-18 01:02 UTC | " +
        "running: usage.2026-01-17.r1: running, 0 of 6 tasks | daymill watch usage.2026-01-17.r1",
    );
    // What was sent so far is carried out: the day is committed, late.
    bench.live(90_000);
    expect(keys(bench)).toEqual([]);
  });

  test("will be missed, by the usual time of the job's runs", () => {
    const bench = withAlerts();
    bench.memory.finishAfterMs = 2 * hourMs;
    // Runs of the backlog take two and a half hours; the newest day has two.
    bench.wallFrom = midnight - 2 * hourMs;
    bench.lead();
    bench.attach(1, { slots: 8 });
    bench.register(due({ backlogDays: 1 }));
    bench.pass(40_000, [1]);
    const tasks = bench.takeTasks();
    bench.wallFrom += 150 * minuteMs;
    for (const task of tasks) bench.finish(task);
    bench.live(2_000);
    bench.wallFrom += 30 * minuteMs;
    bench.pass(2 * minuteMs, [1]);
    expect(keys(bench)).toContain("warning deadlineProjected/usage/2026-01-17/");
    expect(textOf(bench, "deadlineProjected")).toMatch(
      /^usage 2026-01-17 will be late by \d+ min.*: it is to be done at 2026-01-18 03:00 UTC \| running: /,
    );
  });

  test("of a model is told with its name, and not beside the day's own", () => {
    const bench = withAlerts();
    const models = { finishByModel: { totals: "01:01" } };
    const starts = bench.override;
    bench.override = (ask) => {
      if (ask.kind !== "planCalendar") return starts(ask);
      const startMs = midnight + hourMs;
      const finishByModelMs = { totals: startMs + minuteMs };
      const opensMs = midnight - 24 * hourMs;
      const finishByMs = startMs + 3 * minuteMs;
      const one = { day: "2026-01-17", startMs, opensMs, finishByMs, finishByModelMs };
      return { kind: "calendar", starts: [one] };
    };
    atNight(bench, due(models));
    bench.pass(3 * minuteMs, [1]);
    expect(keys(bench)).toEqual(["critical deadlineMissed/usage/2026-01-17/totals"]);
    bench.pass(3 * minuteMs, [1]);
    expect(keys(bench)).toEqual([
      "critical deadlineMissed/usage/2026-01-17/totals (inhibited)",
      "critical deadlineMissed/usage/2026-01-17/",
    ]);
  });
});

describe("a deadline that a job is given later", () => {
  const models = [...daily().models, { name: "segments", sql: "SELECT 2", file: "segments.sql" }];
  const edited = daily({ models, finishByModel: { segments: "01:30" }, finishBy: "03:00" });

  /** By the calendar itself. */
  const planned: Bench["override"] = (ask) =>
    ask.kind === "planCalendar"
      ? { kind: "calendar", starts: planCalendar({ ...ask, startsMax: 400 }) }
      : undefined;

  test("calls nobody for days on which it was past already, and counts from the next one on", () => {
    const bench = withAlerts();
    bench.override = planned;
    atNight(bench, daily());
    bench.live(100_000);
    // Half past one.
    bench.wallFrom += 40 * minuteMs;
    bench.register(edited);
    bench.live(20_000);
    expect(keys(bench)).toEqual([]);
    const { warned, passedOver } = bench.state.durable.days.get("usage|2026-01-16") ?? {};
    const missed = ["missed", "missed segments"];
    expect([warned, passedOver]).toEqual([missed, missed]);
    bench.wallFrom += dayMs;
    bench.live(20_000);
    expect(keys(bench)).toContain("critical deadlineMissed/usage/2026-01-18/segments");
  });

  test("calls for days that were to be done by some time before: it is only moved", () => {
    const bench = withAlerts();
    bench.override = planned;
    atNight(bench, daily({ finishBy: "03:00" }));
    bench.pass(100_000, [1]);
    // Half past one, and the day's run hangs.
    bench.wallFrom += 40 * minuteMs;
    bench.register(daily({ finishBy: "01:30" }));
    bench.pass(20_000, [1]);
    expect(keys(bench)).toContain("critical deadlineMissed/usage/2026-01-17/");
  });
});

describe("input", () => {
  /** The newest day has these files, and no more come. */
  function waiting(files: number, job: JobSpec): Bench {
    const bench = new Bench(undefined, "c1", alertConfig());
    bench.memory.lookedAt.set("ipdr|2026-01-17", sampleFiles(files));
    bench.memory.finishAfterMs = 45 * minuteMs;
    atNight(bench, job);
    bench.live(90_000);
    return bench;
  }
  const counted = daily({ finishBy: "01:45", ready: { ipdr: { by: "count", value: "4" } } });

  test("is missing past its grace: one alert, also when the deadline passes", () => {
    const bench = waiting(0, daily({ finishBy: "01:45" }));
    later(bench, 20 * minuteMs);
    expect(keys(bench)).toEqual([]);
    later(bench, 15 * minuteMs);
    expect(keys(bench)).toEqual(["critical inputMissing/usage/2026-01-17/"]);
    expect(textOf(bench, "inputMissing")).toMatch(
      /^usage 2026-01-17: no input \| ipdr: no file .* \| daymill backlog usage$/,
    );
    later(bench, 20 * minuteMs);
    expect(bench.state.durable.days.get("usage|2026-01-17")?.warned).toContain("missed");
    expect(keys(bench)).toEqual(["critical inputMissing/usage/2026-01-17/"]);
    // The files come, and the day is late by itself until it is made.
    bench.memory.lookedAt.set("ipdr|2026-01-17", sampleFiles(4));
    bench.live(3 * minuteMs);
    expect(keys(bench)).toEqual([]);
  });

  test("comes at last: until it lies still that is the same alert, and no other one", () => {
    const bench = waiting(0, daily({ ready: counted.ready ?? {} }));
    later(bench, 35 * minuteMs);
    expect(textOf(bench, "inputMissing")).toMatch(/^usage 2026-01-17: no input \|/);
    bench.memory.lookedAt.set("ipdr|2026-01-17", sampleFiles(4));
    const open = new Set<string>();
    const words = new Set<string>();
    for (let passed = 0; passed < 5 * minuteMs; passed += 5_000) {
      bench.live(5_000);
      for (const key of keys(bench)) open.add(key);
      words.add(textOf(bench, "inputMissing"));
    }
    expect([...open]).toEqual(["critical inputMissing/usage/2026-01-17/"]);
    expect([...words].filter((text) => text.includes("has come"))).toEqual([
      "usage 2026-01-17: its input has come, and is still changing | " +
        "ipdr: 4 of at least 4 files; 4 not seen unchanged for 30 s, first raw/day=2026-01-15/part-0.csv | daymill backlog usage",
    ]);
    expect(keys(bench)).toEqual([]);
  });

  test("is not all there", () => {
    const bench = waiting(3, counted);
    later(bench, 35 * minuteMs);
    expect(keys(bench)).toEqual(["critical inputIncomplete/usage/2026-01-17/"]);
    expect(textOf(bench, "inputIncomplete")).toMatch(
      /^usage 2026-01-17: not all of its input is there, and it waits \| ipdr: 3 of at least 4 files/,
    );
  });

  test("is not all there, and the day was made without it", () => {
    const rule = { by: "count", value: "5", completeness: 0.5, grace: "10m" } as const;
    const bench = waiting(3, daily({ ready: { ipdr: rule } }));
    later(bench, 12 * minuteMs);
    bench.live(minuteMs);
    expect(keys(bench).filter((key) => key.includes("-17"))).toEqual([
      "warning inputIncomplete/usage/2026-01-17/",
    ]);
    expect(textOf(bench, "inputIncomplete")).toMatch(/lacks 1 of its files \| 1 file missing in/);
  });
});

describe("a day that does not start", () => {
  test("because its run can't be made", () => {
    const bench = withAlerts();
    bench.override = (ask) =>
      ask.kind === "planJob" && bench.wallFrom + bench.at > midnight + hourMs
        ? { kind: "failed", failure: { code: "sqlRefused", message: "no such column x" } }
        : undefined;
    atNight(bench);
    bench.live(70_000);
    expect(keys(bench)).toEqual([]);
    later(bench, 31 * minuteMs);
    bench.live(10_000);
    expect(keys(bench)).toEqual(["critical runNotStarted/usage/2026-01-17/"]);
    expect(textOf(bench, "runNotStarted")).toMatch(
      /^usage 2026-01-17 has no run, and was ready 3\d min.* ago \| no such column x \| daymill backlog usage$/,
    );
  });
});

test("days that wait in the backlog are counted", () => {
  const bench = withAlerts();
  for (const date of ["14", "15", "16", "17"]) {
    bench.memory.lookedAt.set(`ipdr|2026-01-${date}`, []);
  }
  atNight(bench, daily({ backlogDays: 3 }));
  const backlog = () => keys(bench).filter((key) => key.includes("backlog"));
  bench.live(90_000);
  // A job that was made known has days to catch up: that alone is nothing to call anybody for.
  expect(backlog()).toEqual([]);
  later(bench, 35 * minuteMs);
  expect(backlog()).toEqual(["warning backlogGrowing/usage//"]);
  expect(textOf(bench, "backlogGrowing")).toMatch(
    /^usage: 3 days of the backlog are to be made \| the oldest is 2026-01-14, missing input: ipdr: no file/,
  );
  bench.memory.lookedAt.clear();
  bench.live(3 * minuteMs);
  expect(backlog()).toEqual([]);
});

test("more than can be told one by one are counted in one alert, and no other rule is left out", () => {
  const bench = atNight(withAlerts(), "no job");
  bench.submit();
  bench.work();
  const { days } = bench.state.durable;
  const failed: DayFailed = {
    run: "usage.r1",
    code: "inputEmpty",
    message: "empty",
    times: 1,
    digests: {},
    jobDigest: "d",
    wallMs: bench.wallFrom,
  };
  let of = "2020-01-01";
  for (let count = 0; count < 1_100; count++, of = dayAfter(of)) {
    const about = { job: "usage", day: of, highest: 1, committed: 0, datasets: [] };
    days.set(`usage|${of}`, { ...about, splits: new Map(), failed });
  }
  bench.pass(20_000);
  const open = openAlerts(bench);
  expect(open.length).toBeLessThanOrEqual(limits.alertsOpenMax);
  const rest = open.find(({ subject }) => subject === "all others");
  const shown = open.filter(({ rule }) => rule === "runFailed").length - 1;
  expect(rest?.summary).toBe(`${1_100 - shown} more of runFailed than can be told one by one`);
  expect(keys(bench)).toContain("critical executorsFew///");
});
