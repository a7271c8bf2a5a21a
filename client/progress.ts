/**
 * A run's status as lines: bars on a terminal, one plain line per change elsewhere.
 * Pure rendering from RunStatus; who writes them, and how often, is client/show-run.ts.
 */
import type { RunStatus, StageStatus } from "../shared/adapters/grpc-types.ts";
import { formatBytes, formatDuration, formatShort } from "./format.ts";

const barWidth = 24;
/** On a terminal of fewer columns than this the bar is short, so that the figures fit. */
const roomyWidth = 100;
const shortBarWidth = 10;

/** The whole picture of a run for a terminal of `width` columns; `wallMs` is now. */
export function progressLines(run: RunStatus, wallMs: number, width: number): readonly string[] {
  const labelWidth = Math.max(8, ...run.stages.map((stage) => stage.label.length));
  return [
    headline(run, wallMs),
    ...run.stages.map((stage) => stageLine(stage, labelWidth, width, wallMs)),
  ]
    .concat(run.warnings.map((warning) => `  ! ${warning}`))
    .map((line) => (line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`));
}

function headline(run: RunStatus, wallMs: number): string {
  const end = run.endedMs === 0 ? wallMs : run.endedMs;
  return `${run.runId}  ${run.state}  ${formatDuration(end - run.createdMs)}`;
}

function stageLine(stage: StageStatus, labelWidth: number, width: number, wallMs: number): string {
  const share = stage.tasks === 0 ? 0 : stage.done / stage.tasks;
  const tasks = `${stage.done}/${stage.tasks}`.padStart(7);
  const parts = [
    `  ${stage.label.padEnd(labelWidth)} ${bar(share, width < roomyWidth ? shortBarWidth : barWidth)} ${tasks}`,
    ...facts(stage, wallMs),
  ];
  return parts.join("  ");
}

/** Only what is known yet. */
function facts(stage: StageStatus, wallMs: number): readonly string[] {
  const found: string[] = [];
  if (stage.running > 0) found.push(`${stage.running} running`);
  if (stage.rowsIn > 0) found.push(`${formatShort(stage.rowsIn)} rows`);
  if (stage.bytesIn > 0) found.push(formatBytes(stage.bytesIn));
  const elapsedMs = (stage.endedMs === 0 ? wallMs : stage.endedMs) - stage.startedMs;
  if (stage.startedMs > 0 && elapsedMs > 500 && stage.rowsIn > 0) {
    found.push(`${formatShort((stage.rowsIn * 1_000) / elapsedMs)} rows/s`);
  }
  if (stage.reused > 0) found.push(`${stage.reused} reused`);
  if (stage.failedAttempts > 0) found.push(`${stage.failedAttempts} failed attempts`);
  return found;
}

/** `0` to `1` as a bar of so many columns; full only when all is done. */
export function bar(share: number, columns = barWidth): string {
  const full = Math.min(columns, Math.floor(Math.max(0, share) * columns));
  return "█".repeat(full) + "░".repeat(columns - full);
}

/** Plain lines for what changed between two statuses (`before` undefined: from nothing). */
export function changeLines(before: RunStatus | undefined, run: RunStatus): readonly string[] {
  const lines: string[] = [];
  const state = before?.state === run.state ? [] : [`${run.runId}: ${run.state}`];
  const over = run.endedMs > 0;
  if (!over) lines.push(...state);
  for (const stage of run.stages) {
    const old = before?.stages.find((other) => other.id === stage.id);
    const changed = old?.state !== stage.state || quarter(old) !== quarter(stage);
    if (!changed || stage.state === "waiting") continue;
    const rows = stage.rowsIn > 0 ? `, ${formatShort(stage.rowsIn)} rows in` : "";
    lines.push(`${run.runId}: ${stage.label}: ${stage.done}/${stage.tasks} tasks${rows}`);
  }
  const warned = before?.warnings.length ?? 0;
  for (const warning of run.warnings.slice(warned)) lines.push(`${run.runId}: ${warning}`);
  // What happened on the way comes before the end.
  if (over) lines.push(...state);
  return lines;
}

function quarter(stage: StageStatus | undefined): number {
  if (stage === undefined || stage.tasks === 0) return 0;
  return Math.floor((stage.done * 4) / stage.tasks);
}
