/**
 * The desk: days of scheduled jobs are opened by the calendar, looked at, judged, and started, by themselves. It runs on
 * the leader's clock, and whatever it has to remember is a fact; the next leader goes on from there.
 */
import type { CalendarStart } from "../../../shared/kernel/days.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import { definitionOf } from "../../../shared/kernel/job-day.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { RunOrigin } from "../../../shared/kernel/status.ts";
import { type DayRecord, dayKey, liveRun, nextRun, type Run } from "../durable.ts";
import { historyDays } from "../history.ts";
import type { Answered } from "../state.ts";
import { ask, decide, log, publish, type Turn } from "../turn.ts";
import { aheadText, closeDay, gatherDay, isAhead, isAheadSoon, tendGathering } from "./ahead.ts";
import { daysInTurn } from "./backfilling.ts";
import type { DayPlan } from "./day.ts";
import { watchDeadlines } from "./deadlines.ts";
import { isOver } from "./desk-state.ts";
import { usualRunMs } from "./durations.ts";
import { earlierDay, newestDue, type Pass } from "./earlier.ts";
import { daysOf, recordOf } from "./fold-days.ts";
import { jobNamed, type NamedJob, scheduledJobs } from "./jobs.ts";
import { type DayView, type Judgement, judgeDay } from "./judge.ts";
import { type DayToSee, forgetLooks, lookAround } from "./looks.ts";
import { submitByDesk } from "./starting.ts";
import { tallyOf } from "./tally.ts";
import { upstreamOf } from "./upstream.ts";
import { windowOf } from "./window.ts";

const dayMs = 86_400_000;

/** One look at the clock of a leader. */
export function deskTick(turn: Turn): void {
  const { desk, durable } = turn.state;
  if (turn.at < desk.nextAt) return;
  desk.nextAt = turn.at + limits.deskEveryMs;
  const windows = new Map<string, readonly DayRecord[]>();
  const toSee: DayToSee[] = [];
  for (const job of scheduledJobs(durable)) {
    askCalendar(turn, job);
    openDays(turn, job);
    const days = windowOf(turn, job);
    windows.set(job.spec.name, days);
    toSee.push(...days.map((record) => ({ job: job.spec, record })));
    startDays(turn, job, days);
  }
  // All jobs together: one with many days that wait must not keep the others from being looked at, nor backfills.
  lookAround(turn, toSee, limits.looksAtOnceMax - 1);
  tendGathering(turn, (record) => windows.get(record.job)?.includes(record) === true);
  const inWindows = [...windows.values()].flat().map(({ job, day }) => dayKey(job, day));
  forgetLooks(turn, new Set([...inWindows, ...daysInTurn(durable)]));
}

// --- the calendar -----------------------------------------------------------------------------

function askCalendar(turn: Turn, { spec, digest }: NamedJob): void {
  const { calendars } = turn.state.desk;
  const known = calendars.get(spec.name);
  if (known?.jobDigest === digest && !isOver(known.asked, turn.wall)) return;
  calendars.set(spec.name, {
    jobDigest: digest,
    starts: known?.jobDigest === digest ? known.starts : [],
    asked: { fromMs: turn.wall, untilMs: turn.wall + limits.calendarEveryMs },
  });
  askStarts(turn, spec, (spec.backlogDays + 2) * dayMs);
}

function askStarts(turn: Turn, spec: JobSpec, backMs: number): void {
  const { schedule = "", timezone, finishBy, finishByModel } = spec;
  ask(
    turn,
    {
      kind: "planCalendar",
      schedule,
      timezone,
      ...(finishBy === undefined ? {} : { finishBy }),
      ...(finishByModel === undefined ? {} : { finishByModel }),
      fromMs: turn.wall - backMs,
      toMs: turn.wall + limits.calendarAheadMs,
    },
    { kind: "calendar", job: spec.name },
  );
}

export function calendarAnswered(turn: Turn, job: string, answered: Answered): void {
  const { ask: question, answer } = answered;
  const calendar = turn.state.desk.calendars.get(job);
  if (calendar === undefined) return;
  if (answer.kind === "calendar") {
    const spec = jobNamed(turn.state.durable, job)?.spec;
    const fromMs = question.kind === "planCalendar" ? question.fromMs : turn.wall;
    const isDue = answer.starts.some(({ startMs }) => startMs <= turn.wall);
    const backMs = turn.wall - fromMs;
    // The newest day that is due may lie before the window of days: of a schedule by months, for one.
    if (spec !== undefined && !isDue && backMs < limits.calendarBackMsMax) {
      askStarts(turn, spec, 2 * backMs);
    } else calendar.starts = answer.starts;
    return;
  }
  calendar.asked = { fromMs: turn.wall, untilMs: turn.wall + limits.retryBackoffMsMax };
  if (answer.kind !== "failed") return;
  const { code, message } = answer.failure;
  log(turn, "error", `the calendar of a job can't be made: ${message}`, { job, code });
}

