/**
 * Alerts on the leader's clock: look at everything, open and end, decide who is told of what, send, keep the book on
 * storage. Without a configuration nothing of this happens.
 */
import type { AlertDocument, Finding } from "../../../shared/kernel/alert.ts";
import { unreachable } from "../../../shared/kernel/assert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { countTry } from "../metrics/counted.ts";
import type { Answered } from "../state.ts";
import { decide, type Turn } from "../turn.ts";
import type { AlertPurpose } from "./alert-state.ts";
import { emptyBook } from "./book.ts";
import { beat, heartbeatAnswered } from "./heartbeat.ts";
import { inhibitedAmong } from "./inhibition.ts";
import { openAndEnd } from "./life.ts";
import { decideNotices } from "./notices.ts";
import { noticeAnswered, sendWaiting } from "./outbox.ts";
import { askForQuiet, quietAnswered } from "./quiet.ts";
import { findAll } from "./rules.ts";
import { bookSaved, keepBook, testAnswered } from "./said.ts";
import { lookAtAll } from "./seen.ts";

/** The first turn of a leadership. What storage knows is never older than what was promised. */
export function beginAlerts(turn: Turn, document: AlertDocument | undefined): void {
  const { state } = turn;
  if (document !== undefined && document.changes > (state.durable.alerts?.changes ?? 0)) {
    decide(turn, { kind: "alertsFound", document });
  }
  Object.assign(state.alerts, {
    ledAt: turn.at,
    ledMs: turn.wall,
    isSuccessor: state.durable.epoch > 1,
    savedChanges: document?.changes ?? 0,
  });
}

/** One look at the clock of a leader. */
export function alertsTick(turn: Turn): void {
  const { alerts, config, durable } = turn.state;
  if (config.alerts === undefined) return;
  beat(turn, config.alerts);
  if (turn.at < alerts.nextAt) {
    // A message whose pause is over does not wait for the next look.
    if (durable.alerts !== undefined) sendWaiting(turn, durable.alerts, config.alerts);
    return;
  }
  alerts.nextAt = turn.at + limits.alertsEveryMs;
  askForQuiet(turn);
  const all = findAll(lookAtAll(turn, config.alerts));
  alerts.found = all.findings;
  const known = durable.alerts ?? emptyBook();
  // What is open inhibits until it ends: also where a new leader can't judge it yet, and while it comes and goes.
  const standing = new Map<string, Finding>([...known.open, ...all.findings]);
  alerts.inhibited = inhibitedAmong(standing, turn.state.outages.size > 0);
  openAndEnd(turn, known, config.alerts, all);
  const book = durable.alerts;
  if (book === undefined) return;
  decideNotices(turn, book, config.alerts);
  sendWaiting(turn, book, config.alerts);
  if (book.changes !== alerts.savedChanges && alerts.saving === undefined) keepBook(turn);
}

export function alertsAnswered(turn: Turn, purpose: AlertPurpose, answered: Answered): void {
  const { ask, answer } = answered;
  if (ask.kind === "sendNotice") {
    countTry(turn.state.counted, ask.notice.channel, answer.kind !== "failed");
  }
  switch (purpose.kind) {
    case "notice":
      noticeAnswered(turn, purpose, answered);
      return;
    case "test":
      testAnswered(turn, purpose, answered);
      return;
    case "heartbeat":
      heartbeatAnswered(turn, answered);
      return;
    case "book":
      bookSaved(turn, purpose.changes, answered);
      return;
    case "quietHours":
      quietAnswered(turn, answered);
      return;
    default:
      unreachable(purpose);
      return;
  }
}
