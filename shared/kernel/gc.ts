/** What retention says of each thing that lies on storage, in the exchange and in the journal: it goes or stays, and why. */
import type { Day } from "./time.ts";

/** `revision`: the datasets of one; `late`: late records; `unused`: files that no manifest names. */
export type GcKind =
  | "revision"
  | "rejects"
  | "late"
  | "unused"
  | "staging"
  | "exchange"
  | "journal";

export interface GcItem {
  readonly kind: GcKind;
  /** Empty where it belongs to no job or day. */
  readonly job: string;
  readonly day: Day | "";
  /** `r2-e7 usage_hourly, top_cells`, a run id, a source … */
  readonly name: string;
  /** Since it was made, in milliseconds; -1 = not known. */
  readonly ageMs: number;
  readonly bytes: number;
  readonly goes: boolean;
  readonly why: string;
}

/** One part of a report: what belongs to no job comes with the first part, the files of one job with each. */
export interface GcReport {
  readonly dryRun: boolean;
  /** What goes first; at most `limits.gcItemsShownMax`. */
  readonly items: readonly GcItem[];
  /** Of all, also those that are not listed. */
  readonly totals: GcTotals;
  /** The job that the next part is about; empty: this was the last one. */
  readonly next: string;
}

export interface GcTotals {
  readonly goes: number;
  readonly goesBytes: number;
  readonly stays: number;
  readonly staysBytes: number;
}
