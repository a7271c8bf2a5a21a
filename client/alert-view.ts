/** Alerts as lines for people. Pure. */
import type {
  AlertStatus,
  ListAlertsReply,
  Silence,
} from "../shared/adapters/grpc-types-alerts.ts";
import { formatDuration, formatTable, formatTime } from "./format.ts";

type Shown = Pick<ListAlertsReply, "isConfigured" | "alerts" | "silences" | "channels">;

const unconfigured = "no alerts are configured: start coordinators with --alerts FILE";

/** Open alerts, each with what to do; then silences in force, then how channels do. */
export function alertLines(found: Shown, nowMs: number): readonly string[] {
  const { isConfigured, alerts, silences, channels } = found;
  if (!isConfigured) return [unconfigured];
  return [
    ...(alerts.length === 0 ? ["nothing is wrong"] : openLines(alerts, nowMs)),
    ...(silences.length === 0 ? [] : ["", ...silences.map(silenceText)]),
    "",
    ...channelLines(channels),
  ];
}

function openLines(alerts: readonly AlertStatus[], nowMs: number): readonly string[] {
  const rows = alerts.map((one) => [
    one.severity,
    one.rule,
    aboutText(one),
    formatDuration(nowMs - one.sinceMs),
    one.state === "open" ? one.told.join(", ") : one.state,
  ]);
  const details = alerts.flatMap(({ summary, cause, next }) => [
    "",
    summary,
    `  cause: ${cause}`,
    `  next:  ${next}`,
  ]);
  return [...formatTable(["SEVERITY", "RULE", "ABOUT", "SINCE", "TOLD"], rows), ...details];
}

export function historyLines({ isConfigured, alerts }: Shown): readonly string[] {
  if (alerts.length === 0) return [isConfigured ? "no alert has ended yet" : unconfigured];
  const rows = alerts.map((one) => [
    one.severity,
    one.rule,
    aboutText(one),
    formatTime(one.sinceMs),
    formatTime(one.endedMs),
    one.summary,
  ]);
  return formatTable(["SEVERITY", "RULE", "ABOUT", "FROM", "TO", "WHAT"], rows);
}

function channelLines(channels: Shown["channels"]): readonly string[] {
  const rows = channels.map(({ channel, kind, state, waiting, failures, reason }) => [
    channel,
    kind,
    state,
    String(waiting),
    failures === 0 ? "" : `${failures} failed: ${reason}`,
  ]);
  return formatTable(["CHANNEL", "KIND", "STATE", "WAITING", "LAST TRIES"], rows);
}

/** `silence s3 until 2026-01-18 06:00:00Z: rule runSlow, job usage (ops: maintenance)`. */
export function silenceText({ id, untilMs, by, reason, ...match }: Silence): string {
  const named = (["rule", "job", "day", "subject"] as const).flatMap((what) =>
    match[what] === "" ? [] : [`${what} ${match[what]}`],
  );
  const who = `${by === "" ? "somebody" : by}${reason === "" ? "" : `: ${reason}`}`;
  const what = named.length === 0 ? "everything" : named.join(", ");
  return `silence ${id} until ${formatTime(untilMs)}: ${what} (${who})`;
}

function aboutText({ job, day, subject }: AlertStatus): string {
  const parts = [job, day, subject].filter((part) => part !== "");
  return parts.length === 0 ? "the cluster" : parts.join(" ");
}
