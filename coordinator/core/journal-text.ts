/**
 * Facts to journal records and back. One append is a group of facts as JSON, cut into as many records as its size
 * needs; a group counts once its last part is there, and a group cut short by a crash is void.
 * A record is a header line (which epoch, which append, which part) and a piece of the JSON text.
 */
import { assert } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Fact } from "./facts.ts";

/** UTF-16 units of one piece: at most 3 bytes each in UTF-8, and room for the header. */
const pieceUnitsMax = Math.floor((limits.journalMessageBytesMax - 1024) / 3);

interface Header {
  readonly epoch: number;
  /** Number of this append within the epoch: makes every record's text unique. */
  readonly append: number;
  readonly part: number;
  readonly parts: number;
}

/** The records of one append, in order. */
export function encodeFacts(
  epoch: number,
  append: number,
  facts: readonly Fact[],
): readonly string[] {
  const pieces = cut(JSON.stringify(facts));
  return pieces.map((piece, part) => {
    const header: Header = { epoch, append, part, parts: pieces.length };
    return `${JSON.stringify(header)}\n${piece}`;
  });
}

/** Length of some texts together. */
export function unitsOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

/** Parts of a group whose last part has not been seen yet. */
export interface FactReader {
  pieces: string[];
}

/** Takes the next record; gives the facts that it completes. */
export function readFacts(reader: FactReader, text: string): readonly Fact[] {
  const end = endOfHeader(text);
  const header = headerOf(text, end);
  if (header.part === 0) reader.pieces = [];
  // The tail of a group whose head was trimmed away: what it said is in the snapshot.
  if (header.part !== reader.pieces.length) return [];
  reader.pieces.push(text.slice(end + 1));
  if (reader.pieces.length < header.parts) return [];
  const facts = JSON.parse(reader.pieces.join("")) as readonly Fact[];
  reader.pieces = [];
  return facts;
}

/** Whose record it is. */
export function recordEpoch(text: string): number {
  return headerOf(text, endOfHeader(text)).epoch;
}

function endOfHeader(text: string): number {
  const end = text.indexOf("\n");
  assert(end > 0, "a journal record begins with a header line");
  return end;
}

function headerOf(text: string, end: number): Header {
  return JSON.parse(text.slice(0, end)) as Header;
}

function cut(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  while (from < text.length || pieces.length === 0) {
    let to = Math.min(text.length, from + pieceUnitsMax);
    // Never between the halves of a surrogate pair: each piece is encoded by itself.
    if (to < text.length && isHighSurrogate(text.charCodeAt(to - 1))) to--;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
