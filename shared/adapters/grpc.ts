/**
 * gRPC both ways: proto loading with fixed options, servers that cannot hang on stop, clients with deadlines.
 * The only importer of @grpc/* and grpc-health-check; everything else sees the shapes of grpc-types.ts.
 */
import { setMaxListeners } from "node:events";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, service as healthService } from "grpc-health-check";
import { must } from "../kernel/assert.ts";
import { DaymillError, type Failure, fail, failure } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { Log } from "../ports.ts";
import { failureTrailer, fromStatus, leaderTrailer, toStatus } from "./grpc-failure.ts";
import { cancelOn, contextOf } from "./grpc-signals.ts";
import { duplexOf, repliesOf } from "./grpc-streams.ts";
import type {
  CoordinatorHandlers,
  Duplex,
  FromExecutor,
  Handler,
  HubHandlers,
  StreamHandler,
  ToExecutor,
  WireFailure,
} from "./grpc-types.ts";
import { protoDir } from "./project.ts";

const coordinatorName = "daymill.v1.Coordinator";
const hubName = "daymill.v1.ExecutorHub";

const definition = loader.loadSync(
  ["alerts", "coordinator", "executor", "types"].map((name) =>
    join(protoDir(), `daymill/v1/${name}.proto`),
  ),
  { includeDirs: [protoDir()], keepCase: false, longs: Number, defaults: true, oneofs: true },
);

// The library would write to stderr by itself; the same news comes as errors.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

const channelOptions = {
  "grpc.max_send_message_length": limits.grpcMessageBytesMax,
  "grpc.max_receive_message_length": limits.grpcMessageBytesMax,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2_000,
  // A proxy variable of the environment must not redirect traffic inside the cluster.
  "grpc.enable_http_proxy": 0,
  "grpc.use_local_subchannel_pool": 1,
  // The default window of 64 KiB caps one stream of Arrow chunks at a fraction of what the wire carries.
  "grpc-node.flow_control_window": limits.grpcMessageBytesMax,
} as const satisfies grpc.ChannelOptions;

function serviceOf(name: string): loader.ServiceDefinition {
  return must(definition[name], `proto has ${name}`) as loader.ServiceDefinition;
}

/** Serialiser of any message of the protos, for tests and trailers. */
export function messageType(name: string): loader.MessageTypeDefinition<object, object> {
  const found = must(definition[`daymill.v1.${name}`], `proto has ${name}`);
  return found as loader.MessageTypeDefinition<object, object>;
}

const failureType = messageType("Failure");

// --- server -------------------------------------------------------------------------------------

/** A service with its handlers, ready for `createServer`. Made by `coordinatorService` or `executorHubService`. */
export interface BoundService {
  readonly name: string;
  readonly methods: readonly string[];
  readonly bind: (stopping: AbortSignal, log: Log) => grpc.UntypedServiceImplementation;
}

export interface GrpcServer {
  /** `host:port` as bound (port 0 is replaced by the one taken). */
  readonly address: string;
  /** Health status of all services; NOT_SERVING until first set. */
  setServing(serving: boolean): void;
  /** NOT_SERVING, streams ended with `unavailable`, then waits at most limits.shutdownGraceMs, then forces. */
  stop(): Promise<void>;
}

/** Listens on `address` (`host:port`, port 0 = any free one). Address in use or forbidden: `unavailable`. */
export async function createServer(options: {
  services: readonly BoundService[];
  address: string;
  log: Log;
}): Promise<GrpcServer> {
  const server = new grpc.Server(channelOptions);
  const stopping = new AbortController();
  // One listener for each open call and each executor's stream, removed with it: many are no leak.
  setMaxListeners(0, stopping.signal);
  for (const service of options.services) {
    server.addService(serviceOf(service.name), service.bind(stopping.signal, options.log));
  }
  const names = ["", ...options.services.map((service) => service.name)];
  const health = new HealthImplementation(
    Object.fromEntries(names.map((name) => [name, "NOT_SERVING" as const])),
  );
  health.addToServer(server);
  new ReflectionService(definition).addToServer(server);
  const port = await bindPort(server, options.address);
  const host = options.address.slice(0, options.address.lastIndexOf(":"));
  return {
    address: `${host}:${port}`,
    setServing: (serving) => {
      for (const name of names) health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
    },
    stop: async () => {
      for (const name of names) health.setStatus(name, "NOT_SERVING");
      stopping.abort();
      await shutDown(server);
    },
  };
}

