/**
 * What clients ask besides `submit`: cancel, drain, and reads. Reads are answered from the state of the leader and
 * leave only after everything that they show is saved (turn.ts `reply`).
 */
import { unreachable } from "../../shared/kernel/assert.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { alertAsked } from "./alerts/said.ts";
import { alertsStatus } from "./alerts/view.ts";
import { backfillAsked } from "./days/backfill-said.ts";
import { backfillsOf } from "./days/backfill-view.ts";
import { backlogOf } from "./days/backlog-view.ts";
import { acknowledge } from "./days/deliveries.ts";
import { deliveriesOf } from "./days/delivery-view.ts";
import { lateOf } from "./days/late-view.ts";
import { delivered, markDay, pauseBacklog } from "./days/said.ts";
import { reportAsked } from "./gc.ts";
import { drainByCommand } from "./membership.ts";
import { pin } from "./pins.ts";
import type { ClientMessage, Question, Reply } from "./protocol.ts";
import { releaseRun } from "./release.ts";
import { endRun } from "./run-flow.ts";
import type { CoordinatorState } from "./state.ts";
import { restoredRuns, submit, unknownJob } from "./submissions.ts";
import { refuse, refuseNotLeader, reply, type Turn } from "./turn.ts";
import { executorStatus, listRuns, runStatus, waitingText } from "./views.ts";

export function clientAsked(turn: Turn, message: ClientMessage): void {
  const { state } = turn;
  const isStatus = message.kind === "question" && message.question.kind === "status";
  if (isStatus) {
    reply(turn, message.reply, status(state));
    return;
  }
  if (state.role.kind !== "leader") {
    refuseNotLeader(turn, message.reply);
    return;
  }
  switch (message.kind) {
    case "submit":
      submit(turn, message);
      return;
    case "cancelRun":
      cancelRun(turn, message);
      return;
    case "releaseRun":
      releaseRun(turn, message);
      return;
    case "drainExecutor":
      drainExecutor(turn, message);
      return;
    case "markDay":
      markDay(turn, message);
      return;
    case "delivered":
      delivered(turn, message);
      return;
    case "pauseBacklog":
      pauseBacklog(turn, message);
      return;
    case "backfill":
      backfillAsked(turn, message);
      return;
    case "upkeep":
      upkeepAsked(turn, message);
      return;
    case "acknowledge":
      acknowledge(turn, message);
      return;
    case "alert":
      alertAsked(turn, message);
      return;
    case "question": {
      const answer = answerTo(turn, message.question);
      if ("code" in answer) {
        refuse(turn, message.reply, answer);
        return;
      }
      reply(turn, message.reply, answer);
      return;
    }
    default:
      unreachable(message);
      return;
  }
}

function upkeepAsked(
  turn: Turn,
  { reply: to, action }: Extract<ClientMessage, { kind: "upkeep" }>,
): void {
  if (action.kind === "gc") {
    reportAsked(turn, to, action.job, action.dryRun);
    return;
  }
  pin(turn, action.revision, action.isPinned);
  reply(turn, to, { kind: "said" });
}

function cancelRun(turn: Turn, message: Extract<ClientMessage, { kind: "cancelRun" }>): void {
  const run = turn.state.durable.runs.get(message.run);
  if (run === undefined) {
    refuse(turn, message.reply, unknownRun(turn.state, message.run));
    return;
  }
  if (run.ended === undefined && run.state !== "committing") {
    const reason = message.reason === "" ? "no reason given" : message.reason;
    const why = failure("cancelled", `run ${run.id} was cancelled: ${reason}`);
    endRun(turn, run, why, true);
  }
  // A run that is being committed is too late to stop; the state says so.
  const state = run.ending === undefined ? run.state : (run.ended?.state ?? "cancelled");
  reply(turn, message.reply, { kind: "cancelled", state });
}

function drainExecutor(
  turn: Turn,
  message: Extract<ClientMessage, { kind: "drainExecutor" }>,
): void {
  const executor = turn.state.executors.get(message.executor);
  if (executor === undefined || executor.lost) {
    const known = [...turn.state.executors.keys()].sort().slice(0, 10).join(", ");
    const why = `executor ${JSON.stringify(message.executor)} is not here; here are: ${known}`;
    refuse(turn, message.reply, failure("unknownExecutor", why));
    return;
  }
  drainByCommand(turn, executor, "an operator asked for it");
  reply(turn, message.reply, { kind: "draining" });
}

function status(state: CoordinatorState): Reply {
  return { kind: "status", role: state.role.kind, leader: state.leaderAddress };
}

function answerTo(turn: Turn, question: Question): Reply | Failure {
  const { state } = turn;
  const { durable } = state;
  switch (question.kind) {
    case "status":
      return status(state);
    case "run": {
      const run = durable.runs.get(question.run);
      if (run === undefined) return unknownRun(state, question.run);
      return { kind: "run", run: runStatus(run, waitingText(state, run.id)) };
    }
    case "runs":
      return { kind: "runs", runs: listRuns(state, question.job, question.limit) };
    case "executors":
      return { kind: "executors", executors: [...state.executors.values()].map(executorStatus) };
    case "job": {
      const digest = durable.names.get(question.name) ?? "";
      const job = durable.jobs.get(digest);
      if (job !== undefined) return { kind: "job", job, digest };
      return unknownJob(durable, question.name);
    }
    case "backlog":
      return backlogOf(turn, question.job, question.days);
    case "backfills": {
      if (question.job !== "" && !durable.names.has(question.job))
        return unknownJob(durable, question.job);
      return { kind: "backfills", backfills: backfillsOf(turn, question.job) };
    }
    case "late":
      return lateOf(durable, question.job);
    case "deliveries":
      return deliveriesOf(turn, question.job, question.days);
    case "alerts":
      return { kind: "alerts", alerts: alertsStatus(turn, question) };
    case "dataset":
      return findDataset(state, question);
    default:
      return unreachable(question);
  }
}

function findDataset(
  state: CoordinatorState,
  { dataset, day, revision }: Extract<Question, { kind: "dataset" }>,
): Reply | Failure {
  for (const record of state.durable.days.values()) {
    const { quarantined } = record;
    const isHeld = revision > 0 && quarantined?.datasets.includes(dataset) === true;
    if (record.day !== day || !(isHeld || record.datasets.includes(dataset))) continue;
    const wanted = revision === 0 ? record.committed : revision;
    if (wanted > record.highest) break;
    return { kind: "dataset", job: record.job, day, revision: wanted };
  }
  const which = revision === 0 ? "" : ` in revision ${revision}`;
  return failure(
    "unknownDataset",
    `no committed dataset ${JSON.stringify(dataset)} for day ${day}${which}; ` +
      "see which days are committed with: daymill runs",
    { dataset, day },
  );
}

/** A run that was promised is never denied: whoever asks too early asks again. */
function unknownRun(state: CoordinatorState, run: string): Failure {
  if (restoredRuns(state).has(run)) {
    const text = `run ${run} starts again, for the journal was lost; ask again in a moment`;
    return failure("unavailable", text, { run });
  }
  const text = `run ${JSON.stringify(run)} is not known; see which ones are with: daymill runs`;
  return failure("unknownRun", text, { run });
}
