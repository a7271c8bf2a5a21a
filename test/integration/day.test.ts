/**
 * Whole days through a real cluster, each compared with plain DuckDB and with the generator's truth:
 * plain, gzip with hostile skew, a tenth of the lines damaged; a re-run that reads nothing again; another trade's job.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Figures } from "../../coordinator/core/planner/explain-figures.ts";
import { generate } from "../../scripts/generate/generate.ts";
import { makeRetailData } from "../../scripts/retail-day.ts";
import { readJobBundle } from "../../shared/adapters/job-file.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import {
  differences,
  exampleJob,
  runDay,
  startTestCluster,
  type TestCluster,
  taskCounts,
} from "./cluster-fixture.ts";

let it: TestCluster;

beforeAll(async () => {
  it = await startTestCluster({ executors: 2, slots: 1 });
}, 120_000);

afterAll(async () => {
  await it?.stop();
}, 60_000);

describe("a day of IPDR", () => {
  const day = "2026-01-15";

  test("plain files: committed, equal to the reference, work done by both executors", async () => {
    const data = await generate({ root: it.root, day, rows: 60_000, seed: 1 });
    const job = exampleJob(it.work, "plain", smallSplits);

    const run = await runDay(it, job, day);

    expect(run.failure).toBeFalsy();
    expect(run.state).toBe("committed");
    expect(run.rowsIn).toBe(data.lines);
    expect(await differences(it, job, day)).toEqual([]);
    const workers = Object.values(run.committedBy);
    expect(workers.length).toBe(2);
    expect(Math.min(...workers)).toBeGreaterThan(0);
  }, 180_000);

  test("a second run of the day takes every map output from the exchange", async () => {
    const job = exampleJob(it.work, "plain", smallSplits);

    const run = await runDay(it, job, day, { rerun: true });

    expect(run.state).toBe("committed");
    expect(run.revision).toBe(2);
    const scans = taskCounts(run, "scan");
    expect(scans.tasks).toBeGreaterThan(1);
    expect(scans.reused).toBe(scans.tasks);
    expect(await differences(it, job, day)).toEqual([]);
  }, 180_000);

  test("explain predicts what each exchange carries, and tells what it really carried", async () => {
    const bundle = await readJobBundle(exampleJob(it.work, "plain", smallSplits));
    const run = await it.client.run(`ipdr-daily.${day}.r2`);

    const { text, planJson } = await it.client.explain({ bundle }, day);

    const figures = JSON.parse(planJson) as Figures;
    expect(figures.run).toMatchObject({ runId: run.runId, day, sameJob: true });
    expect(figures.total.real).toMatchObject({
      rows: run.exchangeRows,
      bytes: run.exchangeBytes,
      inputRows: run.rowsIn,
    });
    const sent = figures.exchangeFigures.map(({ real }) => real?.rows ?? 0);
    expect(sent.reduce((sum, rows) => sum + rows, 0)).toBe(run.exchangeRows);
    expect(Math.min(...sent)).toBeGreaterThan(0);
    for (const { exchange, predicted, real } of figures.exchangeFigures) {
      const ratio = real?.rowsPerInputRow ?? -1;
      expect(ratio, exchange).toBeGreaterThanOrEqual(predicted.atLeast);
      expect(ratio, exchange).toBeLessThanOrEqual(predicted.atMost ?? Number.POSITIVE_INFINITY);
    }
    const [raw] = figures.exchangeFigures;
    expect(raw).toMatchObject({
      predicted: { atLeast: 1, atMost: 1 },
      real: { rowsPerInputRow: 1 },
    });
    expect(text).toContain(`real: run ${run.runId}, day ${day}, 60,000 rows read`);
    const jobYaml = bundle.jobYaml.replace("backlog: { days: 7 }", "backlog: { days: 3 }");
    const other = await it.client.explain({ bundle: { ...bundle, jobYaml } }, day);
    expect(other.text).toContain("the job has been changed since that run");
  }, 60_000);

  test("readers see Hive folders of plain Parquet files, one revision only", async () => {
    const folder = join(it.root, "out", "app_daily", `day=${day}`);
    const files = readdirSync(folder);
    expect(files.length).toBeGreaterThan(0);
    expect(files.every((name) => /^r2-.*\.parquet$/.test(name))).toBe(true);
    expect(existsSync(join(it.root, "manifests", "ipdr-daily", day, "r2.json"))).toBe(true);
  });

  test("a model and what reads it are made again, the others are carried over, and who has them is known", async () => {
    const bundle = await readJobBundle(exampleJob(it.work, "plain", smallSplits));
    const ack = { job: "", consumer: "bi", day, revision: 2, by: "loader" };
    for (const dataset of ["app_daily", "cell_hourly"]) {
      const had = await it.client.acknowledge({ ...ack, dataset });
      expect(had).toMatchObject({ state: "acknowledged", kind: "first delivery" });
    }

    const options = { select: ["app_daily+"], by: "ann" };
    const { runId } = await it.client.submit({ bundle }, day, options);
    const run = await it.client.wait(runId);

    expect(run).toMatchObject({ state: "committed", revision: 3, cause: "request", by: "ann" });
    expect(run.select).toContain("app_daily");
    expect(run.select).not.toContain("cell_hourly");
    const scans = taskCounts(run, "scan");
    expect(scans.reused).toBe(scans.tasks);
    expect(await differences(it, exampleJob(it.work, "plain", smallSplits), day)).toEqual([]);
    const carried = readdirSync(join(it.root, "out", "cell_hourly", `day=${day}`));
    expect(carried.length).toBeGreaterThan(0);
    expect(carried.every((name) => /^r3-.*\.parquet$/.test(name))).toBe(true);
    const states = await it.client.deliveries("ipdr-daily");
    expect(
      states.map((one) => `${one.consumer} ${one.dataset} r${one.revision} ${one.state}`),
    ).toEqual([
      "bi app_daily r3 outstanding",
      "bi cell_hourly r2 acknowledged",
      "segmentation segments r2 outstanding",
    ]);
  }, 60_000);
});

test("files that were delivered twice count once, and are not read again by a second run", async () => {
  const day = "2026-01-18";
  const data = await generate({ root: it.root, day, rows: 40_000, seed: 4, duplicateFiles: 2 });
  const job = exampleJob(it.work, "twice", smallSplits);

  const run = await runDay(it, job, day);

  expect(run.failure).toBeFalsy();
  expect(run.state).toBe("committed");
  expect(run.rowsIn).toBe(data.lines);
  expect(await differences(it, job, day)).toEqual([]);
  const warnings = run.warnings.filter((text) => text.startsWith("duplicate file: "));
  expect(warnings).toHaveLength(2);
  for (const text of warnings)
    expect(text).toMatch(/(-again\.csv).*holds the bytes of|-again\.csv;/);
  const manifest = JSON.parse(readFileSync(join(it.root, run.manifest), "utf8"));
  expect(manifest.sources).toMatchObject([
    { source: "ipdr", files: data.files, lines: data.lines, duplicates: 2 },
  ]);
  const again = await runDay(it, job, day, { rerun: true });
  expect(again.warnings).toEqual(run.warnings);
  const scans = taskCounts(again, "scan");
  expect(scans.reused).toBe(scans.tasks);
  expect(await differences(it, job, day)).toEqual([]);
  const keeping = exampleJob(it.work, "kept", (yaml) =>
    smallSplits(yaml).replace("format: csv\n", "format: csv\n    duplicates: keep\n"),
  );
  const kept = await runDay(it, keeping, day, { rerun: true });
  expect(kept.rowsIn).toBeGreaterThan(data.lines);
  expect(await differences(it, keeping, day)).toEqual([]);
}, 240_000);

test("gzip input with hostile skew", async () => {
  const day = "2026-01-16";
  await generate({ root: it.root, day, rows: 50_000, seed: 2, gzip: true, skew: "hostile" });
  const job = exampleJob(it.work, "gzip", (yaml) =>
    smallSplits(yaml)
      .replaceAll("*.csv\n", "*.csv.gz\n")
      .replace("format: csv\n    csv: { delimiter", "format: csv.gz\n    csv: { delimiter"),
  );

  const run = await runDay(it, job, day);

  expect(run.failure).toBeFalsy();
  expect(run.state).toBe("committed");
  expect(await differences(it, job, day)).toEqual([]);
}, 180_000);

test("a tenth of the lines damaged: every line is a row or a reject, and rejects are kept for their owner only", async () => {
  const day = "2026-01-17";
  const data = await generate({ root: it.root, day, rows: 40_000, seed: 3, malformedShare: 0.1 });
  const job = exampleJob(it.work, "damaged", (yaml) =>
    smallSplits(yaml).replace("max_share: 0.001", "max_share: 0.2"),
  );

  const run = await runDay(it, job, day);

  expect(run.failure).toBeFalsy();
  expect(run.state).toBe("committed");
  expect(run.rejects).toBeGreaterThan(0);
  expect(run.rowsIn).toBe(data.lines);
  expect(await differences(it, job, day)).toEqual([]);
  const rejects = filesBelow(join(it.root, "revisions")).filter((path) =>
    path.includes("_rejects"),
  );
  expect(rejects.length).toBeGreaterThan(0);
  for (const path of rejects) expect(statSync(path).mode & 0o777).toBe(0o600);
}, 180_000);

test("another trade: quoted CSV and Parquet sources, other keys, from its YAML and SQL alone", async () => {
  const day = "2026-03-02";
  await makeRetailData(it.root, day);
  const job = join(projectRoot(), "test/fixtures/retail/job.yaml");

  const run = await runDay(it, job, day);

  expect(run.failure).toBeFalsy();
  expect(run.state).toBe("committed");
  expect(await differences(it, job, day)).toEqual([]);
}, 180_000);

/** Small days are still cut into several splits. */
function smallSplits(yaml: string): string {
  return yaml.replace("split_bytes: 64MiB", "split_bytes: 1MiB");
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
