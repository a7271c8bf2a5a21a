/**
 * Words for days that run by themselves: when a day starts (the calendar), and what lies in a source's folder (a look).
 * Plain values; adapters make them, the coordinator's core judges them.
 */
import type { Backfill } from "./backfill.ts";
import type { Acknowledgements } from "./delivery.ts";
import type { Failure } from "./failure.ts";
import type { ReadyRule, SourceSpec } from "./job.ts";
import type { LateAccount } from "./late.ts";
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

/** Which starts of a job there are. */
export interface CalendarQuestion {
  /** Five cron fields. */
  readonly schedule: string;
  readonly timezone: string;
  /** `HH:MM` */
  readonly finishBy?: string;
  /** `HH:MM` by model. */
  readonly finishByModel?: Readonly<Record<string, string>>;
  /** Starts from here … */
  readonly fromMs: number;
  /** … and before there. Epoch milliseconds. */
  readonly toMs: number;
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

/** What may be said of a day; `wanted`: it is made again although nothing has changed. */
export const dayMarks = ["held", "released", "skipped", "wanted"] as const;
export type DayMark = (typeof dayMarks)[number];

/** Something that a person, or a program on their behalf, said. */
export interface Said {
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly wallMs: number;
}

export interface SaidOfDay {
  /** No run is started for the day until it is released. */
  readonly held?: Said;
  /** Nobody wants the day. */
  readonly skipped?: Said;
  /** It is to be made again although nothing has changed. */
  readonly wanted?: Said;
  /** Sources that were declared delivered, and when (epoch milliseconds). */
  readonly delivered?: Readonly<Record<string, number>>;
  /** What consumers have of its datasets. */
  readonly acknowledged?: Acknowledgements;
}

/** What people said about a job's days, as it lies on storage: the journal alone may be lost. */
export interface DeskDocument {
  /** Grows with each thing that is said: of two accounts the one with more is the newer. */
  readonly changes: number;
  /** The backlog starts nothing. */
  readonly paused?: Said;
  /** By day; days about which nothing is in force are left out. */
  readonly days: Readonly<Record<string, SaidOfDay>>;
  /** Oldest first. Absent: none, or an account of an older version. */
  readonly backfills?: readonly Backfill[];
  /** Absent: nobody has looked for late files yet. */
  readonly late?: LateAccount;
}

export interface StoredDesk {
  readonly job: string;
  readonly desk: DeskDocument;
}

/** A day of a job as people are shown it: made by what the coordinator acts on. */
export interface DayStatus {
  readonly day: Day;
  /** `done`, `provisional`, `missing input` …: docs/days.md names them all. */
  readonly state: string;
  readonly reason: string;
  /** What will be done about it by itself; empty: nothing. */
  readonly next: string;
  /** Committed revision, 0 = none. */
  readonly revision: number;
  /** Run under way; empty: none. */
  readonly run: string;
  /** The newest day that is due runs in the live lane, all others in that of the backlog. */
  readonly isLive: boolean;
  /** Epoch milliseconds, 0 = not planned. */
  readonly startMs: number;
  readonly finishByMs: number;
  /** Warned of: `missed`, `projected`, `missed <model>` … */
  readonly warned: readonly string[];
  /** Files there and announced ones that are not, as of the last look. */
  readonly files: number;
  readonly missing: readonly string[];
  readonly missingTotal: number;
  readonly models: readonly ModelOfDay[];
}

export interface ModelOfDay {
  readonly model: string;
  /** `done`: in the committed revision; `running` / `waiting`: of the run under way; `none`. */
  readonly state: "done" | "running" | "waiting" | "none";
}

export interface BacklogStatus {
  readonly job: string;
  readonly schedule: string;
  readonly timezone: string;
  /** Why the backlog does not start anything; empty: it does. */
  readonly paused: string;
  readonly order: "oldest" | "newest";
  /** Days of the backlog that will be run by themselves and are not done. */
  readonly toDo: number;
  /** Until they are done, by the speed of the last runs; 0 = not known or nothing to do. */
  readonly catchUpMs: number;
  /** Files that came for days before the window, all that were ever found. */
  readonly late: number;
  /** Newest first. */
  readonly days: readonly DayStatus[];
}
