/**
 * Columns of an Arrow file's batches as the buffers that the loader takes. Nothing in a body is trusted: lengths, text
 * offsets, dictionary indexes, UTF-8 and the number of NULLs are checked, because buffers are copied by address later.
 */
import { isUtf8 } from "node:buffer";
import { must } from "../kernel/assert.ts";
import { type Batch, bitmapBytes, type ColumnBuffers } from "../kernel/exchange-batch.ts";
import { type ColumnLayout, wireWidth } from "../kernel/exchange-layout.ts";
import { limits } from "../kernel/limits.ts";
import { createDictionaries, expand, type Indexes } from "./arrow-dictionaries.ts";
import type { ArrowField, ArrowType, BatchHeader, BufferPlace } from "./arrow-metadata.ts";
import { decompressLz4Frame } from "./lz4.ts";

/** A column of the file that can be loaded. */
export interface LoadedColumn {
  readonly field: ArrowField;
  /** First node and first buffer in each batch; columns of view types before it make it `views` more. */
  readonly node: number;
  readonly buffer: number;
  readonly views: number;
  readonly layout: ColumnLayout;
  /** DuckDB's type with the same bits. */
  readonly type: string;
}

/** What `type` is in DuckDB; undefined where there is none with the same values. */
export function loadedType(
  field: ArrowField,
): { readonly type: string; readonly layout: ColumnLayout } | undefined {
  const { type, dictionary } = field;
  if (dictionary !== undefined && (type.kind !== "bytes" || !type.utf8)) return undefined;
  switch (type.kind) {
    case "int":
      return fixed(type.bits / 8, `${type.signed ? "" : "U"}${integerNames[type.bits]}`);
    case "float":
      return type.bits === 16 ? undefined : fixed(type.bits / 8, floatNames[type.bits]);
    case "bool":
      return { type: "BOOLEAN", layout: { kind: "boolean" } };
    case "bytes":
      return {
        type: type.utf8 ? "VARCHAR" : "BLOB",
        layout: { kind: "bytes", utf8: type.utf8 },
      };
    case "date":
      return type.days ? fixed(4, "DATE") : undefined;
    case "time":
      return type.unit === "us" && type.bits === 64 ? fixed(8, "TIME") : undefined;
    case "timestamp":
      return fixed(8, momentNames[type.unit]);
    case "decimal": {
      const { bits, precision, scale } = type;
      if (bits !== 128 || scale < 0 || scale > precision || precision > 38) return undefined;
      const layout = { kind: "decimal", width: 16, precision: 38, scale } as const;
      return { type: `DECIMAL(38,${scale})`, layout };
    }
    default:
      return undefined;
  }
}

const integerNames: Readonly<Record<number, string>> = {
  8: "TINYINT",
  16: "SMALLINT",
  32: "INTEGER",
  64: "BIGINT",
};
const floatNames: Readonly<Record<number, string>> = { 32: "FLOAT", 64: "DOUBLE" };
const momentNames = {
  s: "TIMESTAMP_S",
  ms: "TIMESTAMP_MS",
  us: "TIMESTAMP",
  ns: "TIMESTAMP_NS",
} as const;

function fixed(width: number, type: string | undefined) {
  if (type === undefined || (width !== 1 && width !== 2 && width !== 4 && width !== 8)) {
    return undefined;
  }
  return { type, layout: { kind: "fixed", width } } as const;
}

/** A type as messages spell it. */
export function typeName({ type, dictionary }: ArrowField): string {
  const plain = plainName(type);
  return dictionary === undefined ? plain : `dictionary of ${plain}`;
}

function plainName(type: ArrowType): string {
  switch (type.kind) {
    case "int":
      return `${type.signed ? "" : "u"}int${type.bits}`;
    case "float":
      return `float${type.bits}`;
    case "decimal":
      return `decimal${type.bits}(${type.precision}, ${type.scale})`;
    case "date":
      return type.days ? "date32" : "date64";
    case "time":
      return `time${type.bits}[${type.unit}]`;
    case "timestamp":
      return `timestamp[${type.unit}${type.zoned ? ", with a zone" : ""}]`;
    case "bool":
      return "bool";
    case "bytes":
      return `${type.large ? "large_" : ""}${type.utf8 ? "utf8" : "binary"}`;
    default:
      return type.name;
  }
}

/** Turns the messages of one file into batches of the columns, in their order. */
export interface ColumnReader {
  /** Keeps the values of a dictionary that some column needs. Throws RangeError when they are damaged. */
  learn(id: number, delta: boolean, header: BatchHeader, body: Uint8Array): void;
  /** Rows of a batch in pieces, each valid until the next. Throws RangeError when they are damaged. */
  read(header: BatchHeader, body: Uint8Array): Generator<Batch, void, undefined>;
}

