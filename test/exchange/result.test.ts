// Results as Arrow for others: what a plain Arrow reader sees of any SELECT.
import type { DuckDBConnection } from "@duckdb/node-api";
import { type Table, tableFromIPC } from "apache-arrow";
import { beforeAll, expect, test } from "vitest";
import { encodeQuery } from "../../shared/adapters/duckdb-arrow.ts";
import { failureOf } from "../kit/failures.ts";
import { openDuckDb } from "./kit.ts";

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await openDuckDb();
});

async function pieces(sql: string, options = {}): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of encodeQuery(connection, sql, options)) all.push(piece);
  return all;
}

async function query(sql: string, options = {}): Promise<Table> {
  return tableFromIPC(Buffer.concat(await pieces(sql, options)));
}

test("a result has the query's names, types and values", async () => {
  const table = await query(
    "SELECT 9007199254740993 AS big, 'naïve' AS text, NULL::INTEGER AS nothing, true AS yes, " +
      "1.5::DOUBLE AS half, DATE '2026-01-15' AS day, 12.34::DECIMAL(6,2) AS money",
  );
  expect(table.schema.fields.map((field) => `${field.name} ${field.type}`)).toEqual([
    "big Int64",
    "text Utf8",
    "nothing Int32",
    "yes Bool",
    "half Float64",
    "day Date32<DAY>",
    "money Decimal[6e+2]",
  ]);
  const row = table.get(0)?.toJSON() ?? {};
  expect(row).toMatchObject({ big: 9007199254740993n, text: "naïve", nothing: null, yes: true });
  expect(row).toMatchObject({ half: 1.5, day: Date.UTC(2026, 0, 15) });
  expect([...(row["money"] as Uint32Array)]).toEqual([1234, 0, 0, 0]);
});

test("sums of BIGINT stay exact, and other types come as their text", async () => {
  const table = await query(
    "SELECT sum(9223372036854775807) AS total, [1, 2] AS list, INTERVAL 3 DAY AS span, " +
      "'b'::ENUM('a', 'b') AS letter FROM range(3)",
  );
  const row = table.get(0)?.toJSON() ?? {};
  expect(row).toMatchObject({ list: "[1, 2]", span: "3 days", letter: "b" });
  const words = row["total"] as Uint32Array;
  const total = [...words].reduceRight((sum, word) => sum * 2n ** 32n + BigInt(word), 0n);
  expect(total).toBe(9223372036854775807n * 3n);
});

test.each([false, true])("a large result comes in bounded pieces, packed: %s", async (packed) => {
  const sql = "SELECT i, md5(i::VARCHAR) AS s FROM range(150000) r(i) ORDER BY i";
  const pieceBytesMax = 500_000;
  const all = await pieces(sql, { packed, pieceBytesMax });
  expect(all.length).toBeGreaterThan(10);
  const largest = Math.max(...all.map((piece) => piece.byteLength));
  expect(largest).toBeLessThan(pieceBytesMax * 1.1);
  const table = tableFromIPC(Buffer.concat(all));
  expect(table.numRows).toBe(150_000);
  expect(table.getChild("i")?.get(149_999)).toBe(149_999n);
  expect(table.getChild("s")?.get(149_999)).toHaveLength(32);
});

test("a closing semicolon and blanks do no harm", async () => {
  const table = await query("SELECT sum(i) AS s FROM range(4) r(i);  \n");
  expect(String(table.schema.fields[0]?.type)).toBe("Decimal[38e0]");
});

test("an empty result is a schema without rows", async () => {
  const table = await query("SELECT 1::BIGINT AS a, 'x' AS b WHERE FALSE");
  expect([table.numRows, table.numCols]).toEqual([0, 2]);
});

test("an abort ends the result with cancelled", async () => {
  const abort = new AbortController();
  const read = async () => {
    const sql = "SELECT i FROM range(1000000) r(i)";
    const stream = encodeQuery(connection, sql, { signal: abort.signal, pieceBytesMax: 100_000 });
    for await (const _ of stream) abort.abort();
  };
  expect(await failureOf(read())).toMatchObject({ code: "cancelled" });
});
