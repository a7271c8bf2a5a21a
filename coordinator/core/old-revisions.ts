/**
 * Old files on storage, on the leader's clock: it looks at a day after each of its runs, and at all days every so often.
 * What may go is judged in retention.ts; what is on storage is what counts, so a removal that was decided and not done is
 * found again. Manifests stay for ever.
 */

import type { RetentionSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { DayOfJob, DayRevisions, RevisionFolder } from "../../shared/kernel/manifest.ts";
import { windowFrom } from "./days/window.ts";
import { dayKey, liveRuns } from "./durable.ts";
import { isPinned, pinsOf } from "./pins.ts";
import type { Answer } from "./protocol.ts";
import {
  type FilesContext,
  judgeFiles,
  type Removal,
  removalsOf,
  retentionOf,
} from "./retention.ts";
import type { Answered } from "./state.ts";
import { ask, askLater, epochOf, log, type Turn } from "./turn.ts";

type Found = Extract<Answer, { kind: "revisions" }>;

/** One look at the clock of a leader. The first tick of a leadership begins a round. */
export function oldFilesTick(turn: Turn): void {
  const { oldFiles } = turn.state;
  if (turn.at < oldFiles.nextLookAt) return;
  // Until the answer says more; a storage that hangs is not asked twice.
  oldFiles.nextLookAt = turn.at + limits.retentionRoundEveryMs;
  const { from } = oldFiles;
  const daysMax = limits.retentionDaysPerLookMax;
  ask(turn, { kind: "listRevisions", from, daysMax }, { kind: "oldFiles", isRound: true });
}

/** A run has ended: its day may have something to remove, once readers have had a moment. */
export function lookForOldFiles(turn: Turn, { job, day }: DayOfJob): void {
  const body = { kind: "listRevisions", from: { job, day }, daysMax: 1 } as const;
  askLater(turn, body, { kind: "oldFiles", isRound: false }, limits.retentionAfterRunMs);
}

export function oldFilesAnswered(turn: Turn, isRound: boolean, { answer }: Answered): void {
  const { oldFiles } = turn.state;
  if (answer.kind === "failed") {
    const { code, message } = answer.failure;
    log(turn, "warn", `old files can't be looked for, it is tried again: ${message}`, { code });
    if (isRound) oldFiles.nextLookAt = turn.at + limits.retentionLookEveryMs;
  }
  if (answer.kind !== "revisions") return;
  if (!isRound) {
    for (const day of answer.days) removeOf(turn, [day]);
    return;
  }
  const stoppedAt = goOn(turn, answer);
  oldFiles.from = stoppedAt ?? answer.next;
  if (oldFiles.from !== undefined) oldFiles.nextLookAt = turn.at + limits.retentionLookEveryMs;
}

/**
 * Days come job by job, oldest first. What a job's days take up together is known at the last of them, and is judged then
 * from what is left of all. Gives the first day that was left for the next look.
 */
function goOn(turn: Turn, { days, next }: Found): DayOfJob | undefined {
  const { oldFiles } = turn.state;
  let asked = 0;
  let context: FilesContext | undefined;
  for (const day of days) {
    if (asked >= limits.retentionDropsPerLookMax) return { job: day.job, day: day.day };
    if (oldFiles.job !== day.job) jobSeen(turn);
    if (oldFiles.job !== day.job || context === undefined) context = filesContext(turn, day.job);
    oldFiles.job = day.job;
    const removals = removeOf(turn, [day], context);
    asked += removals.length;
    if (hasByteBound(context.retention)) oldFiles.seen.push(without(day, removals));
  }
  if (next === undefined) jobSeen(turn);
  return undefined;
}

/** All days of a job were seen. What is too much for one turn is found by the next round. */
function jobSeen(turn: Turn): void {
  const { oldFiles } = turn.state;
  const { seen } = oldFiles;
  oldFiles.seen = [];
  oldFiles.job = "";
  if (seen.length > 0) removeOf(turn, seen);
}

function hasByteBound({ revisionsBytes, rejectsBytes, lateBytes }: RetentionSpec): boolean {
  return [revisionsBytes, rejectsBytes, lateBytes].some((bound) => bound !== undefined);
}

/** The day as it is when that is removed. */
function without(day: DayRevisions, removals: readonly Removal[]): DayRevisions {
  const folders = day.folders.flatMap((folder): readonly RevisionFolder[] => {
    const { revision, arrangedBy, datasets, bytes = [] } = folder;
    const removed = removals.find(
      (one) => one.revision === revision && one.arrangedBy === arrangedBy,
    )?.datasets;
    if (removed === undefined) return [folder];
    if (removed === "all") return [];
    const left = datasets.flatMap((name, index) => (removed.includes(name) ? [] : [index]));
    return [
      {
        ...folder,
        datasets: left.map((index) => datasets[index] ?? ""),
        bytes: left.map((index) => bytes[index] ?? 0),
      },
    ];
  });
  return { ...day, folders };
}

/** Of one job. */
function removeOf(
  turn: Turn,
  days: readonly DayRevisions[],
  context = filesContext(turn, days[0]?.job ?? ""),
): readonly Removal[] {
  const removals = removalsOf(judgeFiles(days, context));
  const some = removals.slice(0, Math.max(limits.retentionDropsPerLookMax, mostOfADay(days)));
  for (const removal of some) remove(turn, removal);
  return some;
}

/** A day is never done in part: what is left of it would be looked for an hour later. */
function mostOfADay(days: readonly DayRevisions[]): number {
  return days.length === 1 ? (days[0]?.folders.length ?? 0) : 0;
}

/** What the leader knows of a job's days now; a report and the rounds judge by the same. */
export function filesContext(turn: Turn, job: string): FilesContext {
  const { durable } = turn.state;
  const live = new Set(liveRuns(durable).flatMap((run) => (run.job === job ? [run.day] : [])));
  const pins = pinsOf(turn.state);
  return {
    retention: retentionOf(durable.jobs.get(durable.names.get(job) ?? "")),
    committed: (day) => durable.days.get(dayKey(job, day))?.committed ?? 0,
    isLive: (day) => live.has(day),
    isPinned: (day, revision) => isPinned(pins, { job, day }, revision),
    windowFrom: windowFrom(turn, job),
    wallMs: turn.wall,
  };
}

export function remove(turn: Turn, removal: Removal): void {
  const { job, day, revision, arrangedBy, datasets, why } = removal;
  const run = { job, day, revision };
  const epoch = epochOf(turn);
  ask(turn, { kind: "dropRevision", epoch, run, arrangedBy, datasets }, { kind: "background" });
  const what = datasets === "all" ? "all" : datasets.join(", ");
  log(turn, "info", "old files are removed", { ...run, arrangedBy, what, why });
}
