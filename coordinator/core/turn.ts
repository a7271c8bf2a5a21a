/**
 * What the parts of one step work with: the state, the time, and the effects so far. `decide` is the only way to
 * change durable state; an effect that is told or asked after a decision waits until that decision is saved
 * ("save before you tell"). The `…Now` forms are for leadership and the journal itself, which saving depends on.
 */
import { assert } from "../../shared/kernel/assert.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Instant } from "../../shared/kernel/time.ts";
import type { Fact } from "./facts.ts";
import { fold } from "./fold.ts";
import { countFact } from "./metrics/counted.ts";
import type { Ask, Effect, EventKind, Reply, ReplyId, Tell } from "./protocol.ts";
import type { Asked, CoordinatorState, Purpose } from "./state.ts";

export interface Turn {
  readonly state: CoordinatorState;
  readonly at: Instant;
  readonly wall: number;
  readonly effects: Effect[];
}

/** An ask that has no id yet. */
export type AskBody = Ask extends infer One ? (One extends Ask ? Omit<One, "id"> : never) : never;

export function epochOf(turn: Turn): number {
  const { role } = turn.state;
  assert(role.kind === "leader", "only a leader decides");
  return role.epoch;
}

/** Remembers a fact: folded at once, saved soon. */
export function decide(turn: Turn, fact: Fact): void {
  assert(turn.state.role.kind === "leader", "only a leader decides");
  fold(turn.state.durable, fact);
  countFact(turn.state.counted, turn.state.durable, fact);
  turn.state.journal.unsaved.push(fact);
  turn.state.journal.decided++;
}

/** An effect that may show, or rest on, what was decided so far. */
export function tell(turn: Turn, effect: Tell): void {
  emit(turn, effect);
}

export function tellNow(turn: Turn, effect: Tell): void {
  turn.effects.push(effect);
}

/** A question to the shell that rests on what was decided so far. */
export function ask(turn: Turn, body: AskBody, purpose: Purpose, tries = 0): void {
  emit(turn, register(turn, body, purpose, tries));
}

export function askNow(turn: Turn, body: AskBody, purpose: Purpose, tries = 0): void {
  turn.effects.push(register(turn, body, purpose, tries));
}

function register(turn: Turn, body: AskBody, purpose: Purpose, tries: number): Ask {
  const id = turn.state.nextAsk++;
  const question: Ask = { ...body, id };
  turn.state.asked.set(id, { ask: question, purpose, tries });
  return question;
}

function emit(turn: Turn, effect: Effect): void {
  const { journal } = turn.state;
  if (journal.decided === journal.saved) turn.effects.push(effect);
  else journal.held.push({ after: journal.decided, effect });
}

/** Makes the same question again after a pause that doubles with each try. */
export function retryLater(turn: Turn, asked: Asked): void {
  const pauseMs = backoffMs(asked.tries);
  turn.state.retries.push({ ...asked, tries: asked.tries + 1, at: turn.at + pauseMs });
}

/** A question that is put after a pause. A step-down before that forgets it. */
export function askLater(turn: Turn, body: AskBody, purpose: Purpose, waitMs: number): void {
  const question: Ask = { ...body, id: 0 };
  turn.state.retries.push({ ask: question, purpose, tries: 0, at: turn.at + waitMs });
}

export function backoffMs(tries: number): number {
  return Math.min(limits.retryBackoffMsMax, limits.retryBackoffMsMin * 2 ** Math.min(tries, 16));
}

export function reply(turn: Turn, to: ReplyId, result: Reply): void {
  const { role, config, journal } = turn.state;
  const epoch = role.kind === "leader" ? role.epoch : turn.state.epochSeen;
  // The sequence is filled in when the reply leaves (journaling.ts), if it has to wait.
  const stamp = { epoch, journalSequence: journal.sequence, coordinator: config.coordinator };
  tell(turn, { kind: "reply", reply: to, stamp, result });
}

export function refuse(turn: Turn, to: ReplyId, why: Failure): void {
  reply(turn, to, { kind: "failed", failure: why, leader: "" });
}

export function refuseNotLeader(turn: Turn, to: ReplyId): void {
  const { state } = turn;
  const { leaderAddress } = state;
  const known = leaderAddress !== "" && leaderAddress !== state.config.address;
  const why = known
    ? failure("notLeader", `this coordinator does not lead; ask ${leaderAddress}`)
    : failure("noLeader", "no coordinator leads at the moment; try again in a few seconds");
  reply(turn, to, { kind: "failed", failure: why, leader: known ? leaderAddress : "" });
}

export function publish(
  turn: Turn,
  of: { readonly job: string; readonly day: string },
  event: EventKind,
  data: Readonly<Record<string, unknown>>,
): void {
  const { wall } = turn;
  tell(turn, { kind: "publishEvent", job: of.job, day: of.day, event, wallMs: wall, data });
}

/** Where events go that belong to no run. */
export const clusterWide = { job: "_cluster", day: "_" } as const;

export function log(
  turn: Turn,
  level: "info" | "warn" | "error",
  message: string,
  fields: Readonly<Record<string, string | number>> = {},
): void {
  tellNow(turn, { kind: "log", level, message, fields });
}
