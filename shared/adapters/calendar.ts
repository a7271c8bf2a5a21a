/**
 * The calendar of a schedule: which data dates a cron expression starts and when, in a time zone with its changes of the
 * clock. A date that the expression matches starts once, at its first hour and minute; it is for the date before it.
 * A local time that the clock skips is the first moment after the gap; one that comes twice is the first of the two.
 */
import { Cron } from "croner";
import type { CalendarQuestion, CalendarStart } from "../kernel/days.ts";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { Day } from "../kernel/time.ts";

const fields = [
  { name: "minute", allowed: "0-59" },
  { name: "hour", allowed: "0-23" },
  { name: "day of the month", allowed: "1-31, L for the last" },
  { name: "month", allowed: "1-12 or JAN-DEC" },
  { name: "weekday", allowed: "0-7 (Sunday is 0 and 7) or SUN-SAT, FRI#2 for the second Friday" },
] as const;

/** Why a text is no cron expression that ever starts anything; undefined when it is one. */
export function cronProblem(text: string): string | undefined {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== fields.length) {
    return 'five cron fields are expected: minute hour day month weekday, such as "0 1 * * *"';
  }
  for (const [index, { name, allowed }] of fields.entries()) {
    const part = parts[index] ?? "";
    const alone = fields.map((_, other) => (other === index ? part : "*")).join(" ");
    // `?` is the moment at which the expression is read: not the same for each leader.
    if (/^[\dA-Za-z*,/#-]+$/.test(part) && isCron(alone)) continue;
    return `${part} is no ${name}: ${allowed}, with lists (1,5), ranges (1-5) and steps (*/2)`;
  }
  if (!isCron(text)) return "no cron expression such as 0 1 * * *";
  const anyTime = new Date("2024-01-01T00:00:00Z");
  return cronOf(text, "UTC").nextRun(anyTime) === null
    ? "there is no such date: the day of the month never falls into the month"
    : undefined;
}

function isCron(text: string): boolean {
  try {
    cronOf(text, "UTC");
    return true;
  } catch {
    return false;
  }
}

/** Runs nothing by itself: it is only asked. */
function cronOf(text: string, timezone: string): Cron {
  return new Cron(text, { timezone, mode: "5-part" });
}

/** Is it the name of a time zone? */
export function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    // An offset such as +05:30 is a zone to some engines and not to others.
    return /^[A-Za-z]/.test(zone);
  } catch {
    return false;
  }
}

/** Names of the time zones that there are. */
export function timeZones(): readonly string[] {
  return Intl.supportedValuesOf("timeZone");
}

export interface CalendarWindow extends CalendarQuestion {
  /** The first so many; more than `limits.calendarStartsMax` are never given at a time. */
  readonly startsMax: number;
}

/**
 * The starts of a window of time, in order, at most one for a data date whatever the window: a date whose first
 * start lies before the window has none in it. Errors: `jobInvalid` for a schedule, zone or time that is none.
 */
export function planCalendar(question: CalendarWindow): readonly CalendarStart[] {
  const { schedule, timezone, fromMs, toMs } = question;
  const problem = cronProblem(schedule);
  if (problem !== undefined) throw fail("jobInvalid", `schedule ${schedule}: ${problem}`);
  if (!isTimeZone(timezone)) throw fail("jobInvalid", `${timezone} is no IANA time zone`);
  const most = Math.min(question.startsMax, limits.calendarStartsMax);
  const { time, dates } = firstOfDate(schedule);
  const days = daysIn(timezone);
  const matching = cronOf(`0 0 ${dates}`, timezone);
  const clock = daily(time, timezone);
  const deadlines = deadlinesOf(question);
  const starts: CalendarStart[] = [];
  // A start in a gap before midnight is moved to midnight: two dates back, none is missed.
  let dawnMs: number | undefined = days.before(days.before(fromMs)) - 1;
  while (starts.length < most) {
    dawnMs = next(matching, dawnMs);
    if (dawnMs === undefined || dawnMs >= toMs) break;
    const startMs = firstAt(time, clock, dawnMs, days);
    if (startMs < fromMs || startMs >= toMs) continue;
    // Dates are counted by their beginnings: a date that a zone leaves out is no data date.
    const opensMs = days.before(dawnMs);
    starts.push({ day: days.dateAt(opensMs), startMs, opensMs, ...deadlines(startMs) });
  }
  return starts;
}

