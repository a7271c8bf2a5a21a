/**
 * What lies below `revisions/`: listed for the leader, which decides what is old (coordinator/core/old-revisions.ts), and
 * removed. Manifests are never touched, nor what `current` points at.
 */
import { join } from "node:path";
import { fail } from "../kernel/failure.ts";
import {
  countedOnce,
  type DayOfJob,
  type DayRevisions,
  type RevisionFolder,
  type RevisionOfDay,
  type RunManifest,
} from "../kernel/manifest.ts";
import { isDay } from "../kernel/time.ts";
import type { RevisionList } from "../ports.ts";
import type { Disk, Fence } from "./store-files.ts";
import {
  arrangedDataset,
  arrangementOf,
  baseName,
  currentTarget,
  datasetOfFile,
  isJobName,
  places,
  revisionDirOf,
} from "./store-paths.ts";
import { readOne } from "./store-read.ts";

export async function listRevisions(
  disk: Disk,
  from: DayOfJob | undefined,
  daysMax: number,
): Promise<RevisionList> {
  const days: DayRevisions[] = [];
  const all = join(disk.root, places.revisions);
  for (const job of (await disk.list(all)).filter(isJobName).sort()) {
    if (from !== undefined && job < from.job) continue;
    for (const day of (await disk.list(join(all, job))).filter(isDay).sort()) {
      if (from !== undefined && job === from.job && day < from.day) continue;
      if (days.length === daysMax) return { days, next: { job, day } };
      days.push(await listDay(disk, { job, day }));
    }
  }
  return { days };
}

async function listDay(disk: Disk, { job, day }: DayOfJob): Promise<DayRevisions> {
  const whole = join(disk.root, places.revisions, job, day);
  const named = (await disk.list(whole))
    .map(arrangementOf)
    .filter((one) => one !== undefined)
    .sort((a, b) => a.revision - b.revision || a.arrangedBy - b.arrangedBy);
  const folders: (RevisionFolder & { readonly of: RunManifest | undefined })[] = [];
  for (const { revision, arrangedBy } of named) {
    const run = { job, day, revision };
    const folder = join(disk.root, places.revisionDir(run, arrangedBy));
    const datasets = [...(await disk.list(folder))].sort();
    const manifest = await readOne(disk, run);
    const known = manifest === undefined ? {} : { manifest: summary(manifest) };
    const named = bytesNamed(manifest, places.revisionDir(run, arrangedBy));
    const bytes: number[] = [];
    for (const name of datasets) {
      bytes.push(named.get(name) ?? (await disk.bytesBelow(join(folder, name))));
    }
    folders.push({ revision, arrangedBy, datasets, bytes, ...known, of: manifest });
  }
  return { job, day, folders: countedOnce(folders) };
}

/** What the manifest says of datasets in this folder: a day may have thousands of files, which need not be looked at. */
function bytesNamed(manifest: RunManifest | undefined, folder: string): Map<string, number> {
  const ours = manifest?.datasets.filter(({ files }) =>
    files.some(({ path }) => path.startsWith(`${folder}/`)),
  );
  return new Map(
    ours?.map(({ dataset, files }) => [dataset, files.reduce((sum, { bytes }) => sum + bytes, 0)]),
  );
}

function summary(manifest: RunManifest): NonNullable<RevisionFolder["manifest"]> {
  const { state, wallMs, lateFiles = [] } = manifest;
  const arrangedBy = arrangementOf(baseName(revisionDirOf(manifest)))?.arrangedBy ?? 0;
  return { state, arrangedBy, wallMs, late: [...new Set(lateFiles.map(datasetOfFile))] };
}

export async function dropRevision(
  disk: Disk,
  fence: Fence,
  run: RevisionOfDay,
  arrangedBy: number,
  datasets: readonly string[] | "all",
): Promise<void> {
  await fence.check();
  const folder = places.revisionDir(run, arrangedBy);
  await checkUnseen(disk, run, folder, datasets);
  const paths = datasets === "all" ? [folder] : datasets.map((one) => arrangedDataset(folder, one));
  for (const path of paths) await fence.remove(join(disk.root, path));
}

/** Whoever asks has decided so from what it knew; what readers see now is known here. */
async function checkUnseen(
  disk: Disk,
  run: RevisionOfDay,
  folder: string,
  datasets: readonly string[] | "all",
): Promise<void> {
  const shown = await disk.linkTarget(join(disk.root, places.current(run.job, run.day)));
  if (shown !== currentTarget(folder)) return;
  const manifest = await readOne(disk, run);
  const isSeen = (name: string) => manifest?.datasets.some(({ dataset }) => dataset === name);
  if (datasets !== "all" && !datasets.some(isSeen)) return;
  throw fail("conflict", `${folder} is what readers of ${run.day} see: it stays`, { ...run });
}
