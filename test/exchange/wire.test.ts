// DuckDB → Arrow → DuckDB over streams in memory: every type, every odd value, any table.
import type { DuckDBConnection } from "@duckdb/node-api";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createArrowEncoder, decodeArrow } from "../../shared/adapters/arrow.ts";
import { readGroup } from "../../shared/adapters/duckdb-arrow-receive.ts";
import { writeTable } from "../../shared/adapters/duckdb-arrow-send.ts";
import { compressLz4Frame, decompressLz4Frame } from "../../shared/adapters/lz4.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { ExchangePlan } from "../../shared/kernel/plan.ts";
import { failureOf } from "../kit/failures.ts";
import {
  differences,
  memoryStreams,
  openDuckDb,
  planOf,
  routeOf,
  scalar,
  winnerOf,
} from "./kit.ts";

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await openDuckDb();
});

let tables = 0;

/** Writes `sql` (columns, then __p), reads all groups back into one table, gives both tables' names. */
async function roundTrip(plan: ExchangePlan, sql: string) {
  const [sent, got] = [`sent${++tables}`, `got${tables}`];
  await connection.run(`CREATE TABLE ${sent} AS ${sql}`);
  await connection.run(`CREATE TABLE ${got} AS FROM ${sent} LIMIT 0`);
  const route = routeOf(sent, plan.groups);
  const { sink, source, streams } = memoryStreams("a1");
  const signal = new AbortController().signal;
  const request = { plan, route, attemptId: "a1", producer: "m", table: sent, signal };
  const output = await writeTable(connection, request, sink);
  let rows = 0;
  for (let group = 0; group < plan.groups; group++) {
    const table = `${got}_g${group}`;
    const winners = [winnerOf("a1", output)];
    const read = await readGroup(connection, { plan, route, winners, group, table }, source);
    rows += read.rows;
    await connection.run(`INSERT INTO ${got} FROM ${table}`);
    await connection.run(`DROP TABLE ${table}`);
  }
  return { sent, got, output, rows, streams };
}

const odd: Readonly<Record<string, readonly string[]>> = {
  BOOLEAN: ["true", "false"],
  TINYINT: ["-128", "127", "0"],
  SMALLINT: ["-32768", "32767"],
  INTEGER: ["-2147483648", "2147483647"],
  BIGINT: ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
  UTINYINT: ["0", "255"],
  USMALLINT: ["65535"],
  UINTEGER: ["4294967295"],
  UBIGINT: ["18446744073709551615", "9007199254740993"],
  FLOAT: ["'nan'", "'inf'", "'-inf'", "-0.0", "1.17549435e-38", "3.4028235e38"],
  DOUBLE: ["'nan'", "'inf'", "'-inf'", "-0.0", "5e-324", "1.7976931348623157e308"],
  DATE: ["'0001-01-01'", "'9999-12-31'", "'infinity'", "'-infinity'"],
  TIMESTAMP: ["'1677-09-22 00:12:44'", "'2262-04-11 23:47:16.854775'", "'infinity'"],
  "TIMESTAMP WITH TIME ZONE": ["'2026-01-15 00:00:00+05:30'", "'-infinity'"],
  TIME: ["'00:00:00'", "'23:59:59.999999'"],
  VARCHAR: [
    "''",
    "'twelve bytes'",
    "'thirteen byte'",
    "repeat('long ', 5000)",
    "'नमस्ते दुनिया, ज़रूर'",
    "'😀'",
    "'a' || chr(0) || 'b, and more after the zero byte'",
  ],
  BLOB: ["''::BLOB", "'\\x00\\xFF\\xFE'::BLOB", "'\\xFF\\x80'::BLOB || repeat('x', 40)::BLOB"],
  "DECIMAL(4,1)": ["-999.9", "999.9"],
  "DECIMAL(9,2)": ["-9999999.99", "9999999.99"],
  "DECIMAL(18,3)": ["-999999999999999.999", "999999999999999.999"],
  "DECIMAL(38,0)": [`-${"9".repeat(38)}`, "9".repeat(38), "9007199254740993"],
  "DECIMAL(38,10)": ["-0.0000000001", "12345678901234567890.0123456789"],
};

