/** Who is to be told of an alert, and who does not want to hear now. Pure. */
import {
  type AlertConfig,
  alertKey,
  type Finding,
  type Silence,
} from "../../../shared/kernel/alert.ts";

/**
 * Channels for an alert, in the order of the configuration. A channel that fails is not told of its own failing: all
 * others are, where its routes name no other.
 */
export function channelsFor(config: AlertConfig, alert: Finding): readonly string[] {
  const named = new Set<string>();
  for (const route of config.routes) {
    const matches =
      isIn(route.severities, alert.severity) &&
      isIn(route.jobs, alert.job) &&
      isIn(route.rules, alert.rule);
    if (!matches) continue;
    for (const channel of route.channels) named.add(channel);
    if (!route.goOn) break;
  }
  const all = config.channels.map(({ name }) => name);
  if (alert.rule !== "channelFailing") return all.filter((name) => named.has(name));
  const others = all.filter((name) => name !== alert.subject);
  const wanted = others.filter((name) => named.has(name));
  return wanted.length > 0 ? wanted : others;
}

/** An empty list matches all. */
function isIn<T>(list: readonly T[], value: T): boolean {
  return list.length === 0 || list.includes(value);
}

/** The silence that matches an alert now. */
export function silenceOf(
  silences: readonly Silence[],
  alert: Finding,
  nowMs: number,
): Silence | undefined {
  return silences.find(
    ({ rule, job, day, subject, untilMs }) =>
      untilMs > nowMs &&
      (rule === "" || rule === alert.rule) &&
      (job === "" || job === alert.job) &&
      (day === "" || day === alert.day) &&
      (subject === "" || subject === alert.subject),
  );
}

/** Why somebody is not told of an open alert now; undefined: they are. */
export type Muting = "silenced" | "inhibited" | "quiet";

export function mutingOf(
  alert: Finding,
  now: {
    readonly silences: readonly Silence[];
    readonly inhibited: ReadonlySet<string>;
    readonly isQuiet: boolean;
    readonly nowMs: number;
  },
): Muting | undefined {
  if (silenceOf(now.silences, alert, now.nowMs) !== undefined) return "silenced";
  if (now.inhibited.has(alertKey(alert))) return "inhibited";
  return now.isQuiet && alert.severity !== "critical" ? "quiet" : undefined;
}
