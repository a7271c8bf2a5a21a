/**
 * Reading what leaders have written: manifests, jobs, requests. Nothing here writes, and what does not parse is an
 * error that names the file: a day must never vanish because its manifest could not be read.
 */
import { join } from "node:path";
import type { AlertDocument } from "../kernel/alert.ts";
import type { StoredDesk } from "../kernel/days.ts";
import { fail } from "../kernel/failure.ts";
import { parseRunId } from "../kernel/job.ts";
import {
  asReleased,
  type Release,
  type RevisionOfDay,
  type RunManifest,
  type RunRequest,
} from "../kernel/manifest.ts";
import { isDay } from "../kernel/time.ts";
import type { StoredJob } from "../ports.ts";
import type { Disk } from "./store-files.ts";
import { isJobName, manifestDay, manifestRevision, places } from "./store-paths.ts";

/** All manifests, in the order of job, day and revision. */
export async function readAllManifests(disk: Disk): Promise<readonly RunManifest[]> {
  const manifests: RunManifest[] = [];
  // What is no job's name is not ours: a file that somebody left there must not keep everybody from leading.
  for (const job of (await disk.list(join(disk.root, places.manifests))).filter(isJobName).sort()) {
    for (const day of [...(await disk.list(join(disk.root, places.manifests, job)))].sort()) {
      if (isDay(day)) manifests.push(...(await readDayManifests(disk, job, day)));
    }
  }
  return manifests;
}

async function readDayManifests(disk: Disk, job: string, day: string): Promise<RunManifest[]> {
  const folder = join(disk.root, manifestDay(job, day));
  const revisions = (await disk.list(folder))
    .map(manifestRevision)
    .filter((revision) => revision !== undefined)
    .sort((a, b) => a - b);
  const read = await Promise.all(
    revisions.map((revision) => readOne(disk, { job, day, revision })),
  );
  return read.filter((manifest) => manifest !== undefined);
}

/** One manifest, undefined when that revision has none. */
export async function readOne(disk: Disk, run: RevisionOfDay): Promise<RunManifest | undefined> {
  const path = join(disk.root, places.manifest(run));
  const value = await readJson<RunManifest>(disk, path);
  if (value === undefined) return undefined;
  const fits = value.job === run.job && value.day === run.day && value.revision === run.revision;
  if (value.version !== 1 || !fits) {
    throw damaged(path, "it is not the manifest that its name says");
  }
  return value.state === "quarantined" ? releasedOr(disk, value) : value;
}

/** A quarantined revision that was released reads as a committed one. */
async function releasedOr(disk: Disk, manifest: RunManifest): Promise<RunManifest> {
  const released = await readJson<Release>(disk, join(disk.root, places.release(manifest)));
  return released === undefined ? manifest : asReleased(manifest, released);
}

export async function readStoredJobs(disk: Disk): Promise<readonly StoredJob[]> {
  return readFolder<StoredJob>(disk, join(disk.root, places.jobs));
}

/** In the order of run ids. */
export async function readRunRequests(disk: Disk): Promise<readonly RunRequest[]> {
  return readFolder<RunRequest>(disk, join(disk.root, places.requests));
}

export async function readStoredDesks(disk: Disk): Promise<readonly StoredDesk[]> {
  return readFolder<StoredDesk>(disk, join(disk.root, places.desks));
}

/** undefined: nobody was ever to be told of anything. */
export async function readStoredAlerts(disk: Disk): Promise<AlertDocument | undefined> {
  return readJson<AlertDocument>(disk, join(disk.root, places.alerts));
}

async function readFolder<T>(disk: Disk, folder: string): Promise<readonly T[]> {
  const names = (await disk.list(folder)).filter((name) => name.endsWith(".json")).sort();
  const values = await Promise.all(names.map((name) => readJson<T>(disk, join(folder, name))));
  return values.filter((value) => value !== undefined);
}

/** Runs that have a staging folder, in the order of their ids. Whatever else lies there is not ours. */
export async function readStagedRuns(disk: Disk): Promise<readonly string[]> {
  const names = await disk.list(join(disk.root, places.stagings));
  return names.filter((name) => parseRunId(name) !== undefined).sort();
}

/** Files of one run's staging folder, by their paths from the root, in order. */
export async function readStagedFiles(disk: Disk, run: string): Promise<readonly string[]> {
  const folder = places.staging(run);
  const names = await disk.listFiles(join(disk.root, folder));
  return names.map((name) => join(folder, name)).sort();
}

async function readJson<T>(disk: Disk, path: string): Promise<T | undefined> {
  const text = await disk.read(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw damaged(path, "it is not JSON");
  }
}

function damaged(path: string, why: string) {
  return fail("storageFailed", `${path} cannot be read: ${why}; restore it from a copy`, { path });
}
