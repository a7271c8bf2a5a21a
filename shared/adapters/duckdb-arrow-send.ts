/**
 * A table's rows as exchange messages: read in order of partition, cut into messages of one group, handed to a
 * publisher. A message packs several partitions of its group; the completion record goes last, to every group.
 */
import type { DuckDBConnection, DuckDBDataChunk } from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import { must } from "../kernel/assert.ts";
import { canonicalJson } from "../kernel/canonical.ts";
import { type Batch, sliceBatch } from "../kernel/exchange-batch.ts";
import type { FoundTotals } from "../kernel/exchange-intake.ts";
import {
  type ColumnLayout,
  formatPartitionRows,
  groupOf,
  layoutOf,
  type PartitionRows,
} from "../kernel/exchange-layout.ts";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import { type ExchangePlan, partitionColumn } from "../kernel/plan.ts";
import { sha256Hex } from "../kernel/sha256.ts";
import {
  type Completion,
  completionDigest,
  type ExchangeOutput,
  type ExchangeRoute,
} from "../kernel/work.ts";
import { type ArrowEncoder, createArrowEncoder } from "./arrow.ts";
import { sqlName } from "./duckdb.ts";
import { createGatherer } from "./duckdb-arrow-gather.ts";
import { partitionTotals } from "./duckdb-arrow-sums.ts";
import { translateDuckDb } from "./duckdb-errors.ts";

/** Where messages go; an implementation bounds what is under way. */
export interface MessageSink {
  data(stream: string, sequence: number, rows: string, body: Uint8Array): Promise<void>;
  completion(stream: string, text: string): Promise<void>;
  settled(): Promise<void>;
}

export interface SendRequest {
  readonly plan: ExchangePlan;
  readonly route: ExchangeRoute;
  readonly attemptId: string;
  readonly producer: string;
  readonly table: string;
  readonly signal: AbortSignal;
}

/** Sends all rows of `request.table` and the completion records; see `ExchangeIo.write`. */
export async function writeTable(
  connection: DuckDBConnection,
  request: SendRequest,
  sink: MessageSink,
): Promise<ExchangeOutput> {
  const { plan, route } = request;
  const totals = await partitionTotals(connection, plan, request.table);
  const packer = createPacker(plan, route, sink);
  if (totals.length > 0) await sendRows(connection, request, packer);
  // Only what is stored may be declared complete.
  await sink.settled();
  const completion = completionOf(request, totals, packer);
  const text = canonicalJson(completion as never);
  if (text.length > limits.exchangeMessageBytesMax) {
    throw fail(
      "messageTooLarge",
      `the completion record of exchange ${plan.id} has ${text.length} bytes: ` +
        `use fewer partitions than ${plan.partitions} in the job's execution section`,
    );
  }
  for (const stream of route.streams) await sink.completion(stream, text);
  await sink.settled();
  return {
    exchange: plan.id,
    digest: completionDigest(completion),
    checksum: sha256Hex(canonicalJson(totals as never)),
    rows: totals.reduce((sum, part) => sum + part.rows, 0),
    bytes: completion.partitions.reduce((sum, part) => sum + part.bytes, 0),
    messages: completion.messages.reduce((sum, count) => sum + count, 0),
  };
}

function completionOf(
  request: SendRequest,
  totals: readonly FoundTotals[],
  packer: Packer,
): Completion {
  const partitions = totals.map(({ partition, rows, checksum }) => {
    const sent = packer.sent.get(partition);
    if (sent?.rows !== rows) {
      throw fail("internal", `${sent?.rows ?? 0} of ${rows} rows of partition ${partition} sent`);
    }
    return { partition, rows, bytes: sent.bytes, checksum };
  });
  return {
    attemptId: request.attemptId,
    producer: request.producer,
    exchange: request.plan.id,
    partitions,
    messages: packer.messages,
  };
}

