/**
 * A run's status as lines: bars on a terminal, one plain line per change elsewhere.
 * Pure rendering from RunStatus; who writes them, and how often, is client/show-run.ts.
 */
import type { RunStatus, StageStatus } from "../shared/adapters/grpc-types.ts";
import { stageLabel } from "../shared/kernel/status.ts";
import { failedCheckLines } from "./check-lines.ts";
import { formatBytes, formatDuration, formatShort } from "./format.ts";
import { laneNote } from "./views.ts";

const barWidth = 24;
/** On a terminal of fewer columns than this the bar is short, so that the figures fit. */
const roomyWidth = 100;
const shortBarWidth = 10;
/** Columns of a stage's line that its label leaves to bar and figures there. */
const figuresWidth = 57;
const labelWidthMin = 12;

/** The whole picture of a run for a terminal of `width` columns; `wallMs` is now. */
export function progressLines(run: RunStatus, wallMs: number, width: number): readonly string[] {
  const room = width < roomyWidth ? Math.max(labelWidthMin, width - figuresWidth) : width;
  const labels = run.stages.map((stage) => fittedLabel(stage, room));
  const labelWidth = Math.max(8, ...labels.map((label) => label.length));
  const lines = run.stages.map((stage, at) =>
    stageLine(stage, (labels[at] ?? "").padEnd(labelWidth), width, wallMs),
  );
  return [headline(run, wallMs), ...lines]
    .concat(warningsOf(run).map((warning) => `  ! ${warning}`))
    .map((line) => cut(line, width));
}

/** Fewer of the names in it, where there is no room for all that the coordinator chose. */
function fittedLabel({ label, makes }: StageStatus, room: number): string {
  if (label.length <= room) return label;
  const isList = makes.length > 0 && label.startsWith("reduce ");
  return isList ? stageLabel("reduce", makes, room) : cut(label, room);
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

function headline(run: RunStatus, wallMs: number): string {
  const end = run.endedMs === 0 ? wallMs : run.endedMs;
  return `${run.runId}  ${run.state}${laneNote(run)}  ${formatDuration(end - run.createdMs)}`;
}

/** Where there is no room for all figures, whole ones are left out: the least telling first. */
function stageLine(stage: StageStatus, label: string, width: number, wallMs: number): string {
  const share = stage.tasks === 0 ? 0 : stage.done / stage.tasks;
  const tasks = `${stage.done}/${stage.tasks}`.padStart(7);
  const start = `  ${label} ${bar(share, width < roomyWidth ? shortBarWidth : barWidth)} ${tasks}`;
  let found = facts(stage, wallMs);
  const line = () => [start, ...found.map((fact) => fact.text)].join("  ");
  while (line().length > width && found.length > 0) {
    const least = Math.min(...found.map((fact) => fact.weight));
    found = found.filter((fact) => fact.weight > least);
  }
  return line();
}

/** Only what is known yet. */
function facts(
  stage: StageStatus,
  wallMs: number,
): readonly { readonly text: string; readonly weight: number }[] {
  const elapsedMs = (stage.endedMs === 0 ? wallMs : stage.endedMs) - stage.startedMs;
  const speed = stage.startedMs > 0 && elapsedMs > 500 ? (stage.rowsIn * 1_000) / elapsedMs : 0;
  const { running, rowsIn, bytesIn, reused, duplicates, failedAttempts: failed } = stage;
  return [
    { text: `${running} running`, weight: running > 0 ? 4 : 0 },
    { text: `${formatShort(rowsIn)} rows`, weight: rowsIn > 0 ? 5 : 0 },
    { text: formatBytes(bytesIn), weight: bytesIn > 0 ? 1 : 0 },
    { text: `${formatShort(speed)} rows/s`, weight: speed > 0 ? 2 : 0 },
    { text: `${reused} reused`, weight: reused > 0 ? 3 : 0 },
    { text: counted(duplicates, "duplicate file"), weight: duplicates > 0 ? 7 : 0 },
    { text: counted(failed, "failed attempt"), weight: failed > 0 ? 6 : 0 },
  ].filter((fact) => fact.weight > 0);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** `0` to `1` as a bar of so many columns; full only when all is done. */
export function bar(share: number, columns = barWidth): string {
  const full = Math.min(columns, Math.floor(Math.max(0, share) * columns));
  return "█".repeat(full) + "░".repeat(columns - full);
}

/** Plain lines for what changed between two statuses (`before` undefined: from nothing). */
export function changeLines(before: RunStatus | undefined, run: RunStatus): readonly string[] {
  const lines: string[] = [];
  const isSame = before?.state === run.state && before.lane === run.lane;
  const state = isSame ? [] : [`${run.runId}: ${run.state}${laneNote(run)}`];
  const over = run.endedMs > 0;
  if (!over) lines.push(...state);
  for (const stage of run.stages) {
    const old = before?.stages.find((other) => other.id === stage.id);
    const changed = old?.state !== stage.state || quarter(old) !== quarter(stage);
    if (!changed || stage.state === "waiting") continue;
    const rows = stage.rowsIn > 0 ? `, ${formatShort(stage.rowsIn)} rows in` : "";
    lines.push(`${run.runId}: ${stage.label}: ${stage.done}/${stage.tasks} tasks${rows}`);
  }
  // By their texts: what a run waits for goes again.
  const known = new Set(before === undefined ? [] : warningsOf(before));
  const news = warningsOf(run).filter((warning) => !known.has(warning));
  lines.push(...news.map((warning) => `${run.runId}: ${warning}`));
  // What happened on the way comes before the end.
  if (over) lines.push(...state);
  return lines;
}

/** What a person should see: what the run waits for or says, and each failed check. */
function warningsOf(run: RunStatus): readonly string[] {
  return [...run.warnings, ...failedCheckLines(run)];
}

function quarter(stage: StageStatus | undefined): number {
  if (stage === undefined || stage.tasks === 0) return 0;
  return Math.floor((stage.done * 4) / stage.tasks);
}
