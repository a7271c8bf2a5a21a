/** Checks of a run: what is asked, what the answers mean, and what they do to the run. */
import { describe, expect, test } from "vitest";
import { checkSql, columnProblem } from "../../coordinator/core/check-query.ts";
import type { CheckSpec } from "../../shared/kernel/check.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { carryOut } from "../sim/executor-model.ts";
import { noNegative, sampleJob } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const run1 = `usage.${day}.r1`;

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.attach(2);
  bench.effects = [];
  return bench;
}

function answered({ memory }: Bench, { work, delivery }: SentTask) {
  const outcome = carryOut(memory, work, delivery);
  if (outcome.kind === "failed") throw new Error(outcome.failure.message);
  return outcome;
}

/** Works until the checks have been answered with these values, in the order of the asked checks. */
function workWith(bench: Bench, values: readonly (string | null)[]): void {
  for (let left = values.length; left > 0; ) {
    for (const task of bench.takeTasks()) {
      if (task.work.kind !== "check") {
        bench.finish(task);
        continue;
      }
      left--;
      const checkValue = values[task.delivery.task] ?? null;
      bench.report(task, { ...answered(bench, task), checkValue });
    }
  }
}

describe("checks", () => {
  test("run over the staged files before the commit", () => {
    const bench = leader();
    bench.submit(sampleJob({ checks: [noNegative] }));
    const works = bench.work();
    const check = works.at(-1);
    expect(check).toMatchObject({ kind: "check", check: { name: "no-negative" } });
    expect(check?.kind === "check" && check.files).toHaveLength(2);
    expect(bench.memory.manifests.get(run1)?.checks).toEqual([
      {
        name: "no-negative",
        model: "totals",
        kind: "sql",
        severity: "block",
        state: "passed",
        passed: true,
        value: "0",
        bound: "0",
        reason: "gave 0, expected 0",
      },
    ]);
  });

  test.each([
    ["block", "failed", "aborted"],
    ["quarantine", "quarantined", "quarantined"],
    ["warn", "committed", "committed"],
  ] as const)("a failed check with severity %s: the run is %s", (severity, state, manifest) => {
    const bench = leader();
    bench.submit(sampleJob({ checks: [{ ...noNegative, expect: 7, severity }] }));
    workWith(bench, ["0"]);
    const events = bench.effects.flatMap((one) => (one.kind === "publishEvent" ? [one] : []));
    const run = bench.run();
    expect(run.state).toBe(state);
    expect(run.checks).toEqual([
      {
        name: "no-negative",
        model: "totals",
        kind: "sql",
        severity,
        state: "failed",
        value: "0",
        bound: "7",
        reason: "gave 0, expected 7",
      },
    ]);
    const sentence = "check no-negative on totals gave 0, expected 7";
    expect(run.failure?.message).toBe(state === "committed" ? undefined : sentence);
    expect(bench.memory.manifests.get(run1)).toMatchObject({
      state: manifest,
      checks: [{ name: "no-negative", state: "failed", passed: false }],
    });
    expect(events.find(({ event }) => event === "check.failed")?.data).toEqual({
      run: run1,
      ...run.checks?.[0],
    });
  });

  test.each([
    ["SELECT count(*) AS n\nFROM totals", "42", "gave 42, expected 0"],
    ["SELECT count(DISTINCT msisdn) FROM totals", "42", "gave 42, expected 0"],
    ["SELECT count(*) FROM totals", null, "gave NULL, expected 0"],
    ["SELECT max(msisdn) FROM totals", "491511234567", "gave another value (not shown"],
    ["SELECT count(*) * 0 + max(msisdn) FROM totals", "491511234567", "gave another value"],
    ["SELECT count(name) FROM totals", "Ada", "gave another value (not shown"],
  ])("%s giving %s is told as: %s", (sql, checkValue, words) => {
    const bench = leader();
    bench.submit(sampleJob({ checks: [{ ...noNegative, sql }] }));
    workWith(bench, [checkValue]);
    expect(bench.run().failure?.message).toContain(words);
    // Only the journal remembers it.
    const told = JSON.stringify(bench.effects.filter((effect) => effect.kind !== "append"));
    if (words.includes("another")) expect(told).not.toContain(checkValue);
  });

  test("the severest failed check decides, and each one is told", () => {
    const bench = leader();
    const failing = { ...noNegative, expect: 7 };
    const checks: readonly CheckSpec[] = [
      { ...failing, name: "a", severity: "warn" },
      { ...failing, name: "b", severity: "quarantine" },
      { ...failing, name: "c", severity: "block" },
    ];
    bench.submit(sampleJob({ checks }));
    workWith(bench, ["0", "0", "0"]);
    expect(bench.events().filter((event) => event === "check.failed")).toHaveLength(3);
    expect(bench.run()).toMatchObject({ state: "failed", failure: { detail: { check: "c" } } });
  });

  test.each(["warn", "block"] as const)(
    "SQL that gives no answer is a failed check: %s",
    (severity) => {
      const bench = leader();
      bench.submit(sampleJob({ checks: [{ ...noNegative, severity }] }));
      while (bench.run().state !== "checking")
        for (const task of bench.takeTasks()) bench.finish(task);
      const [task] = bench.takeTasks();
      if (task === undefined) throw new Error("no check was sent");
      const checkFailure = failure("timeout", "check no-negative: its SQL ran for 600 s");
      bench.report(task, { ...answered(bench, task), checkValue: null, checkFailure });
      expect(bench.run()).toMatchObject({
        state: severity === "warn" ? "committed" : "failed",
        checks: [
          { state: "failed", reason: "gave no answer: check no-negative: its SQL ran for 600 s" },
        ],
      });
    },
  );
});