/** Days that began since the leader last looked, and those of the window that nobody opened: it may have been away. */
function openDays(turn: Turn, { spec }: NamedJob): void {
  const { durable, desk } = turn.state;
  const starts = desk.calendars.get(spec.name)?.starts ?? [];
  const begun = starts.filter(({ opensMs }) => opensMs <= turn.wall);
  // The bound of catching up: the newest day that is due, those of the backlog before it, and what is not due yet.
  const due = begun.filter(({ startMs }) => startMs <= turn.wall).slice(-(spec.backlogDays + 1));
  const wanted = [...due, ...begun.filter(({ startMs }) => startMs > turn.wall)];
  const planned = daysOf(durable, spec.name).filter(({ plan }) => plan !== undefined);
  const oldest = planned.at(-1)?.day;
  for (const start of wanted) {
    const known = recordOf(durable, spec.name, start.day)?.plan;
    const plan = planOf(start);
    if (known !== undefined && samePlan(known, plan)) continue;
    decide(turn, { kind: "dayOpened", job: spec.name, day: start.day, plan });
    const isNew = oldest === undefined || start.day < oldest;
    if (isNew || known !== undefined) passOver(turn, spec.name, start, known);
  }
}

/**
 * A job that is made known, that looks further back, or that is given a deadline is late for nothing that was due before:
 * it is shown, and nobody is called. `known`: what the day was to be done by until now.
 */
function passOver(turn: Turn, job: string, start: CalendarStart, known?: DayPlan): void {
  const { day, finishByMs, finishByModelMs = {} } = start;
  const isPast = (byMs: number | undefined, was: number | undefined) =>
    byMs !== undefined && byMs <= turn.wall && was === undefined;
  const models = Object.entries(finishByModelMs).filter(([name, byMs]) =>
    isPast(byMs, known?.finishByModelMs?.[name]),
  );
  const missed = [
    ...(isPast(finishByMs, known?.finishByMs) ? ["missed"] : []),
    ...models.map(([name]) => `missed ${name}`),
  ];
  const about = { kind: "dayWarned", job, day, isPassedOver: true, wallMs: turn.wall } as const;
  for (const what of missed) decide(turn, { ...about, what });
}

function planOf({ opensMs, startMs, finishByMs, finishByModelMs }: CalendarStart): DayPlan {
  return {
    opensMs,
    startMs,
    ...(finishByMs === undefined ? {} : { finishByMs }),
    ...(finishByModelMs === undefined ? {} : { finishByModelMs }),
  };
}

function samePlan(a: DayPlan, b: DayPlan): boolean {
  return JSON.stringify(planOf({ day: "", ...a })) === JSON.stringify(planOf({ day: "", ...b }));
}

// --- starting ---------------------------------------------------------------------------------

/** What the desk sees of a day; people are shown the judgement of the very same. */
export function viewOf(
  turn: Turn,
  job: NamedJob,
  record: DayRecord,
  pass: Pass = newPass(turn),
): DayView {
  const { spec, digest } = job;
  const { durable, desk, submissions } = turn.state;
  const key = dayKey(record.job, record.day);
  const run = liveRun(durable, record.job, record.day);
  const submission = submissions.get(key);
  const isPlanned = submission !== undefined && !isAheadSoon(submission);
  const refused = desk.refused.get(key);
  const live =
    run !== undefined && !isAhead(run)
      ? runText(run)
      : isPlanned
        ? "its run is being planned"
        : undefined;
  return {
    job: spec,
    jobDigest: digest,
    ...newDefinition(spec, digest, record),
    memory: record,
    committed: record.committed,
    live,
    ahead: run && isAhead(run) ? aheadText(run, record) : undefined,
    upstream: upstreamOf(durable, spec, record.day),
    ...historyIn(turn, job, record, pass),
    nowMs: turn.wall,
    ...(refused === undefined ? {} : { refused }),
  };
}

/** For one look over many days: what is found out of one of them need not be found out again. */
export function newPass(turn: Turn): Pass {
  const windows = new Map<string, readonly DayRecord[]>();
  const pass: Pass = {
    viewOf: (job, record) => viewOf(turn, job, record, pass),
    windowOf: (job) => {
      const known = windows.get(job.spec.name) ?? windowOf(turn, job);
      windows.set(job.spec.name, known);
      return known;
    },
    underWay: new Map(),
  };
  return pass;
}

