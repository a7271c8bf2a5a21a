/**
 * Snapshot files: a head line with the journal's sequence, the texts one after the other, and at the end a line with how
 * many bytes each text has and the SHA-256 of all that. Written and hashed piece by piece: a snapshot may have hundreds
 * of megabytes, and a leader that writes one still has to renew. A torn file is known by its end.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { limits } from "../kernel/limits.ts";
import type { Snapshot } from "../ports.ts";
import type { Disk } from "./store-files.ts";
import { places, snapshotName } from "./store-paths.ts";

/** Version 1 had one text, and its checksum in the head line. It is read as well. */
const fileVersion = 2;

interface Head {
  readonly version: number;
  readonly sequence: number;
  /** Version 1. */
  readonly sha256: string;
}

interface Tail {
  /** Of each text. */
  readonly bytes: readonly number[];
  /** Of all before this line, and of `bytes` as JSON. */
  readonly sha256: string;
}

const newline = 10;

/** Snapshot names, newest first: by leadership, then by journal sequence. */
export async function snapshotNames(disk: Disk): Promise<readonly string[]> {
  const named = (await disk.list(join(disk.root, places.snapshots)))
    .map(snapshotName)
    .filter((name) => name !== undefined)
    .sort((a, b) => b.epoch - a.epoch || b.sequence - a.sequence);
  return named.map((name) => places.snapshot(name.epoch, name.sequence));
}

/** The newest one that is whole. A torn one is passed over: the journal still has what it held. */
export async function readNewestSnapshot(disk: Disk): Promise<Snapshot | undefined> {
  for (const name of await snapshotNames(disk)) {
    const stored = await disk.readBytes(join(disk.root, name));
    const snapshot = stored === undefined ? undefined : decode(stored);
    if (snapshot !== undefined) return snapshot;
  }
  return undefined;
}

/** What the file holds, in parts that are made when they are asked for. Each can be encoded by itself. */
export function* snapshotParts({ sequence, texts }: Snapshot): Iterable<string> {
  const bytes: number[] = [];
  const hash = createHash("sha256");
  let part = `${JSON.stringify({ version: fileVersion, sequence })}\n`;
  for (const text of texts) {
    let length = 0;
    for (const piece of piecesOf(text)) {
      length += Buffer.byteLength(piece);
      if (part.length + piece.length > limits.snapshotPartUnits) {
        hash.update(part);
        yield part;
        part = "";
      }
      part += piece;
    }
    bytes.push(length);
  }
  hash.update(part);
  const sha256 = hash.update(JSON.stringify(bytes)).digest("hex");
  yield `${part}\n${JSON.stringify({ bytes, sha256 })}\n`;
}

function* piecesOf(text: string): Iterable<string> {
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + limits.snapshotPartUnits);
    // Never between the halves of a surrogate pair.
    if (to < text.length && isHighSurrogate(text.charCodeAt(to - 1))) to--;
    yield text.slice(from, to);
    from = to;
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** undefined for what is torn or damaged. */
function decode(stored: Uint8Array): Snapshot | undefined {
  const file = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  const from = file.indexOf("\n") + 1;
  const { version, sequence, sha256 } = lineOf<Head>(file.toString("utf8", 0, from));
  if (typeof sequence !== "number") return undefined;
  if (version === 1) {
    const body = file.subarray(from);
    return sha256Of(body) === sha256 ? { sequence, texts: [body.toString("utf8")] } : undefined;
  }
  const end = file.lastIndexOf("\n", -2);
  if (version !== fileVersion || end < from || file.at(-1) !== newline) return undefined;
  return textsOf(file.subarray(0, end), from, sequence, file.toString("utf8", end + 1));
}

function textsOf(
  body: Buffer,
  from: number,
  sequence: number,
  lastLine: string,
): Snapshot | undefined {
  const { bytes, sha256 } = lineOf<Tail>(lastLine);
  if (!Array.isArray(bytes) || sha256Of(body, JSON.stringify(bytes)) !== sha256) return undefined;
  let at = from;
  const texts = bytes.map((length) => {
    at += length;
    return body.toString("utf8", at - length, at);
  });
  return { sequence, texts };
}

/** Nothing for a line that is no JSON. */
function lineOf<Line>(text: string): Partial<Line> {
  try {
    return (JSON.parse(text) ?? {}) as Partial<Line>;
  } catch {
    return {};
  }
}

function sha256Of(bytes: Uint8Array, text = ""): string {
  return createHash("sha256").update(bytes).update(text).digest("hex");
}
