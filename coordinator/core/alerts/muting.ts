/** Why somebody who would be told of an alert (shared/kernel/alert-routes.ts) is not told now. Pure. */
import { alertKey, type Finding, type Silence } from "../../../shared/kernel/alert.ts";

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
