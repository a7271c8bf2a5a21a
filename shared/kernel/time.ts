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
