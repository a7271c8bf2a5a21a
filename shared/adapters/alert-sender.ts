/**
 * The sender of notices: the channels of a configuration, each with its breaker. It remembers how long a receiver asked
 * for patience, which calls of a notice were taken, and a receiver that is gone; whoever loses this memory sends a
 * message once more, never less.
 */
import { setMaxListeners } from "node:events";
import type { Notice } from "../kernel/alert.ts";
import { DaymillError, fail, fromUnknown } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { AlertSender, ChannelState, Log } from "../ports.ts";
import { type Breaker, type BreakerTimes, openBreaker } from "./alert-breaker.ts";
import type { ChannelSpec, HeartbeatSpec } from "./alert-channel.ts";
import { beat, deliver, type Try } from "./alert-deliver.ts";
import type { Environment } from "./alert-secrets.ts";
import { reachWarnings, secretWarnings } from "./alert-start.ts";

export interface SenderTimes extends BreakerTimes {
  /** One try, answer included. */
  readonly sendMs: number;
}

export interface SenderOptions {
  readonly channels: readonly ChannelSpec[];
  readonly heartbeat?: HeartbeatSpec;
  /** Where `{ env: NAME }` is read. */
  readonly environment: Environment;
  readonly log: Log;
  readonly times?: Partial<SenderTimes>;
}

const usual: SenderTimes = {
  failuresShare: limits.breakerFailuresShare,
  triesMin: limits.breakerTriesMin,
  windowMs: limits.breakerWindowMs,
  restMs: limits.breakerRestMs,
  sendMs: limits.sendMs,
};

interface Channel {
  readonly spec: ChannelSpec;
  readonly breaker: Breaker;
  /** On the clock of `performance`: not before this is the receiver asked again. */
  patientUntilMs: number;
  /** Calls of one notice that were taken before the rest failed. */
  begun: { readonly id: string; readonly calls: number };
  /** The URL that answered 410. */
  goneUrl: string;
}

/** What is missing or does not answer at the start is a warning in the log: it may be there when it is needed. */
export function openAlertSender(options: SenderOptions): AlertSender {
  const { environment, heartbeat, log } = options;
  const times = { ...usual, ...options.times };
  const closing = new AbortController();
  const watchers: Parameters<AlertSender["watchChannels"]>[0][] = [];
  const channels = new Map(
    options.channels.map((spec) => {
      const tell = (state: ChannelState, reason: string) => {
        for (const watcher of watchers) watcher(spec.name, state, reason);
      };
      const breaker = openBreaker(spec.name, times, tell);
      const begun = { id: "", calls: 0 };
      return [spec.name, { spec, breaker, patientUntilMs: 0, begun, goneUrl: "" } as Channel];
    }),
  );
  setMaxListeners(0, closing.signal);
  const bounded = <Value>(act: (attempt: Attempt) => Promise<Value>) =>
    inTime(times.sendMs, closing.signal, (signal) =>
      act({ environment, timeoutMs: times.sendMs, signal }),
    );
  void warnAtStart(options, closing.signal);
  return {
    async send(notice) {
      if (closing.signal.aborted) throw fail("unavailable", "the sender of alerts was closed");
      const channel = channels.get(notice.channel);
      if (channel === undefined) {
        const message = `no channel ${notice.channel} in the configuration of alerts`;
        throw fail("badRequest", message, { channel: notice.channel });
      }
      throwIfPatient(channel);
      await channel.breaker.run(() => bounded((attempt) => sendOn(channel, notice, attempt, log)));
    },
    async heartbeat() {
      if (heartbeat === undefined) throw fail("badRequest", "no heartbeat is configured");
      await bounded((attempt) => beat(heartbeat, attempt));
    },
    watchChannels(onChange) {
      watchers.push(onChange);
      for (const [name, { breaker }] of channels) {
        const { state, reason } = breaker.state();
        onChange(name, state, reason);
      }
    },
    async close() {
      closing.abort();
      for (const { breaker } of channels.values()) breaker.close();
    },
  };
}

type Attempt = Pick<Try, "environment" | "timeoutMs" | "signal">;

/** Ends what is under way after a time, and when the sender is closed. */
async function inTime<Value>(
  ms: number,
  closing: AbortSignal,
  act: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const controller = new AbortController();
  const late = () => controller.abort(new DOMException("no answer in time", "TimeoutError"));
  const stop = () => controller.abort();
  const timer = setTimeout(late, ms);
  closing.addEventListener("abort", stop, { once: true });
  try {
    return await act(controller.signal);
  } finally {
    clearTimeout(timer);
    closing.removeEventListener("abort", stop);
  }
}

function throwIfPatient({ spec, patientUntilMs }: Channel): void {
  const leftMs = Math.ceil(patientUntilMs - performance.now());
  if (leftMs <= 0) return;
  const message = `channel ${spec.name}: the receiver asked for patience`;
  throw fail("unavailable", message, { channel: spec.name, retryAfterMs: leftMs });
}

async function sendOn(channel: Channel, notice: Notice, attempt: Attempt, log: Log): Promise<void> {
  const { spec } = channel;
  let url = "";
  try {
    const missed = await deliver(spec, notice, {
      ...attempt,
      callsMade: channel.begun.id === notice.id ? channel.begun.calls : 0,
      onCall: (calls) => {
        channel.begun = { id: notice.id, calls };
      },
      beforeCall: (called) => {
        url = called;
        if (called !== channel.goneUrl) return;
        throw fail("badRequest", "the receiver is gone (410); give the channel another URL");
      },
    });
    if (missed > 0)
      log.warn("a mail was not taken for every address", { channel: spec.name, missed });
    channel.begun = { id: "", calls: 0 };
  } catch (error) {
    const { detail } = fromUnknown(error);
    if (detail?.["status"] === 410) channel.goneUrl = url;
    const waitMs = detail?.["retryAfterMs"];
    if (typeof waitMs === "number") channel.patientUntilMs = performance.now() + waitMs;
    throw error instanceof DaymillError ? error : new DaymillError(fromUnknown(error));
  }
}

async function warnAtStart(options: SenderOptions, signal: AbortSignal): Promise<void> {
  const missing = await secretWarnings(options, options.environment);
  for (const { channel, reason } of missing) {
    options.log.warn("an alert channel is not ready", { channel, reason });
  }
  const ready = options.channels.filter(
    ({ name }) => !missing.some(({ channel }) => channel === name),
  );
  for (const { channel, reason } of await reachWarnings(ready, options.environment, signal)) {
    options.log.warn("an alert channel cannot be reached", { channel, reason });
  }
}
