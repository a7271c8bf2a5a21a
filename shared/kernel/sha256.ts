/**
 * SHA-256 (FIPS 180-4) without a library: the pure layers name map work by its hash, and they may import nothing.
 * Control-plane sizes only; bulk bytes are hashed by node:crypto in the adapters. Tested against it.
 */
const constants = Int32Array.from(roundConstants());

/** What a text begins with, hashed as far as whole blocks go: many texts that begin alike share that work. */
export interface HashedPrefix {
  readonly words: Int32Array;
  /** Bytes that do not fill a block yet. */
  readonly rest: Uint8Array;
  /** Bytes of the whole prefix. */
  readonly length: number;
}

const initialWords = Int32Array.from([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
const encoder = new TextEncoder();
const blockBytes = 64;
const nothing: HashedPrefix = { words: initialWords, rest: new Uint8Array(0), length: 0 };

// Room that every hash uses again: making it costs more than hashing a short text. Nothing is left in it that counts.
const schedule = new Int32Array(64);
const digest = new Int32Array(8);
const short = new Uint8Array(4_096);
const hex: number[] = new Array(64).fill(0);
const hexDigits = encoder.encode("0123456789abcdef");

/** Lower-case hex SHA-256 of the UTF-8 bytes of `text`, after those of the prefix where there is one. */
export function sha256Hex(text: string, prefix: HashedPrefix = nothing): string {
  const { words, rest, length } = prefix;
  // A unit of UTF-16 takes at most three bytes.
  const most = paddedLength(rest.length + 3 * text.length);
  const bytes = most <= short.length ? short : new Uint8Array(most);
  bytes.set(rest);
  const { written } = encoder.encodeInto(text, bytes.subarray(rest.length));
  const end = pad(bytes, rest.length + written, length + written);
  digest.set(words);
  consume(digest, bytes, end);
  for (let at = 0; at < hex.length; at++) {
    const word = digest[at >> 3] as number;
    hex[at] = hexDigits[(word >>> (28 - 4 * (at & 7))) & 15] as number;
  }
  return String.fromCharCode(...hex);
}

export function hashPrefix(text: string): HashedPrefix {
  const bytes = encoder.encode(text);
  const whole = bytes.length - (bytes.length % blockBytes);
  const words = Int32Array.from(initialWords);
  consume(words, bytes, whole);
  return { words, rest: bytes.slice(whole), length: bytes.length };
}

function consume(hash: Int32Array, bytes: Uint8Array, end: number): void {
  for (let offset = 0; offset < end; offset += blockBytes) {
    expand(schedule, bytes, offset);
    compress(hash, schedule);
  }
}

// Signed words throughout: the engine keeps them as machine integers, which unsigned ones above 2^31 are not. Every
// index is below its array's length. Written out without helpers or destructuring: each map task goes through it.

function expand(w: Int32Array, bytes: Uint8Array, offset: number): void {
  for (let i = 0, at = offset; i < 16; i++, at += 4) {
    w[i] =
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number);
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15] as number;
    const y = w[i - 2] as number;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = ((w[i - 16] as number) + s0 + (w[i - 7] as number) + s1) | 0;
  }
}

function compress(hash: Int32Array, w: Int32Array): void {
  let a = hash[0] as number;
  let b = hash[1] as number;
  let c = hash[2] as number;
  let d = hash[3] as number;
  let e = hash[4] as number;
  let f = hash[5] as number;
  let g = hash[6] as number;
  let h = hash[7] as number;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const choice = (e & f) ^ (~e & g);
    const t1 = (h + s1 + choice + (constants[i] as number) + (w[i] as number)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + s0 + majority) | 0;
  }
  hash[0] = (hash[0] as number) + a;
  hash[1] = (hash[1] as number) + b;
  hash[2] = (hash[2] as number) + c;
  hash[3] = (hash[3] as number) + d;
  hash[4] = (hash[4] as number) + e;
  hash[5] = (hash[5] as number) + f;
  hash[6] = (hash[6] as number) + g;
  hash[7] = (hash[7] as number) + h;
}

/** Puts the padding of FIPS 180-4, 5.1.1 behind so many bytes, the last of a message; gives where it ends. */
function pad(bytes: Uint8Array, from: number, messageBytes: number): number {
  const end = paddedLength(from);
  bytes[from] = 0x80;
  bytes.fill(0, from + 1, end - 8);
  // The number of bits, which takes two words.
  putWord(bytes, end - 8, Math.floor(messageBytes / 2 ** 29));
  putWord(bytes, end - 4, (messageBytes * 8) | 0);
  return end;
}

function putWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

/** Whole blocks that hold so many bytes, a bit, and their number in 8 bytes. */
function paddedLength(bytes: number): number {
  return Math.ceil((bytes + 9) / blockBytes) * blockBytes;
}

/** First 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
function roundConstants(): Uint32Array {
  const words: number[] = [];
  for (let n = 2; words.length < 64; n++) {
    if (!isPrime(n)) continue;
    words.push(Number(cubeRootFraction(BigInt(n)) & 0xffffffffn));
  }
  return Uint32Array.from(words);
}

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}

/** floor(cbrt(n) * 2^32), by bisection on exact integers: floating point would lose the last bits. */
function cubeRootFraction(n: bigint): bigint {
  const target = n << 96n;
  let low = 0n;
  let high = 1n << 36n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle * middle * middle <= target) low = middle;
    else high = middle;
  }
  return low;
}
