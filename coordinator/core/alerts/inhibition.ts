/**
 * What is not told because something else says why it is so: a dead cluster does not also send forty late days. What is
 * inhibited is found all the same: it is told when what inhibits it is over and it is not.
 */
import { type AlertRule, alertKey, type Finding } from "../../../shared/kernel/alert.ts";

type Rules = readonly AlertRule[];

/** Consequences of a cluster that can't work. */
const ofCluster: Rules = [
  "deadlineMissed",
  "deadlineProjected",
  "runNotStarted",
  "runSlow",
  "throughputLow",
  "runsSlowing",
  "backlogGrowing",
  "executorLost",
];
/** Runs stand still for a moment and go on. */
const ofPause: Rules = ["deadlineProjected", "runSlow", "throughputLow"];
const ofInput: Rules = [
  "deadlineMissed",
  "deadlineProjected",
  "runNotStarted",
  "runSlow",
  "throughputLow",
  "volumeOdd",
];
const ofFailure: Rules = [
  "deadlineProjected",
  "runNotStarted",
  "runSlow",
  "throughputLow",
  "volumeOdd",
  "rejectsHigh",
];

/** By the rule that inhibits: which others, about what. */
const inhibitions: Partial<
  Record<AlertRule, { readonly mutes: Rules; readonly where: "everywhere" | "sameDay" }>
> = {
  executorsFew: { mutes: ofCluster, where: "everywhere" },
  exchangeNearLimit: { mutes: ofPause, where: "everywhere" },
  storageNearLimit: { mutes: ofPause, where: "everywhere" },
  leaderChanged: { mutes: ofPause, where: "everywhere" },
  inputMissing: { mutes: ofInput, where: "sameDay" },
  inputIncomplete: { mutes: ofInput, where: "sameDay" },
  runFailed: { mutes: [...ofFailure, "checkFailed"], where: "sameDay" },
  checkFailed: { mutes: ofFailure, where: "sameDay" },
  runSlow: { mutes: ["throughputLow"], where: "sameDay" },
};

/** Room that is only nearly used up stands in nobody's way, nor does a check that only warns. */
const onlyCritical: ReadonlySet<AlertRule> = new Set<AlertRule>([
  "exchangeNearLimit",
  "storageNearLimit",
  "checkFailed",
]);

/**
 * Keys of what is inhibited among what is found or open. `hasOutage`: streams of some run can't be reached, which no rule
 * tells of.
 */
export function inhibitedAmong(
  findings: ReadonlyMap<string, Finding>,
  hasOutage: boolean,
): ReadonlySet<string> {
  const everywhere = new Set<AlertRule>(hasOutage ? ofPause : []);
  const onDay = new Set<string>();
  for (const { rule, severity, job, day, subject } of findings.values()) {
    const { mutes, where } = inhibitions[rule] ?? {};
    if (rule === "deadlineMissed" && subject === "") onDay.add(`models|${job}|${day}`);
    if (mutes === undefined || (onlyCritical.has(rule) && severity !== "critical")) continue;
    for (const one of mutes) {
      if (where === "everywhere") everywhere.add(one);
      else onDay.add(`${one}|${job}|${day}`);
    }
  }
  const isInhibited = ({ rule, job, day, subject }: Finding) =>
    everywhere.has(rule) ||
    onDay.has(`${rule}|${job}|${day}`) ||
    // A day that is late as a whole: its models are, too.
    (rule === "deadlineMissed" && subject !== "" && onDay.has(`models|${job}|${day}`));
  return new Set([...findings.values()].filter(isInhibited).map(alertKey));
}
