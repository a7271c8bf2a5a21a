/**
 * The dead-man's switch: a sign of life to a monitor outside, for as long as somebody leads and what they decide is
 * saved. It waits for the journal as everything does that leaves; one that does not come is noticed there.
 */
import type { AlertConfig } from "../../../shared/kernel/alert.ts";
import type { Answered } from "../state.ts";
import { ask, log, type Turn } from "../turn.ts";
import { purposeOf } from "./alert-state.ts";

export function beat(turn: Turn, { heartbeatEveryMs }: AlertConfig): void {
  const { alerts } = turn.state;
  if (heartbeatEveryMs === undefined || alerts.isBeating || turn.at < alerts.heartbeatAt) return;
  alerts.isBeating = true;
  alerts.heartbeatAt = turn.at + heartbeatEveryMs;
  ask(turn, { kind: "sendHeartbeat" }, purposeOf({ kind: "heartbeat" }));
}

export function heartbeatAnswered(turn: Turn, { answer }: Answered): void {
  turn.state.alerts.isBeating = false;
  if (answer.kind !== "failed") return;
  const { code, message } = answer.failure;
  log(turn, "warn", `the monitor outside did not take the sign of life: ${message}`, { code });
}
