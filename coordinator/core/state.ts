/**
 * The coordinator's whole state: durable state (folded from the journal) and what only this process knows.
 * It is owned by one actor and changed in place inside `step`; between steps it may be read, never kept or changed.
 * What must hold after every step is in invariants.ts.
 */
import type { AlertConfig, AlertDocument } from "../../shared/kernel/alert.ts";
import type { StoredDesk } from "../../shared/kernel/days.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { Lane } from "../../shared/kernel/lane.ts";
import type {
  DayOfJob,
  DayRevisions,
  RunManifest,
  RunRequest,
} from "../../shared/kernel/manifest.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { RunOrigin, RunStart } from "../../shared/kernel/status.ts";
import type { Day, Instant } from "../../shared/kernel/time.ts";
import { type AlertDesk, type AlertPurpose, emptyAlerts } from "./alerts/alert-state.ts";
import type { BackfillStart } from "./days/backfill.ts";
import { type Desk, emptyDesk } from "./days/desk-state.ts";
import { type Durable, emptyDurable } from "./durable.ts";
import type { Exclusion, Outcome } from "./exclusion.ts";
import type { Fact, PlannedExchange } from "./facts.ts";
import type { GcGathering } from "./gc.ts";
import type { FactReader } from "./journal-text.ts";
import { type Counted, emptyCounted } from "./metrics/counted.ts";
import { emptyPlaces, type Places } from "./places.ts";
import type { Answer, Ask, AskId, ConnectionId, Effect, ReplyId } from "./protocol.ts";
import type { Releasing } from "./release.ts";
import { emptySpace, type Space } from "./space-state.ts";

/** What a coordinator process is told at its start. */
export interface CoordinatorConfig {
  readonly coordinator: string;
  /** gRPC `host:port` that others reach us at. */
  readonly address: string;
  /** Prefix of stream names: two clusters may share one NATS. */
  readonly cluster: string;
  /** DuckDB version of our own binder; executors must have the same. */
  readonly duckdb: string;
  /** Absent: nothing is looked for and nobody is told. */
  readonly alerts?: AlertConfig;
}

export interface CoordinatorState {
  readonly config: CoordinatorConfig;
  role: Role;
  /** The process wants to end: it never leads again. */
  stopping: boolean;
  /** Highest epoch heard of from anywhere; never goes back. */
  epochSeen: number;
  /** Highest epoch that gave a sign of life. */
  epochHeard: number;
  /** Last known leader's `host:port`, empty when unknown. */
  leaderAddress: string;
  durable: Durable;
  /** By run that makes some models: the revision that it carries the others over from, as it was read last. */
  readonly carried: Map<string, RunManifest>;
  journal: JournalState;
  readonly executors: Map<string, ExecutorState>;
  /** Where work can go: follows from `executors`. */
  places: Places;
  /** When slow attempts are looked for again. */
  slowLookAt: Instant;
  /** Connection → executor id, for the newest connection of each executor. */
  readonly connections: Map<ConnectionId, string>;
  /** Submissions whose job is being planned or saved, by `dayKey`. */
  readonly submissions: Map<string, Submission>;
  /** Promised runs that the journal does not know and that wait for an earlier run of their day to end. */
  unrestored: readonly RunRequest[];
  /** Questions to the shell that are not answered yet. */
  readonly asked: Map<AskId, Asked>;
  /** Asks to be made again, soonest first is not kept: the list is short. */
  retries: Retry[];
  /** Runs whose streams are being looked at; none of their tasks starts meanwhile. */
  readonly streamsChecking: Set<string>;
  /** Runs on whose behalf the exchange is searched for outputs that the journal does not know. */
  readonly reindexing: Map<string, Reindexing>;
  /** This leadership began with a journal that had lost records: what it knows of the exchange may be too little. */
  journalLost: boolean;
  /** The journal went back under us: whoever leads next began with less than there was. It may be us. */
  journalWentBack: boolean;
  /** Runs some of whose streams can't be reached. */
  readonly outages: Map<string, Outage>;
  /** Runs that can't go on for lack of room or rights: what of them → why (waiting.ts). */
  readonly waiting: Map<string, Map<string, Failure>>;
  /** Stages whose tasks are being compared with kept outputs: `run|stage index` → next task. */
  readonly reusing: Map<string, number>;
  /** Tasks that must not start before an instant, by `taskKey`. */
  readonly delays: Map<string, Instant>;
  space: Space;
  oldFiles: OldFiles;
  /** `job|day|revision` → callers of this process that are being sent its rows. */
  readonly readers: Map<string, number>;
  /** Reports on what goes that are being made, by their caller. */
  readonly reports: Map<ReplyId, GcGathering>;
  leftovers: Leftovers;
  desk: Desk;
  alerts: AlertDesk;
  /** What this leadership has decided, in figures for others. */
  counted: Counted;
  nextAsk: AskId;
  /** Numbers the attempts of this leadership. */
  nextAttempt: number;
  /** `again` was told and its `proceed` has not come yet. */
  proceeding: boolean;
}

