// What a reader takes and refuses: losers, repeats, gaps, changed rows, missing completion records.
import type { DuckDBConnection } from "@duckdb/node-api";
import { beforeAll, describe, expect, test } from "vitest";
import { createArrowEncoder, decodeArrow } from "../../shared/adapters/arrow.ts";
import type { ReceivedMessage } from "../../shared/adapters/duckdb-arrow-receive.ts";
import { readGroup } from "../../shared/adapters/duckdb-arrow-receive.ts";
import { writeTable } from "../../shared/adapters/duckdb-arrow-send.ts";
import { must } from "../../shared/kernel/assert.ts";
import { bit, copyBits, countClear, fillBits } from "../../shared/kernel/exchange-batch.ts";
import {
  formatPartitionRows,
  groupOf,
  layoutOf,
  parsePartitionRows,
} from "../../shared/kernel/exchange-layout.ts";
import { wireTypes } from "../../shared/kernel/plan.ts";
import type { ExchangeOutput, Winner } from "../../shared/kernel/work.ts";
import { failureOf } from "../kit/failures.ts";
import { memoryStreams, openDuckDb, planOf, routeOf, scalar, winnerOf } from "./kit.ts";

const plan = planOf("k BIGINT, s VARCHAR", 8, 2);
const route = routeOf("t", 2);
let connection: DuckDBConnection;
const outputs = new Map<string, ExchangeOutput>();
let streams: Map<string, ReceivedMessage[]>;

/** Two producers' rows lie in the streams: a has keys 0…, b has keys 1,000,000…; each needs several messages. */
beforeAll(async () => {
  connection = await openDuckDb();
  const kept = new Map<string, ReceivedMessage[]>();
  for (const [attemptId, first] of [
    ["a", 0],
    ["b", 1_000_000],
  ] as const) {
    await connection.run(
      `CREATE TABLE rows_${attemptId} AS SELECT i AS k, md5(i::VARCHAR) || md5((-i)::VARCHAR) AS s, ` +
        `(hash(i) % 8)::INTEGER AS __p FROM range(${first}, ${first + 60_000}) r(i)`,
    );
    const signal = new AbortController().signal;
    const table = `rows_${attemptId}`;
    const request = { plan, route, attemptId, producer: `map-${attemptId}`, table, signal };
    outputs.set(
      attemptId,
      await writeTable(connection, request, memoryStreams(attemptId, kept).sink),
    );
  }
  streams = kept;
});

const winner = (attemptId: string): Winner =>
  winnerOf(attemptId, must(outputs.get(attemptId), "written above"));

let tables = 0;

/** Reads group 0 with its messages changed by `change`. */
async function read(
  winners: readonly Winner[],
  change: (messages: readonly ReceivedMessage[]) => readonly ReceivedMessage[] = (all) => all,
) {
  const table = `got${++tables}`;
  const messages = change(streams.get("t_g0") ?? []);
  async function* source() {
    yield* messages;
  }
  const result = await readGroup(connection, { plan, route, winners, group: 0, table }, source);
  return { ...result, table };
}

const isData = (attemptId: string) => (message: ReceivedMessage) =>
  message.head.kind === "data" && message.head.attemptId === attemptId;

/** The messages with the first data message of `attemptId` replaced by what `change` makes of it. */
function changeFirst(
  attemptId: string,
  change: (message: ReceivedMessage) => readonly ReceivedMessage[],
) {
  return (all: readonly ReceivedMessage[]) => {
    const first = all.findIndex(isData(attemptId));
    return all.flatMap((message, at) => (at === first ? change(message) : [message]));
  };
}

describe("taken", () => {
  test("both winners, interleaved in any order", async () => {
    const mixed = (all: readonly ReceivedMessage[]) =>
      [...all].sort((x, y) => ((x.head.sequence * 7) % 5) - ((y.head.sequence * 7) % 5));
    const { rows, table } = await read([winner("a"), winner("b")], mixed);
    const due = await scalar(
      connection,
      "SELECT count(*) FROM (FROM rows_a UNION ALL FROM rows_b) WHERE __p < 4",
    );
    expect(String(rows)).toBe(due);
    expect(await scalar(connection, `SELECT count(DISTINCT k) FROM ${table}`)).toBe(due);
  });

  test("a loser is not even opened", async () => {
    const garbage = changeFirst("b", (message) => [{ ...message, body: Buffer.from("garbage") }]);
    const { rows, table } = await read([winner("a")], garbage);
    expect(rows).toBeGreaterThan(0);
    expect(await scalar(connection, `SELECT max(k) < 1000000 FROM ${table}`)).toBe("true");
  });

  test("a message that came twice counts once", async () => {
    const twice = (all: readonly ReceivedMessage[]) => [...all, ...all];
    const once = await read([winner("a")]);
    expect((await read([winner("a")], twice)).rows).toBe(once.rows);
  });

  test("no winners: an empty table with the columns", async () => {
    const { rows, table } = await read([]);
    expect(rows).toBe(0);
    expect(
      await scalar(connection, `SELECT string_agg(name) FROM pragma_table_info('${table}')`),
    ).toBe("k,s,__p");
  });
});

