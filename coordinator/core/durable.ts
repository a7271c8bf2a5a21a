/**
 * What the journal remembers, as types: jobs, days, runs with their stages and tasks, kept map outputs.
 * It is owned by one coordinator and changed in place by `fold` only (a day may have 25,000 tasks; copying them per
 * message would cost more than the work). Nothing here is a monotonic time: those do not survive a process.
 */
import type { Backfill } from "../../shared/kernel/backfill.ts";
import type { CheckResult } from "../../shared/kernel/check.ts";
import type { Said } from "../../shared/kernel/days.ts";
import type { ShownRevision } from "../../shared/kernel/delivery.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { HistoryPin } from "../../shared/kernel/history.ts";
import { formatRunId, type JobSpec } from "../../shared/kernel/job.ts";
import type { Lane } from "../../shared/kernel/lane.ts";
import type { LateAccount } from "../../shared/kernel/late.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { RunStart, RunStateName, RunStatus } from "../../shared/kernel/status.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type {
  AttemptCounters,
  ExchangeOutput,
  FileAccount,
  FileFingerprint,
  Split,
  StagedFile,
} from "../../shared/kernel/work.ts";
import type { AlertBook } from "./alerts/book.ts";
import type { DayFigures } from "./check-history.ts";
import type { DayMemory, InputDigests } from "./days/day.ts";
import type { PlannedExchange } from "./facts.ts";
import type { KeptOutputs } from "./kept-outputs.ts";

export interface Durable {
  /** Epoch of the last `led`. */
  epoch: number;
  /** By digest. */
  readonly jobs: Map<string, JobSpec>;
  /** Job name → digest of its newest form. */
  readonly names: Map<string, string>;
  /** By `dayKey`. */
  readonly days: Map<string, DayRecord>;
  /** Live and ended runs, oldest first. */
  readonly runs: Map<string, Run>;
  /** Request id → run id. */
  readonly requests: Map<string, string>;
  /** Attempts of live runs, by id; ended ones stay so that late reports find them. */
  readonly attempts: Map<string, Attempt>;
  /** Ids of those that are running. */
  readonly running: Set<string>;
  /** Outputs that outlive their run, by scope. */
  readonly kept: Map<string, Kept>;
  /** What people said about a job's days, by job: how often, and whether its backlog is paused. */
  readonly desks: Map<string, DeskRecord>;
  /** Absent: nobody was ever to be told of anything. */
  alerts?: AlertBook;
}

export interface DeskRecord {
  /** Grows with each thing that is said: of two accounts the one with more is the newer. */
  changes: number;
  paused?: Said;
  /** Oldest first; absent: none. */
  backfills?: readonly Backfill[];
  /** Files that came for days before the window; absent: nobody has looked for any. */
  late?: LateAccount;
}

export interface DayRecord extends DayMemory {
  readonly job: string;
  readonly day: Day;
  /** Highest revision that was ever named. */
  highest: number;
  /** Revision that readers see, 0 = none. */
  committed: number;
  /** Datasets of the committed revision. */
  datasets: readonly string[];
  /** Revisions that readers saw, oldest first, the last ones only. Absent where only older versions showed any. */
  shown?: readonly ShownRevision[];
  /** Of the committed revision, for as long as later days are compared with it. */
  figures?: DayFigures;
  /** The newest revision that is quarantined; none of the committed one's age or older. */
  quarantined?: { readonly revision: number; readonly datasets: readonly string[] };
  /** Last way in which each source was cut (`packSplits`): late files form new groups, old groups stay. */
  readonly splits: Map<string, string>;
  /** What the last run that was cut so left out, by source; absent when that was nothing. */
  dropped?: Readonly<Record<string, readonly DroppedFile[]>>;
}