function historyIn(turn: Turn, job: NamedJob, record: DayRecord, pass: Pass) {
  const history = historyDays(turn.state.durable, job.spec, record.day);
  if (history.length === 0) return {};
  const isNewest = record === newestDue(turn, pass.windowOf(job));
  return { history, isNewest, earlier: earlierDay(turn, history, pass) };
}

/** Looked into only where the job has changed since the day was made: it takes a hash over all its SQL. */
function newDefinition(spec: JobSpec, digest: string, { made, day }: DayRecord) {
  if (made?.definition === undefined || made.jobDigest === digest) return {};
  return { definition: definitionOf(spec, day) };
}

/** Of a live run. The desk looks every second: from what the stages count, not from all their tasks. */
function runText({ id, state, stages }: Run): string {
  const tasks = stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
  const done = stages.reduce((sum, stage) => sum + stage.done, 0);
  return tasks === 0 ? `${id}: ${state}` : `${id}: ${state}, ${done} of ${tasks} tasks`;
}

function startDays(turn: Turn, job: NamedJob, days: readonly DayRecord[]): void {
  const newest = newestDue(turn, days);
  const usualMs = usualRunMs(turn.state.durable.runs.values(), job.spec.name);
  const pass = newPass(turn);
  const judged = days.map((record) => {
    const view = viewOf(turn, job, record, pass);
    return { record, view, judgement: judgeDay(view) };
  });
  const found = judged.map(({ judgement }) => judgement);
  turn.state.desk.tallies.set(job.spec.name, tallyOf(found, usualMs));
  const ready: { record: DayRecord; view: DayView; judgement: Judgement }[] = [];
  for (const { record, view, judgement } of judged) {
    tellChange(turn, record, judgement);
    watchDeadlines(turn, record, judgement, usualMs);
    if (judgement.action.kind === "run") ready.push({ record, view, judgement });
    // Older days may wait for ever, and what is mapped of them would hold room in the exchange.
    else if (record === newest || !isDue(turn, record)) {
      gatherDay(turn, job, record, view, judgement);
    }
  }
  const isPaused = turn.state.durable.desks.get(job.spec.name)?.paused !== undefined;
  let room = limits.backlogRunsPerJobMax - judged.filter(isRunningBacklog(turn, newest)).length;
  const inOrder = job.spec.backlogOrder === "newest" ? ready : [...ready].reverse();
  for (const { record, view, judgement } of inOrder) {
    const isLive = record === newest;
    if (!isLive && (isPaused || room <= 0)) continue;
    if (!isLive) room--;
    startDay(turn, job, record, view, judgement, isLive);
  }
}

function isDue({ wall }: Turn, { plan }: DayRecord): boolean {
  return plan !== undefined && plan.startMs <= wall;
}

function isRunningBacklog(turn: Turn, newestDue: DayRecord | undefined) {
  return ({ record }: { readonly record: DayRecord }) => {
    if (record === newestDue) return false;
    const { durable, submissions } = turn.state;
    const run = liveRun(durable, record.job, record.day);
    const submission = submissions.get(dayKey(record.job, record.day));
    if (run !== undefined) return !isAhead(run);
    return submission !== undefined && !isAheadSoon(submission);
  };
}

function startDay(
  turn: Turn,
  { spec, digest }: NamedJob,
  record: DayRecord,
  view: DayView,
  { state, action }: Judgement,
  isLive: boolean,
): void {
  if (action.kind !== "run") return;
  const { job, day } = record;
  const { revision } = nextRun(turn.state.durable, job, day);
  const upstream = Object.fromEntries(view.upstream.map(({ name, revision: of }) => [name, of]));
  const origin = originOf(state, record, isLive);
  log(turn, "info", "a day starts by itself", { job, day, why: action.why, origin });
  const lane = isLive ? "live" : "backlog";
  const { missing, news } = action;
  const isNews = origin === "news" && news !== undefined;
  const byDesk = { origin, ...(isNews ? { news } : {}), missing, upstream };
  const ahead = liveRun(turn.state.durable, job, day);
  if (ahead !== undefined) {
    closeDay(turn, ahead, { lane, byDesk });
    return;
  }
  const requestId = `auto.${job}.${day}.r${revision}`;
  submitByDesk(turn, { job: spec, digest, day, requestId, lane, byDesk });
}

function originOf(state: Judgement["state"], record: DayRecord, isLive: boolean): RunOrigin {
  if (record.wanted !== undefined) return "command";
  if (state === "stale" || state === "provisional") return "news";
  return isLive ? "schedule" : "recovery";
}

function tellChange(turn: Turn, record: DayRecord, { state, reason }: Judgement): void {
  const { told } = turn.state.desk;
  const key = dayKey(record.job, record.day);
  if (told.get(key) === state) return;
  told.set(key, state);
  publish(turn, record, "day.changed", { state, reason });
}
