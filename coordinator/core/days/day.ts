/**
 * What is remembered of a job's day beside its runs: when it starts, what is known of its input, what its committed
 * revision was made from, how it last failed, and what people said about it. Part of `DayRecord`; changed by `fold` only.
 */
import type { CalendarStart, SaidOfDay } from "../../../shared/kernel/days.ts";
import type { FailureCode } from "../../../shared/kernel/failure.ts";

/** Source → digest of the fingerprints of its files. */
export type InputDigests = Readonly<Record<string, string>>;

/** Times are epoch milliseconds. */
export type DayPlan = Omit<CalendarStart, "day">;

/** `gaps`: files are missing, but enough are there, and they were waited for long enough. */
export type InputVerdict = "waiting" | "ready" | "gaps";

/** What the last look that said anything new has found. */
export interface InputKnown {
  readonly digests: InputDigests;
  readonly files: number;
  readonly bytes: number;
  readonly verdict: InputVerdict;
  /** Nothing seems to be under way: no file has changed for a while. */
  readonly isSettled: boolean;
  /** For people: what is there and what is waited for. */
  readonly reason: string;
  /** Paths that are announced and not there, at most `limits.missingFilesNamedMax`. */
  readonly missing: readonly string[];
  /** Expected files that are not there or not whole, named or not: a rule may know nothing but their number. */
  readonly missingTotal: number;
  readonly wallMs: number;
}

/** What the committed revision was made from. */
export interface DayMade {
  readonly revision: number;
  /** When its run was created: what lay there then is in it. Absent in journals of older versions. */
  readonly begunMs?: number;
  readonly digests: InputDigests;
  readonly jobDigest: string;
  /** Names what of the job the day's rows depend on (`definitionOf`); absent in journals of older versions. */
  readonly definition?: string;
  /** What was known of the input when this was begun because it had changed. Made of it once, it is not made of it again. */
  readonly answers?: InputDigests;
  /** Files that were announced and not there: above 0 the day is provisional. */
  readonly missing: number;
  /**
   * Revisions of the days of other jobs that were waited for, by `job/dataset`; and of days whose rows were read, by
   * `job/dataset of <day>`, that since which those are what they are (history.ts). 0: there was none.
   */
  readonly upstream: Readonly<Record<string, number>>;
  /** By dataset. Absent in journals of older versions, and where it is not known. */
  readonly rows?: Readonly<Record<string, DatasetRows>>;
  readonly wallMs: number;
}

/** A dataset of the committed revision. */
export interface DatasetRows {
  /** Digest of all that its rows follow from. */
  readonly from: string;
  /** The revision since which they are what they are. */
  readonly since: number;
}

/** How the last run failed; none after a commit. */
export interface DayFailed {
  readonly run: string;
  readonly code: FailureCode;
  readonly message: string;
  /** Failures in a row with the same input and the same form of the job. */
  readonly times: number;
  readonly digests: InputDigests;
  readonly jobDigest: string;
  /** Days whose rows it read, as in `DayMade`. Absent: none. */
  readonly upstream?: Readonly<Record<string, number>>;
  readonly wallMs: number;
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

/** Members of `DayRecord` that the desk acts on. All are absent in journals of older versions. */
export interface DayMemory extends Mutable<SaidOfDay> {
  plan?: DayPlan;
  input?: InputKnown;
  made?: DayMade;
  failed?: DayFailed;
  /**
   * A run that gathered files of this form of the job ended before the day was ready: there is no other one. Revisions
   * `from` to `to` are such runs; absent in journals of older versions.
   */
  gathered?: { readonly jobDigest: string; readonly from?: number; readonly to?: number };
  /** Deadlines that were warned of: `missed`, `projected`, or `missed <model>`. */
  warned?: readonly string[];
  /** Those of them that were due before the job was known: shown, and nobody is called. */
  passedOver?: readonly string[];
}

/**
 * Are the files of some source others? One that only one of them names says nothing of files: no model reads it, or the
 * job had it not.
 */
export function otherFiles(a: InputDigests, b: InputDigests): boolean {
  return Object.entries(a).some(([source, digest]) => (b[source] ?? digest) !== digest);
}

/** Is the same known of the same sources? */
export function sameInput(a: InputDigests, b: InputDigests): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
