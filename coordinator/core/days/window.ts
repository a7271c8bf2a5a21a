/**
 * The days of a job that the desk acts on, and where they begin: what lies before them is not made again by itself, and may
 * be tidied up. Retention asks for that, and the look for late files, which begins where the desk stops looking.
 */
import type { Day } from "../../../shared/kernel/time.ts";
import type { DayRecord } from "../durable.ts";
import type { Turn } from "../turn.ts";
import { daysOf } from "./fold-days.ts";
import { jobNamed, type NamedJob } from "./jobs.ts";

/** Days that the desk acts on, newest first: what is open, the newest day that is due, and the backlog before it. */
export function windowOf(turn: Turn, { spec }: NamedJob): readonly DayRecord[] {
  const days = daysOf(turn.state.durable, spec.name).filter(({ plan }) => plan !== undefined);
  const isDue = ({ plan }: DayRecord) => plan !== undefined && plan.startMs <= turn.wall;
  const open = days.filter((day) => !isDue(day));
  return [...open, ...days.filter(isDue).slice(0, spec.backlogDays + 1)];
}

/** None: the job has no schedule, and nothing of it is made again by itself. */
export function windowFrom(turn: Turn, name: string): Day | "not known yet" | undefined {
  const { durable, desk } = turn.state;
  const job = jobNamed(durable, name);
  if (job?.spec.schedule === undefined) return undefined;
  const { starts = [] } = desk.calendars.get(name) ?? {};
  // A new leader has not heard of the calendar yet, and the journal that knew the days may be lost.
  if (starts.length === 0) return "not known yet";
  const due = starts.filter(({ startMs }) => startMs <= turn.wall);
  const days = [
    ...windowOf(turn, job).map(({ day }) => day),
    ...due.slice(-(job.spec.backlogDays + 1)).map(({ day }) => day),
  ];
  // None is due yet: all that there is may still come into the window.
  return days.sort()[0] ?? "not known yet";
}
