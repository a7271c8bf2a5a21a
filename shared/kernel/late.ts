/** Files that came for days that a job no longer makes again by itself: they are written down, counted and told once. */
import type { Day } from "./time.ts";
import type { FileFingerprint } from "./work.ts";

export interface LateFile {
  readonly day: Day;
  readonly source: string;
  readonly file: FileFingerprint;
  /** When a look found it, epoch milliseconds. */
  readonly seenMs: number;
  /** What readers saw of the day then, 0 = nothing. */
  readonly revision: number;
  /** A later revision of the day has read it. */
  readonly readBy?: number;
}

/** The late files of a job. Part of what is kept on storage of its days. */
export interface LateAccount {
  /** Files that lay there before that are not late: nobody looked for them. Epoch milliseconds. */
  readonly sinceMs: number;
  /** All that were ever found. */
  readonly total: number;
  /** The newest ones, in the order in which they were found; at most `limits.lateFilesKept`. */
  readonly files: readonly LateFile[];
  /** By day, then by source, where late files were found; the newest `limits.lateDaysBackMax` days. */
  readonly days: Readonly<Record<Day, Readonly<Record<string, LateOfSource>>>>;
}

export interface LateOfSource {
  /** Of all files that lay there when all late ones among them were told of; empty: some were left for the next look. */
  readonly digest: string;
  /** The newest file that is no longer among those that are named; absent: all are. It and older ones were told of. */
  readonly last?: FileFingerprint;
}

/** As people are shown them. */
export interface LateStatus {
  readonly job: string;
  readonly sinceMs: number;
  readonly total: number;
  /** Newest first. */
  readonly files: readonly LateFileStatus[];
}

export interface LateFileStatus {
  readonly day: Day;
  readonly source: string;
  readonly path: string;
  readonly bytes: number;
  readonly seenMs: number;
  readonly revision: number;
  /** 0 = no revision has read it. */
  readonly readBy: number;
}

/** In the order in which they came; files of one moment (a file system's clock has coarse beats) in that of their paths. */
export function byClock(a: FileFingerprint, b: FileFingerprint): number {
  return clockMs(a) - clockMs(b) || (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
}

/** When a file came, as far as its times tell: copies keep the time of the content, never that of the inode. */
export function clockMs({ mtimeNs, ctimeNs }: FileFingerprint): number {
  return Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6;
}
