/**
 * The manifest of a run: the file whose exclusive creation is the commit (or the abort) of that revision.
 * Everything that a reader needs is in it; links and listings are conveniences built from it.
 */
import type { CheckResult } from "./check.ts";
import type { Failure } from "./failure.ts";
import type { HistoryPin } from "./history.ts";
import type { Column, JobSpec } from "./job.ts";
import type { Lane } from "./lane.ts";
import type { RunStart } from "./status.ts";

/** Reject files are arranged like a dataset of this name and named in the manifest, but readers' links never show them. */
export const rejectsDataset = "_rejects";

/** Where records of a source go whose event time is outside the day, when the job wants them apart. */
export function lateDataset(source: string): string {
  return `${source}_late`;
}

export interface ManifestFile {
  /** Relative to the storage root. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ManifestDataset {
  readonly dataset: string;
  readonly columns: readonly Column[];
  readonly rows: number;
  readonly files: readonly ManifestFile[];
  /** Revision of the day that made its rows, where an earlier one did and this one carries them over. */
  readonly madeIn?: number;
}

export interface ManifestSource {
  readonly source: string;
  readonly files: number;
  readonly lines: number;
  readonly rows: number;
  readonly rejects: number;
  readonly blank: number;
  /** Of the files as stored. Absent in manifests of older versions. */
  readonly bytes?: number;
  /** Files that are in none of these figures, for another one holds the same bytes. Absent in older manifests. */
  readonly duplicates?: number;
  /** SHA-256 over the fingerprints of all files, those that don't count among them, in order. */
  readonly inputDigest: string;
  /** Revision of the day whose run read it, where this one's did not. */
  readonly readIn?: number;
}

/** A run that was promised and has no manifest yet: what starts it again when the journal is lost. */
export interface RunRequest {
  readonly run: string;
  readonly spec: JobSpec;
  readonly digest: string;
  readonly day: string;
  readonly revision: number;
  readonly requestId: string;
  /** Absent: live. */
  readonly lane?: Lane;
  /** It was begun before its day was ready. */
  readonly isGathering?: true;
  /** It makes these models only. */
  readonly select?: readonly string[];
  /** Who or what started it; absent in requests of older versions. */
  readonly start?: RunStart;
}

/** The folder of one arrangement of a revision's files, and what the revision's manifest says. */
export interface RevisionFolder {
  readonly revision: number;
  /** Epoch of the leader that arranged it. */
  readonly arrangedBy: number;
  /** Names of the folders in it: datasets, `_rejects`, late records. In order. */
  readonly datasets: readonly string[];
  /** What the files in each of them take up, in the same order; 0 where a newer folder has the same ones. */
  readonly bytes?: readonly number[];
  /** Absent while the revision has no manifest: it may still become the committed one. */
  readonly manifest?: {
    readonly state: RunManifest["state"];
    /** Whose arrangement it names. */
    readonly arrangedBy: number;
    readonly wallMs: number;
    /** Names of the folders that hold late records. */
    readonly late: readonly string[];
  };
}

/**
 * Folders of a day in order, each with its manifest. Rows that a later revision carries over are the same files under
 * another name: they take up room in the newest folder that has them, for they stay as long as that does.
 */
export function countedOnce(
  found: readonly (RevisionFolder & { readonly of: RunManifest | undefined })[],
): readonly RevisionFolder[] {
  const newer = new Set<string>();
  const counted = found.toReversed().map(({ of, ...folder }): RevisionFolder => {
    const { datasets, bytes = [] } = folder;
    const rows = datasets.map((name) => rowsOf(folder, of, name));
    const left = rows.map((one, index) => (newer.has(one) ? 0 : (bytes[index] ?? 0)));
    for (const one of rows) if (one !== "") newer.add(one);
    return { ...folder, bytes: left };
  });
  return counted.reverse();
}

/** Which rows lie there; empty: the manifest names no dataset there, and nobody carries it over. */
function rowsOf(
  { revision, arrangedBy, manifest }: RevisionFolder,
  of: RunManifest | undefined,
  name: string,
): string {
  const named = of?.datasets.find(({ dataset }) => dataset === name);
  if (named === undefined || manifest?.arrangedBy !== arrangedBy) return "";
  return `${name} of ${named.madeIn ?? revision}`;
}

export interface DayOfJob {
  readonly job: string;
  readonly day: string;
}

export interface RevisionOfDay extends DayOfJob {
  readonly revision: number;
}

export interface DayRevisions extends DayOfJob {
  /** By revision, then by epoch. */
  readonly folders: readonly RevisionFolder[];
}

export interface RunManifest {
  readonly version: 1;
  /**
   * `quarantined`: its files are kept and readers do not see them, until somebody releases it. The file stays as it is
   * then; a second one beside it says so, and whoever reads both reads `committed`.
   */
  readonly state: "committed" | "aborted" | "quarantined";
  readonly run: string;
  readonly job: string;
  readonly day: string;
  readonly revision: number;
  /** Revision that this one replaces in the views; 0 = none. */
  readonly replaces: number;
  readonly epoch: number;
  readonly coordinator: string;
  readonly jobDigest: string;
  /** When the run was created. Absent in manifests of older versions, like `start`. */
  readonly createdMs?: number;
  /** Who or what started the run. */
  readonly start?: RunStart;
  readonly wallMs: number;
  readonly sources: readonly ManifestSource[];
  readonly datasets: readonly ManifestDataset[];
  readonly rejectFiles: readonly string[];
  /** Records outside their day under rule `late_table`, as files of the source's columns; absent when none. */
  readonly lateFiles?: readonly string[];
  readonly checks: readonly ManifestCheck[];
  /** Why an aborted run was aborted, or a quarantined one is. */
  readonly failure?: Failure;
  /** Days of datasets that it has read, as they were pinned when it was created. Absent: none. */
  readonly history?: readonly HistoryPin[];
  /** Absent in manifests of older versions. */
  readonly speed?: RunSpeed;
  /** It was quarantined and somebody released it. */
  readonly released?: Release;
}

/** How a run went: what later ones are compared with. */
export interface RunSpeed {
  readonly run: string;
  /** From its begin, of one that mapped ahead from when its day was ready, to its commit. */
  readonly durationMs: number;
  /** Lines, or rows of Parquet files, of all that it stands on. */
  readonly rows: number;
  /** `ahead`: much was mapped before its day was ready; `other`: a backfill, the backlog, kept outputs: no measure. */
  readonly kind: "live" | "ahead" | "other";
  readonly endedMs: number;
}

/** Manifests of older versions have the first four members only. */
export type ManifestCheck = Pick<CheckResult, "name" | "model" | "value" | "passed"> &
  Partial<Pick<CheckResult, "kind" | "severity" | "state" | "bound" | "reason">>;

/** What lies beside the manifest of a quarantined run that was released. */
export interface Release {
  readonly run: string;
  readonly epoch: number;
  readonly wallMs: number;
}

/** A quarantined run's manifest together with its release: the commit of that revision. */
export function asReleased(manifest: RunManifest, released: Release): RunManifest {
  const { failure: _, ...rest } = manifest;
  return { ...rest, state: "committed", released };
}
