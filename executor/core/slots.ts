/**
 * Slots and the worker processes in them: started, made ready, given work, replaced. One process per slot at a time;
 * a successor starts only when its predecessor has gone. What an outcome means for the leader is in attempts.ts.
 */
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { AttemptOutcome } from "../../shared/kernel/work.ts";
import { exitCodes, type Message } from "./protocol.ts";
import { addReport } from "./reports.ts";
import type { Slot, Turn, Worker } from "./state.ts";

type Of<K extends Message["kind"]> = Extract<Message, { kind: K }>;

/** Replaces parts of one slot. */
export function setSlot(turn: Turn, index: number, part: Partial<Slot>): void {
  const slots = turn.state.slots.map((slot, at) => (at === index ? { ...slot, ...part } : slot));
  turn.state = { ...turn.state, slots };
}

/** The slot of that index; it exists by construction of every message. */
export function slotAt(turn: Turn, index: number): Slot {
  return must(turn.state.slots[index], `slot ${index} exists`);
}

/** Starts the process of a slot that has none. */
export function startWorker(turn: Turn, index: number): void {
  const worker = turn.state.nextWorker;
  turn.state = { ...turn.state, nextWorker: worker + 1 };
  const killAt = turn.at + limits.workerStartMs;
  setSlot(turn, index, { worker: { kind: "starting", worker, killAt } });
  turn.effects.push({ kind: "startWorker", slot: index, worker });
}

/** A worker has loaded its engine: from now on it takes work. */
export function workerReady(turn: Turn, message: Of<"workerReady">): void {
  const { worker } = slotAt(turn, message.slot);
  if (worker.kind !== "starting" || worker.worker !== message.worker) return;
  turn.state = { ...turn.state, startsFailed: 0, duckdbVersion: message.duckdbVersion };
  setSlot(turn, message.slot, {
    worker: {
      kind: "ready",
      worker: message.worker,
      pid: message.pid,
      attemptsDone: 0,
      isLowered: false,
      canRaise: message.canRaise,
    },
  });
  giveWaiting(turn, message.slot);
}

/** Hands the slot's waiting attempt to its worker, if both are there. */
export function giveWaiting(turn: Turn, index: number): void {
  const { worker, attempt } = slotAt(turn, index);
  if (worker.kind !== "ready" || attempt?.waiting === undefined) return;
  const isLowered = attempt.background || isLowForGood(worker);
  setSlot(turn, index, {
    worker: { ...worker, isLowered },
    attempt: { ...attempt, waiting: undefined },
  });
  turn.effects.push({
    kind: "giveWork",
    slot: index,
    worker: worker.worker,
    attemptId: attempt.attemptId,
    ...attempt.waiting,
  });
}

/** The worker has answered: frees the slot, reports, and replaces the process where it must be fresh. */
export function workerOutcome(turn: Turn, message: Of<"workerOutcome">): void {
  const { worker, attempt } = slotAt(turn, message.slot);
  notePeak(turn, message.peakMemoryBytes);
  if (worker.kind === "down" || worker.worker !== message.worker) return;
  if (attempt?.attemptId !== message.attemptId || attempt.waiting !== undefined) return;
  const { outcome } = message;
  // After these the process cannot be trusted with the next attempt: memory is lost, or it is about to end.
  const spoiled =
    outcome.kind === "failed" && ["outOfMemory", "internal"].includes(outcome.failure.code);
  const ended: AttemptOutcome =
    attempt.ending !== undefined && outcome.kind === "failed"
      ? { kind: "failed", failure: failure(attempt.ending.code, attempt.ending.reason) }
      : outcome;
  setSlot(turn, message.slot, { attempt: undefined });
  addReport(turn, attempt.attemptId, attempt.epoch, ended);
  if (worker.kind !== "ready") return;
  const attemptsDone = worker.attemptsDone + 1;
  setSlot(turn, message.slot, { worker: { ...worker, attemptsDone } });
  if (spoiled || attemptsDone >= limits.attemptsPerWorkerMax) replaceUsed(turn, message.slot);
}

/** Has the process run something already? */
export function isUsed(worker: Worker): worker is Extract<Worker, { kind: "ready" }> {
  return worker.kind === "ready" && worker.attemptsDone > 0;
}

/** Has its priority been lowered, and it can't raise it again? */
export function isLowForGood(worker: Worker): boolean {
  return worker.kind === "ready" && worker.isLowered && !worker.canRaise;
}

