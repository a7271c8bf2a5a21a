/**
 * DuckDB's 16-byte string cells ⇄ bytes end to end with offsets (Arrow's form), a chunk at a time.
 * A cell holds its length, then up to 12 bytes in place, or 4 bytes and the address of all of them. Strings
 * that follow each other in memory are fetched in one call; no JavaScript string is ever made.
 */
import duckdb from "@duckdb/node-bindings";
import { bit } from "../kernel/exchange-batch.ts";
import { fail } from "../kernel/failure.ts";

const cellBytes = 16;
const cellWords = 4;
const inlineMax = 12;
/**
 * Strings less than a page apart are fetched together: whatever lies between them is on the page of one of them,
 * so it can be read (and is not used).
 */
const gapMax = 4_095;
/** Fetched in one call at most; a run of neighbours longer than this is cut. */
const runBytesMax = 64 * 1024 * 1024;

export interface TextChunk {
  /** rows + 1 positions in `bytes`. */
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
}

/** Long strings of consecutive rows that lie close together. */
interface Run {
  low: number;
  high: number;
  /** First row after the run. */
  endRow: number;
}

/** Reads string vectors; the result is overwritten by the next `read`. */
export function createTextReader(): {
  read(vector: duckdb.Vector, rows: number, validity: Uint8Array | undefined): TextChunk;
} {
  let offsets = new Int32Array(2_049);
  let bytes = Buffer.alloc(64 * 1024);
  return {
    read(vector, rows, validity) {
      const cells = duckdb.vector_get_data(vector, rows * cellBytes);
      const words = new Uint32Array(cells.buffer, cells.byteOffset, rows * cellWords);
      if (offsets.length <= rows) offsets = new Int32Array(rows + 1);
      const total = measure(words, rows, validity, offsets);
      if (bytes.byteLength < total) bytes = Buffer.alloc(Math.max(total, bytes.byteLength * 2));
      copyStrings(words, cells, offsets, rows, bytes);
      return { offsets, bytes: bytes.subarray(0, total) };
    },
  };
}

/** Fills in the offsets; a NULL has length 0 (its cell is not defined). */
function measure(
  words: Uint32Array,
  rows: number,
  validity: Uint8Array | undefined,
  offsets: Int32Array,
): number {
  let total = 0;
  for (let row = 0; row < rows; row++) {
    offsets[row] = total;
    if (validity === undefined || bit(validity, row) === 1) total += words[row * cellWords] ?? 0;
  }
  if (total > 0x7fffffff) throw fail("limitExceeded", "2,048 rows hold more than 2 GiB of text");
  offsets[rows] = total;
  return total;
}

function copyStrings(
  words: Uint32Array,
  cells: Uint8Array,
  offsets: Int32Array,
  rows: number,
  out: Buffer,
): void {
  let heap: Buffer = Buffer.alloc(0);
  let run: Run = { low: 0, high: 0, endRow: 0 };
  // A stretch of neighbours is copied when it ends: often that is the whole run.
  let [from, to, target] = [0, 0, 0];
  for (let row = 0; row < rows; row++) {
    const at = offsets[row] ?? 0;
    const length = (offsets[row + 1] ?? 0) - at;
    if (length <= inlineMax) {
      const cell = row * cellBytes + 4;
      for (let i = 0; i < length; i++) out[at + i] = cells[cell + i] ?? 0;
      continue;
    }
    if (row >= run.endRow) {
      heap.copy(out, target, from, to);
      [from, to] = [0, 0];
      run = findRun(words, offsets, row, rows);
      heap = fetchRun(run);
    }
    const place = addressOf(words, row) - run.low;
    if (place === to && at === target + (to - from)) {
      to += length;
    } else {
      heap.copy(out, target, from, to);
      [from, to, target] = [place, place + length, at];
    }
  }
  heap.copy(out, target, from, to);
}

