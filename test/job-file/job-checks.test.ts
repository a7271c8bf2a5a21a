/** The checks of a job file: what each kind means, and what each mistake is told, with file and line. */
import { describe, expect, test } from "vitest";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import { parseJob, withLine } from "../../shared/adapters/job-file.ts";
import { type Failure, fromUnknown } from "../../shared/kernel/failure.ts";

const head = `name: sales-daily
sources:
  sales:
    path: raw/{day}/*.csv
    format: csv
    columns: { id: INT, amount: "decimal(10, 2)", note: text, seen: timestamp }
models:
  totals: { sql: models/totals.sql }
checks:
`;

const sqlFiles = {
  "models/totals.sql":
    "SELECT id, max(seen) AS newest, sum(amount) AS amount FROM sales GROUP BY id",
};

function bundleOf(...checks: readonly string[]) {
  const jobYaml = `${head}${checks.map((check) => `  - ${check}\n`).join("")}`;
  return { jobPath: "job.yaml", jobYaml, sqlFiles };
}

function refusal(...checks: readonly string[]): Failure {
  try {
    parseJob(bundleOf(...checks));
  } catch (error) {
    return fromUnknown(error);
  }
  throw new Error("it was accepted");
}

/** What planning says, as a user sees it. */
async function planned(check: string): Promise<string> {
  const bundle = bundleOf("{ model: totals, unique: [id] }", check);
  const binder = await openBinder();
  try {
    await planWithBinder(parseJob(bundle), binder);
    return "planned";
  } catch (error) {
    const { code, message, detail } = withLine(bundle, fromUnknown(error));
    expect(detail).toMatchObject({ file: "job.yaml", line: 11 });
    return `${code} ${message}`;
  } finally {
    binder.close();
  }
}

test("each kind, with its defaults", () => {
  const { checks } = parseJob(
    bundleOf(
      '{ model: totals, sql: "SELECT 1", expect: 1 }',
      '{ name: named, model: totals, sql: "SELECT 2", expect: null, severity: warn }',
      "{ model: totals, rows: {}, severity: quarantine }",
      "{ source: sales, volume: { of: bytes, tolerance: 0.5, floor: 1000, at_least: 1 } }",
      "{ source: sales, volume: {} }",
      "{ model: totals, nulls: { column: id } }",
      "{ model: totals, unique: [id, newest] }",
      "{ model: totals, fresh: { column: newest, within: 90m } }",
    ),
  );
  const block = { severity: "block" } as const;
  const totals = { model: "totals", ...block };
  expect(checks).toEqual([
    { name: "totals-1", ...totals, sql: "SELECT 1", expect: 1 },
    { name: "named", ...totals, sql: "SELECT 2", expect: null, severity: "warn" },
    { name: "totals-3", ...totals, kind: "rows", severity: "quarantine", tolerance: 0.4, floor: 0 },
    {
      name: "sales-1",
      model: "sales",
      ...block,
      kind: "volume",
      of: "bytes",
      tolerance: 0.5,
      floor: 1_000,
      atLeast: 1,
    },
    {
      name: "sales-2",
      model: "sales",
      ...block,
      kind: "volume",
      of: "rows",
      tolerance: 0.4,
      floor: 0,
    },
    { name: "totals-4", ...totals, kind: "nulls", column: "id", maxShare: 0 },
    { name: "totals-5", ...totals, kind: "unique", columns: ["id", "newest"] },
    {
      name: "totals-6",
      ...totals,
      kind: "fresh",
      column: "newest",
      withinMs: 5_400_000,
      unit: "ms",
    },
  ]);
});

