/**
 * A leader for tests of the executor: a real gRPC server that implements the hub by hand. It welcomes, keeps what it
 * hears, and says what a test tells it to. Also small waiting helpers.
 */
import { createServer, executorHubService, type GrpcServer } from "../../shared/adapters/grpc.ts";
import type { Duplex, FromExecutor, Hello, ToExecutor } from "../../shared/adapters/grpc-types.ts";
import { type AttemptOutcome, type Delivery, isBackground } from "../../shared/kernel/work.ts";
import { quietLog } from "../fakes/quiet-log.ts";

export interface FakeHub {
  readonly address: string;
  readonly epoch: number;
  readonly hellos: readonly Hello[];
  readonly heartbeats: readonly NonNullable<FromExecutor["heartbeat"]>[];
  readonly reports: readonly { readonly attemptId: string; readonly outcome: AttemptOutcome }[];
  readonly drains: readonly string[];
  /** Attached executors at this moment. */
  attached(): number;
  send(message: Omit<ToExecutor, "epoch">): void;
  run(attemptId: string, work: unknown, delivery?: unknown): void;
  stop(): Promise<void>;
}

/** A hub on a free port. `acks`: acknowledge each report at once. */
export async function startHub(options: {
  epoch: number;
  acks: boolean;
  address?: string;
}): Promise<FakeHub> {
  const streams = new Set<Duplex<FromExecutor, ToExecutor>>();
  const hellos: Hello[] = [];
  const heartbeats: NonNullable<FromExecutor["heartbeat"]>[] = [];
  const reports: { attemptId: string; outcome: AttemptOutcome }[] = [];
  const drains: string[] = [];
  const { epoch } = options;
  const heard = (stream: Duplex<FromExecutor, ToExecutor>, message: FromExecutor) => {
    if (message.hello) {
      hellos.push(message.hello);
      stream.send({ epoch, welcome: { coordinator: `hub-${epoch}` } });
    }
    if (message.heartbeat) heartbeats.push(message.heartbeat);
    if (message.draining) drains.push(message.draining.reason);
    if (message.report) {
      const { attemptId, outcomeJson } = message.report;
      const outcome = JSON.parse(Buffer.from(outcomeJson).toString("utf8")) as AttemptOutcome;
      reports.push({ attemptId, outcome });
      if (options.acks) stream.send({ epoch, reportAck: { attemptId } });
    }
  };
  const service = executorHubService({
    attach: (stream) => {
      streams.add(stream);
      stream.listen(
        (message) => heard(stream, message),
        () => streams.delete(stream),
      );
    },
  });
  const address = options.address ?? "127.0.0.1:0";
  const server: GrpcServer = await createServer({ services: [service], address, log: quietLog() });
  const send: FakeHub["send"] = (message) => {
    for (const stream of streams) stream.send({ epoch, ...message });
  };
  return {
    address: server.address,
    epoch,
    hellos,
    heartbeats,
    reports,
    drains,
    attached: () => streams.size,
    send,
    run: (attemptId, work, delivery = {}) =>
      send({
        runTask: {
          attemptId,
          workJson: Buffer.from(JSON.stringify(work)),
          deliveryJson: Buffer.from(JSON.stringify(delivery)),
          background: isBackground(delivery as Pick<Delivery, "lane">),
        },
      }),
    stop: () => server.stop(),
  };
}

/** Waits until `found` gives something; fails after `seconds` with what was waited for. */
export async function until<T>(
  what: string,
  found: () => T | undefined | false,
  seconds = 20,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = found();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The report on one attempt, when it has come. */
export function reportOn(hub: FakeHub, attemptId: string): Promise<AttemptOutcome> {
  return until(
    `a report on ${attemptId}`,
    () => hub.reports.find((report) => report.attemptId === attemptId)?.outcome,
  );
}

/** Does a process with this id run (a zombie does not)? */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
