/**
 * Retention on a real cluster: the files of a superseded revision go by themselves, readers never notice, and whoever
 * asks for that revision is told; what goes and what stays is shown; late files are told and left alone.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generate } from "../../scripts/generate/generate.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import {
  differences,
  exampleJob,
  runDay,
  startTestCluster,
  type TestCluster,
} from "./cluster-fixture.ts";

const day = "2026-01-15";
let it: TestCluster;

beforeAll(async () => {
  it = await startTestCluster({ executors: 1, slots: 2 });
}, 120_000);

afterAll(async () => {
  await it?.stop();
}, 60_000);

test("a superseded revision is removed after the re-run, and reading it says so", async () => {
  await generate({ root: it.root, day, rows: 5_000, seed: 7 });
  const job = exampleJob(it.work, "kept", (yaml) => `${yaml}\nretention: { revisions: 0 }\n`);
  const folder = join(it.root, "revisions/ipdr-daily", day);
  const first = await runDay(it, job, day);
  const [old = ""] = readdirSync(folder);
  const second = await runDay(it, job, day, { rerun: true });
  expect([first.state, second.state]).toEqual(["committed", "committed"]);
  const shown = readdirSync(folder).find((name) => name !== old) ?? "";
  expect([old, shown]).toEqual([expect.stringMatching(/^r1-e/), expect.stringMatching(/^r2-e/)]);
  const dataset = second.datasets[0]?.dataset ?? "";
  const isThere = (revision: string) => existsSync(join(folder, revision, dataset));

  const until = Date.now() + 12 * limits.retentionAfterRunMs;
  while (isThere(old) && Date.now() < until) await new Promise((wake) => setTimeout(wake, 100));

  expect([isThere(old), isThere(shown)]).toEqual([false, true]);
  expect(await differences(it, job, day)).toEqual([]);
  expect(existsSync(join(it.root, "manifests/ipdr-daily", day, "r1.json"))).toBe(true);
  const read = async (revision: number) => {
    let bytes = 0;
    for await (const piece of it.client.read(dataset, day, { revision })) bytes += piece.length;
    return bytes;
  };
  expect(await read(2)).toBeGreaterThan(0);
  const gone: unknown = await read(1).catch((error: unknown) => error);
  expect(gone).toBeInstanceOf(DaymillError);
  expect((gone as DaymillError).failure).toMatchObject({
    code: "unknownDataset",
    message: expect.stringContaining(
      `revision 1 of ipdr-daily for ${day} was removed by retention; revision 2 is the committed one`,
    ),
  });
}, 180_000);

test("daymill gc shows what goes and what stays with its size, and removes at once what the next round would", async () => {
  const made = `revisions/ipdr-daily/${day}`;
  // A leader that died left an arrangement that no manifest names.
  const left = join(it.root, made, "r2-e99/usage_hourly");
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, "r2-00000.parquet"), "12345");
  const report = async (dryRun: boolean) => {
    const { items } = await it.client.gc("", dryRun);
    return items.filter((one) => one.kind !== "journal" && one.kind !== "exchange");
  };
  const dry = await report(true);
  expect(dry.filter(({ goes }) => goes)).toMatchObject([
    { kind: "unused", job: "ipdr-daily", day, name: "r2-e99 usage_hourly", bytes: 5 },
  ]);
  const seen = dry.find(({ why }) => why === "readers see it");
  expect(seen?.name).toMatch(/^r2-e\d /);
  expect(seen?.bytes).toBeGreaterThan(1_000);
  expect(existsSync(left)).toBe(true);
  await report(false);
  const until = Date.now() + 10_000;
  while (existsSync(left) && Date.now() < until) await new Promise((wake) => setTimeout(wake, 50));
  expect(existsSync(left)).toBe(false);
  expect((await report(true)).filter(({ goes }) => goes)).toEqual([]);
}, 60_000);

test("a file that comes for a day before the window is told and listed, and its day is left alone", async () => {
  const old = "2026-01-10";
  const path = `raw/ipdr/day=${old}/gw=1/late.csv`;
  mkdirSync(join(it.root, `raw/ipdr/day=${old}/gw=1`), { recursive: true });
  writeFileSync(join(it.root, path), "too late\n");
  const late = async () => {
    await it.client.delivered("ipdr-daily", old);
    await new Promise((wake) => setTimeout(wake, 500));
    return (await it.client.late("ipdr-daily")).files;
  };
  const until = Date.now() + 20_000;
  let files = await late();
  while (files.length === 0 && Date.now() < until) files = await late();
  const file = { day: old, source: "ipdr", path, bytes: 9, revision: 0, readBy: 0 };
  expect(files).toEqual([{ ...file, seenMs: expect.any(Number) }]);
  expect(await late()).toHaveLength(1);
  expect((await it.client.backlog("ipdr-daily")).late).toBe(1);
  expect((await it.client.runs("ipdr-daily")).filter((run) => run.day === old)).toEqual([]);
}, 60_000);
