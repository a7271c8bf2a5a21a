/**
 * Days that a day waits for because it reads their rows: those that are being made, or about to be. Else a day would be
 * made, and at once be out of date. Oldest first, so a restated day costs each of those after it one run.
 */
import { type DayRecord, dayKey, liveRun } from "../durable.ts";
import type { HistoryDay } from "../history.ts";
import type { Turn } from "../turn.ts";
import { isAhead, isAheadSoon } from "./ahead.ts";
import { recordOf } from "./fold-days.ts";
import { jobNamed, type NamedJob } from "./jobs.ts";
import { type DayView, judgeDay } from "./judge.ts";

/** What is found out once in one look over many days. */
export interface Pass {
  readonly viewOf: (job: NamedJob, record: DayRecord) => DayView;
  readonly windowOf: (job: NamedJob) => readonly DayRecord[];
  /** By `dayKey`. */
  readonly underWay: Map<string, boolean>;
}

/** The oldest of the days that a day reads which is not there yet and will be, in words. */
export function earlierDay(
  turn: Turn,
  history: readonly HistoryDay[],
  pass: Pass,
): string | undefined {
  return history.find((one) => isUnderWay(turn, one.job, one.day, pass))?.name;
}

export function newestDue(turn: Turn, days: readonly DayRecord[]): DayRecord | undefined {
  return days.find(({ plan }) => plan !== undefined && plan.startMs <= turn.wall);
}

/** Jobs form no ring over days (job-ring.ts), so this ends; a ring of old forms ends at the day that is asked of. */
function isUnderWay(turn: Turn, name: string, day: string, pass: Pass): boolean {
  const key = dayKey(name, day);
  const known = pass.underWay.get(key);
  if (known !== undefined) return known;
  pass.underWay.set(key, false);
  const found = isBeingMade(turn, name, day) || willBeMade(turn, name, day, pass);
  pass.underWay.set(key, found);
  return found;
}

/** Mapping ahead is not. */
export function isBeingMade({ state }: Turn, job: string, day: string): boolean {
  const run = liveRun(state.durable, job, day);
  if (run !== undefined) return !isAhead(run);
  const submission = state.submissions.get(dayKey(job, day));
  return submission !== undefined && !isAheadSoon(submission);
}

function willBeMade(turn: Turn, name: string, day: string, pass: Pass): boolean {
  const { durable } = turn.state;
  const job = jobNamed(durable, name);
  const record = recordOf(durable, name, day);
  if (job?.spec.schedule === undefined || record === undefined) return false;
  const window = pass.windowOf(job);
  if (!window.includes(record)) return false;
  const isPaused = durable.desks.get(name)?.paused !== undefined;
  if (isPaused && record !== newestDue(turn, window)) return false;
  const { action } = judgeDay(pass.viewOf(job, record));
  return action.kind === "run" || (action.kind === "wait" && action.isSoon === true);
}
