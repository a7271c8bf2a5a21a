/**
 * Cuts bytes into records, exactly as the scan after it will: one record a line, or more lines where a declared quote
 * stays open. Works on whole buffers; it never looks at values, at columns only to count them, and keeps nothing.
 */

/** Quoting as the source declares it; undefined when it declares none. */
export interface Quoting {
  readonly quote: number;
  readonly escape: number;
  readonly delimiter: Buffer;
}

/** What a record's columns are counted by. */
export interface Fields {
  readonly delimiter: Buffer;
  /** What stands for NULL; often empty. */
  readonly nullText: Buffer;
  /** Declared columns. */
  readonly columns: number;
}

/** Why a line cannot be handed to the scan: it would be read as something else than one record. */
export type Defect =
  | "carriage return inside the line"
  | "line too long"
  | "quote not closed"
  | "too few columns"
  | "too many columns"
  | "text after a closing quote";

/** Index of the line feed (or the end) that ends the record; `more`: it goes on beyond the buffer. */
export type RecordCut =
  | { readonly kind: "record"; readonly end: number }
  | { readonly kind: "defect"; readonly end: number; readonly defect: Defect }
  | { readonly kind: "more" };

const lineFeed = 10;
const carriageReturn = 13;
const space = 32;

interface CutRequest {
  readonly buffer: Buffer;
  readonly from: number;
  /** No more bytes follow the buffer. */
  readonly final: boolean;
  readonly lineBytesMax: number;
  readonly quoting: Quoting | undefined;
  /** Absent: columns are not counted. */
  readonly fields?: Fields;
}

/** The record that starts at `from`; `from` is below the buffer's length. */
export function cutRecord(request: CutRequest): RecordCut {
  const { buffer, from, final, lineBytesMax, quoting } = request;
  const found = buffer.indexOf(lineFeed, from);
  if (found < 0 && !final) return { kind: "more" };
  const end = found < 0 ? buffer.length : found;
  if (end - from > lineBytesMax) return { kind: "defect", end, defect: "line too long" };
  const line = buffer.subarray(from, end);
  if (strayReturn(line)) {
    return { kind: "defect", end, defect: "carriage return inside the line" };
  }
  if (quoting !== undefined && line.includes(quoting.quote)) {
    return cutQuoted(request, quoting, end);
  }
  const textEnd = buffer[end - 1] === carriageReturn ? end - 1 : end;
  return request.fields !== undefined && isOverfull(buffer, from, textEnd, request.fields)
    ? { kind: "defect", end, defect: "too many columns" }
    : { kind: "record", end };
}

/**
 * Has the line, without quotes, more columns than declared and an empty one or a NULL at its end? The scan would drop
 * those without a word, while it sees any other column too many itself. Lines that end otherwise cost next to nothing.
 */
export function isOverfull(bytes: Buffer, from: number, end: number, fields: Fields): boolean {
  const { delimiter, nullText, columns } = fields;
  // The scan takes a NUL for an end of text, and so for an empty column.
  if (bytes[end - 1] !== 0 && !endsWith(bytes, from, end, delimiter)) {
    const before = end - nullText.length;
    if (nullText.length === 0 || !endsWith(bytes, from, end, nullText)) return false;
    if (!endsWith(bytes, from, before, delimiter)) return false;
  }
  return delimitersIn(bytes, from, end, delimiter) >= columns;
}

function endsWith(bytes: Buffer, from: number, end: number, tail: Buffer): boolean {
  const start = end - tail.length;
  if (start < from) return false;
  for (let at = tail.length - 1; at >= 0; at--) {
    if (bytes[start + at] !== tail[at]) return false;
  }
  return true;
}

/** Byte by byte: columns are short, so that a search for each would cost more. */
export function delimitersIn(bytes: Buffer, from: number, end: number, delimiter: Buffer): number {
  const first = delimiter[0];
  const { length } = delimiter;
  let count = 0;
  for (let at = from; at < end; at++) {
    if (bytes[at] !== first) continue;
    if (length > 1 && !endsWith(bytes, at, at + length, delimiter)) continue;
    count++;
    at += length - 1;
  }
  return count;
}

/** A carriage return right before the line feed belongs to the line end; any other would split the line. */
function strayReturn(line: Buffer): boolean {
  const at = line.indexOf(carriageReturn);
  return at >= 0 && at < line.length - 1;
}

/** `lineEnd` is the first line feed: where a defective record is given up, so that only its first line is lost. */
function cutQuoted(request: CutRequest, quoting: Quoting, lineEnd: number): RecordCut {
  const { buffer, final } = request;
  const last = Math.min(buffer.length, request.from + request.lineBytesMax);
  let at = request.from;
  let columns = 1;
  while (true) {
    at = skipSpaces(buffer, at, last);
    if (buffer[at] === quoting.quote) {
      const closed = closingQuote(buffer, at + 1, last, quoting);
      if (closed < 0) {
        if (last === buffer.length && !final) return { kind: "more" };
        return { kind: "defect", end: lineEnd, defect: "quote not closed" };
      }
      at = skipSpaces(buffer, closed + 1, last);
      if (at >= buffer.length && !final) return { kind: "more" };
      if (!endsField(buffer, at, quoting)) {
        return { kind: "defect", end: lineEnd, defect: "text after a closing quote" };
      }
    }
    const lineAt = buffer.indexOf(lineFeed, at);
    const fieldAt = buffer.indexOf(quoting.delimiter, at);
    if (fieldAt >= 0 && (lineAt < 0 || fieldAt < lineAt)) {
      at = fieldAt + quoting.delimiter.length;
      columns++;
      continue;
    }
    if (lineAt < 0 && !final) return { kind: "more" };
    const end = lineAt < 0 ? buffer.length : lineAt;
    if (end - request.from > request.lineBytesMax) {
      return { kind: "defect", end: lineEnd, defect: "line too long" };
    }
    return columns > (request.fields?.columns ?? columns)
      ? { kind: "defect", end, defect: "too many columns" }
      : { kind: "record", end };
  }
}

function skipSpaces(buffer: Buffer, from: number, last: number): number {
  let at = from;
  while (at < last && buffer[at] === space) at++;
  return at;
}

/** Index of the quote that ends the field, -1 when there is none before `last`. */
function closingQuote(buffer: Buffer, from: number, last: number, quoting: Quoting): number {
  for (let at = from; at < last; at++) {
    const byte = buffer[at];
    if (byte === quoting.quote) {
      if (quoting.escape !== quoting.quote || buffer[at + 1] !== quoting.quote) return at;
      at++;
    } else if (byte === quoting.escape) at++;
  }
  return -1;
}

function endsField(buffer: Buffer, at: number, quoting: Quoting): boolean {
  if (at >= buffer.length) return true;
  const byte = buffer[at];
  if (byte === lineFeed) return true;
  if (byte === carriageReturn) return at + 1 >= buffer.length || buffer[at + 1] === lineFeed;
  return buffer.subarray(at, at + quoting.delimiter.length).equals(quoting.delimiter);
}
