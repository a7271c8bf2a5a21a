/**
 * The words of a message, whatever channel takes it: its headline, and of each alert what, about what, since when, why
 * and what to run next. Also how a message is made to fit: first its texts get shorter, then its alerts fewer. Pure.
 */
import { type Alert, type Notice, type Severity, severities, severityOf } from "../kernel/alert.ts";
import { utcText } from "../kernel/time.ts";

/** One alert in words, each a single line without control characters. */
export interface AlertWords {
  readonly state: "open" | "still open" | "ended";
  readonly severity: Severity;
  readonly what: string;
  readonly about: string;
  /** `since 2026-01-16 03:00 UTC (2 h 05 min)`, or from when to when. */
  readonly since: string;
  /** Empty: none is known. */
  readonly cause: string;
  readonly next: string;
}

export function wordsOf(notice: Notice, alert: Alert): AlertWords {
  const ended = isEnded(notice, alert);
  return {
    state: ended ? "ended" : notice.kind === "repeated" ? "still open" : "open",
    severity: alert.severity,
    what: line(alert.summary) || alert.rule,
    about: aboutOf(alert),
    since: ended ? spanOf(alert.sinceMs, endOf(notice, alert)) : sinceOf(notice, alert),
    cause: line(alert.cause),
    next: line(alert.next),
  };
}

/** Whether it is over, to this message's knowledge. */
export function isEnded(notice: Notice, alert: Alert): boolean {
  return notice.kind === "resolved" || alert.endedMs !== undefined;
}

export function endOf(notice: Notice, alert: Alert): number {
  return alert.endedMs ?? notice.decidedMs;
}

function sinceOf({ decidedMs }: Notice, { sinceMs }: Alert): string {
  const forMs = decidedMs - sinceMs;
  const how = forMs >= 60_000 ? ` (${spanText(forMs)})` : "";
  return `since ${utcText(sinceMs)}${how}`;
}

function spanOf(fromMs: number, toMs: number): string {
  return `${utcText(fromMs)} to ${utcText(toMs)} (${spanText(toMs - fromMs)})`;
}

/** `ipdr-daily 2026-01-15, usage_hourly`; `the cluster` when it is about no job. */
export function aboutOf({ job, day, subject }: Pick<Alert, "job" | "day" | "subject">): string {
  const of = [line(job), line(day)].filter((part) => part !== "").join(" ") || "the cluster";
  return subject === "" ? of : `${of}, ${line(subject)}`;
}

/** The worst of what is open; of all when nothing is. */
export function severityTold(notice: Notice): Severity {
  const open = notice.alerts.filter((alert) => !isEnded(notice, alert));
  return severityOf(open.length > 0 ? open : notice.alerts);
}

/** What the message is, in one line. The kinds begin differently. */
export function headline(notice: Notice): string {
  const { alerts, omitted } = notice;
  const mark = markOf(notice);
  const [first] = alerts;
  if (first === undefined) return `${mark}: ${line(notice.group) || "alerts"}`;
  const count = alerts.length + omitted;
  const what = line(first.summary) || first.rule;
  if (count === 1) return `${mark}: ${aboutOf(first)}: ${what}`;
  const ended = alerts.filter((alert) => isEnded(notice, alert)).length;
  const over = ended === 0 || notice.kind === "resolved" ? "" : `, ${ended} ended`;
  return `${mark}: ${count} alerts of ${commonOf(alerts)}${over}: ${what}, …`;
}

function markOf(notice: Notice): string {
  const severity = severityTold(notice);
  switch (notice.kind) {
    case "opened":
      return severity.toUpperCase();
    case "repeated":
      // Some have ended and others of the group, which are not told again, have not.
      return notice.alerts.length > 0 && notice.alerts.every((alert) => isEnded(notice, alert))
        ? "RESOLVED IN PART"
        : `STILL OPEN (${severity})`;
    case "resolved":
      return "RESOLVED";
  }
}

/** What all of them are about, as far as it is the same. */
function commonOf(alerts: readonly Alert[]): string {
  const jobs = new Set(alerts.map(({ job }) => job));
  const days = new Set(alerts.map(({ day }) => day));
  const [job = ""] = jobs;
  const [day = ""] = days;
  if (jobs.size > 1) return `${jobs.size} jobs`;
  return aboutOf({ job, day: days.size === 1 ? day : "", subject: "" });
}

/** The line about alerts that the message does not tell; empty when it tells all. */
export function omittedLine({ omitted }: Notice): string {
  return omitted === 0 ? "" : `… and ${omitted} more: daymill alerts`;
}

/** Milliseconds as `45 s`, `12 min`, `2 h 05 min`, `3 d 04 h`. */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/** Line breaks are spaces; control characters and those that turn the direction of writing are gone. */
export function line(text: string): string {
  return text
    .replace(/[\s\u2028\u2029]+/g, " ")
    .replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "")
    .trim();
}

/** At most so many UTF-16 units, the last one `…` when something is cut; no character is cut in two. */
export function cut(text: string, unitsMax: number): string {
  if (text.length <= unitsMax) return text;
  const kept = text.slice(0, Math.max(0, unitsMax - 1));
  return `${/[\ud800-\udbff]$/.test(kept) ? kept.slice(0, -1) : kept}…`;
}

/** `@channel` and its like are text, not a call to everybody. The mark between is not seen. */
export function withoutMentions(text: string): string {
  return text.replace(/@(?=[\p{L}\p{N}_.-])/gu, "@\u200b");
}

/** UTF-8 bytes. */
export function bytesIn(text: string): number {
  return Buffer.byteLength(text);
}

/** From as it is to as short as is still of use: units of each text, and alerts told. */
type Steps = readonly [Step, ...Step[]];
type Step = readonly [unitsMax: number, alertsMax: number];

const forPeople: Steps = [
  [1_000, 20],
  [400, 20],
  [160, 20],
  [160, 10],
  [120, 5],
  [120, 2],
  [80, 1],
  [20, 1],
];

/** Programs keep each alert: what is left out of a message that was taken is never heard of. */
export const forPrograms: Steps = [
  [1_000, 20],
  [400, 20],
  [160, 20],
  [80, 20],
  [20, 20],
  [20, 10],
  [20, 5],
  [20, 1],
];

/** The longest form of a notice that fits. The shortest one does, whatever was given: tests hold that for each channel. */
export function fitted<Message>(
  notice: Notice,
  render: (notice: Notice) => Message,
  fits: (message: Message) => boolean,
  steps: Steps = forPeople,
): Message {
  const [[units, alerts]] = steps;
  let message = render(shortened(notice, units, alerts));
  for (const [shorter, fewer] of steps.slice(1)) {
    if (fits(message)) return message;
    message = render(shortened(notice, shorter, fewer));
  }
  return message;
}

/** The worst ones stay. */
export function shortened(notice: Notice, unitsMax: number, alertsMax: number): Notice {
  const rank = ({ severity }: Alert) => severities.indexOf(severity);
  const kept =
    notice.alerts.length <= alertsMax
      ? notice.alerts
      : [...notice.alerts].sort((a, b) => rank(b) - rank(a)).slice(0, alertsMax);
  const short = (text: string) => cut(text, unitsMax);
  return {
    ...notice,
    channel: short(notice.channel),
    group: short(notice.group),
    alerts: kept.map((alert) => ({
      ...alert,
      job: short(alert.job),
      day: short(alert.day),
      subject: short(alert.subject),
      summary: short(alert.summary),
      cause: short(alert.cause),
      next: short(alert.next),
    })),
    omitted: notice.omitted + notice.alerts.length - kept.length,
  };
}
