/** What a job file says about models that read several days of a dataset, and what each mistake is told. */
import { describe, expect, test } from "vitest";
import { parseJob } from "../../shared/adapters/job-file.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";

/** `week` reads what stands in `history`; `more` stands behind the models. */
function parse(history: string, more = "") {
  const jobYaml = `name: sales-daily
sources:
  sales: { path: "raw/{day}/*.csv", format: csv, columns: { id: INT } }
models:
  totals: { sql: a.sql }
  week:
    sql: a.sql
    history: ${history}
${more}`;
  return parseJob({ jobPath: "job.yaml", jobYaml, sqlFiles: { "a.sql": "SELECT 1" } });
}

function refusal(history: string, more = ""): string {
  try {
    parse(history, more);
  } catch (error) {
    return fromUnknown(error).message;
  }
  throw new Error("it was accepted");
}

describe("accepted", () => {
  test.each([
    ["{ totals: 7 }", [{ dataset: "totals", days: 7 }]],
    ["{ totals: { days: 7, own_day: true } }", [{ dataset: "totals", days: 7 }]],
    ["{ totals: { days: 1, own_day: false } }", [{ dataset: "totals", days: 1, ownDay: false }]],
    [
      "{ week: { days: 1, own_day: false, columns: { id: INT } } }",
      [{ dataset: "week", days: 1, ownDay: false, columns: [{ name: "id", type: "INTEGER" }] }],
    ],
    [
      "{ usage: { days: 30, job: ipdr-daily, columns: { id: INT } } }",
      [
        {
          dataset: "usage",
          days: 30,
          job: "ipdr-daily",
          columns: [{ name: "id", type: "INTEGER" }],
        },
      ],
    ],
  ])("%s", (text, history) => {
    expect(parse(text).models).toEqual([
      { name: "totals", sql: "SELECT 1", file: "a.sql" },
      { name: "week", sql: "SELECT 1", file: "a.sql", history },
    ]);
  });

  test("a model without history is the model that it was", () => {
    expect(parse("{}").models[1]).toEqual({ name: "week", sql: "SELECT 1", file: "a.sql" });
  });
});

describe("refused with line, field and what to do", () => {
  test.each([
    ["{ totals: 0 }", "job.yaml:8: models.week.history.totals.days: at least 1 is needed"],
    ["{ totals: 101 }", "job.yaml:8: models.week.history.totals.days: at most 100 is allowed"],
    [
      "{ totals: 1.5 }",
      "job.yaml:8: models.week.history.totals.days: expected a whole number, found a number",
    ],
    [
      "{ totals: a week }",
      "job.yaml:8: models.week.history.totals.days: expected a number, found a text",
    ],
    [
      "{ totals: { days: 7, ownday: false } }",
      "job.yaml:8: models.week.history.totals.ownday: unknown key; did you mean own_day? (allowed: days, job, own_day, columns)",
    ],
    [
      "{ total: 7 }",
      "job.yaml:8: models.week.history.total: no model total in this job; did you mean totals?",
    ],
    [
      "{ usage: 7 }",
      "job.yaml:8: models.week.history.usage: no model usage in this job; of another job's dataset say job, too",
    ],
    [
      "{ usage: { days: 7, job: ipdr-daily } }",
      "job.yaml:8: models.week.history.usage.columns: say the columns of usage, too: they are another job's",
    ],
    [
      "{ totals: { days: 7, job: sales-daily, columns: { id: INT } } }",
      "job.yaml:8: models.week.history.totals.job: is this job: leave it out",
    ],
    [
      "{ usage: { days: 7, job: ipdr-daily, columns: { Day: DATE } } }",
      "job.yaml:8: models.week.history.usage.columns: usage_history has a column day, the day of the row: a dataset can't have one, too",
    ],
    [
      "{ totals: 1 }",
      "job.yaml:8: models.week.history.totals: 1 day is the run's own, which is totals itself; say 2 or more, or own_day: false for the day before",
    ],
    [
      "{ week: 7 }",
      "job.yaml:8: models.week.history.week: the last day would be the run's own, and the model would read itself on the same day; say own_day: false to read the days before it",
    ],
  ])("%s", (text, told) => {
    expect(refusal(text)).toBe(told);
  });

  test("two models that read other days of the same dataset", () => {
    expect(refusal("{ totals: 7 }", "  month: { sql: a.sql, history: { totals: 30 } }\n")).toBe(
      "job.yaml:9: models.month.history.totals: model week says something else of totals: models of a job read the same days of a dataset; say the longer time in both, and choose by the column day",
    );
  });

  test("a table of the name that the days go by", () => {
    expect(refusal("{ totals: 7 }", "  totals_history: { sql: a.sql }\n")).toBe(
      "job.yaml:8: models.week.history.totals: the days go by the name totals_history, which is taken",
    );
  });
});
