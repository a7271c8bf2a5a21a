/**
 * What is usual: figures of a job's committed days, and how a new one compares with earlier days of its weekday.
 * The median of several days is compared with, so that one odd day moves nothing; too few days say nothing.
 */
import type { UsualBound } from "../../shared/kernel/check.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { ManifestDataset, ManifestSource, RunSpeed } from "../../shared/kernel/manifest.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { Durable } from "./durable.ts";

/** Of the committed revision of one day. Older manifests and journals lack some of them. */
export interface DayFigures {
  /** Rows by dataset. */
  readonly rows: Readonly<Record<string, number>>;
  /** By source: rows that were kept, bytes of the files as stored. */
  readonly sources: Readonly<Record<string, SourceFigures>>;
  /** How long it took; absent where nobody measured it. */
  readonly speed?: RunSpeed;
}

export interface SourceFigures {
  readonly rows: number;
  readonly bytes?: number;
  readonly lines?: number;
  readonly rejects?: number;
}

export function figuresOf(
  datasets: readonly Pick<ManifestDataset, "dataset" | "rows">[],
  sources: readonly (Pick<ManifestSource, "source" | "rows" | "bytes"> &
    Partial<Pick<ManifestSource, "lines" | "rejects">>)[],
  speed?: RunSpeed,
): DayFigures {
  return {
    rows: Object.fromEntries(datasets.map(({ dataset, rows }) => [dataset, rows])),
    sources: Object.fromEntries(
      sources.map(({ source, rows, bytes, lines, rejects }) => [
        source,
        {
          rows,
          ...(bytes === undefined ? {} : { bytes }),
          ...(lines === undefined ? {} : { lines }),
          ...(rejects === undefined ? {} : { rejects }),
        },
      ]),
    ),
    ...(speed === undefined ? {} : { speed }),
  };
}

/** The figures of a day are known from now on; the oldest ones of the job go. Part of `fold`. */
export function rememberFigures(
  durable: Durable,
  record: { readonly job: string; figures?: DayFigures },
  figures: DayFigures,
): void {
  const { speed } = record.figures ?? {};
  // A re-run that takes most of its day from the exchange, or makes some models, says nothing of how long a day takes.
  const isMeasured = speed !== undefined && (figures.speed ?? { kind: "other" }).kind === "other";
  record.figures = isMeasured ? { ...figures, speed } : figures;
  const known = [...durable.days.values()].filter(
    (one) => one.job === record.job && one.figures !== undefined,
  );
  if (known.length <= limits.checkDaysKept) return;
  known.sort((a, b) => (a.day < b.day ? -1 : 1));
  for (const old of known.slice(0, known.length - limits.checkDaysKept)) delete old.figures;
}

export interface Usual {
  readonly weekday: string;
  /** Of the last earlier days of that weekday that were committed, newest first. */
  readonly points: readonly number[];
}

/** What `figure` was on earlier days of the same weekday. */
export function usualOf(
  durable: Durable,
  job: string,
  day: Day,
  figure: (figures: DayFigures) => number | undefined,
): Usual {
  const weekday = weekdayOf(day);
  const earlier = [...durable.days.values()]
    .filter((one) => one.job === job && one.day < day && weekdayOf(one.day) === weekday)
    .sort((a, b) => (a.day < b.day ? 1 : -1));
  const points: number[] = [];
  for (const { figures, made } of earlier) {
    // A day that was made with files missing is no measure.
    if (figures === undefined || (made?.missing ?? 0) > 0) continue;
    const value = figure(figures);
    if (value !== undefined) points.push(value);
    if (points.length === limits.checkPointsMax) break;
  }
  return { weekday: weekdays[weekday] ?? "", points };
}

export interface Judgement {
  readonly state: "passed" | "failed" | "skipped";
  readonly bound: string;
  /** After what was found: `, expected …`. */
  readonly expected: string;
}

/** `what`: the unit of the figure, e.g. `rows`. */
export function judgeFigure(
  value: number,
  { points, weekday }: Usual,
  { tolerance, floor, atLeast }: UsualBound,
): Judgement {
  const least = atLeast === undefined ? "" : `at least ${grouped(atLeast)}`;
  if (atLeast !== undefined && value < atLeast) {
    return { state: "failed", bound: least, expected: `expected ${least}` };
  }
  if (points.length < limits.checkPointsMin) {
    const bound = [least, `nothing yet: ${points.length} of ${limits.checkPointsMin} ${weekday}s`];
    const known = points.length === 0 ? "no" : `only ${points.length}`;
    const days = `${known} earlier ${weekday}${points.length === 1 ? " is" : "s are"} known`;
    return {
      state: "skipped",
      bound: bound.filter((part) => part !== "").join(", "),
      expected: `not compared: ${days}, at least ${limits.checkPointsMin} are needed`,
    };
  }
  const median = medianOf(points);
  const allowed = Math.max(tolerance * median, floor);
  const usual = `${grouped(median)} ± ${grouped(allowed)} (median of ${points.length} ${weekday}s)`;
  const bound = [least, usual].filter((part) => part !== "").join(", ");
  const state = Math.abs(value - median) <= allowed ? "passed" : "failed";
  return { state, bound, expected: `expected ${usual}` };
}

/** Of at least one value. */
export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** `1234567.4` → `1,234,567`. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

const weekdays = [
  "Sunday",
  "Monday",
  "Tuesday",
  "Wednesday",
  "Thursday",
  "Friday",
  "Saturday",
] as const;

/** 0 = Sunday. */
export function weekdayOf(day: Day): number {
  const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
  // January and February count as months of the year before.
  const shifts = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
  const of = month < 3 ? year - 1 : year;
  const leaps = Math.floor(of / 4) - Math.floor(of / 100) + Math.floor(of / 400);
  return (of + leaps + (shifts[month - 1] ?? 0) + date) % 7;
}
