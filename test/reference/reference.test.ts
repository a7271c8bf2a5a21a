/**
 * The reference is trusted by every end-to-end test, so it is tested first: it agrees with a faultless commit and
 * sees one changed cell, one lost row, one doubled row, a sum that lost its last bit.
 */
import { cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generate } from "../../scripts/generate/generate.ts";
import { makeRetailData } from "../../scripts/retail-day.ts";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { commitByHand } from "./commit-by-hand.ts";
import { openReference } from "./load.mjs";
import { compareDay } from "./reference.mjs";

const day = "2026-01-15";
const project = fileURLToPath(new URL("../../", import.meta.url));
let folder: string;
let root: string;
let job: JobSpec;

async function loadJob(file: string): Promise<JobSpec> {
  return parseJob(await readJobBundle(path.join(project, file)));
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "daymill-reference-test-"));
  root = path.join(folder, "ipdr");
  job = await loadJob("jobs/ipdr-daily.yaml");
  await generate({ root, day, rows: 20_000, malformedShare: 0.02, duplicateFiles: 1 });
  await commitByHand(job, root, day);
  await cp(path.join(root, "out"), path.join(root, "faultless"), { recursive: true });
});

/** Puts the faultless commit back. */
async function mend(dataset: string): Promise<void> {
  const target = path.join(root, "out", dataset);
  await rm(target, { recursive: true, force: true });
  await cp(path.join(root, "faultless", dataset), target, { recursive: true });
}

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Rewrites committed files as `sql` over each ($): the first one, or all. */
async function tamper(dataset: string, sql: string, all = false): Promise<void> {
  const target = path.join(root, "out", dataset, `day=${day}`);
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  for (const name of all ? ["r1-0.parquet", "r1-1.parquet"] : ["r1-0.parquet"]) {
    const file = path.join(target, name);
    await connection.run(
      `CREATE OR REPLACE TABLE t AS FROM read_parquet('${file}', hive_partitioning = false)`,
    );
    await connection.run(`COPY (${sql.replaceAll("$", "t")}) TO '${file}' (FORMAT parquet)`);
  }
  connection.closeSync();
  instance.closeSync();
}

async function unequal(): Promise<string[]> {
  const results = await compareDay({ job, root, day });
  return results.filter((result) => !result.equal).map((result) => result.dataset);
}

describe("the example job", () => {
  test("a faultless commit is equal, to DuckDB and to the truth, with damaged lines and a double file", async () => {
    const results = await compareDay({ job, root, day });
    expect(results.filter((result) => !result.equal)).toEqual([]);
    expect(results.filter((result) => !result.dataset.startsWith("truth:"))).toHaveLength(10);
    expect(results.filter((result) => result.dataset.startsWith("truth:"))).toHaveLength(7);
    expect(results.every((result) => result.rows > 0)).toBe(true);
  });

  test.each([
    {
      what: "one changed count",
      dataset: "cell_hourly",
      sql: "SELECT * REPLACE (sessions + (rowid = 0)::INT AS sessions) FROM $",
    },
    { what: "a lost row", dataset: "subscriber_daily", sql: "SELECT * FROM $ WHERE rowid > 0" },
    { what: "a doubled row", dataset: "top_apps", sql: "FROM $ UNION ALL (FROM $ LIMIT 1)" },
    {
      what: "a DOUBLE off by 1e-7",
      dataset: "app_daily",
      sql: "SELECT * REPLACE (mean_session_ms * (1 + 1e-7) AS mean_session_ms) FROM $",
    },
    {
      what: "an exact sum written as DOUBLE",
      dataset: "segments",
      sql: "SELECT * REPLACE (bytes::DOUBLE AS bytes) FROM $",
      all: true,
    },
    {
      what: "files of different types",
      dataset: "segments",
      sql: "SELECT * REPLACE (bytes::DOUBLE AS bytes) FROM $",
    },
    {
      what: "a renamed column",
      dataset: "device_mix",
      sql: "SELECT * RENAME (rat AS radio) FROM $",
      all: true,
    },
  ])("$what is seen", async ({ dataset, sql, all }) => {
    await tamper(dataset, sql, all);
    const names = await unequal();
    expect(names.filter((name) => !name.startsWith("truth:"))).toEqual([dataset]);
    await mend(dataset);
  });

  test("a DOUBLE that is off by rounding is equal", async () => {
    const sql = "SELECT * REPLACE (mean_session_ms * (1 + 1e-12) AS mean_session_ms) FROM $";
    await tamper("app_daily", sql, true);
    expect(await unequal()).toEqual([]);
    await mend("app_daily");
  });

  test("a dataset that was never committed is a difference", async () => {
    await rm(path.join(root, "out", "segments"), { recursive: true });
    expect(await unequal()).toEqual(["segments", "truth:segments"]);
    await mend("segments");
  });
});

