/**
 * What people are told when something is wrong, as values. A rule finds something (`Finding`); while it is found it is one
 * open `Alert`; what of it goes to whom and when is a `Notice`, kept until its channel has taken it. No secrets, no
 * subscribers' values: all of this is journaled.
 */
import type { Day } from "./time.ts";

export type Severity = "info" | "warning" | "critical";

export const severities: readonly Severity[] = ["info", "warning", "critical"];

/** What can be found. The word is part of an alert's key and of configuration: it is never changed. */
export const alertRules = [
  "runFailed",
  "checkFailed",
  "deadlineMissed",
  "deadlineProjected",
  "runNotStarted",
  "inputMissing",
  "inputIncomplete",
  "runSlow",
  "throughputLow",
  "runsSlowing",
  "volumeOdd",
  "rejectsHigh",
  "executorLost",
  "executorsFew",
  "leaderChanged",
  "backlogGrowing",
  "exchangeNearLimit",
  "storageNearLimit",
  "channelFailing",
] as const;

export type AlertRule = (typeof alertRules)[number];

/** Something that is wrong now. What it is about is what tells it from others: rule, job, day and subject. */
export interface Finding {
  readonly rule: AlertRule;
  readonly severity: Severity;
  /** Empty: about the cluster. */
  readonly job: string;
  /** Empty: about no day. */
  readonly day: Day | "";
  /** What of it: a model, a source, an executor, a channel; empty when job and day say all. */
  readonly subject: string;
  /** One line: what is wrong. */
  readonly summary: string;
  /** The likely cause: the failing task's error, the missing files. */
  readonly cause: string;
  /** The command to run next. */
  readonly next: string;
}

export interface Alert extends Finding {
  readonly key: string;
  /** Epoch milliseconds. */
  readonly sinceMs: number;
  readonly endedMs?: number;
}

/** The same as long as it is about the same, whoever leads; at most 255 characters. */
export function alertKey({
  rule,
  job,
  day,
  subject,
}: Pick<Finding, "rule" | "job" | "day" | "subject">): string {
  return [rule, job, day, subject]
    .map((part) => part.replaceAll("/", "_"))
    .join("/")
    .slice(0, 255);
}

/**
 * One message to one channel: alerts of one group. `id` stays the same through retries and changes of leader: receivers
 * may drop what they have by it.
 */
export interface Notice {
  readonly id: string;
  readonly channel: string;
  /** Messages of one group belong together: one mail thread, one incident. */
  readonly group: string;
  /** `repeated`: still open. `resolved`: all that the group had open has ended. */
  readonly kind: "opened" | "repeated" | "resolved";
  /** At most `limits.alertsPerNoticeMax`; `omitted` more are open. */
  readonly alerts: readonly Alert[];
  readonly omitted: number;
  /** When it was decided, epoch milliseconds. */
  readonly decidedMs: number;
  /** It only tries the channel: nobody will say that it is over. */
  readonly isTest?: true;
}

/** The worst of what a notice tells. */
export function severityOf(alerts: readonly Pick<Alert, "severity">[]): Severity {
  const worst = Math.max(0, ...alerts.map(({ severity }) => severities.indexOf(severity)));
  return severities[worst] ?? "info";
}

/** Somebody does not want to hear of it until then. Empty fields match all. */
export interface Silence {
  readonly id: string;
  readonly rule: AlertRule | "";
  readonly job: string;
  readonly day: Day | "";
  readonly subject: string;
  readonly untilMs: number;
  readonly by: string;
  readonly reason: string;
}

// --- what is kept, and what people are shown -------------------------------------------------------

/** An open alert together with the group that its messages belong to. */
export interface OpenAlert extends Alert {
  readonly group: string;
}

/** What a channel was told of a group last: it is told of differences only. */
export interface Told {
  readonly channel: string;
  readonly group: string;
  /** When that was decided, epoch milliseconds. */
  readonly lastMs: number;
  /** Alerts that it knows as open, by key, each as it was told; those first that were told longest ago. */
  readonly alerts: Readonly<Record<string, Severity>>;
}

/** Open alerts, waiting messages and silences as they lie on storage: the journal alone may be lost. */
export interface AlertDocument {
  /** Grows with each thing that is remembered: of two accounts the one with more is the newer. */
  readonly changes: number;
  readonly open: readonly OpenAlert[];
  /** Those that some channel still believes open. */
  readonly ended: readonly Alert[];
  /** In the order in which they were decided. */
  readonly waiting: readonly Notice[];
  readonly told: readonly Told[];
  readonly silences: readonly Silence[];
}

