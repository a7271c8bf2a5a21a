/**
 * Words for days that run by themselves: when a day starts (the calendar), and what lies in a source's folder (a look).
 * Plain values; adapters make them, the coordinator's core judges them.
 */
import type { Failure } from "./failure.ts";
import type { ReadyRule, SourceSpec } from "./job.ts";
import type { Day } from "./time.ts";
import type { FileFingerprint } from "./work.ts";

/** One start of a job: the data date that it is for, and when. All times are epoch milliseconds. */
export interface CalendarStart {
  readonly day: Day;
  readonly startMs: number;
  /** When the data date begins in the job's zone: from then on files may arrive. */
  readonly opensMs: number;
  readonly finishByMs?: number;
  /** By model. */
  readonly finishByModelMs?: Readonly<Record<string, number>>;
}

/** A source to be looked at, with the rule that says what else its readiness needs to see. */
export interface SourceToSee {
  readonly source: SourceSpec;
  readonly rule?: ReadyRule | undefined;
}

/** What a control file says of one file that will come. */
export interface AnnouncedFile {
  /** Relative to the storage root. */
  readonly path: string;
  readonly bytes?: number;
  /** Lower-case hex SHA-256 of the file as stored. */
  readonly sha256?: string;
  readonly records?: number;
}

/** What was there when somebody looked at a source's day. Nothing there is a look, too, not an error. */
export interface SourceLook {
  readonly source: string;
  /** In path order. Zero-length files are among them. */
  readonly files: readonly FileFingerprint[];
  /** From the control file, in path order; absent: there is none (yet), or the source has no such rule. */
  readonly announced?: readonly AnnouncedFile[];
  /** Rule `marker`: the marker is there. */
  readonly isMarked?: boolean;
  /** Newest mtime of all files, epoch milliseconds; 0 = no file. */
  readonly newestMs: number;
  /** The look could not be made, or what was found can't be used (a control file that can't be read). */
  readonly problem?: Failure;
}
