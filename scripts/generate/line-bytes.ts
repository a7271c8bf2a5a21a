/**
 * Writes numbers and addresses as text straight into a buffer: no string is made per record.
 * Each function writes at `at` and returns the position after it. Room is the caller's business.
 */

/** "0000" … "9999": four digits are one look-up. */
const fourDigits = new Uint8Array(40_000);
for (let value = 0; value < 10_000; value += 1) {
  fourDigits[value * 4] = 48 + ((value / 1000) | 0);
  fourDigits[value * 4 + 1] = 48 + (((value / 100) | 0) % 10);
  fourDigits[value * 4 + 2] = 48 + (((value / 10) | 0) % 10);
  fourDigits[value * 4 + 3] = 48 + (value % 10);
}

export const comma = 44;
export const newline = 10;

/** Exactly four digits; value in [0, 9999]. */
export function put4(bytes: Uint8Array, at: number, value: number): number {
  const from = value * 4;
  bytes[at] = fourDigits[from] ?? 0;
  bytes[at + 1] = fourDigits[from + 1] ?? 0;
  bytes[at + 2] = fourDigits[from + 2] ?? 0;
  bytes[at + 3] = fourDigits[from + 3] ?? 0;
  return at + 4;
}

/** Exactly nine digits; value in [0, 999,999,999]. */
export function put9(bytes: Uint8Array, at: number, value: number): number {
  const high = (value / 10_000) | 0;
  const top = (high / 10_000) | 0;
  bytes[at] = 48 + top;
  put4(bytes, at + 1, high - top * 10_000);
  return put4(bytes, at + 5, value - high * 10_000);
}

/** As many digits as it takes; whole value in [0, 2^31). */
export function putWhole(bytes: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    bytes[at] = 48 + value;
    return at + 1;
  }
  if (value < 10_000) return putShort(bytes, at, value);
  const high = (value / 10_000) | 0;
  return put4(bytes, putWhole(bytes, at, high), value - high * 10_000);
}

/** Value in [10, 9999] without leading zeros. */
function putShort(bytes: Uint8Array, at: number, value: number): number {
  const skip = value < 100 ? 2 : value < 1000 ? 1 : 0;
  const from = value * 4;
  let to = at;
  for (let digit = skip; digit < 4; digit += 1) {
    bytes[to] = fourDigits[from + digit] ?? 0;
    to += 1;
  }
  return to;
}

/** Epoch milliseconds as its 13 digits (years 2001 to 2286). */
export function putMillis(bytes: Uint8Array, at: number, epochMs: number): number {
  const high = Math.floor(epochMs / 1e8);
  const low = epochMs - high * 1e8;
  const middle = (low / 10_000) | 0;
  const end = putWhole(bytes, at, high);
  return put4(bytes, put4(bytes, end, middle), low - middle * 10_000);
}

/** An IPv4 address from its 32 bits. */
export function putAddress(bytes: Uint8Array, at: number, address: number): number {
  let to = putWhole(bytes, at, address >>> 24);
  bytes[to] = 46;
  to = putWhole(bytes, to + 1, (address >>> 16) & 255);
  bytes[to] = 46;
  to = putWhole(bytes, to + 1, (address >>> 8) & 255);
  bytes[to] = 46;
  return putWhole(bytes, to + 1, address & 255);
}

/** Plain ASCII text. For short constants. */
export function putText(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}
