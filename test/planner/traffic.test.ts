/**
 * What a plan says that its exchanges will carry: as values, and against what they do carry, for every query that
 * the SQL corpus runs.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import type { ExchangeTraffic } from "../../shared/kernel/plan.ts";
import { readCorpus } from "../sql/corpus.ts";
import { LocalRunner } from "../sql/local-runner.ts";
import { fillStatements, jobOf } from "../sql/tables.ts";
import { planOf } from "./planning.ts";

async function trafficOf(models: Readonly<Record<string, string>>) {
  return (await planOf(models)).traffic;
}

describe("bounds by rows", () => {
  test("a raw row is sent once; a filter that all readers have makes fewer", async () => {
    const distinct = "count(DISTINCT cell) AS n FROM events";
    const whole = await trafficOf({ u: `SELECT user_id, ${distinct} GROUP BY user_id` });
    const raw = { exchange: "x0", sources: ["events"], assumes: [] };
    expect(whole).toEqual([{ ...raw, atLeast: 1, atMost: 1 }]);
    const some = await trafficOf({ u: `SELECT user_id, ${distinct} WHERE ok GROUP BY user_id` });
    expect(some).toEqual([{ ...raw, atLeast: 0, atMost: 1 }]);
  });

  test("a group is sent once by each split or task, never more often than it has rows", async () => {
    const rows = { each: "groups", times: "split" };
    const flow = { sources: ["events"], atLeast: 0, atMost: 1, assumes: [] };
    expect(await trafficOf({ a: "SELECT cell, count(*) AS n FROM events GROUP BY cell" })).toEqual([
      { exchange: "x0", ...flow, rows },
    ]);
    const [, second] = (await trafficOf({
      m: "SELECT user_id, median(score) AS m FROM events GROUP BY user_id",
      a: "SELECT cell, count(*) AS n FROM events GROUP BY cell",
    })) as readonly ExchangeTraffic[];
    expect(second).toEqual({ exchange: "x1", ...flow, rows: { each: "groups", times: "task" } });
  });

  test("without groups, and for a top-n, the number is known", async () => {
    const [one] = (await trafficOf({ n: "SELECT count(*) AS n FROM events" })) ?? [];
    // An empty split has its row, too.
    expect(one).toMatchObject({ atLeast: 0, rows: { each: 1, times: "split" } });
    expect(one).not.toHaveProperty("atMost");
    const [top] = (await trafficOf({ t: "SELECT id FROM events ORDER BY bytes LIMIT 5" })) ?? [];
    expect(top).toMatchObject({ atMost: 1, rows: { each: 5, times: "split" } });
  });

  test("a report over files sends no more rows than there are files", async () => {
    const sql = "SELECT file, sum(rejects) AS r FROM events_files GROUP BY file";
    expect(await trafficOf({ feeds: sql })).toEqual([
      {
        exchange: "x0",
        sources: ["events"],
        atLeast: 0,
        assumes: [],
        rows: { each: "files", times: "run" },
      },
    ]);
  });

  test("a look-up keeps the bound if its dimension has one row a key; a join of two sources has none", async () => {
    const [, looked] = (await trafficOf({
      m: "SELECT user_id, median(score) AS m FROM events GROUP BY user_id",
      c: "SELECT category, count(*) AS n FROM events JOIN apps USING (app_id) GROUP BY category",
    })) as readonly ExchangeTraffic[];
    expect(looked).toMatchObject({ atMost: 1, assumes: ["apps"] });
    const joined = (await trafficOf({
      j: "SELECT page, median(e.score) AS m FROM events e JOIN visits v USING (user_id) GROUP BY page",
    })) as readonly ExchangeTraffic[];
    expect(joined.map(({ sources, atMost }) => [sources.join(), atMost])).toEqual([
      ["events", 1],
      ["visits", 1],
      ["events,visits", undefined],
    ]);
  });

  test("unnest makes many rows of one", async () => {
    const sql =
      "SELECT x, median(score) AS m FROM (SELECT unnest([cell, app_id]) AS x, score FROM events) GROUP BY x";
    const [sent] = (await trafficOf({ x: sql })) as readonly ExchangeTraffic[];
    expect([sent?.atLeast, sent?.atMost]).toEqual([0, undefined]);
  });

  test("records outside their day that are set aside are not sent", async () => {
    const models = [
      { name: "u", sql: "SELECT user_id, median(score) AS m FROM events GROUP BY user_id" },
    ];
    const job = jobOf(models);
    const eventTime = { column: "ts", unit: "ms", outside: "late_table" } as const;
    const sources = job.sources.map((source) => ({ ...source, eventTime }));
    const plan = await withBinder((binder) => planWithBinder({ ...job, sources }, binder));
    expect(plan.traffic?.[0]).toMatchObject({ atLeast: 0, atMost: 1 });
  });
});

describe("what is sent keeps to the bounds", () => {
  const rows = 300;
  const splits = 2;
  const partitions = 2;
  const read: Readonly<Record<string, number>> = { events: rows, visits: Math.floor(rows / 3) };
  let binder: Awaited<ReturnType<typeof openBinder>>;
  let runner: LocalRunner;
  beforeAll(async () => {
    binder = await openBinder();
    runner = await LocalRunner.open(fillStatements(rows));
  });
  afterAll(() => {
    binder.close();
    runner.close();
  });

  /** At most so many rows, by whichever bound there is. The runner's last split is empty, files are nine. */
  function most(traffic: ExchangeTraffic, input: number): number {
    const times = { run: 1, split: splits + 1, task: partitions };
    const byRows = traffic.atMost === undefined ? Number.POSITIVE_INFINITY : traffic.atMost * input;
    const bound = traffic.rows;
    if (bound === undefined || bound.each === "groups") return byRows;
    return Math.min(byRows, bound.each === "files" ? 9 : bound.each * times[bound.times]);
  }

  for (const { id, models } of readCorpus().filter((entry) => entry.expect === "run")) {
    test(id, { timeout: 60_000 }, async () => {
      const plan = await planWithBinder(jobOf(models), binder);
      expect(plan.traffic?.map((entry) => entry.exchange)).toEqual(
        plan.exchanges.map((entry) => entry.id),
      );
      if (plan.exchanges.length === 0) return;
      await runner.execute(plan, { splits, partitions });
      for (const traffic of plan.traffic ?? []) {
        const input = traffic.sources.reduce((sum, source) => sum + (read[source] ?? 0), 0);
        const sent = await runner.sent(traffic.exchange);
        const told = JSON.stringify(traffic);
        expect(sent, told).toBeGreaterThanOrEqual(traffic.atLeast * input);
        expect(sent, told).toBeLessThanOrEqual(most(traffic, input));
      }
    });
  }
});

async function withBinder<T>(use: (binder: Awaited<ReturnType<typeof openBinder>>) => Promise<T>) {
  const binder = await openBinder();
  try {
    return await use(binder);
  } finally {
    binder.close();
  }
}
