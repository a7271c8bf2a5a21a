/** Files of a look beside what the control file says of them: what is there whole, what is missing, what is there twice. */
import type { AnnouncedFile } from "../../../shared/kernel/days.ts";
import type { FileFingerprint } from "../../../shared/kernel/work.ts";

/** Lists in path order. */
export interface AnnouncedTally {
  /** There with the announced size. */
  readonly whole: readonly FileFingerprint[];
  readonly missing: readonly string[];
  /** There with another size than announced, or without an announced one and perhaps still written to. */
  readonly doubtful: readonly string[];
  /** There and not announced. */
  readonly extra: readonly FileFingerprint[];
}

/** `isSettled` judges files whose size was not announced. */
export function tallyAnnounced(
  files: readonly FileFingerprint[],
  announced: readonly AnnouncedFile[],
  isSettled: (file: FileFingerprint) => boolean,
): AnnouncedTally {
  const there = new Map(files.map((file) => [file.path, file]));
  const named = new Set(announced.map((file) => file.path));
  const whole: FileFingerprint[] = [];
  const missing: string[] = [];
  const doubtful: string[] = [];
  for (const { path, bytes } of announced) {
    const file = there.get(path);
    if (file === undefined) missing.push(path);
    else if (bytes === undefined ? isSettled(file) : file.size === bytes) whole.push(file);
    else doubtful.push(path);
  }
  const extra = files.filter((file) => !named.has(file.path));
  return { whole, missing, doubtful, extra };
}

/** A file that need not be read: another one has its content. */
export interface AnnouncedTwin {
  readonly path: string;
  /** The one that is read: the first in path order. */
  readonly twin: string;
  readonly contentSha256: string;
}

/**
 * Files that the control file gives the checksum of an earlier one, in path order. Both must be there with the announced
 * size: of any other file the checksum says nothing. Files without bytes double nothing and stay.
 */
export function announcedTwins(
  files: readonly FileFingerprint[],
  announced: readonly AnnouncedFile[],
): readonly AnnouncedTwin[] {
  const there = new Map(files.map((file) => [file.path, file.size]));
  const first = new Map<string, string>();
  const twins: AnnouncedTwin[] = [];
  const inOrder = [...announced].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, bytes, sha256 } of inOrder) {
    const size = there.get(path);
    if (sha256 === undefined || size === undefined || size === 0 || size !== bytes) continue;
    const twin = first.get(sha256);
    if (twin === undefined) first.set(sha256, path);
    else twins.push({ path, twin, contentSha256: sha256 });
  }
  return twins;
}
