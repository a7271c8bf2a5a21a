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
 * Names of the channels that are told, each once. The first route that matches takes the alert; after one with `goOn`
 * the next ones are looked at as well. None: nobody is told.
 */
export function channelsFor(
  config: Pick<AlertConfig, "routes">,
  finding: Routed,
): readonly string[] {
  const found = new Set<string>();
  for (const route of config.routes) {
    if (!matches(route, finding)) continue;
    for (const channel of route.channels) found.add(channel);
    if (!route.goOn) break;
  }
  return [...found];
}

function matches({ severities, jobs, rules }: AlertRoute, finding: Routed): boolean {
  const takes = (list: readonly string[], value: string) =>
    list.length === 0 || list.includes(value);
  return (
    takes(severities, finding.severity) && takes(jobs, finding.job) && takes(rules, finding.rule)
  );
}
