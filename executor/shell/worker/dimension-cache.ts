/**
 * Dimensions that some attempt of this executor has loaded already: one DuckDB file each, in a folder that all worker
 * processes share. A file's name holds the key of what it was made from and the SHA-256 of its own bytes, so a torn
 * or damaged one is known before it is used. A cache only saves time: no trouble with it fails an attempt.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { duckdbVersion } from "../../../shared/adapters/duckdb-version.ts";
import { canonicalJson, type Json } from "../../../shared/kernel/canonical.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { sha256Hex } from "../../../shared/kernel/sha256.ts";
import type { DimensionInput } from "../../../shared/kernel/work.ts";

/** How much the folder may hold. */
export interface CacheBounds {
  readonly bytesMax: number;
  readonly entriesMax: number;
}

const defaultBounds: CacheBounds = {
  bytesMax: limits.dimensionCacheBytesMax,
  entriesMax: limits.dimensionCacheEntriesMax,
};

const suffix = ".duckdb";
const entryName = /^[0-9a-f]{64}-([0-9a-f]{64})\.duckdb$/;

/** What the rows follow from. The zone belongs to it: a time without an offset is one of that zone. */
export function dimensionKey({ spec, file }: DimensionInput, timezone: string): string {
  const content = { spec, file, timezone, duckdb: duckdbVersion() };
  return sha256Hex(canonicalJson(content as unknown as Json));
}

/** The entry of a key, absolute, proved whole; a damaged one is removed. undefined: there is none to be used. */
export async function findEntry(folder: string, key: string): Promise<string | undefined> {
  for (const name of await readdir(folder).catch(() => [])) {
    const digest = name.startsWith(`${key}-`) ? entryName.exec(name)?.[1] : undefined;
    if (digest === undefined) continue;
    const path = join(folder, name);
    try {
      if ((await digestOf(path)) === digest) {
        const now = new Date();
        await utimes(path, now, now);
        return path;
      }
      await rm(path, { force: true });
    } catch {
      // Another worker has removed it to make room.
    }
  }
  return undefined;
}

/**
 * Moves a finished DuckDB file into the folder, in one step, and removes what was unused for longest until the bounds
 * hold. A file that is larger than all of the room stays where it is. An entry that somebody reads may be removed:
 * its bytes stay until it is closed. Throws the file system's errors.
 */
export async function keepEntry(
  folder: string,
  key: string,
  file: string,
  bounds: CacheBounds = defaultBounds,
): Promise<void> {
  if ((await stat(file)).size > bounds.bytesMax) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(file, 0o600);
  await rename(file, join(folder, `${key}-${await digestOf(file)}${suffix}`));
  await evict(folder, bounds);
}

async function evict(folder: string, bounds: CacheBounds): Promise<void> {
  const entries: { path: string; size: number; usedMs: number }[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) entries.push({ path, size: found.size, usedMs: found.mtimeMs });
  }
  entries.sort((a, b) => b.usedMs - a.usedMs);
  let bytes = 0;
  for (const [index, { path, size }] of entries.entries()) {
    bytes += size;
    if (index >= bounds.entriesMax || bytes > bounds.bytesMax) await rm(path, { force: true });
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest("hex");
}
