/** Sets of input files as values: one name for a set, and what is different between two of them. */
import { sha256Hex } from "./sha256.ts";
import { type FileFingerprint, sameFile } from "./work.ts";

/** Digests by the very list that they were made of: days of 25,000 files are looked at for hours, and seldom change. */
const digests = new WeakMap<readonly FileFingerprint[], string>();

/**
 * Names a set of files by all that identifies their bytes; `ManifestSource.inputDigest`. Their order does not matter.
 * The list must never change.
 */
export function inputDigest(files: readonly FileFingerprint[]): string {
  const known = digests.get(files);
  if (known !== undefined) return known;
  const identity = [...files]
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
    .map(({ path, size, mtimeNs, ctimeNs, inode }) => [path, size, mtimeNs, ctimeNs, inode]);
  const digest = sha256Hex(JSON.stringify(identity));
  digests.set(files, digest);
  return digest;
}

/** Each list in path order. */
export interface FilesDifference {
  readonly added: readonly FileFingerprint[];
  /** As they are now. */
  readonly changed: readonly FileFingerprint[];
  /** As they were. */
  readonly vanished: readonly FileFingerprint[];
}

/** What happened to a set of files since it was `former`. A file that was moved has vanished here and was added there. */
export function filesDifference(
  former: readonly FileFingerprint[],
  now: readonly FileFingerprint[],
): FilesDifference {
  const before = new Map(former.map((file) => [file.path, file]));
  const after = new Set(now.map((file) => file.path));
  const byPath = (a: FileFingerprint, b: FileFingerprint) => (a.path < b.path ? -1 : 1);
  const isChanged = (file: FileFingerprint) => {
    const was = before.get(file.path);
    return was !== undefined && !sameFile(was, file);
  };
  return {
    added: now.filter((file) => !before.has(file.path)).sort(byPath),
    changed: now.filter(isChanged).sort(byPath),
    vanished: former.filter((file) => !after.has(file.path)).sort(byPath),
  };
}

export function isSameSet({ added, changed, vanished }: FilesDifference): boolean {
  return added.length + changed.length + vanished.length === 0;
}
