/** Files of a look beside what the control file says of them: what is there whole, what is missing, what is there twice. */
import type { AnnouncedFile, SourceLook } from "../../../shared/kernel/days.ts";
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

/** A file whose content was announced under another name, too. */
export interface AnnouncedTwin {
  /** Not read. */
  readonly dropped: string;
  /** Read: the first one in path order. */
  readonly kept: string;
  readonly sha256: string;
}

/**
 * Which files of a look need not be read because the control file gives them the checksum of an earlier one, in path
 * order. Both must be there with the announced size: of any other file the checksum says nothing. Files without bytes
 * double nothing and stay.
 */
export function announcedTwins({ files, announced }: SourceLook): readonly AnnouncedTwin[] {
  const there = new Map(files.map((file) => [file.path, file.size]));
  const first = new Map<string, string>();
  const twins: AnnouncedTwin[] = [];
  const inOrder = [...(announced ?? [])].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, bytes, sha256 } of inOrder) {
    const size = there.get(path);
    if (sha256 === undefined || size === undefined || size === 0 || size !== bytes) continue;
    const kept = first.get(sha256);
    if (kept === undefined) first.set(sha256, path);
    else twins.push({ dropped: path, kept, sha256 });
  }
  return twins;
}
