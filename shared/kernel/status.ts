/**
 * What people are shown of runs and executors: plain values, made by the coordinator's core from its state,
 * carried by gRPC, printed by the command line. They decide nothing.
 */
import type { CheckStatus } from "./check.ts";
import type { Failure } from "./failure.ts";
import type { Column } from "./job.ts";
import type { Lane } from "./lane.ts";
import type { Day } from "./time.ts";

export type { CheckStatus } from "./check.ts";

/** Which leadership answered, and how much of its journal the answer reflects. */
export interface Stamp {
  readonly epoch: number;
  readonly journalSequence: number;
  readonly coordinator: string;
}

export type StageStateName = "waiting" | "running" | "done";

/** What the winners of a stage sent over one exchange. */
export interface ExchangeStatus {
  readonly exchange: string;
  /** Sources whose rows it is made of; empty where the plan does not say. */
  readonly sources: readonly string[];
  readonly rows: number;
  readonly bytes: number;
}

export interface StageStatus {
  readonly id: string;
  /** `scan ipdr`, `reduce usage_hourly, subscriber_daily +2`, `checks`: for people. */
  readonly label: string;
  /** The source that it scans; empty (or absent in runs of older versions) for any other stage. */
  readonly source?: string;
  /** Datasets that it writes, all of them. Absent in runs of older versions. */
  readonly makes?: readonly string[];
  /** What it sent, by exchange. Absent in runs of older versions. */
  readonly exchanges?: readonly ExchangeStatus[];
  readonly tasks: number;
  readonly running: number;
  readonly done: number;
  /** Attempts that failed so far. */
  readonly failedAttempts: number;
  readonly rowsIn: number;
  readonly bytesIn: number;
  readonly rowsOut: number;
  readonly bytesOut: number;
  /** Tasks whose kept output was taken from the exchange without running. */
  readonly reused: number;
  /** Files of its source that don't count, for another one holds the same bytes. Absent in runs of older versions. */
  readonly duplicates?: number;
  readonly state: StageStateName;
  /** Epoch milliseconds, 0 = not yet. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** Tasks committed per executor id. */
  readonly committedBy: Readonly<Record<string, number>>;
}

export interface DatasetStatus {
  readonly dataset: string;
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  readonly columns: readonly Column[];
  /** Where to read it, relative to the storage root. */
  readonly path: string;
  /** Revision of the day that made its rows, where an earlier one did. */
  readonly madeIn?: number;
}

/** Of the disk, or whatever the storage root is on. */
export interface StorageRoom {
  readonly usedBytes: number;
  readonly totalBytes: number;
}

export type RunStateName =
  | "planning"
  | "running"
  | "checking"
  | "committing"
  | "committed"
  /** Its files are kept and readers see the day's former revision. */
  | "quarantined"
  | "failed"
  | "cancelled";

/** `schedule`: its day was due; `recovery`: a day of the backlog; `news`: what the day was made from has changed. */
export type RunOrigin = "schedule" | "recovery" | "news" | "command" | "backfill";

/** What of a day has changed since it was made. */
export type RunNews = "input" | "definition" | "upstream";

/** Who or what started a run. */
export interface RunStart {
  /** Absent: somebody who submitted it. */
  readonly origin?: RunOrigin;
  /** Of origin `news`. Absent in runs of older versions. */
  readonly news?: RunNews;
  /** The person, as their client says, or the backfill. */
  readonly by?: string;
}

/** The same for people and their programs, in one word. `news`: of an older version, which did not say more. */
export type RunCause =
  | "request"
  | "schedule"
  | "catch-up"
  | "late input"
  | "definition"
  | "upstream"
  | "news"
  | "command"
  | "backfill";

export function causeOf({ origin, news }: RunStart): RunCause {
  switch (origin) {
    case undefined:
      return "request";
    case "recovery":
      return "catch-up";
    case "news":
      return news === "input" ? "late input" : (news ?? "news");
    default:
      return origin;
  }
}

/** A run in one of these states never changes again; but a quarantined one may be released, and is committed then. */
export function isEnded(state: RunStateName): boolean {
  return (
    state === "committed" || state === "quarantined" || state === "failed" || state === "cancelled"
  );
}

export interface RunStatus {
  readonly runId: string;
  readonly job: string;
  /** Names the form of the job that ran. Absent in runs of older versions. */
  readonly jobDigest?: string;
  readonly day: Day;
  readonly revision: number;
  /** Absent in runs of older versions, which were live. */
  readonly lane?: Lane;
  readonly state: RunStateName;
  readonly stages: readonly StageStatus[];
  /** Filled once committed. */
  readonly datasets: readonly DatasetStatus[];
  readonly failure?: Failure;
  /** Epoch milliseconds; `endedMs` 0 = not yet. */
  readonly createdMs: number;
  readonly endedMs: number;
  /** Lines (or Parquet rows) read and rejected by the winning attempts so far. */
  readonly rowsIn: number;
  readonly rejects: number;
  /** Bytes of input that they read, as stored. Absent in runs of older versions. */
  readonly bytesIn?: number;
  readonly exchangeRows: number;
  readonly exchangeBytes: number;
  /** Tasks committed per executor id: who did the work. */
  readonly committedBy: Readonly<Record<string, number>>;
  /** Second attempts started beside slow ones; absent in runs that ended before it was counted. */
  readonly secondAttempts?: number;
  /** Path of the manifest relative to the storage root; empty until committed. */
  readonly manifest: string;
  readonly warnings: readonly string[];
  /** In the order of the job, once they are judged. Absent in runs of older versions. */
  readonly checks?: readonly CheckStatus[];
  /** Why there is this run. Absent in runs of older versions. */
  readonly cause?: RunCause;
  /** Models that it makes, where these are not all. Absent in runs of older versions. */
  readonly select?: readonly string[];
  /** The person or the backfill that started it; empty: nobody said. Absent in runs of older versions. */
  readonly by?: string;
}

/** `excluded`: attempts kept failing there; it gets no new work for a time. */
export const executorStates = ["ready", "draining", "excluded", "lost"] as const;

export type ExecutorStateName = (typeof executorStates)[number];

export interface ExecutorStatus {
  readonly executorId: string;
  readonly incarnation: number;
  readonly host: string;
  readonly pid: number;
  readonly slots: number;
  readonly running: number;
  readonly state: ExecutorStateName;
  /** Why it is excluded and until when; empty otherwise. */
  readonly note?: string;
  /** Attempts that became winners, and attempts that failed, as seen by this leader. */
  readonly committed: number;
  readonly failed: number;
  readonly peakMemoryBytes: number;
  readonly workerPids: readonly number[];
  readonly joinedMs: number;
}

/** `reduce usage_hourly, subscriber_daily +2`: as many names as there is room for, and how many more there are. */
export function stageLabel(verb: string, names: readonly string[], charactersMax: number): string {
  for (let shown = names.length; shown > 0; shown--) {
    const more = shown === names.length ? "" : ` +${names.length - shown}`;
    const text = `${verb} ${names.slice(0, shown).join(", ")}${more}`;
    if (text.length <= charactersMax) return text;
  }
  const [first = ""] = names;
  const more = names.length > 1 ? `… +${names.length - 1}` : "…";
  const room = Math.max(0, charactersMax - verb.length - 1 - more.length);
  return names.length === 0 ? verb : `${verb} ${first.slice(0, room)}${more}`;
}
