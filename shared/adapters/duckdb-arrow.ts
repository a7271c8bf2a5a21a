/**
 * Any SELECT as a stream of Arrow IPC bytes: what a result is when it leaves Daymill.
 * Types without an exact Arrow form here are cast in SQL first; rows are never JavaScript objects.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { must } from "../kernel/assert.ts";
import { layoutOf } from "../kernel/exchange-layout.ts";
import { fail } from "../kernel/failure.ts";
import type { Column } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import { createArrowEncoder } from "./arrow.ts";
import { createGatherer } from "./duckdb-arrow-gather.ts";

export interface EncodeOptions {
  readonly signal?: AbortSignal;
  /** Bytes of one piece before packing; default `limits.exchangeRawBytesMax`. */
  readonly pieceBytesMax?: number;
  /** LZ4 frames inside; off by default, since not every reader knows them. */
  readonly packed?: boolean;
}

/**
 * The rows of `query` (one SELECT) as pieces of one Arrow IPC stream: schema first, then batches, then the end mark.
 * HUGEINT becomes DECIMAL(38,0); nested and other types become their text. A query that fails throws DuckDB's
 * own error; an aborted `signal` throws `cancelled`.
 */
export async function* encodeQuery(
  connection: DuckDBConnection,
  query: string,
  options: EncodeOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const sql = query.replace(/[;\s]+$/, "");
  const columns = await describeQuery(connection, sql);
  const layouts = columns.map((column) => must(layoutOf(column.wireType), "cast to a wire type"));
  const wire = columns.map((column) => ({ name: column.name, type: column.wireType }));
  const encoder = createArrowEncoder(wire, options.packed ?? false);
  const gatherer = createGatherer(layouts, limits.arrowBatchRowsMax);
  const bytesMax = options.pieceBytesMax ?? limits.exchangeRawBytesMax;
  yield encoder.schema;
  const result = await connection.stream(castQuery(columns, sql));
  for (;;) {
    if (options.signal?.aborted) throw fail("cancelled", "reading the result was cancelled");
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    gatherer.open(chunk);
    for (let from = 0; from < chunk.rowCount; ) {
      const fitting = gatherer.fit(from, chunk.rowCount, bytesMax);
      if (fitting === 0 && gatherer.rows > 0) {
        yield encoder.encode(gatherer.take());
        continue;
      }
      // One row larger than a piece still travels, alone.
      const count = Math.max(fitting, 1);
      gatherer.add(from, from + count);
      from += count;
    }
  }
  if (gatherer.rows > 0) yield encoder.encode(gatherer.take());
  yield encoder.end;
}

interface QueryColumn extends Column {
  readonly wireType: string;
}

async function describeQuery(
  connection: DuckDBConnection,
  sql: string,
): Promise<readonly QueryColumn[]> {
  const reader = await connection.runAndReadAll(`DESCRIBE ${sql}`);
  return reader.getRows().map((row) => {
    const [name, type] = [String(row[0]), String(row[1])];
    return { name, type, wireType: layoutOf(type) === undefined ? replacement(type) : type };
  });
}

function replacement(type: string): string {
  if (type === "HUGEINT" || type === "UHUGEINT") return "DECIMAL(38,0)";
  return type.startsWith("TIMESTAMP") ? "TIMESTAMP" : "VARCHAR";
}

/** The query itself when nothing needs a cast, so that its order stays plain to DuckDB. */
function castQuery(columns: readonly QueryColumn[], sql: string): string {
  if (columns.every((column) => column.type === column.wireType)) return sql;
  const names = columns.map((_, index) => `c${index}`);
  const casts = columns.map((column, index) => `c${index}::${column.wireType} AS c${index}`);
  return `SELECT ${casts.join(", ")} FROM (${sql}) AS q(${names.join(", ")})`;
}
