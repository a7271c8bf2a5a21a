/**
 * Old files on storage: what readers no longer see of a day, and rejected and late records past their time. The leader
 * looks at a day after each of its runs, and at all days every so often; what is on storage is what counts, so a
 * removal that was decided and not done is found again. Manifests stay for ever.
 */
import type { JobSpec, RetentionSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import {
  type DayOfJob,
  type DayRevisions,
  type RevisionFolder,
  rejectsDataset,
} from "../../shared/kernel/manifest.ts";
import { dayKey, liveRun } from "./durable.ts";
import type { Answer } from "./protocol.ts";
import type { Answered } from "./state.ts";
import { ask, askLater, epochOf, log, type Turn } from "./turn.ts";

const dayMs = 86_400_000;

type Found = Extract<Answer, { kind: "revisions" }>;

export interface Removal {
  readonly revision: number;
  readonly arrangedBy: number;
  readonly datasets: readonly string[] | "all";
  readonly why: "unused" | "superseded" | "past its time";
}

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
  const stoppedAt = removeOld(turn, answer);
  if (!isRound) return;
  oldFiles.from = stoppedAt ?? answer.next;
  if (oldFiles.from !== undefined) oldFiles.nextLookAt = turn.at + limits.retentionLookEveryMs;
}

/** Gives the first day that was left for the next look. */
function removeOld(turn: Turn, { days }: Found): DayOfJob | undefined {
  let asked = 0;
  for (const day of days) {
    if (asked >= limits.retentionDropsPerLookMax) return { job: day.job, day: day.day };
    for (const removal of removalsOf(turn, day)) {
      remove(turn, day, removal);
      asked++;
    }
  }
  return undefined;
}

function removalsOf(turn: Turn, day: DayRevisions): readonly Removal[] {
  const { durable } = turn.state;
  // Its run may stand on any of them, and looks itself when it ends.
  if (liveRun(durable, day.job, day.day) !== undefined) return [];
  const committed = durable.days.get(dayKey(day.job, day.day))?.committed ?? 0;
  const job = durable.jobs.get(durable.names.get(day.job) ?? "");
  return oldFilesOf(day, committed, retentionOf(job), turn.wall);
}

function retentionOf(job: JobSpec | undefined): RetentionSpec {
  return (
    job?.retention ?? {
      revisions: limits.retentionRevisionsDefault,
      rejectsDays: limits.retentionRejectsDaysDefault,
      lateDays: limits.retentionLateDaysDefault,
    }
  );
}

/**
 * What may go of a day that has no live run. `committed`: the revision that readers see, 0 = none. Rejected and late
 * records go by age alone, in every revision: re-runs name the files of the run that read the lines.
 */
export function oldFilesOf(
  day: DayRevisions,
  committed: number,
  retention: RetentionSpec,
  wallMs: number,
): readonly Removal[] {
  const superseded = day.folders
    .filter((folder) => isOwn(folder) && folder.revision < committed)
    .map(({ revision }) => revision)
    .sort((a, b) => b - a);
  const dropped = new Set(superseded.slice(retention.revisions));
  return day.folders.flatMap((folder): Removal[] => {
    const { revision, arrangedBy, datasets, manifest } = folder;
    if (manifest === undefined) return [];
    // Aborted, or committed from the folder of another leader: nobody will ever name what is in here.
    if (!isOwn(folder)) return [{ revision, arrangedBy, datasets: "all", why: "unused" }];
    const isPast = (days: number) => wallMs - manifest.wallMs > days * dayMs;
    const goes = (name: string) => {
      if (name === rejectsDataset) return isPast(retention.rejectsDays);
      if (manifest.late.includes(name)) return isPast(retention.lateDays);
      return dropped.has(revision);
    };
    const gone = datasets.filter(goes);
    const isAll = dropped.has(revision) && gone.length === datasets.length;
    if (gone.length === 0 && !isAll) return [];
    const why = dropped.has(revision) ? "superseded" : "past its time";
    return [{ revision, arrangedBy, datasets: isAll ? "all" : gone, why }];
  });
}

/** Does the revision's manifest name the files in this folder? A quarantined one is superseded by the next commit. */
function isOwn({ arrangedBy, manifest }: RevisionFolder): boolean {
  const isNamed = manifest?.state === "committed" || manifest?.state === "quarantined";
  return isNamed && manifest.arrangedBy === arrangedBy;
}

function remove(turn: Turn, { job, day }: DayOfJob, removal: Removal): void {
  const { revision, arrangedBy, datasets, why } = removal;
  const run = { job, day, revision };
  const epoch = epochOf(turn);
  ask(turn, { kind: "dropRevision", epoch, run, arrangedBy, datasets }, { kind: "background" });
  const what = datasets === "all" ? "all" : datasets.join(", ");
  log(turn, "info", "old files are removed", { ...run, arrangedBy, what, why });
}
