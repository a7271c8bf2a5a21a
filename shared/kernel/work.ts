/**
 * What a worker is given and what it answers. Work is content: its canonical bytes are all that a map task sees,
 * and their SHA-256 is the map key. Delivery is where the result goes; it never changes the result.
 */
import { canonicalJson, type Json } from "./canonical.ts";
import type { Failure } from "./failure.ts";
import type { Column, DimensionSpec, SourceSpec } from "./job.ts";
import type { Lane } from "./lane.ts";
import type { ExchangePlan, StagePlan } from "./plan.ts";
import { hashPrefix, sha256Hex } from "./sha256.ts";

/** Version of the exchange's wire form; both ends must agree. Part of every map key. */
export const wireVersion = 1;
/** Version of partitioning and checksums. Part of every map key. */
export const hashVersion = 1;

/** What identifies a file's bytes without reading them. Nanosecond times are decimal texts (over 2^53). */
export interface FileFingerprint {
  /** Relative to the storage root. */
  readonly path: string;
  readonly size: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly inode: string;
}

/** Do they name the same bytes, wherever the file is? */
export function sameFile(one: FileFingerprint, other: FileFingerprint): boolean {
  return (
    one.size === other.size &&
    one.mtimeNs === other.mtimeNs &&
    one.ctimeNs === other.ctimeNs &&
    one.inode === other.inode
  );
}

/** Files that one map task reads, whole; or a row range of one Parquet file. */
export interface Split {
  readonly files: readonly FileFingerprint[];
  /** Parquet only: rows [from, to) by `file_row_number`. */
  readonly rows?: { readonly from: number; readonly to: number };
}

export interface DimensionInput {
  readonly spec: DimensionSpec;
  readonly file: FileFingerprint;
}

export interface MapWork {
  readonly kind: "map";
  readonly wire: number;
  readonly hash: number;
  readonly duckdb: string;
  readonly timezone: string;
  /** Present only where the stage's SQL, the event-time rule or the path uses it. */
  readonly day?: string;
  /** ISO time that `now()` stands for; present only where the SQL uses it. */
  readonly logicalTime?: string;
  readonly source: SourceSpec;
  readonly split: Split;
  readonly dimensions: readonly DimensionInput[];
  readonly stage: StagePlan;
  /** The exchanges that the stage writes to. */
  readonly exchanges: readonly ExchangePlan[];
}

export interface ReduceWork {
  readonly kind: "reduce";
  readonly wire: number;
  readonly hash: number;
  readonly duckdb: string;
  readonly timezone: string;
  readonly day: string;
  readonly logicalTime?: string;
  readonly group: number;
  readonly dimensions: readonly DimensionInput[];
  readonly stage: StagePlan;
  /** Input and output exchanges of the stage. */
  readonly exchanges: readonly ExchangePlan[];
}

/** Blocking and warning checks over staged files, run before the commit. */
export interface CheckWork {
  readonly kind: "check";
  readonly duckdb: string;
  readonly timezone: string;
  readonly check: { readonly name: string; readonly model: string; readonly sql: string };
  readonly columns: readonly Column[];
  /** Staged files of the model, relative to the storage root. Empty: the empty table. */
  readonly files: readonly string[];
}

export type Work = MapWork | ReduceWork | CheckWork;

/**
 * Names a map output for as long as it is kept: SHA-256 over every byte that the worker receives, but those of the
 * split after all the others, so that tasks of a stage share the hash of what they have in common.
 */
export function mapKey({ split, ...frame }: MapWork): string {
  return mapKeys(frame)(split);
}

/** The same for many tasks of a stage, which differ in nothing but their split. */
export function mapKeys(frame: Omit<MapWork, "split">): (split: Split) => string {
  // Two JSON texts, one after the other: where the second begins is never in doubt. Interfaces of JSON-only members
  // are JSON; the type system has no way to say so.
  const prefix = hashPrefix(canonicalJson(frame as unknown as Json));
  return (split) => sha256Hex(canonicalJson(split as unknown as Json), prefix);
}

/** The exact text that travels. */
export function workText(work: Work): string {
  return canonicalJson(work as unknown as Json);
}

/** A finished attempt whose rows a reader must take; every other attempt in the stream is dropped. */
export interface Winner {
  readonly attemptId: string;
  /** SHA-256 of the attempt's completion record for that exchange (`completionDigest`). */
  readonly digest: string;
}

