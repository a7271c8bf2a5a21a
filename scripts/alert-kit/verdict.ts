/** Did everybody hear of every alert, in time, once for each repeat interval, and of its end? From what came. */

import { type AlertRule, type AlertStatus, alertKey } from "../../shared/kernel/alert.ts";
import { channelsFor } from "../../shared/kernel/alert-routes.ts";
import { type AlertDesk, channelNames, retryAfterMs } from "./desk.ts";
import type { Telling } from "./tellings.ts";

/** Between decided and received, on a machine that has other work. */
const jitterMs = 2_000;
/** Until the next leader has sent what waited. */
const afterSilenceMs = 30_000;

export interface Verdict {
  /** Rules that fired, and those whose ends were told. */
  readonly fired: readonly AlertRule[];
  readonly ended: readonly AlertRule[];
  /** Alerts, messages by channel, and those that only said that something is still open. */
  readonly alerts: number;
  readonly messages: Readonly<Record<string, number>>;
  readonly repeats: number;
  /** Shortest time between a message and the next one that said only that it is still open. */
  readonly repeatMsMin: number;
  /** Tries on the channel that fails, and the pause that it asked for with its first answer. */
  readonly flakyTries: number;
  readonly retryAfterMs: number;
  readonly problems: readonly string[];
}

/** `all`: every alert that was open, as the cluster tells it. */
export function judge(desk: AlertDesk, all: readonly AlertStatus[]): Verdict {
  const problems = [...desk.problems(), ...takenTwice(desk)];
  const flaky = desk.tellings("flaky");
  const pausedMs = (flaky[1]?.atMs ?? 0) - (flaky[0]?.atMs ?? 0);
  if (pausedMs < retryAfterMs) problems.push(`flaky: tried again after ${pausedMs} ms`);
  const names = namesOf(desk, all);
  const heard = new Map(channelNames.map((name) => [name, once(desk.tellings(name))]));
  // What was decided while nobody answered, or the leader was gone, came later than it was decided.
  const silenceOverMs = desk.silentUntilMs + afterSilenceMs;
  let repeats = 0;
  let repeatMsMin = Number.POSITIVE_INFINITY;
  for (const [channel, tellings] of heard) {
    problems.push(...unknown(channel, tellings, names));
    // What the flaky one hears late says nothing of when it was sent.
    if (channel === "flaky") continue;
    const heardInTime = ({ atMs }: Telling) => atMs < desk.silentSinceMs || atMs > silenceOverMs;
    for (const gapMs of repeatGaps(tellings.filter(heardInTime), names, channel === "pager")) {
      repeats++;
      repeatMsMin = Math.min(repeatMsMin, gapMs);
    }
  }
  const { repeatMs } = desk.settings.config;
  if (repeatMsMin < Math.min(repeatMs.critical, repeatMs.warning) - jitterMs) {
    problems.push(`something that is still open was told again after ${repeatMsMin} ms`);
  }
  problems.push(...all.flatMap((alert) => missed(desk, alert, heard, names)));
  const rules = (of: readonly AlertStatus[]) => [...new Set(of.map(({ rule }) => rule))].sort();
  return {
    fired: rules(all),
    ended: rules(all.filter(({ state }) => state === "ended")),
    alerts: all.length,
    messages: Object.fromEntries([...heard].map(([name, { length }]) => [name, length])),
    repeats,
    repeatMsMin,
    flakyTries: flaky.length,
    retryAfterMs: pausedMs,
    problems,
  };
}

/** By key, and by all the words that it was told in: webhooks and pagers have both, and all others hear as they do. */
function namesOf(desk: AlertDesk, all: readonly AlertStatus[]): Names {
  const byKey = new Map(all.map((alert) => [alertKey(alert), alert]));
  const names = new Map(byKey);
  const told = ["tools", "pager"].flatMap((channel) => desk.tellings(channel));
  for (const { name, words = "" } of told.flatMap(({ alerts }) => alerts)) {
    const alert = byKey.get(name);
    if (alert !== undefined) names.set(words, alert);
  }
  return names;
}

/** The first of those that are the same message. */
function once(tellings: readonly Telling[]): readonly Telling[] {
  const known = new Set<string>();
  return tellings.filter(({ id }) => !known.has(id) && known.add(id));
}

/** Under one leader nothing is sent twice that was taken. Only where ids tell messages with the same words apart. */
function takenTwice(desk: AlertDesk): readonly string[] {
  return ["mail", "tools"].flatMap((channel) => {
    const taken = new Set<string>();
    return desk.tellings(channel).flatMap(({ id, atMs }) => {
      if (taken.has(id)) return [`${channel}: ${id} was taken, and came again`];
      if (atMs < desk.silentSinceMs) taken.add(id);
      return [];
    });
  });
}

type Names = ReadonlyMap<string, AlertStatus>;

function unknown(channel: string, tellings: readonly Telling[], names: Names): readonly string[] {
  const all = tellings.flatMap(({ alerts }) => alerts.map(({ name }) => name));
  return [...new Set(all)]
    .filter((name) => !names.has(name))
    .map((name) => `${channel}: nobody knows of ${name}`);
}

/**
 * Times between messages of one group of which the later one has nothing new and nothing that is over. A pager's messages
 * are one alert each: only those that are alone in their group can be told apart.
 */
function repeatGaps(tellings: readonly Telling[], names: Names, isPager: boolean): number[] {
  const groups = new Map<string, { atMs: number; open: Set<string> }>();
  const sizes = new Map<string, number>();
  for (const { job } of new Set(names.values())) sizes.set(job, (sizes.get(job) ?? 0) + 1);
  const gaps: number[] = [];
  for (const { atMs, alerts } of tellings) {
    const [first] = alerts;
    const group = (first && names.get(first.name)?.job) ?? "";
    if (isPager && sizes.get(group) !== 1) continue;
    const known = groups.get(group) ?? { atMs: 0, open: new Set<string>() };
    const isRepeat = alerts.every(({ name, isOver }) => !isOver && known.open.has(name));
    if (isRepeat) gaps.push(atMs - known.atMs);
    for (const { name, isOver } of alerts) {
      if (isOver) known.open.delete(name);
      else known.open.add(name);
    }
    groups.set(group, { atMs, open: known.open });
  }
  return gaps;
}

/** On each channel that its routes name: it opened, and when it is over that came once, in the end. */
function missed(
  { settings }: AlertDesk,
  alert: AlertStatus,
  heard: ReadonlyMap<string, readonly Telling[]>,
  names: Names,
): readonly string[] {
  return channelsFor(settings.config, alert).flatMap((channel) => {
    const states = (heard.get(channel) ?? []).flatMap(({ alerts }) =>
      alerts.filter(({ name }) => names.get(name) === alert).map(({ isOver }) => isOver),
    );
    const about = `${channel}: ${alert.key}`;
    if (states[0] !== false) return [`${about} was never told to be open`];
    const isTwice = states.some((isOver, index) => isOver && states[index - 1] === true);
    if (isTwice) return [`${about} was told to be over twice`];
    const isOver = states.at(-1) === true;
    if (isOver === (alert.state === "ended")) return [];
    return [`${about} is ${alert.state}, and was last told to be ${isOver ? "over" : "open"}`];
  });
}
