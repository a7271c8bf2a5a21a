/**
 * The jobs that the simulation runs: small, and planned by the production planner with DuckDB's own parser, once per
 * process, before any virtual time passes. Between them their plans have what plans have: a shared exchange, sums in
 * two steps, a model over a model, a join of two sources, checks; in some histories a model across days.
 */

import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import { must } from "../../shared/kernel/assert.ts";
import type { CheckSeverity } from "../../shared/kernel/check.ts";
import type { JobSpec, SourceSpec } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";

/** Days that are worked on; each job runs for each. */
export const simDays = ["2026-01-15", "2026-01-16"] as const;

function source(name: string, columns: readonly string[]): SourceSpec {
  return {
    name,
    path: `raw/${name}/day={day}/*.csv`,
    format: "csv",
    columns: columns.map((column) => ({ name: column, type: "BIGINT" })),
    csv: plainCsv,
    rejectsMaxShare: 0.1,
    allowEmptyFiles: false,
  };
}

function job(
  name: string,
  sources: readonly SourceSpec[],
  models: Readonly<Record<string, string>>,
  checks: readonly (readonly [model: string, sql: string, severity: CheckSeverity])[],
): JobSpec {
  return {
    name,
    timezone: "UTC",
    sources,
    dimensions: [],
    models: Object.entries(models).map(([model, sql]) => ({
      name: model,
      sql,
      file: `${model}.sql`,
    })),
    checks: checks.map(([model, sql, severity]) => ({
      name: `${model}-check`,
      model,
      sql,
      expect: 0,
      severity,
    })),
    consumers: [{ name: "bi", datasets: Object.keys(models) }],
    backlogDays: 2,
    execution: { partitions: 4, groups: 2, splitBytes: 250, maxAttempts: 4 },
  };
}

const traffic = job(
  "traffic",
  [source("records", ["msisdn", "cell", "bytes"])],
  {
    per_subscriber:
      "SELECT msisdn, sum(bytes) AS bytes, count(*) AS records FROM records GROUP BY msisdn",
    per_cell:
      "SELECT cell, count(DISTINCT msisdn) AS subscribers, sum(bytes) AS bytes FROM records GROUP BY cell",
    segments:
      "SELECT CASE WHEN bytes > 1000 THEN 'heavy' ELSE 'light' END AS segment, count(*) AS subscribers FROM per_subscriber GROUP BY 1",
  },
  [["per_cell", "SELECT count(*) FROM per_cell WHERE bytes < 0", "block"]],
);

const visits = job(
  "visits",
  [source("calls", ["msisdn", "seconds"]), source("homes", ["msisdn", "site"])],
  {
    visitors:
      "SELECT calls.msisdn, homes.site, sum(calls.seconds) AS seconds FROM calls JOIN homes ON calls.msisdn = homes.msisdn GROUP BY calls.msisdn, homes.site",
  },
  [["visitors", "SELECT count(*) FROM visitors WHERE seconds < 0", "quarantine"]],
);

/** The same with a model of this day and the one before it. What is superseded goes, unless somebody reads it. */
const trafficAcross: JobSpec = {
  ...traffic,
  retention: { revisions: 0, rejectsDays: 30, lateDays: 90 },
  models: [
    ...traffic.models,
    {
      name: "trend",
      sql: "SELECT msisdn, sum(bytes) AS bytes FROM per_subscriber_history GROUP BY msisdn",
      file: "trend.sql",
      history: [{ dataset: "per_subscriber", days: 2 }],
    },
  ],
};

export interface SimJob {
  readonly spec: JobSpec;
  readonly plan: JobPlan;
  /** The job with a model across days, where it has such a form. */
  readonly across?: Pick<SimJob, "spec" | "plan">;
}

let planned: Promise<readonly SimJob[]> | undefined;

/** All jobs with their plans. Plans are made once per process. */
export function planJobs(): Promise<readonly SimJob[]> {
  planned ??= plan();
  return planned;
}

async function plan(): Promise<readonly SimJob[]> {
  const binder = await openBinder();
  try {
    const made = async (spec: JobSpec) => ({ spec, plan: await planWithBinder(spec, binder) });
    return [{ ...(await made(traffic)), across: await made(trafficAcross) }, await made(visits)];
  } finally {
    binder.close();
  }
}

export function planOf(jobs: readonly SimJob[], name: string): JobPlan {
  return must(
    jobs.find(({ spec }) => spec.name === name),
    "only known jobs are submitted",
  ).plan;
}