describe("every type crosses exactly", () => {
  test.each(Object.entries(odd))("%s", async (type, values) => {
    const cases = [...values, "NULL"].map((value) => `SELECT (${value})::${type} AS v`);
    // Repeated, so that values lie in many places of a vector and over several vectors.
    const sql =
      `SELECT v, (i * 7 % 5)::INTEGER AS __p FROM (${cases.join(" UNION ALL ")}), ` +
      "range(700) r(i)";
    const { sent, got, output, rows } = await roundTrip(planOf(`v ${type}`, 5, 2), sql);
    expect(rows).toBe(700 * cases.length);
    expect(output.rows).toBe(rows);
    expect(await differences(connection, sent, got)).toBe("0");
    // EXCEPT treats −0.0 as 0.0; the text tells them apart.
    const texts = (table: string) => `(SELECT v::VARCHAR, count(*) FROM ${table} GROUP BY 1)`;
    expect(await differences(connection, texts(sent), texts(got))).toBe("0");
  });

  test("columns without any value, and without any row", async () => {
    const nothing = "SELECT NULL::VARCHAR s, NULL::BIGINT b, 0 AS __p FROM range(3000)";
    const all = await roundTrip(planOf("s VARCHAR, b BIGINT", 1, 1), nothing);
    expect(await differences(connection, all.sent, all.got)).toBe("0");
    const none = await roundTrip(planOf("s VARCHAR, b BIGINT", 1, 1), `${nothing} WHERE FALSE`);
    expect([none.rows, none.output.messages]).toEqual([0, 0]);
  });

  test("rows of one partition only: the other groups are empty and complete", async () => {
    const sql = "SELECT i AS k, 37 AS __p FROM range(100) r(i)";
    const { sent, got, streams } = await roundTrip(planOf("k BIGINT", 40, 8), sql);
    expect(await differences(connection, sent, got)).toBe("0");
    const kinds = [...streams.values()].map((list) => list.map((message) => message.head.kind));
    expect(kinds.filter((list) => list.includes("data"))).toEqual([["data", "completion"]]);
    expect(kinds.length).toBe(8);
  });

  test("rows without any column are still counted", async () => {
    const sql = "SELECT (i % 3)::INTEGER AS __p FROM range(5000) r(i)";
    const plan = { ...planOf("k BIGINT", 3, 1), columns: [] };
    const { sent, got } = await roundTrip(plan, sql);
    expect(await differences(connection, sent, got)).toBe("0");
  });

  test("names with quotes, spaces and reserved words", async () => {
    const sql = `SELECT 1::BIGINT AS "select", 2::BIGINT AS "a ""b", 3::BIGINT AS "Ü", 0 AS __p`;
    const columns = ["select", 'a "b', "Ü"].map((name) => ({ name, type: "BIGINT" }));
    const { sent, got } = await roundTrip({ ...planOf("x BIGINT", 1, 1), columns }, sql);
    expect(await differences(connection, sent, got)).toBe("0");
  });
});

test("any table comes back as the same bag of rows", async () => {
  const kinds = ["BIGINT", "VARCHAR", "DOUBLE", "BOOLEAN", "DECIMAL(12,2)", "BLOB", "TINYINT"];
  const shape = fc.record({
    types: fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 5 }),
    rows: fc.integer({ min: 0, max: 9_000 }),
    seed: fc.integer({ min: 0, max: 1_000_000 }),
    partitions: fc.integer({ min: 1, max: 40 }),
    nullEvery: fc.integer({ min: 1, max: 9 }),
    textMax: fc.constantFrom(0, 11, 13, 40, 400),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ types, rows, seed, partitions, nullEvery, textMax }) => {
      const groups = Math.max(1, partitions >> 2);
      const columns = types.map((type, at) => {
        const random = `hash(i, ${seed + at})`;
        const text = `repeat(chr((97 + ${random} % 26)::INTEGER), (${random} % ${textMax + 1})::INTEGER)`;
        const value =
          type === "VARCHAR" || type === "BLOB"
            ? `${text}::${type}`
            : type === "BOOLEAN"
              ? `${random} % 2 = 0`
              : `((${random} % 200)::BIGINT - 100)::${type}`;
        return `CASE WHEN ${random} % ${nullEvery + 1} = 0 THEN NULL ELSE ${value} END::${type} AS c${at}`;
      });
      const sql =
        `SELECT ${columns.join(", ")}, (hash(i, ${seed}) % ${partitions})::INTEGER AS __p ` +
        `FROM range(${rows}) r(i)`;
      const plan = planOf(types.map((type, at) => `c${at} ${type}`).join(", "), partitions, groups);
      const result = await roundTrip(plan, sql);
      expect(result.rows).toBe(rows);
      expect(await differences(connection, result.sent, result.got)).toBe("0");
      await connection.run(`DROP TABLE ${result.sent}; DROP TABLE ${result.got}`);
    }),
    { numRuns: 25 },
  );
});