/** A file whose rows don't count: another one of the source's day holds the same bytes. */
export interface DroppedFile {
  readonly file: FileFingerprint;
  /** The one that counts. */
  readonly twin: FileFingerprint;
  /** Of both: SHA-256 of the stored bytes; of a Parquet file that is read by ranges the hash of their hashes. */
  readonly contentSha256: string;
  /** Who says so; absent: both were read. */
  readonly by?: "control";
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

export interface Run extends Mutable<RunStart> {
  readonly id: string;
  readonly job: string;
  readonly day: Day;
  readonly revision: number;
  readonly jobDigest: string;
  readonly duckdb: string;
  /** Of a run that gathered files: when that was over. */
  createdMs: number;
  /** Absent: live. */
  lane?: Lane;
  /** Its day is not ready yet: files that are final are mapped as they come, and nothing else is begun (gathering.ts). */
  isGathering?: true;
  plan: JobPlan;
  /** It makes these models only, and carries the day's other datasets over; absent: all. */
  readonly select?: readonly string[];
  state: RunStateName;
  /** Set by `runEnding`. */
  ending?: { readonly cancelled: boolean; readonly failure: Failure };
  /** Plan stages in plan order, then the checks. Emptied when the run has ended. */
  stages: Stage[];
  dimensions: Map<string, FileFingerprint>;
  exchanges: Map<string, PlannedExchange>;
  warnings: readonly string[];
  /** Announced files that are missing, when it was started without them. */
  missing?: number;
  /** Days of other jobs as they were when it was created: `job/dataset` → revision. */
  upstream?: Readonly<Record<string, number>>;
  /** Earlier days of datasets that it reads. Absent: none, or it has not come to that. */
  history?: readonly HistoryPin[];
  /** What was known of its input when it was begun because that had changed. */
  answers?: InputDigests;
  /** What lay in its sources when it was planned. */
  digests?: InputDigests;
  /** Once they are judged. */
  checks?: readonly CheckResult[];
  /** How it ended, as it is shown; set once. */
  ended?: RunStatus;
}

export type StageKind = "scan" | "reduce" | "check";

export interface Stage {
  readonly id: string;
  readonly kind: StageKind;
  /** Scan: task i reads split i. A split that lost a duplicate may hold no file at all. */
  splits: readonly Split[];
  /** Scan: how many of them, the first ones, an earlier run of the day cut; absent: none, or all. */
  readonly former?: number;
  /** Files of the source that don't count, in the order in which that was found. */
  dropped?: readonly DroppedFile[];
  /** Scan with kept outputs: their scope. */
  readonly scope?: string;
  /** Any other stage: the scope that its finished tasks are kept in should the run fail (salvage.ts). */
  readonly salvage?: string;
  readonly tasks: Task[];
  /** Tasks neither done nor with a running attempt, in the order in which they became so. */
  waiting: Set<number>;
  done: number;
  reused: number;
  failedAttempts: number;
  /** How often a task got or lost its result. */
  changes?: number;
  /** Second attempts that were started beside slow ones. */
  seconds?: number;
  startedMs: number;
  endedMs: number;
  readonly sums: StageSums;
}

/** Sums over the winners of a stage. */
export interface StageSums {
  rowsIn: number;
  bytesIn: number;
  rowsOut: number;
  bytesOut: number;
  exchangeRows: number;
  exchangeBytes: number;
  lines: number;
  rejects: number;
}

export interface Task {
  /** Ids of running attempts. More than one only when an attempt is duplicated on purpose. */
  running: readonly string[];
  /** Attempts given up as lost, which may still win as long as no other has. */
  lost?: string[];
  /** Attempts started so far, for whatever reason. */
  starts: number;
  /** Attempts of these that ended because rows of other tasks were missing, which then ran again. */
  shorts?: number;
  /** It was given its second attempt beside a slow one; there is no third. */
  hadSecond?: true;
  /** Attempts of these that ended because storage was full, read-only or denied, or the exchange full. */
  refusals?: number;
  /** Failures that count against the budget. */
  failures: number;
  /** Executors on which it failed. */
  failedOn: readonly string[];
  /** The next attempt runs with one thread and disk-backed tables. */
  lowMemory: boolean;
  result?: TaskResult;
  /** Exchange → checksum of an output that was dropped after consumers may have read it. */
  replaces?: Readonly<Record<string, string>>;
}

/** The winner of a task. */
export interface TaskResult {
  readonly attemptId: string;
  /** Empty when the output was kept from an earlier run. */
  readonly executor: string;
  readonly outputs: readonly ExchangeOutput[];
  readonly files: readonly StagedFile[];
  readonly accounts: readonly FileAccount[];
  readonly rejectsFile?: string;
  readonly lateFile?: string;
  readonly counters: AttemptCounters;
  readonly checkValue?: string | null;
  readonly checkFailure?: Failure;
  readonly mapKey?: string;
}

export interface Attempt {
  readonly run: string;
  readonly stage: number;
  readonly task: number;
  readonly executor: string;
  readonly incarnation: number;
  readonly mapKey?: string;
  /** Wall clock of the leader that started it, epoch milliseconds: a hint of how long it runs, nothing more. */
  readonly startedMs?: number;
  /** `lost`: given up without a word from its executor; a late success is still welcome. */
  state: "running" | "done" | "failed" | "lost";
}

export interface Kept {
  readonly job: string;
  readonly day: Day;
  /** Empty for what was salvaged. */
  readonly source: string;
  readonly exchanges: readonly PlannedExchange[];
  /** What a run that failed had finished: it goes when its day is made. */
  readonly isSalvage?: true;
  /** By map key. */
  readonly outputs: KeptOutputs;
}

/** Where the outputs of a scope, or all that a run writes, are. */
export function streamsOf({
  exchanges,
}: {
  readonly exchanges: Iterable<PlannedExchange>;
}): readonly string[] {
  return [...exchanges].flatMap(({ streams }) => streams);
}

export function emptyDurable(): Durable {
  return {
    epoch: 0,
    jobs: new Map(),
    names: new Map(),
    days: new Map(),
    runs: new Map(),
    requests: new Map(),
    attempts: new Map(),
    running: new Set(),
    kept: new Map(),
    desks: new Map(),
  };
}

export function emptySums(): StageSums {
  return {
    rowsIn: 0,
    bytesIn: 0,
    rowsOut: 0,
    bytesOut: 0,
    exchangeRows: 0,
    exchangeBytes: 0,
    lines: 0,
    rejects: 0,
  };
}

/** A backlog has hundreds of thousands of tasks that wait: they share it. */
const none: readonly string[] = [];

/** Waiting, and nothing has happened to it. */
export function newTask(): Task {
  return { running: none, starts: 0, failures: 0, failedOn: none, lowMemory: false };
}

/** A file that goes with its run's staging folder, unless a commit gives it a final path. */
export function isStaged(path: string): boolean {
  return path.startsWith("staging/");
}

export function dayKey(job: string, day: Day): string {
  return `${job}|${day}`;
}

/** The run of this job and day that has not ended, if any. */
export function liveRun(durable: Durable, job: string, day: Day): Run | undefined {
  for (const run of durable.runs.values()) {
    if (run.job === job && run.day === day && run.ended === undefined) return run;
  }
  return undefined;
}

export function laneOf({ lane = "live" }: Pick<Run, "lane">): Lane {
  return lane;
}

/** Who or what started a run, and nothing else of it. */
export function startOf({ origin, news, by }: RunStart): RunStart {
  return {
    ...(origin === undefined ? {} : { origin }),
    ...(news === undefined ? {} : { news }),
    ...(by === undefined ? {} : { by }),
  };
}

/** It gathered files, and its day is ready or somebody wants it: what it still lacks is being listed. */
export function isClosing(run: Run): boolean {
  return run.isGathering === true && laneOf(run) !== "ahead";
}

/** What the next run of this job and day is called. */
export function nextRun(durable: Durable, job: string, day: Day) {
  const revision = (durable.days.get(dayKey(job, day))?.highest ?? 0) + 1;
  return { run: formatRunId(job, day, revision), revision };
}

export function liveRuns(durable: Durable): Run[] {
  return [...durable.runs.values()].filter((run) => run.ended === undefined);
}
