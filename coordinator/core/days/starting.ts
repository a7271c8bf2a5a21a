/** How the desk starts a day: through the same submission as everybody, with the reason why there is a run. */
import { limits } from "../../../shared/kernel/limits.ts";
import { dayKey, liveRun, liveRuns, startOf } from "../durable.ts";
import { askForPlan, untoldDay } from "../job-forms.ts";
import type { Submission } from "../state.ts";
import type { Turn } from "../turn.ts";
import { deskRefused } from "./desk-state.ts";

/** The leader starts a day by itself (days/desk.ts). Nothing where a run of the day is under way, or too many are. */
export function submitByDesk(
  turn: Turn,
  start: Pick<
    Submission,
    "job" | "digest" | "day" | "requestId" | "lane" | "isGathering" | "byDesk"
  >,
): void {
  const { durable, submissions } = turn.state;
  const key = dayKey(start.job.name, start.day);
  if (submissions.has(key) || liveRun(durable, start.job.name, start.day) !== undefined) return;
  if (liveRuns(durable).length + submissions.size >= limits.runsLiveMax) return;
  const untold = untoldDay(start.job, start.day);
  if (untold !== undefined) {
    deskRefused(turn, key, untold);
    return;
  }
  askForPlan(turn, key, { ...start, plan: undefined, isRestored: false, waiters: [] });
}

/** Why there is this run, and what it was started with. */
export function startedBy({ byDesk, start = {} }: Submission) {
  if (byDesk === undefined) return startOf(start);
  const { missing, upstream } = byDesk;
  return {
    ...startOf(byDesk),
    ...(missing === 0 ? {} : { missing }),
    ...(Object.keys(upstream).length === 0 ? {} : { upstream }),
  };
}
