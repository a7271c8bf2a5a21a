/**
 * Batches of column buffers ⇄ Arrow IPC stream bytes; the only importer of apache-arrow.
 * Whole buffers are handed over, values are never looked at. Bodies may be packed as LZ4 frames.
 */
import {
  Binary,
  Bool,
  CompressionType,
  compressionRegistry,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchReader,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import { BufferRegion } from "apache-arrow/ipc/metadata/message";
import { must } from "../kernel/assert.ts";
import type { Batch, ColumnBuffers } from "../kernel/exchange-batch.ts";
import { bitmapBytes } from "../kernel/exchange-batch.ts";
import { type ColumnLayout, layoutOf, wireWidth } from "../kernel/exchange-layout.ts";
import { fail } from "../kernel/failure.ts";
import type { Column } from "../kernel/job.ts";
import { compressLz4Frame, decompressLz4Frame } from "./lz4.ts";

compressionRegistry.set(CompressionType.LZ4_FRAME, {
  encode: compressLz4Frame,
  decode: (bytes) => decompressLz4Frame(bytes),
});

/** Makes the parts of an Arrow IPC stream: schema, then batches, then the end. */
export interface ArrowEncoder {
  readonly schema: Uint8Array;
  /** One batch; its buffers are read before this returns. */
  encode(batch: Batch): Uint8Array;
  readonly end: Uint8Array;
}

/** An encoder for columns whose types have a layout (see `layoutOf`). */
export function createArrowEncoder(columns: readonly Column[], packed: boolean): ArrowEncoder {
  const schema = arrowSchema(columns);
  const writer = new PartsWriter(packed);
  writer.begin(schema);
  return {
    schema: writer.take(),
    end: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
    encode(batch) {
      const children = batch.columns.map((column, index) =>
        arrowData(must(schema.fields[index], "one field per column").type, column, batch.rows),
      );
      const type = new Struct(schema.fields);
      const data = makeData({ type, length: batch.rows, nullCount: 0, children });
      writer.write(new RecordBatch(schema, data));
      return writer.take();
    },
  };
}

/**
 * The batches of a whole IPC stream whose columns must be these. Lengths are checked, because the buffers are
 * copied by address later. Throws (anything) when the bytes are damaged or mean other columns.
 */
export function decodeArrow(bytes: Uint8Array, columns: readonly Column[]): readonly Batch[] {
  // The library views buffers in place, and a view of 8-byte values must start at a multiple of 8.
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const reader = RecordBatchReader.from(aligned);
  const expected = arrowSchema(columns).fields.map((field) => String(field.type));
  return [...reader].map((batch) => {
    const found = batch.schema.fields.map((field) => String(field.type));
    if (found.join() !== expected.join()) {
      throw fail("internal", `an exchange message holds ${found.join()}, not ${expected.join()}`);
    }
    const buffers = batch.data.children.map((child, index) => {
      const layout = layoutOf(must(columns[index], "one column per child").type);
      return columnBuffers(child, must(layout, "planned types have a layout"), batch.numRows);
    });
    return { rows: batch.numRows, columns: buffers };
  });
}

function columnBuffers(data: Data, layout: ColumnLayout, rows: number): ColumnBuffers {
  const nulls = data.nullCount > 0;
  const validity = nulls ? atLeast(bytesOf(data.nullBitmap), bitmapBytes(rows)) : undefined;
  const values = bytesOf(data.values);
  if (layout.kind !== "bytes") {
    const need = layout.kind === "boolean" ? bitmapBytes(rows) : rows * wireWidth(layout);
    return {
      validity,
      nullCount: data.nullCount,
      values: atLeast(values, need),
      offsets: undefined,
    };
  }
  const offsets: Int32Array = data.valueOffsets;
  if (rows > 0 && offsets.length < rows + 1) throw fail("internal", "text offsets are short");
  return { validity, nullCount: data.nullCount, values, offsets };
}

function atLeast(bytes: Uint8Array, need: number): Uint8Array {
  if (bytes.byteLength >= need) return bytes;
  throw fail("internal", `a column buffer has ${bytes.byteLength} of ${need} bytes`);
}

function bytesOf(view: ArrayBufferView | null | undefined): Uint8Array {
  if (view === null || view === undefined) return new Uint8Array(0);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function arrowData(type: DataType, column: ColumnBuffers, rows: number): Data {
  const base = { type, length: rows, nullCount: column.nullCount };
  const nullBitmap = column.validity === undefined ? {} : { nullBitmap: column.validity };
  const text = column.offsets === undefined ? {} : { valueOffsets: column.offsets };
  return makeData({ ...base, ...nullBitmap, ...text, data: column.values } as never) as Data;
}

function arrowSchema(columns: readonly Column[]): Schema {
  return new Schema(
    columns.map((column) => {
      const layout = must(layoutOf(column.type), `${column.type} has no layout`);
      return new Field(column.name, arrowType(column.type, layout), true);
    }),
  );
}

const plainTypes: Readonly<Record<string, () => DataType>> = {
  BOOLEAN: () => new Bool(),
  TINYINT: () => new Int8(),
  SMALLINT: () => new Int16(),
  INTEGER: () => new Int32(),
  BIGINT: () => new Int64(),
  UTINYINT: () => new Uint8(),
  USMALLINT: () => new Uint16(),
  UINTEGER: () => new Uint32(),
  UBIGINT: () => new Uint64(),
  FLOAT: () => new Float32(),
  DOUBLE: () => new Float64(),
  DATE: () => new DateDay(),
  TIME: () => new TimeMicrosecond(),
  TIMESTAMP: () => new TimestampMicrosecond(),
  "TIMESTAMP WITH TIME ZONE": () => new TimestampMicrosecond("UTC"),
  VARCHAR: () => new Utf8(),
  BLOB: () => new Binary(),
};

function arrowType(type: string, layout: ColumnLayout): DataType {
  if (layout.kind === "decimal") return new Decimal(layout.scale, layout.precision, 128);
  return must(plainTypes[type], `${type} has an Arrow type`)();
}

/**
 * The library's stream writer with its parts kept apart, and with the length before a packed buffer as the
 * format asks: the plain length. (Version 21.2 writes the packed one there, which other readers refuse.)
 */
class PartsWriter extends RecordBatchStreamWriter {
  private parts: Uint8Array[] = [];

  constructor(packed: boolean) {
    super({
      autoDestroy: false,
      compressionType: packed ? CompressionType.LZ4_FRAME : null,
    });
  }

  begin(schema: Schema): void {
    this.reset(undefined, schema);
  }

  take(): Uint8Array {
    const whole = Buffer.concat(this.parts);
    this.parts = [];
    return whole;
  }

  protected override _write(chunk: ArrayBufferView): this {
    if (chunk.byteLength > 0) this.parts.push(bytesOf(chunk));
    return this;
  }

  protected override _compressBodyBuffers(buffers: ArrayBufferView[]) {
    const bufferRegions: BufferRegion[] = [];
    const packed: ArrayBufferView[] = [];
    let byteLength = 0;
    for (const buffer of buffers) {
      const plain = bytesOf(buffer);
      const { prefix, body } = packBuffer(plain);
      packed.push(prefix, body);
      const length = prefix.byteLength + body.byteLength;
      bufferRegions.push(new BufferRegion(byteLength, length));
      byteLength += (length + 7) & ~7;
    }
    return { byteLength, bufferRegions, buffers: packed };
  }
}

const nothing = new Uint8Array(0);

function packBuffer(plain: Uint8Array): { prefix: Uint8Array; body: Uint8Array } {
  if (plain.byteLength === 0) return { prefix: nothing, body: nothing };
  const frame = compressLz4Frame(plain);
  const smaller = frame.byteLength < plain.byteLength;
  const prefix = Buffer.alloc(8);
  // −1: the body is not packed.
  prefix.writeBigInt64LE(smaller ? BigInt(plain.byteLength) : -1n, 0);
  return { prefix, body: smaller ? frame : plain };
}
