/**
 * Everything that can happen to a coordinator (`Message`) and everything that it can have done (`Effect`).
 * Two sorts of effects: an `Ask` carries an `id` and is answered exactly once by the message
 * `answered { id, answer }` (an error becomes the answer `failed`); a `Tell` is never answered.
 * The shell carries effects out in the order given, and decides nothing.
 */
import type { AlertDocument } from "../../shared/kernel/alert.ts";
import type { StoredDesk } from "../../shared/kernel/days.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { HistoryPin } from "../../shared/kernel/history.ts";
import type { DimensionSpec, JobSpec, SourceSpec } from "../../shared/kernel/job.ts";
import type { Lane } from "../../shared/kernel/lane.ts";
import type {
  DayOfJob,
  DayRevisions,
  RunManifest,
  RunRequest,
} from "../../shared/kernel/manifest.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { Stamp, StorageRoom } from "../../shared/kernel/status.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { UpkeepAction } from "../../shared/kernel/upkeep.ts";
import type { AttemptOutcome, AttemptProgress, FileFingerprint } from "../../shared/kernel/work.ts";
import type { AlertMessage, AlertsAsk, ChannelMessage } from "./protocol-alerts.ts";
import type { DaysAnswer, DaysAsk, DaysMessage } from "./protocol-days.ts";
import type { StorageAsk } from "./protocol-storage.ts";
import type { ExecutorCommand, Question, Reply } from "./replies.ts";

export type { ExecutorCommand, Question, Reply } from "./replies.ts";

/** Names one question to the shell; never used twice in the life of a process. */
export type AskId = number;
/** Names one caller waiting in the shell; chosen by the shell, never used twice. */
export type ReplyId = number;
/** Names one Attach stream; chosen by the shell, never used twice. */
export type ConnectionId = number;

// --- messages ---------------------------------------------------------------------------------

export type Message =
  /** Time passes: post one every `limits.tickEveryMs`. Nothing times out without it. */
  | { readonly kind: "tick" }
  /** The core asked (Tell `again`) for another turn. */
  | { readonly kind: "proceed" }
  /** Each hint of Registry.watchLeader, our own ones included. */
  | {
      readonly kind: "leaderHeard";
      readonly epoch: number;
      readonly coordinator: string;
      readonly address: string;
      readonly beat: number;
    }
  | { readonly kind: "answered"; readonly id: AskId; readonly answer: Answer }
  /** The process wants to end: stop leading, refuse everything from now on. */
  | { readonly kind: "stop" }
  | ChannelMessage
  | ClientMessage
  | ExecutorMessage;

/** From callers; each is answered by one Tell `reply` with the same `reply`. */
export type ClientMessage =
  | DaysMessage
  | AlertMessage
  | {
      readonly kind: "submit";
      readonly reply: ReplyId;
      readonly requestId: string;
      /** The parsed job, or the name of one that the cluster knows. */
      readonly job: JobSpec | string;
      readonly day: Day;
      readonly rerun: boolean;
      /** Absent: live. A run that is there already in a less urgent lane is raised to it. */
      readonly lane?: Lane;
      /** Who asks, as their client says. */
      readonly by?: string;
      /** Some models only (shared/kernel/selection.ts); absent: all. */
      readonly select?: readonly string[];
    }
  | {
      readonly kind: "cancelRun";
      readonly reply: ReplyId;
      readonly run: string;
      readonly reason: string;
    }
  /** Shows a quarantined run to readers. */
  | { readonly kind: "releaseRun"; readonly reply: ReplyId; readonly run: string }
  | { readonly kind: "drainExecutor"; readonly reply: ReplyId; readonly executor: string }
  | { readonly kind: "upkeep"; readonly reply: ReplyId; readonly action: UpkeepAction }
  | { readonly kind: "question"; readonly reply: ReplyId; readonly question: Question };

/** From Attach streams. Messages of a connection that is not the executor's newest one are ignored. */
export type ExecutorMessage =
  | { readonly kind: "attached"; readonly connection: ConnectionId; readonly hello: Hello }
  | {
      readonly kind: "heartbeat";
      readonly connection: ConnectionId;
      readonly running: readonly AttemptProgress[];
      readonly workerPids: readonly number[];
      readonly peakMemoryBytes: number;
    }
  | {
      readonly kind: "report";
      readonly connection: ConnectionId;
      readonly attemptId: string;
      readonly outcome: AttemptOutcome;
    }
  | { readonly kind: "draining"; readonly connection: ConnectionId; readonly reason: string }
  | { readonly kind: "detached"; readonly connection: ConnectionId };

export interface Hello {
  readonly executor: string;
  readonly incarnation: number;
  readonly slots: number;
  readonly host: string;
  readonly pid: number;
  readonly duckdb: string;
  readonly wire: number;
  readonly hash: number;
  readonly runningAttempts: readonly string[];
  readonly highestEpoch: number;
  readonly version: string;
}

