/**
 * DuckDB's result chunks → batches of column buffers. Buffers are copied whole or by ranges of rows;
 * the only loops over rows are over typed arrays (string cells, narrow decimals, booleans), never over objects.
 */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import { must } from "../kernel/assert.ts";
import {
  type Batch,
  bitmapBytes,
  type ColumnBuffers,
  copyBits,
  countClear,
  fillBits,
} from "../kernel/exchange-batch.ts";
import { type ColumnLayout, wireWidth } from "../kernel/exchange-layout.ts";
import { createTextReader, type TextChunk } from "./duckdb-arrow-text.ts";

/** Gathers rows of chunks into one batch at a time. */
export interface Gatherer {
  readonly rows: number;
  /** Bytes gathered so far, before compression. */
  readonly bytes: number;
  /** Looks at a new chunk; rows are added from it until the next call. */
  open(chunk: DuckDBDataChunk): void;
  /** How many rows from `from` on (at most up to `to`) fit into `bytesMax` in all. */
  fit(from: number, to: number, bytesMax: number): number;
  /** Adds rows [from, to) of the opened chunk. */
  add(from: number, to: number): void;
  /** The batch; its buffers are used again by the next `add`. */
  take(): Batch;
}

/** A gatherer for the first columns of a chunk, one per layout, of at most `rowsMax` rows a batch. */
export function createGatherer(layouts: readonly ColumnLayout[], rowsMax: number): Gatherer {
  const columns = layouts.map((layout) => createColumn(layout));
  const fixedBytes = layouts.reduce((sum, layout) => sum + wireWidth(layout) + 0.125, 0);
  let rows = 0;
  let chunkRows = 0;
  const textBytes = (from: number, to: number) =>
    columns.reduce((sum, column) => sum + column.textBytes(from, to), 0);
  let gathered = 0;
  const sizeOf = (from: number, to: number) =>
    Math.ceil((to - from) * fixedBytes) + textBytes(from, to);
  return {
    get rows() {
      return rows;
    },
    get bytes() {
      return gathered;
    },
    open(chunk) {
      chunkRows = chunk.rowCount;
      columns.forEach((column, index) => {
        column.open(chunk.chunk, index, chunkRows);
      });
    },
    fit(from, to, bytesMax) {
      let low = from;
      let high = Math.min(to, from + rowsMax - rows);
      if (gathered + sizeOf(from, high) <= bytesMax) return high - from;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (gathered + sizeOf(from, middle) <= bytesMax) low = middle;
        else high = middle - 1;
      }
      return low - from;
    },
    add(from, to) {
      for (const column of columns) column.add(rows, from, to);
      gathered += sizeOf(from, to);
      rows += to - from;
    },
    take() {
      const batch = { rows, columns: columns.map((column) => column.take(rows)) };
      rows = 0;
      gathered = 0;
      return batch;
    },
  };
}

interface ColumnGatherer {
  open(chunk: duckdb.DataChunk, index: number, rows: number): void;
  textBytes(from: number, to: number): number;
  /** Puts rows [from, to) of the chunk behind the `at` rows gathered so far. */
  add(at: number, from: number, to: number): void;
  take(rows: number): ColumnBuffers;
}

function createColumn(layout: ColumnLayout): ColumnGatherer {
  const validity = createValidity();
  const values = layout.kind === "bytes" ? createBytes() : createValues(layout);
  return {
    open(chunk, index, rows) {
      const vector = duckdb.data_chunk_get_vector(chunk, index);
      // The declared type hides that there is no bitmap while nothing is NULL.
      const bits = duckdb.vector_get_validity(vector, Math.ceil(rows / 64) * 8) as
        | Uint8Array
        | undefined
        | null;
      validity.open(bits ?? undefined);
      values.open(vector, rows, bits ?? undefined);
    },
    textBytes: values.textBytes,
    add(at, from, to) {
      validity.add(at, from, to);
      values.add(at, from, to);
    },
    take: (rows) => ({ ...validity.take(rows), ...values.take(rows) }),
  };
}

interface ValueGatherer {
  open(vector: duckdb.Vector, rows: number, validity: Uint8Array | undefined): void;
  textBytes(from: number, to: number): number;
  add(at: number, from: number, to: number): void;
  take(rows: number): Pick<ColumnBuffers, "values" | "offsets">;
}