/** `file`: for messages; `fields`: all of it; `columns`: those to be read. */
export function createColumnReader(
  file: string,
  fields: readonly ArrowField[],
  columns: readonly LoadedColumn[],
): ColumnReader {
  const nodes = fields.reduce((sum, field) => sum + field.nodes, 0);
  const buffers = fields.reduce((sum, field) => sum + field.buffers, 0);
  const views = fields.reduce((sum, field) => sum + field.views, 0);
  const wanted = new Map(
    columns.flatMap(({ field }) =>
      field.dictionary === undefined ? [] : [[field.dictionary.id, field.type] as const],
    ),
  );
  const known = new Set(fields.flatMap((field) => field.dictionaries));
  const dictionaries = createDictionaries(file);
  return {
    learn(id, delta, header, body) {
      if (!known.has(id)) throw new RangeError("a dictionary that no column uses");
      const type = wanted.get(id);
      if (type === undefined) return;
      expectShape(header, body, { nodes: 1, buffers: 3, views: 0 });
      const layout = { kind: "bytes", utf8: true } as const;
      const unpacked = new Unpacked(header, body);
      dictionaries.put(id, delta, header.rows, valuesOf(unpacked, type, layout, 0, 0));
    },
    *read(header, body) {
      expectShape(header, body, { nodes, buffers, views });
      const unpacked = new Unpacked(header, body);
      const found = columns.map((column) => {
        const { field, layout, node } = column;
        const skipped = header.variadic.slice(0, column.views).reduce((sum, n) => sum + n, 0);
        const first = column.buffer + skipped;
        if (field.dictionary === undefined) {
          return {
            buffers: valuesOf(unpacked, field.type, layout, node, first),
            dictionary: undefined,
          };
        }
        const { id, bits, signed } = field.dictionary;
        const index = { kind: "int", bits, signed } as const;
        const width = { kind: "fixed", width: (bits / 8) as 1 | 2 | 4 | 8 } as const;
        return {
          buffers: valuesOf(unpacked, index, width, node, first),
          dictionary: { bits, values: dictionaries.get(id) },
        };
      });
      yield* pieces(file, header.rows, found, columns);
    },
  };
}

interface FoundColumn {
  readonly buffers: ColumnBuffers;
  readonly dictionary: Indexes | undefined;
}

/** Whole where no dictionary is used; else in runs of rows, since texts take more room than indexes. */
function* pieces(
  file: string,
  rows: number,
  found: readonly FoundColumn[],
  columns: readonly LoadedColumn[],
): Generator<Batch, void, undefined> {
  if (found.every(({ dictionary }) => dictionary === undefined)) {
    if (rows > 0) yield { rows, columns: found.map(({ buffers }) => buffers) };
    return;
  }
  for (let from = 0; from < rows; from += limits.arrowPieceRows) {
    const to = Math.min(rows, from + limits.arrowPieceRows);
    const piece = found.map(({ buffers, dictionary }, index) =>
      dictionary === undefined
        ? slice(buffers, must(columns[index], "one column each").layout, from, to)
        : expand(file, buffers, dictionary, from, to),
    );
    yield { rows: to - from, columns: piece };
  }
}

/** Views of rows [from, to); `from` is a multiple of 8, so that bitmaps can be viewed too. */
function slice(
  column: ColumnBuffers,
  layout: ColumnLayout,
  from: number,
  to: number,
): ColumnBuffers {
  const bits = (bytes: Uint8Array) => bytes.subarray(from >> 3, (to + 7) >> 3);
  const validity = column.validity && bits(column.validity);
  const { nullCount, offsets, values } = column;
  if (offsets !== undefined) {
    return { validity, nullCount, values, offsets: offsets.subarray(from, to + 1) };
  }
  const width = wireWidth(layout);
  const part = layout.kind === "boolean" ? bits(values) : values.subarray(from * width, to * width);
  return { validity, nullCount, values: part, offsets: undefined };
}

/** Writers round a body up to a multiple of 64 bytes at most. */
const paddingBytesMax = 63;

function expectShape(
  header: BatchHeader,
  body: Uint8Array,
  schema: { readonly nodes: number; readonly buffers: number; readonly views: number },
): void {
  const more = header.variadic.reduce((sum, count) => sum + count, 0);
  // Beyond that many rows, the arithmetic on bitmaps would wrap around; no body can hold them.
  const fits =
    header.rows <= 0x7fff_ff00 &&
    header.nodes.length === schema.nodes &&
    header.variadic.length === schema.views &&
    header.buffers.length === schema.buffers + more;
  if (!fits) throw new RangeError("a batch has other columns than the schema");
  // A longer body would hide the messages behind it.
  const end = header.buffers.reduce(
    (last, place) => Math.max(last, place.offset + place.length),
    0,
  );
  if (body.byteLength - end > paddingBytesMax) {
    throw new RangeError("a batch is longer than its columns");
  }
}

/** The buffers of one batch, plain, and no more of them than there is room for. */
class Unpacked {
  readonly header: BatchHeader;
  readonly #body: Uint8Array;
  #left: number = limits.arrowBodyBytesMax;

  constructor(header: BatchHeader, body: Uint8Array) {
    this.header = header;
    this.#body = body;
    if (header.packing === "zstd") {
      throw new RangeError("it is packed with ZSTD; write it with LZ4, or unpacked");
    }
  }

