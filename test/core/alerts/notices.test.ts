// Who is told what and when: groups, intervals, repeats, ends, flaps, silences, quiet hours, backfills.
import { describe, expect, test } from "vitest";
import { planCalendar } from "../../../shared/adapters/calendar.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { Bench } from "../bench.ts";
import {
  alertConfig,
  alertsOf,
  atNight,
  daily,
  dayMs,
  hourMs,
  keys,
  later,
  midnight,
  minuteMs,
  taken,
  withAlerts,
} from "./story.ts";

/** Executors that are lost, by name; others beat. */
function executors(bench: Bench, ...names: readonly string[]): void {
  names.forEach((executor, index) => {
    bench.attach(10 + index, { executor, incarnation: 1 });
  });
  bench.pass(500, [1]);
}

const lost = "executorLost///";

describe("messages", () => {
  test("what comes together is told together, once, and its end as well", () => {
    const bench = atNight(withAlerts(), "no job");
    executors(bench, "e2", "e3");
    bench.live(20_000);
    expect(taken(bench)).toEqual([]);
    bench.live(25_000);
    expect(taken(bench)).toEqual([`chat opened _cluster: ${lost}e2, ${lost}e3`]);
    bench.live(10 * minuteMs);
    // They are forgotten after ten minutes.
    bench.live(6 * minuteMs);
    expect(taken(bench)).toEqual([`chat resolved _cluster: -${lost}e2, -${lost}e3`]);
    bench.live(20 * minuteMs);
    expect(taken(bench)).toEqual([]);
    expect(alertsOf(bench, "history").map(({ key }) => key)).toEqual([`${lost}e3`, `${lost}e2`]);
  });

  test("a change of a group waits for its interval; what is new stands first, then what is over", () => {
    const bench = atNight(withAlerts(), "no job");
    executors(bench, "e2", "e3");
    bench.live(45_000);
    expect(taken(bench)).toHaveLength(1);
    bench.attach(20, { executor: "e2", incarnation: 2 });
    bench.attach(21, { executor: "e4" });
    bench.pass(500, [1, 20, 21]);
    bench.live(4 * minuteMs, [1, 20]);
    expect(taken(bench)).toEqual([]);
    bench.live(minuteMs, [1, 20]);
    expect(taken(bench)).toEqual([`chat opened _cluster: ${lost}e4, -${lost}e2, ${lost}e3`]);
  });

  test("what is critical goes to the pager, too; each channel has an id of its own that stays", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.pass(70_000);
    const [one, other] = bench.memory.taken;
    expect([one?.id, other?.id]).toEqual(["test-e1-n1", "test-e1-n2"]);
    expect(taken(bench)).toEqual([
      "chat opened _cluster: executorsFew///",
      "pager opened _cluster: executorsFew///",
    ]);
  });

  test("what stays open is repeated, by severity", () => {
    const repeatMs = { critical: hourMs, warning: 3 * hourMs, info: 0 };
    const bench = atNight(withAlerts({ repeatMs }), "no job");
    bench.pass(70_000);
    expect(taken(bench)).toHaveLength(2);
    const toPager = () => taken(bench).filter((line) => line.startsWith("pager"));
    later(bench, 50 * minuteMs, []);
    expect(toPager()).toEqual([]);
    later(bench, 10 * minuteMs, []);
    expect(toPager()).toEqual(["pager repeated _cluster: executorsFew///"]);
    later(bench, 59 * minuteMs, []);
    expect(toPager()).toEqual([]);
    later(bench, minuteMs, []);
    expect(toPager()).toEqual(["pager repeated _cluster: executorsFew///"]);
  });

  test("worse is news", () => {
    const bench = atNight(withAlerts(), "no job");
    const GiB = 1024 ** 3;
    bench.memory.room = { usedBytes: 90 * GiB, totalBytes: 100 * GiB };
    bench.pass(minuteMs, [1]);
    expect(taken(bench)).toEqual(["chat opened _cluster: storageNearLimit///"]);
    const full = { code: "storageFull", message: "no space left" } as const;
    bench.override = (ask) =>
      ask.kind === "arrange" ? { kind: "failed", failure: full } : undefined;
    bench.submit();
    bench.live(6 * minuteMs);
    expect(taken(bench)).toEqual([
      "pager opened _cluster: storageNearLimit///",
      "chat opened _cluster: storageNearLimit///",
    ]);
  });

  test("a program that keeps each alert hears of every one, and of every end, message by message", () => {
    const all = ["pager"];
    const route = { severities: [], jobs: [], rules: [], channels: all, goOn: false };
    const bench = atNight(withAlerts({ routes: [route] }), "no job");
    const names = Array.from({ length: 25 }, (_, index) => `x${index + 10}`);
    executors(bench, ...names);
    const heard = new Map<string, boolean>();
    const sizes: number[] = [];
    const listen = (ms: number) => {
      bench.live(ms);
      for (const { alerts } of bench.memory.taken.splice(0)) {
        sizes.push(alerts.length);
        for (const { key, endedMs } of alerts) heard.set(key, endedMs === undefined);
      }
    };
    listen(50_000);
    expect([sizes.splice(0), heard.size]).toEqual([[20], 20]);
    listen(5 * minuteMs);
    expect([sizes.splice(0), heard.size]).toEqual([[20], 25]);
    expect([...heard.values()]).not.toContain(false);
    // They are forgotten after ten minutes.
    listen(20 * minuteMs);
    expect(sizes).toEqual([20, 5]);
    expect([...heard.values()]).not.toContain(true);
  });

  test("a message has so many alerts; the others are counted", () => {
    const bench = atNight(withAlerts(), "no job");
    executors(bench, ...Array.from({ length: 25 }, (_, index) => `x${index + 10}`));
    bench.live(50_000);
    const [notice] = bench.memory.taken;
    expect(notice).toMatchObject({ omitted: 5 });
    expect(notice?.alerts).toHaveLength(limits.alertsPerNoticeMax);
    // All of them are told: none comes again as news.
    bench.memory.taken.length = 0;
    bench.live(6 * minuteMs);
    expect(taken(bench)).toEqual([]);
  });
});