test("gzipped files with a tenth of their lines damaged and hostile skew agree with the truth", async () => {
  const packed = path.join(folder, "gzip");
  const gzipJob = await loadJob("jobs/ipdr-daily-gzip.yaml");
  const options = { rows: 30_000, gzip: true, skew: "hostile", malformedShare: 0.1 } as const;
  await generate({ root: packed, day, ...options });
  await commitByHand(gzipJob, packed, day);
  const results = await compareDay({ job: gzipJob, root: packed, day });
  expect(results.filter((result) => !result.equal)).toEqual([]);
  expect(results).toHaveLength(17);
});

test("records outside the day are rejects where the job says so", async () => {
  const [source] = job.sources;
  const eventTime = { column: "start_ms", unit: "ms", outside: "reject" } as const;
  const strict = { ...job, sources: source ? [{ ...source, eventTime }] : [] };
  const { connection, close } = await openReference(strict, root, day);
  const counted = await connection.runAndReadAll(`SELECT
    (SELECT count(*) FROM ipdr) = sum("rows") AS consistent, sum(outside_day) > 0 AS some_outside,
    sum("rows") + sum(rejects) + sum(blank) = sum(lines) AS complete,
    (SELECT min(start_ms) FROM ipdr) >= epoch_ms(TIMESTAMP '${day}') AS none_early FROM ipdr_files`);
  expect(counted.getRowObjectsJson()).toEqual([
    { consistent: true, some_outside: true, complete: true, none_early: true },
  ]);
  close();
});

test("integers above 2^53 are compared to the last digit", async () => {
  const over = path.join(folder, "over");
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const bigJob: JobSpec = {
    ...job,
    name: "big",
    sources: [
      {
        name: "numbers",
        path: "in/{day}/*.parquet",
        format: "parquet",
        columns: [{ name: "n", type: "BIGINT" }],
        csv: job.sources[0]?.csv ?? expect.fail("the job has a source"),
        rejectsMaxShare: 0,
        allowEmptyFiles: false,
      },
    ],
    dimensions: [],
    models: [{ name: "total", sql: "SELECT sum(n) AS total FROM numbers", file: "total.sql" }],
    checks: [],
  };
  await mkdir(path.join(over, "in", day), { recursive: true });
  await mkdir(path.join(over, "out/total", `day=${day}`), { recursive: true });
  await connection.run(
    `COPY (SELECT unnest([9007199254740992, 1]) AS n) TO '${over}/in/${day}/a.parquet'`,
  );
  const commit = (value: string) =>
    connection.run(
      `COPY (SELECT ${value}::DECIMAL(38,0) AS total) TO '${over}/out/total/day=${day}/a.parquet'`,
    );
  await commit("9007199254740993");
  expect((await compareDay({ job: bigJob, root: over, day }))[0]?.equal).toBe(true);
  await commit("9007199254740992");
  expect((await compareDay({ job: bigJob, root: over, day }))[0]?.equal).toBe(false);
  connection.closeSync();
  instance.closeSync();
});

describe("the retail job", () => {
  test("quoted CSV, Parquet and another time zone agree; damaged lines are the rejects", async () => {
    const shop = path.join(folder, "retail");
    const retail = await loadJob("test/fixtures/retail/job.yaml");
    const made = await makeRetailData(shop, day);
    await commitByHand(retail, shop, day);
    const results = await compareDay({ job: retail, root: shop, day });
    expect(results.filter((result) => !result.equal)).toEqual([]);
    expect(results.every((result) => result.rows > 0)).toBe(true);
    expect(await readdir(path.join(shop, "out"))).toHaveLength(6);
    const reference = await openReference(retail, shop, day);
    const counted = await reference.connection.runAndReadAll(
      "SELECT sum(lines)::INT AS lines, sum(rejects)::INT AS rejects FROM sales_files",
    );
    expect(counted.getRowObjectsJson()).toEqual([{ lines: made.lines, rejects: made.damaged }]);
    reference.close();
  });
});
