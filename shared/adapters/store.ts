/**
 * The Store port on a shared file system: the last fence, the commit and the views (docs/adr/0004).
 * A leader writes only through the folder that it claimed; it decides nothing and keeps nothing in memory but that.
 */
import { randomBytes } from "node:crypto";
import { chmod, link, mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { must } from "../kernel/assert.ts";
import { fail } from "../kernel/failure.ts";
import type { RunManifest, RunRequest } from "../kernel/manifest.ts";
import type { Snapshot, Store, StoredJob } from "../ports.ts";
import { ensureDir, errnoOf, exists, Fence, storageFailure, syncDir } from "./store-files.ts";
import {
  baseName,
  datasetFile,
  epochOf,
  places,
  type RunPlace,
  rejectsDataset,
  stagedPath,
} from "./store-paths.ts";
import {
  encodeSnapshot,
  listDir,
  readAllManifests,
  readNewestSnapshot,
  readOne,
  readRunRequests,
  readStagedRuns,
  readStoredJobs,
  snapshotNames,
} from "./store-read.ts";
import { checkOwnView, publishViews } from "./store-views.ts";

/** Snapshots that stay: the newest may be torn, the one before it never is. */
const snapshotsKept = 3;

type StagedFiles = Parameters<Store["arrange"]>[2];

/** Opens the storage at `root` (absolute). The folder must exist: an unmounted disk must not look like an empty one. */
export async function openStore(root: string): Promise<Store> {
  if (await exists(root)) return new FileStore(root);
  throw fail(
    "storageFailed",
    `the storage root ${root} does not exist: mount or create it, or correct --root (DAYMILL_ROOT)`,
    { path: root },
  );
}

class FileStore implements Store {
  readonly #root: string;
  readonly #fences = new Map<number, Fence>();
  /** By job and day: the last move of its views. They look first and rename then, so one at a time. */
  readonly #moves = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.#root = root;
  }

  async highestEpoch(): Promise<number> {
    const names = [
      ...(await listDir(this.#path(places.leaders))),
      ...(await listDir(this.#path(places.retired))),
    ];
    return Math.max(0, ...names.map((name) => epochOf(name) ?? 0));
  }

  async claim(epoch: number): Promise<boolean> {
    const leaders = this.#path(places.leaders);
    const retired = this.#path(places.retired);
    await ensureDir(leaders);
    await ensureDir(retired);
    if ((await this.highestEpoch()) >= epoch) return false;
    // A second folder with a random name: should e<n> ever be made again, an old owner's paths still lead nowhere.
    const own = join(this.#path(places.leader(epoch)), randomBytes(8).toString("hex"));
    try {
      await mkdir(dirname(own));
      await mkdir(own);
      await syncDir(leaders);
      const beaten = (await this.highestEpoch()) > epoch;
      for (const name of await listDir(leaders)) {
        const other = epochOf(name);
        if (other === undefined || other > epoch || (other === epoch && !beaten)) continue;
        await retire(
          join(leaders, name),
          join(retired, `${name}-${randomBytes(4).toString("hex")}`),
        );
      }
      await syncDir(leaders);
      if (beaten) return false;
    } catch (error) {
      // Somebody made it first, or took it away already.
      if (["EEXIST", "ENOENT"].includes(errnoOf(error) ?? "")) return false;
      throw storageFailure(error, "claim", dirname(own));
    }
    this.#fences.set(epoch, new Fence(own, epoch));
    return true;
  }

  async saveJob(epoch: number, job: StoredJob): Promise<void> {
    const path = this.#path(places.job(job.spec.name));
    await this.#fence(epoch).writeFile(path, JSON.stringify(job), "replace");
  }

  readJobs(): Promise<readonly StoredJob[]> {
    return readStoredJobs(this.#root);
  }

  async saveRequest(epoch: number, request: RunRequest): Promise<void> {
    const path = this.#path(places.request(request.run));
    await this.#fence(epoch).writeFile(path, JSON.stringify(request), "replace");
  }

  readRequests(): Promise<readonly RunRequest[]> {
    return readRunRequests(this.#root);
  }

  async dropRequest(epoch: number, run: string): Promise<void> {
    await this.#fence(epoch).remove(this.#path(places.request(run)));
  }

  async saveSnapshot(epoch: number, snapshot: Snapshot): Promise<void> {
    const fence = this.#fence(epoch);
    const path = this.#path(places.snapshot(epoch, snapshot.sequence));
    await fence.writeFile(path, encodeSnapshot(snapshot), "replace");
    for (const name of (await snapshotNames(this.#root)).slice(snapshotsKept)) {
      await fence.remove(this.#path(name));
    }
  }

  readSnapshot(): Promise<Snapshot | undefined> {
    return readNewestSnapshot(this.#root);
  }

  readManifests(): Promise<readonly RunManifest[]> {
    return readAllManifests(this.#root);
  }

  readManifest(job: string, day: string, revision: number): Promise<RunManifest | undefined> {
    return readOne(this.#root, { job, day, revision });
  }

  async arrange(epoch: number, run: RunPlace, files: StagedFiles): Promise<readonly string[]> {
    const folder = places.revisionDir(run, epoch);
    const fence = this.#fence(epoch);
    await fence.check();
    const counts = new Map<string, number>();
    const moves = files.map(({ dataset, staged }) => {
      const index = counts.get(dataset) ?? 0;
      counts.set(dataset, index + 1);
      const path = `${dataset}/${datasetFile(run.revision, index, staged)}`;
      return { dataset, from: this.#path(stagedPath(staged)), path };
    });
    // Here it can still fail the run; once committed, its views could only be tried for ever.
    for (const dataset of counts.keys()) {
      if (dataset === rejectsDataset) continue;
      await checkOwnView(this.#root, run.job, run.day, dataset);
    }
    const names = moves.map(({ path }) => `${folder}/${path}`);
    if (await this.#isArranged(folder, moves)) return names;
    await fence.writeDir(this.#path(folder), async (making) => {
      for (const { dataset, from, path } of moves) {
        const to = join(making, path);
        await mkdir(dirname(to), { recursive: true });
        await linkStaged(from, to);
        await chmod(to, dataset === rejectsDataset ? 0o600 : 0o644);
      }
      for (const dataset of counts.keys()) await syncDir(join(making, dataset));
    });
    return names;
  }

  async commit(epoch: number, manifest: RunManifest): Promise<RunManifest> {
    const path = this.#path(places.manifest(manifest));
    if (await this.#fence(epoch).writeFile(path, JSON.stringify(manifest), "exclusive")) {
      return manifest;
    }
    return must(await readOne(this.#root, manifest), "a manifest is never removed");
  }

  async publish(epoch: number, manifest: RunManifest): Promise<void> {
    await this.#publish(this.#fence(epoch), manifest);
  }

  async rebuildViews(epoch: number): Promise<void> {
    const fence = this.#fence(epoch);
    await fence.check();
    const newest = new Map<string, RunManifest>();
    for (const manifest of await readAllManifests(this.#root)) {
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
    for (const dataset of datasets) await checkOwnView(this.#root, job, day, dataset);
  }

  listStaging(): Promise<readonly string[]> {
    return readStagedRuns(this.#root);
  }

  async dropStaging(epoch: number, run: string): Promise<void> {
    await this.#fence(epoch).remove(this.#path(places.staging(run)));
  }

  async #publish(fence: Fence, manifest: RunManifest): Promise<void> {
    const key = `${manifest.job}/${manifest.day}`;
    const before = this.#moves.get(key) ?? Promise.resolve();
    const move = before.then(() => publishViews(this.#root, fence, manifest));
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
    if (!(await exists(whole))) return false;
    let present = 0;
    for (const dataset of await listDir(whole)) {
      present += (await listDir(join(whole, dataset))).length;
    }
    if (present !== moves.length) return false;
    for (const { from, path } of moves) {
      const [there, staged] = [await inodeOf(join(whole, path)), await inodeOf(from)];
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
    return join(this.#root, relative);
  }
}

async function retire(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  // Its name is what counts and it is taken; what it held in the making is nobody's.
  await rm(to, { recursive: true, force: true }).catch(() => undefined);
}

/** A hard link: the staged file stays where it is, so that a later leader can arrange it again. */
async function linkStaged(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && (await exists(dirname(to)))) {
      const text =
        `the staged file ${baseName(from)} is gone, so the run can't be committed: ` +
        "see who cleans up below the storage root, then submit the day again";
      throw fail("storageFailed", text, { path: from, errno: "ENOENT" }, error);
    }
    throw error;
  }
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await stat(path, { bigint: true })).ino;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw storageFailure(error, "look at", path);
  }
}
