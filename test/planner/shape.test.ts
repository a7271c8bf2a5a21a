/**
 * Which exchanges a job takes: one scan a source, the fewest exchanges that serve all its models, only the columns and
 * rows that somebody reads.
 */
import { describe, expect, test } from "vitest";
import { limits } from "../../shared/kernel/limits.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { planOf, shapeOf } from "./planning.ts";

function exchange(plan: JobPlan, id: string) {
  const found = plan.exchanges.find((entry) => entry.id === id);
  if (found === undefined) throw new Error(`no exchange ${id}`);
  return found;
}

describe("sharing", () => {
  test("models that group by, or count distinct, one column share one exchange of raw rows", async () => {
    const plan = await planOf({
      usage: "SELECT user_id, app_id, day, sum(bytes) AS b FROM events GROUP BY ALL",
      profile: "SELECT user_id, count(DISTINCT app_id) AS apps FROM events GROUP BY user_id",
      by_app: "SELECT app_id, count(DISTINCT user_id) AS users FROM events GROUP BY app_id",
      by_cell: "SELECT cell, count(DISTINCT user_id) AS users FROM events GROUP BY cell",
    });
    expect(shapeOf(plan)).toEqual([
      "scan events → x0 by user_id",
      "x0 → x1 by CAST(g0 AS BIGINT); x2 by CAST(g0 AS BIGINT); usage; profile",
      "x1 + x2 → by_app; by_cell",
    ]);
    expect(exchange(plan, "x0").columns.map((column) => column.name)).toEqual([
      "user_id",
      "app_id",
      "cell",
      "day",
      "bytes",
    ]);
  });

  test("mergeable aggregates ride on a shared exchange, and shrink in the map where there is none", async () => {
    const alone = await planOf({ a: "SELECT app_id, count(*) AS n FROM events GROUP BY app_id" });
    expect(shapeOf(alone)).toEqual(["scan events → x0 by CAST(g0 AS BIGINT)", "x0 → a"]);
    expect(exchange(alone, "x0").columns.map((column) => column.name)).toEqual(["g0", "a0"]);
    const beside = await planOf({
      a: "SELECT app_id, count(*) AS n FROM events GROUP BY app_id",
      m: "SELECT user_id, median(score) AS m FROM events GROUP BY user_id",
    });
    expect(shapeOf(beside)).toEqual([
      "scan events → x0 by user_id",
      "x0 → x1 by CAST(g0 AS BIGINT); m",
      "x1 → a",
    ]);
  });

  test("a model over a model stays in its stage where its rows already meet", async () => {
    const plan = await planOf({
      daily: "SELECT user_id, day, count(DISTINCT cell) AS c FROM events GROUP BY user_id, day",
      best: "SELECT user_id, max(c) AS c FROM daily GROUP BY user_id",
    });
    expect(shapeOf(plan)).toEqual(["scan events → x0 by user_id", "x0 → daily; best"]);
  });

  test("partial results are cut the way their readers like it", async () => {
    const plan = await planOf({
      heat: "SELECT cell, day, count(*) AS n FROM events GROUP BY cell, day",
      busy: "SELECT cell, day FROM heat QUALIFY row_number() OVER (PARTITION BY cell ORDER BY n DESC, day) = 1",
    });
    expect(shapeOf(plan)).toEqual(["scan events → x0 by CAST(g0 AS BIGINT)", "x0 → heat; busy"]);
  });

  test("a join meets where one side already lies", async () => {
    const plan = await planOf({
      n: "SELECT user_id, count(DISTINCT cell) AS c FROM events GROUP BY user_id",
      j: "SELECT n.user_id, n.c, v.page FROM n JOIN visits v ON v.user_id = n.user_id",
    });
    expect(shapeOf(plan)).toEqual([
      "scan events → x0 by user_id",
      "scan visits → x1 by CAST(user_id AS BIGINT)",
      "x0 + x1 → n; j",
    ]);
  });

  test("what is read twice is computed once", async () => {
    const plan = await planOf({
      u: "SELECT user_id, sum(bytes) AS b FROM events GROUP BY user_id",
      a: "SELECT user_id, b FROM u WHERE b > 0",
      b: "SELECT b % 7 AS k, count(*) AS n FROM u GROUP BY k",
    });
    const last = plan.stages.find((stage) =>
      stage.outputs.some((output) => output.kind === "dataset"),
    );
    expect(last?.tables.filter((table) => table.materialize).map((table) => table.name)).toEqual([
      "u",
    ]);
  });
});

