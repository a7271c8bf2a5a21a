/**
 * Properties over made-up queries: whatever the keys, aggregates, filters and splits, the plan's answer is DuckDB's; and
 * planning the same job twice gives the same plan.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import { firstDifference, LocalRunner } from "./local-runner.ts";
import { fillStatements, jobOf } from "./tables.ts";

let binder: Awaited<ReturnType<typeof openBinder>>;
let runner: LocalRunner;

beforeAll(async () => {
  binder = await openBinder();
  runner = await LocalRunner.open(fillStatements(700));
});

afterAll(() => {
  binder.close();
  runner.close();
});

const keys = [
  "user_id",
  "app_id",
  "cell % 6",
  "day",
  "ok",
  "category",
  "region",
  "date_trunc('hour', ts)",
];
const calls = [
  "count(*)",
  "sum(bytes)",
  "avg(amount)",
  "min(note)",
  "max(ts)",
  "stddev_samp(score)",
  "count(DISTINCT user_id)",
  "count(DISTINCT cell)",
  "sum(DISTINCT app_id)",
  "median(score)",
  "bool_or(ok)",
  "arg_max(cell, id * 1000 + cell)",
];
const filters = [
  "ok",
  "cell < 20",
  "bytes > 0",
  "category IS NOT NULL",
  "user_id IN (SELECT user_id FROM visits)",
];

const model = fc.record({
  keys: fc.uniqueArray(fc.constantFrom(...keys), { minLength: 1, maxLength: 3 }),
  calls: fc.uniqueArray(fc.constantFrom(...calls), { minLength: 1, maxLength: 3 }),
  filters: fc.uniqueArray(fc.constantFrom(...filters), { maxLength: 2 }),
  having: fc.boolean(),
});

function sqlOf(parts: {
  keys: string[];
  calls: string[];
  filters: string[];
  having: boolean;
}): string {
  const select = [
    ...parts.keys.map((key, index) => `${key} AS k${index}`),
    ...parts.calls.map((call, index) => `${call} AS c${index}`),
  ];
  const where = parts.filters.length > 0 ? ` WHERE ${parts.filters.join(" AND ")}` : "";
  const from = "events LEFT JOIN apps USING (app_id) LEFT JOIN cells USING (cell)";
  const having = parts.having ? " HAVING count(*) > 2" : "";
  return `SELECT ${select.join(", ")} FROM ${from}${where} GROUP BY ${parts.keys.join(", ")}${having}`;
}

test("two models of one job equal plain DuckDB, alone and together", {
  timeout: 120_000,
}, async () => {
  const property = fc.asyncProperty(
    model,
    model,
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom(1, 3, 16),
    async (first, second, splits, partitions) => {
      const models = [
        { name: "first", sql: sqlOf(first) },
        { name: "second", sql: sqlOf(second) },
      ];
      const plan = await planWithBinder(jobOf(models), binder);
      expect(await planWithBinder(jobOf(models), binder)).toEqual(plan);
      await runner.execute(plan, { splits, partitions });
      for (const entry of models) {
        const actual = await runner.dataset(entry.name);
        expect(firstDifference(actual, await runner.reference([entry]))).toBeUndefined();
      }
    },
  );
  await fc.assert(property, { numRuns: 25, seed: 20260115 });
});

test("a top-n over any order is the same rows at any cut", { timeout: 60_000 }, async () => {
  const orders = ["cell", "bytes DESC", "note NULLS FIRST", "day DESC", "ok"];
  const property = fc.asyncProperty(
    fc.uniqueArray(fc.constantFrom(...orders), { maxLength: 2 }),
    fc.integer({ min: 0, max: 30 }),
    fc.integer({ min: 0, max: 5 }),
    async (by, limit, offset) => {
      const order = by.length > 0 ? ` ORDER BY ${by.join(", ")}` : "";
      const sql = `SELECT user_id, cell, bytes, note, day, ok FROM events${order} LIMIT ${limit} OFFSET ${offset}`;
      const plan = await planWithBinder(jobOf([{ name: "result", sql }]), binder);
      const whole = await runner.run(plan, "result", { splits: 1, partitions: 1 });
      const cut = await runner.run(plan, "result", { splits: 4, partitions: 16 });
      expect(firstDifference(cut, whole)).toBeUndefined();
      expect(whole.rows.length).toBe(limit);
    },
  );
  await fc.assert(property, { numRuns: 20, seed: 7 });
});
