/** What SQL in a worker may do, and what its failures are called. No message ever quotes a row. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runWork, type WorkerContext } from "../../executor/shell/worker/run-work.ts";
import { openEngine } from "../../shared/adapters/duckdb.ts";
import type { StageTable } from "../../shared/kernel/plan.ts";
import type { Delivery, MapWork } from "../../shared/kernel/work.ts";
import { query } from "./query.ts";
import { columns, context, delivery, mapWork, rootOfEachTest, source } from "./setup.ts";

const root = rootOfEachTest();

interface Stage {
  readonly sql: string;
  readonly types: string;
  readonly tables?: readonly StageTable[];
  readonly single?: boolean;
}

function work(stage: Stage, overrides: Partial<MapWork> = {}): MapWork {
  const file = root.write("raw/a.csv", "1,secret one\n2,secret two\n");
  const { sql, types, tables = [], single = false } = stage;
  return mapWork(
    source({ columns: columns("a BIGINT, s VARCHAR") }),
    [file],
    {
      id: "s0",
      input: { kind: "scan", source: "src", keep: ["a", "s"], files: false },
      dimensions: [],
      tables,
      outputs: [{ kind: "dataset", model: "m", sql, columns: columns(types), single }],
    },
    overrides,
  );
}

async function run(
  stage: Stage,
  where: {
    context?: Partial<WorkerContext>;
    delivery?: Partial<Delivery>;
    work?: Partial<MapWork>;
  } = {},
) {
  return await runWork(
    work(stage, where.work),
    delivery(where.delivery),
    context(root, where.context),
  );
}

async function failing(sql: string, types = "x BIGINT") {
  const error: unknown = await run({ sql, types }).catch((caught: unknown) => caught);
  expect(String(error)).not.toContain("secret");
  return error;
}

describe("failures of a model's SQL", () => {
  test("a value that does not fit is valueOverflow and names the model", async () => {
    for (const sql of [
      "SELECT (a + 9223372036854775806)::BIGINT AS x FROM src",
      "SELECT s::BIGINT AS x FROM src",
      "SELECT sum(a) * 9223372036854775807 AS x FROM src",
    ]) {
      expect(await failing(sql)).toMatchObject({
        failure: { code: "valueOverflow", message: expect.stringMatching(/^model m: /) },
      });
    }
  });

  test("is told by its kind, not by words that a value holds", async () => {
    for (const value of [
      "No space left on device",
      "Permission denied",
      "bad_alloc",
      "Interrupted!",
    ]) {
      const text = `s || ' it''s ${value}'`;
      expect(await failing(`SELECT (${text})::BIGINT AS x FROM src`), value).toMatchObject({
        failure: { code: "valueOverflow" },
      });
      const moment = `strptime(${text}, '%Y')`;
      expect(await failing(`SELECT epoch_ms(${moment}) AS x FROM src`), value).toMatchObject({
        failure: { code: "sqlFailed" },
      });
    }
  });

  test("SQL that does not bind or raises is sqlFailed", async () => {
    expect(await failing("SELECT nope AS x FROM src")).toMatchObject({
      failure: { code: "sqlFailed", message: expect.stringContaining("nope") },
    });
    expect(await failing("SELECT error('no ' || s)::BIGINT AS x FROM src")).toMatchObject({
      failure: { code: "sqlFailed" },
    });
  });

  test("more memory than there is is outOfMemory", async () => {
    const sql = "SELECT len(list(range)) AS x FROM range(40000000)";
    const memory = { memoryBytes: 64 * 1024 * 1024 };
    await expect(run({ sql, types: "x BIGINT" }, { context: memory })).rejects.toMatchObject({
      failure: { code: "outOfMemory" },
    });
  });

  test("a folder for temporary files that can't be made is named", async () => {
    const file = join(root.path, root.write("other.csv", "1,2\n").path);
    const opened = openEngine({
      tempDir: join(file, "attempt"),
      readable: [],
      writable: [],
      memoryBytes: 2 ** 28,
      threads: 1,
      timezone: "UTC",
      diskBacked: false,
      signal: new AbortController().signal,
    });
    await expect(opened).rejects.toMatchObject({
      failure: { code: "storageFailed", message: expect.stringContaining(`${file}/attempt/spill`) },
    });
  });

  test("other files, folders and settings are out of reach", async () => {
    root.write("other.csv", "1,2\n");
    for (const sql of [
      `SELECT * FROM read_csv('${root.path}/other.csv')`,
      `SELECT * FROM '${root.path}/other.csv'`,
      "SELECT * FROM read_text('/etc/passwd')",
      `SELECT * FROM glob('${root.path}/*')`,
    ]) {
      const caught = await failing(`SELECT 1 AS x FROM (${sql})`);
      expect(caught, sql).toMatchObject({ failure: { code: "pathForbidden" } });
    }
    const tables = [{ name: "t", sql: "SELECT 1; SET memory_limit = '9GB'", materialize: true }];
    await expect(run({ sql: "SELECT 1 AS x", types: "x BIGINT", tables })).rejects.toMatchObject({
      failure: { code: "sqlFailed" },
    });
  });

  test("an aborted attempt stops and is cancelled", async () => {
    const stop = new AbortController();
    const sql =
      "SELECT (sum(hash(a.range, b.range) % 7))::BIGINT AS x FROM range(1000000) a, range(1000000) b";
    const started = run({ sql, types: "x BIGINT" }, { context: { signal: stop.signal } });
    setTimeout(() => stop.abort(), 300);
    await expect(started).rejects.toMatchObject({ failure: { code: "cancelled" } });
  });
});

describe("dataset files", () => {
  test("hold the declared types, sums above 2^53 included, and carry their hash", async () => {
    const sql = "SELECT sum(a) + 9007199254740990 AS x, avg(a) AS y FROM src";
    const done = await run({ sql, types: "x DECIMAL(38,0), y DOUBLE" });
    const [file] = done.files;
    const path = join(root.path, file?.path ?? "");
    expect(file).toMatchObject({ model: "m", rows: 1 });
    expect(file?.sha256).toBe(createHash("sha256").update(readFileSync(path)).digest("hex"));
    expect(await query(`SELECT x, typeof(x), y FROM '${path}'`)).toEqual([
      ["9007199254740993", "DECIMAL(38,0)", "1.5"],
    ]);
  });

  test("without rows are written by the first task of a single dataset only", async () => {
    const none = { sql: "SELECT a AS x FROM src WHERE a > 9", types: "x BIGINT" };
    const empty = await run(none);
    expect(empty.files).toEqual([]);
    const [file] = (await run({ ...none, single: true })).files;
    const path = join(root.path, file?.path ?? "");
    expect(
      await query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${path}')`),
    ).toEqual([["x", "BIGINT"]]);
    const second = await run({ ...none, single: true }, { delivery: { task: 1 } });
    expect(second.files).toEqual([]);
  });

  test("keep the order that the SQL asks for", async () => {
    const sql = "SELECT range % 1000 AS x, range AS y FROM range(300000) ORDER BY x DESC, y";
    const done = await run({ sql, types: "x BIGINT, y BIGINT" }, { context: { threads: 2 } });
    const path = join(root.path, done.files[0]?.path ?? "");
    expect(
      await query(`SELECT count(*) FROM (SELECT x, y, lag(x) OVER (ORDER BY file_row_number) AS px,
        lag(y) OVER (ORDER BY file_row_number) AS py FROM read_parquet('${path}', file_row_number = true))
        WHERE px < x OR (px = x AND py > y)`),
    ).toEqual([["0"]]);
  });

  test("logical time and zone are the work's", async () => {
    const sql =
      "SELECT getvariable('logical_time') AS t, strftime(getvariable('logical_time'), '%H:%M') AS h";
    const done = await run(
      { sql, types: "t TIMESTAMP WITH TIME ZONE, h VARCHAR" },
      { work: { logicalTime: "2026-01-16T01:00:00Z", timezone: "Asia/Kolkata" } },
    );
    const path = join(root.path, done.files[0]?.path ?? "");
    expect(await query("SET TimeZone = 'UTC'", `SELECT t, h FROM '${path}'`)).toEqual([
      ["2026-01-16 01:00:00+00", "06:30"],
    ]);
  });

  test("an attempt with little memory works on disk and gives the same", async () => {
    const tables = [{ name: "t", sql: "SELECT a, s FROM src", materialize: true }];
    const stage = { sql: "SELECT a AS x, s AS y FROM t", types: "x BIGINT, y VARCHAR", tables };
    for (const lowMemory of [false, true]) {
      const done = await run(stage, { delivery: { lowMemory } });
      const path = join(root.path, done.files[0]?.path ?? "");
      expect(await query(`SELECT x, y FROM '${path}' ORDER BY x`)).toEqual([
        ["1", "secret one"],
        ["2", "secret two"],
      ]);
    }
  });

  test("it has one thread, a larger share of the memory, and its tables are in a file", async () => {
    const setting = (name: string) => `current_setting('${name}')::VARCHAR`;
    const file = "(SELECT count(*) FROM duckdb_databases() WHERE path LIKE '%work.db')::VARCHAR";
    const sql = `SELECT ${setting("threads")} AS t, ${setting("memory_limit")} AS m, ${file} AS f`;
    const settings = async (lowMemory: boolean) => {
      const [threads, memoryBytes] = [3, 1000 * 1024 * 1024];
      const types = "t VARCHAR, m VARCHAR, f VARCHAR";
      const how = { delivery: { lowMemory }, context: { threads, memoryBytes } };
      const done = await run({ sql, types }, how);
      return await query(`SELECT t, m, f FROM '${join(root.path, done.files[0]?.path ?? "")}'`);
    };
    expect(await settings(false)).toEqual([["3", "750.0 MiB", "0"]]);
    expect(await settings(true)).toEqual([["1", "900.0 MiB", "1"]]);
  });
});
