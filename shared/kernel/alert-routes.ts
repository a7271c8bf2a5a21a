/** Who is told of an alert: the routes of the configuration, in their order. Pure. */
import type { AlertConfig, AlertRoute, Finding } from "./alert.ts";

/** What routes look at. */
export type Routed = Pick<Finding, "rule" | "severity" | "job">;

/** The severity that the configuration gives a finding; undefined: its rule is off. */
export function severityIn(config: Pick<AlertConfig, "rules">, { rule, severity }: Routed) {
  const said = config.rules[rule];
  return said?.off === true ? undefined : (said?.severity ?? severity);
}

/**
 * Names of the channels that are told, in the order of the configuration. The first route that matches takes the alert;
 * after one with `goOn` the next ones are looked at as well. A channel that fails is not told of its own failing: all
 * others are, where its routes name no other.
 */
export function channelsFor(
  { channels, routes }: Pick<AlertConfig, "channels" | "routes">,
  finding: Routed & Pick<Finding, "subject">,
): readonly string[] {
  const named = new Set<string>();
  for (const route of routes) {
    if (!matches(route, finding)) continue;
    for (const channel of route.channels) named.add(channel);
    if (!route.goOn) break;
  }
  const all = channels.map(({ name }) => name);
  if (finding.rule !== "channelFailing") return all.filter((name) => named.has(name));
  const others = all.filter((name) => name !== finding.subject);
  const wanted = others.filter((name) => named.has(name));
  return wanted.length > 0 ? wanted : others;
}

function matches({ severities, jobs, rules }: AlertRoute, finding: Routed): boolean {
  const takes = (list: readonly string[], value: string) =>
    list.length === 0 || list.includes(value);
  return (
    takes(severities, finding.severity) && takes(jobs, finding.job) && takes(rules, finding.rule)
  );
}
