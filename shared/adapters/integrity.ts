/**
 * One pass of our own over an input file before the engine sees it: whole, unchanged, counted and hashed. The engine
 * reads a cut gzip file, or lines that it joins, without a word; "rows in" is therefore the count made here.
 * Memory is a few buffers, whatever the size of the file.
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { DaymillError, fail } from "../kernel/failure.ts";
import type { CsvOptions } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import type { FileFingerprint } from "../kernel/work.ts";
import { fileError } from "./inputs-files.ts";
import { type DefectiveLine, type LineCounts, LineReader } from "./integrity-lines.ts";
import { chunkBytes, type OpenInput, storedBytes } from "./integrity-open.ts";
import type { Quoting } from "./integrity-records.ts";

/** Several columns: a blank line is skipped without a word and still counted by the engine's line numbers. */
const skippedMarker = Buffer.alloc(0);
/** One column: a blank line would be a row, but this is no UTF-8 and no value of any type. */
const rejectedMarker = Buffer.from([0xff]);

/** What the pass found. `lines` and `blank` do not count a header. */
export interface Inspection {
  /** SHA-256 of the stored bytes, lower-case hex. */
  readonly contentSha256: string;
  readonly plainBytes: number;
  readonly lines: number;
  readonly blank: number;
  /** Lines that the scan will not see (never the header). */
  readonly defective: number;
  readonly lastLineUnterminated: boolean;
  /** First line, when the source has a header. */
  readonly header: string | undefined;
  /** What the scan must read: the file itself, or a copy in the temporary folder. */
  readonly scanPath: string;
  /** Lines that were taken out of the copy, as newline-delimited JSON; absent when there are none. */
  readonly defectsPath: string | undefined;
}

export interface InspectRequest {
  readonly input: OpenInput;
  readonly gzip: boolean;
  readonly csv: CsvOptions;
  /** Declared columns. */
  readonly columnCount: number;
  /** Free path for a plain copy; `.defects` is appended for the other one. */
  readonly copyPath: string;
  readonly signal: AbortSignal;
}

/** The pass over a delimited file. Errors: `inputTruncated`, `inputMalformed`, `limitExceeded`, `storage…`, `cancelled`. */
export async function inspect(request: InspectRequest): Promise<Inspection> {
  const plain = !request.gzip && request.csv.quote === "" && !/[*?[]/.test(request.input.path);
  if (plain) {
    const pass = await runPass(request, undefined);
    if (pass.clean) return { ...pass.result, scanPath: request.input.path };
  }
  return await inspectToCopy(request);
}

async function inspectToCopy(request: InspectRequest): Promise<Inspection> {
  const defectsPath = `${request.copyPath}.defects`;
  let copy: FileHandle | undefined;
  let defects: FileHandle | undefined;
  try {
    copy = await open(request.copyPath, "wx", 0o600);
    defects = await open(defectsPath, "wx", 0o600);
    const pass = await runPass(request, { copy, defects });
    if (!pass.defective) await unlink(defectsPath);
    return {
      ...pass.result,
      scanPath: request.copyPath,
      defectsPath: pass.defective ? defectsPath : undefined,
    };
  } catch (error) {
    throw fileError(error, `${request.input.fingerprint.path} (plain copy in the work folder)`);
  } finally {
    await copy?.close();
    await defects?.close();
  }
}

interface Pass {
  readonly result: Omit<Inspection, "scanPath">;
  /** The scan may read the file as it is. */
  readonly clean: boolean;
  readonly defective: boolean;
}

async function runPass(
  request: InspectRequest,
  target: { readonly copy: FileHandle; readonly defects: FileHandle } | undefined,
): Promise<Pass> {
  const state = { plainBytes: 0, head: Buffer.alloc(0) as Buffer, headEnded: false };
  const sink = {
    write: async (bytes: Buffer): Promise<void> => {
      if (request.csv.header && !state.headEnded) {
        const feed = bytes.indexOf(10);
        state.headEnded = feed >= 0;
        state.head = Buffer.concat([state.head, bytes.subarray(0, feed < 0 ? undefined : feed)]);
      }
      if (target !== undefined) await writeAll(target.copy, bytes);
    },
    defect: async (line: DefectiveLine): Promise<void> => {
      if (target === undefined) return;
      await writeAll(target.defects, Buffer.from(`${JSON.stringify(line)}\n`));
    },
  };
  const reader = new LineReader(sink, {
    lineBytesMax: limits.lineBytesMax,
    rawBytesKept: limits.rejectLineBytesKept,
    marker: request.columnCount > 1 ? skippedMarker : rejectedMarker,
    quoting: quotingOf(request.csv),
    fields: {
      delimiter: Buffer.from(request.csv.delimiter),
      nullText: Buffer.from(request.csv.nullString),
      columns: request.columnCount,
    },
  });
  const hash = createHash("sha256");
  await readPlain(request, hash, async (chunk) => {
    state.plainBytes += chunk.length;
    if (state.plainBytes > limits.plainFileBytesMax) throw tooLarge(request);
    await reader.push(chunk);
    // Without a copy to write, the first altered byte ends the pass: a copy is needed.
    return target !== undefined || !reader.altered;
  });
  const counts = await reader.end();
  return {
    clean: !reader.altered,
    defective: counts.defective > 0,
    result: summary(request, counts, hash, state.plainBytes, state.head),
  };
}

function summary(
  request: InspectRequest,
  counts: LineCounts,
  hash: Hash,
  plainBytes: number,
  head: Buffer,
): Omit<Inspection, "scanPath"> {
  if (request.csv.header && counts.firstLineDefective) {
    const file = request.input.fingerprint.path;
    throw fail("inputMalformed", `file ${file}: its header line cannot be read; mend it`, { file });
  }
  const headerLines = request.csv.header && counts.lines > 0 ? 1 : 0;
  return {
    contentSha256: hash.digest("hex"),
    plainBytes,
    lines: counts.lines - headerLines,
    blank: counts.blank - (headerLines === 1 && counts.firstLineBlank ? 1 : 0),
    defective: counts.defective,
    lastLineUnterminated: counts.lastLineUnterminated,
    header: headerLines === 1 ? head.toString() : undefined,
    defectsPath: undefined,
  };
}

/** The source's quoting in bytes; undefined when it declares none. */
export function quotingOf(csv: CsvOptions): Quoting | undefined {
  if (csv.quote === "") return undefined;
  const quote = csv.quote.charCodeAt(0);
  // No byte is -1: without an escape character nothing is escaped.
  const escapeByte = csv.escape === "" ? -1 : csv.escape.charCodeAt(0);
  return { quote, escape: escapeByte, delimiter: Buffer.from(csv.delimiter) };
}

function tooLarge(request: InspectRequest): DaymillError {
  const file = request.input.fingerprint.path;
  return fail(
    "limitExceeded",
    `file ${file}: more than ${limits.plainFileBytesMax} bytes unpacked; deliver smaller files`,
    { file },
  );
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  let from = 0;
  while (from < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, from);
    from += bytesWritten;
  }
}