describe("stages that are read at the same time", () => {
  const spread = "SELECT user_id, median(score) AS m FROM events GROUP BY user_id";
  const perKey = (key: string) => `SELECT ${key} AS k, count(*) AS n FROM events GROUP BY 1`;

  test("small results are combined by the same tasks, and a report over files joins them", async () => {
    const plan = await planOf({
      spread,
      by_app: perKey("app_id"),
      by_day: perKey("day"),
      best: "SELECT k, n FROM by_app ORDER BY n DESC LIMIT 3",
      total: "SELECT count(*) AS n FROM by_day",
      feeds: "SELECT file, sum(rejects) AS r FROM events_files GROUP BY file",
      bytes: "SELECT sum(bytes) AS b FROM events_files",
    });
    expect(shapeOf(plan)).toEqual([
      "scan events → x0 by user_id; x3 by g0; x6 by one",
      "x0 → x1 by CAST(g0 AS BIGINT); x2 by g0; spread",
      "x1 + x2 + x3 → x4 by one; x5 by one; by_app; by_day; feeds",
      "x4 + x5 + x6 → best; total; bytes",
    ]);
  });

  test("rows of the source, and what a scan makes of them, have a stage to themselves", async () => {
    const raw = await planOf({
      spread,
      other: "SELECT cell, median(score) AS m FROM events GROUP BY cell",
    });
    expect(shapeOf(raw).slice(1)).toEqual(["x0 → spread", "x1 → other"]);
    const partial = await planOf({ by_app: perKey("app_id"), by_day: perKey("day") });
    expect(shapeOf(partial).slice(1)).toEqual(["x0 → by_app", "x1 → by_day"]);
  });

  test("whole results that are brought together anew have one, too", async () => {
    const plan = await planOf({
      spread,
      usage: "SELECT user_id, app_id, sum(bytes) AS b FROM events GROUP BY ALL",
      middle: "SELECT app_id, median(b) AS m FROM usage GROUP BY app_id",
      by_day: perKey("day"),
      by_cell: perKey("cell"),
    });
    expect(shapeOf(plan).slice(1)).toEqual([
      "x0 → x1 by CAST(g1 AS BIGINT); x2 by g0; x3 by CAST(g0 AS BIGINT); spread; usage",
      "x1 → middle",
      "x2 + x3 → by_day; by_cell",
    ]);
  });

  test("a stage reads a bounded number of exchanges, each of its own table", async () => {
    const keys = Array.from({ length: 11 }, (_, index) => `cell % ${index + 2}`);
    const plan = await planOf({
      spread,
      ...Object.fromEntries(keys.map((key, index) => [`m${index}`, perKey(key)])),
    });
    const reads = plan.stages.map(({ input }) =>
      input.kind === "exchange" ? input.exchanges.length : 0,
    );
    expect(reads.sort()).toEqual([0, 1, 3, limits.mergedExchangesMax]);
    for (const { tables } of plan.stages) {
      const names = tables.map((table) => table.name);
      expect(new Set(names).size).toBe(names.length);
    }
  });
});