/** Said about alerts. */
export type AlertAction =
  | { readonly kind: "silence"; readonly silence: SilenceWish }
  | { readonly kind: "unsilence"; readonly id: string }
  /** Sends a message that says so; nothing is remembered of it. */
  | { readonly kind: "test"; readonly channel: string };

/** A silence that matches the same as one that is in force takes its place. */
export interface SilenceWish extends Omit<Silence, "id" | "untilMs"> {
  readonly forMs: number;
}

/** As people are shown it. */
export interface AlertStatus extends Alert {
  readonly group: string;
  /** `silenced`, `inhibited` (another alert says why) and `quiet` (it is night) are open and not sent. */
  readonly state: "open" | "silenced" | "inhibited" | "quiet" | "ended";
  /** Channels that have been told of it; of an ended one empty. */
  readonly told: readonly string[];
}

export interface ChannelStatus {
  readonly channel: string;
  readonly kind: ChannelKind;
  /** `working`, `resting`, `probing`, or `unknown` while nothing was sent. */
  readonly state: string;
  /** Tries that failed since the last one that did not, and how the last one did. */
  readonly failures: number;
  readonly reason: string;
  /** Messages that wait for it. */
  readonly waiting: number;
}

export interface AlertsStatus {
  /** false: there is no configuration, nothing is looked for and nobody is told. */
  readonly isConfigured: boolean;
  /** Worst first, then the oldest; ended ones newest first. */
  readonly alerts: readonly AlertStatus[];
  readonly silences: readonly Silence[];
  readonly channels: readonly ChannelStatus[];
}

// --- configuration, without secrets ------------------------------------------------------------

export const channelKinds = [
  "email",
  "slack",
  "teams",
  "mattermost",
  "pagerduty",
  "alertmanager",
  "webhook",
] as const;

export type ChannelKind = (typeof channelKinds)[number];

/** Programs keep each alert by its key and have to hear of every one; people are told how many more there are. */
export function isForPrograms(kind: ChannelKind): boolean {
  return kind === "pagerduty" || kind === "alertmanager" || kind === "webhook";
}

/** The first route that matches takes an alert; with `goOn` later ones are tried as well. */
export interface AlertRoute {
  /** Empty lists match all. */
  readonly severities: readonly Severity[];
  readonly jobs: readonly string[];
  readonly rules: readonly AlertRule[];
  readonly channels: readonly string[];
  readonly goOn: boolean;
}

/** Local hours in which warnings wait; `to` may be the next morning. */
export interface QuietHours {
  /** `HH:MM`. */
  readonly from: string;
  readonly to: string;
  readonly timezone: string;
}

/** What the core decides by; the sender knows the rest of each channel. Durations in milliseconds. */
export interface AlertConfig {
  readonly channels: readonly { readonly name: string; readonly kind: ChannelKind }[];
  readonly routes: readonly AlertRoute[];
  /** Before a new group is told of: what comes meanwhile goes into the same message. */
  readonly groupWaitMs: number;
  /** Between two messages about changes of a group. */
  readonly groupIntervalMs: number;
  /** Until an alert that is still open is told of again, by severity; 0 = never. */
  readonly repeatMs: Readonly<Record<Severity, number>>;
  readonly quietHours?: QuietHours;
  /** Rules that are off, or have another severity. */
  readonly rules: Readonly<
    Partial<Record<AlertRule, { readonly off?: boolean; readonly severity?: Severity }>>
  >;
  readonly thresholds: AlertThresholds;
  /** A sign of life to a monitor outside; undefined: none. */
  readonly heartbeatEveryMs?: number;
}

export interface AlertThresholds {
  /** Runs compared with, and the fewest that say anything. */
  readonly baselineRuns: number;
  readonly baselineRunsMin: number;
  /** A run is slow above this multiple of what is usual, and this much longer. */
  readonly slowFactor: number;
  readonly slowFloorMs: number;
  /** Runs are getting slower when the median of the last three is above this multiple of what was usual. */
  readonly trendFactor: number;
  readonly trendFloorMs: number;
  /** Records a second below this share of what is usual. */
  readonly throughputShare: number;
  /** A day's records outside these shares of the median of its weekday. */
  readonly volumeLow: number;
  readonly volumeHigh: number;
  /** Rejected lines above this share of all lines. */
  readonly rejectsShare: number;
  /** Executors that have to be there. */
  readonly executorsMin: number;
  /** Days that are to be made, in the backlog of one job. */
  readonly backlogDays: number;
  /** Full above this share of the exchange's budget, or of the disk. */
  readonly fullShare: number;
  /** A day that is ready and has no run after this long. */
  readonly notStartedAfterMs: number;
}
