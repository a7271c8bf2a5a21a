/**
 * What the messages of an Arrow IPC file or stream say about their bodies: schema, batches, dictionaries, footer.
 * Anything that contradicts the format is a RangeError. No body is looked at.
 */
import { limits } from "../kernel/limits.ts";
import { FlatTable } from "./arrow-flatbuffer.ts";

export type ArrowUnit = "s" | "ms" | "us" | "ns";

/** A column's type. `other`: one that no declared column can have; its buffers are passed over. */
export type ArrowType =
  | { readonly kind: "int"; readonly bits: number; readonly signed: boolean }
  | { readonly kind: "float"; readonly bits: number }
  | {
      readonly kind: "decimal";
      readonly bits: number;
      readonly precision: number;
      readonly scale: number;
    }
  | { readonly kind: "date"; readonly days: boolean }
  | { readonly kind: "time"; readonly unit: ArrowUnit; readonly bits: number }
  | { readonly kind: "timestamp"; readonly unit: ArrowUnit; readonly zoned: boolean }
  | { readonly kind: "bool" }
  | { readonly kind: "bytes"; readonly utf8: boolean; readonly large: boolean }
  | { readonly kind: "other"; readonly name: string };

export interface ArrowField {
  readonly name: string;
  readonly type: ArrowType;
  /** Index type and id of the dictionary that holds the values. */
  readonly dictionary:
    | { readonly id: number; readonly bits: number; readonly signed: boolean }
    | undefined;
  /** How many nodes and buffers the column has in a batch, children included. */
  readonly nodes: number;
  readonly buffers: number;
  /** Columns of a view type, children included: each has more buffers, as many as the batch says. */
  readonly views: number;
  /** Ids of the dictionaries that it or its children use. */
  readonly dictionaries: readonly number[];
}

export interface BufferPlace {
  readonly offset: number;
  readonly length: number;
}

/** A record batch, or the values of a dictionary. */
export interface BatchHeader {
  readonly rows: number;
  readonly nodes: readonly { readonly rows: number; readonly nulls: number }[];
  readonly buffers: readonly BufferPlace[];
  readonly packing: "none" | "lz4" | "zstd";
  /** More buffers of each column of a view type, in order. */
  readonly variadic: readonly number[];
}

export type ArrowHeader =
  | { readonly kind: "schema"; readonly fields: readonly ArrowField[] }
  | { readonly kind: "batch"; readonly batch: BatchHeader }
  | {
      readonly kind: "dictionary";
      readonly id: number;
      readonly delta: boolean;
      readonly batch: BatchHeader;
    };

export interface ArrowMessage {
  readonly header: ArrowHeader;
  readonly bodyBytes: number;
}

/** Versions 4 and 5 differ in unions only; older ones have other buffers. */
const oldestVersion = 3;

export function parseMessage(metadata: Uint8Array): ArrowMessage {
  const message = FlatTable.root(metadata);
  if (message.int16(0, 0) < oldestVersion) throw new RangeError("an old version of the format");
  const header = need(message.table(2));
  return { header: parseHeader(message.uint8(1, 0), header), bodyBytes: message.count(3) };
}

function parseHeader(kind: number, table: FlatTable): ArrowHeader {
  switch (kind) {
    case 1:
      return { kind: "schema", fields: parseSchema(table) };
    case 2:
      return {
        kind: "dictionary",
        id: table.count(0),
        batch: parseBatch(need(table.table(1))),
        delta: table.uint8(2, 0) === 1,
      };
    case 3:
      return { kind: "batch", batch: parseBatch(table) };
    default:
      throw new RangeError("a message of unknown kind");
  }
}

function parseBatch(table: FlatTable): BatchHeader {
  const compression = table.table(3);
  return {
    rows: table.count(0),
    nodes: table.structs(1, 16, [0, 8]).map(([rows = 0, nulls = 0]) => ({ rows, nulls })),
    buffers: table.structs(2, 16, [0, 8]).map(([offset = 0, length = 0]) => ({ offset, length })),
    packing: compression === undefined ? "none" : packingOf(compression),
    variadic: table.structs(4, 8, [0]).map(([count = 0]) => count),
  };
}

function packingOf(compression: FlatTable): "lz4" | "zstd" {
  const codec = compression.uint8(0, 0);
  // The only method there is packs each buffer by itself.
  if (compression.uint8(1, 0) !== 0 || codec > 1) throw new RangeError("an unknown packing");
  return codec === 0 ? "lz4" : "zstd";
}

/** Positions of the messages, from the start of the file. */
export interface ArrowFooter {
  readonly fields: readonly ArrowField[];
  readonly dictionaries: readonly number[];
  readonly batches: readonly number[];
}

