/**
 * A source whose files get a column more from one day on: both days run the same SQL on a real cluster and equal plain
 * DuckDB, and telling of the new column makes no map output of the days before worthless.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readArrowRows } from "../../shared/adapters/arrow-rows.ts";
import { readJobBundle } from "../../shared/adapters/job-file.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import {
  differences,
  runDay,
  startTestCluster,
  type TestCluster,
  taskCounts,
} from "./cluster-fixture.ts";

const [before, after] = ["2026-01-31", "2026-02-01"];
let it: TestCluster;

beforeAll(async () => {
  it = await startTestCluster({ executors: 2, slots: 1 });
}, 120_000);

afterAll(async () => {
  await it?.stop();
}, 60_000);

const models = {
  "by_shop.sql": `SELECT shop, count(*) AS sales, sum(cents) AS cents, count(channel) AS told,
  count(*) FILTER (channel = 'web') AS web FROM sales GROUP BY shop`,
  "by_channel.sql":
    "SELECT coalesce(channel, 'unknown') AS channel, sum(cents) AS cents FROM sales GROUP BY ALL",
  "by_shop_only.sql": "SELECT shop, max(cents) AS most FROM sales GROUP BY shop",
};

/** `columns`: what stands in the job file there. */
function job(name: string, columns: string, made: readonly (keyof typeof models)[]): string {
  const folder = join(it.work, name);
  mkdirSync(folder, { recursive: true });
  for (const file of made) writeFileSync(join(folder, file), models[file]);
  const list = made.map((file) => `  ${file.replace(".sql", "")}: { sql: ${file} }`).join("\n");
  writeFileSync(
    join(folder, "job.yaml"),
    `name: ${name}
sources:
  sales:
    path: "raw/${name}/{day}/*.csv"
    format: csv
    columns: ${columns}
models:
${list}
execution: { partitions: 8, groups: 2, split_bytes: 64KiB }
`,
  );
  return join(folder, "job.yaml");
}

/** Four files of a day, each of 1,000 lines; shops 0 to 6. */
function writeDay(name: string, day: string, line: (index: number) => string): void {
  const folder = join(it.root, "raw", name, day);
  mkdirSync(folder, { recursive: true });
  for (let file = 0; file < 4; file += 1) {
    const lines = Array.from({ length: 1_000 }, (_, index) => line(file * 1_000 + index));
    writeFileSync(join(folder, `part-${file}.csv`), `${lines.join("\n")}\n`);
  }
}

const plain = (index: number) => `${index % 7},${index}`;
const withChannel = (index: number) => `${index % 7},${index % 3 === 0 ? "web" : "shop"},${index}`;

const first = "{ shop: INTEGER, cents: BIGINT }";
const versions = `
      - columns: ${first}
      - from: ${after}
        columns: { shop: INTEGER, channel: VARCHAR, cents: BIGINT }`;

test("two days with different columns run the same SQL", async () => {
  const path = job("shops", versions, ["by_shop.sql", "by_channel.sql"]);
  writeDay("shops", before, plain);
  writeDay("shops", after, withChannel);

  const runs = [await runDay(it, path, before), await runDay(it, path, after)];

  expect(runs.map(({ state, rowsIn, rejects }) => [state, rowsIn, rejects])).toEqual([
    ["committed", 4_000, 0],
    ["committed", 4_000, 0],
  ]);
  expect(await differences(it, path, before)).toEqual([]);
  expect(await differences(it, path, after)).toEqual([]);
  const channels = it.client.read("by_channel", before);
  expect((await readArrowRows(channels)).rows.map((row) => row.map(String))).toEqual([
    ["unknown", "7998000"],
  ]);
  const both = it.client.read("by_channel", after, { orderBy: "channel" });
  expect((await readArrowRows(both)).rows.map(([channel]) => channel)).toEqual(["shop", "web"]);
  const bundle = await readJobBundle(path);
  const told = [await it.client.explain({ bundle }, before), await it.client.explain({ bundle })];
  expect(told.map(({ text }) => /scans sales once, .*/.exec(text)?.[0])).toEqual([
    expect.stringMatching(/keeps 2 of 2 columns \(shop, cents\); channel NULL: not in these files/),
    expect.stringMatching(/keeps 3 of 3 columns \(shop, channel, cents\)$/),
  ]);
}, 180_000);

test("a new version leaves the map outputs of the days before what they were", async () => {
  writeDay("kept", before, plain);
  const told = await runDay(it, job("kept", first, ["by_shop_only.sql"]), before);
  expect(told.state).toBe("committed");

  const changed = job("kept", versions, ["by_shop_only.sql"]);
  const again = await runDay(it, changed, before, { rerun: true });

  expect(again.state).toBe("committed");
  const scans = taskCounts(again, "scan");
  expect([scans.tasks > 0, scans.reused]).toEqual([true, scans.tasks]);
  expect(await differences(it, changed, before)).toEqual([]);
}, 180_000);

test("a changed job file beside the form that the cluster knows", async () => {
  const changed = await readJobBundle(job("shops", versions, ["by_shop.sql"]));
  const { text } = await it.client.explain({ bundle: changed }, after, { diff: true });
  expect(text.trimEnd().split("\n")).toEqual([
    "job shops: what would change (+ new, - gone, ~ other)",
    expect.stringMatching(/^ {2}- models\.by_channel\.sql: /),
    "  - models.by_channel.file: by_channel.sql",
    "columns of datasets:",
    "  - by_channel.channel: VARCHAR",
    expect.stringMatching(/^ {2}- by_channel\.cents: /),
    "stages:",
    ...Array.from({ length: 3 }, () => expect.stringMatching(/^ {2}[-+] (scans|reads) /)),
    `${after}: other rows: a day that is done was made from another form of the job`,
    expect.stringMatching(/^map outputs of sales: /),
  ]);
  const named = it.client.explain({ job: "shops" }, "", { diff: true });
  await expect(named).rejects.toThrow(/name the file of job shops/);
  const unknown = { ...changed, jobYaml: changed.jobYaml.replace("name: shops", "name: other") };
  const asked = it.client.explain({ bundle: unknown }, "", { diff: true });
  await expect(asked).rejects.toThrow(/job "other" is not known/);
}, 60_000);

test("SQL that does not hold for the days before is refused at submit, with the form that it fails for", async () => {
  const retyped = `
      - columns: { shop: VARCHAR, cents: VARCHAR }
      - from: ${after}
        columns: { shop: INTEGER, cents: BIGINT }`;
  const bundle = await readJobBundle(job("retyped", retyped, ["by_shop_only.sql"]));
  const summed = {
    ...bundle,
    sqlFiles: { "by_shop_only.sql": "SELECT shop, sum(cents) AS cents FROM sales GROUP BY shop" },
  };
  const refused = await it.client
    .submit({ bundle: summed }, after)
    .catch((error: unknown) => error);
  if (!(refused instanceof DaymillError)) throw new Error("it was accepted");
  expect(refused.failure.code).toBe("jobInvalid");
  expect(refused.failure.message).toMatch(/by_shop_only\.sql.*with the first columns/s);
}, 60_000);
