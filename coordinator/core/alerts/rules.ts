/** All rules, by name, and what they find together: switched, weighed and bounded as the configuration says. */
import {
  type AlertRule,
  alertKey,
  alertRules,
  type Finding,
  type Severity,
  severities,
} from "../../../shared/kernel/alert.ts";
import { severityIn } from "../../../shared/kernel/alert-routes.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import {
  backlogGrowing,
  channelFailing,
  exchangeNearLimit,
  executorLost,
  executorsFew,
  leaderChanged,
  storageNearLimit,
} from "./rules-cluster.ts";
import {
  checkFailed,
  deadlineMissed,
  deadlineProjected,
  inputIncomplete,
  inputMissing,
  runFailed,
  runNotStarted,
} from "./rules-days.ts";
import { rejectsHigh, runSlow, runsSlowing, throughputLow, volumeOdd } from "./rules-runs.ts";
import { type Found, finding, type Rule, type Seen } from "./seen.ts";

const rules: Readonly<Record<AlertRule, Rule>> = {
  runFailed,
  checkFailed,
  deadlineMissed,
  deadlineProjected,
  runNotStarted,
  inputMissing,
  inputIncomplete,
  runSlow,
  throughputLow,
  runsSlowing,
  volumeOdd,
  rejectsHigh,
  executorLost,
  executorsFew,
  leaderChanged,
  backlogGrowing,
  exchangeNearLimit,
  storageNearLimit,
  channelFailing,
};

export interface AllFound {
  /** By key. */
  readonly findings: ReadonlyMap<string, Finding>;
  readonly isBlindTo: (
    alert: Pick<Finding, "rule" | "job" | "day" | "subject"> & { readonly sinceMs: number },
  ) => boolean;
}

export function findAll(seen: Seen): AllFound {
  const found = new Map<AlertRule, Found>();
  for (const rule of alertRules) {
    if (seen.config.rules[rule]?.off !== true) found.set(rule, rules[rule](seen));
  }
  const findings = new Map<string, Finding>();
  for (const rule of alertRules) {
    const { findings: of = [] } = found.get(rule) ?? {};
    const room = limits.alertsOpenMax - findings.size;
    for (const one of bounded(rule, of, room)) {
      const known = findings.get(alertKey(one));
      const weighed = { ...one, severity: severityIn(seen.config, one) ?? one.severity };
      // Two things about the same: the worse one counts.
      if (known === undefined || isWorse(weighed.severity, known.severity)) {
        findings.set(alertKey(one), weighed);
      }
    }
  }
  const isBlindTo: AllFound["isBlindTo"] = (alert) =>
    found.get(alert.rule)?.isBlindTo?.(alert) === true;
  return { findings, isBlindTo };
}

/** What there is no room for is one finding; each rule has room for that one. */
function bounded(rule: AlertRule, all: readonly Finding[], room: number): readonly Finding[] {
  const most = Math.max(0, room - (alertRules.length - alertRules.indexOf(rule)));
  if (all.length <= most) return all;
  const rest = all.slice(most);
  const worst = rest.reduce<Severity>(
    (known, { severity }) => (isWorse(severity, known) ? severity : known),
    "info",
  );
  const summary = `${rest.length} more of ${rule} than can be told one by one`;
  const texts = { summary, cause: rest[0]?.summary ?? "", next: "daymill alerts" };
  return [...all.slice(0, most), finding(rule, worst, { subject: "all others" }, texts)];
}

export function isWorse(severity: Severity, than: Severity): boolean {
  return severities.indexOf(severity) > severities.indexOf(than);
}