export type Role =
  | {
      readonly kind: "standby";
      /** Since when no leader has been heard; undefined before the first tick. */
      silentSince: Instant | undefined;
      looked: boolean;
    }
  | Candidate
  | { readonly kind: "leader"; readonly epoch: number; readonly renewal: Renewal };

/** On the way to lead; each phase waits for one answer. */
export interface Candidate {
  readonly kind: "candidate";
  phase: "fences" | "taking" | "claiming" | "storage" | "journal" | "leading";
  epoch: number;
  /** Set once the epoch is taken: from then on others must hear of us. */
  renewal: Renewal | undefined;
  /** Epoch taking began here: the first sign of life counts from before it was sent. */
  sentAt: Instant;
  jobs: readonly { readonly spec: JobSpec; readonly digest: string }[];
  requests: readonly RunRequest[];
  manifests: readonly RunManifest[];
  desks: readonly StoredDesk[];
  alerts: AlertDocument | undefined;
  snapshot: { readonly sequence: number; readonly texts: readonly string[] } | undefined;
  /** Next record to fold. */
  from: number;
  reader: FactReader;
  ledText: string;
  ledRetryAt?: Instant;
  /** Records folded since the snapshot, and the length of their texts. */
  folded: number;
  units: number;
  /** Records are missing that were there. */
  lost: boolean;
  /** What was read where some are missing, until it is known whether somebody else leads. */
  gap?: Extract<Answer, { kind: "records" }>;
}

export interface Renewal {
  beat: number;
  sentAt: Instant;
  /** When the last acknowledged renewal was sent. */
  provenAt: Instant;
}

export interface JournalState {
  /** Last saved record. */
  sequence: number;
  /** Facts decided under this leadership, and how many of them are saved. */
  decided: number;
  saved: number;
  /** Decided facts that are in no append yet. They are folded already. */
  unsaved: Fact[];
  flight: Flight | undefined;
  appends: number;
  /** Effects that wait until the facts decided before them are saved. */
  held: { readonly after: number; readonly effect: Effect }[];
  recordsSinceSnapshot: number;
  /** Length of the texts appended since the last snapshot, and of that snapshot; 0 = none yet, or one is due. */
  unitsSinceSnapshot: number;
  snapshotUnits: number;
  snapshotting: boolean;
}

/** The one append under way. */
export interface Flight {
  readonly texts: readonly string[];
  next: number;
  /** Failures of its present record in a row. */
  tries: number;
  readonly facts: number;
  /** Durable state as of this append's last fact, when a snapshot was due. */
  readonly snapshot: readonly string[] | undefined;
}

export interface ExecutorState {
  readonly id: string;
  readonly incarnation: number;
  connection: ConnectionId | undefined;
  slots: number;
  host: string;
  pid: number;
  heardAt: Instant;
  readonly joinedMs: number;
  draining: boolean;
  /** Given up; kept to be shown until it comes back or is forgotten. */
  lost: boolean;
  lostAt: Instant;
  /** Attempts that take up a slot there, as far as we know. Changed by places.ts only. */
  readonly busy: Map<string, Busy>;
  committed: number;
  failed: number;
  peakMemoryBytes: number;
  workerPids: readonly number[];
  /** The last ones, oldest first. */
  readonly outcomes: Outcome[];
  exclusion: Exclusion | undefined;
  /** Exclusions in a row, and when the last one ended. */
  exclusions: number;
  excludedLast: Instant;
}

export interface Busy {
  /** Start of the attempt; for one of an earlier leader a guess from its wall clock. */
  readonly since: Instant;
  /** Of its run when it began; undefined for an attempt of a run that we don't know. */
  readonly lane: Lane | undefined;
  namedAt: Instant;
  /** When it told other figures than before. */
  movedAt: Instant;
  rows: number;
  bytes: number;
}

export interface Submission {
  readonly job: JobSpec;
  readonly digest: string;
  readonly day: Day;
  plan: JobPlan | undefined;
  /** What the run will be asked for by; that of the first waiter, or of a run that is restored. */
  readonly requestId: string;
  /** Promised under a journal that is lost; nobody waits, unless somebody submits the same day again. */
  readonly isRestored: boolean;
  /** Set when the leader itself starts the day. */
  readonly byDesk?: {
    readonly origin: RunOrigin;
    readonly missing: number;
    readonly upstream: Readonly<Record<string, number>>;
  } & Pick<RunStart, "news" | "by">;
  /** Otherwise: who or what it was started by. */
  readonly start?: RunStart;
  /** Models that are wanted, in the words of the request until there is a plan; absent: all. */
  select?: readonly string[] | undefined;
  /** The most urgent that was asked for. */
  lane: Lane;
  /** The run maps what is final until its day is ready. */
  readonly isGathering?: true;
  readonly waiters: { readonly reply: ReplyId; readonly requestId: string }[];
}

