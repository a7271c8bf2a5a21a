/**
 * Outcomes on their way to a leader: kept and sent again until one says that the fact is saved.
 * A report is never dropped while the executor lives; an acknowledged attempt is remembered as settled.
 */
import { limits } from "../../shared/kernel/limits.ts";
import type { AttemptOutcome } from "../../shared/kernel/work.ts";
import type { Report, Turn } from "./state.ts";

/** Keeps an outcome and sends it if a leader listens. */
export function addReport(
  turn: Turn,
  attemptId: string,
  epoch: number,
  outcome: AttemptOutcome,
): void {
  const report: Report = { attemptId, epoch, outcome, sentAt: undefined };
  turn.state = { ...turn.state, reports: [...turn.state.reports, report] };
  sendReports(turn, (candidate) => candidate.attemptId === attemptId);
}

/** Sends the kept reports that `which` picks; without a welcomed link they wait. */
export function sendReports(turn: Turn, which: (report: Report) => boolean): void {
  const { link } = turn.state;
  if (link.kind !== "attached") return;
  const reports = turn.state.reports.map((report) => {
    if (!which(report)) return report;
    const { attemptId, epoch, outcome } = report;
    const message = { kind: "report", attemptId, epoch, outcome } as const;
    turn.effects.push({ kind: "send", link: link.link, message });
    return { ...report, sentAt: turn.at };
  });
  turn.state = { ...turn.state, reports };
}

/** Sends again what stayed unacknowledged for too long: a leader under load may have dropped it. */
export function tickReports(turn: Turn): void {
  const due = (report: Report) =>
    report.sentAt === undefined || turn.at >= report.sentAt + limits.reportResendMs;
  if (turn.state.reports.some(due)) sendReports(turn, due);
}

/** The leader has saved the outcome. */
export function acknowledged(turn: Turn, attemptId: string): void {
  const reports = turn.state.reports.filter((report) => report.attemptId !== attemptId);
  if (reports.length === turn.state.reports.length) return;
  const settled = [...turn.state.settled, attemptId].slice(-limits.settledAttemptsKept);
  turn.state = { ...turn.state, reports, settled };
}