async function sendRows(
  connection: DuckDBConnection,
  request: SendRequest,
  packer: Packer,
): Promise<void> {
  const { plan, table, signal } = request;
  const names = [...plan.columns.map((column) => sqlName(column.name)), partitionColumn];
  const sql = `SELECT ${names.join(", ")} FROM ${sqlName(table)} ORDER BY ${partitionColumn}`;
  let next: Promise<DuckDBDataChunk | null> | undefined;
  try {
    const result = await connection.stream(sql);
    // The engine makes the next chunk on its own thread while this one is packed.
    const fetch = () => {
      const chunk = result.fetchChunk();
      // Its failure is met in the next turn; until then nobody listens.
      chunk.catch(() => undefined);
      return chunk;
    };
    for (next = fetch(); ; ) {
      const chunk = await next;
      if (chunk === null || chunk.rowCount === 0) break;
      if (signal.aborted) throw fail("cancelled", "writing to the exchange was cancelled");
      next = fetch();
      await packer.add(chunk);
    }
    await packer.flush();
  } catch (error) {
    // The engine must be idle before anybody closes it.
    await next?.catch(() => undefined);
    throw translateDuckDb(error, `rows of exchange ${plan.id}`);
  }
}

interface Packer {
  add(chunk: DuckDBDataChunk): Promise<void>;
  flush(): Promise<void>;
  /** Data messages by group. */
  readonly messages: readonly number[];
  /** What each partition has sent; a message's bytes are shared out by rows. */
  readonly sent: ReadonlyMap<number, { rows: number; bytes: number }>;
}

function createPacker(plan: ExchangePlan, route: ExchangeRoute, sink: MessageSink): Packer {
  const layouts = plan.columns.map((column) => wireLayout(column.type, column.name));
  const encoder = createArrowEncoder(plan.columns, true);
  const gatherer = createGatherer(layouts, limits.arrowBatchRowsMax);
  const messages = route.streams.map(() => 0);
  const sent = new Map<number, { rows: number; bytes: number }>();
  let parts: PartitionRows[] = [];
  let group = 0;
  /** Bytes to gather: what is expected to pack into one message, from how well the last ones packed. */
  let target = limits.exchangeMessageBytesMax / 2;

  const flush = async () => {
    if (gatherer.rows === 0) return;
    const gathered = gatherer.bytes;
    const pieces = encodePieces(encoder, layouts, gatherer.take(), parts, plan);
    parts = [];
    const packed = pieces.reduce((sum, piece) => sum + piece.body.byteLength, 0);
    target = nextTarget(gathered, packed);
    for (const piece of pieces) {
      const sequence = messages[group] ?? 0;
      messages[group] = sequence + 1;
      account(sent, piece);
      const stream = must(route.streams[group], "every group has a stream");
      await sink.data(stream, sequence, formatPartitionRows(piece.parts), piece.body);
    }
  };

  return {
    messages,
    sent,
    flush,
    async add(chunk) {
      gatherer.open(chunk);
      for (const run of partitionRuns(chunk, plan.columns.length)) {
        const its = groupOf(run.partition, plan.partitions, plan.groups);
        if (its !== group) await flush();
        group = its;
        for (let from = run.from; from < run.to; ) {
          const fitting = gatherer.fit(from, run.to, target);
          if (fitting === 0 && gatherer.rows > 0) {
            await flush();
            continue;
          }
          // A row larger than the target goes alone; encoding tells whether it fits a message.
          const count = Math.max(fitting, 1);
          if (gatherer.fit(from, from + count, limits.exchangeRawBytesMax) < count) {
            throw rowTooLarge(plan, run.partition, limits.exchangeRawBytesMax);
          }
          gatherer.add(from, from + count);
          parts.push({ partition: run.partition, rows: count });
          from += count;
        }
      }
    },
  };
}

function wireLayout(type: string, column: string): ColumnLayout {
  const layout = layoutOf(type);
  if (layout !== undefined) return layout;
  throw fail(
    "sqlRefused",
    `column ${column} has type ${type}, which cannot cross an exchange; cast it to another`,
  );
}

