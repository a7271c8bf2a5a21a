/**
 * An Arrow IPC file or stream from first byte to last: its messages in order, one body in memory at a time, all bytes
 * hashed. A stream without its end mark, or a file whose footer names other messages, is an error, never fewer rows.
 */
import { createHash } from "node:crypto";
import { DaymillError, fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import {
  type ArrowField,
  type ArrowFooter,
  type ArrowHeader,
  type ArrowMessage,
  parseFooter,
  parseMessage,
} from "./arrow-metadata.ts";
import { fileError } from "./inputs-files.ts";
import { changed, chunkBytes, type OpenInput } from "./integrity-open.ts";

/** Begins and ends the file form. */
const magic = Buffer.from("ARROW1");
/** The magic and its padding. */
const fileHeadBytes = 8;
/** The footer's length and the magic. */
const fileTailBytes = 10;
const continuation = 0xffffffff;

export interface ArrowBody {
  readonly header: Exclude<ArrowHeader, { kind: "schema" }>;
  /** Begins at a multiple of 8 in its memory; overwritten by the next message. */
  readonly body: Uint8Array;
}

export interface ArrowFile {
  readonly fields: readonly ArrowField[];
  /** All messages after the schema, once. Errors: `input…`, `limitExceeded`, `storage…`, `cancelled`. */
  messages(): AsyncGenerator<ArrowBody, void, undefined>;
  /** SHA-256 of the stored bytes, once the messages have ended. */
  contentSha256(): string;
}

/** Reads up to the first batch. Errors: `inputTruncated`, `inputMalformed`, `storage…`, `cancelled`. */
export async function openArrowFile(input: OpenInput, signal: AbortSignal): Promise<ArrowFile> {
  const bytes = new ByteReader(input, signal);
  const first = await bytes.peek(Math.min(magic.byteLength, bytes.size));
  const footer = first.equals(magic) ? await readFooter(bytes) : undefined;
  if (footer !== undefined) await bytes.skip(fileHeadBytes);
  return {
    fields: footer?.fields ?? (await readSchema(bytes)),
    messages: () => messages(bytes, footer),
    contentSha256: () => bytes.digest(),
  };
}

async function readSchema(bytes: ByteReader): Promise<readonly ArrowField[]> {
  const message = await nextMessage(bytes, bytes.size);
  if (message?.header.kind === "schema" && message.bodyBytes === 0) return message.header.fields;
  throw malformed(bytes.input, "it does not begin with a schema");
}

interface Footer extends ArrowFooter {
  /** Where it begins. */
  readonly start: number;
}

async function readFooter(bytes: ByteReader): Promise<Footer> {
  const { input, size } = bytes;
  const cut = () => truncated(input, "the end of the Arrow file is missing");
  if (size < fileHeadBytes + fileTailBytes) throw cut();
  const tail = await bytes.at(size - fileTailBytes, fileTailBytes);
  if (!tail.subarray(4).equals(magic)) throw cut();
  const length = tail.readInt32LE(0);
  const start = size - fileTailBytes - length;
  if (length <= 0 || length > limits.arrowMetadataBytesMax || start < fileHeadBytes) {
    throw malformed(input, "its footer has no possible length");
  }
  const footer = await bytes.at(start, length);
  return { ...parsed(input, () => parseFooter(footer)), start };
}

async function* messages(
  bytes: ByteReader,
  footer: Footer | undefined,
): AsyncGenerator<ArrowBody, void, undefined> {
  const { input } = bytes;
  const end = footer?.start ?? bytes.size;
  const found = { batch: [] as number[], dictionary: [] as number[] };
  let memory = Buffer.alloc(0);
  for (;;) {
    const position = bytes.position;
    const message = await nextMessage(bytes, end);
    if (message === undefined) break;
    const { header, bodyBytes } = message;
    if (header.kind === "schema") {
      // A file has its schema in the footer; most writers put it first as well.
      if (position === fileHeadBytes && footer !== undefined && bodyBytes === 0) continue;
      throw malformed(input, "it has a second schema");
    }
    if (bodyBytes > limits.arrowBodyBytesMax) throw tooLarge(input, bodyBytes);
    if (bodyBytes > memory.byteLength) memory = Buffer.allocUnsafeSlow(bodyBytes);
    const body = memory.subarray(0, bodyBytes);
    await bytes.take(body, end);
    found[header.kind].push(position);
    yield { header, body };
  }
  if (footer === undefined) {
    if (bytes.position < end) throw malformed(input, "bytes follow its end mark");
    return;
  }
  if (!same(found.batch, footer.batches) || !same(found.dictionary, footer.dictionaries)) {
    throw malformed(input, "its footer names other batches than it holds");
  }
  await bytes.skip(bytes.size - bytes.position);
}

function same(found: readonly number[], named: readonly number[]): boolean {
  return [...found].sort((a, b) => a - b).join() === [...named].sort((a, b) => a - b).join();
}

/** The next message but for its body; undefined at the end mark, or where a file's footer begins. */
async function nextMessage(bytes: ByteReader, end: number): Promise<ArrowMessage | undefined> {
  const { input } = bytes;
  // In a stream the mark must be there: without it nobody can tell a cut one from a whole one.
  if (bytes.position === end && end < bytes.size) return undefined;
  const prefix = Buffer.alloc(8);
  await bytes.take(prefix, end);
  if (prefix.readUInt32LE(0) !== continuation) {
    throw malformed(input, "it is no Arrow IPC file or stream, or damaged");
  }
  const length = prefix.readInt32LE(4);
  if (length === 0) return undefined;
  if (length < 0 || length > limits.arrowMetadataBytesMax) {
    throw malformed(input, "a message has no possible length");
  }
  const metadata = Buffer.alloc(length);
  await bytes.take(metadata, end);
  return parsed(input, () => parseMessage(metadata));
}

/** The stored bytes in order, hashed as they are taken. */
class ByteReader {
  readonly input: OpenInput;
  readonly size: number;
  readonly #signal: AbortSignal;
  readonly #hash = createHash("sha256");
  #position = 0;

  constructor(input: OpenInput, signal: AbortSignal) {
    this.input = input;
    this.size = input.fingerprint.size;
    this.#signal = signal;
  }

  get position(): number {
    return this.#position;
  }

  digest(): string {
    return this.#hash.digest("hex");
  }

  async peek(length: number): Promise<Buffer> {
    return await this.at(this.#position, length);
  }

  /** Fills the target with the next bytes, which must lie before `end`. */
  async take(target: Buffer, end: number): Promise<void> {
    const { fingerprint } = this.input;
    if (this.#position + target.byteLength > end) {
      throw truncated(this.input, `Arrow data ends too early (${fingerprint.size} bytes stored)`);
    }
    for (let from = 0; from < target.byteLength; from += chunkBytes) {
      const part = target.subarray(from, from + chunkBytes);
      await this.#fill(part, this.#position);
      this.#hash.update(part);
      this.#position += part.byteLength;
    }
  }

  async skip(length: number): Promise<void> {
    await this.take(Buffer.alloc(length), this.size);
  }

  async at(position: number, length: number): Promise<Buffer> {
    const target = Buffer.alloc(length);
    await this.#fill(target, position);
    return target;
  }

  async #fill(target: Buffer, position: number): Promise<void> {
    const { path } = this.input.fingerprint;
    if (this.#signal.aborted) throw fail("cancelled", `file ${path}: cancelled`);
    for (let done = 0; done < target.byteLength; ) {
      const read = await this.input.handle
        .read(target, done, target.byteLength - done, position + done)
        .catch((error: unknown) => {
          throw fileError(error, path);
        });
      if (read.bytesRead === 0) throw changed(path);
      done += read.bytesRead;
    }
  }
}

function parsed<T>(input: OpenInput, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof DaymillError) throw error;
    const why = error instanceof RangeError ? error.message : "it is damaged";
    throw malformed(input, `its metadata cannot be read (${why})`);
  }
}

function truncated({ fingerprint: { path } }: OpenInput, what: string): DaymillError {
  return fail("inputTruncated", `file ${path}: ${what}; deliver it again`, { file: path });
}

/** A file that is not what its format says. */
export function malformed({ fingerprint: { path } }: OpenInput, what: string): DaymillError {
  return fail("inputMalformed", `file ${path}: ${what}; deliver it again`, { file: path });
}

function tooLarge({ fingerprint: { path } }: OpenInput, found: number): DaymillError {
  return fail(
    "limitExceeded",
    `file ${path}: a record batch has ${found} bytes, more than ${limits.arrowBodyBytesMax}; write smaller batches`,
    { file: path },
  );
}
