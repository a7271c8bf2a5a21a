/**
 * Reads the files that say what there is of a day: is a marker there, what does a control file announce. The same ones
 * are looked at for hours, so what a control file said is kept for as long as it does not change.
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { type ControlReading, problemOf, readControlFile } from "../kernel/control-file.ts";
import type { AnnouncedFile } from "../kernel/days.ts";
import { fail } from "../kernel/failure.ts";
import type { SourceSpec } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import type { Day } from "../kernel/time.ts";
import { type FileFingerprint, sameFile } from "../kernel/work.ts";
import { fileError, fingerprintOf, insideRoot } from "./inputs-files.ts";
import { pathMatcher, patternParts } from "./inputs-glob.ts";

export interface ControlMemory {
  /** Control files that were understood, the one that was used last at the end. */
  readonly known: Map<string, KnownControl>;
  /** Epoch milliseconds. */
  wall(): number;
}

interface KnownControl {
  readonly file: FileFingerprint;
  readonly announced: readonly AnnouncedFile[];
}

export function controlMemory(wall: () => number = Date.now): ControlMemory {
  return { known: new Map(), wall };
}

/** A regular file below the root; undefined when there is nothing. */
export async function fileAt(
  root: string,
  path: string,
): Promise<{ readonly absolute: string; readonly file: FileFingerprint } | undefined> {
  try {
    const absolute = await insideRoot(root, path);
    const stats = await stat(absolute, { bigint: true });
    // Before anybody opens it: a pipe would never answer.
    if (!stats.isFile()) throw fail("inputMalformed", `${path}: it is no regular file`);
    return { absolute, file: fingerprintOf(path, stats) };
  } catch (error) {
    return undefinedWhereGone(error, path);
  }
}

/** What the control file at `path` announces of the source's day; nothing when it is not there. */
export async function readControl(
  root: string,
  source: SourceSpec,
  path: string,
  day: Day,
  memory: ControlMemory,
): Promise<ControlReading | Record<string, never>> {
  const there = await fileAt(root, path);
  if (there === undefined) return {};
  const key = `${source.path} ${path}`;
  const before = memory.known.get(key);
  if (before !== undefined && sameFile(before.file, there.file)) {
    remember(memory, key, before);
    return { announced: before.announced };
  }
  const bytes = await contentOf(there.absolute, path);
  if (bytes === undefined) return {};
  const text = textOf(bytes);
  if (text === undefined) return { problem: problemOf(path, "it is no UTF-8; deliver it again") };
  const isOfSource = pathMatcher(patternParts(source.path, day));
  const reading = readControlFile(text, { path, day, sourcePath: source.path, isOfSource });
  // Written just now, it may be written to once more within one beat of the file system's clock.
  const isOld = memory.wall() - Number(there.file.ctimeNs) / 1e6 > limits.fileSettledMs;
  if ("announced" in reading && isOld) {
    remember(memory, key, { file: there.file, announced: reading.announced });
  }
  return reading;
}

function remember({ known }: ControlMemory, key: string, value: KnownControl): void {
  known.delete(key);
  known.set(key, value);
  for (const oldest of known.keys()) {
    if (known.size <= limits.controlFilesKept) break;
    known.delete(oldest);
  }
}

/** Not more than was there when it was opened: what another process adds meanwhile is left for the next look. */
async function contentOf(absolute: string, path: string): Promise<Buffer | undefined> {
  try {
    const handle = await open(absolute, "r");
    try {
      return await boundedContent(handle, path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    return undefinedWhereGone(error, path);
  }
}

async function boundedContent(handle: FileHandle, path: string): Promise<Buffer> {
  const { size } = await handle.stat();
  if (size > limits.controlFileBytesMax) {
    throw fail(
      "limitExceeded",
      `control file ${path}: ${size} bytes, more than ${limits.controlFileBytesMax}; name fewer files`,
      { file: path },
    );
  }
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function undefinedWhereGone(error: unknown, path: string): undefined {
  const known = fileError(error, path);
  if (known.failure.code === "inputMissing") return undefined;
  throw known;
}

function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
