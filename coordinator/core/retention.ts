/**
 * What may go of the files of a job's days, and why: one judgement, for the leader's own rounds, for a look at one day
 * and for `daymill gc`. A part of the days gives a part of what goes, never more: bytes are counted from the newest day
 * back, so what is over the bound in some of the days is over it in all of them.
 */
import type { JobSpec, RetentionSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import {
  type DayOfJob,
  type DayRevisions,
  type RevisionFolder,
  rejectsDataset,
} from "../../shared/kernel/manifest.ts";
import type { Day } from "../../shared/kernel/time.ts";

const dayMs = 86_400_000;

/** What is known of a job's days; all of it may hold a file back. */
export interface FilesContext {
  readonly retention: RetentionSpec;
  /** The revision that readers see, 0 = none. */
  readonly committed: (day: Day) => number;
  /** Its run may stand on any of the day's files. */
  readonly isLive: (day: Day) => boolean;
  /** Somebody reads this revision. */
  readonly isPinned: (day: Day, revision: number) => boolean;
  /** First day of the backlog window, in which nothing that is named goes; none: the job has no window. */
  readonly windowFrom: Day | "not known yet" | undefined;
  readonly wallMs: number;
}

/** `revision`: the datasets of one that readers may see, or have seen; `unused`: a folder that no manifest names. */
export type FilesKind = "revision" | "rejects" | "late" | "unused";

/** Of some of the folders of one arrangement. */
export interface FilesVerdict extends DayOfJob {
  readonly kind: FilesKind;
  readonly revision: number;
  readonly arrangedBy: number;
  readonly datasets: readonly string[];
  readonly bytes: number;
  /** Since the manifest was made; -1 = there is none. */
  readonly ageMs: number;
  readonly goes: boolean;
  readonly why: string;
}

export interface Removal extends DayOfJob {
  readonly revision: number;
  readonly arrangedBy: number;
  readonly datasets: readonly string[] | "all";
  readonly why: string;
}

export function retentionOf(job: JobSpec | undefined): RetentionSpec {
  return (
    job?.retention ?? {
      revisions: limits.retentionRevisionsDefault,
      rejectsDays: limits.retentionRejectsDaysDefault,
      lateDays: limits.retentionLateDaysDefault,
    }
  );
}

/** Of days of one job, in the order of days and folders. */
export function judgeFiles(
  days: readonly DayRevisions[],
  context: FilesContext,
): readonly FilesVerdict[] {
  const judged = days.flatMap((day) => {
    const superseded = supersededOf(day, context);
    return day.folders.flatMap((folder) => judgeFolder(day, folder, superseded, context));
  });
  const { revisionsBytes, rejectsBytes, lateBytes } = context.retention;
  const bounds = { revision: revisionsBytes, rejects: rejectsBytes, late: lateBytes };
  return overBytes(judged, bounds).map(({ isFree: _, isCounted: __, ...verdict }) => verdict);
}

type Judged = FilesVerdict & {
  /** It stays for no other reason than that its time has not come. */
  readonly isFree: boolean;
  /** It takes up room that a bound of bytes is about: what readers see does not. */
  readonly isCounted: boolean;
};

/** Revisions of the day that another one has replaced, newest first. */
function supersededOf({ day, folders }: DayRevisions, context: FilesContext): readonly number[] {
  const own = folders.filter((folder) => isOwn(folder) && folder.revision < context.committed(day));
  return own.map(({ revision }) => revision).sort((a, b) => b - a);
}

/** Does the revision's manifest name the files in this folder? A quarantined one is superseded by the next commit. */
function isOwn({ arrangedBy, manifest }: RevisionFolder): boolean {
  const isNamed = manifest?.state === "committed" || manifest?.state === "quarantined";
  return isNamed && manifest.arrangedBy === arrangedBy;
}

function judgeFolder(
  { job, day }: DayRevisions,
  folder: RevisionFolder,
  superseded: readonly number[],
  context: FilesContext,
): readonly Judged[] {
  const { revision, arrangedBy, manifest } = folder;
  const ageMs = manifest === undefined ? -1 : Math.max(0, context.wallMs - manifest.wallMs);
  const about = { job, day, revision, arrangedBy, ageMs };
  return partsOf(folder).map(({ kind, datasets, bytes }) => {
    const held = heldBack(day, folder, kind, context);
    const isCounted = kind !== "revision" || superseded.includes(revision);
    const part = { ...about, kind, datasets, bytes, isCounted };
    if (held !== undefined) return { ...part, goes: false, why: held, isFree: false };
    const { goes, why } = byAge(revision, kind, ageMs, superseded, context.retention);
    return { ...part, goes, why, isFree: !goes };
  });
}

interface Part {
  readonly kind: FilesKind;
  readonly datasets: readonly string[];
  readonly bytes: number;
}

function partsOf(folder: RevisionFolder): readonly Part[] {
  const { datasets, bytes = [], manifest } = folder;
  const isNamed = manifest === undefined || isOwn(folder);
  const kindOf = (name: string): FilesKind => {
    if (!isNamed) return "unused";
    if (name === rejectsDataset) return "rejects";
    return manifest?.late.includes(name) === true ? "late" : "revision";
  };
  const kinds = isNamed ? (["revision", "rejects", "late"] as const) : (["unused"] as const);
  const parts = kinds.map((kind) => ({
    kind,
    datasets: datasets.filter((name) => kindOf(name) === kind),
    bytes: datasets.reduce(
      (sum, name, index) => sum + (kindOf(name) === kind ? (bytes[index] ?? 0) : 0),
      0,
    ),
  }));
  // A revision that has lost its datasets still has its folder, which goes with the last of it.
  return parts.filter(({ datasets: of }, index) => of.length > 0 || index === 0);
}

/** Why a part stays whatever its age and size; undefined: nothing speaks for it but those. */
function heldBack(
  day: Day,
  { revision, manifest }: RevisionFolder,
  kind: FilesKind,
  { committed, isLive, isPinned, windowFrom }: FilesContext,
): string | undefined {
  // Its run may stand on any of them, and looks itself when it ends.
  if (isLive(day)) return "a run of the day is under way";
  if (manifest === undefined) return "it has no manifest yet, and may still be committed";
  if (kind === "unused") return undefined;
  if (manifest.state === "quarantined" && revision > committed(day)) return "it is in quarantine";
  if (kind === "revision" && revision === committed(day)) return "readers see it";
  if (kind === "revision" && revision > committed(day)) return "it is committed, and shown next";
  if (isPinned(day, revision)) return "somebody reads it";
  if (windowFrom === "not known yet") return "the window of the job is not known yet";
  if (windowFrom !== undefined && day >= windowFrom) return "in the backlog window";
  return undefined;
}

function byAge(
  revision: number,
  kind: FilesKind,
  ageMs: number,
  superseded: readonly number[],
  { revisions, revisionsDays, rejectsDays, lateDays }: RetentionSpec,
): { readonly goes: boolean; readonly why: string } {
  if (kind === "unused") return { goes: true, why: "no manifest names it" };
  const bound = { revision: revisionsDays, rejects: rejectsDays, late: lateDays }[kind];
  if (kind === "revision" && superseded.indexOf(revision) >= revisions) {
    return { goes: true, why: `superseded: the newest ${revisions} stay` };
  }
  if (bound !== undefined && ageMs > bound * dayMs) {
    return { goes: true, why: `older than ${bound} d` };
  }
  if (kind !== "revision") return { goes: false, why: `not older than ${bound} d` };
  return { goes: false, why: `one of the newest ${revisions} superseded` };
}

/** What stays takes up room from the newest day and revision back; what is beyond a bound goes, unless it is held back. */
function overBytes(
  judged: readonly Judged[],
  bounds: Partial<Record<FilesKind, number | undefined>>,
): readonly Judged[] {
  const used = new Map<FilesKind, number>();
  const newestFirst = [...judged].sort((a, b) =>
    a.day === b.day ? b.revision - a.revision : a.day < b.day ? 1 : -1,
  );
  const over = new Set<Judged>();
  for (const verdict of newestFirst) {
    const { kind, bytes, goes, isCounted, isFree } = verdict;
    if (goes || !isCounted) continue;
    const sum = (used.get(kind) ?? 0) + bytes;
    used.set(kind, sum);
    const bound = bounds[kind];
    if (bound !== undefined && sum > bound && isFree) over.add(verdict);
  }
  return judged.map((verdict) => {
    if (!over.has(verdict)) return verdict;
    const why = `with the newer ones over ${bounds[verdict.kind]} bytes`;
    return { ...verdict, goes: true, why };
  });
}

/** What is to be removed, folder by folder. */
export function removalsOf(verdicts: readonly FilesVerdict[]): readonly Removal[] {
  const folders = new Map<string, FilesVerdict[]>();
  for (const verdict of verdicts) {
    const { job, day, revision, arrangedBy } = verdict;
    const key = `${job}|${day}|${revision}|${arrangedBy}`;
    folders.set(key, [...(folders.get(key) ?? []), verdict]);
  }
  return [...folders.values()].flatMap((parts): readonly Removal[] => {
    const gone = parts.filter(({ goes }) => goes);
    const [first] = gone;
    if (first === undefined) return [];
    const { job, day, revision, arrangedBy, why } = first;
    // The revision itself is among the parts, and stays where readers see it.
    const isAll = gone.length === parts.length;
    const datasets = isAll ? "all" : gone.flatMap((part) => part.datasets);
    if (datasets.length === 0) return [];
    return [{ job, day, revision, arrangedBy, datasets, why }];
  });
}
