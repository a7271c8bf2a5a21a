/**
 * The Store port in memory. One object stands for the storage; every process of a test opens its own port on it.
 * Like the real one it refuses every write of an epoch that a later claim has replaced.
 */
import { fail } from "../../shared/kernel/failure.ts";
import type { RunManifest, RunRequest } from "../../shared/kernel/manifest.ts";
import type { Snapshot, Store, StoredJob } from "../../shared/ports.ts";

/** What the disk holds. Keys are `job/day` or `job/day/revision`. */
export interface MemoryDisk {
  owner: number;
  readonly jobs: Map<string, StoredJob>;
  readonly requests: Map<string, RunRequest>;
  readonly snapshots: { readonly epoch: number; readonly snapshot: Snapshot }[];
  readonly manifests: Map<string, RunManifest>;
  /** Which revision a day shows. */
  readonly views: Map<string, RunManifest>;
  /** Runs with a staging folder, as far as a test says so. */
  readonly staging: Set<string>;
  readonly droppedStaging: Set<string>;
}

export function memoryDisk(): MemoryDisk {
  return {
    owner: 0,
    jobs: new Map(),
    requests: new Map(),
    snapshots: [],
    manifests: new Map(),
    views: new Map(),
    staging: new Set(),
    droppedStaging: new Set(),
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
      for (const { dataset } of files) checkOwner(run.job, run.day, dataset);
      const counts = new Map<string, number>();
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
    async dropStaging(epoch, run) {
      check(epoch);
      disk.staging.delete(run);
      disk.droppedStaging.add(run);
    },
  };
}
