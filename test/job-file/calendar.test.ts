/**
 * The calendar of a schedule: whole years in zones with and without changes of the clock, each start told as local and
 * as UTC time; what a cron expression with many times, few dates or none of them starts; deadlines; windows.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CalendarWindow, planCalendar } from "../../shared/adapters/calendar.ts";
import type { CalendarStart } from "../../shared/kernel/days.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";

const hourMs = 3_600_000;

function utc(text: string): number {
  return Date.parse(`${text}Z`);
}

function ask(schedule: string, timezone: string, more: Partial<CalendarWindow> = {}) {
  const year = { fromMs: utc("2026-01-01T00:00"), toMs: utc("2027-01-01T00:00") };
  return planCalendar({ schedule, timezone, ...year, startsMax: 400, ...more });
}

/** `2026-03-28: 03:00 = 2026-03-29T01:00Z`, the wall clock of the zone and UTC. */
function told({ day, startMs }: CalendarStart, timezone: string): string {
  const instant = new Date(startMs).toISOString().slice(0, 16);
  return `${day}: ${wallClock(startMs, timezone)} = ${instant}Z`;
}

function wallClock(ms: number, timeZone: string): string {
  const options = { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return new Intl.DateTimeFormat("en", options).format(ms);
}

function localDate(ms: number, timeZone: string): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" }).format(ms);
}

function dateBefore(day: string): string {
  return new Date(utc(`${day}T00:00`) - 24 * hourMs).toISOString().slice(0, 10);
}

describe("a whole year, one start for each data date", () => {
  test.each<[string, string, string, number, readonly string[]]>([
    ["0 1 * * *", "Asia/Kolkata", "01:00", 2026, []],
    ["0 1 * * *", "Europe/Berlin", "01:00", 2026, []],
    [
      "30 2 * * *",
      "Europe/Berlin",
      "02:30",
      2026,
      // 02:00 is 03:00: the first moment after the gap.
      ["2026-03-28: 03:00 = 2026-03-29T01:00Z"],
    ],
    // Midnight is 01:00 on the day on which summer begins.
    ["0 0 * * *", "America/Sao_Paulo", "00:00", 2018, ["2018-11-03: 01:00 = 2018-11-04T03:00Z"]],
    // The clock moves by half an hour.
    ["15 2 * * *", "Australia/Lord_Howe", "02:15", 2026, ["2026-10-03: 02:30 = 2026-10-03T15:30Z"]],
    ["45 1 * * *", "Australia/Lord_Howe", "01:45", 2026, []],
    ["30 23 * * *", "America/Sao_Paulo", "23:30", 2018, []],
  ])("%s in %s", (schedule, zone, clock, year, moved) => {
    const window = { fromMs: utc(`${year}-01-02T00:00`), toMs: utc(`${year + 1}-01-02T00:00`) };

    const starts = ask(schedule, zone, window);

    expect(starts).toHaveLength(365);
    for (const [index, { day, startMs, opensMs }] of starts.entries()) {
      expect(dateBefore(localDate(startMs, zone))).toBe(day);
      if (index > 0) expect(dateBefore(day)).toBe(starts[index - 1]?.day);
      // The date begins there: a second before it was another one.
      expect(localDate(opensMs, zone)).toBe(day);
      expect(localDate(opensMs - 1000, zone)).toBe(dateBefore(day));
    }
    const others = starts.filter(({ startMs }) => wallClock(startMs, zone) !== clock);
    expect(others.map((start) => told(start, zone))).toEqual(moved);
  });

  test("the changes of the clock, each as UTC", () => {
    const around = (schedule: string, zone: string, from: string) => {
      const fromMs = utc(`${from}T00:00`);
      const starts = ask(schedule, zone, { fromMs, toMs: fromMs + 72 * hourMs });
      return starts.map((start) => told(start, zone));
    };
    expect(around("30 2 * * *", "Europe/Berlin", "2026-03-28")).toEqual([
      "2026-03-27: 02:30 = 2026-03-28T01:30Z",
      "2026-03-28: 03:00 = 2026-03-29T01:00Z",
      "2026-03-29: 02:30 = 2026-03-30T00:30Z",
    ]);
    // 02:30 comes twice: in summer time, and an hour later, when nothing starts.
    expect(around("30 2 * * *", "Europe/Berlin", "2026-10-24")).toEqual([
      "2026-10-23: 02:30 = 2026-10-24T00:30Z",
      "2026-10-24: 02:30 = 2026-10-25T00:30Z",
      "2026-10-25: 02:30 = 2026-10-26T01:30Z",
    ]);
    expect(around("45 1 * * *", "Australia/Lord_Howe", "2026-04-03")).toEqual([
      "2026-04-03: 01:45 = 2026-04-03T14:45Z",
      "2026-04-04: 01:45 = 2026-04-04T14:45Z",
      "2026-04-05: 01:45 = 2026-04-05T15:15Z",
    ]);
    expect(around("30 23 * * *", "America/Sao_Paulo", "2018-02-17")).toEqual([
      "2018-02-15: 23:30 = 2018-02-17T01:30Z",
      "2018-02-16: 23:30 = 2018-02-18T01:30Z",
      "2018-02-17: 23:30 = 2018-02-19T02:30Z",
    ]);
  });

  test("a time in a gap that ends at midnight is moved to midnight, and is still for its own date", () => {
    // In Nuuk the clock goes from 23:00 on a Saturday to Sunday.
    const window = { fromMs: utc("2026-03-28T12:00"), toMs: utc("2026-03-31T12:00") };
    const starts = ask("30 23 * * *", "America/Nuuk", window);
    expect(starts.map((start) => told(start, "America/Nuuk"))).toEqual([
      "2026-03-27: 00:00 = 2026-03-29T01:00Z",
      "2026-03-28: 23:30 = 2026-03-30T00:30Z",
      "2026-03-29: 23:30 = 2026-03-31T00:30Z",
    ]);
  });

  test("a date that a zone left out is no data date", () => {
    // Samoa went from the 29th of December 2011 to the 31st.
    const window = { fromMs: utc("2011-12-28T00:00"), toMs: utc("2012-01-01T00:00") };
    const starts = ask("0 1 * * *", "Pacific/Apia", window);
    expect(starts.map(({ day }) => day)).toEqual([
      "2011-12-27",
      "2011-12-28",
      "2011-12-29",
      "2011-12-31",
    ]);
  });
});