describe("checks over columns", () => {
  const columns = [
    { name: "msisdn", type: "BIGINT" },
    { name: "at", type: "TIMESTAMP" },
    { name: "seconds", type: "INTEGER" },
    { name: "plan", type: "VARCHAR" },
  ];
  const head = { name: "c", model: "totals", severity: "block" } as const;
  const nulls = { ...head, kind: "nulls", column: "plan", maxShare: 0.01 } as const;
  const unique = { ...head, kind: "unique", columns: ["msisdn", "at"] } as const;
  const fresh = { ...head, kind: "fresh", column: "at", withinMs: 7_200_000, unit: "ms" } as const;

  test("ask for one value", () => {
    expect(checkSql(nulls, columns, day)).toBe(
      `SELECT count(*) FILTER (WHERE "plan" IS NULL) || '/' || count(*) FROM "totals"`,
    );
    expect(checkSql(unique, columns, day)).toBe(
      'SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM "totals" GROUP BY "msisdn", "at")',
    );
    expect(checkSql(fresh, columns, day)).toContain("CAST('2026-01-15' AS DATE) + 1");
    const ofSeconds = { ...fresh, column: "seconds", unit: "s" } as const;
    expect(checkSql(ofSeconds, columns, day)).toContain('"seconds"::HUGEINT * 1000');
  });

  test("name the column that is not there, or holds no time", () => {
    expect(columnProblem({ ...nulls, column: "plam" }, columns)).toBe(
      "model totals has no column plam; did you mean plan?",
    );
    expect(columnProblem({ ...unique, columns: ["MSISDN", "zz"] }, columns)).toBe(
      "model totals has no column zz; it has msisdn, at, seconds, plan",
    );
    expect(columnProblem({ ...fresh, column: "plan" }, columns)).toBe(
      "column plan is VARCHAR; a time is an integer, a TIMESTAMP or a DATE",
    );
    expect(columnProblem(fresh, columns)).toBeUndefined();
  });

  test.each([
    [nulls, "3/1000", "passed", "has 3 of 1,000 rows without plan (0.3 %), allowed at most 1 %"],
    [nulls, "20/1000", "failed", "has 20 of 1,000 rows without plan (2 %), allowed at most 1 %"],
    [nulls, "0/0", "passed", "has 0 of 0 rows without plan (0 %), allowed at most 1 %"],
    [unique, "0", "passed", "has 0 rows whose (msisdn, at) another row has already, expected none"],
    [unique, "7", "failed", "has 7 rows whose (msisdn, at) another row has already, expected none"],
    [
      fresh,
      "5400000",
      "passed",
      "has its newest at 1h 30m before the end of the day, allowed within 2h of the end of the day",
    ],
    [
      fresh,
      "7200001",
      "failed",
      "has its newest at 2h 1s before the end of the day, allowed within 2h of the end of the day",
    ],
    [
      fresh,
      null,
      "failed",
      "has no at before the end of the day, expected one within 2h of the end of the day",
    ],
  ] as const)("$kind, $value", (check, value, state, reason) => {
    const bench = leader();
    bench.memory.plan = {
      ...bench.memory.plan,
      datasets: [{ model: "totals", stage: "s1", columns }],
    };
    bench.submit(sampleJob({ checks: [check] }));
    workWith(bench, [value]);
    expect(bench.run().checks).toMatchObject([
      { kind: check.kind, state, reason, value: value ?? "" },
    ]);
    expect(bench.run().state).toBe(state === "passed" ? "committed" : "failed");
  });
});
