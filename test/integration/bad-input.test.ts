/**
 * What a user gets for bad input, through the whole cluster: a code, a message that names file or clause and says what
 * to do, and nothing committed. The old day stays.
 */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generate } from "../../scripts/generate/generate.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { exampleJob, runDay, startTestCluster, type TestCluster } from "./cluster-fixture.ts";

const day = "2026-01-15";
let it: TestCluster;

beforeAll(async () => {
  it = await startTestCluster({ executors: 1, slots: 2, coordinators: 1 });
  await generate({ root: it.root, day, rows: 10_000, seed: 5, gzip: true, malformedShare: 0.05 });
}, 120_000);

afterAll(async () => {
  await it?.stop();
}, 60_000);

function gzipJob(name: string, change: (yaml: string) => string = (yaml) => yaml): string {
  return exampleJob(it.work, name, (yaml) =>
    change(yaml)
      .replaceAll("*.csv\n", "*.csv.gz\n")
      .replace("format: csv\n    csv: { delimiter", "format: csv.gz\n    csv: { delimiter"),
  );
}

async function refusal(path: string, at: string = day): Promise<{ code: string; message: string }> {
  try {
    const run = await runDay(it, path, at);
    return { code: run.failure?.code ?? run.state, message: run.failure?.message ?? "" };
  } catch (error) {
    if (error instanceof DaymillError) return error.failure;
    throw error;
  }
}

test("a day without files", async () => {
  const failure = await refusal(gzipJob("no-files"), "2026-01-20");
  expect(failure.code).toBe("inputMissing");
  expect(failure.message).toContain("2026-01-20");
});

test("a model that reads an unknown column", async () => {
  const path = gzipJob("bad-column");
  const model = join(it.work, "bad-column/models/device_mix.sql");
  writeFileSync(model, readFileSync(model, "utf8").replaceAll("dl_bytes", "dl_bites"));
  const failure = await refusal(path);
  expect(failure.code).toMatch(/jobInvalid|sqlRefused/);
  expect(failure.message).toMatch(/device_mix/);
  expect(failure.message).toMatch(/dl_bites/);
});

test("models that read each other", async () => {
  const path = gzipJob("cycle");
  writeFileSync(join(it.work, "cycle/models/top_apps.sql"), "SELECT app_id FROM segments\n");
  writeFileSync(join(it.work, "cycle/models/segments.sql"), "SELECT app_id FROM top_apps\n");
  const failure = await refusal(path);
  expect(failure.code).toBe("jobInvalid");
  expect(failure.message).toMatch(/cycle/i);
  expect(failure.message).toMatch(/segments/);
});

test("a path outside the allowed root", async () => {
  const failure = await refusal(
    gzipJob("outside", (yaml) => yaml.replace("path: raw/ipdr", "path: ../../etc/ipdr")),
  );
  expect(failure.code).toMatch(/pathForbidden|jobInvalid/);
  expect(failure.message).toMatch(/\.\./);
});

test("more rejects than the job allows: nothing is committed", async () => {
  const failure = await refusal(gzipJob("rejects"));
  expect(failure.code).toBe("rejectsOverLimit");
  expect(failure.message).toMatch(/ipdr/);
  expect(existsSync(join(it.root, "out"))).toBe(false);
}, 120_000);

test("a gzip file cut in half is named; the day is not silently short", async () => {
  const cut = "2026-01-16";
  await generate({ root: it.root, day: cut, rows: 10_000, seed: 6, gzip: true });
  const folder = join(it.root, "raw/ipdr", `day=${cut}`);
  const victim = readdirSync(folder, { recursive: true, withFileTypes: true }).find((entry) =>
    entry.name.endsWith(".csv.gz"),
  );
  const file = join(victim?.parentPath ?? "", victim?.name ?? "");
  truncateSync(file, Math.floor(readFileSync(file).length / 2));
  const failure = await refusal(gzipJob("truncated"), cut);
  expect(failure.code).toBe("inputTruncated");
  expect(failure.message).toContain(victim?.name);
  expect(existsSync(join(it.root, "out"))).toBe(false);
}, 120_000);

test("an empty file is named", async () => {
  const empty = "2026-01-17";
  await generate({ root: it.root, day: empty, rows: 10_000, seed: 6, gzip: true });
  const folder = join(it.root, "raw/ipdr", `day=${empty}`);
  const gateway = readdirSync(folder).find((name) => name.startsWith("gw="));
  const file = join(folder, gateway ?? "", "empty.csv.gz");
  writeFileSync(file, "");
  const failure = await refusal(gzipJob("empty"), empty);
  expect(failure.code).toBe("inputEmpty");
  expect(failure.message).toContain("empty.csv.gz");
}, 120_000);

test("a job name and a run that nobody knows", async () => {
  await expect(it.client.submit({ job: "nobody-knows" }, day)).rejects.toMatchObject({
    failure: { code: "unknownJob" },
  });
  await expect(it.client.run("ipdr-daily.2030-01-01.r1")).rejects.toMatchObject({
    failure: { code: "unknownRun" },
  });
});