function createValidity() {
  let source: Uint8Array | undefined;
  let bits = new Uint8Array(256);
  let nulls = 0;
  return {
    open(chunkBits: Uint8Array | undefined) {
      source = chunkBits;
    },
    add(at: number, from: number, to: number) {
      const count = to - from;
      const missing = source === undefined ? 0 : countClear(source, from, count);
      if (nulls === 0 && missing === 0) return;
      bits = grown(bits, bitmapBytes(at + count));
      // Up to here nothing was NULL and the bitmap was not kept.
      if (nulls === 0) fillBits(bits, 0, at);
      nulls += missing;
      if (source === undefined) fillBits(bits, at, count);
      else copyBits(bits, at, source, from, count);
    },
    take(rows: number): Pick<ColumnBuffers, "validity" | "nullCount"> {
      const nullCount = nulls;
      nulls = 0;
      const validity = nullCount === 0 ? undefined : bits.subarray(0, bitmapBytes(rows));
      return { validity, nullCount };
    },
  };
}

/** Values of equal width: ranges are copied, decimals widened to 16 bytes, booleans packed into bits. */
function createValues(layout: Exclude<ColumnLayout, { kind: "bytes" }>): ValueGatherer {
  const width = layout.kind === "boolean" ? 1 : layout.width;
  let source: Uint8Array = new Uint8Array(0);
  let out = new Uint8Array(0);
  return {
    open(vector, rows) {
      source = duckdb.vector_get_data(vector, rows * width);
    },
    textBytes: () => 0,
    add(at, from, to) {
      if (layout.kind === "boolean") {
        out = grown(out, bitmapBytes(at + to - from));
        packBooleans(out, at, source, from, to);
      } else if (layout.kind === "decimal" && width < 16) {
        out = grown(out, (at + to - from) * 16);
        widen(out, at, source, width, from, to);
      } else {
        out = grown(out, (at + to - from) * width);
        out.set(source.subarray(from * width, to * width), at * width);
      }
    },
    take(rows) {
      const bytes = layout.kind === "boolean" ? bitmapBytes(rows) : rows * wireWidth(layout);
      return { values: out.subarray(0, bytes), offsets: undefined };
    },
  };
}

function createBytes(): ValueGatherer {
  const reader = createTextReader();
  let chunk: TextChunk = { offsets: new Int32Array(1), bytes: new Uint8Array(0) };
  let out = new Uint8Array(0);
  let offsets = new Int32Array(1);
  let used = 0;
  const start = (row: number) => must(chunk.offsets[row], "the row is in the chunk");
  return {
    open(vector, rows, validity) {
      chunk = reader.read(vector, rows, validity);
    },
    textBytes: (from, to) => start(to) - start(from),
    add(at, from, to) {
      const first = start(from);
      const length = start(to) - first;
      out = grown(out, used + length);
      out.set(chunk.bytes.subarray(first, first + length), used);
      offsets = grownOffsets(offsets, at + to - from + 1);
      const shift = used - first;
      for (let row = from; row < to; row++) {
        offsets[at + row - from] = (chunk.offsets[row] ?? 0) + shift;
      }
      used += length;
      offsets[at + to - from] = used;
    },
    take(rows) {
      const bytes = out.subarray(0, used);
      used = 0;
      return { values: bytes, offsets: offsets.subarray(0, rows + 1) };
    },
  };
}

function packBooleans(
  out: Uint8Array,
  at: number,
  source: Uint8Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const target = at + row - from;
    const mask = 1 << (target & 7);
    const byte = out[target >> 3] ?? 0;
    out[target >> 3] = source[row] === 0 ? byte & ~mask : byte | mask;
  }
}

/** Sign-extends little-endian integers of 2, 4 or 8 bytes to 16. */
function widen(
  out: Uint8Array,
  at: number,
  source: Uint8Array,
  width: number,
  from: number,
  to: number,
): void {
  const words = new Int32Array(out.buffer, out.byteOffset, out.byteLength >> 2);
  const narrow =
    width === 2
      ? new Int16Array(source.buffer, source.byteOffset, source.byteLength >> 1)
      : new Int32Array(source.buffer, source.byteOffset, source.byteLength >> 2);
  const step = width === 8 ? 2 : 1;
  for (let row = from; row < to; row++) {
    const target = (at + row - from) * 4;
    const low = narrow[row * step] ?? 0;
    const high = step === 2 ? (narrow[row * 2 + 1] ?? 0) : low >> 31;
    words[target] = low;
    words[target + 1] = high;
    words[target + 2] = high >> 31;
    words[target + 3] = high >> 31;
  }
}

/** The buffer, or a larger one with its content. */
function grown(buffer: Uint8Array<ArrayBuffer>, need: number): Uint8Array<ArrayBuffer> {
  if (buffer.byteLength >= need) return buffer;
  const larger = new Uint8Array(Math.ceil(Math.max(need, buffer.byteLength * 2, 4096) / 16) * 16);
  larger.set(buffer);
  return larger;
}

function grownOffsets(buffer: Int32Array<ArrayBuffer>, need: number): Int32Array<ArrayBuffer> {
  if (buffer.length >= need) return buffer;
  const larger = new Int32Array(Math.max(need, buffer.length * 2, 4096));
  larger.set(buffer);
  return larger;
}
