/**
 * Every query of supported.tsv: what must run is run at 1, 2, 7 and 64 partitions and equals plain DuckDB; what must be
 * refused is refused by its clause.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { readCorpus } from "./corpus.ts";
import { firstDifference, LocalRunner } from "./local-runner.ts";
import { fillStatements, jobOf } from "./tables.ts";

const corpus = readCorpus();
const rows = 1_200;
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

describe("runs and equals plain DuckDB at 1, 2, 7 and 64 partitions", () => {
  for (const entry of corpus.filter((candidate) => candidate.expect === "run")) {
    test(entry.id, { timeout: 60_000 }, async () => {
      const plan = await planWithBinder(jobOf(entry.models), binder);
      const expected = await runner.reference(entry.models);
      for (const partitions of [1, 2, 7, 64]) {
        const actual = await runner.run(plan, "result", { splits: 2, partitions });
        expect(firstDifference(actual, expected), `at ${partitions} partitions`).toBeUndefined();
      }
    });
  }
});

describe("is refused by its clause", () => {
  for (const entry of corpus.filter((candidate) => candidate.expect === "refuse")) {
    test(entry.id, { timeout: 60_000 }, async () => {
      const refusal = await planWithBinder(jobOf(entry.models), binder).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(refusal).toBeInstanceOf(DaymillError);
      const { detail, message, code } = (refusal as DaymillError).failure;
      expect(detail?.["clause"]).toBe(entry.clause);
      expect(message).toContain("models/");
      expect(["sqlRefused", "jobInvalid", "pathForbidden"]).toContain(code);
    });
  }
});

test("the corpus is as broad as promised", () => {
  expect(corpus.filter((entry) => entry.expect === "run").length).toBeGreaterThanOrEqual(80);
  expect(corpus.filter((entry) => entry.expect === "refuse").length).toBeGreaterThanOrEqual(25);
  expect(new Set(corpus.map((entry) => entry.id)).size).toBe(corpus.length);
});