describe("short: the producer is named and no table is left", () => {
  const short = { code: "exchangeShort", detail: { attempt: "b", stream: "t_g0" } };
  const both = () => [winner("a"), winner("b")];
  const noTable = async () =>
    scalar(
      connection,
      `SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'got${tables}%'`,
    );

  test("a message is missing", async () => {
    const failed = await failureOf(
      read(
        both(),
        changeFirst("b", () => []),
      ),
    );
    expect(failed).toMatchObject(short);
    expect(await noTable()).toBe("0");
  });

  test("the completion record is missing", async () => {
    const without = (all: readonly ReceivedMessage[]) =>
      all.filter(({ head }) => head.kind === "data" || head.attemptId !== "b");
    expect(await failureOf(read(both(), without))).toMatchObject(short);
  });

  test("the completion record is not the committed one", async () => {
    const other = { attemptId: "b", digest: winner("a").digest };
    expect(await failureOf(read([winner("a"), other]))).toMatchObject(short);
  });

  test("a message is damaged", async () => {
    const cut = changeFirst("b", (message) => [
      { ...message, body: message.body.subarray(0, message.body.byteLength >> 1) },
    ]);
    expect(await failureOf(read(both(), cut))).toMatchObject(short);
  });

  test("a row is changed, everything else holds", async () => {
    const changed = changeFirst("b", (message) => [
      { ...message, body: changeOneKey(message.body) },
    ]);
    const failed = await failureOf(read(both(), changed));
    expect(failed).toMatchObject(short);
    expect(failed).toHaveProperty("message", expect.stringContaining("checksum"));
    expect(await noTable()).toBe("0");
  });

  test("rows moved to another partition of the group", async () => {
    const moved = changeFirst("b", (message) => {
      const parts = parsePartitionRows(message.head.rows) ?? [];
      const others = parts.map((part) => ({ ...part, partition: (part.partition + 1) % 4 }));
      return [{ ...message, head: { ...message.head, rows: formatPartitionRows(others) } }];
    });
    expect(await failureOf(read(both(), moved))).toMatchObject(short);
  });

  test("the rows announced are not those inside", async () => {
    const lied = changeFirst("b", (message) => [
      { ...message, head: { ...message.head, rows: "0:1" } },
    ]);
    expect(await failureOf(read(both(), lied))).toMatchObject(short);
  });
});

/** The message with one key changed: a valid message with a wrong row. */
function changeOneKey(body: Uint8Array): Uint8Array {
  const [batch] = decodeArrow(body, plan.columns);
  const { columns, rows } = must(batch, "one batch");
  const keys = must(columns[0], "the key column");
  const values = Uint8Array.from(keys.values);
  values[0] = (values[0] ?? 0) ^ 1;
  const changed = { rows, columns: [{ ...keys, values }, must(columns[1], "the text column")] };
  const encoder = createArrowEncoder(plan.columns, true);
  return Buffer.concat([encoder.schema, encoder.encode(changed), encoder.end]);
}

describe("layout", () => {
  test("every type that may cross has a layout", () => {
    const types = [...wireTypes, "DECIMAL(1,0)", "DECIMAL(38,38)"];
    expect(types.filter((type) => layoutOf(type) === undefined)).toEqual([]);
    expect(layoutOf("HUGEINT")).toBeUndefined();
    expect(layoutOf("INTEGER[]")).toBeUndefined();
  });

  test("groups are contiguous, none is empty", () => {
    for (const [partitions, groups] of [
      [1, 1],
      [7, 3],
      [64, 8],
      [64, 64],
      [100, 64],
    ] as const) {
      const all = Array.from({ length: partitions }, (_, p) => groupOf(p, partitions, groups));
      expect(all).toEqual([...all].sort((a, b) => a - b));
      expect(new Set(all).size).toBe(groups);
    }
  });

  test("rows per partition: parse is the inverse of format, and refuses the rest", () => {
    const parts = [
      { partition: 7, rows: 120 },
      { partition: 4095, rows: 1 },
    ];
    expect(formatPartitionRows(parts)).toBe("7:120,4095:1");
    expect(parsePartitionRows("7:120,4095:1")).toEqual(parts);
    for (const text of ["", "7", "7:0", "7:120,", "-1:3", "7:1e3"]) {
      expect(parsePartitionRows(text)).toBeUndefined();
    }
  });

  test("bit ranges move like arrays of booleans", () => {
    const source = Uint8Array.from({ length: 40 }, (_, i) => (i * 151) & 0xff);
    for (let from = 0; from < 17; from++) {
      for (let at = 0; at < 17; at++) {
        const count = 100 + at;
        const target = new Uint8Array(40);
        fillBits(target, 0, 320);
        copyBits(target, at, source, from, count);
        const expected = Array.from({ length: 320 }, (_, i) =>
          i >= at && i < at + count ? bit(source, from + i - at) : 1,
        );
        expect(Array.from({ length: 320 }, (_, i) => bit(target, i))).toEqual(expected);
        expect(countClear(target, 0, 320)).toBe(expected.filter((value) => value === 0).length);
      }
    }
  });
});
