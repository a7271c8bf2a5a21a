/**
 * The journal's vocabulary: what the leader has decided or learned and must remember after a crash.
 * Durable state changes by `fold` of a fact (fold.ts) and in no other way. Old facts stay readable:
 * members are added, never renamed.
 */
import type { Backfill, BackfillDay } from "../../shared/kernel/backfill.ts";
import type { CheckResult } from "../../shared/kernel/check.ts";
import type { DayMark, DeskDocument } from "../../shared/kernel/days.ts";
import type { ShownRevision } from "../../shared/kernel/delivery.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { HistoryPin } from "../../shared/kernel/history.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { Lane } from "../../shared/kernel/lane.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { DatasetStatus, RunNews, RunOrigin } from "../../shared/kernel/status.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { AttemptSuccess, FileFingerprint, Split } from "../../shared/kernel/work.ts";
import type { AlertsFact } from "./alerts/book.ts";
import type { DayFigures } from "./check-history.ts";
import type { DayPlan, InputDigests, InputKnown } from "./days/day.ts";
import type { DroppedFile, TaskResult } from "./durable.ts";

/** How a scan stage is cut; task i reads split i. */
export interface PlannedScan {
  readonly stage: string;
  readonly splits: readonly Split[];
  /** Set when the stage's outputs are kept for later runs of the day: the scope that they are kept under. */
  readonly scope?: string;
  /** How many of the splits, the first ones, were cut by an earlier run of the day; absent: none, or all. */
  readonly former?: number;
  /** Listed files that are in no split, for their content is another one's. */
  readonly dropped?: readonly DroppedFile[];
}

/** What is appended to a scan stage. */
export interface AddedScan {
  readonly stage: string;
  /** Splits that it had before: it takes no others than these behind them. */
  readonly from: number;
  readonly splits: readonly Split[];
  /** Instead of what was left out so far. */
  readonly dropped?: readonly DroppedFile[];
}

export interface PlannedExchange {
  readonly exchange: string;
  /** Stream names by group. */
  readonly streams: readonly string[];
  /** Equal to the producing stage's scope when its contents may outlive the run. */
  readonly scope?: string;
}

