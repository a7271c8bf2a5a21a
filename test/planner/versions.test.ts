/** Plans of a job whose source had other columns before: the same SQL over every form, or a refusal that names the form. */
import { describe, expect, test } from "vitest";
import { planForms, planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import type { Column, JobSpec } from "../../shared/kernel/job.ts";
import { daysOfForms, jobOnDay } from "../../shared/kernel/job-day.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { failureOf } from "../kit/failures.ts";
import { jobOf } from "../sql/tables.ts";

/** `visits` had no `ms` before the 1st of February, and it was a text before March. */
function jobWith(sql: string): JobSpec {
  const job = jobOf([{ name: "result", sql }]);
  const version = (ms?: string): readonly Column[] => [
    { name: "user_id", type: "INTEGER" },
    ...(ms === undefined ? [] : [{ name: "ms", type: ms }]),
  ];
  const versions = [
    { columns: version() },
    { from: "2026-02-01", columns: version("VARCHAR") },
    { from: "2026-03-01", columns: version("BIGINT") },
  ];
  const sources = job.sources.map((source) =>
    source.name === "visits" ? { ...source, columns: version("BIGINT"), versions } : source,
  );
  return { ...job, sources };
}

async function planned(job: JobSpec, day: string): Promise<JobPlan> {
  const binder = await openBinder();
  const others = daysOfForms(job).map((from) => ({ from, job: jobOnDay(job, from) }));
  try {
    return await planForms(jobOnDay(job, day), others, (form) => planWithBinder(form, binder));
  } finally {
    binder.close();
  }
}

describe("the same SQL", () => {
  const casted = jobWith("SELECT user_id, sum(ms::BIGINT) AS ms FROM visits GROUP BY user_id");

  test("has the same datasets on every day, and reads the column on each", async () => {
    const days = ["2026-01-31", "2026-02-01", "2026-03-01"];
    const plans = await Promise.all(days.map((day) => planned(casted, day)));
    for (const plan of plans) {
      expect(plan.stages[0]?.input).toMatchObject({ keep: ["user_id", "ms"] });
      expect(plan.datasets).toEqual(plans[0]?.datasets);
    }
  });

  test("that holds for the day and not for another form is refused with that form", async () => {
    const plain = jobWith("SELECT user_id, sum(ms) AS ms FROM visits GROUP BY user_id");
    const { code, message } = await failureOf(planned(plain, "2026-03-01"));
    expect(code).toBe("jobInvalid");
    expect(message).toMatch(/result\.sql/);
    expect(message).toMatch(
      /\(with the columns from 2026-02-01 on: the SQL has to hold for all\)$/,
    );
  });

  test("a column that no form has is unknown", async () => {
    const wrong = jobWith("SELECT mss FROM visits");
    expect((await failureOf(planned(wrong, "2026-01-01"))).message).toMatch(/mss/);
  });
});
