/**
 * The Store port in memory. One object stands for the storage; every process of a test opens its own port on it.
 * Like the real one it refuses every write of an epoch that a later claim has replaced.
 */

import { arrangeablePath } from "../../shared/adapters/store-paths.ts";
import type { AlertDocument } from "../../shared/kernel/alert.ts";
import type { StoredDesk } from "../../shared/kernel/days.ts";
import { fail } from "../../shared/kernel/failure.ts";
import {
  asReleased,
  countedOnce,
  type DayOfJob,
  type RevisionFolder,
  type RunManifest,
  type RunRequest,
} from "../../shared/kernel/manifest.ts";
import type { Snapshot, Store, StoredJob } from "../../shared/ports.ts";

/** What the disk holds. Keys are `job/day` or `job/day/revision`. */
export interface MemoryDisk {
  owner: number;
  readonly jobs: Map<string, StoredJob>;
  readonly requests: Map<string, RunRequest>;
  readonly desks: Map<string, StoredDesk>;
  alerts: AlertDocument | undefined;
  readonly snapshots: { readonly epoch: number; readonly snapshot: Snapshot }[];
  readonly manifests: Map<string, RunManifest>;
  /** Which revision a day shows. */
  readonly views: Map<string, RunManifest>;
  /** Runs with a staging folder, as far as a test says so. */
  readonly staging: Set<string>;
  /** Files in these folders, as far as a test says so. */
  readonly staged: Set<string>;
  readonly droppedStaging: Set<string>;
  /** Bytes of staged files, as far as a test says so. */
  readonly sizes: Map<string, number>;
  /** `job/day/revision/epoch/dataset` → bytes of the files there. */
  readonly arrangedBytes: Map<string, number>;
  /** `job/day/revision/epoch` of each arrangement → names of the folders in it. */
  readonly arranged: Map<string, Set<string>>;
}

export function memoryDisk(): MemoryDisk {
  return {
    owner: 0,
    jobs: new Map(),
    requests: new Map(),
    desks: new Map(),
    alerts: undefined,
    snapshots: [],
    manifests: new Map(),
    views: new Map(),
    staging: new Set(),
    staged: new Set(),
    droppedStaging: new Set(),
    sizes: new Map(),
    arrangedBytes: new Map(),
    arranged: new Map(),
  };
}