describe("messages", () => {
  test("pack several partitions of one group and stay within the limit", async () => {
    const sql =
      "SELECT hash(i) % 1000000000 AS k, md5(i::VARCHAR) AS s, (i % 16)::INTEGER AS __p " +
      "FROM range(120000) r(i)";
    const { streams, output } = await roundTrip(planOf("k UBIGINT, s VARCHAR", 16, 2), sql);
    const data = [...streams.values()].flat().filter((message) => message.head.kind === "data");
    expect(data.length).toBe(output.messages);
    const sizes = data.map((message) => message.body.byteLength);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limits.exchangeMessageBytesMax);
    expect(output.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
    const partitions = data.map((message) => message.head.rows.split(",").length);
    expect(Math.max(...partitions)).toBeGreaterThan(1);
    // 120,000 rows of 44 bytes that hardly pack need about six messages, not one for each of 16 partitions.
    expect(data.length).toBeLessThan(14);
  });

  test("rows that suddenly pack badly are cut in halves", async () => {
    const even = "SELECT repeat('a', 60) AS s, 0 AS __p FROM range(200000)";
    const random = "SELECT md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS s, 1 FROM range(60000) r(i)";
    const { sent, got, streams } = await roundTrip(
      planOf("s VARCHAR", 2, 1),
      `${even} UNION ALL ${random}`,
    );
    expect(await differences(connection, sent, got)).toBe("0");
    const sizes = [...streams.values()].flat().map((message) => message.body.byteLength);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limits.exchangeMessageBytesMax);
  });

  test("a row that fits no message is refused with a way out", async () => {
    const random = "SELECT string_agg(md5(i::VARCHAR), '') AS s, 0 AS __p FROM range(40000) r(i)";
    const failed = await failureOf(roundTrip(planOf("s VARCHAR", 1, 1), random));
    expect(failed).toMatchObject({ code: "messageTooLarge", detail: { exchange: "x0" } });
    expect(failed).toHaveProperty("message", expect.stringContaining("left(column, 1000)"));
    const huge = "SELECT repeat('x', 6000000) AS s, 0 AS __p";
    expect(await failureOf(roundTrip(planOf("s VARCHAR", 1, 1), huge))).toHaveProperty(
      "code",
      "messageTooLarge",
    );
  });

  test("a large row that packs well is sent", async () => {
    const sql = "SELECT repeat('x', 3000000) AS s, 0 AS __p";
    const { sent, got } = await roundTrip(planOf("s VARCHAR", 1, 1), sql);
    expect(await differences(connection, sent, got)).toBe("0");
  });

  test("producers with equal rows in another order have equal checksums", async () => {
    const rows = "SELECT i AS k, (i % 3)::INTEGER AS __p FROM range(10000) r(i)";
    const plan = planOf("k BIGINT", 3, 1);
    const up = await roundTrip(plan, `${rows} ORDER BY i`);
    const down = await roundTrip(plan, `${rows} ORDER BY i DESC`);
    expect(up.output.checksum).toBe(down.output.checksum);
    const other = await roundTrip(plan, `${rows} WHERE i <> 77`);
    expect(other.output.checksum).not.toBe(up.output.checksum);
    expect(await scalar(connection, `SELECT count(*) FROM ${other.got}`)).toBe("9999");
  });
});

describe("bytes on the wire", () => {
  const columns = [{ name: "b", type: "BIGINT" }];
  const values = new Uint8Array(new BigInt64Array(1_000).buffer);
  const batch = {
    rows: 1_000,
    columns: [{ validity: undefined, nullCount: 0, values, offsets: undefined }],
  };

  test("the length before a packed buffer is the plain one, as the format asks", () => {
    const bytes = Buffer.from(createArrowEncoder(columns, true).encode(batch));
    const frame = bytes.indexOf(Buffer.from([0x04, 0x22, 0x4d, 0x18]));
    expect(bytes.readBigInt64LE(frame - 8)).toBe(8_000n);
  });

  test("a message of other columns, or cut short, is refused", () => {
    const encoder = createArrowEncoder(columns, true);
    const whole = Buffer.concat([encoder.schema, encoder.encode(batch), encoder.end]);
    expect(decodeArrow(whole, columns)[0]?.rows).toBe(1_000);
    expect(() => decodeArrow(whole, [{ name: "b", type: "INTEGER" }])).toThrow(/not/);
    for (const part of [0.3, 0.6, 0.9]) {
      const cut = whole.subarray(0, Math.floor(whole.byteLength * part));
      expect(() => {
        if (decodeArrow(cut, columns)[0]?.rows !== 1_000) throw new Error("short");
      }).toThrow();
    }
  });

  test("LZ4 frames of any length come back", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3_000 }),
        fc.integer({ min: 1, max: 2_000 }),
        (a, n) => {
          const bytes = Buffer.concat(Array.from({ length: n }, () => a)).subarray(0, 4_000_000);
          expect(Buffer.compare(decompressLz4Frame(compressLz4Frame(bytes)), bytes)).toBe(0);
        },
      ),
      { numRuns: 30 },
    );
  });
});