describe("expressions that are not once a day", () => {
  test("weekly: the dates before those days, and no others", () => {
    const starts = ask("0 6 * * MON", "Europe/Berlin");
    expect(starts).toHaveLength(52);
    expect(starts.slice(0, 2).map((start) => told(start, "Europe/Berlin"))).toEqual([
      "2026-01-04: 06:00 = 2026-01-05T05:00Z",
      "2026-01-11: 06:00 = 2026-01-12T05:00Z",
    ]);
    expect(starts.every(({ day }) => new Date(utc(`${day}T00:00`)).getUTCDay() === 0)).toBe(true);
  });

  test.each([
    ["0 * * * *", "00:00"],
    ["*/20 4-6 * * *", "04:00"],
    ["40,10 22,3 * * *", "03:10"],
    ["* * * * *", "00:00"],
  ])("%s starts a date at %s, once", (schedule, clock) => {
    const starts = ask(schedule, "Asia/Kolkata");
    expect(starts).toHaveLength(365);
    const clocks = new Set(starts.map(({ startMs }) => wallClock(startMs, "Asia/Kolkata")));
    expect([...clocks]).toEqual([clock]);
  });

  test("a step of minutes in an hour that the clock skips starts the date all the same", () => {
    const window = { fromMs: utc("2026-03-28T12:00"), toMs: utc("2026-03-29T12:00") };
    const starts = ask("*/15 2 * * *", "Europe/Berlin", window);
    expect(starts.map((start) => told(start, "Europe/Berlin"))).toEqual([
      "2026-03-28: 03:00 = 2026-03-29T01:00Z",
    ]);
  });

  test("the last of the month, and the 29th of February", () => {
    const last = ask("0 1 L * *", "UTC");
    expect(last.map(({ day }) => day).slice(0, 3)).toEqual([
      "2026-01-30",
      "2026-02-27",
      "2026-03-30",
    ]);
    const leap = ask("0 1 29 2 *", "UTC", { toMs: utc("2033-01-01T00:00") });
    expect(leap.map(({ day }) => day)).toEqual(["2028-02-28", "2032-02-28"]);
  });
});

