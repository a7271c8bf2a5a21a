/**
 * Reading what leaders have written: manifests, jobs, snapshots. Nothing here writes, and what does not parse is an
 * error that names the file: a day must never vanish because its manifest could not be read.
 */
import { join } from "node:path";
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
import { sha256Hex } from "../kernel/sha256.ts";
import { isDay } from "../kernel/time.ts";
import type { Snapshot, StoredJob } from "../ports.ts";
import type { Disk } from "./store-files.ts";
import { manifestDay, manifestRevision, places, snapshotName } from "./store-paths.ts";

/** All manifests, in the order of job, day and revision. */
export async function readAllManifests(disk: Disk): Promise<readonly RunManifest[]> {
  const manifests: RunManifest[] = [];
  for (const job of [...(await disk.list(join(disk.root, places.manifests)))].sort()) {
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

/** Snapshot names, newest first: by leadership, then by journal sequence. */
export async function snapshotNames(disk: Disk): Promise<readonly string[]> {
  const named = (await disk.list(join(disk.root, places.snapshots)))
    .map(snapshotName)
    .filter((name) => name !== undefined)
    .sort((a, b) => b.epoch - a.epoch || b.sequence - a.sequence);
  return named.map((name) => places.snapshot(name.epoch, name.sequence));
}

/** The newest one that is whole. A torn one is passed over: the journal still has what it held. */
export async function readNewestSnapshot(disk: Disk): Promise<Snapshot | undefined> {
  for (const name of await snapshotNames(disk)) {
    const text = await disk.read(join(disk.root, name));
    const snapshot = text === undefined ? undefined : decodeSnapshot(text);
    if (snapshot !== undefined) return snapshot;
  }
  return undefined;
}

/** A line with sequence and checksum, then the text as it is. */
export function encodeSnapshot(snapshot: Snapshot): string {
  const head = { version: 1, sequence: snapshot.sequence, sha256: sha256Hex(snapshot.text) };
  return `${JSON.stringify(head)}\n${snapshot.text}`;
}

function decodeSnapshot(stored: string): Snapshot | undefined {
  const end = stored.indexOf("\n");
  const text = stored.slice(end + 1);
  try {
    const head: unknown = JSON.parse(stored.slice(0, Math.max(0, end)));
    const { sequence, sha256 } = head as { sequence?: unknown; sha256?: unknown };
    if (typeof sequence !== "number" || sha256 !== sha256Hex(text)) return undefined;
    return { sequence, text };
  } catch {
    return undefined;
  }
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
