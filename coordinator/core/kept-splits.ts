/**
 * How a source was cut, as one text: a day has 50,000 splits, which nobody looks at between its runs, and which every
 * snapshot writes again. A list is turned into text once, for as long as somebody holds it.
 */
import type { Split } from "../../shared/kernel/work.ts";
import { type PackedFile, packFile, unpackFile } from "./kept-outputs.ts";

/** Its files; then, where it is a row range, the first row and the one after the last. */
type PackedSplit = readonly [files: readonly PackedFile[], from?: number, to?: number];

const texts = new WeakMap<readonly Split[], string>();

/** The list must not change any more. */
export function packSplits(splits: readonly Split[]): string {
  const known = texts.get(splits);
  if (known !== undefined) return known;
  const text = JSON.stringify(splits.map(pack));
  texts.set(splits, text);
  return text;
}

/** The exact inverse. */
export function unpackSplits(text: string): readonly Split[] {
  const splits = (JSON.parse(text) as readonly PackedSplit[]).map(unpack);
  texts.set(splits, text);
  return splits;
}

function pack({ files, rows }: Split): PackedSplit {
  const packed = files.map(packFile);
  return rows === undefined ? [packed] : [packed, rows.from, rows.to];
}

function unpack([packed, from, to]: PackedSplit): Split {
  const files = packed.map(unpackFile);
  return from === undefined || to === undefined ? { files } : { files, rows: { from, to } };
}