/** What a run is planned from. */
export type Listing = Extract<Answer, { kind: "listed" }> & {
  /** Files that are final, of a day that is not ready. */
  readonly isPartial?: true;
};

/** A look into the exchange for what a run's scans may have left there. */
export interface Reindexing {
  /** What the run is planned from; undefined when it is planned already. */
  readonly listed: Listing | undefined;
  readonly exchanges: readonly PlannedExchange[];
}

export interface Outage {
  since: Instant;
  /** Exchanges that were given new streams since then. */
  readonly moved: Set<string>;
}

/** Where the search for old files on storage is. */
export interface OldFiles {
  nextLookAt: Instant;
  /** The day to go on with; undefined: a new round. */
  from: DayOfJob | undefined;
  /** The job that the round is at, and what is left of its days, where a bound of bytes is about all of them. */
  job: string;
  seen: DayRevisions[];
}

/** Where the search for rows that are nobody's in kept streams is. */
export interface Leftovers {
  /** When all kept streams are taken up again. */
  nextRoundAt: Instant;
  nextLookAt: Instant;
  /** Stream → from when on it can be looked at. */
  readonly unread: Map<string, Instant>;
}

/** What an unanswered question is for. */
export type Purpose =
  | { readonly kind: "firstLook" }
  | { readonly kind: "candidacy" }
  | { readonly kind: "renewal"; readonly sentAt: Instant }
  | { readonly kind: "append" }
  | { readonly kind: "verify" }
  | { readonly kind: "snapshot"; readonly sequence: number }
  | { readonly kind: "submission"; readonly key: string }
  | { readonly kind: "run"; readonly run: string }
  | { readonly kind: "publish"; readonly run: string; readonly manifest: RunManifest }
  | Releasing
  /** A look at what exchange or staging hold. */
  | { readonly kind: "space" }
  /** A look at what revisions lie on storage: of one day, or as a part of the round over all. */
  | { readonly kind: "oldFiles"; readonly isRound: boolean }
  /** A part of a report on what goes. */
  | { readonly kind: "report"; readonly reply: ReplyId }
  /** A look at who has written to kept streams. */
  | { readonly kind: "leftovers" }
  /** The calendar of a job; a look at a day, by `dayKey`; what people said about a job's days. */
  | { readonly kind: "calendar"; readonly job: string }
  | { readonly kind: "look"; readonly key: string }
  /** A look at a day before the window. */
  | { readonly kind: "lateLook"; readonly job: string; readonly day: Day }
  | { readonly kind: "desk"; readonly job: string }
  /** Which days are over, before a backfill starts. */
  | { readonly kind: "backfill"; readonly reply: ReplyId; readonly start: BackfillStart }
  | { readonly kind: "alerts"; readonly of: AlertPurpose }
  /** Housekeeping: nothing waits for it. */
  | { readonly kind: "background" };

export interface Asked {
  readonly ask: Ask;
  readonly purpose: Purpose;
  readonly tries: number;
}

export interface Retry extends Asked {
  readonly at: Instant;
}

/** An answer together with the question that it belongs to. */
export interface Answered extends Asked {
  readonly answer: Answer;
}

export function initialState(config: CoordinatorConfig): CoordinatorState {
  return {
    config,
    role: { kind: "standby", silentSince: undefined, looked: false },
    stopping: false,
    epochSeen: 0,
    epochHeard: 0,
    leaderAddress: "",
    durable: emptyDurable(),
    carried: new Map(),
    journal: emptyJournal(),
    executors: new Map(),
    places: emptyPlaces(),
    slowLookAt: 0,
    connections: new Map(),
    submissions: new Map(),
    unrestored: [],
    asked: new Map(),
    retries: [],
    streamsChecking: new Set(),
    reindexing: new Map(),
    journalLost: false,
    journalWentBack: false,
    outages: new Map(),
    waiting: new Map(),
    reusing: new Map(),
    delays: new Map(),
    space: emptySpace(),
    oldFiles: noOldFiles(),
    readers: new Map(),
    reports: new Map(),
    leftovers: noLeftovers(),
    desk: emptyDesk(),
    alerts: emptyAlerts(),
    counted: emptyCounted(),
    nextAsk: 1,
    nextAttempt: 1,
    proceeding: false,
  };
}

export function noOldFiles(): OldFiles {
  return { nextLookAt: 0, from: undefined, job: "", seen: [] };
}

export function noLeftovers(): Leftovers {
  return { nextRoundAt: 0, nextLookAt: 0, unread: new Map() };
}

export function emptyJournal(): JournalState {
  return {
    sequence: 0,
    decided: 0,
    saved: 0,
    unsaved: [],
    flight: undefined,
    appends: 0,
    held: [],
    recordsSinceSnapshot: 0,
    unitsSinceSnapshot: 0,
    snapshotUnits: 0,
    snapshotting: false,
  };
}