describe("what comes and goes", () => {
  test("for a moment is told to nobody", () => {
    const bench = atNight(withAlerts(), "no job");
    executors(bench, "e2");
    bench.live(12_000);
    expect(keys(bench)).toEqual([`warning ${lost}e2`]);
    bench.attach(20, { executor: "e2", incarnation: 2 });
    bench.live(10 * minuteMs, [1, 20]);
    expect(taken(bench)).toEqual([]);
    expect(keys(bench)).toEqual([]);
  });

  test("again and again is one alert and one message", () => {
    const bench = atNight(withAlerts(), "no job");
    executors(bench, "e2");
    for (let round = 0; round < 20; round++) {
      bench.live(20_000);
      bench.attach(20 + round, { executor: "e2", incarnation: 2 + round });
      bench.live(20_000, [1, 20 + round]);
    }
    expect(taken(bench)).toEqual([`chat opened _cluster: ${lost}e2`]);
    expect(alertsOf(bench, "history")).toEqual([]);
  });

  test("slower than it is held down: messages come an interval apart", () => {
    const bench = atNight(withAlerts(), "no job");
    executors(bench, "e2");
    for (let round = 0; round < 10; round++) {
      bench.live(90_000);
      bench.attach(20 + round, { executor: "e2", incarnation: 2 + round });
      bench.live(90_000, [1, 20 + round]);
    }
    // Half an hour, twenty changes.
    const lines = taken(bench);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.length).toBeLessThanOrEqual(6);
  });
});

describe("a silence", () => {
  const wish = {
    rule: "",
    job: "",
    day: "",
    subject: "",
    by: "ops",
    reason: "maintenance",
  } as const;

  test("keeps what it matches quiet until it ends, and is on storage when it is confirmed", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.hold = ({ kind }) => kind === "saveAlerts";
    const silence = { ...wish, rule: "executorLost", subject: "e2", forMs: hourMs } as const;
    expect(bench.alert({ kind: "silence", silence })).toBeUndefined();
    bench.hold = () => false;
    bench.release();
    expect(bench.memory.alerts?.silences).toMatchObject([{ id: "s1", by: "ops", subject: "e2" }]);
    executors(bench, "e2", "e3");
    bench.live(minuteMs);
    expect(keys(bench)).toEqual([`warning ${lost}e2 (silenced)`, `warning ${lost}e3`]);
    expect(taken(bench)).toEqual([`chat opened _cluster: ${lost}e3`]);
  });

  test("that ends or is taken back lets it be told", () => {
    const silenced = () => {
      const bench = atNight(withAlerts(), "no job");
      const silence = { ...wish, forMs: 3 * minuteMs };
      expect(bench.alert({ kind: "silence", silence })).toMatchObject({
        kind: "silenced",
        silence: { id: "s1", untilMs: bench.wallFrom + bench.at + 3 * minuteMs },
      });
      executors(bench, "e2");
      bench.live(2 * minuteMs);
      expect(taken(bench)).toEqual([]);
      return bench;
    };
    const ended = silenced();
    ended.live(65_000);
    expect(taken(ended)).toEqual([`chat opened _cluster: ${lost}e2`]);
    const back = silenced();
    expect(back.alert({ kind: "unsilence", id: "s9" })).toMatchObject({
      failure: { message: 'silence "s9" is not known; there are: s1' },
    });
    expect(back.alert({ kind: "unsilence", id: "s1" })).toEqual({ kind: "said" });
    back.live(6_000);
    expect(taken(back)).toEqual([`chat opened _cluster: ${lost}e2`]);
  });

  test("said twice is one; what makes no sense is refused", () => {
    const bench = atNight(withAlerts());
    const say = (changes: object) => {
      const reply = bench.alert({
        kind: "silence",
        silence: { ...wish, forMs: hourMs, ...changes },
      });
      if (reply?.kind === "silenced") return reply.silence.id;
      return reply?.kind === "failed" ? reply.failure.message.slice(0, 60) : reply?.kind;
    };
    expect([say({}), say({ reason: "again" }), say({ job: "usage" })]).toEqual(["s1", "s1", "s3"]);
    expect([
      say({ rule: "noSuch" }),
      say({ job: "usgae" }),
      say({ day: "today" }),
      say({ forMs: 0 }),
      say({ forMs: 31 * dayMs }),
      say({ reason: "x".repeat(501) }),
    ]).toEqual([
      'rule "noSuch" is none of: runFailed, checkFailed, deadlineMi',
      'job "usgae" is not known; known jobs: usage',
      'day "today" is not a date; write YYYY-MM-DD',
      "a silence ends: after 1 s at the least, 30 d at the most",
      "a silence ends: after 1 s at the least, 30 d at the most",
      "a reason has at most 500 characters, this one 501",
    ]);
  });
});

