/**
 * A backfill: days of a job, also such as are older than its window, that somebody wants made, or made again. What is
 * known of it lies in the account of the job's days (days.ts) on storage.
 */
import type { Said } from "./days.ts";
import { type Day, dayAfter } from "./time.ts";

/** `missing`: days without a revision; `failed`: days whose last run gave none. */
export const redos = ["missing", "failed", "all"] as const;
export type Redo = (typeof redos)[number];

export const backfillOrders = ["oldest", "newest"] as const;
export type BackfillOrder = (typeof backfillOrders)[number];

export interface BackfillWish {
  readonly job: string;
  /** First and last day. */
  readonly from: Day;
  readonly to: Day;
  readonly redo: Redo;
  readonly order: BackfillOrder;
  /** Days that are under way at a time. */
  readonly concurrency: number;
  /** Who wants it, and why. */
  readonly by: string;
  readonly reason: string;
}

/** A day that is not named has not had its turn. All but `taken` are final. */
export type BackfillDay =
  | { readonly state: "taken" }
  | { readonly state: "done"; readonly revision: number }
  | { readonly state: "failed" | "skipped"; readonly reason: string };

export interface Backfill extends BackfillWish {
  /** `<job>.b<number>` */
  readonly id: string;
  /** The same request gives the same backfill. */
  readonly requestId: string;
  /** Epoch milliseconds of its start. */
  readonly wallMs: number;
  readonly state: "running" | "paused" | "done" | "cancelled";
  /** Why it was paused, resumed or cancelled last. */
  readonly changed?: Said;
  /**
   * Revisions of its days at its start, where there were any: what is committed later is done, and not made again,
   * whatever else is forgotten.
   */
  readonly before: Readonly<Record<Day, RevisionsBefore>>;
  readonly days: Readonly<Record<Day, BackfillDay>>;
}

/** 0 = none. */
export interface RevisionsBefore {
  readonly committed: number;
  readonly highest: number;
}

/** Said of a backfill. `start` with `dryRun` tells what would be done, and changes nothing. */
export type BackfillAction =
  | {
      readonly kind: "start";
      readonly requestId: string;
      readonly wish: BackfillWish;
      readonly dryRun: boolean;
    }
  | { readonly kind: "pause" | "resume" | "cancel"; readonly id: string; readonly reason: string };

/** As people are shown it. */
export interface BackfillStatus extends BackfillWish {
  /** Empty in a dry run. */
  readonly id: string;
  readonly state: Backfill["state"] | "dry run";
  readonly wallMs: number;
  /** Why it was paused, resumed or cancelled last; empty: it was not. */
  readonly changed: string;
  readonly toDo: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly skipped: number;
  /** In the order in which they have their turn. */
  readonly days: readonly BackfillDayStatus[];
}

export interface BackfillDayStatus {
  readonly day: Day;
  readonly state: "to do" | "running" | "done" | "failed" | "skipped";
  readonly reason: string;
  /** Of a day that is done; else 0. */
  readonly revision: number;
}

/** In order of their turn; at most `most` and one more. */
export function daysOfBackfill(
  { from, to, order }: Pick<BackfillWish, "from" | "to" | "order">,
  most: number,
): readonly Day[] {
  const days: Day[] = [];
  for (let day = from; day <= to && days.length <= most; day = dayAfter(day)) days.push(day);
  return order === "newest" ? days.reverse() : days;
}
