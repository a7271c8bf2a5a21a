/**
 * Input files held open from before they are read until after: what was planned, what is read and what lies there at
 * the end must be the same bytes. It reads only whole chunks and knows no format.
 */
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { type DaymillError, fail } from "../kernel/failure.ts";
import { type FileFingerprint, sameFile } from "../kernel/work.ts";
import { fileError, fingerprintOf, insideRoot } from "./inputs-files.ts";

/** Bytes read at a time. */
export const chunkBytes = 1024 * 1024;

/** An input file held open from before the pass until after the scan. */
export interface OpenInput {
  readonly fingerprint: FileFingerprint;
  /** Real absolute path. */
  readonly path: string;
  readonly handle: FileHandle;
}

/** Opens a file of the work and checks that it is still the one that was planned. Errors: `inputChanged`, `inputMissing`, `pathForbidden`, `storage…`. */
export async function openInput(root: string, planned: FileFingerprint): Promise<OpenInput> {
  const path = await insideRoot(root, planned.path);
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    throw fileError(error, planned.path);
  }
  const input = { fingerprint: planned, path, handle };
  try {
    await assertUnchanged(input);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return input;
}

/** After the scan, and before: the open file and its name must still be what was planned. Errors: `inputChanged`. */
export async function assertUnchanged(input: OpenInput): Promise<void> {
  const name = input.fingerprint.path;
  try {
    const held = fingerprintOf(name, await input.handle.stat({ bigint: true }));
    if (!sameFile(held, input.fingerprint)) throw changed(name);
    const named = fingerprintOf(name, await stat(input.path, { bigint: true }));
    if (!sameFile(named, input.fingerprint)) throw changed(name);
  } catch (error) {
    throw fileError(error, name);
  }
}

/** A file that is not what was planned: `inputChanged`. */
export function changed(file: string): DaymillError {
  return fail(
    "inputChanged",
    `file ${file}: changed since it was listed; write input files elsewhere and rename them in`,
    { file },
  );
}

/**
 * The stored bytes of an open input, chunk by chunk; each chunk is only valid until the next one. `range`: bytes
 * [from, to) only.
 */
export async function* storedBytes(
  input: OpenInput,
  signal: AbortSignal,
  range: { readonly from: number; readonly to: number } = { from: 0, to: Number.MAX_SAFE_INTEGER },
): AsyncGenerator<Buffer, void, undefined> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  let position = range.from;
  while (position < range.to) {
    if (signal.aborted) throw fail("cancelled", `file ${input.fingerprint.path}: cancelled`);
    const length = Math.min(chunkBytes, range.to - position);
    const { bytesRead } = await input.handle.read(buffer, 0, length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
