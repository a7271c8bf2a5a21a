/**
 * The one switch of the executor: a message and the time in, the next state and what is to be done out.
 * Pure: the shell owns processes, sockets and clocks. Rules live in attempts.ts, slots.ts, link.ts, reports.ts, drain.ts.
 */
import { unreachable } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Stamped } from "../../shared/kernel/step.ts";
import { cancelTask, reportsFull, runTask } from "./attempts.ts";
import { goOnDraining, startDrain } from "./drain.ts";
import { admit, leaderHeard, loseLink, openLink, refused, tickLink, welcomed } from "./link.ts";
import { type Effect, exitCodes, type Message } from "./protocol.ts";
import { acknowledged, tickReports } from "./reports.ts";
import {
  notePeak,
  setSlot,
  slotAt,
  startWorker,
  tickSlots,
  workerExited,
  workerOutcome,
  workerReady,
} from "./slots.ts";
import type { ExecutorState, Turn } from "./state.ts";

/** Takes one message. After `exit` nothing has an effect any more. */
export function step(
  state: ExecutorState,
  { at, message }: Stamped<Message>,
): readonly [ExecutorState, readonly Effect[]] {
  if (state.ended) return [state, []];
  const turn: Turn = { at, state, effects: [] };
  take(turn, message);
  goOnDraining(turn);
  return [turn.state, turn.effects];
}

function take(turn: Turn, message: Message): void {
  switch (message.kind) {
    case "started":
      for (const [index, { worker }] of turn.state.slots.entries()) {
        if (worker.kind === "down") startWorker(turn, index);
      }
      return;
    case "leaderHeard":
      leaderHeard(turn, message);
      return;
    case "commanded":
      commanded(turn, message);
      return;
    case "linkLost":
      if (isPresent(turn.state, message.link)) loseLink(turn, message.reason);
      return;
    case "workerReady":
      workerReady(turn, message);
      openLink(turn);
      return;
    case "workerProgress":
      progressed(turn, message);
      return;
    case "workerOutcome":
      workerOutcome(turn, message);
      return;
    case "workerExited":
      workerExited(turn, message);
      return;
    case "drain":
      startDrain(turn, message.reason, message.finishMs);
      return;
    case "stop":
      turn.state = { ...turn.state, ended: true };
      turn.effects.push({ kind: "exit", code: exitCodes.stopped, reason: "told to stop at once" });
      return;
    case "tick":
      tickSlots(turn);
      tickReports(turn);
      tickLink(turn);
      return;
    default:
      unreachable(message);
  }
}

function commanded(turn: Turn, message: Extract<Message, { kind: "commanded" }>): void {
  if (!isPresent(turn.state, message.link)) return;
  const { command, epoch } = message;
  // A standby's refusal carries whatever epoch it knows: it is not a command to obey.
  if (command.kind === "refused") {
    refused(turn, epoch, command);
    return;
  }
  if (!admit(turn, turn.state.link, epoch)) return;
  if (command.kind !== "welcome" && turn.state.link.kind !== "attached") {
    loseLink(turn, `"${command.kind}" came before a welcome`);
    return;
  }
  switch (command.kind) {
    case "welcome":
      welcomed(turn, command.coordinator);
      return;
    case "reportAck":
      acknowledged(turn, command.attemptId);
      return;
    case "drainNow":
      startDrain(turn, command.reason, limits.drainFinishMs);
      return;
    case "runTask":
    case "cancelTask":
      if (reportsFull(turn.state)) {
        loseLink(turn, "the leader acknowledges no reports and no more can be kept");
        return;
      }
      if (command.kind === "runTask") runTask(turn, epoch, command);
      else cancelTask(turn, epoch, command);
      return;
    default:
      unreachable(command);
  }
}

function progressed(turn: Turn, message: Extract<Message, { kind: "workerProgress" }>): void {
  notePeak(turn, message.peakMemoryBytes);
  const { worker, attempt } = slotAt(turn, message.slot);
  if (worker.kind === "down" || worker.worker !== message.worker) return;
  const { attemptId, rows, bytes } = message.progress;
  if (attempt?.attemptId !== attemptId) return;
  setSlot(turn, message.slot, { attempt: { ...attempt, rows, bytes } });
}

function isPresent(state: ExecutorState, link: number): boolean {
  return state.link.kind !== "none" && state.link.link === link;
}
