/**
 * The coordinator: one message in, effects out. The one switch over messages; each case is a line, the meat is in
 * the other files. The state is owned by the actor and changed in place (state.ts says why); given the same state
 * and message the result is always the same.
 */
import { unreachable } from "../../shared/kernel/assert.ts";
import { classOf } from "../../shared/kernel/failure.ts";
import type { Step } from "../../shared/kernel/step.ts";
import { alertsAnswered, alertsTick } from "./alerts/alerts.ts";
import { channelChanged } from "./alerts/outbox.ts";
import { answeredForRun, backgroundAnswered, publishAnswered } from "./answers.ts";
import { clientAsked } from "./commands.ts";
import { startAnswered } from "./days/backfill-said.ts";
import { backfillTick } from "./days/backfilling.ts";
import { calendarAnswered, deskTick } from "./days/desk.ts";
import { lateLookAnswered, lateTick } from "./days/late.ts";
import { lookAnswered } from "./days/looks.ts";
import { deskSaved } from "./days/said.ts";
import { exclusionTick } from "./exclusion.ts";
import { reportAnswered } from "./gc.ts";
import { appendAnswered, pump, snapshotAnswered, verifyAnswered } from "./journaling.ts";
import {
  candidacyAnswered,
  firstLookAnswered,
  heardLeader,
  isOverdue,
  leadershipTick,
  renewalAnswered,
  stepDown,
} from "./leadership.ts";
import { leftoversAnswered, leftoversTick } from "./leftovers.ts";
import { attached, executorSaid, membershipTick, refuseExecutor } from "./membership.ts";
import { oldFilesAnswered, oldFilesTick } from "./old-revisions.ts";
import type { Effect, Message } from "./protocol.ts";
import { releaseAnswered } from "./release.ts";
import { schedule } from "./scheduler.ts";
import { spaceAnswered, spaceTick } from "./space.ts";
import { speculate } from "./speculation.ts";
import type { Answered, CoordinatorState, Purpose } from "./state.ts";
import { submissionAnswered } from "./submissions.ts";
import { notLeading, restoreRuns, takeOver } from "./takeover.ts";
import { ask, askNow, epochOf, type Turn } from "./turn.ts";

export const step: Step<CoordinatorState, Message, Effect> = (state, { at, wall, message }) => {
  const turn: Turn = { state, at, wall, effects: [] };
  // First of all: a leader that was paused must notice before it acts on anything.
  if (isOverdue(state, at)) stepDown(turn, "renewals were not confirmed in time");
  receive(turn, message);
  if (state.role.kind === "leader") {
    schedule(turn);
    if (message.kind === "tick") speculate(turn);
    pump(turn);
  }
  return [state, turn.effects];
};

function receive(turn: Turn, message: Message): void {
  const { state } = turn;
  switch (message.kind) {
    case "tick":
      tick(turn);
      return;
    case "proceed":
      state.proceeding = false;
      return;
    case "leaderHeard":
      if (heardLeader(turn, message)) stepDown(turn, `epoch ${message.epoch} leads`);
      return;
    case "answered":
      answered(turn, message.id, message.answer);
      return;
    case "stop":
      state.stopping = true;
      stepDown(turn, "the process ends");
      return;
    case "submit":
    case "cancelRun":
    case "releaseRun":
    case "drainExecutor":
    case "markDay":
    case "delivered":
    case "pauseBacklog":
    case "backfill":
    case "upkeep":
    case "acknowledge":
    case "alert":
    case "question":
      clientAsked(turn, message);
      return;
    case "channelChanged":
      if (state.role.kind === "leader") channelChanged(turn, message);
      return;
    case "attached":
      executorAttached(turn, message);
      return;
    case "heartbeat":
    case "report":
    case "draining":
    case "detached":
      if (state.role.kind === "leader") executorSaid(turn, message);
      return;
    default:
      unreachable(message);
      return;
  }
}

function tick(turn: Turn): void {
  leadershipTick(turn);
  if (turn.state.role.kind !== "leader") return;
  membershipTick(turn);
  exclusionTick(turn);
  spaceTick(turn);
  oldFilesTick(turn);
  leftoversTick(turn);
  deskTick(turn);
  lateTick(turn);
  backfillTick(turn);
  alertsTick(turn);
  if (turn.state.unrestored.length > 0) restoreRuns(turn, turn.state.unrestored);
  for (const [key, until] of turn.state.delays) {
    if (until <= turn.at) turn.state.delays.delete(key);
  }
  const due = turn.state.retries.filter((retry) => retry.at <= turn.at);
  if (due.length === 0) return;
  turn.state.retries = turn.state.retries.filter((retry) => retry.at > turn.at);
  for (const { ask: question, purpose, tries } of due) {
    // Looking into the journal is what the held effects wait for: it can't be held itself.
    if (purpose.kind === "verify") askNow(turn, question, purpose, tries);
    else ask(turn, question, purpose, tries);
  }
}