function bindPort(server: grpc.Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else {
        const text = `cannot listen on ${address}: ${error.message}; choose another --listen address`;
        reject(fail("unavailable", text, { address }, error));
      }
    });
  });
}

function shutDown(server: grpc.Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, limits.shutdownGraceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Coordinator service from async handlers. */
export function coordinatorService(handlers: CoordinatorHandlers): BoundService {
  const streams = new Set(["watchRun", "readDataset"]);
  return {
    name: coordinatorName,
    methods: Object.keys(handlers),
    bind: (stopping, log) => {
      const implementation: grpc.UntypedServiceImplementation = {};
      for (const [name, handler] of Object.entries(handlers)) {
        const scoped = log.child({ call: name });
        implementation[name] = streams.has(name)
          ? serverStream(handler as StreamHandler<unknown, unknown>, stopping, scoped)
          : unary(handler as Handler<unknown, unknown>, stopping, scoped);
      }
      return implementation;
    },
  };
}

/** Hub service: `attach` is called once per executor stream. */
export function executorHubService(handlers: HubHandlers): BoundService {
  return {
    name: hubName,
    methods: ["attach"],
    bind: (stopping) => ({
      attach: (call: grpc.ServerDuplexStream<FromExecutor, ToExecutor>) => {
        const peer = call.getPeer();
        const duplex = duplexOf<FromExecutor, ToExecutor>(call, {
          peer,
          side: "server",
          refuse: (reason) => emitStatus(call, new DaymillError(reason)),
          translate: () => failure("unavailable", `${peer} has gone`),
        });
        const stop = () => duplex.end(stoppingFailure());
        stopping.addEventListener("abort", stop, { once: true });
        call.on("close", () => stopping.removeEventListener("abort", stop));
        handlers.attach(duplex);
      },
    }),
  };
}

function stoppingFailure(): Failure {
  return failure("unavailable", "this coordinator is stopping; ask another one");
}

function statusOf(error: unknown): Partial<grpc.StatusObject> & { name: string; message: string } {
  const value = toStatus(error);
  const metadata = new grpc.Metadata();
  metadata.set(failureTrailer, failureType.serialize(value.failure));
  if (value.leader !== undefined) metadata.set(leaderTrailer, value.leader);
  const code = grpc.status[value.status as keyof typeof grpc.status];
  return { name: "Error", message: value.text, code, details: value.text, metadata };
}

function emitStatus(call: { emit(event: "error", error: unknown): boolean }, error: unknown): void {
  call.emit("error", statusOf(error));
}

/** Only what is our own fault is logged here; refusals are the caller's news. */
function note(error: unknown, log: Log): void {
  const code = error instanceof DaymillError ? error.failure.code : "internal";
  if (code !== "internal") return;
  log.error("call failed", {
    reason: error instanceof Error ? (error.stack ?? "") : String(error),
  });
}

function unary(handler: Handler<unknown, unknown>, stopping: AbortSignal, log: Log) {
  return (
    call: grpc.ServerUnaryCall<unknown, unknown>,
    reply: grpc.sendUnaryData<unknown>,
  ): void => {
    const { context, done } = contextOf(call, stopping);
    handler(call.request, context)
      .then(
        (value) => reply(null, value),
        (error: unknown) => {
          note(error, log);
          reply(statusOf(error));
        },
      )
      .finally(done);
  };
}

function serverStream(handler: StreamHandler<unknown, unknown>, stopping: AbortSignal, log: Log) {
  return (call: grpc.ServerWritableStream<unknown, unknown>): void => {
    const { context, done } = contextOf(call, stopping);
    let over = false;
    const finish = (error?: unknown): void => {
      if (over) return;
      over = true;
      done();
      if (error === undefined) call.end();
      else emitStatus(call, error);
    };
    context.signal.addEventListener("abort", () => finish(new DaymillError(stoppingFailure())), {
      once: true,
    });
    handler(call.request, repliesOf(call, context.signal), context).then(
      () => finish(),
      (error: unknown) => {
        if (!over) note(error, log);
        finish(error);
      },
    );
  };
}

// --- client -------------------------------------------------------------------------------------

export interface CallOptions {
  /** Milliseconds; default limits.grpcDeadlineMs for single replies, none for streams. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** One connection to one address. Errors are `DaymillError`s; `notLeader` carries `detail.leader` when known. */
export interface GrpcChannel {
  readonly address: string;
  unary<Reply>(
    service: string,
    method: string,
    request: object,
    options?: CallOptions,
  ): Promise<Reply>;
  stream<Reply>(
    service: string,
    method: string,
    request: object,
    options?: CallOptions,
  ): AsyncGenerator<Reply, void, undefined>;
  duplex<In, Out>(service: string, method: string): Duplex<In, Out>;
  close(): void;
}

/** Opens lazily: an unreachable address shows as `unavailable` at the first call. */
export function openChannel(address: string): GrpcChannel {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), channelOptions);
  const translate = (error: unknown) => receivedError(error, address);
  return {
    address,
    unary: (service, method, request, options) =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
        const deadline = Date.now() + (options?.deadlineMs ?? limits.grpcDeadlineMs);
        const call = client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          { deadline },
          (error, value) => {
            release();
            if (error === null) resolve(value as never);
            else reject(translate(error));
          },
        );
        const release = cancelOn(options?.signal, call);
      }),
    async *stream(service, method, request, options) {
      const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
      const deadline = options?.deadlineMs === undefined ? {} : deadlineIn(options.deadlineMs);
      const call = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        deadline,
      );
      const release = cancelOn(options?.signal, call);
      try {
        for await (const reply of call) yield reply as never;
      } catch (error) {
        throw translate(error);
      } finally {
        release();
        call.cancel();
      }
    },
    duplex: (service, method) => {
      const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
      const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
      return duplexOf(call, {
        peer: address,
        side: "client",
        refuse: () => call.cancel(),
        translate: (error) => translate(error).failure,
      });
    },
    close: () => client.close(),
  };
}