/** One exchange as a reader or writer meets it: stream names by group, in group order. */
export interface ExchangeRoute {
  readonly exchange: string;
  readonly streams: readonly string[];
}

export interface Delivery {
  readonly run: string;
  readonly stage: string;
  readonly task: number;
  readonly attemptId: string;
  readonly epoch: number;
  /** Where this attempt's exchange outputs go. */
  readonly outputs: readonly ExchangeRoute[];
  /** Reduce: what to read; `streams` names every group, the work's `group` says which one. */
  readonly inputs: readonly (ExchangeRoute & { readonly winners: readonly Winner[] })[];
  /** Folder for dataset files and rejects, relative to the storage root: `staging/<run>/<task>-<attemptId>`. */
  readonly stagingDir: string;
  /** Second try after out-of-memory: one thread, disk-backed tables. */
  readonly lowMemory: boolean;
  /** Of its run when it was started. Absent: live. */
  readonly lane?: Lane;
}

/** Does the attempt run at low priority, so that those of live runs are not slowed down? */
export function isBackground({ lane = "live" }: Pick<Delivery, "lane">): boolean {
  return lane !== "live";
}

/** Per-partition totals of one attempt in one exchange. */
export interface PartitionTotals {
  readonly partition: number;
  readonly rows: number;
  readonly bytes: number;
  /** Sum of row hashes modulo 2^64, as a decimal text. */
  readonly checksum: string;
}

/** Written by the attempt as its last message of each group's stream; the journal keeps only id and digest. */
export interface Completion {
  readonly attemptId: string;
  /** Map key, or run/stage/task for a reduce task's output. */
  readonly producer: string;
  readonly exchange: string;
  /** All groups, so that one record describes the attempt; partitions without rows are left out. */
  readonly partitions: readonly PartitionTotals[];
  /** Data messages sent to each group's stream, in group order. */
  readonly messages: readonly number[];
}

export function completionDigest(completion: Completion): string {
  return sha256Hex(canonicalJson(completion as unknown as Json));
}

/**
 * Line accounting of one input file. rows + rejects + blank = lines (a header line is not counted).
 * Rows that went to the late table are rows; rows that the event-time rule rejects are rejects.
 */
export interface FileAccount {
  readonly file: FileFingerprint;
  /** SHA-256 of the stored bytes; for a row range of a Parquet file of the same share of its bytes. Older ones: empty. */
  readonly contentSha256: string;
  readonly plainBytes: number;
  readonly lines: number;
  readonly rows: number;
  readonly rejects: number;
  readonly blank: number;
  readonly outsideDay: number;
  readonly lastLineUnterminated: boolean;
}

export interface StagedFile {
  readonly model: string;
  /** Relative to the storage root, inside `stagingDir`. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ExchangeOutput {
  readonly exchange: string;
  readonly digest: string;
  /** Order-independent checksum over all partitions: compared when a producer runs again. */
  readonly checksum: string;
  readonly rows: number;
  readonly bytes: number;
  readonly messages: number;
}

export interface AttemptCounters {
  readonly rowsIn: number;
  readonly bytesIn: number;
  readonly rowsOut: number;
  readonly bytesOut: number;
  readonly elapsedMs: number;
  /** VmHWM of the worker process. */
  readonly peakMemoryBytes: number;
}

export interface AttemptSuccess {
  readonly kind: "done";
  readonly outputs: readonly ExchangeOutput[];
  readonly files: readonly StagedFile[];
  readonly accounts: readonly FileAccount[];
  /** Rejects file of this attempt, relative to the storage root; absent when no line was rejected. */
  readonly rejectsFile?: string;
  /** Records outside their day under rule `late_table`, relative to the storage root; absent when there are none. */
  readonly lateFile?: string;
  readonly counters: AttemptCounters;
  /** Value that a check's SQL gave, as text. */
  readonly checkValue?: string | null;
  /** Why a check's SQL gave no value: that is an answer, and what it means is the check's severity's business. */
  readonly checkFailure?: Failure;
}

export interface AttemptFailure {
  readonly kind: "failed";
  readonly failure: Failure;
}

export type AttemptOutcome = AttemptSuccess | AttemptFailure;

/** How far a running attempt is; only for people and for speculation. */
export interface AttemptProgress {
  readonly attemptId: string;
  readonly rows: number;
  readonly bytes: number;
}
