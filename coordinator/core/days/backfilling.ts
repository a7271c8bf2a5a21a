/**
 * Goes on with backfills on the leader's clock: days in their turn are looked at and started through the ordinary
 * submission path, in the lane of the backlog. What to do is decided in backfill.ts.
 */
import type { Backfill } from "../../../shared/kernel/backfill.ts";
import { parseRunId } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import { type Durable, dayKey, liveRun, nextRun } from "../durable.ts";
import { untoldDay } from "../job-forms.ts";
import { wholeRevision } from "../selection.ts";
import { decide, log, type Turn } from "../turn.ts";
import { closeDay, highestBegun, isAhead } from "./ahead.ts";
import { type BackfillInput, type BackfillView, stepsOf } from "./backfill.ts";
import { isOver } from "./desk-state.ts";
import { hasEnded, isSettled } from "./fold-backfills.ts";
import { recordOf } from "./fold-days.ts";
import { jobNamed, type NamedJob } from "./jobs.ts";
import { retryAt } from "./judge.ts";
import { lookAround } from "./looks.ts";
import { keepAccount } from "./said.ts";
import { submitByDesk } from "./starting.ts";
import { upstreamOf } from "./upstream.ts";

export function backfillTick(turn: Turn): void {
  const { desk, durable } = turn.state;
  if (turn.at < desk.backfillsAt) return;
  desk.backfillsAt = turn.at + limits.deskEveryMs;
  for (const [name, { backfills = [] }] of durable.desks) {
    const job = jobNamed(durable, name);
    if (job === undefined) continue;
    for (const backfill of backfills) if (!hasEnded(backfill)) goOn(turn, job, backfill);
  }
}

/** Keys of the days that have their turn in a backfill. */
export function daysInTurn({ desks }: Durable): string[] {
  return [...desks].flatMap(([job, { backfills = [] }]) =>
    backfills.flatMap(({ days }) =>
      Object.keys(days).flatMap((day) => (isSettled(days[day]) ? [] : [dayKey(job, day)])),
    ),
  );
}

function goOn(turn: Turn, job: NamedJob, backfill: Backfill): void {
  const { desk, durable } = turn.state;
  const { name } = job.spec;
  const isPaused = durable.desks.get(name)?.paused !== undefined;
  const about = { nowMs: turn.wall, isPaused };
  const steps = stepsOf(backfill, (day) => backfillView(turn, job, day), about);
  for (const key of desk.backfillWaits.keys()) {
    if (key.startsWith(`${backfill.id}|`)) desk.backfillWaits.delete(key);
  }
  for (const [day, text] of steps.waits) desk.backfillWaits.set(`${backfill.id}|${day}`, text);
  const outcomes = Object.entries(steps.days);
  if (outcomes.length > 0) {
    decide(turn, { kind: "backfillDays", job: name, id: backfill.id, days: steps.days });
  }
  for (const [day, { state }] of outcomes) {
    if (state === "taken") desk.refused.delete(dayKey(name, day));
    else log(turn, "info", `a day of a backfill is ${state}`, { backfill: backfill.id, day });
  }
  const isDone = steps.isDone && backfill.state !== "cancelled";
  if (isDone) {
    const done = { state: "done", reason: "", wallMs: turn.wall } as const;
    decide(turn, { kind: "backfillMarked", job: name, id: backfill.id, ...done });
  }
  if (isDone || outcomes.some(([, { state }]) => state !== "taken")) keepAccount(turn, name, {});
  const records = steps.looks.flatMap((day) => recordOf(durable, name, day) ?? []);
  lookAround(
    turn,
    records.map((record) => ({ job: job.spec, record })),
  );
  for (const { day, missing } of steps.starts) startDay(turn, job, backfill, day, missing);
}

function startDay(
  turn: Turn,
  { spec, digest }: NamedJob,
  { id }: Backfill,
  day: Day,
  missing: number,
): void {
  const { revision } = nextRun(turn.state.durable, spec.name, day);
  const upstream = upstreamOf(turn.state.durable, spec, day);
  const byDesk = {
    origin: "backfill",
    by: id,
    missing,
    upstream: Object.fromEntries(upstream.map(({ name, revision: of }) => [name, of])),
  } as const;
  const ahead = liveRun(turn.state.durable, spec.name, day);
  if (ahead !== undefined) {
    closeDay(turn, ahead, { lane: "backlog", byDesk });
    return;
  }
  const requestId = `backfill.${id}.${day}.r${revision}`;
  submitByDesk(turn, { job: spec, digest, day, requestId, lane: "backlog", byDesk });
}

/** What is known of a day of a backfill, of one that is only thought of, too. */
export function backfillView(turn: Turn, { spec, digest }: NamedJob, day: Day): BackfillView {
  const { durable, desk } = turn.state;
  const record = recordOf(durable, spec.name, day);
  const failed = record?.failed;
  const run = liveRun(durable, spec.name, day);
  return {
    committed: record === undefined ? 0 : wholeRevision(record),
    // A run that only maps ahead, or did, has not begun the day: the backfill may begin it.
    highest: highestBegun(record, run),
    live: liveText(turn, spec.name, day),
    ...(failed === undefined
      ? {}
      : {
          failed: {
            revision: parseRunId(failed.run)?.revision ?? 0,
            message: `${failed.run} failed: ${failed.message}`,
            isSameJob: failed.jobDigest === digest,
            retryMs: retryAt(failed),
          },
        }),
    stopped: stoppedBy(turn, { spec, digest }, day),
    refused: desk.refused.get(dayKey(spec.name, day)),
    input: inputOf(turn, spec.name, day),
  };
}

/** One that was promised under a journal that is lost, and has to wait, is under way as well. */
function liveText({ state }: Turn, job: string, day: Day): string | undefined {
  const run = liveRun(state.durable, job, day);
  if (run !== undefined) return isAhead(run) ? undefined : `${run.id}: ${run.state}`;
  const isPromised = state.unrestored.some((one) => one.spec.name === job && one.day === day);
  return isPromised || state.submissions.has(dayKey(job, day))
    ? "its run is being planned"
    : undefined;
}

function stoppedBy({ state }: Turn, { spec }: NamedJob, day: Day): string | undefined {
  const { held, skipped } = recordOf(state.durable, spec.name, day) ?? {};
  if (held !== undefined) return `held: ${held.reason}`;
  if (skipped !== undefined) return `nobody wants it: ${skipped.reason}`;
  const behind = upstreamOf(state.durable, spec, day).filter(({ revision }) => revision === 0);
  if (behind.length > 0) {
    return `${behind.map(({ name }) => name).join(", ")} has no revision of the day`;
  }
  return untoldDay(spec, day)?.message;
}

/** Of a look that is recent: an older one says nothing of what is there now. */
function inputOf({ state, wall }: Turn, job: string, day: Day): BackfillInput | undefined {
  const look = state.desk.looks.get(dayKey(job, day));
  if (look?.verdict === undefined || look.isUnderWay || isOver(look.due, wall)) return undefined;
  const { state: verdict, reason, sources, judgeAtMs } = look.verdict;
  return {
    verdict,
    reason,
    missing: verdict === "gaps" ? sources.reduce((sum, { lacking }) => sum + lacking, 0) : 0,
    isFinal: judgeAtMs === undefined && !sources.some(({ awaitsLook }) => awaitsLook),
  };
}
