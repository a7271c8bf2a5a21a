/**
 * Checks: what a job expects of a day before readers see it, and what came of each. Values only; who judges them is
 * coordinator/core/checks.ts, what the engine is asked is coordinator/core/check-query.ts.
 */

/** What a failed check does: a line in the run's status; no commit at all; a commit that readers do not see yet. */
export type CheckSeverity = "warn" | "block" | "quarantine";

interface CheckHead {
  readonly name: string;
  /** What it looks at: a model's dataset, or a source (`volume`). */
  readonly model: string;
  readonly severity: CheckSeverity;
}

/** An assertion in SQL. It has no `kind`: jobs of older versions know no other. */
export interface SqlCheck extends CheckHead {
  readonly kind?: undefined;
  /** A SELECT over the model's dataset that gives one value. */
  readonly sql: string;
  readonly expect: number | string | null;
}

/** How far a figure may be from the median of earlier days of the same weekday. */
export interface UsualBound {
  /** Share of the median, 0.4 = from 60 % to 140 % of it. */
  readonly tolerance: number;
  /** A difference smaller than this is never too large, whatever share of the median it is. */
  readonly floor: number;
  /** Fewer than this is too few, also when nothing is known of earlier days. */
  readonly atLeast?: number;
}

/** Rows of the dataset. */
export interface RowsCheck extends CheckHead, UsualBound {
  readonly kind: "rows";
}

/** What a source brought. */
export interface VolumeCheck extends CheckHead, UsualBound {
  readonly kind: "volume";
  /** Rows that were kept, or bytes of the files as stored. */
  readonly of: "rows" | "bytes";
}

export interface NullsCheck extends CheckHead {
  readonly kind: "nulls";
  readonly column: string;
  /** Share of the rows, 0 to 1. */
  readonly maxShare: number;
}

/** No two rows agree in all of these columns; NULL counts as a value. */
export interface UniqueCheck extends CheckHead {
  readonly kind: "unique";
  readonly columns: readonly string[];
}

/** The newest time within the day is this close to its end. */
export interface FreshCheck extends CheckHead {
  readonly kind: "fresh";
  readonly column: string;
  readonly withinMs: number;
  /** For integer columns: what one unit is. */
  readonly unit: "s" | "ms" | "us";
}

export type CheckSpec = SqlCheck | RowsCheck | VolumeCheck | NullsCheck | UniqueCheck | FreshCheck;

/** A check that looks at rows: it is a task of the run. The others compare figures that the coordinator has. */
export type AskedCheck = SqlCheck | NullsCheck | UniqueCheck | FreshCheck;

export type CheckKind = "sql" | Exclude<CheckSpec["kind"], undefined>;

/** `skipped`: there was nothing to compare with. It stands in nobody's way, and the status says so. */
export type CheckState = "passed" | "failed" | "skipped";

export interface CheckResult {
  readonly name: string;
  readonly model: string;
  readonly kind: CheckKind;
  readonly severity: CheckSeverity;
  readonly state: CheckState;
  /** Not failed. Manifests of older versions have this and no `state`. */
  readonly passed: boolean;
  /** As it was found: a figure. null: there was none, or it may be a subscriber's and is kept nowhere. */
  readonly value: string | null;
  readonly bound: string;
  /** What was found and what was expected, as the rest of a sentence that begins `check … on …`. No row's values. */
  readonly reason: string;
}

/** As it is shown. */
export interface CheckStatus extends Omit<CheckResult, "value" | "passed"> {
  /** Empty: none. */
  readonly value: string;
}

export function checkStatus({ passed: _, ...result }: CheckResult): CheckStatus {
  return { ...result, value: result.value ?? "" };
}

/** `check no-negative on totals gave 3, expected 0`. */
export function checkSentence(check: Pick<CheckResult, "name" | "model" | "reason">): string {
  return `check ${check.name} on ${check.model} ${check.reason}`;
}
