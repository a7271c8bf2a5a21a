/** Tables, plans and a stream in memory for the exchange tests; the engine is real. */

import type { DuckDBConnection } from "@duckdb/node-api";
import { DuckDBInstance } from "@duckdb/node-api";
import type { ReceivedMessage } from "../../shared/adapters/duckdb-arrow-receive.ts";
import type { MessageSink } from "../../shared/adapters/duckdb-arrow-send.ts";
import type { Column } from "../../shared/kernel/job.ts";
import type { ExchangePlan } from "../../shared/kernel/plan.ts";
import type { ExchangeOutput, ExchangeRoute, Winner } from "../../shared/kernel/work.ts";

export async function openDuckDb(): Promise<DuckDBConnection> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return connection;
}

/** `a BIGINT, s VARCHAR` → columns. */
export function columnsOf(text: string): readonly Column[] {
  return text.split(/,(?![^(]*\))/).map((part) => {
    const [name = "", ...type] = part.trim().split(" ");
    return { name, type: type.join(" ") };
  });
}

export function planOf(columns: string, partitions: number, groups: number): ExchangePlan {
  return { id: "x0", columns: columnsOf(columns), keys: ["k"], partitions, groups };
}

/** Streams in memory, by name. */
export function memoryStreams(attemptId: string, streams = new Map<string, ReceivedMessage[]>()) {
  const put = (stream: string, message: ReceivedMessage) => {
    const list = streams.get(stream) ?? [];
    list.push(message);
    streams.set(stream, list);
    return Promise.resolve();
  };
  const sink: MessageSink = {
    data: (stream, sequence, rows, body) =>
      put(stream, {
        head: { attemptId, kind: "data", sequence, rows },
        body: Uint8Array.from(body),
      }),
    completion: (stream, text) =>
      put(stream, {
        head: { attemptId, kind: "completion", sequence: 0, rows: "" },
        body: Buffer.from(text),
      }),
    settled: () => Promise.resolve(),
  };
  async function* source(stream: string): AsyncGenerator<ReceivedMessage> {
    yield* streams.get(stream) ?? [];
  }
  return { streams, sink, source };
}

export function winnerOf(attemptId: string, output: ExchangeOutput): Winner {
  return { attemptId, digest: output.digest };
}

export function routeOf(name: string, groups: number): ExchangeRoute {
  const streams = Array.from({ length: groups }, (_, group) => `${name}_g${group}`);
  return { exchange: "x0", streams };
}

/** One value of a query, as text. */
export async function scalar(connection: DuckDBConnection, sql: string): Promise<string> {
  const reader = await connection.runAndReadAll(sql);
  return String(reader.getRows()[0]?.[0]);
}

/** Rows that are in one table more often than in the other; 0 = the same bags of rows. */
export function differences(connection: DuckDBConnection, one: string, other: string) {
  return scalar(
    connection,
    `SELECT (SELECT count(*) FROM (FROM ${one} EXCEPT ALL FROM ${other}))
          + (SELECT count(*) FROM (FROM ${other} EXCEPT ALL FROM ${one}))`,
  );
}
