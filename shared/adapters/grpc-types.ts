/**
 * The messages of proto/daymill/v1 as TypeScript, and the calls as library-neutral shapes. Written by hand, checked by
 * test/client/grpc.test.ts against the loaded protos. 64-bit integers are numbers and stay below 2^53.
 */
import type * as backfill from "../kernel/backfill.ts";
import type * as days from "../kernel/days.ts";
import type * as delivery from "../kernel/delivery.ts";
import type { Failure } from "../kernel/failure.ts";
import type * as gc from "../kernel/gc.ts";
import type * as late from "../kernel/late.ts";
import type * as kernel from "../kernel/status.ts";
import type { Stamp } from "../kernel/status.ts";
import type * as alerts from "./grpc-types-alerts.ts";

/** The same at the wire as in the coordinator. */
export type { DatasetStatus, Stamp } from "../kernel/status.ts";

/** A failure as it lies on the wire: details are texts there. */
export interface WireFailure {
  readonly code: string;
  readonly message: string;
  readonly detail: Readonly<Record<string, string>>;
}

/**
 * States are texts here: a newer peer may send one that this version does not know. What older runs lack is filled in.
 */
export interface StageStatus extends Required<Omit<kernel.StageStatus, "state">> {
  /** waiting | running | done */
  readonly state: string;
}

export interface CheckStatus extends Omit<kernel.CheckStatus, "kind" | "severity" | "state"> {
  /** sql | rows | volume | nulls | unique | fresh */
  readonly kind: string;
  /** warn | block | quarantine */
  readonly severity: string;
  /** passed | failed | skipped */
  readonly state: string;
}

export interface RunStatus
  extends Required<
    Omit<kernel.RunStatus, "state" | "lane" | "stages" | "failure" | "checks" | "cause">
  > {
  /** planning | running | checking | committing | committed | quarantined | failed | cancelled */
  readonly state: string;
  /** live | backlog | ahead */
  readonly lane: string;
  /** request | schedule | catch-up | late input | definition | upstream | news | command | backfill, or empty */
  readonly cause: string;
  readonly stages: readonly StageStatus[];
  readonly checks: readonly CheckStatus[];
  readonly failure: WireFailure | null;
}

export interface ExecutorStatus extends Omit<kernel.ExecutorStatus, "state"> {
  /** ready | draining | excluded | lost */
  readonly state: string;
}

export type GetStatusRequest = Readonly<Record<string, never>>;
export interface GetStatusReply {
  readonly stamp: Stamp | null;
  /** leader | standby | starting */
  readonly role: string;
  /** `host:port` of the leader as this coordinator knows it, else empty. */
  readonly leader: string;
  readonly version: string;
  readonly natsVersion: string;
  readonly duckdbVersion: string;
  readonly storageRoot: string;
  readonly pid: number;
}

/** A job as files: what `readJobBundle` reads and `parseJob` validates. */
export interface JobBundle {
  readonly jobPath: string;
  readonly jobYaml: string;
  /** Text by path as written in the YAML. */
  readonly sqlFiles: Readonly<Record<string, string>>;
}

export interface SubmitRequest {
  readonly requestId: string;
  readonly bundle: JobBundle | null;
  readonly job: string;
  readonly day: string;
  readonly rerun: boolean;
  /** live | backlog | ahead; absent or empty: live. */
  readonly lane?: string;
  readonly by?: string;
  readonly select?: readonly string[];
}
export interface SubmitReply {
  readonly stamp: Stamp | null;
  readonly runId: string;
  readonly created: boolean;
  readonly warnings: readonly string[];
}
export interface GetRunRequest {
  readonly runId: string;
  readonly minSequence: number;
  /** Absent or 0: not told, the sequence alone counts. */
  readonly minEpoch?: number;
}
export interface GetRunReply {
  readonly stamp: Stamp | null;
  readonly run: RunStatus | null;
}
export interface ListRunsRequest {
  readonly job: string;
  readonly limit: number;
}
export interface ListRunsReply {
  readonly stamp: Stamp | null;
  readonly runs: readonly RunStatus[];
}
export interface CancelRequest {
  readonly runId: string;
  readonly reason: string;
}
export interface CancelReply {
  readonly stamp: Stamp | null;
  readonly state: string;
}
export interface ExplainRequest {
  readonly bundle: JobBundle | null;
  readonly job: string;
  readonly day: string;
  readonly diff?: boolean;
}
export interface ExplainReply {
  readonly stamp: Stamp | null;
  readonly text: string;
  readonly planJson: string;
}
export interface ReleaseRequest {
  readonly runId: string;
}
export interface ReleaseReply {
  readonly stamp: Stamp | null;
}
export type ListExecutorsRequest = Readonly<Record<string, never>>;
export interface ListExecutorsReply {
  readonly stamp: Stamp | null;
  readonly executors: readonly ExecutorStatus[];
}
/** The same at the wire as in the coordinator; states are texts that a newer peer may add to. */
export interface BacklogStatus extends Omit<days.BacklogStatus, "order" | "days"> {
  readonly order: string;
  readonly days: readonly DayStatus[];
}
export interface DayStatus extends Omit<days.DayStatus, "models"> {
  readonly models: readonly { readonly model: string; readonly state: string }[];
}

