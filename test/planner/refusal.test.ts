/** What a refused user reads: file, line, clause, and the way out. */
import { describe, expect, test } from "vitest";
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { jobOf } from "../sql/tables.ts";
import { refusalOf } from "./planning.ts";

describe("messages", () => {
  test("an unknown table names file, line and the nearest known name", async () => {
    const refused = await refusalOf({ daily: "SELECT count(*) AS n\nFROM evnets" });
    expect(refused).toEqual({
      code: "jobInvalid",
      message:
        "models/daily.sql:2: table evnets: is no source, dimension or model of this job; did you mean events?",
      detail: { model: "daily", file: "models/daily.sql", line: 2, clause: "table evnets" },
    });
  });

  test("an unknown column names file, line and the nearest known name", async () => {
    const refused = await refusalOf({
      daily: "SELECT cell,\n  sum(byte) AS b\nFROM events\nGROUP BY cell",
    });
    expect(refused.code).toBe("jobInvalid");
    expect(refused.message).toMatch(
      /^models\/daily\.sql:2: column byte: .*\(did you mean bytes\?\)$/,
    );
  });

  test("a cycle is named by its path", async () => {
    const refused = await refusalOf({
      a: "SELECT * FROM b",
      b: "SELECT * FROM c",
      c: "SELECT * FROM a",
    });
    expect(refused.code).toBe("jobInvalid");
    expect(refused.message).toContain("models read each other: a → b → c → a");
  });

  test("reading files is forbidden, not just refused", async () => {
    const byPath = await refusalOf({ a: "SELECT * FROM '/etc/passwd'" });
    const byFunction = await refusalOf({ a: "SELECT * FROM read_text('/etc/passwd')" });
    const inside = await refusalOf({
      a: "SELECT id FROM events WHERE note IN (SELECT * FROM glob('*'))",
    });
    expect([byPath.code, byFunction.code, inside.code]).toEqual(Array(3).fill("pathForbidden"));
  });

  test("a refusal names the clause and a way out", async () => {
    const refused = await refusalOf({ a: "SELECT median(score) AS m\nFROM events" });
    expect(refused.code).toBe("sqlRefused");
    expect(refused.detail?.["clause"]).toBe("median without GROUP BY");
    expect(refused.message).toContain("group by a key first");
  });

  test("an outer join that keeps a dimension says why it can't, and the rewrite", async () => {
    const refused = await refusalOf({
      a: "SELECT a.name, e.id FROM events e RIGHT JOIN apps a ON e.app_id = a.app_id",
    });
    expect(refused.message).toContain("would repeat them in every task");
    expect(refused.message).toContain("LEFT JOIN (SELECT key, … GROUP BY key) USING (key)");
  });

  test("a model whose columns are not those that the engine tells is never run", async () => {
    const binder = await openBinder();
    const lying = (columns: number) => ({
      ...binder,
      ask: async (question: Parameters<typeof binder.ask>[0]) => {
        const answer = await binder.ask(question);
        if (question.kind !== "describe" || answer.kind !== "columns") return answer;
        const told = [
          { name: "n", type: "FLOAT" },
          { name: "m", type: "FLOAT" },
        ];
        return { ...answer, columns: told.slice(0, columns) };
      },
    });
    const job = jobOf([{ name: "a", sql: "SELECT count(*) AS n FROM events" }]);
    await expect(planWithBinder(job, lying(1))).rejects.toThrow(
      "column n: would be computed as BIGINT where the engine has FLOAT; write CAST(… AS FLOAT)",
    );
    await expect(planWithBinder(job, lying(2))).rejects.toThrow("SELECT: makes 2 columns of 1");
    binder.close();
  });

  test("two things of one name are refused before any SQL is read", async () => {
    const refused = await refusalOf({ Apps: "SELECT 1 AS a FROM events" });
    expect(refused.message).toContain("used twice");
  });
});

describe("the SQL of a check", () => {
  const models = [{ name: "daily", sql: "SELECT cell, count(*) AS n FROM events GROUP BY cell" }];
  const refused = async (sql: string, model = "daily"): Promise<string> => {
    const check = { name: "rows", model, sql, expect: 0, severity: "block" as const };
    const binder = await openBinder();
    try {
      await planWithBinder({ ...jobOf(models), checks: [check] }, binder);
      return "planned";
    } catch (error) {
      if (error instanceof DaymillError) return `${error.failure.code} ${error.failure.message}`;
      throw error;
    } finally {
      binder.close();
    }
  };

  test("over its own model runs, whatever the case of the name", async () => {
    expect(await refused("SELECT count(*) FROM Daily WHERE n < 0")).toBe("planned");
    expect(await refused("WITH t AS (SELECT max(n) AS m FROM daily) SELECT m > 1e6 FROM t")).toBe(
      "planned",
    );
  });

  test("is refused before the run, by check and model", async () => {
    const name = "job sql-test: check rows of model daily:";
    expect(await refused("SELECT nocolumn FROM daily")).toMatch(
      `jobInvalid ${name} SQL: Referenced column "nocolumn" not found`,
    );
    expect(await refused("SELECT count(*) FROM events")).toBe(
      `jobInvalid ${name} table events: a check reads its own model only, which is daily`,
    );
    expect(await refused("SELEC garbage")).toMatch(`jobInvalid ${name} SQL: `);
    expect(await refused("SELECT cell, n FROM daily")).toMatch(
      `jobInvalid ${name} SELECT: gives 2 columns`,
    );
    expect(await refused("SELECT random() FROM daily")).toMatch(`sqlRefused ${name} random(): `);
    expect(await refused("SELECT content FROM read_text('/etc/passwd')")).toMatch(
      `pathForbidden ${name} table function read_text: `,
    );
    expect(await refused("SELECT count(*) FROM daily;")).toMatch(`jobInvalid ${name} SQL: `);
    expect(await refused("SELECT count(*) FROM nowhere", "nowhere")).toMatch(
      "model nowhere: is no model of this job; known are daily",
    );
  });
});
