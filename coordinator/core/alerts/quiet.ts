/**
 * Hours in which warnings wait. They are local times, and the core knows no time zone: the calendar is asked for a
 * schedule that starts when they begin and is to be done when they end.
 */
import { limits } from "../../../shared/kernel/limits.ts";
import { isOver } from "../days/desk-state.ts";
import type { Answered } from "../state.ts";
import { ask, log, type Turn } from "../turn.ts";
import { purposeOf } from "./alert-state.ts";

const dayMs = 86_400_000;

/** Asks for the spans ahead, where the last answer is old. */
export function askForQuiet(turn: Turn): void {
  const hours = turn.state.config.alerts?.quietHours;
  const { quiet } = turn.state.alerts;
  if (hours === undefined || !isOver(quiet.asked, turn.wall)) return;
  const asked = { fromMs: turn.wall, untilMs: turn.wall + limits.calendarEveryMs };
  turn.state.alerts.quiet = { ...quiet, asked };
  const [hour = 0, minute = 0] = hours.from.split(":").map(Number);
  const schedule = `${minute} ${hour} * * *`;
  const span = { fromMs: turn.wall - 2 * dayMs, toMs: turn.wall + limits.calendarAheadMs };
  const { timezone, to: finishBy } = hours;
  ask(
    turn,
    { kind: "planCalendar", schedule, timezone, finishBy, ...span },
    purposeOf({ kind: "quietHours" }),
  );
}

export function quietAnswered(turn: Turn, { answer }: Answered): void {
  const { alerts } = turn.state;
  if (answer.kind === "calendar") {
    const spans = answer.starts.map(({ startMs, finishByMs = startMs }) => {
      return { fromMs: startMs, untilMs: finishByMs };
    });
    alerts.quiet = { ...alerts.quiet, spans };
    return;
  }
  // Better a warning at night than one that never comes.
  const untilMs = turn.wall + limits.retryBackoffMsMax;
  alerts.quiet = { asked: { fromMs: turn.wall, untilMs }, spans: alerts.quiet.spans ?? [] };
  if (answer.kind !== "failed") return;
  const { code, message } = answer.failure;
  log(turn, "warn", `quiet hours can't be told: ${message}`, { code });
}

/** Before the first answer nobody knows: warnings wait for it. */
export function isQuiet({ state, wall }: Turn): boolean {
  if (state.config.alerts?.quietHours === undefined) return false;
  const { spans } = state.alerts.quiet;
  return spans === undefined || spans.some((span) => !isOver(span, wall));
}
