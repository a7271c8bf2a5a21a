/** Files of pinned days: those of the manifests' revisions, at their real paths, on real storage. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { listHistory } from "../../coordinator/shell/list-history.ts";
import { openInputs } from "../../shared/adapters/inputs.ts";
import { openStore } from "../../shared/adapters/store.ts";
import type { HistoryPin } from "../../shared/kernel/history.ts";
import type { Store } from "../../shared/ports.ts";
import { makeStorage, manifest, run, type StorageFixture } from "../commit/storage.ts";

let storage: StorageFixture;
let store: Store;
beforeEach(async () => {
  storage = await makeStorage();
  store = await openStore(storage.root);
  await fill();
});
afterEach(() => storage.remove());

const at = (day: string, name: string, file: string) =>
  `revisions/daily/${day}/${name}/hits/${file}.parquet`;

/** Day 14 has revisions 1 and 2, day 15 one without a file. */
async function fill(): Promise<void> {
  await store.claim(1);
  const old = [at("2026-01-14", "r1-e1", "r1-00000")];
  const now = ["r2-00001", "r2-00000"].map((file) => at("2026-01-14", "r2-e1", file));
  for (const path of [...old, ...now]) await storage.stage(path, "x");
  await storage.stage(at("2026-01-14", "r2-e1", "r2-00002"), "nobody's");
  await store.commit(1, manifest(run(1, "2026-01-14"), 1, { hits: old }));
  await store.commit(1, manifest(run(2, "2026-01-14"), 1, { hits: now }));
  await store.commit(1, manifest(run(1, "2026-01-15"), 1, { hits: [] }));
}

function listed(days: readonly (readonly [string, number])[], dataset = "hits") {
  const pin: HistoryPin = {
    table: "hits_history",
    job: "daily",
    dataset,
    days: days.map(([day, revision]) => ({ day, revision, since: revision })),
  };
  return listHistory({ inputs: openInputs(storage.root), store }, pin);
}

test("the pinned revision's files in path order, whatever is newer; days without one have none", async () => {
  const first = await listed([
    ["2026-01-13", 0],
    ["2026-01-14", 1],
    ["2026-01-15", 1],
  ]);
  expect(first.files.map(({ path, size }) => [path, size])).toEqual([
    ["revisions/daily/2026-01-14/r1-e1/hits/r1-00000.parquet", 1],
  ]);
  const second = await listed([["2026-01-14", 2]]);
  expect(second).toMatchObject({ source: "hits_history", rows: [1, 1] });
  expect(second.files.map(({ path }) => path)).toEqual([
    "revisions/daily/2026-01-14/r2-e1/hits/r2-00000.parquet",
    "revisions/daily/2026-01-14/r2-e1/hits/r2-00001.parquet",
  ]);
});

test("a file that is another one than the manifest says is an error that names it", async () => {
  const path = at("2026-01-14", "r2-e1", "r2-00001");
  await storage.stage(path, "longer");
  await expect(listed([["2026-01-14", 2]])).rejects.toMatchObject({
    failure: {
      code: "storageFailed",
      message: `${path} of revision 2 of daily for 2026-01-14 has 6 bytes instead of 1: see who changes files below the storage root, then make that day again with --rerun`,
    },
  });
});

test("a dataset that the revision does not have is an error", async () => {
  await expect(listed([["2026-01-14", 2]], "misses")).rejects.toMatchObject({
    failure: {
      code: "storageFailed",
      message: "revision 2 of daily for 2026-01-14: its manifest names no dataset misses any more",
    },
  });
});