describe("what travels", () => {
  test("a filter that all readers have is applied before the exchange", async () => {
    const plan = await planOf({
      a: "SELECT user_id, count(DISTINCT cell) AS n FROM events WHERE ok AND cell > 5 GROUP BY user_id",
      b: "SELECT user_id, count(DISTINCT app_id) AS n FROM events WHERE ok GROUP BY user_id",
    });
    const [scan] = plan.stages;
    expect(scan?.outputs[0]?.sql).toContain("WHERE t.ok");
    expect(exchange(plan, "x0").columns.map((column) => column.name)).toEqual([
      "user_id",
      "app_id",
      "cell",
    ]);
  });

  test("a cast stays with its reader where another condition may guard it", async () => {
    const sum = (more: string) =>
      `SELECT user_id, median(cell) AS m FROM events WHERE ok AND ${more} GROUP BY user_id`;
    const filterOf = async (a: string, b: string) => {
      const [scan] = (await planOf({ a: sum(a), b: sum(b) })).stages;
      return scan?.outputs[0]?.sql.split(" WHERE ")[1];
    };
    const big = "note::INTEGER > 7";
    expect(await filterOf(`note LIKE '1%' AND ${big}`, `note LIKE '2%' AND ${big}`)).toBe("t.ok");
    expect(await filterOf(big, `note LIKE '2%' AND ${big}`)).toMatch(/ok AND \(CAST.* > 7/);
    // What gives NULL where a cast would fail, and what compares texts, needs no guard.
    const safe = "TRY_CAST(note AS INTEGER) > 7 AND note LIKE '3%'";
    const pushed = await filterOf(`cell > 1 AND ${safe}`, `cell > 2 AND ${safe}`);
    expect(pushed).toMatch(/ok AND \(TRY_CAST.* > 7\) AND .*note.* '3%'/);
  });

  test("what nobody reads of an aggregate is not sent for it", async () => {
    const plan = await planOf({
      known:
        "SELECT user_id FROM (SELECT user_id, median(score) AS m FROM events GROUP BY user_id)",
    });
    expect(exchange(plan, "x0").columns.map((column) => column.name)).toEqual(["user_id"]);
    expect(plan.stages[0]?.input).toMatchObject({ keep: ["user_id"] });
  });

  test("a scan keeps what is read and nothing else", async () => {
    const plan = await planOf({ n: "SELECT count(*) AS n FROM events WHERE cell > 3" });
    expect(plan.stages[0]?.input).toEqual({
      kind: "scan",
      source: "events",
      keep: ["cell"],
      files: false,
    });
  });

  test("big sums travel and are written as DECIMAL(38,0)", async () => {
    const plan = await planOf({ s: "SELECT cell, sum(bytes) AS s FROM events GROUP BY cell" });
    expect(exchange(plan, "x0").columns).toEqual([
      { name: "g0", type: "INTEGER" },
      { name: "a0", type: "DECIMAL(38,0)" },
    ]);
    expect(plan.datasets[0]?.columns).toEqual([
      { name: "cell", type: "INTEGER" },
      { name: "s", type: "DECIMAL(38,0)" },
    ]);
  });

  test("dimensions are named by the stages that read them", async () => {
    const plan = await planOf({
      a: "SELECT category, count(DISTINCT user_id) AS n FROM events JOIN apps USING (app_id) GROUP BY category",
    });
    expect(plan.stages.map((stage) => stage.dimensions)).toEqual([[], ["apps"], []]);
  });

  test("whitespace, comments and the case of keywords change nothing; the query does", async () => {
    const plain = await planOf({ a: "SELECT cell, count(*) AS n FROM events GROUP BY cell" });
    const same = await planOf({
      a: "select  cell ,\n count( * ) as n -- all\nfrom events group  by cell",
    });
    const other = await planOf({ a: "SELECT cell, count(*) + 1 AS n FROM events GROUP BY cell" });
    expect(same).toEqual(plain);
    expect(other).not.toEqual(plain);
  });

  test("only jobs that ask for the time depend on it", async () => {
    const timeless = await planOf({ a: "SELECT count(*) AS n FROM events" });
    const timed = await planOf({ a: "SELECT count(*) AS n FROM events WHERE ts < now()" });
    expect([timeless.usesLogicalTime, timed.usesLogicalTime]).toEqual([false, true]);
    expect(
      timed.stages.flatMap((stage) => stage.tables).some((table) => /now\(/.test(table.sql)),
    ).toBe(false);
  });

  test("tables of the job may be called like exchanges", async () => {
    const plan = await planOf({ x0: "SELECT cell, count(*) AS n FROM events GROUP BY cell" });
    expect(plan.exchanges.map((entry) => entry.id)).toEqual(["x1"]);
  });
});

test("files are sorted by ORDER BY, with its collation", async () => {
  const plan = await planOf({
    sorted: "SELECT id, note FROM events ORDER BY note COLLATE NOCASE, id DESC",
  });
  const [output] = plan.stages[0]?.outputs ?? [];
  expect(output?.sql).toMatch(/ORDER BY \S*note COLLATE NOCASE, \S*id DESC$/);
});
