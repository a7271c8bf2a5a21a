/**
 * The day that `bench-scheduler` runs: a job of the size of a real one (20 columns, a few kilobytes of SQL), two
 * exchanges of which one is wide, and a file per map task. Values only.
 */

import type { ListedSource } from "../coordinator/core/protocol.ts";
import type { JobSpec } from "../shared/kernel/job.ts";
import { plainCsv } from "../shared/kernel/job.ts";
import type { JobPlan } from "../shared/kernel/plan.ts";
import type { AttemptSuccess, Delivery, Work } from "../shared/kernel/work.ts";

const columns = Array.from({ length: 20 }, (_, index) => ({
  name: `column_${index}`,
  type: index % 4 === 0 ? "VARCHAR" : "BIGINT",
}));

/** Some 150 bytes of SQL for each column of a SELECT. */
function selectOf(table: string, from: number, to: number): string {
  const parts = columns
    .slice(from, to)
    .map(
      ({ name }) =>
        `CAST(sum(CASE WHEN ${table}.column_1 % 7 = 3 THEN ${table}.${name} ELSE NULL END) AS ` +
        `DECIMAL(38,0)) AS ${name}_sum, count(DISTINCT ${table}.${name}) AS ${name}_count`,
    );
  return `SELECT column_0, column_1, ${parts.join(", ")} FROM ${table} GROUP BY column_0, column_1`;
}

export interface Shape {
  readonly partitions: number;
  readonly groups: number;
}

/** Reduce tasks of one run. */
export function reduceTasks({ groups }: Shape): number {
  return groups + 8;
}

export function planOf({ partitions, groups }: Shape): JobPlan {
  const exchange = (id: string, sql: string) => ({ kind: "exchange", exchange: id, sql }) as const;
  const dataset = (model: string, sql: string) =>
    ({ kind: "dataset", model, sql, columns, single: false }) as const;
  const reduce = (id: string, from: string, model: string) => ({
    id,
    input: { kind: "exchange", exchanges: [from] } as const,
    dimensions: [],
    tables: [],
    outputs: [dataset(model, selectOf(from, 0, 12))],
  });
  return {
    stages: [
      {
        id: "s0",
        input: {
          kind: "scan",
          source: "ipdr",
          keep: columns.map(({ name }) => name),
          files: false,
        },
        dimensions: [],
        tables: [],
        outputs: [
          exchange("x0", selectOf("ipdr", 0, 10)),
          exchange("x1", selectOf("ipdr", 10, 18)),
        ],
      },
      reduce("s1", "x0", "usage_hourly"),
      reduce("s2", "x1", "cell_hourly"),
    ],
    exchanges: [
      { id: "x0", columns, keys: ["column_0"], partitions, groups },
      { id: "x1", columns, keys: ["column_1"], partitions: 64, groups: 8 },
    ],
    datasets: [
      { model: "usage_hourly", stage: "s1", columns },
      { model: "cell_hourly", stage: "s2", columns },
    ],
    usesLogicalTime: false,
  };
}

export function jobOf({ partitions, groups }: Shape): JobSpec {
  return {
    name: "ipdr-daily",
    timezone: "Asia/Kolkata",
    sources: [
      {
        name: "ipdr",
        path: "raw/ipdr/day={day}/*.csv.gz",
        format: "csv.gz",
        columns,
        csv: plainCsv,
        rejectsMaxShare: 0.01,
        allowEmptyFiles: false,
      },
    ],
    dimensions: [],
    models: [
      { name: "usage_hourly", sql: "SELECT 1", file: "usage_hourly.sql" },
      { name: "cell_hourly", sql: "SELECT 1", file: "cell_hourly.sql" },
    ],
    checks: [],
    backlogDays: 7,
    execution: { partitions, groups, splitBytes: 120_000_000, maxAttempts: 4 },
  };
}

/** One file of 120 MB per map task. */
export function filesOf(day: string, count: number): ListedSource["files"] {
  const files = Array.from({ length: count }, (_, index) => ({
    path: `raw/ipdr/day=${day}/gateway-${index % 40}-${String(index).padStart(6, "0")}.csv.gz`,
    size: 120_000_000,
    mtimeNs: `17684${String(index).padStart(14, "0")}`,
    ctimeNs: `17684${String(index).padStart(14, "0")}`,
    inode: String(9_000_000 + index),
  }));
  // As they come from storage: each text in one piece, where a template makes it of several.
  return JSON.parse(JSON.stringify(files)) as ListedSource["files"];
}

/** What a worker would report: the text has the length of a real one, the numbers mean nothing. */
export function outcomeOf(work: Work, delivery: Delivery, number: number): AttemptSuccess {
  const hex = number.toString(16).padStart(16, "0").repeat(4);
  const counters = {
    rowsIn: 800_000,
    bytesIn: 120_000_000,
    rowsOut: 800_000,
    bytesOut: 60_000_000,
    elapsedMs: 4_000,
    peakMemoryBytes: 400_000_000,
  };
  const outputs = delivery.outputs.map(({ exchange }) => ({
    exchange,
    digest: hex,
    checksum: String(number * 7_919),
    rows: 800_000,
    bytes: 30_000_000,
    messages: 64,
  }));
  if (work.kind !== "map") {
    const stage = delivery.stage === "s1" ? "usage_hourly" : "cell_hourly";
    const path = `${delivery.stagingDir}/${stage}-${delivery.task}.parquet`;
    const file = { model: stage, path, rows: 10_000, bytes: 1_000_000, sha256: hex };
    return { kind: "done", outputs, files: [file], accounts: [], counters };
  }
  const accounts = work.split.files.map((file, index) => ({
    // As it comes off the wire: a value of its own.
    file: { ...file },
    contentSha256: `${number}/${index}`,
    plainBytes: 500_000_000,
    lines: 800_000,
    rows: 799_990,
    rejects: 10,
    blank: 0,
    outsideDay: 12,
    lastLineUnterminated: false,
  }));
  return { kind: "done", outputs, files: [], accounts, counters };
}
