// Datasets that a revision carries over, on a real storage: their rows outlive the revision that made them.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import type { Store } from "../../shared/ports.ts";
import { crashAt, numberedCalls } from "./stoppable-calls.ts";
import { makeStorage, manifest, run, type StorageFixture } from "./storage.ts";
import { forEach } from "./story.ts";

let storage: StorageFixture;
let store: Store;
beforeEach(async () => {
  storage = await oneRevision();
  store = await openStore(storage.root);
  await store.claim(2);
});
afterEach(() => storage.remove());

/** Epoch 1 has committed hits and tops; hits of the next revision are staged. */
async function oneRevision(): Promise<StorageFixture> {
  const made = await makeStorage();
  for (const revision of [1, 2, 3]) {
    for (const dataset of ["hits", "tops"]) {
      await made.stage(staged(revision, dataset), `${dataset} of r${revision}`);
    }
  }
  const first = await openStore(made.root);
  await first.claim(1);
  await commit(first, 1, 1, { hits: staged(1, "hits"), tops: staged(1, "tops") });
  return made;
}

function staged(revision: number, dataset: string): string {
  return `staging/daily.2026-01-15.r${revision}/t-a/${dataset}.parquet`;
}

/** Arranges, creates the manifest and shows it, as a leader does; one that is there already is adopted. */
async function commit(
  by: Store,
  epoch: number,
  revision: number,
  files: { readonly hits: string; readonly tops: string },
  madeIn: { readonly tops?: number } = {},
): Promise<void> {
  const [hits = "", tops = ""] = await by.arrange(epoch, run(revision), [
    { dataset: "hits", staged: files.hits },
    { dataset: "tops", staged: files.tops },
  ]);
  const meant = manifest(run(revision), epoch, { hits: [hits], tops: [tops] });
  const datasets = meant.datasets.map((one) =>
    one.dataset === "tops" && madeIn.tops !== undefined ? { ...one, madeIn: madeIn.tops } : one,
  );
  await by.publish(epoch, await by.commit(epoch, { ...meant, datasets }));
}

const topsOfFirst = "revisions/daily/2026-01-15/r1-e1/tops/r1-00000.parquet";
const carrying = { hits: staged(2, "hits"), tops: topsOfFirst };

function view(root: string, dataset: string, revision: number): Promise<string | undefined> {
  const path = join(root, `out/${dataset}/day=2026-01-15/r${revision}-00000.parquet`);
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => error.code);
}

/** What each folder of the day is said to take up. */
async function sizes(): Promise<string[]> {
  const { days } = await store.listRevisions(undefined, 5);
  return days.flatMap(({ folders }) =>
    folders.map(({ revision, datasets, bytes = [] }) => {
      const of = datasets.map((name, index) => `${name} ${bytes[index]}`);
      return `r${revision}: ${of.join(", ")}`;
    }),
  );
}

/** What readers see under the names of a revision. */
function seen(root: string, revision: number) {
  return Promise.all([view(root, "hits", revision), view(root, "tops", revision)]);
}

test("are the same bytes under the new revision's name, also when the old one is gone", async () => {
  const { root } = storage;
  await commit(store, 2, 2, carrying);
  expect(await seen(root, 2)).toEqual(["hits of r2", "tops of r1"]);
  // Whoever has listed the old names is told, and reads no mix.
  expect(await seen(root, 1)).toEqual(["ENOENT", "ENOENT"]);
  await store.dropRevision(2, run(1), 1, "all");
  await store.dropStaging(2, "daily.2026-01-15.r1");
  expect(await seen(root, 2)).toEqual(["hits of r2", "tops of r1"]);
  const again = "revisions/daily/2026-01-15/r2-e2/tops/r2-00000.parquet";
  await commit(store, 2, 3, { hits: staged(3, "hits"), tops: again });
  await store.dropRevision(2, run(2), 2, "all");
  expect(await seen(root, 3)).toEqual(["hits of r3", "tops of r1"]);
});

test("take up room once: in the newest revision that has them, and in that of before when it goes", async () => {
  // A manifest of these tests says one byte of each file.
  await commit(store, 2, 2, carrying, { tops: 1 });
  expect(await sizes()).toEqual(["r1: hits 1, tops 0", "r2: hits 1, tops 1"]);
  const again = "revisions/daily/2026-01-15/r2-e2/tops/r2-00000.parquet";
  await commit(store, 2, 3, { hits: staged(3, "hits"), tops: again }, { tops: 1 });
  expect(await sizes()).toEqual(["r1: hits 1, tops 0", "r2: hits 1, tops 0", "r3: hits 1, tops 1"]);
  await commit(store, 2, 4, { hits: staged(2, "hits"), tops: staged(2, "tops") });
  await store.dropRevision(2, run(3), 2, "all");
  expect(await sizes()).toEqual(["r1: hits 1, tops 0", "r2: hits 1, tops 1", "r4: hits 1, tops 1"]);
});

test("what a leader arranged that could not commit it takes up room of its own", async () => {
  const rows = { hits: staged(2, "hits"), tops: staged(2, "tops") };
  const files = Object.entries(rows).map(([dataset, path]) => ({ dataset, staged: path }));
  await store.arrange(2, run(2), files);
  const next = await openStore(storage.root);
  await next.claim(3);
  await commit(next, 3, 2, rows);
  const bytes = "hits of r2".length;
  expect(await sizes()).toEqual([
    "r1: hits 1, tops 1",
    `r2: hits ${bytes}, tops ${bytes}`,
    "r2: hits 1, tops 1",
  ]);
});

test("that are gone are an error that says what to do, and readers see what they saw", async () => {
  await rm(join(storage.root, topsOfFirst));
  expect(await commit(store, 2, 2, carrying).catch(fromUnknown)).toMatchObject({
    code: "storageFailed",
    message: expect.stringMatching(/r1-00000\.parquet is gone.*submit the whole day again/),
  });
  expect(await view(storage.root, "hits", 1)).toBe("hits of r1");
});

test("readers see the old day or the new one, whole, wherever the commit dies", {
  timeout: 60_000,
}, async () => {
  const counted = numberedCalls((_call, act) => act());
  const whole = await openStore(storage.root, counted.calls);
  await whole.claim(3);
  const claimed = counted.made();
  await commit(whole, 3, 2, carrying);
  const points = Array.from({ length: counted.made() - claimed }, (_, n) => claimed + 1 + n);
  expect(points.length).toBeGreaterThan(20);
  await forEach(points, async (point) => {
    const { root, remove } = await oneRevision();
    await (await openStore(root)).claim(2);
    const numbered = numberedCalls(crashAt(point, point % 2 === 0 ? "before" : "after"));
    const dying = await openStore(root, numbered.calls);
    await dying.claim(3);
    await commit(dying, 3, 2, carrying).catch(() => undefined);
    await numbered.closeFiles();
    const [before, after] = [await seen(root, 1), await seen(root, 2)];
    const isOld = before[0] === "hits of r1" && before[1] === "tops of r1";
    const isNew = after[0] === "hits of r2" && after[1] === "tops of r1";
    expect([isOld, isNew].filter(Boolean)).toHaveLength(1);
    const next = await openStore(root);
    await next.claim(4);
    await commit(next, 4, 2, carrying);
    expect(await seen(root, 2)).toEqual(["hits of r2", "tops of r1"]);
    await remove();
  });
});
