/** What `daymill explain --diff` tells: every field that is other, datasets, stages, and what becomes of what is there. */
import { describe, expect, test } from "vitest";
import { diffJobs, diffText, type JobForm } from "../../coordinator/core/planner/explain-diff.ts";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { jobOnDay } from "../../shared/kernel/job-day.ts";
import { jobOf } from "../sql/tables.ts";

const day = "2026-01-15";
const sql = `SELECT app_id,
  count(*) AS n
FROM events
GROUP BY app_id`;
const job = jobOf([{ name: "by_app", sql }]);

async function formOf(changed: JobSpec): Promise<JobForm> {
  const binder = await openBinder();
  const onDay = jobOnDay(changed, day);
  try {
    return { job: changed, onDay, plan: await planWithBinder(onDay, binder) };
  } finally {
    binder.close();
  }
}

async function diffWith(changed: JobSpec) {
  return diffJobs(await formOf(job), await formOf(changed), day);
}

async function lines(changed: JobSpec): Promise<readonly string[]> {
  return diffText(await diffWith(changed), day)
    .trimEnd()
    .split("\n");
}

const head = "job sql-test: what would change (+ new, - gone, ~ other)";
const sameRows = `${day}: the same rows: a day that is done stays as it is`;
const otherRows = `${day}: other rows: a day that is done was made from another form of the job`;
const kept = "map outputs of events: those that are kept are used again";
const anew = "map outputs of events: none is used again, all files are read anew";

describe("a job file beside the known form", () => {
  test("nothing", async () => {
    expect(await lines(job)).toEqual([
      "job sql-test: the cluster knows it in this form; nothing would change",
    ]);
  });

  test("when and how it runs, in the words of job files", async () => {
    const after = [{ job: "shops", dataset: "prices" }];
    const changed: JobSpec = {
      ...job,
      schedule: "0 1 * * *",
      finishByModel: { by_app: "05:00" },
      after,
      backlogDays: 14,
      ready: { events: { by: "count", value: "96" } },
      execution: { ...job.execution, maxAttempts: 2 },
    };
    const told = await lines(changed);
    expect([told[0], ...told.slice(-2)]).toEqual([head, sameRows, kept]);
    expect(told.slice(1, -2).sort()).toEqual([
      "  + after.shops/prices: prices of shops",
      "  + deadline.models.by_app: 05:00",
      "  + ready.events.by: count",
      "  + ready.events.value: 96",
      "  + schedule.cron: 0 1 * * *",
      "  ~ backlog.days: 7 → 14",
      "  ~ execution.max_attempts: 4 → 2",
    ]);
  });

  test("SQL, line by line, and what it makes", async () => {
    const more = sql.replace("count(*) AS n", "count(*) AS n,\n  sum(bytes) AS bytes");
    const changed = jobOf([{ name: "by_app", sql: more }]);
    expect(await lines(changed)).toEqual([
      head,
      "  ~ models.by_app.sql:",
      "      -   count(*) AS n",
      "      +   count(*) AS n,",
      "      +   sum(bytes) AS bytes",
      "columns of datasets:",
      "  + by_app.bytes: DECIMAL(38,0)",
      otherRows,
      anew,
    ]);
  });

  test("a model that reads another source leaves the maps of the first one", async () => {
    const changed = jobOf([
      { name: "by_app", sql },
      { name: "pages", sql: "SELECT page, count(*) AS n FROM visits GROUP BY page" },
    ]);
    const diff = await diffWith(changed);
    expect([diff.mapsKept, diff.mapsAnew, diff.sameRows]).toEqual([["events"], ["visits"], false]);
    expect(diff.stages.gone).toEqual([]);
    expect(diff.stages.new).toEqual([
      expect.stringMatching(/^scans visits, sends x1 by /),
      "reads x1, writes pages",
    ]);
    expect(diff.datasets.map(({ path, to }) => [path, to])).toEqual([
      ["pages.page", "VARCHAR"],
      ["pages.n", "BIGINT"],
    ]);
  });
});

describe("columns", () => {
  const [events, visits] = job.sources;
  if (events === undefined || visits === undefined) throw new Error("the job has two sources");
  const before = { ...visits, columns: visits.columns.slice(0, 2) };
  const withSources = (...sources: JobSpec["sources"]) => ({ ...job, sources });

  test("one more in the middle of the file", async () => {
    const known = withSources(events, before);
    const [user, page] = before.columns;
    if (user === undefined || page === undefined) throw new Error("there are two");
    const columns = [user, { name: "site", type: "VARCHAR" }, page];
    const given = withSources(events, { ...before, columns });
    const diff = diffJobs(await formOf(known), await formOf(given), day);
    expect(diff.fields).toEqual([
      { path: "sources.visits.columns.site", to: "VARCHAR" },
      {
        path: "sources.visits.columns (in the order of the file)",
        from: "user_id, page",
        to: "user_id, site, page",
      },
    ]);
  });

  test("a version that begins later changes nothing for the day", async () => {
    const versions = [{ columns: before.columns }, { from: "2026-02-01", columns: visits.columns }];
    const known = withSources(events, before);
    const given = withSources(events, { ...visits, versions });
    const diff = diffJobs(await formOf(known), await formOf(given), day);
    expect(diff.sameRows).toBe(true);
    expect(diff.mapsKept).toEqual(["events"]);
    const later = { path: "sources.visits.columns.from 2026-02-01.columns.ms", to: "BIGINT" };
    expect(diff.fields).toContainEqual(later);
  });
});