describe("refused when the file is read", () => {
  const ok = "{ model: totals, unique: [id] }";
  test.each([
    ["{ model: totls, unique: [id] }", "checks.1.model: no model totls; did you mean totals?"],
    ["{ source: sale, volume: {} }", "checks.1.source: no source sale; did you mean sales?"],
    [
      "{ model: totals }",
      "checks.1: a check has exactly one of sql, rows, volume, nulls, unique, fresh",
    ],
    [
      "{ model: totals, unique: [id], rows: {} }",
      "a check has exactly one of sql, rows, volume, nulls, unique, fresh",
    ],
    ['{ model: totals, sql: "SELECT 1" }', "checks.1: expect is missing: the value"],
    ["{ model: totals, rows: {}, expect: 1 }", "checks.1.expect: only a check with sql expects"],
    ["{ unique: [id] }", "checks.1: model is missing: whose dataset it checks"],
    ["{ volume: {} }", "checks.1: volume is of a source: name it by source"],
    ["{ model: totals, volume: {} }", "checks.1.model: volume is of a source"],
    ["{ model: totals, source: sales, rows: {} }", "checks.1.source: only volume is of a source"],
    ["{ model: totals, unique: [] }", "checks.1.unique: unique names at least one column"],
    ["{ model: totals, unique: id }", "checks.1.unique: unique is a list of columns"],
    ["{ model: totals, unique: [id, id] }", "checks.1.unique: id is named twice"],
    [
      "{ model: totals, nulls: { column: id, max_share: 5 } }",
      "checks.1.nulls.max_share: max_share is a share of the rows, 0 to 1",
    ],
    [
      "{ model: totals, fresh: { column: newest, within: soon } }",
      "checks.1.fresh.within: a duration such as 90m",
    ],
    ["{ model: totals, rows: { tolerence: 0.2 } }", "checks.1.rows.tolerence: unknown key"],
    ["{ model: totals, rows: { tolerance: -1 } }", "checks.1.rows.tolerance: at least 0 is needed"],
    [
      "{ model: totals, rows: {}, severity: fatal }",
      "checks.1.severity: one of block, warn, quarantine is expected",
    ],
    ["{ model: totals, rows: {}, name: totals-1 }", "another check is named totals-1 already"],
  ])("%s", (check, message) => {
    const got = refusal(ok, check);
    expect(got.message).toContain(message);
    expect(got.message).toMatch(/^job\.yaml:11: /);
    expect(got).toMatchObject({ code: "jobInvalid", detail: { file: "job.yaml", line: 11 } });
  });
});

describe("refused when the job is planned, with the line too", () => {
  const where = "job.yaml:11: job sales-daily: check";
  test.each([
    [
      '{ model: totals, sql: "DELETE FROM totals", expect: 0 }',
      `jobInvalid ${where} totals-2 of model totals: SQL: is not a SELECT; a check is one SELECT that gives one value`,
    ],
    [
      '{ model: totals, sql: "SELECT 1; SELECT 2", expect: 0 }',
      `sqlRefused ${where} totals-2 of model totals: several statements: `,
    ],
    [
      '{ model: totals, sql: "SELECT count(*) FROM totals WHERE nope > 0", expect: 0 }',
      `jobInvalid ${where} totals-2 of model totals: SQL: Referenced column "nope" not found`,
    ],
    [
      "{ model: totals, nulls: { column: amout } }",
      `jobInvalid ${where} totals-2 of model totals: columns: model totals has no column amout; did you mean amount?`,
    ],
    [
      "{ model: totals, unique: [id, note] }",
      `jobInvalid ${where} totals-2 of model totals: columns: model totals has no column note; it has id, newest, amount`,
    ],
    [
      "{ model: totals, fresh: { column: amount, within: 1h } }",
      `jobInvalid ${where} totals-2 of model totals: columns: column amount is `,
    ],
  ])("%s", async (check, message) => {
    expect(await planned(check)).toContain(message);
  });

  test("those that can be asked are planned", async () => {
    expect(await planned("{ model: totals, fresh: { column: newest, within: 1h } }")).toBe(
      "planned",
    );
    expect(await planned("{ model: totals, nulls: { column: AMOUNT } }")).toBe("planned");
    expect(await planned("{ source: sales, volume: {} }")).toBe("planned");
    expect(await planned("{ model: totals, rows: {} }")).toBe("planned");
  });
});

test("a failure that names no field of the file stays as it is", () => {
  const other: Failure = { code: "conflict", message: "taken", detail: { day: "2026-01-15" } };
  expect(withLine(bundleOf(), other)).toBe(other);
});
