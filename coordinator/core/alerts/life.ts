/**
 * The life of an alert: it opens when its rule finds it and nothing says why it is so, becomes worse, and ends when its
 * rule, able to judge, has not found it for a while. What comes and goes within that while is one alert.
 */
import type { Alert, AlertConfig, Finding, OpenAlert } from "../../../shared/kernel/alert.ts";
import { alertKey } from "../../../shared/kernel/alert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Durable } from "../durable.ts";
import { clusterWide, decide, log, publish, type Turn } from "../turn.ts";
import type { AlertBook } from "./book.ts";
import { type AllFound, isWorse } from "./rules.ts";

/** Alerts that are about no job. */
export const clusterGroup = clusterWide.job;

export function openAndEnd(
  turn: Turn,
  book: AlertBook,
  config: AlertConfig,
  { findings, isBlindTo }: AllFound,
): void {
  const { gone, inhibited, coming } = turn.state.alerts;
  for (const key of coming.keys()) if (!findings.has(key)) coming.delete(key);
  for (const [key, found] of findings) {
    gone.delete(key);
    const known = book.open.get(key);
    if (known === undefined) {
      const since = coming.get(key) ?? turn.wall;
      coming.set(key, since);
      const isLasting = turn.wall - since >= lastingMs(found, config);
      if (isLasting && !inhibited.has(key)) open(turn, found);
    } else if (isWorse(found.severity, known.severity)) {
      const worse = { ...known, ...found };
      decide(turn, { kind: "alertOpened", alert: worse });
      tellWorld(turn, "alert.opened", worse);
    }
  }
  for (const [key, alert] of book.open) {
    if (findings.has(key)) continue;
    if (isBlindTo(alert)) {
      gone.delete(key);
      continue;
    }
    const since = gone.get(key);
    if (since === undefined) gone.set(key, turn.at);
    else if (turn.at - since >= limits.alertHoldMs) end(turn, alert);
  }
  for (const key of gone.keys()) if (!book.open.has(key)) gone.delete(key);
}

/** What passes by itself when it is left alone for a while: a job that was made known has days to catch up. */
function lastingMs({ rule }: Finding, { thresholds }: AlertConfig): number {
  return rule === "backlogGrowing" ? thresholds.notStartedAfterMs : 0;
}

function open(turn: Turn, found: Finding): void {
  const alert: OpenAlert = {
    ...found,
    key: alertKey(found),
    sinceMs: turn.wall,
    group: groupOf(turn.state.durable, found),
  };
  decide(turn, { kind: "alertOpened", alert });
  tellWorld(turn, "alert.opened", alert);
  const { key, severity, summary, cause } = alert;
  log(turn, "warn", `alert: ${summary}`, { key, severity, cause });
}

function end(turn: Turn, alert: OpenAlert): void {
  turn.state.alerts.gone.delete(alert.key);
  const cause = outOfSight(turn, alert);
  const about = { key: alert.key, ...(cause === undefined ? {} : { cause }) };
  decide(turn, { kind: "alertEnded", ...about, wallMs: turn.wall });
  tellWorld(turn, "alert.ended", { ...alert, ...about });
  log(turn, "info", `alert is over: ${alert.summary}`, { key: alert.key });
}

/** It has ended because nobody looks any more, and not because all is well. */
function outOfSight(turn: Turn, { rule, job, day }: OpenAlert): string | undefined {
  if (turn.state.config.alerts?.rules[rule]?.off === true) return "its rule was switched off";
  const { durable } = turn.state;
  if (job !== "" && !durable.names.has(job)) return "its job is not known any more";
  if (day === "" || rule === "volumeOdd" || rule === "rejectsHigh") return undefined;
  const record = durable.days.get(`${job}|${day}`);
  const isOpen = record !== undefined && record.committed === 0 && record.skipped === undefined;
  return isOpen ? "the day has no revision, and is too old to be looked at any more" : undefined;
}

function tellWorld(turn: Turn, event: "alert.opened" | "alert.ended", alert: OpenAlert): void {
  const { key, rule, severity, job, day, subject, summary, cause, next, sinceMs } = alert;
  const of = job === "" ? clusterWide : { job, day: day === "" ? clusterWide.day : day };
  publish(turn, of, event, { key, rule, severity, subject, summary, cause, next, sinceMs });
}

/** Messages about one job belong together; a backfill's are a group of their own. */
function groupOf(durable: Durable, { job, day }: Finding): string {
  if (job === "") return clusterGroup;
  const all = durable.desks.get(job)?.backfills ?? [];
  const backfill = all.findLast(({ days }) => {
    const state = day === "" ? undefined : days[day]?.state;
    return state === "taken" || state === "failed";
  });
  return backfill?.id ?? job;
}

/** As a message shows it: with the newest words for what is still found. */
export function asTold(turn: Turn, { group: _, ...alert }: OpenAlert): Alert {
  const found = turn.state.alerts.found.get(alert.key);
  if (found === undefined) return alert;
  const { summary, cause, next } = found;
  return { ...alert, summary, cause, next };
}
