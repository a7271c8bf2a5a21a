/** Results as people see them, against what DuckDB itself says of the same values. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterEach, expect, test } from "vitest";
import { readArrowRows } from "../../shared/adapters/arrow-rows.ts";
import { encodeQuery } from "../../shared/adapters/duckdb-arrow.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function rowsOf(sql: string) {
  const folder = mkdtempSync(join(tmpdir(), "daymill-rows-"));
  folders.push(folder);
  const instance = await DuckDBInstance.create(":memory:", { temp_directory: folder });
  const connection = await instance.connect();
  try {
    return await readArrowRows(encodeQuery(connection, sql));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

test("every kind of value, exactly", async () => {
  const got = await rowsOf(`SELECT 9007199254740993::BIGINT AS big, -5::SMALLINT AS small,
    (2::HUGEINT ** 100)::HUGEINT AS huge, -12.345::DECIMAL(38,3) AS money, 0.05::DECIMAL(9,2) AS few,
    0.1::DOUBLE AS half, true AS yes, 'größe' AS text, DATE '1969-12-31' AS day,
    TIMESTAMP '2026-01-15 06:00:12.000150' AS moment, TIMESTAMP '1969-12-31 23:59:59' AS before,
    TIME '01:02:03' AS clock, NULL::INTEGER AS nothing, 'ab'::BLOB AS bytes`);
  expect(Object.fromEntries(got.columns.map((name, i) => [name, got.rows[0]?.[i]]))).toEqual({
    big: 9007199254740993n,
    small: -5,
    huge: 2n ** 100n,
    money: "-12.345",
    few: "0.05",
    half: 0.1,
    yes: true,
    text: "größe",
    day: "1969-12-31",
    moment: "2026-01-15 06:00:12.00015",
    before: "1969-12-31 23:59:59",
    clock: "01:02:03",
    nothing: null,
    bytes: "6162",
  });
});

test("days and moments far away read as in DuckDB itself", async () => {
  const moments = ["0044-03-15 (BC) 12:00:00", "0001-01-01 00:00:01.5", "12345-06-07 08:09:10"];
  const days = ["0001-12-31 (BC)", "0999-01-01", "9999-12-31", "10000-01-01", "123456-07-08"];
  for (const [type, texts] of [
    ["TIMESTAMP", [...moments, "infinity", "-infinity"]],
    ["DATE", [...days, "infinity", "-infinity"]],
  ] as const) {
    for (const text of texts) {
      const got = await rowsOf(`SELECT v, v::VARCHAR FROM (SELECT ${type} '${text}' AS v)`);
      expect(got.rows[0]?.[0], text).toBe(got.rows[0]?.[1]);
    }
  }
});

test("many rows keep their order over several batches; none at all still has columns", async () => {
  const got = await rowsOf("SELECT range AS n FROM range(10000) ORDER BY n DESC");
  expect(got.rows.length).toBe(10_000);
  expect(got.rows.map((row) => row[0])).toEqual(
    Array.from({ length: 10_000 }, (_, index) => BigInt(9_999 - index)),
  );
  expect(await rowsOf("SELECT 1 AS n WHERE false")).toEqual({ columns: ["n"], rows: [] });
});
