/** The planner's small pure parts: trees, key types, aggregates, places. */
import { DuckDBInstance } from "@duckdb/node-api";
import { describe, expect, test } from "vitest";
import { callKind, orderCall } from "../../coordinator/core/planner/aggregates.ts";
import { keySet } from "../../coordinator/core/planner/demands.ts";
import { aggregateNames, forbiddenFunction } from "../../coordinator/core/planner/functions.ts";
import {
  commonType,
  datasetType,
  hashType,
  travelType,
} from "../../coordinator/core/planner/key-types.ts";
import { Places } from "../../coordinator/core/planner/places.ts";
import { planJob } from "../../coordinator/core/planner/plan-job.ts";
import { lineAt, Refusal } from "../../coordinator/core/planner/refusal.ts";
import {
  call,
  column,
  columnRefs,
  comparison,
  conjunction,
  conjuncts,
  constant,
  keyOf,
  mapColumns,
  parseTree,
  printTree,
} from "../../coordinator/core/planner/tree.ts";
import { jobOf } from "../sql/tables.ts";

describe("trees", () => {
  test("integers beyond a double survive reading and printing", () => {
    const text =
      '{"a":9007199254740993,"b":"x:9007199254740993","c":{"lower":18446744073709551615},"d":-1.5}';
    expect(printTree(parseTree(text))).toBe(text);
  });

  test("numbers keep the engine's spelling, and no text is taken for one", () => {
    const texts = [
      '{"a":1000000000.0,"b":1.5,"c":1e300,"d":-2.5e-7,"e":[0.0,7]}',
      '{"a":Infinity}',
      `{"a":${JSON.stringify("\u0001number:5.0")},"b":${JSON.stringify("\u0001text:\u0001")}}`,
      `{"a":${JSON.stringify('x"\u0001number:5"')},"b":${JSON.stringify('y"\u0001int:5')}}`,
    ];
    for (const text of texts) expect(printTree(parseTree(text))).toBe(text);
  });

  test("source positions are dropped unless asked for", () => {
    const text = '{"class":"CONSTANT","query_location":7}';
    expect(parseTree(text)).toEqual({ class: "CONSTANT" });
    expect(parseTree(text, true)).toEqual({ class: "CONSTANT", query_location: 7 });
  });

  test("an alias is no part of what an expression means", () => {
    expect(keyOf({ ...column("t", "a"), alias: "x" })).toBe(keyOf(column("t", "a")));
  });

  test("columns are found and replaced at any depth", () => {
    const expr = call("f", [
      comparison("COMPARE_EQUAL", column("a", "x"), call("g", [column("b", "y")])),
    ]);
    expect(columnRefs(expr)).toEqual([
      { table: "a", name: "x" },
      { table: "b", name: "y" },
    ]);
    const moved = mapColumns(expr, (ref) => column("t", ref.name));
    expect(columnRefs(moved).map((ref) => ref.table)).toEqual(["t", "t"]);
  });

  test("a conjunction falls apart into what it was made of", () => {
    const parts = [column("t", "a"), column("t", "b"), column("t", "c")];
    expect(conjuncts(conjunction(parts))).toEqual(parts);
    expect(conjunction([])).toBeUndefined();
  });
});

describe("types", () => {
  test("keys are hashed as one type for all that compare equal", () => {
    expect(["TINYINT", "UINTEGER", "BIGINT"].map(hashType)).toEqual(["BIGINT", "BIGINT", "BIGINT"]);
    expect([hashType("UBIGINT"), hashType("FLOAT"), hashType("VARCHAR")]).toEqual([
      "HUGEINT",
      "FLOAT",
      "VARCHAR",
    ]);
    expect([commonType("FLOAT", "INTEGER"), commonType("HUGEINT", "FLOAT")]).toEqual([
      "FLOAT",
      "FLOAT",
    ]);
    expect([commonType("FLOAT", "DOUBLE"), commonType("BIGINT", "DOUBLE")]).toEqual([
      "DOUBLE",
      "DOUBLE",
    ]);
    expect(commonType("INTEGER", "SMALLINT")).toBe("BIGINT");
    expect(commonType("DATE", "TIMESTAMP")).toBe("TIMESTAMP");
    expect(commonType("VARCHAR", "INTEGER")).toBeUndefined();
    expect(commonType("DECIMAL(10,2)", "DECIMAL(10,3)")).toBeUndefined();
  });

  test("what has no exact form neither travels nor is written", () => {
    expect(travelType("c", "HUGEINT")).toBe("DECIMAL(38,0)");
    expect(travelType("c", "INTERVAL")).toBe("VARCHAR");
    expect(datasetType("c", "UUID")).toBe("VARCHAR");
    expect(() => travelType("c", "INTEGER[]")).toThrow(Refusal);
    expect(() => datasetType("c", "INTERVAL")).toThrow(Refusal);
  });
});

