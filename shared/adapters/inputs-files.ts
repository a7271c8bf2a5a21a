/**
 * Files below the storage root: which ones a pattern names, what identifies their bytes (size, times and inode, taken
 * with nanoseconds), and that no link leads out. It never reads rows.
 */
import type { BigIntStats } from "node:fs";
import { lstat, realpath, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { DaymillError, type FailureCode, fail } from "../kernel/failure.ts";
import { isDay } from "../kernel/time.ts";
import type { FileFingerprint } from "../kernel/work.ts";
import { expand, patternParts } from "./inputs-glob.ts";

/** File system calls in flight at a time: libuv has four threads. */
const statsAtOnce = 16;

/**
 * Regular files that a pattern names on a day, in path order. `isGone`: what to do with one that was there when its
 * folder was listed, and is not any more (or is a link to nothing).
 */
export async function listed(
  root: string,
  pattern: string,
  day: string,
  isGone: "an error" | "left out",
): Promise<readonly FileFingerprint[]> {
  if (!isDay(day)) throw fail("badRequest", "day: must be a calendar date YYYY-MM-DD");
  const paths = await expand(root, patternParts(pattern, day));
  const read = fileReader(root, await rootPath(root), isGone);
  const files: FileFingerprint[] = [];
  for (let from = 0; from < paths.length; from += statsAtOnce) {
    const some = paths.slice(from, from + statsAtOnce);
    const seen = await Promise.all(some.map(read));
    for (const file of seen) if (file !== undefined) files.push(file);
  }
  return files;
}

async function rootPath(root: string): Promise<string> {
  try {
    return await realpath(root);
  } catch (error) {
    throw fileError(error, root);
  }
}

/**
 * What a path names; undefined for folders and devices: a pattern may meet them, but they are not input. The real place
 * of a folder is looked up once: days of 25,000 files are looked at again and again.
 */
function fileReader(root: string, realRoot: string, isGone: "an error" | "left out") {
  const folders = new Map<string, Promise<string>>();
  return async (path: string): Promise<FileFingerprint | undefined> => {
    try {
      const folder = dirname(path);
      const place = folders.get(folder) ?? assertInside(root, realRoot, folder, path);
      folders.set(folder, place);
      await place;
      const named = await lstat(join(root, path), { bigint: true });
      if (!named.isSymbolicLink()) return named.isFile() ? fingerprintOf(path, named) : undefined;
      await assertInside(root, realRoot, path);
      const stats = await stat(join(root, path), { bigint: true });
      return stats.isFile() ? fingerprintOf(path, stats) : undefined;
    } catch (error) {
      const known = fileError(error, path);
      if (isGone === "left out" && known.failure.code === "inputMissing") return undefined;
      throw known;
    }
  };
}

/** `shown`: the file in question, where only its folder is looked at. */
async function assertInside(
  root: string,
  realRoot: string,
  path: string,
  shown = path,
): Promise<string> {
  const real = await realpath(join(root, path));
  if (real !== realRoot && !real.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) {
    throw fail(
      "pathForbidden",
      `file ${shown}: its link leads out of the storage root; deliver the file itself, or link to a place below the root`,
    );
  }
  return real;
}

/** Real absolute path of a file below the root. Errors: `pathForbidden`, `inputMissing`, `storage…`. */
export async function insideRoot(root: string, path: string): Promise<string> {
  patternParts(path, "");
  try {
    return await assertInside(root, await rootPath(root), path);
  } catch (error) {
    throw fileError(error, path);
  }
}

/** What identifies the bytes of an open or named file. */
export function fingerprintOf(path: string, stats: BigIntStats): FileFingerprint {
  return {
    path,
    size: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    inode: String(stats.ino),
  };
}

type Cause = readonly [code: FailureCode, text: string];

const gone: Cause = [
  "inputMissing",
  "is not there (any more); bring it back, or see who removes it",
];
const full: Cause = ["storageFull", "no space left on the device; free some"];
const denied: Cause = ["storageDenied", "permission denied; check owner and mode"];
const causes: Readonly<Record<string, Cause>> = {
  ENOENT: gone,
  ENOTDIR: gone,
  ELOOP: ["pathForbidden", "links in a circle; deliver the file itself"],
  ENOSPC: full,
  EDQUOT: full,
  EROFS: ["storageReadOnly", "the file system is read-only; mount it writable"],
  EACCES: denied,
  EPERM: denied,
};

/** A file system error about `path` in our words; `DaymillError`s pass through. */
export function fileError(error: unknown, path: string): DaymillError {
  if (error instanceof DaymillError) return error;
  const errno = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  const other: Cause = ["storageFailed", `input or output failed (${errno}); see the system's log`];
  const [code, text] = causes[errno] ?? other;
  return fail(code, `file ${path}: ${text}`, { file: path, errno }, error);
}
