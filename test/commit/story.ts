/**
 * One day on storage: revision 1 is committed and shown, revision 2 is staged. `acts` are what a leader of epoch 2 then
 * does, in order; `takeOver` is what the next leader does, whatever it finds.
 */
import { cp, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../shared/adapters/store.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import type { Store } from "../../shared/ports.ts";
import { makeStorage, manifest, run, type StorageFixture } from "./storage.ts";

const day = "2026-01-15";
const runId = (revision: number) => `daily.${day}.r${revision}`;

/** Files per dataset. `quiet` has no rows in revision 2, `fresh` is new in it. */
const contents: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  1: { hits: 2, tops: 1, quiet: 1 },
  2: { hits: 1, tops: 2, quiet: 0, fresh: 1 },
  3: { hits: 2, tops: 1, quiet: 1, fresh: 2 },
};

/** What `seen` gives when readers see this revision, all of it and nothing else. */
export function wholeRevision(revision: number): Record<string, readonly string[]> {
  const datasets = Object.entries(contents[revision] ?? {});
  return Object.fromEntries(
    datasets.map(([dataset, files]) => [
      dataset,
      Array.from({ length: files }, (_, n) => `r${revision}-0000${n}.parquet: ${revision} ${n}`),
    ]),
  );
}

async function stage(storage: StorageFixture, revision: number) {
  const files: { dataset: string; staged: string }[] = [];
  for (const [dataset, count] of Object.entries({ ...contents[revision], _rejects: 1 })) {
    for (let n = 0; n < count; n++) {
      const staged = `staging/${runId(revision)}/t${n}-a/${dataset}.parquet`;
      await storage.stage(staged, `${revision} ${n}`);
      files.push({ dataset, staged });
    }
  }
  return files;
}

export type Files = Awaited<ReturnType<typeof stage>>;

function manifestOf(revision: number, epoch: number, paths: readonly string[]): RunManifest {
  const datasets = Object.keys(contents[revision] ?? {}).map((dataset) => [
    dataset,
    paths.filter((path) => path.includes(`/${dataset}/`)),
  ]);
  return manifest(run(revision), epoch, Object.fromEntries(datasets));
}

/** Arranges, commits and shows a revision, whoever has committed it already. */
async function finish(store: Store, epoch: number, revision: number, files: Files) {
  let there = await store.readManifest("daily", day, revision);
  if (there === undefined) {
    const paths = await store.arrange(epoch, run(revision), files);
    there = await store.commit(epoch, manifestOf(revision, epoch, paths));
  }
  await store.publish(epoch, there);
  await store.dropRequest(epoch, runId(revision));
  await store.dropStaging(epoch, runId(revision));
}

const spec = { name: "daily" } as JobSpec;
const request = (revision: number) => ({
  run: runId(revision),
  spec,
  digest: "d",
  day,
  revision,
  requestId: `q${revision}`,
});

/** What the leader of epoch 2 does. Each act may rest on what the one before it gave. */
export function acts(files: Files): readonly [string, (store: Store) => Promise<unknown>][] {
  let paths: readonly string[] = [];
  let committed: RunManifest | undefined;
  return [
    ["claim", (store) => store.claim(2)],
    ["rebuildViews", (store) => store.rebuildViews(2)],
    ["saveJob", (store) => store.saveJob(2, { spec, digest: "d2" })],
    ["saveRequest", (store) => store.saveRequest(2, request(2))],
    ["saveSnapshot", (store) => store.saveSnapshot(2, { sequence: 50, texts: ["state"] })],
    [
      "arrange",
      async (store) => {
        paths = await store.arrange(2, run(2), files);
      },
    ],
    [
      "commit",
      async (store) => {
        committed = await store.commit(2, manifestOf(2, 2, paths));
      },
    ],
    ["publish", (store) => store.publish(2, committed ?? manifestOf(2, 2, paths))],
    ["dropRequest", (store) => store.dropRequest(2, runId(2))],
    ["dropStaging", (store) => store.dropStaging(2, runId(2))],
  ];
}

/** What the leader of epoch 3 does first: the same as the coordinator's takeover. */
export async function takeOver(storage: StorageFixture, files: Files): Promise<Store> {
  const store = await openStore(storage.root);
  if (!(await store.claim(3))) throw new Error("epoch 3 is free");
  await store.readManifests();
  await store.readJobs();
  await store.readRequests();
  await store.readSnapshot();
  await store.rebuildViews(3);
  await finish(store, 3, 2, files);
  return store;
}

/** A further revision, by the leader of epoch 3. */
export async function rerun(storage: StorageFixture, store: Store): Promise<void> {
  await store.saveRequest(3, request(3));
  await finish(store, 3, 3, await stage(storage, 3));
}

export interface Template {
  readonly files: Files;
  /** A fresh copy of the storage as it was before the first act. */
  copy(): Promise<StorageFixture>;
  remove(): Promise<void>;
}

/** `disk`: the folder for the copies, where it matters. */
export async function makeTemplate(disk?: string): Promise<Template> {
  const parent = disk ?? (await quickFolder());
  const original = await makeStorage(parent);
  const store = await openStore(original.root);
  await store.claim(1);
  await store.saveJob(1, { spec, digest: "d" });
  for (const sequence of [10, 20, 30]) await store.saveSnapshot(1, { sequence, texts: ["old"] });
  await finish(store, 1, 1, await stage(original, 1));
  const files = await stage(original, 2);
  return {
    files,
    async copy() {
      const storage = await makeStorage(parent);
      await cp(original.root, storage.root, { recursive: true, verbatimSymlinks: true });
      return storage;
    },
    remove: () => original.remove(),
  };
}

/** What a reader of `out/<dataset>/day=*` finds: dataset → its files with what is in them. */
export async function seen(root: string): Promise<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = {};
  for (const dataset of (await readdir(join(root, "out"))).sort()) {
    const folder = join(root, "out", dataset, `day=${day}`);
    const names = await readdir(folder).catch(() => undefined);
    // A link that leads nowhere yet: a glob passes it over.
    if (names === undefined) continue;
    found[dataset] = await Promise.all(
      names.sort().map(async (name) => `${name}: ${await readFile(join(folder, name), "utf8")}`),
    );
  }
  return found;
}

/** Everything that lies on storage, with what it says: path → text, link target, or "" for a folder. */
export async function everything(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const says = entry.isDirectory()
        ? ""
        : entry.isSymbolicLink()
          ? await readlink(path)
          : await readFile(path, "utf8");
      return [path.slice(root.length + 1), says] as const;
    }),
  );
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Memory, where there is some: these tests make thousands of files, and cut no power. */
async function quickFolder(): Promise<string> {
  const probe = await mkdtemp("/dev/shm/daymill-").catch(() => undefined);
  if (probe === undefined) return tmpdir();
  await writeFile(join(probe, "probe"), "x");
  await rm(probe, { recursive: true });
  return "/dev/shm";
}

/** Does all of it, a few at a time. */
export async function forEach<T>(items: readonly T[], act: (item: T) => Promise<void>) {
  const waiting = [...items];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await act(next);
  };
  await Promise.all(Array.from({ length: 8 }, work));
}
