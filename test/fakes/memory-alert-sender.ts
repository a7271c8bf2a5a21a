/** The AlertSender port in memory: keeps what it was given, fails as told, rests after too many failures in a row. */

import type { Notice } from "../../shared/kernel/alert.ts";
import { DaymillError, type Failure, fail } from "../../shared/kernel/failure.ts";
import type { AlertSender, ChannelState } from "../../shared/ports.ts";

export interface MemoryAlertSender extends AlertSender {
  /** What each channel has taken, in order. */
  readonly taken: Notice[];
  /** Tries that came as far as the receiver. */
  tries: number;
  beats: number;
  /** How the receiver of a channel fails; undefined: it takes all. Also the heartbeat's, as channel `heartbeat`. */
  fail(channel: string, how: Failure | undefined): void;
}

interface Channel {
  failure: Failure | undefined;
  failures: number;
  state: ChannelState;
  reason: string;
  restsUntilMs: number;
  patientUntilMs: number;
}

export function memoryAlertSender(
  names: readonly string[],
  { triesMin = 5, restMs = 60_000 } = {},
): MemoryAlertSender {
  const make = (): Channel => ({
    ...{ failure: undefined, failures: 0, state: "working", reason: "" },
    ...{ restsUntilMs: 0, patientUntilMs: 0 },
  });
  const channels = new Map([...names, "heartbeat"].map((name) => [name, make()]));
  const watchers: Parameters<AlertSender["watchChannels"]>[0][] = [];
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;
  const change = (name: string, channel: Channel, state: ChannelState, reason: string) => {
    Object.assign(channel, { state, reason });
    for (const watcher of watchers) watcher(name, state, reason);
  };
  const rest = (name: string, channel: Channel, reason: string) => {
    channel.restsUntilMs = performance.now() + restMs;
    change(name, channel, "resting", reason);
    const timer = setTimeout(() => change(name, channel, "probing", reason), restMs);
    timers.add(timer.unref());
  };
  const sender: MemoryAlertSender = {
    taken: [],
    tries: 0,
    beats: 0,
    fail(name, how) {
      const channel = channels.get(name);
      if (channel !== undefined) channel.failure = how;
    },
    async send(notice) {
      const name = notice.channel;
      if (closed) throw fail("unavailable", "the sender of alerts was closed");
      const channel = names.includes(name) ? channels.get(name) : undefined;
      if (channel === undefined) throw fail("badRequest", `no channel ${name}`, { channel: name });
      throwIfWaiting(name, channel);
      sender.tries += 1;
      const { failure } = channel;
      if (failure === undefined) {
        channel.failures = 0;
        if (channel.state === "probing") change(name, channel, "working", "");
        sender.taken.push(notice);
        return;
      }
      const patienceMs = failure.detail?.["retryAfterMs"];
      if (typeof patienceMs === "number") channel.patientUntilMs = performance.now() + patienceMs;
      else if (failure.code !== "badRequest") {
        channel.failures += 1;
        if (channel.state === "probing" || channel.failures >= triesMin) {
          rest(name, channel, failure.message);
        }
      }
      throw new DaymillError(failure);
    },
    async heartbeat() {
      const failure = channels.get("heartbeat")?.failure;
      if (failure !== undefined) throw new DaymillError(failure);
      sender.beats += 1;
    },
    watchChannels(onChange) {
      watchers.push(onChange);
      for (const name of names) {
        const channel = channels.get(name);
        if (channel !== undefined) onChange(name, channel.state, channel.reason);
      }
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
    },
  };
  return sender;
}

function throwIfWaiting(name: string, { state, restsUntilMs, patientUntilMs }: Channel): void {
  const until = state === "resting" ? restsUntilMs : patientUntilMs;
  const leftMs = Math.ceil(until - performance.now());
  if (state !== "resting" && leftMs <= 0) return;
  const detail = { channel: name, retryAfterMs: Math.max(1, leftMs) };
  throw fail("unavailable", `channel ${name} is left alone`, detail);
}