/** A process that has run something makes room for a fresh one. */
export function replaceUsed(turn: Turn, index: number): void {
  const { worker } = slotAt(turn, index);
  if (!isUsed(worker)) return;
  turn.effects.push({ kind: "quitWorker", slot: index, worker: worker.worker });
  setSlot(turn, index, { worker: leaving(turn, worker.worker) });
}

/** The process is gone: what it ran has failed, and the slot gets a fresh one. */
export function workerExited(turn: Turn, message: Of<"workerExited">): void {
  const { worker, attempt } = slotAt(turn, message.slot);
  if (worker.kind === "down" || worker.worker !== message.worker) return;
  if (worker.kind === "leaving") {
    endWithWorker(turn, message);
    startWorker(turn, message.slot);
    return;
  }
  turn.effects.push({
    kind: "log",
    level: "error",
    text: `worker process ended by itself with ${message.how}; the slot gets a fresh one`,
    fields: { slot: message.slot, attempt: attempt?.attemptId ?? "none" },
  });
  if (worker.kind === "starting") startFailed(turn, message);
  else endWithWorker(turn, message);
  const startAt = turn.at + limits.workerRestartAfterMs;
  setSlot(turn, message.slot, { worker: { kind: "down", startAt } });
}

/** Deadlines of processes: a late start, a quit or an interrupt that is not obeyed, a restart that is due. */
export function tickSlots(turn: Turn): void {
  for (const [index, { worker, attempt }] of turn.state.slots.entries()) {
    if (worker.kind === "down") {
      if (turn.at >= worker.startAt) startWorker(turn, index);
    } else if (worker.kind === "ready") {
      const ending = attempt?.waiting === undefined ? attempt?.ending : undefined;
      if (ending === undefined || turn.at < ending.killAt) continue;
      turn.effects.push({ kind: "killWorker", slot: index, worker: worker.worker });
      setSlot(turn, index, { worker: leaving(turn, worker.worker) });
    } else if (turn.at >= worker.killAt) {
      turn.effects.push({ kind: "killWorker", slot: index, worker: worker.worker });
      // A kill is always obeyed; should its exit go unheard, it is sent again.
      const killAt = turn.at + limits.workerCancelGraceMs;
      setSlot(turn, index, { worker: { ...worker, killAt } });
    }
  }
}

/** Highest resident memory that any worker has told. */
export function notePeak(turn: Turn, peakMemoryBytes: number): void {
  if (peakMemoryBytes <= turn.state.peakMemoryBytes) return;
  turn.state = { ...turn.state, peakMemoryBytes };
}

function leaving(turn: Turn, worker: number): Worker {
  return { kind: "leaving", worker, killAt: turn.at + limits.workerCancelGraceMs };
}

function endWithWorker(turn: Turn, message: Of<"workerExited">): void {
  const { attempt } = slotAt(turn, message.slot);
  if (attempt === undefined || attempt.waiting !== undefined) return;
  setSlot(turn, message.slot, { attempt: undefined });
  const cause =
    attempt.ending !== undefined
      ? failure(attempt.ending.code, attempt.ending.reason)
      : failure(
          "workerLost",
          `the worker process ended with ${message.how} while it ran this attempt; ` +
            "SIGKILL without a cause in the logs is mostly the kernel short of memory",
          { exit: message.how, executor: turn.state.identity.id, slot: message.slot },
        );
  addReport(turn, attempt.attemptId, attempt.epoch, { kind: "failed", failure: cause });
}

function startFailed(turn: Turn, message: Of<"workerExited">): void {
  const startsFailed = turn.state.startsFailed + 1;
  turn.state = { ...turn.state, startsFailed };
  const { attempt } = slotAt(turn, message.slot);
  if (attempt !== undefined) {
    setSlot(turn, message.slot, { attempt: undefined });
    const text = `no worker process could be started for this attempt: it ended with ${message.how}`;
    const cause = failure("unavailable", text, { executor: turn.state.identity.id });
    addReport(turn, attempt.attemptId, attempt.epoch, { kind: "failed", failure: cause });
  }
  if (startsFailed < limits.workerStartsFailedMax) return;
  turn.state = { ...turn.state, ended: true };
  turn.effects.push({
    kind: "exit",
    code: exitCodes.internal,
    reason: `${startsFailed} worker processes in a row ended while starting, the last with ${message.how}; see the lines above`,
  });
}
