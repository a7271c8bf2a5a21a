/** Models that read several days of a dataset: plans, what plain DuckDB says over the same rows, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { explainPlan } from "../../coordinator/core/planner/explain.ts";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { HistorySpec, JobSpec } from "../../shared/kernel/job.ts";
import { failureOf } from "../kit/failures.ts";
import { firstDifference, LocalRunner } from "../sql/local-runner.ts";
import { fillStatements, jobOf } from "../sql/tables.ts";
import { shapeOf } from "./planning.ts";

interface Model {
  readonly name: string;
  readonly sql: string;
  readonly history?: readonly HistorySpec[];
}

const daily: Model = {
  name: "daily",
  sql: "SELECT user_id, sum(bytes) AS bytes, count(*) AS n FROM events GROUP BY user_id",
};
const week: Model = {
  name: "week",
  sql: "SELECT user_id, count(DISTINCT day) AS days, sum(bytes) AS bytes, max(day) AS newest FROM daily_history GROUP BY user_id",
  history: [{ dataset: "daily", days: 7 }],
};
const dailyColumns = [
  { name: "user_id", type: "BIGINT" },
  { name: "bytes", type: "DECIMAL(38,0)" },
  { name: "n", type: "BIGINT" },
];
const earlier = { days: 1, ownDay: false, columns: dailyColumns } as const;
const running: Model = {
  name: "running",
  sql: "SELECT user_id, sum(bytes)::DECIMAL(38,0) AS bytes, sum(n)::BIGINT AS n FROM (SELECT user_id, bytes::DECIMAL(38,0) AS bytes, n FROM daily UNION ALL SELECT user_id, bytes, n FROM running_history) GROUP BY user_id",
  history: [{ dataset: "running", ...earlier }],
};

function job(...models: readonly Model[]): JobSpec {
  const plain = jobOf(models);
  const withHistory = plain.models.map((model, index) => {
    const { history } = models[index] ?? {};
    return history === undefined ? model : { ...model, history };
  });
  return { ...plain, models: withHistory };
}

let binder: Awaited<ReturnType<typeof openBinder>>;
beforeAll(async () => {
  binder = await openBinder();
});
afterAll(() => binder.close());

function refusalOf(...models: readonly Model[]): Promise<Failure> {
  return failureOf(planWithBinder(job(...models), binder));
}

describe("plans", () => {
  test("the run's own day comes from its model, the days before it are scanned", async () => {
    const plan = await planWithBinder(job(daily, week), binder);
    expect(shapeOf(plan)).toEqual([
      "scan events → x0 by g0",
      "scan daily_earlier → x1 by user_id",
      "x0 → x2 by user_id; daily",
      "x1 + x2 → week",
    ]);
    expect(plan.history).toEqual([
      {
        table: "daily_earlier",
        job: "sql-test",
        dataset: "daily",
        first: 6,
        last: 1,
        columns: [...dailyColumns, { name: "day", type: "DATE" }],
      },
    ]);
    expect(plan.datasets.map(({ model, history }) => [model, history])).toEqual([
      ["daily", undefined],
      ["week", ["daily_earlier"]],
    ]);
  });

  test("another job's days are scanned, the run's own among them; a dataset may depend on them by way of another", async () => {
    const other = {
      name: "other",
      sql: "SELECT day, sum(bytes) AS bytes FROM usage_history GROUP BY day",
      history: [{ dataset: "usage", days: 30, job: "usage-daily", columns: dailyColumns }],
    };
    const top = { name: "top", sql: "SELECT max(bytes) AS bytes FROM other" };
    const plan = await planWithBinder(job(daily, top, other), binder);
    expect(plan.history).toMatchObject([
      { table: "usage_history", job: "usage-daily", dataset: "usage", first: 29, last: 0 },
    ]);
    expect(plan.datasets.map(({ model, history }) => [model, history])).toEqual([
      ["daily", undefined],
      ["top", ["usage_history"]],
      ["other", ["usage_history"]],
    ]);
  });

  test("explain says which days are read", async () => {
    const spec = job(daily, week);
    const plan = await planWithBinder(spec, binder);
    const figures = { exchangeFigures: [] } as never;
    const text = explainPlan(spec, { ...plan, exchanges: [] }, { sizes: [], figures });
    expect(text).toContain(
      "\ndaily_earlier: sql-test/daily from 6 days before a day to the day before it\n",
    );
    expect(text).toContain("scans daily_earlier once, keeps 3 of 4 columns (user_id, bytes, day)");
  });
});

describe("numbers equal plain DuckDB", () => {
  let runner: LocalRunner;
  beforeAll(async () => {
    const days = `SELECT (hash(i) % 300)::BIGINT - 20 AS user_id, (i::HUGEINT * 9007199254740993)::DECIMAL(38,0) AS bytes,
      i::BIGINT AS n, DATE '2026-01-09' + (i % 6)::INTEGER AS day FROM range(2000) r(i)`;
    runner = await LocalRunner.open([
      ...fillStatements(1_200),
      `CREATE TABLE base.daily_earlier AS ${days}`,
      `CREATE TABLE base.running_history AS ${days}`,
    ]);
  });
  afterAll(() => runner.close());

  const whole = {
    name: "daily_history",
    sql: "SELECT * FROM daily_earlier UNION ALL SELECT user_id, bytes::DECIMAL(38,0), n, DATE '2026-01-15' FROM daily",
  };
  const models: readonly (readonly [string, Model])[] = [
    ["a week by subscriber", week],
    [
      "joined with the day itself",
      {
        ...week,
        sql: "SELECT d.user_id, d.bytes AS today, h.bytes AS before FROM daily d LEFT JOIN (SELECT user_id, sum(bytes) AS bytes FROM daily_history WHERE day < DATE '2026-01-15' GROUP BY user_id) h ON d.user_id = h.user_id",
      },
    ],
    [
      "windows over days",
      {
        ...week,
        sql: "SELECT user_id, day, sum(n) OVER (PARTITION BY user_id ORDER BY day, n, bytes ROWS UNBOUNDED PRECEDING) AS so_far FROM daily_history",
      },
    ],
    [
      "by day",
      {
        ...week,
        sql: "SELECT day, count(*) AS rows, sum(bytes) AS bytes FROM daily_history GROUP BY day",
      },
    ],
  ];
  test.each(models)("%s", { timeout: 60_000 }, async (_, model) => {
    const plan = await planWithBinder(job(daily, model), binder);
    const expected = await runner.reference([daily, whole, model]);
    for (const partitions of [1, 7, 64]) {
      const actual = await runner.run(plan, "week", { splits: 3, partitions });
      expect(firstDifference(actual, expected), `at ${partitions} partitions`).toBeUndefined();
    }
  });

  test("running totals", { timeout: 60_000 }, async () => {
    const plan = await planWithBinder(job(daily, running), binder);
    const expected = await runner.reference([daily, running]);
    const actual = await runner.run(plan, "running", { splits: 3, partitions: 7 });
    expect(firstDifference(actual, expected)).toBeUndefined();
  });
});

describe("refused", () => {
  test("a model that depends on itself on the same day, also by way of another", async () => {
    const self = {
      ...week,
      sql: "SELECT * FROM week_history",
      history: [{ dataset: "week", days: 7 }],
    };
    expect(await refusalOf(daily, self)).toMatchObject({
      code: "jobInvalid",
      message:
        "job sql-test: models.week.history.week: the last day of week_history is the run's own, which is still being made (week → week_history → week); say own_day: false to read the days before it",
      detail: { field: "models.week.history.week" },
    });
    const first = { ...daily, name: "first", sql: "SELECT * FROM week" };
    const second = {
      ...week,
      sql: "SELECT * FROM first_history",
      history: [{ dataset: "first", days: 2 }],
    };
    expect(await refusalOf(first, second)).toMatchObject({
      message:
        "job sql-test: models.week.history.first: the last day of first_history is the run's own, which is still being made (first → week → first_history → first); say own_day: false to read the days before it",
    });
  });

  test("a model that reads itself without saying what columns it has, or other ones", async () => {
    const { columns: _, ...unsaid } = { dataset: "running", ...earlier };
    expect(await refusalOf(daily, { ...running, history: [unsaid] })).toMatchObject({
      message:
        "job sql-test: models.running.history.running: the columns of running_history can't be told from SQL that reads it; add columns: those of the model running",
      detail: { field: "models.running.history.running" },
    });
    const wrong = { dataset: "running", ...earlier, columns: [...dailyColumns].reverse() };
    expect(await refusalOf(daily, { ...running, history: [wrong] })).toMatchObject({
      message:
        "job sql-test: models.running.history.running.columns: are not those of the model running; it has { user_id: BIGINT, bytes: DECIMAL(38,0), n: BIGINT }",
    });
  });

  test("a history that is declared and not read, or read and not declared", async () => {
    expect(await refusalOf(daily, { ...week, sql: "SELECT * FROM daily" })).toMatchObject({
      message:
        "job sql-test: models.week.history.daily: the model's SQL does not read daily_history, which is what the days are called (daily is the run's own day); read it, or take the field out",
    });
    const more = { name: "more", sql: "SELECT count(*) AS n\nFROM daily_history" };
    expect(await refusalOf(daily, week, more)).toMatchObject({
      message:
        "models/more.sql: table daily_history: is read, but the model says nothing of it: add history: { daily: 7 } to the model",
    });
    const part = {
      ...week,
      sql: "SELECT a.n FROM daily_history a JOIN daily_earlier b USING (user_id)",
    };
    expect(await refusalOf(daily, part)).toMatchObject({
      message:
        "models/week.sql: table daily_earlier: is a part of daily_history: read that, with a condition on its column day",
    });
  });

  test("a dataset that has a column day of its own", async () => {
    const dated = { ...daily, sql: "SELECT day, count(*) AS n FROM events GROUP BY day" };
    expect(await refusalOf(dated, { ...week, sql: "SELECT * FROM daily_history" })).toMatchObject({
      code: "jobInvalid",
      message:
        "job sql-test: models.week.history.daily: dataset daily has a column day of its own; daily_history says by that name of which day a row is: give the dataset's another name",
    });
  });
});
