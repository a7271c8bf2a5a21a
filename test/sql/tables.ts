/**
 * Small synthetic tables for planner tests: NULLs, duplicates, negatives, skew, sums beyond 2^63, a key that only one
 * side has. The same job describes them to the planner and the same SQL fills them for the reference.
 */

import type { Column, JobSpec, ModelSpec } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";

function columns(text: string): readonly Column[] {
  return text.split("|").map((entry) => {
    const [name = "", ...type] = entry.trim().split(" ");
    return { name, type: type.join(" ") };
  });
}

export const sourceColumns: Readonly<Record<string, readonly Column[]>> = {
  events: columns(
    "id BIGINT|user_id BIGINT|app_id SMALLINT|cell INTEGER|ts TIMESTAMP|day DATE|bytes BIGINT|amount DECIMAL(10,2)|score DOUBLE|ok BOOLEAN|note VARCHAR",
  ),
  visits: columns("user_id INTEGER|page VARCHAR|ms BIGINT|ts TIMESTAMP"),
};

export const dimensionColumns: Readonly<Record<string, readonly Column[]>> = {
  apps: columns("app_id SMALLINT|name VARCHAR|category VARCHAR"),
  cells: columns("cell INTEGER|region VARCHAR"),
};

/** A job over the tables with the given models, last one usually the one asked about. */
export function jobOf(models: readonly { name: string; sql: string }[], partitions = 7): JobSpec {
  return {
    name: "sql-test",
    timezone: "UTC",
    sources: Object.entries(sourceColumns).map(([name, list]) => ({
      name,
      path: `raw/${name}/{day}/*.csv`,
      format: "csv",
      columns: list,
      csv: plainCsv,
      rejectsMaxShare: 0,
      allowEmptyFiles: false,
    })),
    dimensions: Object.entries(dimensionColumns).map(([name, list]) => ({
      name,
      path: `dims/${name}.csv`,
      format: "csv",
      columns: list,
      csv: plainCsv,
    })),
    models: models.map(
      (model): ModelSpec => ({
        name: model.name,
        sql: model.sql,
        file: `models/${model.name}.sql`,
      }),
    ),
    checks: [],
    backlogDays: 7,
    execution: { partitions, groups: Math.min(8, partitions), splitBytes: 1, maxAttempts: 4 },
  };
}

/** Statements that make and fill the tables in schema `base`; `rows` of events, a third as many visits. */
export function fillStatements(rows: number): readonly string[] {
  const define = (name: string, list: readonly Column[]): string =>
    `CREATE TABLE base.${name} (${list.map((entry) => `${entry.name} ${entry.type}`).join(", ")})`;
  return [
    "CREATE SCHEMA base",
    ...Object.entries(sourceColumns).map(([name, list]) => define(name, list)),
    ...Object.entries(dimensionColumns).map(([name, list]) => define(name, list)),
    `INSERT INTO base.events SELECT
      i % ${Math.floor(rows * 0.97)},
      CASE WHEN i % 41 = 0 THEN NULL WHEN i % 3 = 0 THEN 7 ELSE (hash(i) % 300)::BIGINT - 20 END,
      CASE WHEN i % 53 = 0 THEN NULL ELSE (hash(i + 1) % 14)::SMALLINT END,
      (hash(i, 2) % 40)::INTEGER,
      TIMESTAMP '2026-01-15 00:00:00' + to_seconds((hash(i + 3) % 90000)::BIGINT),
      DATE '2026-01-14' + (hash(i + 9) % 3)::INTEGER,
      CASE WHEN i % 37 = 0 THEN NULL WHEN i % 11 = 0 THEN -(i * 7) ELSE 9007199254740993 + i * 1000000007 END,
      CASE WHEN i % 29 = 0 THEN NULL ELSE ((hash(i + 4) % 100000)::DECIMAL(12,2) / 100)::DECIMAL(10,2) END,
      CASE WHEN i % 31 = 0 THEN NULL ELSE 1e6 + (hash(i + 5) % 10000) / 7.0 END,
      CASE WHEN i % 23 = 0 THEN NULL ELSE hash(i + 6) % 3 = 0 END,
      CASE WHEN i % 19 = 0 THEN NULL WHEN i % 17 = 0 THEN '' ELSE 'n' || (hash(i + 7) % 25) END
      FROM range(${rows}) r(i)`,
    `INSERT INTO base.visits SELECT
      CASE WHEN i % 43 = 0 THEN NULL ELSE (hash(i + 11) % 340)::INTEGER - 25 END,
      'p' || (hash(i + 12) % 30),
      (hash(i + 13) % 5000)::BIGINT,
      TIMESTAMP '2026-01-15 00:00:00' + to_seconds((hash(i + 14) % 80000)::BIGINT)
      FROM range(${Math.floor(rows / 3)}) r(i)`,
    `INSERT INTO base.apps SELECT i::SMALLINT, 'app' || i, CASE WHEN i % 5 = 0 THEN NULL ELSE 'c' || (i % 4) END
      FROM range(12) r(i)`,
    "INSERT INTO base.cells SELECT i::INTEGER, 'r' || (i % 6) FROM range(35) r(i)",
    `CREATE TABLE base.events_files AS SELECT 'gw=' || (i % 2) || '/f' || i AS file, (i * 1000)::BIGINT AS bytes,
      (i * 10)::BIGINT AS lines, (i * 10 - 1)::BIGINT AS "rows", 1::BIGINT AS rejects, 0::BIGINT AS blank,
      i::BIGINT AS outside_day, (1000 + i)::BIGINT AS first_event_ms, (2000 + i)::BIGINT AS last_event_ms
      FROM range(9) r(i)`,
    `CREATE TABLE base.visits_files AS SELECT * FROM base.events_files LIMIT 0`,
  ];
}
