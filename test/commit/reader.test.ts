// What a reader of `out/<dataset>/day=*/*.parquet` sees while a day is committed again and again: the old rows, the
// new rows, or an error. Never rows of two revisions, never silently nothing, never two datasets apart.
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import { makeStorage, manifest, run, type StorageFixture } from "./storage.ts";

const reruns = 200;
const filesPerDataset = 4;
let storage: StorageFixture;

beforeAll(async () => {
  storage = await makeStorage();
});
afterAll(() => storage.remove());

interface Seen {
  mixes: number;
  empties: number;
  errors: number;
  readonly revisions: Set<number>;
}

test(`through ${reruns} re-runs of a day a reader sees one revision or an error`, async () => {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const writer = await instance.connect();
  const store = await openStore(storage.root);
  await store.claim(1);

  // Before anybody reads: what readers could see of it is nothing.
  const stage = async (revision: number) => {
    const rows = `SELECT ${revision} AS revision, range AS row FROM range(50)`;
    const made = join(storage.root, "made.parquet");
    await writer.run(`COPY (${rows}) TO '${made}' (FORMAT parquet)`);
    const staged: { dataset: string; staged: string }[] = [];
    for (const dataset of ["hits", "tops"]) {
      for (let n = 0; n < filesPerDataset; n++) {
        const path = `staging/daily.2026-01-15.r${revision}/t${n}-${dataset}/part.parquet`;
        await mkdir(dirname(join(storage.root, path)), { recursive: true });
        await copyFile(made, join(storage.root, path));
        staged.push({ dataset, staged: path });
      }
    }
    return staged;
  };
  const stagedOf: Awaited<ReturnType<typeof stage>>[] = [];
  for (let revision = 1; revision <= 1 + reruns; revision++) {
    stagedOf[revision] = await stage(revision);
  }
  const publish = async (revision: number) => {
    const place = run(revision);
    const staged = stagedOf[revision] ?? [];
    const paths = await store.arrange(1, place, staged);
    const of = (dataset: string) => paths.filter((path) => path.includes(`/${dataset}/`));
    const written = manifest(place, 1, { hits: of("hits"), tops: of("tops") });
    expect(await store.commit(1, written)).toEqual(written);
    await store.publish(1, written);
    await store.dropStaging(1, written.run);
  };

  await publish(1);
  const seen: Seen = { mixes: 0, empties: 0, errors: 0, revisions: new Set() };
  let publishing = true;
  const readers = ["hits", "tops"].map(async (dataset) => {
    const reader = await instance.connect();
    const glob = join(storage.root, `out/${dataset}/day=*/*.parquet`);
    const sql = `SELECT min(revision), max(revision), count(*) FROM read_parquet('${glob}')`;
    while (publishing) {
      try {
        const [row] = (await reader.runAndReadAll(sql)).getRows();
        const [low, high, rows] = (row ?? []).map(Number);
        if (rows === 0) seen.empties += 1;
        else if (low !== high || rows !== 50 * filesPerDataset) seen.mixes += 1;
        else seen.revisions.add(Number(low));
      } catch {
        seen.errors += 1;
      }
    }
    reader.closeSync();
  });
  for (let revision = 2; revision <= 1 + reruns; revision++) await publish(revision);
  publishing = false;
  await Promise.all(readers);
  writer.closeSync();
  instance.closeSync();

  expect(seen).toMatchObject({ mixes: 0, empties: 0 });
  // The fault was there to be seen: readers met many revisions while they changed.
  expect(seen.revisions.size).toBeGreaterThan(10);
}, 120_000);

test("all datasets of a day change in one step, and an empty result replaces the day too", async () => {
  const own = await makeStorage();
  try {
    const store = await openStore(own.root);
    await store.claim(1);
    await own.stage("staging/daily.2026-01-15.r1/a/part.parquet", "hits r1");
    const staged = "staging/daily.2026-01-15.r1/a/part.parquet";
    const [path = ""] = await store.arrange(1, run(1), [{ dataset: "hits", staged }]);
    const first = manifest(run(1), 1, { hits: [path], tops: [] });
    await store.commit(1, first);
    await store.publish(1, first);
    expect(await own.tree("out")).toEqual([
      "out/hits/",
      "out/hits/day=2026-01-15",
      "out/tops/",
      "out/tops/day=2026-01-15",
    ]);
    expect(await own.tree("out/hits/day=2026-01-15")).toEqual([
      "out/hits/day=2026-01-15/r1-00000.parquet",
    ]);
    expect(await own.tree("out/tops/day=2026-01-15")).toEqual([]);

    await store.arrange(1, run(2), []);
    const second = manifest(run(2), 1, { hits: [], tops: [] });
    await store.commit(1, second);
    await store.publish(1, second);
    expect(await own.tree("out/hits/day=2026-01-15")).toEqual([]);
    expect(await own.tree("current")).toEqual(["current/daily/", "current/daily/2026-01-15"]);

    // Late and repeated publishing of an older revision moves nothing back.
    await store.publish(1, first);
    expect(await own.tree("out/hits/day=2026-01-15")).toEqual([]);
  } finally {
    await own.remove();
  }
});
