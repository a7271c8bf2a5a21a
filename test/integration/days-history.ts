/**
 * A job that reads a week of another job's dataset, on the cluster of days-week.ts: what it makes while days are missing,
 * what is told when they come, and that each number is what plain DuckDB says over the files that readers see.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { projectRoot } from "../../shared/adapters/project.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import { query } from "../worker/query.ts";
import { runDay, type TestCluster } from "./cluster-fixture.ts";

const weekSql = `SELECT msisdn % 50 AS k, count(DISTINCT day) AS days, count(DISTINCT msisdn) AS people,
  sum(dl_bytes) AS bytes, max(day) AS newest FROM subscriber_daily_history GROUP BY 1`;
const cellsSql = "SELECT cell, count(*) AS n FROM ipdr GROUP BY cell";
const busySql = "SELECT day, count(*) AS cells, sum(n) AS n FROM busy_cells_history GROUP BY day";

/** Writes the job, with the source of the example; gives its path. */
function weekJob(work: string): string {
  const folder = join(work, "week");
  mkdirSync(folder, { recursive: true });
  const texts = { "week.sql": weekSql, "cells.sql": cellsSql, "busy.sql": busySql };
  for (const [file, sql] of Object.entries(texts)) writeFileSync(join(folder, file), sql);
  const example = readFileSync(join(projectRoot(), "jobs/ipdr-daily.yaml"), "utf8");
  const sources = example.slice(example.indexOf("sources:"), example.indexOf("dimensions:"));
  const path = join(folder, "week.yaml");
  writeFileSync(
    path,
    `name: week
${sources}
models:
  busy_cells: { sql: cells.sql }
  busy_days: { sql: busy.sql, history: { busy_cells: 7 } }
  people_of_week:
    sql: week.sql
    history:
      subscriber_daily:
        days: 7
        job: ipdr-daily
        columns: { msisdn: BIGINT, dl_bytes: BIGINT }
execution: { partitions: 4, groups: 2, split_bytes: 64KiB }
`,
  );
  return path;
}

/** Makes another day of the same job first, which the one that is looked at reads. */
export async function weekBefore(it: TestCluster, day: string): Promise<void> {
  const run = await runDay(it, weekJob(it.work), day);
  expect([run.state, run.failure?.message]).toEqual(["committed", undefined]);
}

/** The day is made from what there is: equal to DuckDB's answer, and the run names the days that it did without. */
export async function weekIsRight(
  it: TestCluster,
  { day, absent, revision }: { day: string; absent: readonly string[]; revision: number },
): Promise<void> {
  const run = await runDay(it, weekJob(it.work), day, { rerun: revision > 1 });
  expect([run.runId, run.state, run.failure?.message]).toEqual([
    `week.${day}.r${revision}`,
    "committed",
    undefined,
  ]);
  expect(run.warnings.filter((text) => text.startsWith("ipdr-daily/"))).toEqual(
    absent.length === 0
      ? []
      : [`ipdr-daily/subscriber_daily had no revision of ${absent.join(", ")}: made without`],
  );
  const out = join(it.root, "out");
  const read = (glob: string) => `read_parquet('${join(out, glob)}', hive_partitioning = true)`;
  const plain = (dataset: string, sql: string) => `WITH ${dataset}_history AS (
    SELECT * REPLACE (day::DATE AS day) FROM ${read(`${dataset}/day=*/*.parquet`)}
    WHERE day::DATE BETWEEN DATE '${day}' - 6 AND DATE '${day}') ${sql} ORDER BY 1`;
  const made = (dataset: string, columns: string) =>
    `SELECT ${columns} FROM read_parquet('${join(out, dataset, `day=${day}/*.parquet`)}', hive_partitioning = false) ORDER BY 1`;
  const people = await query(plain("subscriber_daily", weekSql));
  expect(people).toHaveLength(50);
  expect(await query(made("people_of_week", "k, days, people, bytes, newest"))).toEqual(people);
  const cells = await query(plain("busy_cells", busySql));
  expect(cells.map(([one]) => one)).toContain(day);
  expect(cells).toHaveLength(2);
  expect(await query(made("busy_days", "day, cells, n"))).toEqual(cells);
}

/** Days that were read have other rows, or came: the oldest of them is told, with its revisions. */
export async function weekIsOutOfDate(it: TestCluster, day: string, since: string): Promise<void> {
  const { days } = await it.client.backlog("week", 3);
  expect(days.find((one) => one.day === day)).toMatchObject({
    state: "stale",
    reason: `upstream: ipdr-daily/subscriber_daily of ${since} has revision 1 now, and revision 1 was made without it`,
  });
}

/** Revisions that a run was pinned to, by day. */
export function pinned(it: TestCluster, day: string, revision: number): Record<string, number> {
  const path = join(it.root, "manifests/week", day, `r${revision}.json`);
  const { history = [] } = JSON.parse(readFileSync(path, "utf8")) as RunManifest;
  const read = history.filter(({ job }) => job === "ipdr-daily");
  const days = read.flatMap((table) => table.days);
  return Object.fromEntries(days.map((one) => [one.day, one.revision]));
}
