/**
 * Batches of column buffers → rows of a DuckDB table, 2,048 at a time through an appender.
 * Buffers go into vectors whole; lengths must have been checked, because copies are by address.
 */
import {
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBType,
} from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import { must } from "../kernel/assert.ts";
import {
  type Batch,
  bit,
  bitmapBytes,
  type ColumnBuffers,
  copyBits,
} from "../kernel/exchange-batch.ts";
import { type ColumnLayout, wireWidth } from "../kernel/exchange-layout.ts";
import { createTextWriter } from "./duckdb-arrow-text.ts";

/** A run of rows that share the value of an INTEGER column. */
export interface ConstantRun {
  readonly value: number;
  readonly rows: number;
}

export interface Loader {
  /**
   * Appends a batch; `constants` holds one list of runs for each INTEGER column behind the batch's columns, each
   * list covering all rows.
   */
  append(batch: Batch, constants: readonly (readonly ConstantRun[])[]): void;
  /** Hands everything to the table. */
  finish(): void;
}

/** A loader for a table with the layouts' columns, then INTEGER columns. */
export async function openLoader(
  connection: DuckDBConnection,
  table: string,
  layouts: readonly ColumnLayout[],
): Promise<Loader> {
  const appender = await connection.createAppender(table);
  const types = columnTypes(appender);
  const chunk = DuckDBDataChunk.create(types);
  const rowsMax = duckdb.vector_size();
  const columns = layouts.map((layout) => createColumnWriter(layout, rowsMax));
  const runs = new Int32Array(rowsMax);
  return {
    append(batch, constants) {
      for (let from = 0; from < batch.rows; from += rowsMax) {
        const to = Math.min(batch.rows, from + rowsMax);
        chunk.reset();
        columns.forEach((write, index) => {
          const vector = duckdb.data_chunk_get_vector(chunk.chunk, index);
          write(vector, must(batch.columns[index], "a batch has all columns"), from, to);
        });
        constants.forEach((list, index) => {
          const vector = duckdb.data_chunk_get_vector(chunk.chunk, columns.length + index);
          fillRuns(runs, list, from, to);
          duckdb.copy_data_to_vector(vector, 0, runs.buffer, 0, (to - from) * 4);
        });
        chunk.rowCount = to - from;
        appender.appendDataChunk(chunk);
      }
    },
    finish: () => appender.closeSync(),
  };
}

function columnTypes(appender: DuckDBAppender): DuckDBType[] {
  return Array.from({ length: appender.columnCount }, (_, index) => appender.columnType(index));
}

type ColumnWriter = (
  vector: duckdb.Vector,
  column: ColumnBuffers,
  from: number,
  to: number,
) => void;

function createColumnWriter(layout: ColumnLayout, rowsMax: number): ColumnWriter {
  const bits = new Uint8Array(bitmapBytes(rowsMax));
  const values = createValueWriter(layout, rowsMax);
  return (vector, column, from, to) => {
    values(vector, column, from, to);
    if (column.validity === undefined) return;
    copyBits(bits, 0, column.validity, from, to - from);
    duckdb.vector_ensure_validity_writable(vector);
    duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bitmapBytes(to - from));
  };
}

function createValueWriter(layout: ColumnLayout, rowsMax: number): ColumnWriter {
  if (layout.kind === "bytes") {
    const text = createTextWriter();
    return (vector, column, from, to) => {
      const offsets = must(column.offsets, "text has offsets");
      text.write(vector, offsets, column.values, from, to);
    };
  }
  if (layout.kind === "boolean") {
    const bytes = new Uint8Array(rowsMax);
    return (vector, column, from, to) => {
      for (let row = from; row < to; row++) bytes[row - from] = bit(column.values, row);
      duckdb.copy_data_to_vector(vector, 0, bytes.buffer, 0, to - from);
    };
  }
  if (layout.kind === "decimal" && layout.width < 16) return createNarrower(layout.width, rowsMax);
  const width = wireWidth(layout);
  return (vector, column, from, to) => {
    const { buffer, byteOffset } = column.values;
    const start = byteOffset + from * width;
    duckdb.copy_data_to_vector(vector, 0, buffer as ArrayBuffer, start, (to - from) * width);
  };
}

/** The low bytes of 16-byte integers: what a narrow decimal is. */
function createNarrower(width: 2 | 4 | 8 | 16, rowsMax: number): ColumnWriter {
  const narrow = width === 2 ? new Int16Array(rowsMax) : new Int32Array(rowsMax * (width / 4));
  return (vector, column, from, to) => {
    const { buffer, byteOffset, byteLength } = column.values;
    const words = new Int32Array(buffer, byteOffset, byteLength >> 2);
    for (let row = from; row < to; row++) {
      const target = row - from;
      if (width === 8) {
        narrow[target * 2] = words[row * 4] ?? 0;
        narrow[target * 2 + 1] = words[row * 4 + 1] ?? 0;
      } else {
        narrow[target] = words[row * 4] ?? 0;
      }
    }
    duckdb.copy_data_to_vector(vector, 0, narrow.buffer as ArrayBuffer, 0, (to - from) * width);
  };
}

function fillRuns(out: Int32Array, runs: readonly ConstantRun[], from: number, to: number): void {
  let start = 0;
  for (const run of runs) {
    const end = start + run.rows;
    if (end > from && start < to) {
      out.fill(run.value, Math.max(start, from) - from, Math.min(end, to) - from);
    }
    start = end;
  }
}