export interface GetBacklogRequest {
  readonly job: string;
  readonly days: number;
}
export interface GetBacklogReply {
  readonly stamp: Stamp | null;
  readonly backlog: BacklogStatus | null;
}

export interface MarkDayRequest {
  readonly job: string;
  readonly day: string;
  /** held | released | skipped | wanted */
  readonly mark: string;
  readonly reason: string;
}
export interface DeliveredRequest {
  readonly job: string;
  readonly day: string;
  readonly source: string;
}
export interface PauseBacklogRequest {
  readonly job: string;
  readonly paused: boolean;
  readonly reason: string;
}
/** The same at the wire as in the coordinator; what may be one of several words is a text. */
export interface StartBackfillRequest extends Texts<backfill.BackfillWish> {
  readonly requestId: string;
  readonly dryRun: boolean;
}
export interface MarkBackfillRequest {
  readonly id: string;
  /** pause | resume | cancel */
  readonly action: string;
  readonly reason: string;
}
export interface ListBackfillsRequest {
  readonly job: string;
}
export interface BackfillsReply {
  readonly stamp: Stamp | null;
  readonly backfills: readonly BackfillStatus[];
}
export interface BackfillStatus extends Texts<Omit<backfill.BackfillStatus, "days">> {
  readonly days: readonly Texts<backfill.BackfillDayStatus>[];
}
export interface AcknowledgeRequest extends delivery.AcknowledgeWish {}
export interface ListDeliveriesRequest {
  readonly job: string;
  readonly days: number;
}
export interface DeliveriesReply {
  readonly stamp: Stamp | null;
  readonly deliveries: readonly DeliveryStatus[];
}
export interface DeliveryStatus extends Texts<delivery.DeliveryStatus> {}
type Texts<Value> = {
  readonly [Key in keyof Value]: Value[Key] extends string ? string : Value[Key];
};
export interface GcRequest {
  readonly job: string;
  readonly dryRun: boolean;
}
export interface GcReply extends Omit<gc.GcReport, "items"> {
  readonly stamp: Stamp | null;
  readonly items: readonly Texts<gc.GcItem>[];
}
export interface ListLateRequest {
  readonly job: string;
}
export interface ListLateReply extends late.LateStatus {
  readonly stamp: Stamp | null;
}
export interface SaidReply {
  readonly stamp: Stamp | null;
}

export interface DrainRequest {
  readonly executorId: string;
}
export interface DrainReply {
  readonly stamp: Stamp | null;
}
export interface ReadDatasetRequest {
  readonly dataset: string;
  readonly day: string;
  readonly revision: number;
  readonly limit: number;
  readonly orderBy: string;
}
export interface ReadDatasetReply {
  readonly stamp: Stamp | null;
  readonly arrow: Uint8Array;
  readonly revision: number;
}

// --- the executor's stream -----------------------------------------------------------------------

export interface Hello {
  readonly executorId: string;
  /** Below 2^53. */
  readonly incarnation: number;
  readonly slots: number;
  readonly host: string;
  readonly pid: number;
  readonly duckdbVersion: string;
  readonly wireVersion: number;
  readonly hashVersion: number;
  readonly runningAttempts: readonly string[];
  readonly highestEpoch: number;
  readonly version: string;
}
export interface Heartbeat {
  readonly sequence: number;
  readonly running: readonly {
    readonly attemptId: string;
    readonly rows: number;
    readonly bytes: number;
  }[];
  readonly workerPids: readonly number[];
  readonly peakMemoryBytes: number;
}
export interface Report {
  readonly attemptId: string;
  readonly epoch: number;
  /** UTF-8 of canonical JSON (AttemptOutcome). */
  readonly outcomeJson: Uint8Array;
}

/** Exactly one member is set; `message` names it when received. */
export interface FromExecutor {
  readonly message?: "hello" | "heartbeat" | "report" | "draining";
  readonly hello?: Hello | null;
  readonly heartbeat?: Heartbeat | null;
  readonly report?: Report | null;
  readonly draining?: { readonly reason: string } | null;
}

export interface RunTask {
  readonly attemptId: string;
  /** UTF-8 of `workText(work)`: these exact bytes name a map output. */
  readonly workJson: Uint8Array;
  readonly deliveryJson: Uint8Array;
  /** By a worker process that has run nothing yet. */
  readonly freshWorker?: boolean;
  /** Of a run that is not live: at low priority. */
  readonly background?: boolean;
}

