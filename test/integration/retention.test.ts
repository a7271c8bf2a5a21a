/**
 * Retention on a real cluster: the files of a superseded revision go by themselves, readers never notice, and whoever
 * asks for that revision is told.
 */
import { existsSync, readdirSync } from "node:fs";
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
