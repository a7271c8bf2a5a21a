/**
 * Decisions of a backfill, from values alone: what of its range is to be done, what becomes of a day whose turn it is,
 * and which days are next. What was committed since its start is done and not made again, so nothing runs twice,
 * whoever leads and whatever the journal has lost.
 */
import {
  type Backfill,
  type BackfillDay,
  type BackfillWish,
  daysOfBackfill,
  type Redo,
  type RevisionsBefore,
} from "../../../shared/kernel/backfill.ts";
import { type Failure, failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { type Day, isDay } from "../../../shared/kernel/time.ts";
import type { Refused } from "./desk-state.ts";
import { isSettled } from "./fold-backfills.ts";
import { instantText } from "./words.ts";

export interface BackfillStart {
  readonly requestId: string;
  readonly wish: BackfillWish;
  readonly dryRun: boolean;
}

/** What is known of a day. */
export interface BackfillView extends RevisionsBefore {
  /** The run that has not ended, or is being planned, in words. */
  readonly live: string | undefined;
  /** How its last run failed. */
  readonly failed?: {
    readonly revision: number;
    readonly message: string;
    /** Of the job's newest form. */
    readonly isSameJob: boolean;
    /** When it is tried again by itself, epoch milliseconds; absent: not. */
    readonly retryMs: number | undefined;
  };
  /** Why no run may be started now: somebody holds the day, another job's day is not there … */
  readonly stopped: string | undefined;
  readonly refused: Refused | undefined;
  /** As of a look that was made since its turn came; undefined: there is none yet. */
  readonly input: BackfillInput | undefined;
}

export interface BackfillInput {
  readonly verdict: "waiting" | "ready" | "gaps";
  readonly reason: string;
  /** Expected files that are not there. */
  readonly missing: number;
  /** Neither time alone nor a further look at the same files makes it readier. */
  readonly isFinal: boolean;
}

/** A request that makes no sense whatever is known; undefined: it does. */
export function wrongWish({ from, to, concurrency }: BackfillWish): Failure | undefined {
  for (const day of [from, to]) {
    if (isDay(day)) continue;
    return failure("badRequest", `day ${JSON.stringify(day)} is not a date; write YYYY-MM-DD`);
  }
  if (to < from) {
    return failure("badRequest", `the last day ${to} is before the first one ${from}`);
  }
  const most = limits.backfillDaysMax;
  if (daysOfBackfill({ from, to, order: "oldest" }, most).length > most) {
    const text = `a backfill has at most ${most} days, ${from} to ${to} are more; start several, one after the other`;
    return failure("limitExceeded", text);
  }
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= limits.backfillRunsMax) {
    return undefined;
  }
  const bounds = `from 1 to ${limits.backfillRunsMax} days of a backfill may be under way at a time`;
  return failure("badRequest", `${bounds}, not ${concurrency}`);
}

/** Is the day one that is to be done, and why or why not. Decided once, when the backfill starts. */
export function isWanted(
  redo: Redo,
  { committed, highest, live, failed }: BackfillView,
): { readonly isWanted: boolean; readonly reason: string } {
  const revision = committed === 0 ? "it has no revision" : `revision ${committed} is there`;
  switch (redo) {
    case "missing":
      return { isWanted: committed === 0, reason: revision };
    case "failed": {
      if (live !== undefined) return { isWanted: false, reason: `a run is under way (${live})` };
      // How a run failed may be forgotten; that it gave no revision is not.
      if (failed === undefined && highest <= committed) {
        return { isWanted: false, reason: `no run of it has failed; ${revision}` };
      }
      const message = failed?.message ?? `revision ${highest} was not committed`;
      return { isWanted: true, reason: `its last run failed: ${message}` };
    }
    case "all":
      return { isWanted: true, reason: revision };
    default:
      return redo satisfies never;
  }
}

type DayStep =
  | { readonly kind: "settle"; readonly outcome: BackfillDay }
  | { readonly kind: "run"; readonly missing: number; readonly reason: string }
  /** Its input is looked at first. */
  | { readonly kind: "look"; readonly reason: string }
  | { readonly kind: "wait"; readonly reason: string };

