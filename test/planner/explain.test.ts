/** What `daymill explain` prints: every stage, exchange, key and SQL text of the plan, and what is known of its cost. */
import { expect, test } from "vitest";
import { explainPlan } from "../../coordinator/core/planner/explain.ts";
import { jobOf } from "../sql/tables.ts";
import { planOf } from "./planning.ts";

const models = {
  users: "SELECT user_id, count(DISTINCT cell) AS cells FROM events WHERE ok GROUP BY user_id",
  by_app: "SELECT app_id, count(DISTINCT user_id) AS n FROM events WHERE ok GROUP BY app_id",
};

test("a plan reads as stages with their exchanges, keys, SQL and sizes", async () => {
  const plan = await planOf(models);
  const job = jobOf(Object.entries(models).map(([name, sql]) => ({ name, sql })));
  const text = explainPlan(job, plan, [{ source: "events", files: 96, bytes: 3 * 1024 ** 3 }]);
  const lines = text.split("\n");
  expect(lines[0]).toBe("job sql-test: 2 datasets, 3 stages, 2 exchanges");
  expect(text).toContain(
    "stage s0: scans events once, keeps 4 of 11 columns (user_id, app_id, cell, ok); 96 files, 3.0 GiB",
  );
  expect(text).toContain(
    "sends x0 by user_id in 7 partitions, 7 groups, to s1; at most 1 row per input row (filtered before it is sent)",
  );
  expect(text).toContain("stage s1: reads x0 in 7 tasks");
  expect(text).toContain("  users (written by s1): user_id BIGINT, cells BIGINT");
  const sqlTexts = plan.stages.flatMap((stage) =>
    [...stage.tables, ...stage.outputs].map((entry) => entry.sql),
  );
  for (const sql of sqlTexts) expect(lines).toContain(`    ${sql}`);
});

test("without sizes it says only what the plan knows", async () => {
  const job = jobOf([{ name: "n", sql: "SELECT count(*) AS n FROM events" }]);
  const text = explainPlan(job, await planOf({ n: "SELECT count(*) AS n FROM events" }));
  expect(text).toContain("keeps 1 of 11 columns (id)\n");
  expect(text).toContain("to one partition, to s1; rows: at most one per group and split");
});