export type Fact =
  /** First record of a leadership: whatever an older leader had in flight is void. */
  | {
      readonly kind: "led";
      readonly epoch: number;
      readonly coordinator: string;
      readonly wallMs: number;
    }
  | { readonly kind: "jobSaved"; readonly digest: string; readonly spec: JobSpec }
  /** A manifest on storage that the journal did not know (lost journal, restored storage). */
  | {
      readonly kind: "revisionFound";
      readonly job: string;
      readonly day: Day;
      readonly revision: number;
      readonly state: RunManifest["state"];
      readonly datasets: readonly string[];
      /** Of a committed one. Old journals do not have them. */
      readonly figures?: DayFigures;
      readonly shown?: ShownRevision;
    }
  | {
      readonly kind: "runCreated";
      readonly run: string;
      readonly job: string;
      readonly day: Day;
      readonly revision: number;
      readonly requestId: string;
      readonly jobDigest: string;
      readonly plan: JobPlan;
      readonly duckdb: string;
      readonly origin?: RunOrigin;
      /** Old journals do not have them. */
      readonly news?: RunNews;
      readonly by?: string;
      readonly missing?: number;
      readonly upstream?: Readonly<Record<string, number>>;
      /** Absent: live. */
      readonly lane?: Lane;
      /** Its day is not ready: it maps what is final until it is closed. */
      readonly isGathering?: true;
      /** It makes these models only, and `plan` is made for them. */
      readonly select?: readonly string[];
      readonly wallMs: number;
    }
  /** Somebody wants the run sooner than it was asked for first. It never goes back. */
  | {
      readonly kind: "laneRaised";
      readonly run: string;
      readonly lane: Lane;
      /** Who: a run that only gathered files is theirs from now on. Old journals do not say. */
      readonly by?: string;
    }
  /** A further request was given a run that was there already. */
  | { readonly kind: "requestAnswered"; readonly requestId: string; readonly run: string }
  | {
      readonly kind: "runPlanned";
      readonly run: string;
      readonly scans: readonly PlannedScan[];
      readonly dimensions: readonly { readonly name: string; readonly file: FileFingerprint }[];
      readonly exchanges: readonly PlannedExchange[];
      /** Stages whose finished tasks are kept should the run fail, and where. */
      readonly salvage?: readonly { readonly stage: string; readonly scope: string }[];
      /** What lay in each source, as a look would see it. */
      readonly digests?: InputDigests;
      /** Of files that are final; more may come. */
      readonly isGathering?: true;
      readonly wallMs: number;
    }
  /** The revisions of earlier days that the run reads, whatever is committed from now on. */
  | {
      readonly kind: "historyPinned";
      readonly run: string;
      readonly pins: readonly HistoryPin[];
    }
  /** A run that gathers files has more of them, or all: then it goes on as any other. */
  | {
      readonly kind: "runGrown";
      readonly run: string;
      readonly scans: readonly AddedScan[];
      /** All: what lay in each source, as a look would see it. */
      readonly digests?: InputDigests;
      /** With `digests`: as they are now. Those that map tasks have read are what they were. */
      readonly dimensions?: readonly { readonly name: string; readonly file: FileFingerprint }[];
      readonly wallMs: number;
    }
  /** The day of a run that gathers files is ready: its last files are listed next. */
  | {
      readonly kind: "runClosing";
      readonly run: string;
      readonly lane: Lane;
      readonly origin: RunOrigin;
      readonly news?: RunNews;
      readonly by?: string;
      readonly missing: number;
      readonly upstream: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: "attemptStarted";
      readonly run: string;
      readonly stage: number;
      readonly task: number;
      readonly attemptId: string;
      readonly executor: string;
      readonly incarnation: number;
      /** Map tasks only. */
      readonly mapKey?: string;
      /** A second attempt beside one that runs and is slow. */
      readonly second?: true;
      readonly wallMs: number;
    }
  | {
      readonly kind: "attemptDone";
      readonly attemptId: string;
      readonly success: AttemptSuccess;
      readonly wallMs: number;
    }
  | {
      readonly kind: "attemptFailed";
      readonly attemptId: string;
      readonly failure: Failure;
      readonly wallMs: number;
    }
  /** The kept output of an earlier run takes the place of an attempt. */
  | {
      readonly kind: "taskReused";
      readonly run: string;
      readonly stage: number;
      readonly task: number;
      readonly mapKey: string;
      readonly wallMs: number;
    }
  /** A winner's rows can no longer be read: its task runs again. */
  | {
      readonly kind: "outputDropped";
      readonly run: string;
      readonly stage: number;
      readonly task: number;
      readonly attemptId: string;
    }
  /** Files that were read and don't count: their splits go on without them, and what was read of those is void. */
  | {
      readonly kind: "filesDropped";
      readonly run: string;
      readonly stage: number;
      readonly files: readonly (DroppedFile & { readonly task: number })[];
    }
  /** The streams of an exchange were found missing: every output in it is void. */
  | { readonly kind: "exchangeLost"; readonly run: string; readonly exchange: string }
  /** The streams of an exchange can't be reached: every output in it is void, and these take their place. */
  | {
      readonly kind: "exchangeMoved";
      readonly run: string;
      readonly exchange: string;
      readonly streams: readonly string[];
    }
  | {
      readonly kind: "checksStarted";
      readonly run: string;
      /** How many: the fact that brought the job may be lost. Old journals go by the job alone. */
      readonly checks?: number;
      readonly wallMs: number;
    }
  /** What came of the checks; the commit or the end that follows rests on it. */
  | {
      readonly kind: "checksJudged";
      readonly run: string;
      readonly results: readonly CheckResult[];
    }
  | {
      readonly kind: "commitStarted";
      readonly run: string;
      readonly warnings: readonly string[];
      readonly wallMs: number;
    }
  /** From here on the run can only become failed or cancelled (or adopt a commit that is there already). */
  | {
      readonly kind: "runEnding";
      readonly run: string;
      readonly cancelled: boolean;
      readonly failure: Failure;
      readonly wallMs: number;
    }
  | {
      readonly kind: "runCommitted";
      readonly run: string;
      readonly manifest: string;
      readonly datasets: readonly DatasetStatus[];
      /** Where kept outputs' reject and late files are now: staged path → final path. */
      readonly moved: readonly { readonly staged: string; readonly path: string }[];
      /** What later days are compared with. Old journals do not have it. */
      readonly figures?: DayFigures;
      readonly wallMs: number;
    }
  /** The run has a manifest and its files, and readers do not see them. */
  | {
      readonly kind: "runQuarantined";
      readonly run: string;
      readonly manifest: string;
      readonly datasets: readonly DatasetStatus[];
      readonly moved: readonly { readonly staged: string; readonly path: string }[];
      readonly failure: Failure;
      readonly wallMs: number;
    }
  /** Readers see a run that was quarantined. The run itself may be forgotten already. */
  | {
      readonly kind: "runReleased";
      readonly run: string;
      readonly job: string;
      readonly day: Day;
      readonly revision: number;
      readonly datasets: readonly DatasetStatus[];
      readonly figures: DayFigures;
      readonly wallMs: number;
    }
  | {
      readonly kind: "runEnded";
      readonly run: string;
      readonly state: "failed" | "cancelled";
      readonly failure: Failure;
      readonly wallMs: number;
    }
  /** Map outputs in the exchange that the journal had lost: kept again. Each has its map key. */
  | { readonly kind: "keptFound"; readonly scope: string; readonly outputs: readonly TaskResult[] }
  /** Kept outputs that are over their time, or belong to another form of the job. */
  | { readonly kind: "keptDropped"; readonly scopes: readonly string[] }
  /** Kept outputs that no task of the day's newest committed run stands on: what they were made from has changed. */
  | {
      readonly kind: "keptSuperseded";
      readonly scope: string;
      readonly mapKeys: readonly string[];
    }
  /** The calendar has a day of a job, or has it otherwise than before. */
  | { readonly kind: "dayOpened"; readonly job: string; readonly day: Day; readonly plan: DayPlan }
  /** A look said something new about the input of a day. */
  | {
      readonly kind: "inputSeen";
      readonly job: string;
      readonly day: Day;
      readonly input: InputKnown;
    }
  /** Somebody said what is to become of a day. */
  | {
      readonly kind: "dayMarked";
      readonly job: string;
      readonly day: Day;
      readonly mark: DayMark;
      readonly reason: string;
      readonly wallMs: number;
    }
  /** Upstream says that all there will be of a source's day is there; no source: all of them. */
  | {
      readonly kind: "dayDelivered";
      readonly job: string;
      readonly day: Day;
      readonly sources: readonly string[];
      readonly wallMs: number;
    }
  /** A consumer has a dataset's day in this revision. */
  | {
      readonly kind: "deliveryAcknowledged";
      readonly job: string;
      readonly day: Day;
      readonly consumer: string;
      readonly dataset: string;
      readonly revision: number;
      readonly by: string;
      readonly wallMs: number;
    }
  | {
      readonly kind: "backlogPaused";
      readonly job: string;
      readonly paused: boolean;
      readonly reason: string;
      readonly wallMs: number;
    }
  | { readonly kind: "backfillStarted"; readonly job: string; readonly backfill: Backfill }
  /** Paused, resumed, cancelled, or nothing is left to do. */
  | {
      readonly kind: "backfillMarked";
      readonly job: string;
      readonly id: string;
      readonly state: Backfill["state"];
      readonly reason: string;
      readonly wallMs: number;
    }
  /** Days that have their turn, and what came of others. */
  | {
      readonly kind: "backfillDays";
      readonly job: string;
      readonly id: string;
      readonly days: Readonly<Record<Day, BackfillDay>>;
    }
  /** From here on files that come for days before the window of the job count as late. */
  | { readonly kind: "lateBegan"; readonly job: string; readonly wallMs: number }
  /** Files that came for a day before the window. */
  | {
      readonly kind: "lateFound";
      readonly job: string;
      readonly day: Day;
      readonly source: string;
      /** Oldest first. */
      readonly files: readonly FileFingerprint[];
      /** Of all that lies there; empty: more of them are late. */
      readonly digest: string;
      /** What readers see of the day, 0 = nothing. */
      readonly revision: number;
      readonly wallMs: number;
    }
  /** All files of the day are in this revision. */
  | {
      readonly kind: "lateRead";
      readonly job: string;
      readonly day: Day;
      readonly source: string;
      readonly revision: number;
    }
  /** What people said about a job's days, from storage: the journal that knew it is lost. */
  | { readonly kind: "deskFound"; readonly job: string; readonly desk: DeskDocument }
  /** Somebody is told that a day is, or will be, late. */
  | {
      readonly kind: "dayWarned";
      readonly job: string;
      readonly day: Day;
      readonly what: string;
      /** It was due before the job was known: nobody is called. Old journals do not tell. */
      readonly isPassedOver?: true;
      readonly wallMs: number;
    }
  | AlertsFact
  /** How old days were cut is not needed any more: nothing of them is kept. */
  | { readonly kind: "splitsDropped"; readonly job: string; readonly days: readonly Day[] };
