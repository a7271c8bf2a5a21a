/**
 * The Store port on a shared file system: the last fence, the commit and the views (docs/adr/0004).
 * A leader writes only through the folder that it claimed; it decides nothing and keeps nothing in memory but that.
 */

import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { AlertDocument } from "../kernel/alert.ts";
import { must } from "../kernel/assert.ts";
import type { StoredDesk } from "../kernel/days.ts";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import {
  type DayOfJob,
  type Release,
  type RevisionOfDay,
  type RunManifest,
  type RunRequest,
  rejectsDataset,
} from "../kernel/manifest.ts";
import type { StorageRoom } from "../kernel/status.ts";
import type { RevisionList, Snapshot, Store, StoredJob } from "../ports.ts";
import { type StoreCalls, systemCalls } from "./store-calls.ts";
import { Disk, errnoOf, Fence, storageFailure } from "./store-files.ts";
import { arrangeablePath, baseName, datasetFile, epochOf, places } from "./store-paths.ts";
import {
  readAllManifests,
  readOne,
  readRunRequests,
  readStagedFiles,
  readStagedRuns,
  readStoredAlerts,
  readStoredDesks,
  readStoredJobs,
} from "./store-read.ts";
import { dropRevision, listRevisions } from "./store-revisions.ts";
import { readNewestSnapshot, snapshotNames, snapshotParts } from "./store-snapshot.ts";
import { checkOwnView, publishViews } from "./store-views.ts";

type StagedFiles = Parameters<Store["arrange"]>[2];

/** Opens the storage at `root` (absolute). The folder must exist: an unmounted disk must not look like an empty one. */
export async function openStore(root: string, calls: StoreCalls = systemCalls): Promise<Store> {
  const disk = new Disk(root, calls);
  if (await disk.exists(root)) return new FileStore(disk);
  throw fail(
    "storageFailed",
    `the storage root ${root} does not exist: mount or create it, or correct --root (DAYMILL_ROOT)`,
    { path: root },
  );
}