function findRun(words: Uint32Array, offsets: Int32Array, first: number, rows: number): Run {
  const run: Run = { low: Number.POSITIVE_INFINITY, high: 0, endRow: first };
  for (let row = first; row < rows; row++) {
    const length = (offsets[row + 1] ?? 0) - (offsets[row] ?? 0);
    if (length > inlineMax) {
      const low = addressOf(words, row);
      const high = low + length;
      const apart = run.high > 0 && (low > run.high + gapMax || high + gapMax < run.low);
      const newLow = Math.min(run.low, low);
      const newHigh = Math.max(run.high, high);
      if (apart || (run.high > 0 && newHigh - newLow > runBytesMax)) break;
      run.low = newLow;
      run.high = newHigh;
    }
    run.endRow = row + 1;
  }
  return run;
}

const pointer = new DataView(new ArrayBuffer(8));

/** A copy of the memory that the run's strings lie in. */
function fetchRun(run: Run): Buffer {
  pointer.setBigUint64(0, BigInt(run.low), true);
  const bytes = duckdb.get_data_from_pointer(pointer.buffer, 0, run.high - run.low);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Addresses of user space have 47 bits, so they are exact as numbers. */
function addressOf(words: Uint32Array, row: number): number {
  const word = row * cellWords;
  return (words[word + 3] ?? 0) * 0x100000000 + (words[word + 2] ?? 0);
}

/** Writes strings into vectors; rows [from, to) of `bytes` and `offsets` become rows 0… of the vector. */
export function createTextWriter(): {
  write(
    vector: duckdb.Vector,
    offsets: Int32Array,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void;
} {
  const cells = new Uint8Array(2_048 * cellBytes);
  const words = new Uint32Array(cells.buffer);
  return {
    write(vector, offsets, bytes, from, to) {
      const first = offsets[from] ?? 0;
      const end = offsets[to] ?? 0;
      if (first < 0 || end < first || end > bytes.byteLength) {
        throw fail("internal", "text offsets leave their buffer");
      }
      const base = end - first > inlineMax ? putHeap(vector, bytes.subarray(first, end)) : 0;
      cells.fill(0, 0, (to - from) * cellBytes);
      for (let row = from; row < to; row++) {
        const at = offsets[row] ?? 0;
        const length = (offsets[row + 1] ?? 0) - at;
        if (length < 0 || at < first) throw fail("internal", "text offsets go backwards");
        writeCell(cells, words, row - from, bytes, at, length, base + (at - first));
      }
      duckdb.copy_data_to_vector(vector, 0, cells.buffer, 0, (to - from) * cellBytes);
    },
  };
}

/**
 * Puts all bytes into the vector's own heap as one string, and gives its address: the cells then point into it.
 * One call for a chunk instead of one per string.
 */
function putHeap(vector: duckdb.Vector, bytes: Uint8Array): number {
  duckdb.copy_data_to_vector(vector, 0, emptyCell.buffer, 0, cellBytes);
  duckdb.vector_assign_string_element_len(vector, 0, bytes);
  const cell = duckdb.vector_get_data(vector, cellBytes);
  const words = new Uint32Array(cell.buffer, cell.byteOffset, cellWords);
  // A refused string leaves the empty cell; its address must not be used.
  if (words[0] !== bytes.byteLength) throw fail("internal", "DuckDB refused a text buffer");
  return addressOf(words, 0);
}

const emptyCell = new Uint8Array(cellBytes);

function writeCell(
  cells: Uint8Array,
  words: Uint32Array,
  row: number,
  bytes: Uint8Array,
  at: number,
  length: number,
  address: number,
): void {
  const cell = row * cellBytes;
  words[row * cellWords] = length;
  const inPlace = length <= inlineMax ? length : 4;
  for (let i = 0; i < inPlace; i++) cells[cell + 4 + i] = bytes[at + i] ?? 0;
  if (length <= inlineMax) return;
  words[row * cellWords + 2] = address % 0x100000000;
  words[row * cellWords + 3] = Math.floor(address / 0x100000000);
}