  /** At a multiple of 8 in its memory. */
  buffer(index: number): Uint8Array {
    const place = this.header.buffers[index];
    if (place === undefined) throw new RangeError("a column buffer is missing");
    const stored = this.#stored(place);
    if (this.header.packing === "none" || stored.byteLength === 0) return stored;
    if (stored.byteLength < 8) throw new RangeError("a packed buffer has no length");
    const announced = Number(Buffer.from(stored.buffer, stored.byteOffset, 8).readBigInt64LE());
    const packed = stored.subarray(8);
    if (announced === -1) return packed;
    const plain = this.#unpack(packed);
    // Some writers announce the packed length (apache-arrow for JavaScript up to 21); rows are counted anyway.
    if (plain.byteLength !== announced && packed.byteLength !== announced) {
      throw new RangeError("a packed buffer has another length than it says");
    }
    this.#left -= plain.byteLength;
    return plain.byteOffset % 8 === 0 ? plain : new Uint8Array(plain);
  }

  #unpack(packed: Uint8Array): Uint8Array {
    try {
      return decompressLz4Frame(packed, this.#left);
    } catch (error) {
      const text = `packed data is damaged, or more than ${limits.arrowBodyBytesMax} bytes unpacked`;
      throw new RangeError(text, { cause: error });
    }
  }

  #stored({ offset, length }: BufferPlace): Uint8Array {
    if (offset % 8 !== 0 || offset + length > this.#body.byteLength) {
      throw new RangeError("a column buffer leaves its batch");
    }
    return this.#body.subarray(offset, offset + length);
  }
}

function valuesOf(
  unpacked: Unpacked,
  type: ArrowType,
  layout: ColumnLayout,
  node: number,
  buffer: number,
): ColumnBuffers {
  const { rows } = unpacked.header;
  const found = unpacked.header.nodes[node];
  if (found?.rows !== rows) throw new RangeError("a column has another number of rows");
  const nullCount = found.nulls;
  const validity = validityOf(unpacked.buffer(buffer), rows, nullCount);
  if (layout.kind !== "bytes") {
    const need = layout.kind === "boolean" ? bitmapBytes(rows) : rows * wireWidth(layout);
    const values = atLeast(unpacked.buffer(buffer + 1), need);
    return { validity, nullCount, values, offsets: undefined };
  }
  const large = type.kind === "bytes" && type.large;
  const offsets = offsetsOf(unpacked.buffer(buffer + 1), rows, large);
  const values = atLeast(unpacked.buffer(buffer + 2), offsets[rows] ?? 0);
  if (layout.utf8) expectUtf8(values, offsets, rows);
  return { validity, nullCount, values, offsets };
}

/** undefined when no value is NULL. The count is a second word on the same bits: both must agree. */
function validityOf(bytes: Uint8Array, rows: number, nullCount: number): Uint8Array | undefined {
  if (bytes.byteLength === 0 && nullCount === 0) return undefined;
  const bits = atLeast(bytes, bitmapBytes(rows));
  let present = 0;
  for (let at = 0; at < rows >> 3; at++) present += bitsSet[bits[at] ?? 0] ?? 0;
  const rest = rows & 7;
  if (rest > 0) present += bitsSet[(bits[rows >> 3] ?? 0) & ((1 << rest) - 1)] ?? 0;
  if (rows - present !== nullCount) throw new RangeError("a column has another number of NULLs");
  return nullCount === 0 ? undefined : bits;
}

const bitsSet = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});

function atLeast(bytes: Uint8Array, need: number): Uint8Array {
  if (bytes.byteLength >= need) return bytes;
  throw new RangeError(`a column buffer has ${bytes.byteLength} of ${need} bytes`);
}

/** rows + 1 positions that never go backwards. Positions of 8 bytes must fit into 4: no body is that large. */
function offsetsOf(bytes: Uint8Array, rows: number, large: boolean): Int32Array {
  if (rows === 0) return new Int32Array(1);
  const words = atLeast(bytes, (rows + 1) * (large ? 8 : 4)).byteLength >> 2;
  const stored = new Int32Array(bytes.buffer, bytes.byteOffset, words);
  const offsets = large ? new Int32Array(rows + 1) : stored.subarray(0, rows + 1);
  let last = 0;
  for (let row = 0; row <= rows; row++) {
    if (large) {
      if (stored[row * 2 + 1] !== 0) throw new RangeError("a text lies behind its buffer");
      offsets[row] = stored[row * 2] ?? 0;
    }
    const offset = offsets[row] ?? 0;
    if (offset < last) throw new RangeError("text positions go backwards");
    last = offset;
  }
  return offsets;
}

/** All bytes together must be UTF-8, and no text may begin inside a character. */
function expectUtf8(bytes: Uint8Array, offsets: Int32Array, rows: number): void {
  const [first, end] = [offsets[0] ?? 0, offsets[rows] ?? 0];
  let whole = isUtf8(bytes.subarray(first, end));
  for (let row = 1; whole && row < rows; row++) {
    const at = offsets[row] ?? 0;
    whole = at === end || ((bytes[at] ?? 0) & 0xc0) !== 0x80;
  }
  if (!whole) throw new RangeError("a text is not UTF-8");
}
