/**
 * Words for time. There is no clock here: an `Instant` arrives with a message (step.ts).
 * `monotonic` time decides expiry, wall time is only shown and stored.
 */

/** Milliseconds on a monotonic clock of one process. Never compared between processes. */
export type Instant = number;

/** A data date, `YYYY-MM-DD`. */
export type Day = string;

const dayPattern = /^(\d{4})-(\d{2})-(\d{2})$/;

/** True for a real calendar date in the form `YYYY-MM-DD` (the only form that becomes a path part). */
export function isDay(text: string): text is Day {
  const match = dayPattern.exec(text);
  if (!match) return false;
  const [year, month, date] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  const length = lengths[month - 1];
  return length !== undefined && date >= 1 && date <= length;
}

/** The date after a date. */
export function dayAfter(day: Day): Day {
  const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
  const text = (...parts: readonly number[]) =>
    parts.map((part, index) => String(part).padStart(index === 0 ? 4 : 2, "0")).join("-");
  const next = text(year, month, date + 1);
  if (isDay(next)) return next;
  return month === 12 ? text(year + 1, 1, 1) : text(year, month + 1, 1);
}

/** The date so many days before a date: 0 is the date itself. The year 0 has no day before it. */
export function daysBefore(day: Day, count: number): Day {
  return dateText(Math.max(-719_528, daysSinceEpoch(day) - count));
}

/** Days from 1970-01-01 to a calendar date, the inverse of `dateText`. */
export function daysSinceEpoch(day: Day): number {
  const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const ofEra = shifted - era * 400;
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + date - 1;
  const leaps = Math.floor(ofEra / 4) - Math.floor(ofEra / 100);
  return era * 146_097 + ofEra * 365 + leaps + ofYear - 719_468;
}

const unitsMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `90s`, `30m`, `2h`, `1d` (24 hours) → milliseconds; undefined for anything else. */
export function durationMs(text: string): number | undefined {
  const match = /^(\d{1,5})([smhd])$/.exec(text);
  if (!match) return undefined;
  return Number(match[1]) * (unitsMs[match[2] ?? ""] ?? 0);
}

/** Epoch milliseconds → `2026-01-16 03:00 UTC`, for people. */
export function utcText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const minute = minutes - Math.floor(minutes / 1_440) * 1_440;
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
  return `${dateText(Math.floor(minutes / 1_440))} ${clock} UTC`;
}

/** Days since 1970-01-01 → calendar date. Years begin in March here, so that the leap day is the last one. */
function dateText(epochDays: number): Day {
  const days = epochDays + 719_468;
  const era = Math.floor(days / 146_097);
  const ofEra = days - era * 146_097;
  const leaps =
    Math.floor(ofEra / 1_460) - Math.floor(ofEra / 36_524) + Math.floor(ofEra / 146_096);
  const year = Math.floor((ofEra - leaps) / 365);
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const marchMonth = Math.floor((5 * ofYear + 2) / 153);
  const date = ofYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const shown = year + era * 400 + (month <= 2 ? 1 : 0);
  const padded = (value: number, width: number) => String(value).padStart(width, "0");
  return `${padded(shown, 4)}-${padded(month, 2)}-${padded(date, 2)}`;
}