describe("quiet hours", () => {
  const quietHours = { from: "22:00", to: "07:00", timezone: "Asia/Kolkata" };

  /** Half past midnight UTC is six in the morning in Kolkata. */
  function atSix(): Bench {
    const bench = withAlerts({ quietHours });
    bench.override = (ask) =>
      ask.kind === "planCalendar"
        ? { kind: "calendar", starts: planCalendar({ ...ask, startsMax: 400 }) }
        : undefined;
    bench.wallFrom = midnight + 30 * minuteMs;
    bench.lead();
    bench.attach(1, { slots: 8 });
    return bench;
  }

  test("warnings wait for the morning, what is critical does not", () => {
    const bench = atSix();
    executors(bench, "e2");
    bench.live(2 * minuteMs);
    expect(keys(bench)).toEqual([`warning ${lost}e2 (quiet)`]);
    bench.pass(50_000);
    expect(taken(bench)).toEqual([
      "chat opened _cluster: executorsFew///",
      "pager opened _cluster: executorsFew///",
    ]);
  });

  test("what is open in the morning is told then, what is over by then never", () => {
    const bench = atSix();
    executors(bench, "e2", "e3");
    bench.live(2 * minuteMs);
    bench.attach(20, { executor: "e3", incarnation: 2 });
    bench.live(3 * minuteMs, [1, 20]);
    // Five minutes to seven.
    bench.wallFrom += 50 * minuteMs;
    bench.live(20_000, [1, 20]);
    expect(taken(bench)).toEqual([]);
    bench.wallFrom += 5 * minuteMs;
    bench.live(20_000, [1, 20]);
    expect(taken(bench)).toEqual([`chat opened _cluster: ${lost}e2`]);
  });
});

test("messages about a backfill are a group of their own", () => {
  const bench = atNight(withAlerts(), daily({ backlogDays: 1 }));
  bench.live(40_000);
  const wish = { job: "usage", from: "2026-01-01", to: "2026-01-03", redo: "missing" } as const;
  const how = { order: "oldest", concurrency: 2, by: "ops", reason: "" } as const;
  const inputEmpty = { code: "inputEmpty", message: "file 3 is empty" } as const;
  bench.override = (ask) =>
    ask.kind === "listInputs" && ask.day < "2026-01-04"
      ? { kind: "failed", failure: inputEmpty }
      : undefined;
  const start = {
    kind: "start",
    requestId: "b",
    wish: { ...wish, ...how },
    dryRun: false,
  } as const;
  expect(bench.say({ kind: "backfill", action: start })?.kind).toBe("backfills");
  bench.live(3 * minuteMs);
  const groups = new Set(bench.memory.taken.map(({ group }) => group));
  expect(groups).toEqual(new Set(["usage.b1"]));
  expect(taken(bench).every((line) => line.includes("runFailed/usage/2026-01-01/"))).toBe(true);
});

test("events tell of what opens and ends", () => {
  const bench = atNight(withAlerts({ rules: { executorLost: { off: true } } }), "no job");
  bench.pass(40_000);
  expect(bench.events().filter((event) => event.startsWith("alert"))).toEqual(["alert.opened"]);
  bench.attach(2);
  bench.pass(80_000, [2]);
  expect(bench.events().filter((event) => event.startsWith("alert"))).toEqual([
    "alert.opened",
    "alert.ended",
  ]);
});

test("a channel that is not routed to hears nothing", () => {
  const routes = [
    { severities: [], jobs: ["other"], rules: [], channels: ["chat"], goOn: false },
    { severities: [], jobs: [], rules: ["executorLost"], channels: ["pager"], goOn: false },
  ] as const;
  const bench = atNight(new Bench(undefined, "c1", alertConfig({ routes })), "no job");
  executors(bench, "e2");
  bench.live(minuteMs);
  expect(taken(bench)).toEqual([`pager opened _cluster: ${lost}e2`]);
});
