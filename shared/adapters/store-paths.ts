/**
 * Where everything of a leader lies under the storage root, and the inverse: names back to numbers.
 * Every name that becomes part of a path is checked here; nothing here touches a file.
 */
import { must } from "../kernel/assert.ts";
import { fail } from "../kernel/failure.ts";
import { parseRunId } from "../kernel/job.ts";
import { type RevisionOfDay, type RunManifest, rejectsDataset } from "../kernel/manifest.ts";
import { type Day, isDay } from "../kernel/time.ts";

/** All paths are relative to the storage root, with `/`. */
export const places = {
  leaders: "control/leaders",
  retired: "control/retired",
  jobs: "control/jobs",
  requests: "control/requests",
  desks: "control/desks",
  alerts: "control/alerts.json",
  snapshots: "control/snapshots",
  manifests: "manifests",
  revisions: "revisions",
  stagings: "staging",
  leader: (epoch: number) => `control/leaders/e${epoch}`,
  job: (job: string) => `control/jobs/${jobName(job)}.json`,
  desk: (job: string) => `control/desks/${jobName(job)}.json`,
  snapshot: (epoch: number, sequence: number) => `control/snapshots/e${epoch}-s${sequence}.json`,
  manifest: (run: RevisionOfDay) =>
    `${manifestDay(run.job, run.day)}/r${revision(run.revision)}.json`,
  /** Beside the manifest: a quarantined revision that was released. */
  release: (run: RevisionOfDay) =>
    `${manifestDay(run.job, run.day)}/r${revision(run.revision)}.released.json`,
  revisionDir: (run: RevisionOfDay, epoch: number) =>
    `revisions/${jobName(run.job)}/${dayName(run.day)}/r${revision(run.revision)}-e${epoch}`,
  current: (job: string, day: string) => `current/${jobName(job)}/${dayName(day)}`,
  view: (dataset: string, day: string) => `out/${datasetName(dataset)}/day=${dayName(day)}`,
  request: (run: string) => `control/requests/${runName(run)}.json`,
  staging: (run: string) => `staging/${runName(run)}`,
} as const;

/** The folder of one dataset, of rejects or of late records in the folder of a revision. */
export function arrangedDataset(revisionDir: string, dataset: string): string {
  return `${revisionDir}/${datasetName(dataset)}`;
}

/** The last part of a path that `arrangedDataset` made and a file's name after it. */
export function datasetOfFile(path: string): string {
  return must(path.split("/").at(-2), "an arranged file lies in a dataset's folder");
}

/** The day whose revision a file belongs to: `revisions/<job>/<day>/r<k>-e<n>/<dataset>/<file>`. */
export function dayOfArranged(path: string): Day {
  const [top, , day = "", ...rest] = path.split("/");
  if (top === places.revisions && isDay(day) && rest.length === 3) return day;
  throw badName("file of a dataset", path);
}

/** Target of `current/<job>/<day>`, as stored in the link. */
export function currentTarget(revisionDir: string): string {
  return `../../${revisionDir}`;
}

/** Target of `out/<dataset>/day=<D>`, as stored in the link. */
export function viewTarget(job: string, day: string, dataset: string): string {
  return `../../current/${jobName(job)}/${dayName(day)}/${datasetName(dataset)}`;
}

export function manifestDay(job: string, day: string): string {
  return `manifests/${jobName(job)}/${dayName(day)}`;
}

/**
 * File name of the n-th file of a dataset, with the staged file's ending. It carries the revision, so that a
 * stale listing finds nothing.
 */
export function datasetFile(revisionNumber: number, index: number, staged: string): string {
  const ending = /\.(?:parquet|csv|csv\.gz)$/.exec(staged)?.[0] ?? ".parquet";
  return `r${revisionNumber}-${String(index).padStart(5, "0")}${ending}`;
}