/**
 * The expression's first time of a date, `HH:MM`, and its fields for dates. Hours and minutes are sets, so the first
 * time is the least hour with the least minute.
 */
function firstOfDate(schedule: string): { readonly time: string; readonly dates: string } {
  const [minutes = "", hours = "", ...dates] = schedule.trim().split(/\s+/);
  return { time: `${least(hours)}:${least(minutes)}`, dates: dates.join(" ") };
}

function least(field: string): string {
  const from = (part: string) => (part.startsWith("*") ? 0 : Number.parseInt(part, 10));
  return String(Math.min(...field.split(",").map(from))).padStart(2, "0");
}

/** A time of day as a single time: one that the clock skips is moved, not left out, and one that comes twice is one. */
function daily(time: string, timezone: string): Cron {
  const [hour, minute] = time.split(":");
  return cronOf(`${minute} ${hour} * * *`, timezone);
}

/** The first moment of the date that begins at `dawnMs` at which its clock shows `time` or more. */
function firstAt(time: string, clock: Cron, dawnMs: number, days: Days): number {
  // Midnight itself may lie in a gap.
  if (days.clockAt(dawnMs) >= time) return dawnMs;
  const at = next(clock, dawnMs) ?? dawnMs;
  return days.dateAt(at) === days.dateAt(dawnMs) ? at : days.after(dawnMs);
}

/** Finish times of a start: for each the first such local time after it. */
function deadlinesOf({ timezone, finishBy, finishByModel = {} }: CalendarQuestion) {
  const after = (time: string) => {
    const clock = daily(time, timezone);
    return (startMs: number): number => next(clock, startMs) ?? startMs;
  };
  const whole = finishBy === undefined ? undefined : after(finishBy);
  const models = Object.entries(finishByModel).map(([name, time]) => [name, after(time)] as const);
  return (startMs: number): Pick<CalendarStart, "finishByMs" | "finishByModelMs"> => ({
    ...(whole === undefined ? {} : { finishByMs: whole(startMs) }),
    ...(models.length === 0
      ? {}
      : { finishByModelMs: Object.fromEntries(models.map(([name, of]) => [name, of(startMs)])) }),
  });
}

/** The first occurrence after a moment. */
function next(cron: Cron, afterMs: number): number | undefined {
  return cron.nextRun(new Date(afterMs))?.getTime();
}

/** The dates of a zone, each by the moment at which it begins. Times are epoch milliseconds. */
interface Days {
  /** The last beginning before a moment. */
  before(ms: number): number;
  /** The first one after it. */
  after(ms: number): number;
  dateAt(ms: number): Day;
  /** `HH:MM` */
  clockAt(ms: number): string;
}

/** Longer than the dates that there are: looked back so far, one step at a time. */
const longDateMs = 26 * 3_600_000;

function daysIn(timezone: string): Days {
  const midnights = daily("00:00", timezone);
  const format = new Intl.DateTimeFormat("en", {
    timeZone: timezone,
    calendar: "gregory",
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
  const partsAt = (ms: number, names: readonly string[], between: string): string => {
    const parts = new Map(
      format.formatToParts(ms).map(({ type, value }) => [type as string, value]),
    );
    return names.map((name) => parts.get(name)).join(between);
  };
  return {
    before: (ms) => {
      for (let from = ms - longDateMs; ; from -= longDateMs) {
        let last = next(midnights, from) ?? ms;
        if (last >= ms) continue;
        for (let at = last; at < ms; at = next(midnights, at) ?? ms) last = at;
        return last;
      }
    },
    after: (ms) => next(midnights, ms) ?? ms,
    dateAt: (ms) => partsAt(ms, ["year", "month", "day"], "-"),
    clockAt: (ms) => partsAt(ms, ["hour", "minute"], ":"),
  };
}