/** Runs of equal partition in a chunk that is sorted by it. */
function* partitionRuns(
  chunk: DuckDBDataChunk,
  column: number,
): Generator<{ readonly partition: number; readonly from: number; readonly to: number }> {
  const rows = chunk.rowCount;
  const vector = duckdb.data_chunk_get_vector(chunk.chunk, column);
  const bytes = duckdb.vector_get_data(vector, rows * 4);
  const partitions = new Int32Array(bytes.buffer, bytes.byteOffset, rows);
  for (let from = 0; from < rows; ) {
    const partition = partitions[from] ?? 0;
    let to = from + 1;
    while (to < rows && partitions[to] === partition) to++;
    yield { partition, from, to };
    from = to;
  }
}

interface Piece {
  readonly parts: readonly PartitionRows[];
  readonly body: Uint8Array;
}

/** A batch as one message, or as several when it packs worse than expected. */
function encodePieces(
  encoder: ArrowEncoder,
  layouts: readonly ColumnLayout[],
  batch: Batch,
  parts: readonly PartitionRows[],
  plan: ExchangePlan,
): readonly Piece[] {
  const body = Buffer.concat([encoder.schema, encoder.encode(batch), encoder.end]);
  if (body.byteLength <= limits.exchangeMessageBytesMax) {
    return [{ parts: joined(parts), body }];
  }
  if (batch.rows === 1) throw rowTooLarge(plan, parts[0]?.partition ?? 0, body.byteLength);
  const middle = batch.rows >> 1;
  const first = sliceBatch(batch, layouts, 0, middle);
  const second = sliceBatch(batch, layouts, middle, batch.rows);
  const [left, right] = splitParts(parts, middle);
  return [
    ...encodePieces(encoder, layouts, first, left, plan),
    ...encodePieces(encoder, layouts, second, right, plan),
  ];
}

function rowTooLarge(plan: ExchangePlan, partition: number, bytes: number) {
  return fail(
    "messageTooLarge",
    `one row of exchange ${plan.id} takes ${bytes} bytes or more, a message holds ` +
      `${limits.exchangeMessageBytesMax}: cut long texts in the model's SQL (e.g. left(column, 1000)) ` +
      "or aggregate them after the exchange",
    { exchange: plan.id, partition, bytes },
  );
}

function splitParts(
  parts: readonly PartitionRows[],
  at: number,
): readonly [readonly PartitionRows[], readonly PartitionRows[]] {
  const left: PartitionRows[] = [];
  const right: PartitionRows[] = [];
  let start = 0;
  for (const { partition, rows } of parts) {
    const before = Math.max(0, Math.min(rows, at - start));
    if (before > 0) left.push({ partition, rows: before });
    if (before < rows) right.push({ partition, rows: rows - before });
    start += rows;
  }
  return [left, right];
}

/** Neighbours of the same partition as one. */
function joined(parts: readonly PartitionRows[]): readonly PartitionRows[] {
  const out: PartitionRows[] = [];
  for (const part of parts) {
    const last = out.at(-1);
    if (last?.partition !== part.partition) out.push(part);
    else out[out.length - 1] = { partition: last.partition, rows: last.rows + part.rows };
  }
  return out;
}

function account(sent: Map<number, { rows: number; bytes: number }>, piece: Piece): void {
  let rowsLeft = piece.parts.reduce((sum, part) => sum + part.rows, 0);
  let bytesLeft = piece.body.byteLength;
  for (const { partition, rows } of piece.parts) {
    const share = Math.round((bytesLeft * rows) / rowsLeft);
    const before = sent.get(partition) ?? { rows: 0, bytes: 0 };
    sent.set(partition, { rows: before.rows + rows, bytes: before.bytes + share });
    rowsLeft -= rows;
    bytesLeft -= share;
  }
}

/** A tenth of slack keeps most messages whole: packing varies from batch to batch. */
function nextTarget(gathered: number, packed: number): number {
  const ratio = Math.max(packed, 1) / Math.max(gathered, 1);
  const expected = (limits.exchangeMessageBytesMax * 0.9) / Math.max(ratio, 0.01);
  return Math.min(limits.exchangeRawBytesMax, Math.max(expected, 64 * 1024));
}