/** What is done about a day whose turn has come. */
export function judgeBackfillDay(
  { redo, state, before: all, changed }: Backfill,
  day: Day,
  view: BackfillView,
  nowMs: number,
): DayStep {
  const before = all[day] ?? { committed: 0, highest: 0 };
  // Runs that were under way at its start may have begun with what is to be made again.
  if (view.committed > (redo === "all" ? before.highest : before.committed)) {
    return settle({ state: "done", revision: view.committed });
  }
  if (view.live !== undefined) return { kind: "wait", reason: view.live };
  const { failed } = view;
  if (failed !== undefined && failed.revision > before.highest && failed.isSameJob) {
    if (failed.retryMs === undefined) return settle({ state: "failed", reason: failed.message });
    if (failed.retryMs > nowMs) {
      const again = instantText(failed.retryMs, nowMs);
      return { kind: "wait", reason: `${failed.message}; again ${again}` };
    }
  }
  if (state === "cancelled") {
    return settle({ state: "skipped", reason: "the backfill was cancelled before it ran" });
  }
  if (state === "paused") {
    return { kind: "wait", reason: `the backfill is paused: ${changed?.reason ?? ""}` };
  }
  return stepOf(view, nowMs);
}

function stepOf({ stopped, refused, input }: BackfillView, nowMs: number): DayStep {
  if (stopped !== undefined) return settle({ state: "skipped", reason: stopped });
  if (refused !== undefined && refused.untilMs > nowMs) {
    const { message, isFinal, untilMs } = refused;
    if (isFinal) return settle({ state: "failed", reason: message });
    return { kind: "wait", reason: `${message}; again ${instantText(untilMs, nowMs)}` };
  }
  if (input === undefined) return { kind: "look", reason: "its input is being looked at" };
  const { verdict, reason, missing, isFinal } = input;
  if (verdict !== "waiting") return { kind: "run", missing, reason };
  if (!isFinal) return { kind: "look", reason };
  return settle({ state: "skipped", reason: `missing input: ${reason}` });
}

function settle(outcome: BackfillDay): DayStep {
  if (!("reason" in outcome)) return { kind: "settle", outcome };
  const reason = outcome.reason.slice(0, limits.reasonCharactersMax);
  return { kind: "settle", outcome: { ...outcome, reason } };
}

export interface BackfillSteps {
  /** To be remembered: days that have their turn now, and what came of others. */
  readonly days: Readonly<Record<Day, BackfillDay>>;
  readonly looks: readonly Day[];
  readonly starts: readonly { readonly day: Day; readonly missing: number }[];
  /** What the days that have their turn are waiting for, in words. */
  readonly waits: ReadonlyMap<Day, string>;
  /** Nothing is left to do. */
  readonly isDone: boolean;
}

const backlogPaused = "the job's backlog is paused";

/** `isPaused`: the job's backlog is, and with it whatever runs in its lane. */
export function stepsOf(
  backfill: Backfill,
  viewOf: (day: Day) => BackfillView,
  { nowMs, isPaused }: { readonly nowMs: number; readonly isPaused: boolean },
): BackfillSteps {
  const days: Record<Day, BackfillDay> = {};
  const looks: Day[] = [];
  const starts: { day: Day; missing: number }[] = [];
  const waits = new Map<Day, string>();
  const look = (day: Day) => {
    const step = judgeBackfillDay(backfill, day, viewOf(day), nowMs);
    if (step.kind === "settle") days[day] = step.outcome;
    else waits.set(day, isPaused && step.kind === "run" ? backlogPaused : step.reason);
    if (step.kind === "look") looks.push(day);
    if (step.kind === "run" && !isPaused) starts.push({ day, missing: step.missing });
  };
  const inOrder = daysOfBackfill(backfill, limits.backfillDaysMax);
  const open = inOrder.filter((day) => !isSettled(backfill.days[day]));
  for (const day of open) if (backfill.days[day] !== undefined) look(day);
  const mayTake = backfill.state === "running" && !isPaused;
  for (const day of open) {
    if (!mayTake || waits.size >= backfill.concurrency) break;
    if (backfill.days[day] !== undefined) continue;
    look(day);
    days[day] ??= { state: "taken" };
  }
  return { days, looks, starts, waits, isDone: open.every((day) => isSettled(days[day])) };
}
