/** Alerts as people are shown them: open or ended, why nobody is told, silences in force, how channels do. */
import {
  type AlertStatus,
  type AlertsStatus,
  type ChannelStatus,
  severities,
} from "../../../shared/kernel/alert.ts";
import type { Question } from "../replies.ts";
import type { CoordinatorState } from "../state.ts";
import type { Turn } from "../turn.ts";
import { type AlertBook, emptyBook } from "./book.ts";
import { asTold } from "./life.ts";
import { mutingOf } from "./muting.ts";
import { isQuiet } from "./quiet.ts";

export function alertsStatus(
  turn: Turn,
  { which, job }: Extract<Question, { kind: "alerts" }>,
): AlertsStatus {
  const { durable, config } = turn.state;
  const book = durable.alerts ?? emptyBook();
  const all = which === "open" ? openOnes(turn, book) : endedOnes(book);
  return {
    isConfigured: config.alerts !== undefined,
    alerts: job === "" ? all : all.filter((one) => one.job === job),
    silences: book.silences.filter(({ untilMs }) => untilMs > turn.wall),
    channels: channelsOf(turn.state, book),
  };
}

function openOnes(turn: Turn, book: AlertBook): AlertStatus[] {
  const { inhibited } = turn.state.alerts;
  const quiet = isQuiet(turn);
  const now = { silences: book.silences, inhibited, isQuiet: quiet, nowMs: turn.wall };
  const told = [...book.told.values()];
  // Decided, and not taken by its receiver yet.
  const coming = new Set(
    [...book.waiting.values()].flatMap(({ kind, channel, alerts }) =>
      kind === "opened" ? alerts.map(({ key }) => `${channel}|${key}`) : [],
    ),
  );
  const rank = ({ severity }: AlertStatus) => severities.indexOf(severity);
  return [...book.open.values()]
    .map((alert) => ({
      ...asTold(turn, alert),
      group: alert.group,
      state: mutingOf(alert, now) ?? ("open" as const),
      told: told.flatMap(({ channel, alerts }) => {
        const isTold = alerts[alert.key] !== undefined && !coming.has(`${channel}|${alert.key}`);
        return isTold ? [channel] : [];
      }),
    }))
    .sort((a, b) => rank(b) - rank(a) || a.sinceMs - b.sinceMs);
}

function endedOnes({ ended }: AlertBook): AlertStatus[] {
  return ended
    .map((alert) => ({ ...alert, group: alert.job, state: "ended" as const, told: [] }))
    .reverse();
}

/** Each channel that is configured; its state is that of its breaker, as the shell has told of it. */
export function channelsOf(
  { alerts, config }: Pick<CoordinatorState, "alerts" | "config">,
  book: AlertBook,
): ChannelStatus[] {
  const waiting = [...book.waiting.values()];
  return (config.alerts?.channels ?? []).map(({ name, kind }) => {
    const health = alerts.channels.get(name);
    return {
      channel: name,
      kind,
      state: health === undefined ? "unknown" : (health.breaker ?? "working"),
      failures: health?.failures ?? 0,
      reason: health?.reason ?? "",
      waiting: waiting.filter(({ channel }) => channel === name).length,
    };
  });
}
