/**
 * What people, or programs on their behalf, say about days: hold, release, skip, make again, delivered, pause. It is a
 * fact at once, and the caller is told when the account of the job is on storage, too: the journal alone may be lost.
 */
import { type Failure, failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { isDay } from "../../../shared/kernel/time.ts";
import type { Fact } from "../facts.ts";
import type { ReplyId } from "../protocol.ts";
import type { DaysMessage } from "../protocol-days.ts";
import type { Answered } from "../state.ts";
import { unknownJob } from "../submissions.ts";
import { ask, decide, epochOf, refuse, reply, retryLater, type Turn } from "../turn.ts";
import { backfillsOf } from "./backfill-view.ts";
import { deliveryNamed } from "./delivery-view.ts";
import type { SavingWaiter } from "./desk-state.ts";
import { deskDocument } from "./fold-days.ts";
import { jobNamed, notScheduled } from "./jobs.ts";
import { lookSoon } from "./looks.ts";

type Of<Kind extends DaysMessage["kind"]> = Extract<DaysMessage, { kind: Kind }>;

export function markDay(turn: Turn, message: Of<"markDay">): void {
  const { job, day, mark, reason } = message;
  const wrong = wrongDay(turn, job, day) ?? wrongReason(reason);
  if (wrong !== undefined) {
    refuse(turn, message.reply, wrong);
    return;
  }
  say(turn, message.reply, { kind: "dayMarked", job, day, mark, reason, wallMs: turn.wall });
}

export function delivered(turn: Turn, message: Of<"delivered">): void {
  const { job, day, source } = message;
  const known = jobNamed(turn.state.durable, job)?.spec.sources.map(({ name }) => name) ?? [];
  const wrong = wrongDay(turn, job, day) ?? unknownSource(job, source, known);
  if (wrong !== undefined) {
    refuse(turn, message.reply, wrong);
    return;
  }
  const sources = source === "" ? known : [source];
  say(turn, message.reply, { kind: "dayDelivered", job, day, sources, wallMs: turn.wall });
  lookSoon(turn, job, day);
}

export function pauseBacklog(turn: Turn, message: Of<"pauseBacklog">): void {
  const { job, paused, reason } = message;
  const wrong = wrongJob(turn, job) ?? wrongReason(reason);
  if (wrong !== undefined) {
    refuse(turn, message.reply, wrong);
    return;
  }
  say(turn, message.reply, { kind: "backlogPaused", job, paused, reason, wallMs: turn.wall });
}

function wrongJob(turn: Turn, job: string): Failure | undefined {
  const known = jobNamed(turn.state.durable, job);
  if (known === undefined) return unknownJob(turn.state.durable, job);
  return known.spec.schedule === undefined ? notScheduled(job) : undefined;
}

function wrongDay(turn: Turn, job: string, day: string): Failure | undefined {
  if (!isDay(day)) {
    return failure("badRequest", `day ${JSON.stringify(day)} is not a date; write YYYY-MM-DD`);
  }
  return wrongJob(turn, job);
}

export function wrongReason(reason: string): Failure | undefined {
  return tooLong("a reason", reason, limits.reasonCharactersMax);
}

/** Whoever says it. */
export function wrongBy(by: string): Failure | undefined {
  return tooLong("the name of who says it", by, limits.byCharactersMax);
}

function tooLong(what: string, { length }: string, most: number): Failure | undefined {
  if (length <= most) return undefined;
  return failure("badRequest", `${what} has at most ${most} characters, this one ${length}`);
}

function unknownSource(job: string, source: string, known: readonly string[]): Failure | undefined {
  if (source === "" || known.includes(source)) return undefined;
  const text = `job ${job} has no source ${JSON.stringify(source)}; it has ${known.join(", ")}`;
  return failure("badRequest", text, { job, source });
}

// --- on storage before it is promised ---------------------------------------------------------

function say(turn: Turn, to: ReplyId, fact: Extract<Fact, { readonly job: string }>): void {
  decide(turn, fact);
  keepAccount(turn, fact.job, { to });
}

/** Writes what is in force now to storage; then who waits is told. */
export function keepAccount(turn: Turn, job: string, waiter: SavingWaiter): void {
  const { saving } = turn.state.desk;
  const known = saving.get(job);
  if (known === undefined) {
    saving.set(job, { waiters: [waiter], next: [] });
    save(turn, job);
  } else {
    // Two writes under way might land in either order: the next one begins when this one is done.
    known.next.push(waiter);
  }
}

function save(turn: Turn, job: string): void {
  const desk = deskDocument(turn.state.durable, job);
  ask(turn, { kind: "saveDesk", epoch: epochOf(turn), job, desk }, { kind: "desk", job });
}

function tellSaved(turn: Turn, job: string, { to, backfill, delivery }: SavingWaiter): void {
  if (to === undefined) return;
  if (backfill !== undefined) {
    reply(turn, to, { kind: "backfills", backfills: backfillsOf(turn, job, backfill) });
  } else if (delivery !== undefined) {
    reply(turn, to, { kind: "deliveries", deliveries: deliveryNamed(turn, job, delivery) });
  } else reply(turn, to, { kind: "said" });
}

export function deskSaved(turn: Turn, job: string, answered: Answered): void {
  const { saving } = turn.state.desk;
  const known = saving.get(job);
  if (known === undefined) return;
  if (answered.answer.kind === "failed") {
    // In force, but not safe yet: callers wait until it is, or until they give up.
    retryLater(turn, answered);
    return;
  }
  for (const waiter of known.waiters) tellSaved(turn, job, waiter);
  if (known.next.length === 0) {
    saving.delete(job);
    return;
  }
  saving.set(job, { waiters: known.next, next: [] });
  save(turn, job);
}