class FileStore implements Store {
  readonly #disk: Disk;
  readonly #fences = new Map<number, Fence>();
  /** By job and day: the last move of its views. They look first and rename then, so one at a time. */
  readonly #moves = new Map<string, Promise<void>>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  async highestEpoch(): Promise<number> {
    const names = [
      ...(await this.#disk.list(this.#path(places.leaders))),
      ...(await this.#disk.list(this.#path(places.retired))),
    ];
    return Math.max(0, ...names.map((name) => epochOf(name) ?? 0));
  }

  async claim(epoch: number): Promise<boolean> {
    const leaders = this.#path(places.leaders);
    const retired = this.#path(places.retired);
    await this.#disk.ensureDir(leaders);
    await this.#disk.ensureDir(retired);
    if ((await this.highestEpoch()) >= epoch) return false;
    // A second folder with a random name: should e<n> ever be made again, an old owner's paths still lead nowhere.
    const own = join(this.#path(places.leader(epoch)), randomBytes(8).toString("hex"));
    try {
      await this.#disk.calls.makeDir(dirname(own));
      await this.#disk.calls.makeDir(own);
      await this.#disk.syncDir(leaders);
      const beaten = (await this.highestEpoch()) > epoch;
      for (const name of await this.#disk.list(leaders)) {
        const other = epochOf(name);
        if (other === undefined || other > epoch || (other === epoch && !beaten)) continue;
        await retire(
          this.#disk,
          join(leaders, name),
          join(retired, `${name}-${randomBytes(4).toString("hex")}`),
        );
      }
      await this.#disk.syncDir(leaders);
      if (beaten) return false;
      await this.#emptyRetired();
    } catch (error) {
      // Somebody made it first, or took it away already.
      if (["EEXIST", "ENOENT"].includes(errnoOf(error) ?? "")) return false;
      throw storageFailure(error, "claim", dirname(own));
    }
    this.#fences.set(epoch, new Fence(this.#disk, own, epoch));
    return true;
  }

  /** A claim that died between its two steps left a folder here, whose links keep the space of staged files taken. */
  async #emptyRetired(): Promise<void> {
    const retired = this.#path(places.retired);
    // Tidying up: the claim stands without it.
    for (const name of await this.#disk.list(retired).catch(() => [])) {
      await this.#disk.calls.removeAll(join(retired, name)).catch(() => undefined);
    }
  }

  async saveJob(epoch: number, job: StoredJob): Promise<void> {
    const path = this.#path(places.job(job.spec.name));
    await this.#fence(epoch).writeFile(path, JSON.stringify(job), "replace");
  }

  readJobs(): Promise<readonly StoredJob[]> {
    return readStoredJobs(this.#disk);
  }

  async saveRequest(epoch: number, request: RunRequest): Promise<void> {
    const path = this.#path(places.request(request.run));
    await this.#fence(epoch).writeFile(path, JSON.stringify(request), "replace");
  }

  readRequests(): Promise<readonly RunRequest[]> {
    return readRunRequests(this.#disk);
  }

  async saveDesk(epoch: number, desk: StoredDesk): Promise<void> {
    const path = this.#path(places.desk(desk.job));
    await this.#fence(epoch).writeFile(path, JSON.stringify(desk), "replace");
  }

  readDesks(): Promise<readonly StoredDesk[]> {
    return readStoredDesks(this.#disk);
  }

  async saveAlerts(epoch: number, document: AlertDocument): Promise<void> {
    const text = JSON.stringify(document);
    await this.#fence(epoch).writeFile(this.#path(places.alerts), text, "replace");
  }

  readAlerts(): Promise<AlertDocument | undefined> {
    return readStoredAlerts(this.#disk);
  }

  async room(): Promise<StorageRoom> {
    const { root, calls } = this.#disk;
    return calls.room(root).catch((error: unknown) => {
      throw storageFailure(error, "look at the room of", root);
    });
  }

  async dropRequest(epoch: number, run: string): Promise<void> {
    await this.#fence(epoch).remove(this.#path(places.request(run)));
  }

  async saveSnapshot(epoch: number, snapshot: Snapshot): Promise<void> {
    const fence = this.#fence(epoch);
    const path = this.#path(places.snapshot(epoch, snapshot.sequence));
    await fence.writeParts(path, snapshotParts(snapshot));
    for (const name of (await snapshotNames(this.#disk)).slice(limits.snapshotsKept)) {
      await fence.remove(this.#path(name));
    }
  }

  readSnapshot(): Promise<Snapshot | undefined> {
    return readNewestSnapshot(this.#disk);
  }

  readManifests(): Promise<readonly RunManifest[]> {
    return readAllManifests(this.#disk);
  }

  readManifest(job: string, day: string, revision: number): Promise<RunManifest | undefined> {
    return readOne(this.#disk, { job, day, revision });
  }

  async arrange(epoch: number, run: RevisionOfDay, files: StagedFiles): Promise<readonly string[]> {
    const folder = places.revisionDir(run, epoch);
    const fence = this.#fence(epoch);
    await fence.check();
    const counts = new Map<string, number>();
    const moves = files.map(({ dataset, staged }) => {
      const index = counts.get(dataset) ?? 0;
      counts.set(dataset, index + 1);
      const path = `${dataset}/${datasetFile(run.revision, index, staged)}`;
      return { dataset, from: this.#path(arrangeablePath(run, dataset, staged)), path };
    });
    // Here it can still fail the run; once committed, its views could only be tried for ever.
    for (const dataset of counts.keys()) {
      if (dataset === rejectsDataset) continue;
      await checkOwnView(this.#disk, run.job, run.day, dataset);
    }
    const { calls } = this.#disk;
    const names = moves.map(({ path }) => `${folder}/${path}`);
    if (await this.#isArranged(folder, moves)) return names;
    await fence.writeDir(this.#path(folder), async (making) => {
      // Never with parents: that would make the fence again after a newer leader has taken it away.
      for (const dataset of counts.keys()) await calls.makeDir(join(making, dataset));
      for (const { dataset, from, path } of moves) {
        const to = join(making, path);
        await linkStaged(this.#disk, from, to);
        await calls.chmod(to, dataset === rejectsDataset ? 0o600 : 0o644);
      }
      for (const dataset of counts.keys()) await this.#disk.syncDir(join(making, dataset));
    });
    return names;
  }

  async commit(epoch: number, manifest: RunManifest): Promise<RunManifest> {
    const path = this.#path(places.manifest(manifest));
    if (await this.#fence(epoch).writeFile(path, JSON.stringify(manifest), "exclusive")) {
      return manifest;
    }
    return must(await readOne(this.#disk, manifest), "a manifest is never removed");
  }

  async publish(epoch: number, manifest: RunManifest): Promise<void> {
    await this.#publish(this.#fence(epoch), manifest);
  }

  async release(epoch: number, run: RevisionOfDay, wallMs: number): Promise<RunManifest> {
    const fence = this.#fence(epoch);
    await fence.check();
    const manifest = await readOne(this.#disk, run);
    if (manifest === undefined) throw fail("unknownRun", noManifest(run), { ...run });
    if (manifest.state !== "quarantined") return manifest;
    // Here it can still be refused; once released, it could only be tried for ever.
    for (const { dataset } of manifest.datasets) {
      await checkOwnView(this.#disk, run.job, run.day, dataset);
    }
    const release: Release = { run: manifest.run, epoch, wallMs };
    const path = this.#path(places.release(run));
    await fence.writeFile(path, JSON.stringify(release), "exclusive");
    return must(await readOne(this.#disk, run), "a manifest is never removed");
  }

  async rebuildViews(epoch: number): Promise<void> {
    const fence = this.#fence(epoch);
    await fence.check();
    const newest = new Map<string, RunManifest>();
    for (const manifest of await readAllManifests(this.#disk)) {
      // In revision order, so the last one stays.
      if (manifest.state === "committed") newest.set(`${manifest.job}/${manifest.day}`, manifest);
    }
    const problems: unknown[] = [];
    for (const manifest of newest.values()) {
      // One day's trouble must not keep the others from being shown.
      await this.#publish(fence, manifest).catch((error) => problems.push(error));
    }
    if (problems.length > 0) throw problems[0];
  }

  async checkViews(job: string, day: string, datasets: readonly string[]): Promise<void> {
    for (const dataset of datasets) await checkOwnView(this.#disk, job, day, dataset);
  }

  listStaging(): Promise<readonly string[]> {
    return readStagedRuns(this.#disk);
  }

  listStaged(run: string): Promise<readonly string[]> {
    return readStagedFiles(this.#disk, run);
  }

  stagingBytes(run: string): Promise<number> {
    return this.#disk.bytesBelow(this.#path(places.staging(run)));
  }

  async dropStaging(epoch: number, run: string): Promise<void> {
    await this.#fence(epoch).remove(this.#path(places.staging(run)));
  }

  listRevisions(from: DayOfJob | undefined, daysMax: number): Promise<RevisionList> {
    return listRevisions(this.#disk, from, daysMax);
  }

  async dropRevision(
    epoch: number,
    run: RevisionOfDay,
    arrangedBy: number,
    datasets: readonly string[] | "all",
  ): Promise<void> {
    await dropRevision(this.#disk, this.#fence(epoch), run, arrangedBy, datasets);
  }

  async #publish(fence: Fence, manifest: RunManifest): Promise<void> {
    const key = `${manifest.job}/${manifest.day}`;
    const before = this.#moves.get(key) ?? Promise.resolve();
    const move = before.then(() => publishViews(this.#disk, fence, manifest));
    // Whoever comes next waits for this one, and is not told of its trouble.
    const settled = move.catch(() => undefined);
    this.#moves.set(key, settled);
    await settled;
    if (this.#moves.get(key) === settled) this.#moves.delete(key);
    await move;
  }

  /** The folder is there with exactly these files: an earlier call of the same leader made it. */
  async #isArranged(
    folder: string,
    moves: readonly { readonly from: string; readonly path: string }[],
  ): Promise<boolean> {
    const whole = this.#path(folder);
    if (!(await this.#disk.exists(whole))) return false;
    let present = 0;
    for (const dataset of await this.#disk.list(whole)) {
      present += (await this.#disk.list(join(whole, dataset))).length;
    }
    if (present !== moves.length) return false;
    for (const { from, path } of moves) {
      const [there, staged] = [
        await this.#disk.inode(join(whole, path)),
        await this.#disk.inode(from),
      ];
      if (there === undefined || (staged !== undefined && there !== staged)) return false;
    }
    return true;
  }

  #fence(epoch: number): Fence {
    const fence = this.#fences.get(epoch);
    if (fence !== undefined) return fence;
    throw fail("storageFenced", `epoch ${epoch} has not claimed the storage here`, { epoch });
  }

  #path(relative: string): string {
    return join(this.#disk.root, relative);
  }
}

function noManifest({ job, day, revision }: RevisionOfDay): string {
  return `revision ${revision} of ${job} for ${day} has no manifest: see its run with daymill runs`;
}

async function retire(disk: Disk, from: string, to: string): Promise<void> {
  try {
    await disk.calls.rename(from, to);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  // Its name is what counts and it is taken; what it held in the making is nobody's.
  await disk.calls.removeAll(to).catch(() => undefined);
}

/** A hard link: the file stays where it is, so that a later leader can arrange it again. */
async function linkStaged(disk: Disk, from: string, to: string): Promise<void> {
  try {
    await disk.calls.link(from, to);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && (await disk.exists(dirname(to)))) {
      const text =
        `the file ${baseName(from)} is gone, so the run can't be committed: see who cleans up below ` +
        "the storage root, then submit the whole day again";
      throw fail("storageFailed", text, { path: from, errno: "ENOENT" }, error);
    }
    throw error;
  }
}