/** `e12` → 12, also with something after a dash (`e12-x`); undefined for other names. */
export function epochOf(name: string): number | undefined {
  const match = /^e([1-9]\d{0,14})(?:-.*)?$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** `r3.json` → 3. */
export function manifestRevision(name: string): number | undefined {
  const match = /^r([1-9]\d{0,8})\.json$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** `…/r3-e7` → 3. */
export function revisionOfLink(target: string): number | undefined {
  return arrangementOf(baseName(target))?.revision;
}

/** `r3-e7` → revision 3, arranged under epoch 7. */
export function arrangementOf(
  name: string,
): { readonly revision: number; readonly arrangedBy: number } | undefined {
  const match = /^r([1-9]\d{0,8})-e([1-9]\d{0,14})$/.exec(name);
  return match === null ? undefined : { revision: Number(match[1]), arrangedBy: Number(match[2]) };
}

export interface SnapshotName {
  readonly epoch: number;
  readonly sequence: number;
}

export function snapshotName(name: string): SnapshotName | undefined {
  const match = /^e([1-9]\d{0,14})-s(\d{1,15})\.json$/.exec(name);
  return match === null ? undefined : { epoch: Number(match[1]), sequence: Number(match[2]) };
}

/** The revision folder that a manifest's files are in; without files, where an empty one belongs. */
export function revisionDirOf(manifest: RunManifest): string {
  const prefix = `revisions/${jobName(manifest.job)}/${dayName(manifest.day)}/r${manifest.revision}-e`;
  for (const dataset of manifest.datasets) {
    const path = dataset.files[0]?.path;
    if (path === undefined) continue;
    const parts = path.split("/");
    const folder = parts.slice(0, 4).join("/");
    if (!folder.startsWith(prefix) || parts.length !== 6) throw badName("file", path);
    return folder;
  }
  return places.revisionDir(manifest, manifest.epoch);
}

/** A staged file's path: `staging/<run>/<task>-<attempt>/<file>` and nothing that leaves it. */
export function stagedPath(path: string): string {
  const [top, run, ...rest] = path.split("/");
  const inside = rest.length >= 1 && rest.every((part) => part !== "" && !/^\.{1,2}$/.test(part));
  if (top !== "staging" || run === undefined || !inside || path.includes("\0")) {
    throw badName("staged file", path);
  }
  places.staging(run);
  return path;
}

/** What may be brought to the folder of a revision: a staged file, or one of the same dataset in another revision. */
export function arrangeablePath(run: RevisionOfDay, dataset: string, path: string): string {
  if (!path.startsWith(`${places.revisions}/`)) return stagedPath(path);
  const [, job, day, folder = "", of, file, ...rest] = path.split("/");
  const isOurs = job === run.job && day === run.day && of === dataset;
  const isFile = file !== undefined && /^r\d+-\d+\.[a-z.]+$/.test(file) && rest.length === 0;
  if (isOurs && isFile && arrangementOf(folder) !== undefined) return path;
  throw badName("file that is carried over", path);
}

/** Last part of a path. */
export function baseName(path: string): string {
  return must(path.split("/").at(-1), "a path has a last part");
}

/** Can a job be called this? */
export function isJobName(job: string): boolean {
  return /^[a-z][a-z0-9-]{0,62}$/.test(job);
}

function jobName(job: string): string {
  if (isJobName(job)) return job;
  throw badName("job", job);
}

function runName(run: string): string {
  if (parseRunId(run) !== undefined) return run;
  throw badName("run", run);
}

function datasetName(dataset: string): string {
  if (dataset === rejectsDataset || /^[a-z][a-z0-9_]{0,62}$/.test(dataset)) return dataset;
  throw badName("dataset", dataset);
}

function dayName(day: string): string {
  if (isDay(day)) return day;
  throw badName("day", day);
}

function revision(value: number): number {
  if (Number.isInteger(value) && value >= 1 && value < 1e9) return value;
  throw badName("revision", String(value));
}

function badName(what: string, value: string) {
  return fail(
    "pathForbidden",
    `${JSON.stringify(value)} cannot be the name of a ${what} on storage`,
  );
}