// --- effects ----------------------------------------------------------------------------------

export type Effect = Ask | Tell;

/**
 * Effects with an answer. `epoch` is the leadership that asks; adapters pass it on where the port takes it.
 * In the comment of each: the port call and the kind of its answer.
 */
export type Ask =
  | StorageAsk
  | DaysAsk
  | AlertsAsk
  /** Registry.highestEpoch + Store.highestEpoch → `fences`. */
  | { readonly kind: "readFences"; readonly id: AskId }
  /** Registry.takeEpoch → `taken`. */
  | { readonly kind: "takeEpoch"; readonly id: AskId; readonly epoch: number }
  /** Store.claim → `taken`. */
  | { readonly kind: "claimStorage"; readonly id: AskId; readonly epoch: number }
  /** Journal.lastSequence first, then at most `recordsMax` records of Journal.read(from) → `records`. */
  | {
      readonly kind: "readJournal";
      readonly id: AskId;
      readonly from: number;
      readonly recordsMax: number;
    }
  /** Registry.renew with our own address → `ok`. Never queued behind other effects. */
  | {
      readonly kind: "renew";
      readonly id: AskId;
      readonly epoch: number;
      readonly beat: number;
    }
  /** Journal.append → `appended`. Every error comes back as it is; the core re-reads and decides. */
  | {
      readonly kind: "append";
      readonly id: AskId;
      readonly epoch: number;
      readonly expected: number;
      readonly text: string;
    }
  /** Journal.trim → `ok`. */
  | { readonly kind: "trimJournal"; readonly id: AskId; readonly sequence: number }
  /** SQL to stages (planWithBinder) → `planned`. Touches no input file. */
  | {
      readonly kind: "planJob";
      readonly id: AskId;
      /** In the form of a day. */
      readonly job: JobSpec;
      /** Its forms from other days on: they have to plan as well, but nothing else is told of them. */
      readonly others?: readonly { readonly from: Day; readonly job: JobSpec }[];
    }
  /**
   * Inputs.listSource for each, parquetRows for Parquet ones, Inputs.dimension for each; twins by the control file where
   * a source has one; files of pinned days by their manifests → `listed`.
   */
  | {
      readonly kind: "listInputs";
      readonly id: AskId;
      readonly day: Day;
      readonly sources: readonly SourceSpec[];
      /** By source. */
      readonly ready?: JobSpec["ready"];
      /** Listed behind the sources, under the names of their tables. */
      readonly history?: readonly HistoryPin[];
      readonly dimensions: readonly DimensionSpec[];
    }
  /** ExchangeAdmin.ensure → `ensured`. */
  | { readonly kind: "ensureStreams"; readonly id: AskId; readonly streams: readonly string[] }
  /** ExchangeAdmin.drop → `ok`. */
  | { readonly kind: "dropStreams"; readonly id: AskId; readonly streams: readonly string[] }
  /** ExchangeAdmin.usage → `usage`. */
  | { readonly kind: "readUsage"; readonly id: AskId }
  /** ExchangeAdmin.completions of each stream, Store.listStaged of the run → `completions`. */
  | {
      readonly kind: "readCompletions";
      readonly id: AskId;
      readonly run: string;
      readonly streams: readonly string[];
    }
  /** ExchangeAdmin.writers of each stream → `writers`. */
  | { readonly kind: "listWriters"; readonly id: AskId; readonly streams: readonly string[] }
  /** ExchangeAdmin.purge of each attempt → `ok`. */
  | {
      readonly kind: "purgeStreams";
      readonly id: AskId;
      readonly streams: readonly string[];
      readonly attempts: readonly string[];
    };

