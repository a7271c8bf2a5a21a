/**
 * Typed calls on one address: the coordinator's service and the executor's stream. No retries and no leader search
 * here: client/client.ts and the executor's shell decide those.
 */
import { type CallOptions, type GrpcChannel, openChannel } from "./grpc.ts";
import type {
  AcknowledgeRequest,
  BackfillsReply,
  CancelReply,
  CancelRequest,
  DeliveredRequest,
  DeliveriesReply,
  DrainReply,
  DrainRequest,
  Duplex,
  ExplainReply,
  ExplainRequest,
  FromExecutor,
  GcReply,
  GcRequest,
  GetBacklogReply,
  GetBacklogRequest,
  GetRunReply,
  GetRunRequest,
  GetStatusReply,
  GetStatusRequest,
  ListBackfillsRequest,
  ListDeliveriesRequest,
  ListExecutorsReply,
  ListExecutorsRequest,
  ListLateReply,
  ListLateRequest,
  ListRunsReply,
  ListRunsRequest,
  MarkBackfillRequest,
  MarkDayRequest,
  PauseBacklogRequest,
  ReadDatasetReply,
  ReadDatasetRequest,
  ReleaseReply,
  ReleaseRequest,
  SaidReply,
  StartBackfillRequest,
  SubmitReply,
  SubmitRequest,
  ToExecutor,
} from "./grpc-types.ts";
import type {
  ListAlertsReply,
  ListAlertsRequest,
  SilenceAlertsReply,
  SilenceAlertsRequest,
  TestChannelRequest,
  UnsilenceAlertsRequest,
} from "./grpc-types-alerts.ts";

type Call<Request, Reply> = (request: Request, options?: CallOptions) => Promise<Reply>;
type StreamCall<Request, Reply> = (
  request: Request,
  options?: CallOptions,
) => AsyncGenerator<Reply, void, undefined>;

/** The coordinator at one address. Every call throws `DaymillError`. */
export interface CoordinatorClient {
  readonly address: string;
  readonly getStatus: Call<GetStatusRequest, GetStatusReply>;
  readonly submit: Call<SubmitRequest, SubmitReply>;
  readonly getRun: Call<GetRunRequest, GetRunReply>;
  readonly listRuns: Call<ListRunsRequest, ListRunsReply>;
  readonly watchRun: StreamCall<GetRunRequest, GetRunReply>;
  readonly cancel: Call<CancelRequest, CancelReply>;
  readonly release: Call<ReleaseRequest, ReleaseReply>;
  readonly explain: Call<ExplainRequest, ExplainReply>;
  readonly listExecutors: Call<ListExecutorsRequest, ListExecutorsReply>;
  readonly drain: Call<DrainRequest, DrainReply>;
  readonly getBacklog: Call<GetBacklogRequest, GetBacklogReply>;
  readonly markDay: Call<MarkDayRequest, SaidReply>;
  readonly delivered: Call<DeliveredRequest, SaidReply>;
  readonly pauseBacklog: Call<PauseBacklogRequest, SaidReply>;
  readonly startBackfill: Call<StartBackfillRequest, BackfillsReply>;
  readonly markBackfill: Call<MarkBackfillRequest, BackfillsReply>;
  readonly listBackfills: Call<ListBackfillsRequest, BackfillsReply>;
  readonly gc: Call<GcRequest, GcReply>;
  readonly listLate: Call<ListLateRequest, ListLateReply>;
  readonly acknowledge: Call<AcknowledgeRequest, DeliveriesReply>;
  readonly listDeliveries: Call<ListDeliveriesRequest, DeliveriesReply>;
  readonly listAlerts: Call<ListAlertsRequest, ListAlertsReply>;
  readonly silenceAlerts: Call<SilenceAlertsRequest, SilenceAlertsReply>;
  readonly unsilenceAlerts: Call<UnsilenceAlertsRequest, SaidReply>;
  readonly testChannel: Call<TestChannelRequest, SaidReply>;
  readonly readDataset: StreamCall<ReadDatasetRequest, ReadDatasetReply>;
  close(): void;
}

/** Opens lazily; nothing is sent before the first call. */
export function connectCoordinator(address: string): CoordinatorClient {
  const channel = openChannel(address);
  const single = call(channel);
  const many = streamCall(channel);
  return {
    address,
    getStatus: single("GetStatus"),
    submit: single("Submit"),
    getRun: single("GetRun"),
    listRuns: single("ListRuns"),
    watchRun: many("WatchRun"),
    cancel: single("Cancel"),
    release: single("Release"),
    explain: single("Explain"),
    listExecutors: single("ListExecutors"),
    drain: single("Drain"),
    getBacklog: single("GetBacklog"),
    markDay: single("MarkDay"),
    delivered: single("Delivered"),
    pauseBacklog: single("PauseBacklog"),
    startBackfill: single("StartBackfill"),
    markBackfill: single("MarkBackfill"),
    listBackfills: single("ListBackfills"),
    gc: single("Gc"),
    listLate: single("ListLate"),
    acknowledge: single("Acknowledge"),
    listDeliveries: single("ListDeliveries"),
    listAlerts: single("ListAlerts"),
    silenceAlerts: single("SilenceAlerts"),
    unsilenceAlerts: single("UnsilenceAlerts"),
    testChannel: single("TestChannel"),
    readDataset: many("ReadDataset"),
    close: () => channel.close(),
  };
}

/** The executor hub at one address: `attach` opens one stream. */
export interface HubClient {
  readonly address: string;
  attach(): Duplex<ToExecutor, FromExecutor>;
  close(): void;
}

/** Opens lazily; an unreachable address ends the first attached stream with `unavailable`. */
export function connectHub(address: string): HubClient {
  const channel = openChannel(address);
  return {
    address,
    attach: () => channel.duplex("daymill.v1.ExecutorHub", "Attach"),
    close: () => channel.close(),
  };
}

function call(channel: GrpcChannel) {
  return <Request extends object, Reply>(method: string): Call<Request, Reply> =>
    (request, options) =>
      channel.unary("daymill.v1.Coordinator", method, request, options);
}

function streamCall(channel: GrpcChannel) {
  return <Request extends object, Reply>(method: string): StreamCall<Request, Reply> =>
    (request, options) =>
      channel.stream("daymill.v1.Coordinator", method, request, options);
}
