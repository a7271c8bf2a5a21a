/** Checks in a worker: real DuckDB over real staged files, and what is an answer when the SQL gives none. */
import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkSql } from "../../coordinator/core/check-query.ts";
import { runCheck } from "../../executor/shell/worker/run-check.ts";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import { openEngine } from "../../shared/adapters/duckdb.ts";
import type { AskedCheck, FreshCheck } from "../../shared/kernel/check.ts";
import type { Column } from "../../shared/kernel/job.ts";
import type { CheckWork } from "../../shared/kernel/work.ts";
import { columns, context, copyWork, delivery, rootOfEachTest, source } from "./setup.ts";

const day = "2026-01-15";

const root = rootOfEachTest();

/** The lines as staged files of model `copy`, one file for each text. */
async function staged(types: readonly Column[], ...texts: readonly string[]) {
  const files: string[] = [];
  for (const [index, text] of texts.entries()) {
    const file = root.write(`raw/${index}.csv`, text);
    const done = await runWork(
      copyWork(source({ columns: types }), [file]),
      delivery(),
      context(root),
    );
    files.push(...done.files.map(({ path }) => path));
  }
  return files;
}

function work(sql: string, types: readonly Column[], files: readonly string[]): CheckWork {
  const check = { name: "c", model: "copy", sql };
  return { kind: "check", duckdb: "v1.5.6", timezone: "UTC", check, columns: types, files };
}

async function answer(
  check: AskedCheck,
  types: readonly Column[],
  files: readonly string[],
  zone = "UTC",
) {
  const asked = { ...work(checkSql(check, types, day), types, files), timezone: zone };
  return (await runWork(asked, delivery(), context(root))).checkValue;
}

const head = { name: "c", model: "copy", severity: "block" } as const;

describe("SQL of the job", () => {
  const types = columns("x BIGINT");
  const value = async (sql: string, files: readonly string[]) =>
    (await runWork(work(sql, types, files), delivery(), context(root))).checkValue;

  test("reads the staged files of its model, or the empty table", async () => {
    const files = await staged(types, "1\n2\n", "4\n");
    expect(files).toHaveLength(2);
    expect(await value("SELECT sum(x) FROM copy", files)).toBe("7");
    expect(await value("SELECT count(*) FROM copy", [])).toBe("0");
    expect(await value("SELECT sum(x) FROM copy", [])).toBe(null);
  });

  test("must give exactly one value: anything else is an answer, too, and no failed attempt", async () => {
    for (const sql of ["SELECT 1, 2", "SELECT x FROM copy", "SELECT range FROM range(2)"]) {
      const done = await runWork(work(sql, types, []), delivery(), context(root));
      expect(done, sql).toMatchObject({ checkValue: null, checkFailure: { code: "sqlFailed" } });
    }
  });

  test("that stumbles over a row says so without the row", async () => {
    const files = await staged(types, "491511234567\n");
    const asked = work("SELECT max(x)::TINYINT FROM copy", types, files);
    const done = await runWork(asked, delivery(), context(root));
    expect(done).toMatchObject({ checkValue: null, checkFailure: { code: "valueOverflow" } });
    expect(JSON.stringify(done)).not.toContain("491511234567");
  });

  test("that runs too long is stopped and has no answer", async () => {
    const folder = `${root.temp}/engine`;
    const engine = await openEngine({
      tempDir: folder,
      readable: [],
      writable: [],
      memoryBytes: 256 * 1024 * 1024,
      threads: 1,
      timezone: "UTC",
      diskBacked: false,
      signal: new AbortController().signal,
    });
    try {
      const attempt = {
        context: context(root),
        delivery: delivery(),
        engine,
        folder,
        cachedDimensions: new Map(),
      };
      const before = performance.now();
      const done = await runCheck(attempt, work(endless, types, []), 200);
      expect(done).toMatchObject({
        checkValue: null,
        checkFailure: {
          code: "timeout",
          message:
            "check c: its SQL ran for 0.2 s without an end, which is the most: make it cheaper",
        },
      });
      expect(performance.now() - before).toBeLessThan(20_000);
    } finally {
      engine.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Minutes of work for one thread, in little memory. */
const endless = "SELECT max(hash(a.range, b.range)) FROM range(1000000) a, range(1000000) b";

describe("kinds that compile to SQL", () => {
  test("nulls counts them, over all files", async () => {
    const types = columns("id BIGINT, plan VARCHAR");
    const files = await staged(types, "1,a\n2,\n", "3,\n4,d\n5,e\n");
    const check = { ...head, kind: "nulls", maxShare: 0 } as const;
    expect(await answer({ ...check, column: "plan" }, types, files)).toBe("2/5");
    expect(await answer({ ...check, column: "ID" }, types, files)).toBe("0/5");
    expect(await answer({ ...check, column: "id" }, types, [])).toBe("0/0");
  });

  test("unique counts the rows that are too many, also across files, and takes NULL for a value", async () => {
    const types = columns("cell BIGINT, hour BIGINT");
    const files = await staged(types, "1,1\n1,2\n1,2\n", "1,1\n,5\n,5\n2,\n");
    const check = { ...head, kind: "unique" } as const;
    expect(await answer({ ...check, columns: ["cell", "hour"] }, types, files)).toBe("3");
    expect(await answer({ ...check, columns: ["hour"] }, types, files)).toBe("3");
    expect(await answer({ ...check, columns: ["cell"] }, types, [])).toBe("0");
  });

  test.each([
    ["TIMESTAMP", "2026-01-15 22:30:00\n2026-01-15 03:00:00\n", "UTC", 90],
    ["DATE", "2026-01-14\n2026-01-15\n", "UTC", 1_440],
    ["BIGINT", "1768516200000\n1768435200000\n", "UTC", 90],
    // Half past ten in the evening there is five in the afternoon in UTC.
    ["BIGINT", "1768496400000\n", "Asia/Kolkata", 90],
    // A record of the day after, or of a broken clock, does not make the day look fresh.
    ["TIMESTAMP", "2026-01-15 22:30:00\n2026-01-16 00:00:00\n2099-01-01 00:00:00\n", "UTC", 90],
  ])("fresh of %s: minutes before the end of the day", async (type, text, zone, minutes) => {
    const types = columns(`at ${type}`);
    const files = await staged(types, text);
    const check = { ...head, kind: "fresh", column: "at", withinMs: 0, unit: "ms" } as const;
    expect(await answer(check, types, files, zone)).toBe(String(minutes * 60_000));
  });

  test("fresh of seconds and microseconds; nothing there is no value", async () => {
    const types = columns("s INTEGER, us BIGINT");
    const files = await staged(types, "1768516200,1768516200000000\n");
    const answerOf = (column: string, unit: FreshCheck["unit"], from = files) =>
      answer({ ...head, kind: "fresh", withinMs: 0, column, unit }, types, from);
    expect(await answerOf("s", "s")).toBe("5400000");
    expect(await answerOf("us", "us")).toBe("5400000");
    expect(await answerOf("s", "s", [])).toBe(null);
    // Read as milliseconds it lies in 1970: inside no recent day, but before its end.
    expect(Number(await answerOf("s", "ms"))).toBeGreaterThan(1e12);
  });
});
