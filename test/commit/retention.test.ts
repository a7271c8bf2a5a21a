// Old revisions on a real storage: the core's own decision, carried out, and a crash at every call of it.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { judgeFiles, removalsOf } from "../../coordinator/core/retention.ts";
import { openStore } from "../../shared/adapters/store.ts";
import type { Store } from "../../shared/ports.ts";
import { crashAt, numberedCalls } from "./stoppable-calls.ts";
import type { StorageFixture } from "./storage.ts";
import { forEach, makeTemplate, rerun, seen, takeOver, wholeRevision } from "./story.ts";

const template = await makeTemplate();
afterAll(() => template.remove());
let storage: StorageFixture;
beforeEach(async () => {
  storage = await threeRevisions();
  return () => storage.remove();
});

/** Epoch 2 has arranged revision 2 and died; epoch 3 has committed 2 and 3. */
async function threeRevisions(): Promise<StorageFixture> {
  const copy = await template.copy();
  const dead = await openStore(copy.root);
  await dead.claim(2);
  await dead.arrange(2, { job: "daily", day: "2026-01-15", revision: 2 }, template.files);
  await rerun(copy, await takeOver(copy, template.files));
  for (const n of [1, 2])
    await copy.stage(`staging/daily.2026-01-15.r${n}/t0-a0/hits.parquet`, "x");
  return copy;
}

const rejectsDays = 30;

/** What the leader does with one look: a year after the commits, or right after them. */
async function sweep(
  store: Store,
  epoch: number,
  revisions: number,
  ageDays = 0,
): Promise<string[]> {
  const { days } = await store.listRevisions(undefined, 10);
  const done: string[] = [];
  const context = {
    retention: { revisions, rejectsDays, lateDays: 90 },
    committed: () => 3,
    isLive: () => false,
    isPinned: () => false,
    windowFrom: undefined,
    wallMs: 1_800_000_000_000 + ageDays * 86_400_000,
  };
  for (const { job, day, revision, arrangedBy, datasets } of removalsOf(
    judgeFiles(days, context),
  )) {
    await store.dropRevision(epoch, { job, day, revision }, arrangedBy, datasets);
    done.push(`r${revision}-e${arrangedBy} ${datasets === "all" ? "all" : datasets.join("+")}`);
  }
  // As `daymill gc` does: measured and dropped. The runs have ended.
  for (const run of await store.listStaging()) {
    await store.stagingBytes(run);
    await store.dropStaging(epoch, run);
  }
  return done;
}

const folders = (root: string) => readdir(join(root, "revisions/daily/2026-01-15"));

test("a folder that is taken away while files are listed takes no other one's files out of the list", async () => {
  const run = "daily.2026-01-15.r2";
  const staged = ["a/hits.parquet", "b/hits.parquet", "c/deep/hits.parquet"];
  for (const file of staged) await storage.stage(`staging/${run}/${file}`, "xyz");
  const numbered = numberedCalls(async ({ name, path }, act) => {
    if (name === "entries" && path.endsWith("/b")) await rm(path, { recursive: true });
    return act();
  });
  const store = await openStore(storage.root, numbered.calls);
  const left = ["a/hits.parquet", "c/deep/hits.parquet", "t0-a0/hits.parquet"];
  expect(await store.listStaged(run)).toEqual(left.map((file) => `staging/${run}/${file}`));
  expect(await store.stagingBytes(run)).toBe(2 * "xyz".length + "x".length);
  expect(await store.listStaged("daily.2026-01-15.r9")).toEqual([]);
});

test("losers and superseded revisions go, the committed one stays, manifests stay", async () => {
  const store = await openStore(storage.root);
  await store.claim(4);
  expect((await folders(storage.root)).sort()).toEqual(["r1-e1", "r2-e2", "r2-e3", "r3-e3"]);
  expect(await sweep(store, 4, 1)).toEqual(["r1-e1 hits+quiet+tops", "r2-e2 all"]);
  expect((await folders(storage.root)).sort()).toEqual(["r1-e1", "r2-e3", "r3-e3"]);
  expect(await readdir(join(storage.root, "revisions/daily/2026-01-15/r1-e1"))).toEqual([
    "_rejects",
  ]);
  expect(await sweep(store, 4, 1)).toEqual([]);
  expect(await sweep(store, 4, 1, rejectsDays + 1)).toEqual([
    "r1-e1 all",
    "r2-e3 _rejects",
    "r3-e3 _rejects",
  ]);
  expect(await sweep(store, 4, 0, rejectsDays + 1)).toEqual(["r2-e3 all"]);
  expect(await folders(storage.root)).toEqual(["r3-e3"]);
  expect(await seen(storage.root)).toEqual(wholeRevision(3));
  expect((await store.readManifests()).map((one) => one.revision)).toEqual([1, 2, 3]);
  // The views can still be built from what is left.
  await store.rebuildViews(4);
  expect(await seen(storage.root)).toEqual(wholeRevision(3));
});

test("a crash at any call between decision and removal is harmless: the next look finds the rest", {
  timeout: 60_000,
}, async () => {
  const counted = numberedCalls((_call, act) => act());
  const whole = await threeRevisions();
  const first = await openStore(whole.root, counted.calls);
  await first.claim(4);
  const claimed = counted.made();
  await sweep(first, 4, 0, 400);
  const points = Array.from({ length: counted.made() - claimed }, (_, n) => claimed + 1 + n);
  await whole.remove();
  await forEach(points, async (point) => {
    const copy = await threeRevisions();
    const numbered = numberedCalls(crashAt(point, point % 2 === 0 ? "before" : "after"));
    const dying = await openStore(copy.root, numbered.calls);
    await dying.claim(4);
    await sweep(dying, 4, 0, 400).catch(() => undefined);
    expect(numbered.made()).toBeGreaterThanOrEqual(point);
    expect(await seen(copy.root)).toEqual(wholeRevision(3));
    const next = await openStore(copy.root);
    await next.claim(5);
    await sweep(next, 5, 0, 400);
    expect(await folders(copy.root)).toEqual(["r3-e3"]);
    expect(await seen(copy.root)).toEqual(wholeRevision(3));
    expect(await next.listStaging()).toEqual([]);
    expect(await readdir(join(copy.root, "control/retired"))).toEqual([]);
    await copy.remove();
  });
  console.info(`${points.length} points of a look and its removals`);
  expect(points.length).toBeGreaterThan(20);
});
