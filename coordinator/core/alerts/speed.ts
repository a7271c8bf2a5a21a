/**
 * What is slow: a run against the median of the last runs of the same kind. Pure. A day with more input than usual may
 * take longer in proportion; the median of several runs moves by no single one; too few say nothing.
 */
import type { AlertThresholds } from "../../../shared/kernel/alert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { RunSpeed } from "../../../shared/kernel/manifest.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import { medianOf } from "../check-history.ts";
import type { DayRecord } from "../durable.ts";

/** A committed day that others can be compared with. */
export interface Measured {
  readonly day: Day;
  readonly speed: RunSpeed;
  /** Of its input as stored, 0 = not known. */
  readonly bytes: number;
}

/** Oldest first. A day that was made with files missing is no measure. */
export function measuredDays(records: readonly DayRecord[]): readonly Measured[] {
  const found = records.flatMap(({ day, figures, made }) => {
    if (figures?.speed === undefined || (made?.missing ?? 0) > 0) return [];
    const sources = Object.values(figures.sources);
    const bytes = sources.reduce((sum, one) => sum + (one.bytes ?? 0), 0);
    return [{ day, speed: figures.speed, bytes }];
  });
  return found.sort((a, b) => (a.day < b.day ? -1 : 1));
}

/** A run that is judged: how it went, or goes so far. */
export interface Judged {
  readonly day: Day;
  readonly kind: RunSpeed["kind"];
  readonly durationMs: number;
  /** 0 = not known. */
  readonly bytes: number;
  /** Absent: not all of them are read yet. */
  readonly rows?: number;
}

export interface Usual {
  readonly runs: number;
  readonly durationMs: number;
  /** What is usual for a day of this size. */
  readonly expectedMs: number;
  readonly bytes: number;
}

/** The last runs of its kind on days before it; undefined: too few to say anything. */
export function usualFor(
  { day, kind, bytes }: Pick<Judged, "day" | "kind" | "bytes">,
  measured: readonly Measured[],
  { baselineRuns, baselineRunsMin }: AlertThresholds,
): (Usual & { readonly of: readonly Measured[] }) | undefined {
  const of = measured
    .filter((one) => one.day < day && one.speed.kind === kind)
    .slice(-baselineRuns);
  if (kind === "other" || of.length < baselineRunsMin || of.length === 0) return undefined;
  const durationMs = medianOf(of.map(({ speed }) => speed.durationMs));
  const sizes = of.flatMap((one) => (one.bytes > 0 ? [one.bytes] : []));
  const usualBytes = sizes.length === of.length ? medianOf(sizes) : 0;
  const share = usualBytes > 0 && bytes > 0 ? Math.max(1, bytes / usualBytes) : 1;
  return { of, runs: of.length, durationMs, expectedMs: durationMs * share, bytes: usualBytes };
}

/** Above both the factor and the floor. */
export function isSlow(durationMs: number, { expectedMs }: Usual, by: AlertThresholds): boolean {
  return durationMs > by.slowFactor * expectedMs && durationMs > expectedMs + by.slowFloorMs;
}

export interface Throughput {
  /** Records a second. */
  readonly rate: number;
  readonly usual: number;
}

/** Too few records a second, and time lost by it that is worth a word; undefined: as usual, or nothing to tell it from. */
export function lowThroughput(
  { rows, durationMs, kind }: Judged,
  of: readonly Measured[],
  { throughputShare, slowFloorMs }: AlertThresholds,
): Throughput | undefined {
  // What was mapped before the run began counts for nothing in its time.
  if (rows === undefined || kind !== "live" || durationMs === 0) return undefined;
  const usual = medianOf(of.map(({ speed }) => rateOf(speed.rows, speed.durationMs)));
  const rate = rateOf(rows, durationMs);
  if (usual === 0 || rate >= throughputShare * usual) return undefined;
  const expectedMs = (rows / usual) * 1_000;
  return durationMs - expectedMs > slowFloorMs ? { rate, usual } : undefined;
}

function rateOf(rows: number, durationMs: number): number {
  return durationMs === 0 ? 0 : (rows / durationMs) * 1_000;
}

export interface Trend {
  readonly lastMs: number;
  readonly usualMs: number;
  readonly runs: number;
  readonly from: Day;
}

/** The median of the last three runs against those before them; a large day counts as if it were a usual one. */
export function trendOf(measured: readonly Measured[], by: AlertThresholds): Trend | undefined {
  const kind = measured.findLast(({ speed }) => speed.kind !== "other")?.speed.kind;
  const same = measured.filter(({ speed }) => speed.kind === kind);
  const last = same.slice(-limits.trendRuns);
  const [first] = last;
  if (kind === undefined || first === undefined || last.length < limits.trendRuns) return undefined;
  const usual = usualFor({ day: first.day, kind, bytes: 0 }, same, by);
  if (usual === undefined) return undefined;
  const lastMs = medianOf(
    last.map(({ speed, bytes }) => {
      const share = usual.bytes > 0 && bytes > 0 ? Math.max(1, bytes / usual.bytes) : 1;
      return speed.durationMs / share;
    }),
  );
  const usualMs = usual.durationMs;
  if (lastMs <= by.trendFactor * usualMs || lastMs <= usualMs + by.trendFloorMs) return undefined;
  return { lastMs, usualMs, runs: usual.runs, from: first.day };
}