describe("aggregates", () => {
  test("how each may be spread", () => {
    const of = (name: string, type: string, more = {}) =>
      callKind(call(name, [column("t", "x")], more), type).kind;
    expect([of("sum", "HUGEINT"), of("avg", "DOUBLE"), of("stddev", "DOUBLE")]).toEqual(
      Array(3).fill("mergeable"),
    );
    expect(of("avg", "TIMESTAMP")).toBe("holistic");
    expect(of("median", "DOUBLE")).toBe("holistic");
    expect(of("count", "BIGINT", { distinct: true })).toBe("distinct");
  });

  test("answers that would follow the order of rows get a total order", () => {
    const any = orderCall(call("any_value", [column("t", "x")]));
    expect(any["function_name"]).toBe("min");
    const ordered = orderCall(call("arg_max", [column("t", "x"), column("t", "y")]));
    expect(JSON.stringify(ordered["order_bys"])).toContain('"x"');
    expect(orderCall(call("sum", [column("t", "x")]))).toEqual(call("sum", [column("t", "x")]));
  });

  test("the names are the engine's own", async () => {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(
      "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'",
    );
    const engine = reader.getRows().map((row) => String(row[0]));
    const volatile = await connection.runAndReadAll(
      "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE' AND function_type = 'scalar'",
    );
    connection.closeSync();
    instance.closeSync();
    const windowOnly =
      /^(cume_dist|dense_rank|fill|first_value|lag|last_value|lead|nth_value|ntile|percent_rank|rank|rank_dense|row_number)$/;
    const missing = engine.filter((name) => !aggregateNames.has(name) && !windowOnly.test(name));
    const invented = [...aggregateNames].filter((name) => !engine.includes(name));
    expect({ missing, invented }).toEqual({ missing: [], invented: [] });
    const allowed = volatile
      .getRows()
      .map((row) => String(row[0]))
      .filter((name) => forbiddenFunction(name) === undefined);
    expect(allowed).toEqual(["error"]);
  });
});

describe("places", () => {
  test("a place never takes rows from work that waits for it", () => {
    const places = new Places();
    const scan = places.scan("events");
    places.settle("events", scan.id, undefined);
    const first = places.open(["BIGINT"]);
    places.bring("events", first, keySet([column("t", "user_id")]));
    places.settle("sums", first.id, [new Set([keyOf(column("t", "user_id"))])]);
    const second = places.open(["BIGINT"]);
    places.bring("sums", second, keySet([column("t", "n")]));
    expect(places.accepts(second, first)).toBe(true);
    expect(places.accepts(first, second)).toBe(false);
    expect(places.accepts(scan, first)).toBe(false);
    expect(places.cutOf("events", first)).toEqual([new Set([keyOf(column("t", "user_id"))])]);
    expect(places.cutOf("events", scan)).toBeUndefined();
  });

  test("key sets are equal whatever their order", () => {
    const [a, b] = [column("t", "a"), column("t", "b")];
    expect(keySet([a, b]).text).toBe(keySet([b, a, a]).text);
  });
});

test("planning without answers asks, in one batch, and never guesses", () => {
  const planning = planJob(
    jobOf([
      { name: "a", sql: "SELECT 1 AS x FROM events" },
      { name: "b", sql: "SELECT 2 AS x FROM events" },
    ]),
    new Map(),
  );
  expect(planning).toEqual({
    kind: "need",
    questions: [
      { kind: "parse", sql: "SELECT 1 AS x FROM events" },
      { kind: "parse", sql: "SELECT 2 AS x FROM events" },
    ],
  });
});

test("lines are counted from a character offset", () => {
  expect([
    lineAt("a\nb\nc", 0),
    lineAt("a\nb\nc", 4),
    lineAt("a", 99),
    lineAt("a", undefined),
  ]).toEqual([1, 3, 0, 0]);
  expect(constant("INTEGER", 1)["class"]).toBe("CONSTANT");
});