export function parseFooter(bytes: Uint8Array): ArrowFooter {
  const footer = FlatTable.root(bytes);
  const offsets = (field: number): number[] =>
    footer.structs(field, 24, [0]).map(([offset = 0]) => offset);
  const fields = parseSchema(need(footer.table(1)));
  return { fields, dictionaries: offsets(2), batches: offsets(3) };
}

function parseSchema(table: FlatTable): readonly ArrowField[] {
  if (table.int16(0, 0) !== 0) throw new RangeError("big-endian values");
  const budget = { fields: limits.arrowFieldsMax };
  return table.tables(1).map((field) => parseField(field, budget));
}

/** `budget` ends a schema that names itself as its child. */
function parseField(table: FlatTable, budget: { fields: number }): ArrowField {
  budget.fields -= 1;
  if (budget.fields < 0) throw new RangeError(`more than ${limits.arrowFieldsMax} fields`);
  const name = table.text(0) ?? "";
  const { type, own, view } = parseType(table.uint8(2, 0), table.table(3));
  const children = table.tables(5).map((child) => parseField(child, budget));
  const inner = children.flatMap(({ dictionaries }) => dictionaries);
  const encoded = table.table(4);
  if (encoded !== undefined) {
    const index = encoded.table(1);
    const bits = index?.int32(0, 0) ?? 32;
    const signed = index === undefined || index.uint8(1, 0) === 1;
    if (![8, 16, 32, 64].includes(bits)) throw new RangeError("an index of unknown width");
    const dictionary = { id: encoded.count(0), bits, signed };
    // The children are those of the values, which come as batches of their own.
    const dictionaries = [dictionary.id, ...inner];
    return { name, type, dictionary, nodes: 1, buffers: 2, views: 0, dictionaries };
  }
  const sum = (count: (child: ArrowField) => number): number =>
    children.reduce((total, child) => total + count(child), 0);
  return {
    name,
    type,
    dictionary: undefined,
    nodes: 1 + sum(({ nodes }) => nodes),
    buffers: own + sum(({ buffers }) => buffers),
    views: (view ? 1 : 0) + sum(({ views }) => views),
    dictionaries: inner,
  };
}

interface ParsedType {
  readonly type: ArrowType;
  /** Buffers of the column itself. */
  readonly own: number;
  readonly view: boolean;
}

/** Types without a place in a declared column: name and buffers. Unions depend on their mode. */
const otherTypes: Readonly<Record<number, readonly [name: string, buffers: number]>> = {
  1: ["null", 0],
  11: ["interval", 2],
  12: ["list", 2],
  13: ["struct", 1],
  15: ["fixed_size_binary", 2],
  16: ["fixed_size_list", 1],
  17: ["map", 2],
  18: ["duration", 2],
  21: ["large_list", 2],
  22: ["run_end_encoded", 0],
  23: ["binary_view", 2],
  24: ["utf8_view", 2],
  25: ["list_view", 3],
  26: ["large_list_view", 3],
};

const units = ["s", "ms", "us", "ns"] as const;

function parseType(id: number, table: FlatTable | undefined): ParsedType {
  const other = otherTypes[id];
  if (other !== undefined) {
    const [name, own] = other;
    return { type: { kind: "other", name }, own, view: id === 23 || id === 24 };
  }
  if (id === 14) {
    const own = need(table).int16(0, 0) === 0 ? 1 : 2;
    return { type: { kind: "other", name: "union" }, own, view: false };
  }
  const type = plainType(id, need(table));
  return { type, own: type.kind === "bytes" ? 3 : 2, view: false };
}

function plainType(id: number, table: FlatTable): ArrowType {
  switch (id) {
    case 2:
      return { kind: "int", bits: table.int32(0, 0), signed: table.uint8(1, 0) === 1 };
    case 3:
      return { kind: "float", bits: 16 << table.int16(0, 0) };
    case 4:
      return { kind: "bytes", utf8: false, large: false };
    case 5:
      return { kind: "bytes", utf8: true, large: false };
    case 6:
      return { kind: "bool" };
    case 7: {
      const [precision, scale] = [table.int32(0, 0), table.int32(1, 0)];
      return { kind: "decimal", precision, scale, bits: table.int32(2, 128) };
    }
    case 8:
      return { kind: "date", days: table.int16(0, 1) === 0 };
    case 9:
      return { kind: "time", unit: unitOf(table.int16(0, 1)), bits: table.int32(1, 32) };
    case 10: {
      const zoned = (table.text(1) ?? "") !== "";
      return { kind: "timestamp", unit: unitOf(table.int16(0, 0)), zoned };
    }
    case 19:
      return { kind: "bytes", utf8: false, large: true };
    case 20:
      return { kind: "bytes", utf8: true, large: true };
    default:
      throw new RangeError("a type that the format did not know when this was written");
  }
}

function unitOf(number: number): ArrowUnit {
  const unit = units[number];
  if (unit === undefined) throw new RangeError("an unknown unit of time");
  return unit;
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError("a part is missing");
  return value;
}