/** `epoch` and exactly one other member; `message` names it when received. */
export interface ToExecutor {
  readonly epoch: number;
  readonly message?: "welcome" | "refused" | "runTask" | "cancelTask" | "reportAck" | "drainNow";
  readonly welcome?: { readonly coordinator: string } | null;
  readonly refused?: { readonly failure: WireFailure | null; readonly leader: string } | null;
  readonly runTask?: RunTask | null;
  readonly cancelTask?: { readonly attemptId: string; readonly reason: string } | null;
  readonly reportAck?: { readonly attemptId: string } | null;
  readonly drainNow?: { readonly reason: string } | null;
}

// --- calls as shapes ---------------------------------------------------------------------------

/** What a handler knows about its caller. */
export interface CallContext {
  readonly peer: string;
  /** Aborted when the caller has gone, its deadline has passed or the server stops. */
  readonly signal: AbortSignal;
}

/** Replies of a server stream, in order. */
export interface ReplyStream<Reply> {
  /** Resolves when there is room for the next one; rejects with `cancelled` when the caller has gone. */
  write(reply: Reply): Promise<void>;
}

/**
 * One end of a bidirectional stream. `ended` is told exactly once: with the server's failure or `unavailable` on the
 * client; without one when the peer closed (on the server also when it vanished: the two look alike there).
 */
export interface Duplex<In, Out> {
  readonly peer: string;
  /** Sets the listeners; messages that came before are handed over now. */
  listen(heard: (message: In) => void, ended: (failure: Failure | undefined) => void): void;
  /** Queues one message. Never throws; after the end it does nothing. */
  send(message: Out): void;
  /** Messages queued here that the transport has not taken yet. */
  backlog(): number;
  /** Ends this stream; a server may say why. Queued messages go out first unless a failure is given. */
  end(failure?: Failure): void;
}

export type Handler<Request, Reply> = (request: Request, context: CallContext) => Promise<Reply>;
export type StreamHandler<Request, Reply> = (
  request: Request,
  replies: ReplyStream<Reply>,
  context: CallContext,
) => Promise<void>;

/** What a coordinator implements. Handlers throw `DaymillError`; `notLeader` carries `detail.leader`. */
export interface CoordinatorHandlers {
  readonly getStatus: Handler<GetStatusRequest, GetStatusReply>;
  readonly submit: Handler<SubmitRequest, SubmitReply>;
  readonly getRun: Handler<GetRunRequest, GetRunReply>;
  readonly listRuns: Handler<ListRunsRequest, ListRunsReply>;
  readonly watchRun: StreamHandler<GetRunRequest, GetRunReply>;
  readonly cancel: Handler<CancelRequest, CancelReply>;
  readonly release: Handler<ReleaseRequest, ReleaseReply>;
  readonly explain: Handler<ExplainRequest, ExplainReply>;
  readonly listExecutors: Handler<ListExecutorsRequest, ListExecutorsReply>;
  readonly drain: Handler<DrainRequest, DrainReply>;
  readonly getBacklog: Handler<GetBacklogRequest, GetBacklogReply>;
  readonly markDay: Handler<MarkDayRequest, SaidReply>;
  readonly delivered: Handler<DeliveredRequest, SaidReply>;
  readonly pauseBacklog: Handler<PauseBacklogRequest, SaidReply>;
  readonly startBackfill: Handler<StartBackfillRequest, BackfillsReply>;
  readonly markBackfill: Handler<MarkBackfillRequest, BackfillsReply>;
  readonly listBackfills: Handler<ListBackfillsRequest, BackfillsReply>;
  readonly gc: Handler<GcRequest, GcReply>;
  readonly listLate: Handler<ListLateRequest, ListLateReply>;
  readonly acknowledge: Handler<AcknowledgeRequest, DeliveriesReply>;
  readonly listDeliveries: Handler<ListDeliveriesRequest, DeliveriesReply>;
  readonly listAlerts: Handler<alerts.ListAlertsRequest, alerts.ListAlertsReply>;
  readonly silenceAlerts: Handler<alerts.SilenceAlertsRequest, alerts.SilenceAlertsReply>;
  readonly unsilenceAlerts: Handler<alerts.UnsilenceAlertsRequest, SaidReply>;
  readonly testChannel: Handler<alerts.TestChannelRequest, SaidReply>;
  readonly readDataset: StreamHandler<ReadDatasetRequest, ReadDatasetReply>;
}

/** What the hub implements: one call per attached executor. */
export interface HubHandlers {
  readonly attach: (call: Duplex<FromExecutor, ToExecutor>) => void;
}
