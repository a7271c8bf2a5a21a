/** The days of a job as people are shown them. Each state and reason is the judgement that the desk acts on. */
import type { BacklogStatus, DayStatus, ModelOfDay } from "../../../shared/kernel/days.ts";
import type { Failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { type DayRecord, liveRun, type Run } from "../durable.ts";
import type { Reply } from "../protocol.ts";
import { unknownJob } from "../submissions.ts";
import type { Turn } from "../turn.ts";
import { newPass, viewOf } from "./desk.ts";
import { usualRunMs } from "./durations.ts";
import { daysOf } from "./fold-days.ts";
import { jobNamed, type NamedJob } from "./jobs.ts";
import { type Judgement, judgeDay } from "./judge.ts";
import { tallyOf } from "./tally.ts";
import { windowOf } from "./window.ts";
import { instantText } from "./words.ts";

/** `days` 0: those of the window. */
export function backlogOf(turn: Turn, name: string, days: number): Reply | Failure {
  const { durable } = turn.state;
  const job = jobNamed(durable, name);
  if (job === undefined) return unknownJob(durable, name);
  const inWindow = windowOf(turn, job);
  const newestDue = newestDueOf(turn, inWindow);
  const shown = days === 0 && inWindow.length > 0 ? inWindow : daysOf(durable, name);
  const most = days === 0 ? limits.backlogDaysShown : Math.min(days, limits.backlogDaysShownMax);
  const paused = durable.desks.get(name)?.paused;
  const pass = newPass(turn);
  const judged = (record: DayRecord) => judgeDay(viewOf(turn, job, record, pass));
  const listed = shown.slice(0, most).map((record) => {
    const judgement = judged(record);
    const context = { isIn: inWindow.includes(record), isLive: record === newestDue };
    return dayStatus(turn, job, record, judgement, { ...context, isPaused: paused !== undefined });
  });
  const usualMs = usualRunMs(durable.runs.values(), name);
  const { toDo, catchUpMs } = tallyOf(inWindow.map(judged), usualMs);
  const backlog: BacklogStatus = {
    job: name,
    schedule: job.spec.schedule ?? "",
    timezone: job.spec.timezone,
    paused: paused?.reason ?? "",
    order: job.spec.backlogOrder ?? "oldest",
    toDo,
    catchUpMs,
    late: durable.desks.get(name)?.late?.total ?? 0,
    days: listed,
  };
  return { kind: "backlog", backlog };
}

function newestDueOf(turn: Turn, days: readonly DayRecord[]): DayRecord | undefined {
  return days.find(({ plan }) => plan !== undefined && plan.startMs <= turn.wall);
}

interface Context {
  readonly isIn: boolean;
  readonly isLive: boolean;
  readonly isPaused: boolean;
}

function dayStatus(
  turn: Turn,
  job: NamedJob,
  record: DayRecord,
  judgement: Judgement,
  context: Context,
): DayStatus {
  const run = liveRun(turn.state.durable, record.job, record.day);
  const { plan, input } = record;
  return {
    day: record.day,
    state: judgement.state,
    reason: judgement.reason,
    next: nextText(turn, judgement, context),
    revision: record.committed,
    run: run?.id ?? "",
    isLive: context.isLive,
    startMs: plan?.startMs ?? 0,
    finishByMs: plan?.finishByMs ?? 0,
    warned: record.warned ?? [],
    files: input?.files ?? 0,
    missing: input?.missing ?? [],
    missingTotal: input?.missingTotal ?? 0,
    models: job.spec.models.map(({ name }) => ({
      model: name,
      state: modelState(record, run, name),
    })),
  };
}

function nextText(turn: Turn, { action }: Judgement, context: Context): string {
  switch (action.kind) {
    case "none":
      return "";
    case "wait":
      if (action.isSoon === true && context.isIn) return "runs by itself after that";
      if (action.untilMs === undefined) return "runs by itself when it comes";
      return `goes on by itself ${instantText(action.untilMs, turn.wall)}`;
    case "run":
      if (!context.isIn) return "nothing: it is older than the window; daymill submit runs it";
      if (context.isLive) return "runs at once";
      return context.isPaused ? "runs when the backlog goes on" : "runs in the backlog";
    default:
      return action satisfies never;
  }
}

function modelState(record: DayRecord, run: Run | undefined, model: string): ModelOfDay["state"] {
  const stage = run?.plan.datasets.find((dataset) => dataset.model === model)?.stage;
  const found = run?.stages.find(({ id }) => id === stage);
  if (found !== undefined) return found.startedMs === 0 ? "waiting" : "running";
  const isMade = run !== undefined && (run.select?.includes(model) ?? true);
  if (isMade) return "waiting";
  return record.datasets.includes(model) ? "done" : "none";
}
