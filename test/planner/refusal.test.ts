/** What a refused user reads: file, line, clause, and the way out. */
import { describe, expect, test } from "vitest";
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

  test("two things of one name are refused before any SQL is read", async () => {
    const refused = await refusalOf({ Apps: "SELECT 1 AS a FROM events" });
    expect(refused.message).toContain("used twice");
  });
});
