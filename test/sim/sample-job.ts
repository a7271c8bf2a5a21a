/**
 * A small job: one scan, one exchange of two groups, one reduce that writes the
 * dataset, optionally a check. Real plans come from the planner; the coordinator's tests need only their shape.
 */
import type { SqlCheck } from "../../shared/kernel/check.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";

export function sampleJob(changes: Partial<JobSpec> = {}): JobSpec {
  return {
    name: "usage",
    timezone: "UTC",
    sources: [
      {
        name: "ipdr",
        path: "raw/day={day}/*.csv",
        format: "csv",
        columns: [
          { name: "msisdn", type: "BIGINT" },
          { name: "bytes", type: "BIGINT" },
        ],
        csv: plainCsv,
        rejectsMaxShare: 0.1,
        allowEmptyFiles: false,
      },
    ],
    dimensions: [],
    models: [{ name: "totals", sql: "SELECT 1", file: "totals.sql" }],
    checks: [],
    backlogDays: 2,
    execution: { partitions: 4, groups: 2, splitBytes: 100, maxAttempts: 3 },
    ...changes,
  };
}

export const noNegative: SqlCheck = {
  name: "no-negative",
  model: "totals",
  sql: "SELECT count(*) FROM totals WHERE bytes < 0",
  expect: 0,
  severity: "block",
};

const totals = [
  { name: "msisdn", type: "BIGINT" },
  { name: "bytes", type: "DECIMAL(38,0)" },
];

export function samplePlan(groups = 2): JobPlan {
  return {
    stages: [
      {
        id: "s0",
        input: { kind: "scan", source: "ipdr", keep: ["msisdn", "bytes"], files: false },
        dimensions: [],
        tables: [],
        outputs: [{ kind: "exchange", exchange: "x0", sql: "SELECT msisdn, bytes FROM ipdr" }],
      },
      {
        id: "s1",
        input: { kind: "exchange", exchanges: ["x0"] },
        dimensions: [],
        tables: [],
        outputs: [
          {
            kind: "dataset",
            model: "totals",
            sql: "SELECT msisdn, sum(bytes) AS bytes FROM x0 GROUP BY msisdn",
            columns: totals,
            single: false,
          },
        ],
      },
    ],
    exchanges: [{ id: "x0", columns: totals, keys: ["msisdn"], partitions: 4, groups }],
    datasets: [{ model: "totals", stage: "s1", columns: totals }],
    usesLogicalTime: false,
  };
}

/** `count` files of 100 bytes each; `version` changes their identity. */
export function sampleFiles(count: number, version = 1): readonly FileFingerprint[] {
  return Array.from({ length: count }, (_, index) => ({
    path: `raw/day=2026-01-15/part-${index}.csv`,
    size: 100,
    mtimeNs: String(version),
    ctimeNs: String(version),
    inode: String(index),
  }));
}
