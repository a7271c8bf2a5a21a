/**
 * LZ4 frames; the only importer of lz4-napi. The frame is written around the library's raw blocks, which is
 * two to four times faster than its own frame calls; frames of others are read by the library itself.
 * Synchronous: a buffer of an exchange message takes about a millisecond.
 */
import { compressSync, decompressFrameSync, uncompressSync } from "lz4-napi";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";

const magic = 0x184d2204;
/** Version 1, independent blocks, content size given, no checksums (rows are summed by DuckDB). */
const flags = 0x68;
/** Blocks of at most 4 MiB. */
const blockCode = 0x70;
const blockBytesMax = 4 * 1024 * 1024;
const headerBytes = 15;
/** Set in a block's length when its bytes are not packed. */
const plainBlock = 0x80000000;
/** The library puts the plain size before a raw block. */
const sizeBytes = 4;

/** One frame around `bytes`. */
export function compressLz4Frame(bytes: Uint8Array): Uint8Array {
  const blocks: Buffer[] = [];
  for (let from = 0; from < bytes.byteLength; from += blockBytesMax) {
    blocks.push(compressSync(view(bytes, from, Math.min(bytes.byteLength, from + blockBytesMax))));
  }
  const packed = blocks.reduce((sum, block) => sum + block.byteLength, 0);
  const frame = Buffer.allocUnsafe(headerBytes + packed + 4);
  writeHeader(frame, bytes.byteLength);
  let at = headerBytes;
  for (const block of blocks) {
    at = frame.writeUInt32LE(block.byteLength - sizeBytes, at);
    at += block.copy(frame, at, sizeBytes);
  }
  frame.writeUInt32LE(0, at);
  return frame;
}

/** The content of one frame, of at most so many bytes. Damaged: `internal`, to be told apart by the caller. */
export function decompressLz4Frame(
  bytes: Uint8Array,
  plainBytesMax: number = limits.exchangeRawBytesMax,
): Uint8Array {
  const frame = view(bytes, 0, bytes.byteLength);
  try {
    const plain =
      (isOurs(frame) && readBlocks(frame, plainBytesMax)) || readAny(frame, plainBytesMax);
    if (plain.byteLength > plainBytesMax) throw new RangeError("too large");
    return plain;
  } catch (error) {
    throw fail(
      "internal",
      `an LZ4 frame of ${bytes.byteLength} bytes is damaged`,
      undefined,
      error,
    );
  }
}

/** By the library itself; a frame that tells its size is refused before it takes the room. */
function readAny(frame: Buffer, plainBytesMax: number): Buffer {
  const sized = frame.byteLength >= headerBytes && ((frame[4] ?? 0) & 0x08) !== 0;
  if (sized && frame.readBigUInt64LE(6) > BigInt(plainBytesMax)) throw new RangeError("too large");
  return decompressFrameSync(frame);
}

function isOurs(frame: Buffer): boolean {
  return (
    frame.byteLength >= headerBytes + 4 &&
    frame.readUInt32LE(0) === magic &&
    frame[4] === flags &&
    frame[5] === blockCode
  );
}

/** undefined when a block is stored as it is: others write such, we do not. */
function readBlocks(frame: Buffer, plainBytesMax: number): Buffer | undefined {
  const size = Number(frame.readBigUInt64LE(6));
  if (frame[14] !== descriptorCheck(frame) || size > plainBytesMax) {
    throw new RangeError("bad frame header");
  }
  const parts: Buffer[] = [];
  let at = headerBytes;
  for (let left = size; left > 0; left -= blockBytesMax) {
    const packed = frame.readUInt32LE(at);
    if (packed >= plainBlock) return undefined;
    const end = at + 4 + packed;
    // A copy with the plain size in place of the packed size is what the library reads.
    const block = Buffer.from(frame.subarray(at, end));
    block.writeUInt32LE(Math.min(left, blockBytesMax), 0);
    parts.push(uncompressSync(block));
    at = end;
  }
  const plain = parts.length === 1 ? parts[0] : undefined;
  const whole = plain ?? Buffer.concat(parts);
  if (frame.readUInt32LE(at) !== 0 || whole.byteLength !== size) throw new RangeError("bad length");
  return whole;
}

function writeHeader(frame: Buffer, size: number): void {
  frame.writeUInt32LE(magic, 0);
  frame[4] = flags;
  frame[5] = blockCode;
  frame.writeBigUInt64LE(BigInt(size), 6);
  frame[14] = descriptorCheck(frame);
}

/** Second byte of xxHash32 (seed 0) over the ten descriptor bytes, as the frame format asks. */
function descriptorCheck(frame: Buffer): number {
  const [prime1, prime2, prime3] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d];
  const [prime4, prime5] = [0x27d4eb2f, 0x165667b1];
  let hash = (prime5 + 10) | 0;
  for (const at of [4, 8]) {
    hash = Math.imul(rotate((hash + Math.imul(frame.readInt32LE(at), prime3)) | 0, 17), prime4);
  }
  for (const at of [12, 13]) {
    hash = Math.imul(rotate((hash + Math.imul(frame[at] ?? 0, prime5)) | 0, 11), prime1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2);
  hash = Math.imul(hash ^ (hash >>> 13), prime3);
  return ((hash ^ (hash >>> 16)) >>> 8) & 0xff;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function view(bytes: Uint8Array, from: number, to: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from);
}