describe("deadlines", () => {
  const at = (start: CalendarStart | undefined) =>
    [start?.finishByMs, ...Object.values(start?.finishByModelMs ?? {})].map((ms) =>
      new Date(ms ?? 0).toISOString().slice(0, 16),
    );

  test("the first such local time after the start", () => {
    const finishByModel = { early: "01:00", late: "00:30" };
    const times = { finishBy: "06:00", finishByModel, startsMax: 1 };
    const [start] = ask("0 1 * * *", "Asia/Kolkata", times);
    expect(new Date(start?.startMs ?? 0).toISOString()).toBe("2026-01-01T19:30:00.000Z");
    // The moment of the start itself is the next day's.
    expect(at(start)).toEqual(["2026-01-02T00:30", "2026-01-02T19:30", "2026-01-02T19:00"]);
    expect(ask("0 1 * * *", "Asia/Kolkata")[0]).not.toHaveProperty("finishByMs");
    expect(ask("0 1 * * *", "Asia/Kolkata")[0]).not.toHaveProperty("finishByModelMs");
  });

  test("one that the clock skips is the first moment after the gap, one that comes twice the first", () => {
    const of = (day: string) =>
      ask("0 22 * * *", "Europe/Berlin", {
        fromMs: utc(`${day}T12:00`),
        finishBy: "02:30",
        startsMax: 1,
      })[0];
    expect(at(of("2026-03-28"))).toEqual(["2026-03-29T01:00"]);
    expect(at(of("2026-10-24"))).toEqual(["2026-10-25T00:30"]);
  });
});

describe("windows", () => {
  const hourly = { schedule: "0 * * * *", timezone: "Europe/Berlin" };

  test("a date whose first start lies before the window has none in it", () => {
    const fromMs = utc("2026-01-05T09:30");
    const starts = ask(hourly.schedule, hourly.timezone, { fromMs, toMs: fromMs + 24 * hourMs });
    expect(starts.map((start) => told(start, hourly.timezone))).toEqual([
      "2026-01-05: 00:00 = 2026-01-05T23:00Z",
    ]);
  });

  test("from is in the window, to is not", () => {
    const [fromMs, toMs] = [utc("2026-01-05T00:00"), utc("2026-01-06T00:00")];
    expect(ask("0 0 * * *", "UTC", { fromMs, toMs }).map(({ day }) => day)).toEqual(["2026-01-04"]);
    expect(ask("0 0 * * *", "UTC", { fromMs, toMs: fromMs })).toEqual([]);
  });

  test("neighbouring windows together give what one gives", () => {
    const [first, last] = [utc("2026-03-20T00:00"), utc("2026-04-10T00:00")];
    const zones = ["Europe/Berlin", "Australia/Lord_Howe", "America/Nuuk"];
    const crons = ["30 2 * * *", "0 * * * *", "15 2 * * 0,3", "45 1 L * *", "30 23 * * *"];
    const cuts = fc.array(fc.integer({ min: first, max: last }), { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...crons),
        cuts,
        (timezone, schedule, some) => {
          const edges = [first, ...some.sort((a, b) => a - b), last];
          const parts = edges
            .slice(1)
            .flatMap((toMs, index) => ask(schedule, timezone, { fromMs: edges[index] ?? 0, toMs }));
          expect(parts).toEqual(ask(schedule, timezone, { fromMs: first, toMs: last }));
        },
      ),
      { numRuns: 20 },
    );
  });

  test("no more than asked for, and never more than the limit", () => {
    expect(ask("0 1 * * *", "UTC", { startsMax: 3 }).map(({ day }) => day)).toEqual([
      "2025-12-31",
      "2026-01-01",
      "2026-01-02",
    ]);
    const ever = ask("0 1 * * *", "UTC", { toMs: utc("2036-01-01T00:00"), startsMax: 1e9 });
    expect(ever).toHaveLength(limits.calendarStartsMax);
  });
});

test.each([
  [{ schedule: "0 25 * * *" }, /schedule 0 25 \* \* \*: 25 is no hour: 0-23/],
  [{ timezone: "Mars/Base" }, /Mars\/Base is no IANA time zone/],
])("a job that was kept with %j is refused with a name for it", (wrong, message) => {
  let got: unknown;
  try {
    ask("0 1 * * *", "UTC", wrong);
  } catch (error) {
    got = error;
  }
  expect(fromUnknown(got).code).toBe("jobInvalid");
  expect(fromUnknown(got).message).toMatch(message);
});
