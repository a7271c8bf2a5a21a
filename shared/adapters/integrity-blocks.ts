/**
 * Cuts a checked file into blocks of whole records, to look for bad lines in bounded memory. It works record by
 * record in JavaScript, so only files in which the scan missed rows are ever cut.
 */
import { open } from "node:fs/promises";
import { fileError } from "./inputs.ts";
import { cutRecord, type Quoting } from "./integrity-records.ts";

export interface Block {
  readonly bytes: Buffer;
  /** Records of the file before this block, a header included. */
  readonly before: number;
  readonly records: number;
  readonly blank: number;
}

interface BlockOptions {
  readonly quoting: Quoting | undefined;
  readonly lineBytesMax: number;
  readonly blockBytes: number;
}

/** Blocks of a file (as the scan reads it), in order. Errors: `storage…`. */
export async function* fileBlocks(
  path: string,
  options: BlockOptions,
): AsyncGenerator<Block, void, undefined> {
  let before = 0;
  let carry = Buffer.alloc(0);
  try {
    const handle = await open(path, "r");
    try {
      while (true) {
        const buffer = Buffer.allocUnsafe(carry.length + options.blockBytes);
        carry.copy(buffer);
        const { bytesRead } = await handle.read(buffer, carry.length, options.blockBytes);
        const bytes = buffer.subarray(0, carry.length + bytesRead);
        const final = bytesRead === 0;
        const block = takeBlock(bytes, before, options, final);
        if (block.records > 0) yield block;
        if (final) return;
        before += block.records;
        carry = Buffer.from(bytes.subarray(block.bytes.length));
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

/** Smaller blocks of a block; a record longer than `blockBytes` has a block of its own. */
export function* smallerBlocks(block: Block, options: BlockOptions): Generator<Block> {
  let { before } = block;
  let rest = block.bytes;
  while (rest.length > 0) {
    const wanted = Math.min(rest.length, options.blockBytes);
    const whole = wanted === rest.length;
    let part = takeBlock(rest.subarray(0, wanted), before, options, whole);
    if (part.records === 0) part = firstRecord(rest, before, options);
    yield part;
    before += part.records;
    rest = rest.subarray(part.bytes.length);
  }
}

function takeBlock(bytes: Buffer, before: number, options: BlockOptions, final: boolean): Block {
  let [at, records, blank] = [0, 0, 0];
  while (at < bytes.length) {
    const cut = cutRecord({ ...options, buffer: bytes, from: at, final });
    if (cut.kind === "more") break;
    records++;
    if (cut.end === at) blank++;
    at = Math.min(cut.end + 1, bytes.length);
  }
  return { bytes: bytes.subarray(0, at), before, records, blank };
}

function firstRecord(bytes: Buffer, before: number, options: BlockOptions): Block {
  const cut = cutRecord({ ...options, buffer: bytes, from: 0, final: true });
  const end = cut.kind === "more" ? bytes.length : Math.min(cut.end + 1, bytes.length);
  return { bytes: bytes.subarray(0, end), before, records: 1, blank: end <= 1 ? 1 : 0 };
}
