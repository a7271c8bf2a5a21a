/**
 * What a leader asks for: run an attempt, cancel one. Total over repeated and reordered commands:
 * an attempt id runs at most once here, whatever arrives, and each command ends in a report or is a repetition.
 */
import { type FailureCode, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Command } from "./protocol.ts";
import { addReport, sendReports } from "./reports.ts";
import { giveWaiting, isLowForGood, isUsed, replaceUsed, setSlot, slotAt } from "./slots.ts";
import type { ExecutorState, Turn, Worker } from "./state.ts";

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;

/** May no further outcome be promised, because the leader acknowledges none? */
export function reportsFull(state: ExecutorState): boolean {
  const running = state.slots.filter(({ attempt }) => attempt !== undefined).length;
  return state.reports.length + running >= limits.reportsKeptMax;
}

/** Puts the attempt into a free slot; otherwise it fails in a way that is retried elsewhere and not counted. */
export function runTask(turn: Turn, epoch: number, command: Of<"runTask">): void {
  const { attemptId, work, delivery, fresh = false, background = false } = command;
  if (isKnown(turn, attemptId)) return;
  const { drain, slots, identity } = turn.state;
  if (drain !== undefined) {
    refuse(turn, attemptId, epoch, "drained", `executor ${identity.id} is leaving`);
    return;
  }
  const free = freeSlot(turn.state, fresh, background);
  if (free === undefined) {
    const text = `all ${slots.length} slots of executor ${identity.id} are busy`;
    refuse(turn, attemptId, epoch, "unavailable", text);
    return;
  }
  const waiting = { work, delivery };
  const attempt = { attemptId, epoch, waiting, background, rows: 0, bytes: 0, ending: undefined };
  setSlot(turn, free, { attempt });
  // It waits in the slot until the successor is ready.
  if (fresh || (!background && isLowForGood(slotAt(turn, free).worker))) replaceUsed(turn, free);
  giveWaiting(turn, free);
}

/** Ends an attempt. One that was never heard of is reported as cancelled, and then never runs. */
export function cancelTask(turn: Turn, epoch: number, command: Of<"cancelTask">): void {
  const index = turn.state.slots.findIndex(
    ({ attempt }) => attempt?.attemptId === command.attemptId,
  );
  if (index >= 0) {
    endAttempt(turn, index, "cancelled", command.reason);
    return;
  }
  if (isKnown(turn, command.attemptId)) return;
  refuse(turn, command.attemptId, epoch, "cancelled", `${command.reason} (it did not run here)`);
}

/** Frees the slot of a waiting attempt at once; a running one is interrupted and has a grace to answer. */
export function endAttempt(
  turn: Turn,
  index: number,
  code: "cancelled" | "drained",
  reason: string,
): void {
  const slot = turn.state.slots[index];
  const attempt = slot?.attempt;
  if (slot === undefined || attempt === undefined || attempt.ending !== undefined) return;
  if (attempt.waiting !== undefined) {
    setSlot(turn, index, { attempt: undefined });
    refuse(turn, attempt.attemptId, attempt.epoch, code, reason);
    return;
  }
  const killAt = turn.at + limits.workerCancelGraceMs;
  setSlot(turn, index, { attempt: { ...attempt, ending: { code, reason, killAt } } });
  if (slot.worker.kind !== "ready") return;
  const { worker } = slot.worker;
  turn.effects.push({
    kind: "interruptWorker",
    slot: index,
    worker,
    attemptId: attempt.attemptId,
  });
}

/** Running, reported (the report goes out again) or settled: a repetition, whatever the command. */
function isKnown(turn: Turn, attemptId: string): boolean {
  const { slots, reports, settled } = turn.state;
  if (slots.some(({ attempt }) => attempt?.attemptId === attemptId)) return true;
  if (reports.some((report) => report.attemptId === attemptId)) {
    sendReports(turn, (report) => report.attemptId === attemptId);
    return true;
  }
  return settled.includes(attemptId);
}

/**
 * A slot whose worker is ready, else one whose worker soon will be. Work that needs a fresh process goes where one is,
 * or will be soon, rather than where one has to be replaced; background work rather where the priority is low already,
 * and live work where it is not.
 */
function freeSlot(state: ExecutorState, fresh: boolean, background: boolean): number | undefined {
  const free = [...state.slots.entries()].filter(([, { attempt }]) => attempt === undefined);
  if (fresh) {
    const found = free.find(([, { worker }]) => !isUsed(worker));
    if (found !== undefined) return found[0];
  }
  const [best] = free.sort(
    ([, a], [, b]) => rank(a.worker, background) - rank(b.worker, background),
  );
  return best?.[0];
}

/** The lower, the sooner it can begin. */
function rank(worker: Worker, background: boolean): number {
  if (worker.kind === "ready" && isLowForGood(worker) !== background) {
    return background ? 1 : 4;
  }
  return { ready: 0, starting: 2, leaving: 3, down: 5 }[worker.kind];
}

function refuse(
  turn: Turn,
  attemptId: string,
  epoch: number,
  code: FailureCode,
  text: string,
): void {
  addReport(turn, attemptId, epoch, { kind: "failed", failure: failure(code, text) });
}
