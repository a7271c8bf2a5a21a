/**
 * Map and reduce through the executor program: two files are mapped by two worker processes, their rows cross the real
 * exchange, two reduces write Parquet. Memory that runs out costs a worker process and nothing else.
 */

import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import type { SourceSpec } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import type { ExchangePlan, StagePlan } from "../../shared/kernel/plan.ts";
import type {
  AttemptOutcome,
  AttemptSuccess,
  ExchangeRoute,
  FileFingerprint,
  MapWork,
  ReduceWork,
} from "../../shared/kernel/work.ts";
import { reportOn, until } from "./fake-hub.ts";
import { Bed, dispatch, workersOf } from "./program.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.open();
});
afterEach(() => bed.clear());
afterAll(() => bed.close());

const columns = [
  { name: "k", type: "BIGINT" },
  { name: "v", type: "BIGINT" },
];
const source: SourceSpec = {
  name: "src",
  path: "raw/*.csv",
  format: "csv",
  columns,
  csv: plainCsv,
  rejectsMaxShare: 0,
  allowEmptyFiles: false,
};
const exchange: ExchangePlan = { id: "x0", columns, keys: ["k"], partitions: 8, groups: 2 };
const route: ExchangeRoute = { exchange: "x0", streams: ["DMX_test_0", "DMX_test_1"] };
const mapStage: StagePlan = {
  id: "s0",
  input: { kind: "scan", source: "src", keep: ["k", "v"], files: false },
  dimensions: [],
  tables: [],
  outputs: [{ kind: "exchange", exchange: "x0", sql: "SELECT k, v FROM src" }],
};
const sums = [
  { name: "k", type: "BIGINT" },
  { name: "total", type: "BIGINT" },
];
const reduceStage: StagePlan = {
  id: "s1",
  input: { kind: "exchange", exchanges: ["x0"] },
  dimensions: [],
  tables: [],
  outputs: [
    {
      kind: "dataset",
      model: "sums",
      sql: "SELECT k, sum(v)::BIGINT AS total FROM x0 GROUP BY k",
      columns: sums,
      single: false,
    },
  ],
};
const common = { wire: 1, hash: 1, duckdb: "v1.5.6", timezone: "UTC", dimensions: [] };

/** A file of `rows` lines: keys 0..99 in turn, each value 1. */
function makeFile(path: string, rows: number): FileFingerprint {
  const absolute = join(bed.root, path);
  mkdirSync(dirname(absolute), { recursive: true });
  writeFileSync(absolute, Array.from({ length: rows }, (_, row) => `${row % 100},1\n`).join(""));
  const stats = statSync(absolute, { bigint: true });
  return {
    path,
    size: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    inode: String(stats.ino),
  };
}

function done(outcome: AttemptOutcome): AttemptSuccess {
  if (outcome.kind === "failed") throw new Error(JSON.stringify(outcome.failure));
  return outcome;
}

test("two maps, the exchange, two reduces: every row arrives once, in Parquet files", async () => {
  const admin = await openExchangeAdmin(bed.link, { replicas: 1 });
  await admin.ensure(route.streams);
  const hub = await bed.lead();
  bed.start();
  await workersOf(hub);

  const maps = [10_000, 25_000].map((rows, task) => {
    const files = [makeFile(`raw/${task}.csv`, rows)];
    const work: MapWork = {
      kind: "map",
      ...common,
      source,
      split: { files },
      stage: mapStage,
      exchanges: [exchange],
    };
    dispatch(hub, `map-${task}`, work, { task, outputs: [route] });
    return `map-${task}`;
  });
  const mapped = await Promise.all(maps.map(async (id) => done(await reportOn(hub, id))));
  expect(mapped.map((one) => one.counters.rowsIn)).toEqual([10_000, 25_000]);
  expect(mapped.map((one) => one.outputs[0]?.rows)).toEqual([10_000, 25_000]);

  const winners = mapped.map((one, task) => ({
    attemptId: `map-${task}`,
    digest: one.outputs[0]?.digest ?? "",
  }));
  const reduces = [0, 1].map((group) => {
    const work: ReduceWork = {
      kind: "reduce",
      ...common,
      day: "2026-01-15",
      group,
      stage: reduceStage,
      exchanges: [exchange],
    };
    const inputs = [{ ...route, winners }];
    dispatch(hub, `reduce-${group}`, work, { stage: "s1", task: group, inputs });
    return `reduce-${group}`;
  });
  const reduced = await Promise.all(reduces.map(async (id) => done(await reportOn(hub, id))));
  expect(reduced.reduce((sum, one) => sum + one.counters.rowsIn, 0)).toBe(35_000);
  const files = reduced.flatMap((one) => one.files);
  expect(files.reduce((sum, file) => sum + file.rows, 0)).toBe(100);
  for (const file of files) expect(statSync(join(bed.root, file.path)).size).toBe(file.bytes);

  dispatch(hub, "check", {
    kind: "check",
    duckdb: "v1.5.6",
    timezone: "UTC",
    check: { name: "total", model: "sums", sql: "SELECT sum(total) || '/' || count(*) FROM sums" },
    columns: sums,
    files: files.map((file) => file.path),
  });
  expect(done(await reportOn(hub, "check")).checkValue).toBe("35000/100");
});

test("memory that runs out fails the attempt as such and replaces the worker", async () => {
  const hub = await bed.lead();
  const executor = bed.start();
  const before = await workersOf(hub);
  dispatch(hub, "hungry", {
    kind: "check",
    duckdb: "v1.5.6",
    timezone: "UTC",
    check: {
      name: "hungry",
      model: "m",
      sql: "SELECT len(list(i || 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxx')) FROM range(100000000) t(i)",
    },
    columns: sums,
    files: [],
  });
  expect(await reportOn(hub, "hungry")).toMatchObject({ failure: { code: "outOfMemory" } });
  const after = await until("a fresh worker", () => {
    const pids = hub.heartbeats.at(-1)?.workerPids ?? [];
    return pids.length === 2 && pids.some((pid) => !before.includes(pid)) && pids;
  });
  expect(after.filter((pid) => before.includes(pid))).toHaveLength(1);
  const [baseDir = ""] = readdirSync(executor.workDir);
  await until("the old worker's folder to go", () => {
    return readdirSync(join(executor.workDir, baseDir)).length === 2;
  });
});
