/**
 * Messages on their way: each channel is sent one at a time, each again after growing pauses until the receiver has it,
 * it says that trying again is of no use, or a day has passed. Each keeps its id. What is saved is sent at least once,
 * whoever leads: a leader that is gone between sending and remembering that leaves the same message to the next one.
 */
import type { AlertConfig, Notice } from "../../../shared/kernel/alert.ts";
import { classOf, type Failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { durationText } from "../days/words.ts";
import type { ChannelMessage } from "../protocol-alerts.ts";
import type { Answered } from "../state.ts";
import { ask, clusterWide, decide, log, publish, type Turn } from "../turn.ts";
import { type AlertPurpose, type ChannelHealth, purposeOf } from "./alert-state.ts";
import type { AlertBook, NoticeOutcome } from "./book.ts";

/** One that waits for its next try does not hold up the others of its channel: they are about other groups. */
export function sendWaiting(turn: Turn, book: AlertBook, config: AlertConfig): void {
  const names = new Set(config.channels.map(({ name }) => name));
  const { sending, tries } = turn.state.alerts;
  for (const notice of book.waiting.values()) {
    const { id, channel, decidedMs } = notice;
    if (!names.has(channel)) {
      done(turn, notice, "refused", "its channel is not configured any more");
    } else if (turn.wall - decidedMs > limits.noticeTriedMs && sending.get(channel) !== id) {
      giveUp(turn, notice, `after ${durationText(limits.noticeTriedMs)}`);
    } else if (!sending.has(channel) && (tries.get(id)?.at ?? 0) <= turn.at) {
      sending.set(channel, id);
      const purpose = purposeOf({ kind: "notice", channel, notice: id });
      ask(turn, { kind: "sendNotice", notice }, purpose);
    }
  }
}

export function noticeAnswered(
  turn: Turn,
  { channel, notice: id }: Extract<AlertPurpose, { kind: "notice" }>,
  { answer }: Answered,
): void {
  const { sending, tries } = turn.state.alerts;
  const book = turn.state.durable.alerts;
  const notice = book?.waiting.get(id);
  sending.delete(channel);
  if (book === undefined || notice === undefined) return;
  if (answer.kind !== "failed") {
    channelTook(turn, channel);
    done(turn, notice, "sent", "");
    const config = turn.state.config.alerts;
    if (config !== undefined) sendWaiting(turn, book, config);
    return;
  }
  const { failure } = answer;
  const { message, code } = failure;
  const { failures, breaker: _, ...former } = healthOf(turn, channel);
  if (!classOf(code).retryable) {
    const lost = `message ${id} was refused`;
    note(turn, channel, { failures: failures + 1, reason: message, lost });
    done(turn, notice, "refused", message);
    return;
  }
  note(turn, channel, { ...former, failures: failures + 1, reason: message });
  const failed = (tries.get(id)?.failed ?? 0) + 1;
  tries.set(id, { failed, at: turn.at + pauseMs(failed, failure) });
  log(turn, "warn", `a message was not taken: ${message}`, { notice: id, channel, code, failed });
}

/** A receiver that says when to try again is believed, within bounds. */
export function pauseMs(failed: number, { detail }: Pick<Failure, "detail">): number {
  const grown = limits.sendRetryPauseMs * 2 ** Math.min(failed - 1, 16);
  const asked = Number(detail?.["retryAfterMs"] ?? 0);
  const wanted = Number.isFinite(asked) ? Math.min(asked, limits.retryAfterMsMax) : 0;
  return Math.max(wanted, Math.min(grown, limits.sendRetryPauseMsMax));
}

function giveUp(turn: Turn, notice: Notice, when: string): void {
  const { failures, reason } = healthOf(turn, notice.channel);
  note(turn, notice.channel, {
    failures,
    reason,
    lost: `message ${notice.id} was given up ${when}`,
  });
  done(turn, notice, "givenUp", `it is given up ${when}`);
}

/** Makes room for one more. What is being sent may have been taken. */
export function giveUpOldest(turn: Turn, book: AlertBook): void {
  const sending = new Set(turn.state.alerts.sending.values());
  for (const notice of book.waiting.values()) {
    if (sending.has(notice.id)) continue;
    giveUp(turn, notice, `as the oldest of ${book.waiting.size} that wait`);
    return;
  }
}

function done(turn: Turn, { id, channel }: Notice, outcome: NoticeOutcome, why: string): void {
  turn.state.alerts.tries.delete(id);
  decide(turn, { kind: "noticeDone", id, outcome, wallMs: turn.wall });
  if (outcome !== "sent") {
    log(turn, "error", `a message is not sent: ${why}`, { notice: id, channel, outcome });
  }
}

// --- channels -----------------------------------------------------------------------------------

function healthOf(turn: Turn, channel: string): ChannelHealth {
  return turn.state.alerts.channels.get(channel) ?? { failures: 0, reason: "" };
}

/** A message, or one that only tries it. */
export function channelTook(turn: Turn, channel: string): void {
  note(turn, channel, { failures: 0, reason: "" });
}

function note(turn: Turn, channel: string, news: Omit<ChannelHealth, "breaker">): void {
  const { breaker } = healthOf(turn, channel);
  const known = breaker === undefined ? {} : { breaker };
  turn.state.alerts.channels.set(channel, { ...known, ...news });
}

/** Its breaker has opened or closed: shown, and told to who watches. */
export function channelChanged(turn: Turn, { channel, state, reason }: ChannelMessage): void {
  if (turn.state.config.alerts === undefined) return;
  const known = healthOf(turn, channel);
  turn.state.alerts.channels.set(channel, { ...known, breaker: state });
  publish(turn, clusterWide, "channel.changed", { channel, state, reason });
}