/** Does the server at `address` say SERVING? false also when nobody answers. */
export async function isServing(address: string): Promise<boolean> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), channelOptions);
  const check = must(healthService["check"] ?? healthService["Check"], "the health service checks");
  try {
    return await new Promise((resolve) => {
      client.makeUnaryRequest(
        check.path,
        check.requestSerialize,
        check.responseDeserialize,
        { service: "" },
        deadlineIn(2_000),
        (_error, reply) =>
          resolve((reply as { status?: unknown } | undefined)?.status === "SERVING"),
      );
    });
  } finally {
    client.close();
  }
}

function methodOf(service: string, method: string): loader.MethodDefinition<object, object> {
  return must(serviceOf(service)[method], `${service} has ${method}`);
}

function deadlineIn(deadlineMs: number): grpc.CallOptions {
  return { deadline: Date.now() + deadlineMs };
}

function receivedError(error: unknown, address: string): DaymillError {
  const { code, details, metadata } = error as Partial<grpc.ServiceError>;
  if (code === undefined) return new DaymillError(failure("internal", String(error)), error);
  const trailer = metadata?.get(failureTrailer)[0];
  const wire = Buffer.isBuffer(trailer) ? failureType.deserialize(trailer) : undefined;
  const text = details ?? "";
  const known = fromStatus(grpc.status[code], text, wire as WireFailure | undefined, address);
  const leader = metadata?.get(leaderTrailer)[0];
  if (leader === undefined || known.failure.detail?.["leader"] !== undefined) return known;
  const detail = { ...known.failure.detail, leader: String(leader) };
  return new DaymillError({ ...known.failure, detail }, error);
}