function executorAttached(turn: Turn, message: Extract<Message, { kind: "attached" }>): void {
  const { state } = turn;
  const { highestEpoch } = message.hello;
  if (state.role.kind === "leader" && highestEpoch > epochOf(turn)) {
    // Somebody led after us: this executor has obeyed them.
    stepDown(turn, `executor ${message.hello.executor} has obeyed epoch ${highestEpoch}`);
  }
  state.epochSeen = Math.max(state.epochSeen, highestEpoch);
  if (state.role.kind === "leader") {
    attached(turn, message);
    return;
  }
  refuseExecutor(turn, message.connection, notLeading(knownLeader(state)));
}

function knownLeader(state: CoordinatorState): string {
  return state.leaderAddress === state.config.address ? "" : state.leaderAddress;
}

function answered(turn: Turn, id: number, answer: Answered["answer"]): void {
  const { asked } = turn.state;
  const question = asked.get(id);
  // Asked under an earlier leadership, or answered before.
  if (question === undefined) return;
  asked.delete(id);
  const all: Answered = { ...question, answer };
  if (isFenced(all)) {
    stepDown(turn, "a newer leader has taken storage");
    return;
  }
  goOnWith(turn, all);
}

function goOnWith(turn: Turn, all: Answered): void {
  const { purpose, answer } = all;
  switch (purpose.kind) {
    case "firstLook":
      firstLookAnswered(turn, answer);
      return;
    case "candidacy": {
      const candidate = candidacyAnswered(turn, answer);
      if (candidate !== undefined) takeOver(turn, candidate);
      return;
    }
    case "renewal":
      renewalAnswered(turn, purpose.sentAt, answer);
      return;
    case "append":
      appendAnswered(turn, all);
      return;
    case "verify":
      if (verifyAnswered(turn, all) === "deposed") stepDown(turn, "the journal is another's");
      return;
    case "snapshot":
      snapshotAnswered(turn, purpose.sequence, all);
      return;
    case "submission":
      submissionAnswered(turn, purpose.key, all);
      return;
    case "run":
      answeredForRun(turn, purpose.run, all);
      return;
    case "publish":
      publishAnswered(turn, purpose.run, purpose.manifest, all);
      return;
    case "release":
      releaseAnswered(turn, purpose, all);
      return;
    case "space":
      spaceAnswered(turn, all);
      return;
    case "oldFiles":
      oldFilesAnswered(turn, purpose.isRound, all);
      return;
    case "report":
      reportAnswered(turn, purpose.reply, all);
      return;
    case "leftovers":
      leftoversAnswered(turn, all);
      return;
    case "calendar":
    case "look":
    case "lateLook":
    case "desk":
    case "backfill":
      daysAnswered(turn, purpose, all);
      return;
    case "alerts":
      alertsAnswered(turn, purpose.of, all);
      return;
    case "background":
      backgroundAnswered(turn, all);
      return;
    default:
      unreachable(purpose);
      return;
  }
}

type DaysPurpose = Extract<
  Purpose,
  { kind: "calendar" | "look" | "lateLook" | "desk" | "backfill" }
>;

function daysAnswered(turn: Turn, purpose: DaysPurpose, all: Answered): void {
  switch (purpose.kind) {
    case "calendar":
      calendarAnswered(turn, purpose.job, all);
      return;
    case "look":
      lookAnswered(turn, purpose.key, all);
      return;
    case "lateLook":
      lateLookAnswered(turn, purpose, all);
      return;
    case "desk":
      deskSaved(turn, purpose.job, all);
      return;
    case "backfill":
      startAnswered(turn, purpose.reply, purpose.start, all);
      return;
    default:
      unreachable(purpose);
      return;
  }
}

/** Storage said that a newer leader is there. The journal's own conflicts are looked into first (journaling.ts). */
function isFenced({ answer, purpose }: Answered): boolean {
  if (answer.kind !== "failed" || purpose.kind === "append" || purpose.kind === "candidacy") {
    return false;
  }
  const { code } = answer.failure;
  return code === "storageFenced" || (code === "epochStale" && !classOf(code).retryable);
}