/** Hands the plain bytes on, chunk by chunk, hashing the stored ones; `take` says whether to go on. */
async function readPlain(
  request: InspectRequest,
  hash: Hash,
  take: (chunk: Buffer) => Promise<boolean>,
): Promise<void> {
  const { input, gzip, signal } = request;
  try {
    if (gzip) await unpack(input, hash, signal, take);
    else {
      for await (const chunk of storedBytes(input, signal)) {
        hash.update(chunk);
        if (!(await take(chunk))) return;
      }
    }
  } catch (error) {
    if (signal.aborted) throw fail("cancelled", `file ${input.fingerprint.path}: cancelled`);
    throw gzipError(error, input.fingerprint);
  }
}

/** All members, one after the other. zlib stops without a word at a zero byte behind one: only padding may follow. */
async function unpack(
  input: OpenInput,
  hash: Hash,
  signal: AbortSignal,
  take: (chunk: Buffer) => Promise<boolean>,
): Promise<void> {
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  let hashedBytes = 0;
  let isUnpacked = false;
  const copies = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of storedBytes(input, signal)) {
      if (isUnpacked) return;
      hash.update(chunk);
      hashedBytes += chunk.length;
      yield Buffer.from(chunk);
    }
  };
  try {
    await pipeline(
      copies,
      gunzip,
      async (source: AsyncIterable<Buffer>) => {
        for await (const chunk of source) await take(chunk);
        isUnpacked = true;
      },
      { signal },
    );
  } catch (error) {
    // Where it stopped before the last chunk, the pipeline takes the others for lost.
    if (!isUnpacked) throw error;
  }
  let at = gunzip.bytesWritten;
  for await (const chunk of storedBytes(input, signal, { from: at, to: input.fingerprint.size })) {
    if (chunk.some((byte) => byte !== 0)) throw afterPadding(input.fingerprint.path);
    hash.update(chunk.subarray(Math.max(0, hashedBytes - at)));
    at += chunk.length;
  }
}

function afterPadding(file: string): DaymillError {
  const what = "zero bytes and then others follow its last whole part";
  return fail("inputMalformed", `file ${file}: gzip data is damaged (${what}); deliver it again`, {
    file,
  });
}

/** zlib's own words: a missing end is a cut file; anything else is a damaged one. */
function gzipError(error: unknown, file: FileFingerprint): DaymillError {
  if (error instanceof DaymillError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const detail = { file: file.path };
  if (code === "Z_BUF_ERROR") {
    return fail(
      "inputTruncated",
      `file ${file.path}: gzip data ends too early (${file.size} bytes stored); deliver it again`,
      detail,
      error,
    );
  }
  if (code.startsWith("Z_")) {
    return fail(
      "inputMalformed",
      `file ${file.path}: gzip data is damaged (${zlibReason(error)}); deliver it again`,
      detail,
      error,
    );
  }
  return fileError(error, file.path);
}

function zlibReason(error: unknown): string {
  return error instanceof Error ? error.message : "unknown";
}