export function memoryStore(disk: MemoryDisk): Store {
  const claimed = new Set<number>();
  const check = (epoch: number) => {
    if (claimed.has(epoch) && disk.owner === epoch) return;
    throw fail("storageFenced", `epoch ${epoch} no longer owns the storage`, { epoch });
  };
  const show = (manifest: RunManifest) => {
    const key = `${manifest.job}/${manifest.day}`;
    const shown = disk.views.get(key)?.revision ?? 0;
    if (manifest.revision >= shown) disk.views.set(key, manifest);
  };
  const checkOwner = (job: string, day: string, dataset: string) => {
    for (const shown of disk.views.values()) {
      const hasIt = shown.datasets.some((other) => other.dataset === dataset);
      if (shown.job === job || shown.day !== day || !hasIt) continue;
      throw fail("conflict", `out/${dataset}/day=${day} belongs to job ${shown.job}`);
    }
  };
  return {
    async highestEpoch() {
      return disk.owner;
    },
    async claim(epoch) {
      if (epoch <= disk.owner) return false;
      disk.owner = epoch;
      claimed.add(epoch);
      return true;
    },
    async saveJob(epoch, job) {
      check(epoch);
      disk.jobs.set(job.spec.name, job);
    },
    async readJobs() {
      return [...disk.jobs.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, job]) => job);
    },
    async saveRequest(epoch, request) {
      check(epoch);
      disk.requests.set(request.run, request);
    },
    async readRequests() {
      return [...disk.requests.values()].sort((a, b) => (a.run < b.run ? -1 : 1));
    },
    async saveDesk(epoch, desk) {
      check(epoch);
      disk.desks.set(desk.job, desk);
    },
    async readDesks() {
      return [...disk.desks.values()].sort((a, b) => (a.job < b.job ? -1 : 1));
    },
    async saveAlerts(epoch, document) {
      check(epoch);
      disk.alerts = document;
    },
    async readAlerts() {
      return disk.alerts;
    },
    async room() {
      return { usedBytes: 1_000, totalBytes: 4_000 };
    },
    async dropRequest(epoch, run) {
      check(epoch);
      disk.requests.delete(run);
    },
    async saveSnapshot(epoch, snapshot) {
      check(epoch);
      disk.snapshots.push({ epoch, snapshot });
    },
    async readSnapshot() {
      const newest = [...disk.snapshots].sort(
        (a, b) => b.epoch - a.epoch || b.snapshot.sequence - a.snapshot.sequence,
      );
      return newest[0]?.snapshot;
    },
    async readManifests() {
      return [...disk.manifests.values()].sort(
        (a, b) =>
          a.job.localeCompare(b.job) || a.day.localeCompare(b.day) || a.revision - b.revision,
      );
    },
    async readManifest(job, day, revision) {
      return disk.manifests.get(`${job}/${day}/${revision}`);
    },
    async arrange(epoch, run, files) {
      check(epoch);
      for (const { dataset, staged } of files) arrangeablePath(run, dataset, staged);
      for (const { dataset } of files) checkOwner(run.job, run.day, dataset);
      const counts = new Map<string, number>();
      const key = `${run.job}/${run.day}/${run.revision}/${epoch}`;
      disk.arranged.set(key, new Set(files.map(({ dataset }) => dataset)));
      for (const { dataset } of files) disk.arrangedBytes.delete(`${key}/${dataset}`);
      for (const { dataset, staged } of files) {
        const bytes = disk.arrangedBytes.get(`${key}/${dataset}`) ?? 0;
        disk.arrangedBytes.set(`${key}/${dataset}`, bytes + (disk.sizes.get(staged) ?? 0));
      }
      return files.map(({ dataset }) => {
        const index = counts.get(dataset) ?? 0;
        counts.set(dataset, index + 1);
        const folder = `revisions/${run.job}/${run.day}/r${run.revision}-e${epoch}`;
        return `${folder}/${dataset}/r${run.revision}-${String(index).padStart(5, "0")}.parquet`;
      });
    },
    async commit(epoch, manifest) {
      check(epoch);
      const key = `${manifest.job}/${manifest.day}/${manifest.revision}`;
      const present = disk.manifests.get(key);
      if (present === undefined) disk.manifests.set(key, manifest);
      return present ?? manifest;
    },
    async publish(epoch, manifest) {
      check(epoch);
      const { job, day } = manifest;
      for (const { dataset } of manifest.datasets) checkOwner(job, day, dataset);
      show(manifest);
    },
    async release(epoch, run, wallMs) {
      check(epoch);
      const key = `${run.job}/${run.day}/${run.revision}`;
      const manifest = disk.manifests.get(key);
      if (manifest === undefined) throw fail("unknownRun", `${key} has no manifest`, { ...run });
      if (manifest.state !== "quarantined") return manifest;
      for (const { dataset } of manifest.datasets) checkOwner(run.job, run.day, dataset);
      const released = asReleased(manifest, { run: manifest.run, epoch, wallMs });
      disk.manifests.set(key, released);
      return released;
    },
    async rebuildViews(epoch) {
      check(epoch);
      const all = [...disk.manifests.values()].sort((a, b) => a.revision - b.revision);
      for (const manifest of all) if (manifest.state === "committed") show(manifest);
    },
    async checkViews(job, day, datasets) {
      for (const dataset of datasets) checkOwner(job, day, dataset);
    },
    async listStaging() {
      return [...disk.staging].sort();
    },
    async listStaged(run) {
      return [...disk.staged].filter((path) => path.startsWith(`staging/${run}/`)).sort();
    },
    async stagingBytes(run) {
      const paths = [...disk.staged].filter((path) => path.startsWith(`staging/${run}/`));
      return paths.reduce((sum, path) => sum + (disk.sizes.get(path) ?? 0), 0);
    },
    async dropStaging(epoch, run) {
      check(epoch);
      disk.staging.delete(run);
      for (const path of disk.staged) {
        if (path.startsWith(`staging/${run}/`)) disk.staged.delete(path);
      }
      disk.droppedStaging.add(run);
    },
    async listRevisions(from, daysMax) {
      const first = from === undefined ? "" : `${from.job}/${from.day}`;
      const found = [...disk.arranged.keys()].map((key) => key.split("/").slice(0, 2).join("/"));
      const days = [...new Set(found)].sort().filter((key) => key >= first);
      const next = dayOf(days[daysMax]);
      const listed = days.slice(0, daysMax).flatMap((key) => dayOf(key) ?? []);
      return {
        days: listed.map((one) => ({ ...one, folders: foldersOf(disk, one) })),
        ...(next === undefined ? {} : { next }),
      };
    },
    async dropRevision(epoch, { job, day, revision }, arrangedBy, datasets) {
      check(epoch);
      const key = `${job}/${day}/${revision}/${arrangedBy}`;
      const shown = disk.views.get(`${job}/${day}`);
      const isShown = shown?.revision === revision && arrangedIn(shown) === arrangedBy;
      const seen = shown?.datasets.map(({ dataset }) => dataset) ?? [];
      if (isShown && (datasets === "all" || datasets.some((name) => seen.includes(name)))) {
        throw fail("conflict", `revision ${revision} of ${day} is what readers see`);
      }
      if (datasets === "all") disk.arranged.delete(key);
      else for (const name of datasets) disk.arranged.get(key)?.delete(name);
    },
  };
}

