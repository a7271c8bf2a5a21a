/**
 * Dictionaries of an Arrow file: texts that columns name by number, kept while the file is read and put in the place
 * of the numbers a run of rows at a time. No text is ever a JavaScript string.
 */
import { bit, bitmapBytes, type ColumnBuffers, copyBits } from "../kernel/exchange-batch.ts";
import { type DaymillError, fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";

export interface Dictionary {
  readonly rows: number;
  readonly validity: Uint8Array | undefined;
  /** rows + 1 positions in `values`. */
  readonly offsets: Int32Array;
  readonly values: Buffer;
}

/** What the values of a column are: numbers of so many bits into a dictionary. */
export interface Indexes {
  readonly bits: number;
  readonly values: Dictionary;
}

export interface Dictionaries {
  /** Keeps a copy; `delta` adds to what is there, otherwise it takes its place. */
  put(id: number, delta: boolean, rows: number, column: ColumnBuffers): void;
  /** Throws RangeError when the file has not brought it. */
  get(id: number): Dictionary;
}

const empty: Dictionary = {
  rows: 0,
  validity: undefined,
  offsets: new Int32Array(1),
  values: Buffer.alloc(0),
};

export function createDictionaries(file: string): Dictionaries {
  const kept = new Map<number, Dictionary>();
  return {
    put(id, delta, rows, column) {
      kept.set(id, joined(delta ? (kept.get(id) ?? empty) : empty, rows, column));
      let bytes = 0;
      for (const { values } of kept.values()) bytes += values.byteLength;
      if (bytes <= limits.arrowBodyBytesMax) return;
      throw tooLarge(file, "its dictionaries");
    },
    get(id) {
      const found = kept.get(id);
      if (found === undefined) throw new RangeError("a dictionary is missing");
      return found;
    },
  };
}

function joined(before: Dictionary, more: number, column: ColumnBuffers): Dictionary {
  const rows = before.rows + more;
  const added = column.offsets ?? empty.offsets;
  const [first, end] = [added[0] ?? 0, added[more] ?? 0];
  const values = Buffer.concat([before.values, column.values.subarray(first, end)]);
  const offsets = new Int32Array(rows + 1);
  offsets.set(before.offsets);
  for (let row = 0; row <= more; row++) {
    offsets[before.rows + row] = before.values.byteLength + (added[row] ?? 0) - first;
  }
  if (before.validity === undefined && column.validity === undefined) {
    return { rows, validity: undefined, offsets, values };
  }
  const validity = new Uint8Array(bitmapBytes(rows)).fill(0xff);
  if (before.validity !== undefined) copyBits(validity, 0, before.validity, 0, before.rows);
  if (column.validity !== undefined) copyBits(validity, before.rows, column.validity, 0, more);
  return { rows, validity, offsets, values };
}

/** The texts of rows [from, to) of a column of indexes. Throws RangeError for an index beyond the dictionary. */
export function expand(
  file: string,
  column: ColumnBuffers,
  { bits, values: dictionary }: Indexes,
  from: number,
  to: number,
): ColumnBuffers {
  const rows = to - from;
  const offsets = new Int32Array(rows + 1);
  const validity = new Uint8Array(bitmapBytes(rows));
  const places = placesOf(column, bits, dictionary, from, to);
  let [total, nullCount] = [0, 0];
  for (let row = 0; row < rows; row++) {
    const place = places[row] ?? -1;
    if (place < 0) nullCount += 1;
    else {
      validity[row >> 3] = (validity[row >> 3] ?? 0) | (1 << (row & 7));
      total += (dictionary.offsets[place + 1] ?? 0) - (dictionary.offsets[place] ?? 0);
    }
    if (total > limits.arrowBodyBytesMax) {
      throw tooLarge(file, `${rows} rows of a dictionary column`);
    }
    offsets[row + 1] = total;
  }
  const values = Buffer.allocUnsafe(total);
  for (let row = 0; row < rows; row++) {
    const place = places[row] ?? -1;
    if (place < 0) continue;
    const [start, end] = [dictionary.offsets[place], dictionary.offsets[place + 1]];
    dictionary.values.copy(values, offsets[row], start, end);
  }
  return { validity: nullCount === 0 ? undefined : validity, nullCount, values, offsets };
}

function tooLarge(file: string, what: string): DaymillError {
  const text = `file ${file}: ${what} have more than ${limits.arrowBodyBytesMax} bytes`;
  return fail("limitExceeded", `${text}; write such texts without a dictionary`, { file });
}

/** Row of the dictionary for each row of the column; −1 for NULL, whose index means nothing. */
function placesOf(
  column: ColumnBuffers,
  bits: number,
  dictionary: Dictionary,
  from: number,
  to: number,
): Int32Array {
  const places = new Int32Array(to - from);
  const { buffer, byteOffset, byteLength } = column.values;
  const view = new DataView(buffer, byteOffset, byteLength);
  for (let row = from; row < to; row++) {
    const absent = column.validity !== undefined && bit(column.validity, row) === 0;
    const place = absent ? -1 : indexAt(view, row, bits);
    if (place >= dictionary.rows) throw new RangeError("an index leaves its dictionary");
    const noText = place >= 0 && dictionary.validity && bit(dictionary.validity, place) === 0;
    places[row - from] = noText ? -1 : place;
  }
  return places;
}

/** Read as unsigned: a negative one is beyond every dictionary. */
function indexAt(view: DataView, row: number, bits: number): number {
  switch (bits) {
    case 8:
      return view.getUint8(row);
    case 16:
      return view.getUint16(row * 2, true);
    case 32:
      return view.getUint32(row * 4, true);
    default:
      return view.getUint32(row * 8 + 4, true) * 0x100000000 + view.getUint32(row * 8, true);
  }
}
