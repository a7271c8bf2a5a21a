/**
 * All I/O that Daymill's roles do, in our words, on one page. Each port has a real adapter and a memory one;
 * one contract suite runs on both. Errors are `DaymillError`s with codes of shared/kernel/failure.ts.
 */
import type { AlertDocument, Notice } from "./kernel/alert.ts";
import type { SourceLook, SourceToSee, StoredDesk } from "./kernel/days.ts";
import type { DimensionSpec, JobSpec, SourceSpec } from "./kernel/job.ts";
import type {
  DayOfJob,
  DayRevisions,
  RevisionOfDay,
  RunManifest,
  RunRequest,
} from "./kernel/manifest.ts";
import type { SqlAnswer, SqlQuestion } from "./kernel/sql-question.ts";
import type { StorageRoom } from "./kernel/status.ts";
import type { Instant } from "./kernel/time.ts";
import type { FileFingerprint } from "./kernel/work.ts";

export interface Clock {
  /** Monotonic milliseconds. */
  now(): Instant;
  /** Epoch milliseconds. */
  wall(): number;
}

export interface Log {
  /** Structured line; `fields` never hold row values or secrets. */
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

// --- leadership and journal -------------------------------------------------------------------

/** Who leads, as last heard. A hint: correctness rests on epochs, the journal and the storage fence. */
export interface LeaderHint {
  readonly epoch: number;
  readonly coordinator: string;
  /** gRPC `host:port`. */
  readonly address: string;
  /** Grows with every renewal; a change is a sign of life. */
  readonly beat: number;
}

export interface Registry {
  /** Exclusive creation of `epoch.<n>`; false when somebody has it. */
  takeEpoch(epoch: number, coordinator: string, address: string): Promise<boolean>;
  /** Highest epoch ever created, 0 when none. */
  highestEpoch(): Promise<number>;
  /** Publishes the leader's sign of life. */
  renew(hint: LeaderHint): Promise<void>;
  /** The current hint, if any. */
  leader(): Promise<LeaderHint | undefined>;
  /** Calls back with each hint heard from now on, the present one first; returns how to stop. */
  watchLeader(heard: (hint: LeaderHint) => void): Promise<() => void>;
  close(): Promise<void>;
}

export interface JournalRecord {
  readonly sequence: number;
  readonly text: string;
}

export interface Journal {
  /**
   * Appends one record after exactly `expected` (0 = empty journal); gives its sequence.
   * Somebody else appended: `journalConflict`. Whether it was saved is unknown: `unavailable` (re-read and decide).
   */
  append(expected: number, text: string): Promise<number>;
  /** Sequence of the last record, 0 when empty. */
  lastSequence(): Promise<number>;
  /** Records from `from` (inclusive) up to the present last one, in order. */
  read(from: number): AsyncIterable<JournalRecord>;
  /** Drops records up to and including `sequence` (after a snapshot is safe). */
  trim(sequence: number): Promise<void>;
}

// --- storage of the coordinator -----------------------------------------------------------------

/** A job as the user sent it; kept so that a restarted cluster still knows it. */
export interface StoredJob {
  readonly spec: JobSpec;
  readonly digest: string;
}

export interface Snapshot {
  readonly sequence: number;
  /** In order; together they may be longer than a text can be. */
  readonly texts: readonly string[];
}

export interface RevisionList {
  readonly days: readonly DayRevisions[];
  readonly next?: DayOfJob;
}

/**
 * Everything a leader does on storage. All writes go through its own folder `control/leaders/e<epoch>`;
 * once a newer leader has renamed that folder away they fail with `storageFenced`.
 */
export interface Store {
  /** Highest epoch that ever claimed this storage, 0 when none. */
  highestEpoch(): Promise<number>;
  /** Exclusive claim; renames every older leader's folder away. false: this epoch or a higher one is there. */
  claim(epoch: number): Promise<boolean>;
  saveJob(epoch: number, job: StoredJob): Promise<void>;
  readJobs(): Promise<readonly StoredJob[]>;
  /** By run; on storage before the run is promised to anybody. */
  saveRequest(epoch: number, request: RunRequest): Promise<void>;
  readRequests(): Promise<readonly RunRequest[]>;
  /** By job, replacing what was there; on storage before anybody is told that it is in force. */
  saveDesk(epoch: number, desk: StoredDesk): Promise<void>;
  readDesks(): Promise<readonly StoredDesk[]>;
  /** Replacing what was there; on storage before anybody is told that what they said is in force. */
  saveAlerts(epoch: number, document: AlertDocument): Promise<void>;
  readAlerts(): Promise<AlertDocument | undefined>;
  /** Of what the storage lies on. */
  room(): Promise<StorageRoom>;
  /** The run has its manifest. None there is fine. */
  dropRequest(epoch: number, run: string): Promise<void>;
  saveSnapshot(epoch: number, snapshot: Snapshot): Promise<void>;
  /** The newest snapshot whose checksum holds. */
  readSnapshot(): Promise<Snapshot | undefined>;
  readManifests(): Promise<readonly RunManifest[]>;
  readManifest(job: string, day: string, revision: number): Promise<RunManifest | undefined>;
  /**
   * Brings staged files, and files of the same dataset in an earlier revision of the day, to their final place `revisions/<job>/<day>/r<k>-e<epoch>/<dataset>/…` (not visible yet).
   * Gives the final paths in the order of `files`. Done twice it gives the same.
   */
  arrange(
    epoch: number,
    run: RevisionOfDay,
    files: readonly { dataset: string; staged: string }[],
  ): Promise<readonly string[]>;
  /** Exclusive creation of the manifest's name: the commit. Gives what is there afterwards, ours or another's. */
  commit(epoch: number, manifest: RunManifest): Promise<RunManifest>;
  /** Moves `current/<job>/<day>` to the manifest's revision by one atomic rename; makes missing dataset links. */
  publish(epoch: number, manifest: RunManifest): Promise<void>;
  /**
   * Writes beside the manifest of a quarantined revision that it is released, exclusively; shows nothing yet. Gives the
   * manifest as it reads now: `committed` with `released`, or as it is when it is in no quarantine. `conflict`: another
   * job shows one of its datasets. No manifest: `unknownRun`.
   */
  release(epoch: number, run: RevisionOfDay, wallMs: number): Promise<RunManifest>;
  /** After a takeover: every view points at the highest committed revision of its day. */
  rebuildViews(epoch: number): Promise<void>;
  /** `conflict` when readers see one of these datasets of the day from another job, which it names. */
  checkViews(job: string, day: string, datasets: readonly string[]): Promise<void>;
  /** Ids of the runs that have a folder in `staging`, in order. */
  listStaging(): Promise<readonly string[]>;
  /** Paths of all files in `staging/<run>`, relative to the storage root, in order. */
  listStaged(run: string): Promise<readonly string[]>;
  /** What the files in `staging/<run>` take up. */
  stagingBytes(run: string): Promise<number>;
  /** Removes `staging/<run>`. */
  dropStaging(epoch: number, run: string): Promise<void>;
  /**
   * Days that have arranged files with what they take up, in the order of job and day, from `from` on; at most
   * `daysMax`. `next`: the first day that was left out.
   */
  listRevisions(from: DayOfJob | undefined, daysMax: number): Promise<RevisionList>;
  /**
   * Removes one arrangement of a revision, or these folders of it. Manifests stay. None there is fine.
   * `conflict`: readers see it.
   */
  dropRevision(
    epoch: number,
    run: RevisionOfDay,
    arrangedBy: number,
    datasets: readonly string[] | "all",
  ): Promise<void>;
}

/** Looks at input files; never follows a path out of the allowed root. */
export interface Inputs {
  /** Files of a source's day in path order. None: `inputMissing`. Zero length: `inputEmpty` unless allowed. */
  listSource(source: SourceSpec, day: string): Promise<readonly FileFingerprint[]>;
  /** Rows of each Parquet file, for cutting. */
  parquetRows(files: readonly FileFingerprint[]): Promise<readonly number[]>;
  dimension(spec: DimensionSpec, day: string): Promise<FileFingerprint>;
  /**
   * What lies there for a day, per source and in their order. Nothing there, empty files and a control file that is
   * not there yet are values; what can't be looked at or understood is the look's `problem`.
   */
  look(sources: readonly SourceToSee[], day: string): Promise<readonly SourceLook[]>;
}

// --- planning -------------------------------------------------------------------------------------

export interface SqlBinder {
  ask(question: SqlQuestion): Promise<SqlAnswer>;
  /** DuckDB's version text, e.g. `v1.5.6`. */
  version(): string;
}

// --- exchange -------------------------------------------------------------------------------------

export interface ExchangeUsage {
  readonly stream: string;
  readonly bytes: number;
  readonly messages: number;
}

/** The records of one stream, each list in order of attempt ids. */
export interface ExchangeRecords {
  /** Attempts whose completion record is there: they have sent everything that goes into this stream. */
  readonly complete: readonly string[];
  /** Accounts of map attempts (`MapAccount` as text) that are in this stream; each attempt's is in one only. */
  readonly accounts: readonly string[];
}

/** The leader's side of the exchange: making and dropping streams. */
export interface ExchangeAdmin {
  /** Makes what is missing; gives the names of those newly made (what they held before is gone). */
  ensure(streams: readonly string[]): Promise<readonly string[]>;
  drop(streams: readonly string[]): Promise<void>;
  /** Removes what one attempt wrote, its completion record too. A stream that is gone is fine; so is doing it twice. */
  purge(streams: readonly string[], attemptId: string): Promise<void>;
  usage(): Promise<readonly ExchangeUsage[]>;
  /** Attempts of which anything is in the stream, in order, without a look at rows; undefined: no such stream. */
  writers(stream: string): Promise<readonly string[] | undefined>;
  /** What re-indexes a lost journal, without a look at rows; undefined when there is no such stream. */
  completions(stream: string): Promise<ExchangeRecords | undefined>;
}

/** Room in NATS that journal and registry can still write in when everything else is full. */
export interface Reserve {
  /** Makes what is missing of it. false: there is no room for it. */
  hold(): Promise<boolean>;
  /** Gives it away: until it is whole again no rows are written. true when there was something to give, or was a moment ago. */
  spend(): Promise<boolean>;
}

// --- telling the world ------------------------------------------------------------------------------

/** CloudEvents 1.0 on `daymill.events.<job>.<day>.<kind>`. Best effort: events are hints, manifests are facts. */
export interface Events {
  publish(event: {
    readonly job: string;
    readonly day: string;
    readonly kind: string;
    readonly wallMs: number;
    readonly data: Readonly<Record<string, unknown>>;
  }): void;
}

/** Takes notices to where people read them. Each channel has a breaker of its own: one that fails is left alone for a while. */
export interface AlertSender {
  /**
   * Returns when the channel's receiver has taken it. Throws `unavailable` (busy, away, breaker open; with
   * `detail.retryAfterMs` where the receiver or the breaker says when), `timeout`, or `badRequest` when trying again is
   * of no use. No secret is in a message.
   */
  send(notice: Notice): Promise<void>;
  /** Tells the monitor outside that there is a leader; throws like `send`. */
  heartbeat(): Promise<void>;
  /** How the breakers stand; calls back at each change. */
  watchChannels(onChange: (channel: string, state: ChannelState, reason: string) => void): void;
  close(): Promise<void>;
}

/** `resting`: too many failures, left alone; `probing`: the next try decides. */
export type ChannelState = "working" | "resting" | "probing";
