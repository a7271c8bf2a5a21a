/**
 * The jobs that ship: each model equals plain DuckDB over the same rows, and the plan is as lean as it should be. The rows
 * are made from the declared columns, so any job can be tried this way.
 */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { selectedPlan } from "../../coordinator/core/selection.ts";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import type { Column, JobSpec } from "../../shared/kernel/job.ts";
import { fileTableColumns } from "../../shared/kernel/plan.ts";
import { firstDifference, LocalRunner } from "../sql/local-runner.ts";
import { shapeOf } from "./planning.ts";

async function jobAt(path: string): Promise<JobSpec> {
  return parseJob(await readJobBundle(fileURLToPath(new URL(`../../${path}`, import.meta.url))));
}

async function planned(job: JobSpec) {
  const binder = await openBinder();
  try {
    return await planWithBinder(job, binder);
  } finally {
    binder.close();
  }
}

/** A value of the type from row number `i`: few distinct ones, so that groups and joins have matches. */
function valueSql(column: Column, index: number): string {
  const spread = `(hash(i, ${index}) % ${[23, 40, 300, 7][index % 4]})`;
  const by: Readonly<Record<string, string>> = {
    VARCHAR: `'v' || ${spread}`,
    TIMESTAMP: `TIMESTAMP '2026-01-15' + to_seconds((hash(i, ${index}) % 86400)::BIGINT)`,
    DATE: "DATE '2026-01-15'",
    BOOLEAN: `${spread} % 2 = 0`,
    DOUBLE: `${spread} / 7.0`,
  };
  if (/_ms$/.test(column.name) && column.type === "BIGINT") {
    return `(1768435200000 + hash(i, ${index}) % 90000000)::BIGINT`;
  }
  return by[column.type] ?? `(${spread} + 1)::${column.type}`;
}

function tableOf(name: string, columns: readonly Column[], rows: number, unique: boolean): string {
  const select = columns.map((column, index) => {
    const key = unique && index === 0;
    const value = key
      ? column.type === "VARCHAR"
        ? "'v' || i"
        : `i::${column.type}`
      : valueSql(column, index);
    return `${value} AS "${column.name}"`;
  });
  return `CREATE TABLE base."${name}" AS SELECT ${select.join(", ")} FROM range(${rows}) r(i)`;
}

function filesOf(name: string): string {
  const select = fileTableColumns.map((column, index) =>
    column.type === "VARCHAR"
      ? `'gw=' || (i % 4) || '/' || i AS "${column.name}"`
      : `${valueSql(column, index)} AS "${column.name}"`,
  );
  return `CREATE TABLE base."${name}_files" AS SELECT ${select.join(", ")} FROM range(12) r(i)`;
}

describe.each(["jobs/ipdr-daily.yaml", "test/fixtures/retail/job.yaml"])("%s", (path) => {
  test("every model equals plain DuckDB", { timeout: 120_000 }, async () => {
    const job = await jobAt(path);
    const plan = await planned(job);
    const runner = await LocalRunner.open(inputsOf(job));
    const order = plan.datasets.map((dataset) => dataset.model);
    await runner.execute(plan, { splits: 2, partitions: 7 });
    for (const model of order) {
      const needed = withInputs(job, model);
      const expected = await runner.reference(needed);
      const actual = await runner.dataset(model);
      expect(firstDifference(actual, expected), model).toBeUndefined();
    }
    runner.close();
  });

  test("each model alone is what it is among the others", { timeout: 120_000 }, async () => {
    const job = await jobAt(path);
    const plan = await planned(job);
    for (const { name } of job.models) {
      const selected = selectedPlan(plan, [name]);
      if ("code" in selected) throw new Error(selected.message);
      expect(selected.plan.datasets.map(({ model }) => model)).toEqual([name]);
      const runner = await LocalRunner.open(inputsOf(job));
      const expected = await runner.reference(withInputs(job, name));
      const actual = await runner.run(selected.plan, name, { splits: 2, partitions: 2 });
      expect(firstDifference(actual, expected), name).toBeUndefined();
      runner.close();
    }
  });

  test("each source is scanned once", async () => {
    const plan = await planned(await jobAt(path));
    const scanned = plan.stages.flatMap((stage) =>
      stage.input.kind === "scan" ? [stage.input.source] : [],
    );
    expect(new Set(scanned).size).toBe(scanned.length);
  });
});

/** Statements that make its input tables. */
function inputsOf(job: JobSpec): readonly string[] {
  return [
    "CREATE SCHEMA base",
    ...job.sources.flatMap((source) => [
      tableOf(source.name, source.columns, 3_000, false),
      filesOf(source.name),
    ]),
    ...job.dimensions.map((dimension) => tableOf(dimension.name, dimension.columns, 30, true)),
  ];
}

/** The model with the models below it, inputs first. */
function withInputs(job: JobSpec, name: string): readonly { name: string; sql: string }[] {
  const model = job.models.find((entry) => entry.name === name);
  if (model === undefined) return [];
  const below = job.models.filter(
    (entry) =>
      entry.name !== name && new RegExp(`\\b${entry.name}\\b`).test(model.sql.replace(/--.*/g, "")),
  );
  const all = [...below.flatMap((entry) => withInputs(job, entry.name)), model];
  return all.filter(
    (entry, index) => all.findIndex((other) => other.name === entry.name) === index,
  );
}

test("a plan says which models read which, as their SQL does", async () => {
  const { reads } = await planned(await jobAt("jobs/ipdr-daily.yaml"));
  expect(reads).toEqual({
    top_apps: ["app_daily"],
    cell_busy_hour: ["cell_hourly"],
    subscriber_segment: ["subscriber_daily"],
    segments: ["subscriber_segment"],
  });
});

test("the IPDR job sends each record once, by subscriber, and only small partials after that", async () => {
  const plan = await planned(await jobAt("jobs/ipdr-daily.yaml"));
  const [scan] = shapeOf(plan);
  expect(scan).toMatch(/^scan ipdr → x0 by msisdn; x\d+ by [^;]*$/);
  const raw = plan.stages[0]?.outputs.filter((output) => / FROM ipdr AS t$/.test(output.sql));
  expect(raw).toHaveLength(1);
  expect(plan.exchanges.filter((exchange) => exchange.keys.includes("msisdn"))).toHaveLength(1);
  expect(
    shapeOf(plan)
      .slice(1)
      .map((line) => line.replace(/ →.*/, "")),
  ).toEqual(["x0", "x1 + x2 + x3 + x4 + x5", "x6"]);
});
