/**
 * Leaving in good order: no new work, running attempts finish or are handed back, reports are acknowledged, then exit.
 * Every phase has a deadline: an executor told to leave always leaves.
 */
import { limits } from "../../shared/kernel/limits.ts";
import { endAttempt } from "./attempts.ts";
import { exitCodes } from "./protocol.ts";
import type { Turn } from "./state.ts";

/** Begins to leave. A second call can only shorten the time that attempts have. */
export function startDrain(turn: Turn, reason: string, finishMs: number): void {
  const { drain, link } = turn.state;
  const handBackAt = Math.min(turn.at + finishMs, drain?.handBackAt ?? Number.POSITIVE_INFINITY);
  turn.state = {
    ...turn.state,
    drain: { reason: drain?.reason ?? reason, handBackAt, leaveAt: drain?.leaveAt },
  };
  if (drain !== undefined) return;
  if (link.kind === "attached") {
    turn.effects.push({ kind: "send", link: link.link, message: { kind: "draining", reason } });
  }
  for (const [index, { attempt }] of turn.state.slots.entries()) {
    if (attempt?.waiting !== undefined) endAttempt(turn, index, "drained", reason);
  }
}

/** Hands back what runs too long and leaves when nothing is owed any more. Called at the end of each step. */
export function goOnDraining(turn: Turn): void {
  const { drain } = turn.state;
  if (drain === undefined || turn.state.ended) return;
  if (turn.at >= drain.handBackAt) {
    for (const index of turn.state.slots.keys()) endAttempt(turn, index, "drained", drain.reason);
  }
  const { slots, reports } = turn.state;
  if (slots.some(({ attempt }) => attempt !== undefined)) return;
  const leaveAt = drain.leaveAt ?? turn.at + limits.drainReportMs;
  if (reports.length > 0 && turn.at < leaveAt) {
    turn.state = { ...turn.state, drain: { ...drain, leaveAt } };
    return;
  }
  turn.state = { ...turn.state, ended: true };
  const owed = reports.length === 0 ? "" : `, ${reports.length} reports unacknowledged`;
  turn.effects.push({
    kind: "exit",
    code: exitCodes.drained,
    reason: `drained: ${drain.reason}${owed}`,
  });
}
