/**
 * Cuts a checked file into blocks of whole records, to look for bad lines in bounded memory. It works record by
 * record in JavaScript, so only files in which the scan missed rows are ever cut.
 */
import { open } from "node:fs/promises";
import { fileError } from "./inputs-files.ts";
import type { DefectiveLine } from "./integrity-lines.ts";
import { cutRecord, delimitersIn, type Quoting } from "./integrity-records.ts";

const lineFeed = 10;

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

/** A block in smaller ones; a record longer than `blockBytes` has a block of its own. */
export function* smallerBlocks(block: Block, options: BlockOptions): Generator<Block> {
  if (block.bytes.length <= options.blockBytes) {
    yield block;
    return;
  }
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
    const end = recordEnd(bytes, at, options, final);
    if (end === undefined) break;
    records++;
    if (end === at) blank++;
    at = Math.min(end + 1, bytes.length);
  }
  return { bytes: bytes.subarray(0, at), before, records, blank };
}

function recordEnd(
  bytes: Buffer,
  from: number,
  options: BlockOptions,
  final: boolean,
): number | undefined {
  if (options.quoting === undefined) {
    const end = bytes.indexOf(lineFeed, from);
    return end >= 0 ? end : final ? bytes.length : undefined;
  }
  const cut = cutRecord({ ...options, buffer: bytes, from, final });
  return cut.kind === "more" ? undefined : cut.end;
}

function firstRecord(bytes: Buffer, before: number, options: BlockOptions): Block {
  const end = Math.min((recordEnd(bytes, 0, options, true) ?? bytes.length) + 1, bytes.length);
  return { bytes: bytes.subarray(0, end), before, records: 1, blank: end <= 1 ? 1 : 0 };
}

interface ShortLines {
  /** The block with a blank line in place of each short one. */
  readonly bytes: Buffer;
  readonly lines: readonly DefectiveLine[];
}

/**
 * Lines with fewer delimiters than they need, taken out: the engine would note every missing column of them. Only
 * without quotes, where a delimiter is always one. `skip` is true for a header as the block's first line.
 */
export function takeShortLines(
  block: Block,
  line: { readonly delimiter: Buffer; readonly columns: number; readonly rawBytesKept: number },
  skip: boolean,
): ShortLines {
  const { bytes } = block;
  const out = Buffer.allocUnsafe(bytes.length + 1);
  const lines: DefectiveLine[] = [];
  let [at, length, number] = [0, 0, block.before];
  while (at < bytes.length) {
    const feed = bytes.indexOf(lineFeed, at);
    const end = feed < 0 ? bytes.length : feed;
    number++;
    const isWhole = () => delimitersIn(bytes, at, end, line.delimiter) >= line.columns - 1;
    if (end === at || (skip && at === 0) || isWhole()) {
      length += bytes.copy(out, length, at, end);
    } else {
      const raw = bytes.subarray(at, Math.min(end, at + line.rawBytesKept)).toString("utf8");
      lines.push({ line: number, defect: "too few columns", raw });
    }
    out[length++] = lineFeed;
    at = end + 1;
  }
  return { bytes: out.subarray(0, length), lines };
}
