/**
 * Reads flatbuffers, the form of Arrow's metadata, without trusting a byte: every position and count is checked against
 * the buffer, so that damage is a RangeError and never a hang. (The library believes what a length says.)
 */

/** A table: fields by number, each at a position that its own small index gives. */
export class FlatTable {
  readonly #view: DataView;
  readonly #at: number;
  readonly #index: number;
  readonly #indexBytes: number;

  private constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    this.#index = at - view.getInt32(at, true);
    this.#indexBytes = view.getUint16(this.#index, true);
  }

  /** The root table of a whole flatbuffer. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  uint8(field: number, absent: number): number {
    const at = this.#field(field);
    return at === undefined ? absent : this.#view.getUint8(at);
  }

  int16(field: number, absent: number): number {
    const at = this.#field(field);
    return at === undefined ? absent : this.#view.getInt16(at, true);
  }

  int32(field: number, absent: number): number {
    const at = this.#field(field);
    return at === undefined ? absent : this.#view.getInt32(at, true);
  }

  /** A 64-bit length or id; it must be exact as a number and not negative. */
  count(field: number): number {
    const at = this.#field(field);
    return at === undefined ? 0 : countAt(this.#view, at);
  }

  text(field: number): string | undefined {
    const list = this.#list(field, 1);
    if (list === undefined) return undefined;
    const { buffer, byteOffset } = this.#view;
    return Buffer.from(buffer, byteOffset + list.at, list.count).toString("utf8");
  }

  table(field: number): FlatTable | undefined {
    const at = this.#field(field);
    return at === undefined ? undefined : new FlatTable(this.#view, this.#behind(at));
  }

  tables(field: number): readonly FlatTable[] {
    const list = this.#list(field, 4);
    if (list === undefined) return [];
    return Array.from({ length: list.count }, (_, index) => {
      return new FlatTable(this.#view, this.#behind(list.at + index * 4));
    });
  }

  /** A list of structs, each read as the 64-bit counts at these byte positions in it. */
  structs(field: number, bytes: number, counts: readonly number[]): readonly (readonly number[])[] {
    const list = this.#list(field, bytes);
    if (list === undefined) return [];
    return Array.from({ length: list.count }, (_, index) =>
      counts.map((offset) => countAt(this.#view, list.at + index * bytes + offset)),
    );
  }

  #field(field: number): number | undefined {
    const slot = 4 + field * 2;
    if (slot + 2 > this.#indexBytes) return undefined;
    const offset = this.#view.getUint16(this.#index + slot, true);
    return offset === 0 ? undefined : this.#at + offset;
  }

  /** Positions are relative to where they stand. */
  #behind(at: number): number {
    return at + this.#view.getUint32(at, true);
  }

  #list(field: number, bytes: number): { readonly at: number; readonly count: number } | undefined {
    const place = this.#field(field);
    if (place === undefined) return undefined;
    const start = this.#behind(place);
    const count = this.#view.getUint32(start, true);
    const at = start + 4;
    if (at + count * bytes > this.#view.byteLength)
      throw new RangeError("a list leaves its buffer");
    return { at, count };
  }
}

function countAt(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true));
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError("a count is out of range");
  return value;
}
