/**
 * A batch of rows as plain column buffers: the form between DuckDB's vectors and Arrow's messages.
 * Bit order is the one that both use: row i is bit i % 8 of byte ⌊i / 8⌋, least significant first.
 */
import type { ColumnLayout } from "./exchange-layout.ts";

/** One column of a batch. Buffers belong to whoever made the batch and may be overwritten by its next one. */
export interface ColumnBuffers {
  /** Bitmap, set bit = value present; undefined when no value is NULL. */
  readonly validity: Uint8Array | undefined;
  readonly nullCount: number;
  /** fixed, decimal: rows × wire width; boolean: bitmap; bytes: the bytes themselves, end to end. */
  readonly values: Uint8Array;
  /** bytes only: rows + 1 positions in `values`. */
  readonly offsets: Int32Array | undefined;
}

export interface Batch {
  readonly rows: number;
  readonly columns: readonly ColumnBuffers[];
}

/** Bytes of a bitmap over `rows` rows. */
export function bitmapBytes(rows: number): number {
  return (rows + 7) >> 3;
}

/** Copies `count` bits. Bits of the target beyond the range in its last byte are left alone. */
export function copyBits(
  target: Uint8Array,
  targetBit: number,
  source: Uint8Array,
  sourceBit: number,
  count: number,
): void {
  let done = 0;
  // Whole bytes once the target is at a byte's edge; single bits before and after.
  while (done < count && ((targetBit + done) & 7) !== 0) {
    setBit(target, targetBit + done, bit(source, sourceBit + done));
    done++;
  }
  const shift = (sourceBit + done) & 7;
  for (; done + 8 <= count; done += 8) {
    const at = (sourceBit + done) >> 3;
    const low = (source[at] ?? 0) >> shift;
    const high = shift === 0 ? 0 : (source[at + 1] ?? 0) << (8 - shift);
    target[(targetBit + done) >> 3] = (low | high) & 0xff;
  }
  for (; done < count; done++) setBit(target, targetBit + done, bit(source, sourceBit + done));
}

/** Sets `count` bits. */
export function fillBits(target: Uint8Array, from: number, count: number): void {
  let at = from;
  const end = from + count;
  while (at < end && (at & 7) !== 0) setBit(target, at++, 1);
  const whole = (end - at) >> 3;
  if (whole > 0) target.fill(0xff, at >> 3, (at >> 3) + whole);
  for (at += whole * 8; at < end; at++) setBit(target, at, 1);
}

/** Number of clear bits in a range. */
export function countClear(bits: Uint8Array, from: number, count: number): number {
  let clear = 0;
  for (let at = from; at < from + count; at++) clear += bit(bits, at) ^ 1;
  return clear;
}

/** Bit `at` of a bitmap, 0 or 1. */
export function bit(bits: Uint8Array, at: number): number {
  return ((bits[at >> 3] ?? 0) >> (at & 7)) & 1;
}

function setBit(bits: Uint8Array, at: number, value: number): void {
  const byte = bits[at >> 3] ?? 0;
  const mask = 1 << (at & 7);
  bits[at >> 3] = value === 0 ? byte & ~mask : byte | mask;
}

/** Rows [from, to) of a batch in buffers of their own. */
export function sliceBatch(
  batch: Batch,
  layouts: readonly ColumnLayout[],
  from: number,
  to: number,
): Batch {
  const columns = batch.columns.map((column, index) => {
    const layout = layouts[index];
    const validity = column.validity && sliceBits(column.validity, from, to);
    const nullCount = validity === undefined ? 0 : countClear(validity, 0, to - from);
    return { validity, nullCount, ...sliceValues(column, layout, from, to) };
  });
  return { rows: to - from, columns };
}

function sliceValues(
  column: ColumnBuffers,
  layout: ColumnLayout | undefined,
  from: number,
  to: number,
): Pick<ColumnBuffers, "values" | "offsets"> {
  if (column.offsets !== undefined) {
    const first = column.offsets[from] ?? 0;
    const offsets = column.offsets.slice(from, to + 1).map((offset) => offset - first);
    return { values: column.values.slice(first, column.offsets[to]), offsets };
  }
  if (layout?.kind === "boolean") {
    return { values: sliceBits(column.values, from, to), offsets: undefined };
  }
  const width = layout?.kind === "fixed" ? layout.width : 16;
  return { values: column.values.slice(from * width, to * width), offsets: undefined };
}

function sliceBits(bits: Uint8Array, from: number, to: number): Uint8Array {
  const out = new Uint8Array(bitmapBytes(to - from));
  copyBits(out, 0, bits, from, to - from);
  return out;
}