function dayOf(key: string | undefined): DayOfJob | undefined {
  const [job, day] = key?.split("/") ?? [];
  return job === undefined || day === undefined ? undefined : { job, day };
}

function foldersOf(disk: MemoryDisk, { job, day }: DayOfJob): readonly RevisionFolder[] {
  const folders = [...disk.arranged].flatMap(([key, datasets]) => {
    const [ofJob, ofDay, revision = 0, arrangedBy = 0] = key.split("/");
    if (ofJob !== job || ofDay !== day) return [];
    const there = disk.manifests.get(`${job}/${day}/${revision}`);
    const named = [...datasets].sort();
    const bytesOf = (name: string) => {
      const files = there?.datasets.find(({ dataset }) => dataset === name)?.files ?? [];
      const isOurs = there !== undefined && arrangedIn(there) === Number(arrangedBy);
      if (isOurs && files.length > 0) return files.reduce((sum, file) => sum + file.bytes, 0);
      return disk.arrangedBytes.get(`${key}/${name}`) ?? 0;
    };
    const manifest = there && {
      state: there.state,
      arrangedBy: arrangedIn(there),
      wallMs: there.wallMs,
      late: [...new Set((there.lateFiles ?? []).map((path) => path.split("/")[4] ?? ""))],
    };
    return [
      {
        revision: Number(revision),
        arrangedBy: Number(arrangedBy),
        datasets: named,
        bytes: named.map(bytesOf),
        ...(manifest === undefined ? {} : { manifest }),
        of: there,
      },
    ];
  });
  const inOrder = folders.sort((a, b) => a.revision - b.revision || a.arrangedBy - b.arrangedBy);
  return countedOnce(inOrder);
}

/** Whose arrangement a manifest names. */
function arrangedIn({ datasets, epoch }: RunManifest): number {
  const path = datasets.flatMap(({ files }) => files.map((file) => file.path))[0];
  return path === undefined ? epoch : Number(/-e(\d+)\//.exec(path)?.[1]);
}
