/**
 * Spoils a finished line in one of the ways that real feeds do. Each kind but the empty line is a reject
 * when all declared columns are read with quoting off; the empty line is blank.
 */
import { putText } from "./line-bytes.ts";

export const damageKinds = [
  "too_few_columns",
  "too_many_columns",
  "text_in_number",
  "bad_utf8",
  "open_quote",
  "nul_byte",
  "empty_line",
] as const;

export type DamageKind = (typeof damageKinds)[number];

/** Changes the line at [from, to), newline not included, and gives its new end. */
export function damage(bytes: Uint8Array, from: number, to: number, kind: DamageKind): number {
  switch (kind) {
    case "too_few_columns":
      return fieldStart(bytes, from, 12) - 1;
    case "too_many_columns":
      return putText(bytes, to, ",0");
    case "text_in_number":
      bytes[fieldStart(bytes, from, 1)] = 120;
      return to;
    case "bad_utf8":
      // In the private address, a text column: only a reader that checks texts notices.
      bytes[fieldStart(bytes, from, 5)] = 0xff;
      return to;
    case "open_quote":
      // In a number, so that it is a reject; a reader with quoting on would swallow the next lines.
      bytes[fieldStart(bytes, from, 3)] = 34;
      return to;
    case "nul_byte":
      bytes[fieldStart(bytes, from, 7)] = 0;
      return to;
    case "empty_line":
      return from;
  }
}

/** Position of the first byte of field number `field` (0 = first). */
function fieldStart(bytes: Uint8Array, from: number, field: number): number {
  let at = from;
  for (let skipped = 0; skipped < field; at += 1) if (bytes[at] === 44) skipped += 1;
  return at;
}
