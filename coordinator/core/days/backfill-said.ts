/**
 * What people say about backfills: start, pause, resume, cancel. Confirmed when it is on storage, as all that is said
 * about days (said.ts). Whether a day is over is a question of the job's time zone: the calendar is asked for midnights.
 */
import {
  type Backfill,
  type BackfillAction,
  type BackfillDay,
  type BackfillDayStatus,
  type BackfillWish,
  daysOfBackfill,
  type RevisionsBefore,
} from "../../../shared/kernel/backfill.ts";
import { type Failure, failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import type { ReplyId } from "../protocol.ts";
import type { DaysMessage } from "../protocol-days.ts";
import type { Answered } from "../state.ts";
import { unknownJob } from "../submissions.ts";
import { ask, decide, refuse, reply, type Turn } from "../turn.ts";
import { type BackfillStart, isWanted, wrongWish } from "./backfill.ts";
import { counted } from "./backfill-view.ts";
import { backfillView } from "./backfilling.ts";
import { hasEnded } from "./fold-backfills.ts";
import { jobNamed, type NamedJob } from "./jobs.ts";
import { keepAccount, wrongBy, wrongReason } from "./said.ts";

const dayMs = 86_400_000;
/** Of an occurrence at midnight the data date is the day that has just ended. */
const midnights = "0 0 * * *";

export function backfillAsked(
  turn: Turn,
  { reply: to, action }: Extract<DaysMessage, { kind: "backfill" }>,
): void {
  if (action.kind !== "start") {
    mark(turn, to, action);
    return;
  }
  const { wish } = action;
  const job = jobNamed(turn.state.durable, wish.job);
  if (job === undefined) {
    refuse(turn, to, unknownJob(turn.state.durable, wish.job));
    return;
  }
  const wrong =
    wrongWish(wish) ?? wrongReason(wish.reason) ?? wrongBy(wish.by) ?? wrongRequest(action);
  if (wrong !== undefined) {
    refuse(turn, to, wrong);
    return;
  }
  if (isKnown(turn, to, action)) return;
  const { timezone } = job.spec;
  const span = { fromMs: turn.wall - 3 * dayMs, toMs: turn.wall + dayMs };
  ask(
    turn,
    { kind: "planCalendar", schedule: midnights, timezone, ...span },
    { kind: "backfill", reply: to, start: action },
  );
}

/** It tells one backfill from another. */
function wrongRequest({ requestId, dryRun }: BackfillStart): Failure | undefined {
  const most = limits.requestIdCharactersMax;
  if (dryRun || (requestId !== "" && requestId.length <= most)) return undefined;
  return failure("badRequest", `a backfill needs a request id of 1 to ${most} characters`);
}

/** The same request again: the answer is the same. */
function isKnown(turn: Turn, to: ReplyId, { wish, requestId, dryRun }: BackfillStart): boolean {
  if (dryRun) return false;
  const { backfills = [] } = turn.state.durable.desks.get(wish.job) ?? {};
  const known = backfills.find((one) => one.requestId === requestId);
  if (known === undefined) return false;
  keepAccount(turn, wish.job, { to, backfill: known.id });
  return true;
}

export function startAnswered(
  turn: Turn,
  to: ReplyId,
  start: BackfillStart,
  { answer }: Answered,
): void {
  const job = jobNamed(turn.state.durable, start.wish.job);
  if (answer.kind === "failed" || answer.kind !== "calendar" || job === undefined) {
    const text = "which days are over can't be told just now; try again in a moment";
    refuse(turn, to, answer.kind === "failed" ? answer.failure : failure("unavailable", text));
    return;
  }
  if (isKnown(turn, to, start)) return;
  const over = answer.starts.findLast(({ startMs }) => startMs <= turn.wall)?.day ?? "";
  const wrong = notOver(start.wish, over, job) ?? inTheWay(turn, start.wish);
  if (wrong !== undefined) {
    refuse(turn, to, wrong);
    return;
  }
  const plan = planOf(turn, job, start.wish);
  if (start.dryRun) {
    const shown = { ...counted(start.wish, plan.shown), id: "", state: "dry run" } as const;
    const status = { ...shown, wallMs: turn.wall, changed: "" };
    reply(turn, to, { kind: "backfills", backfills: [status] });
    return;
  }
  const { name } = job.spec;
  const { before, days } = plan;
  const id = nextId(turn, name);
  const { requestId, wish } = start;
  const about = { id, requestId, wallMs: turn.wall, state: "running", before, days } as const;
  decide(turn, { kind: "backfillStarted", job: name, backfill: { ...wish, ...about } });
  keepAccount(turn, name, { to, backfill: id });
}

function notOver({ to }: BackfillWish, over: Day, { spec }: NamedJob): Failure | undefined {
  if (to <= over) return undefined;
  const text = `day ${to} is not over yet in ${spec.timezone}: the last one that a backfill may have is ${over}`;
  return failure("badRequest", text, { job: spec.name, day: to });
}

/** Two backfills of one day would each wait for the other's run, and then make it again. */
function inTheWay(turn: Turn, { job, from, to }: BackfillWish): Failure | undefined {
  const open = (turn.state.durable.desks.get(job)?.backfills ?? []).filter((one) => !hasEnded(one));
  const other = open.find((one) => one.from <= to && from <= one.to);
  if (other !== undefined) {
    const text =
      `backfill ${other.id} (${other.state}) has days ${other.from} to ${other.to} already: wait for its end, ` +
      `or cancel it (daymill backfill-cancel ${other.id})`;
    return failure("conflict", text, { job, backfill: other.id });
  }
  if (open.length < limits.backfillsKept) return undefined;
  const text = `job ${job} has ${open.length} backfills that have not ended, which is the most; wait for one, or cancel it`;
  return failure("limitExceeded", text, { job });
}

/** What each day is before it begins, and which of them are not to be done. */
function planOf(turn: Turn, job: NamedJob, wish: BackfillWish) {
  const before: Record<Day, RevisionsBefore> = {};
  const days: Record<Day, BackfillDay> = {};
  const shown = daysOfBackfill(wish, limits.backfillDaysMax).map((day): BackfillDayStatus => {
    const view = backfillView(turn, job, day);
    const { committed, highest, stopped } = view;
    if (highest > 0) before[day] = { committed, highest };
    const { isWanted: isToDo, reason } = isWanted(wish.redo, view);
    if (!isToDo) days[day] = { state: "skipped", reason };
    // Whoever holds it may release it before its turn.
    const why = isToDo && stopped !== undefined ? stopped : reason;
    return { day, state: isToDo && why === reason ? "to do" : "skipped", reason: why, revision: 0 };
  });
  return { before, days, shown };
}

function nextId(turn: Turn, job: string): string {
  const { backfills = [] } = turn.state.durable.desks.get(job) ?? {};
  const numbers = backfills.map(({ id }) => Number(id.slice(id.lastIndexOf(".b") + 2)));
  return `${job}.b${Math.max(0, ...numbers) + 1}`;
}

type Mark = Exclude<BackfillAction, { readonly kind: "start" }>;

const marked = { pause: "paused", resume: "running", cancel: "cancelled" } as const;

function mark(turn: Turn, to: ReplyId, { kind, id, reason }: Mark): void {
  const known = backfillNamed(turn, id);
  const state = marked[kind];
  const wrong =
    known === undefined
      ? unknownBackfill(turn, id)
      : (wrongReason(reason) ?? tooLate(known, state));
  if (wrong !== undefined || known === undefined) {
    if (wrong !== undefined) refuse(turn, to, wrong);
    return;
  }
  const { job } = known;
  if (known.state !== state) {
    decide(turn, { kind: "backfillMarked", job, id, state, reason, wallMs: turn.wall });
  }
  keepAccount(turn, job, { to, backfill: id });
}

function backfillNamed({ state }: Turn, id: string): Backfill | undefined {
  for (const { backfills = [] } of state.durable.desks.values()) {
    const found = backfills.find((one) => one.id === id);
    if (found !== undefined) return found;
  }
  return undefined;
}

function unknownBackfill({ state }: Turn, id: string): Failure {
  const all = [...state.durable.desks.values()].flatMap(({ backfills = [] }) => backfills);
  const names = all.slice(-10).map((one) => one.id);
  const hint = names.length === 0 ? "there is none" : `there are: ${names.join(", ")}`;
  return failure("badRequest", `backfill ${JSON.stringify(id)} is not known; ${hint}`);
}

function tooLate({ id, state }: Backfill, to: Backfill["state"]): Failure | undefined {
  const isOver = state === "done" || state === "cancelled";
  if (!isOver || state === to) return undefined;
  const text = `backfill ${id} is ${state} already; start another one for its days`;
  return failure("conflict", text, { backfill: id });
}