export type Answer =
  | DaysAnswer
  | { readonly kind: "ok" }
  | { readonly kind: "fences"; readonly registry: number; readonly storage: number }
  | { readonly kind: "taken"; readonly taken: boolean }
  | {
      readonly kind: "stored";
      readonly jobs: readonly { readonly spec: JobSpec; readonly digest: string }[];
      readonly requests: readonly RunRequest[];
      readonly manifests: readonly RunManifest[];
      readonly snapshot?: { readonly sequence: number; readonly texts: readonly string[] };
      readonly desks?: readonly StoredDesk[];
      readonly alerts?: AlertDocument;
    }
  /** Records in order from the asked one on; `last` is the journal's last sequence (0 = empty, or lost). */
  | {
      readonly kind: "records";
      readonly last: number;
      readonly records: readonly { readonly sequence: number; readonly text: string }[];
    }
  | { readonly kind: "appended"; readonly sequence: number }
  | { readonly kind: "planned"; readonly plan: JobPlan }
  | {
      readonly kind: "listed";
      /** In the order asked. */
      readonly sources: readonly ListedSource[];
      /** In the order asked. */
      readonly dimensions: readonly FileFingerprint[];
    }
  /** Names of the streams that did not exist before: they are empty. */
  | { readonly kind: "ensured"; readonly created: readonly string[] }
  /** Final paths in the order of `files`. */
  | { readonly kind: "arranged"; readonly paths: readonly string[] }
  | { readonly kind: "manifest"; readonly manifest: RunManifest }
  /** A revision as it reads now; absent: it has no manifest. */
  | { readonly kind: "revision"; readonly manifest?: RunManifest }
  /** All exchange streams that there are, also those of other clusters on the same servers. */
  | {
      readonly kind: "usage";
      readonly streams: readonly { readonly stream: string; readonly bytes: number }[];
      /** NATS has so little room left that not even what is kept free for the journal fits. */
      readonly isTight?: true;
    }
  | {
      readonly kind: "completions";
      /** Without those that are gone. */
      readonly streams: readonly StreamRecords[];
      /** Files in the run's staging folder. */
      readonly staged: readonly string[];
    }
  /** All files in the staging folders of these runs. */
  | {
      readonly kind: "staged";
      readonly runs: readonly string[];
      readonly paths: readonly string[];
    }
  | {
      readonly kind: "writers";
      /** Without those that are gone. */
      readonly streams: readonly {
        readonly stream: string;
        readonly attempts: readonly string[];
      }[];
    }
  /** `bytes`: of each, where that was asked for; `room`: of the storage, where it can be told. */
  | {
      readonly kind: "staging";
      readonly runs: readonly string[];
      readonly bytes?: readonly number[];
      readonly room?: StorageRoom;
    }
  | {
      readonly kind: "revisions";
      readonly days: readonly DayRevisions[];
      readonly next?: DayOfJob;
    }
  | { readonly kind: "failed"; readonly failure: Failure };

export interface StreamRecords {
  readonly stream: string;
  /** Attempts whose completion record is there. */
  readonly complete: readonly string[];
  /** `MapAccount`s as text. */
  readonly accounts: readonly string[];
}

export interface ListedSource {
  readonly source: string;
  /** In path order. */
  readonly files: readonly FileFingerprint[];
  /** Parquet only: rows of each file, in the order of `files`. */
  readonly rows?: readonly number[];
  /** Files that a control file gives the checksum (SHA-256 as stored) of another one, and that one, which counts. */
  readonly twins?: readonly {
    readonly path: string;
    readonly twin: string;
    readonly contentSha256: string;
  }[];
}

export type Tell =
  /** Post `proceed` soon (after other waiting messages had their turn). */
  | { readonly kind: "again" }
  /** One command down one Attach stream, stamped with the epoch. A closed connection is ignored. */
  | {
      readonly kind: "toExecutor";
      readonly connection: ConnectionId;
      readonly epoch: number;
      readonly command: ExecutorCommand;
    }
  /** End an Attach stream (after what was sent before). */
  | { readonly kind: "closeConnection"; readonly connection: ConnectionId }
  | {
      readonly kind: "reply";
      readonly reply: ReplyId;
      readonly stamp: Stamp;
      readonly result: Reply;
    }
  /** Events.publish. Cluster-wide events have job `_cluster` and day `_`. */
  | {
      readonly kind: "publishEvent";
      readonly job: string;
      readonly day: string;
      readonly event: EventKind;
      readonly wallMs: number;
      readonly data: Readonly<Record<string, unknown>>;
    }
  /** Something that watchers of this run show has changed. */
  | { readonly kind: "runChanged"; readonly run: string }
  /** For health checks and logs; the leader serves commands from now on. */
  | { readonly kind: "roleChanged"; readonly role: RoleName; readonly epoch: number }
  | {
      readonly kind: "log";
      readonly level: "info" | "warn" | "error";
      readonly message: string;
      readonly fields: Readonly<Record<string, string | number>>;
    };

export type RoleName = "standby" | "candidate" | "leader";

export type EventKind =
  | "run.created"
  | "run.planned"
  | "run.started"
  | "run.waiting"
  | "run.resumed"
  | "run.committed"
  | "run.quarantined"
  | "run.failed"
  | "run.cancelled"
  | "check.failed"
  | "file.dropped"
  | "stage.started"
  | "stage.done"
  | "task.failed"
  | "task.speculated"
  | "executor.joined"
  | "executor.excluded"
  | "executor.lost"
  | "executor.drained"
  | "leader.changed"
  | "exchange.evicted"
  | "file.late"
  | "day.changed"
  | "delivery.acknowledged"
  | "deadline.missed"
  | "deadline.projected"
  | "alert.opened"
  | "alert.ended"
  | "channel.changed"
  | "dataset.committed";
