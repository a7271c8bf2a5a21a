/**
 * The shell's gRPC side on a real socket with a scripted core behind it: what arrives is kept as values, and the script
 * answers. For tests only.
 */

import type { ClientMessage, ExecutorMessage, Reply } from "../../coordinator/core/protocol.ts";
import { Calls } from "../../coordinator/shell/calls.ts";
import { coordinatorServiceOf } from "../../coordinator/shell/grpc-coordinator.ts";
import { ExecutorHub } from "../../coordinator/shell/grpc-hub.ts";
import { RunChanges } from "../../coordinator/shell/run-changes.ts";
import { createServer } from "../../shared/adapters/grpc.ts";
import { connectCoordinator, connectHub } from "../../shared/adapters/grpc-clients.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { RunStatus, StageStatus } from "../../shared/kernel/status.ts";
import type { Inputs, Store } from "../../shared/ports.ts";
import { quietLog } from "../fakes/quiet-log.ts";

export const stamp = { epoch: 3, journalSequence: 41, coordinator: "c1" };

export const emptyPlan: JobPlan = {
  stages: [],
  exchanges: [],
  datasets: [],
  usesLogicalTime: false,
};

export function runStatus(change: Partial<RunStatus> = {}): RunStatus {
  return {
    runId: "daily.2026-01-15.r1",
    job: "daily",
    day: "2026-01-15",
    revision: 1,
    state: "running",
    stages: [],
    datasets: [],
    createdMs: 1,
    endedMs: 0,
    rowsIn: 0,
    rejects: 0,
    exchangeRows: 0,
    exchangeBytes: 0,
    committedBy: {},
    manifest: "",
    warnings: [],
    ...change,
  };
}

export const stageStatus: StageStatus = {
  id: "s0",
  label: "scan hits",
  source: "",
  makes: [],
  duplicates: 0,
  exchanges: [],
  tasks: 1,
  running: 0,
  done: 1,
  failedAttempts: 0,
  rowsIn: 0,
  bytesIn: 0,
  rowsOut: 0,
  bytesOut: 0,
  reused: 0,
  state: "done",
  startedMs: 1,
  endedMs: 2,
  committedBy: {},
};

export interface Script {
  /** What the core answers a caller; undefined = nothing, ever. */
  readonly answer?: (message: ClientMessage) => Reply | undefined;
  /** Throws what a full mailbox would throw. */
  readonly executorMessage?: (message: ExecutorMessage) => void;
  readonly root?: string;
  /** What planning a job gives; default: the empty plan. */
  readonly plan?: JobPlan;
  readonly store?: Pick<Store, "readManifest">;
  readonly inputs?: Pick<Inputs, "listSource">;
}

/** Serves on a free port until a cleanup. Everything that reached the core is in `asked` and `heard`. */
export async function serve(script: Script, cleanups: (() => unknown)[]) {
  const asked: ClientMessage[] = [];
  const heard: ExecutorMessage[] = [];
  const log = quietLog();
  const calls: Calls = new Calls((message) => {
    asked.push(message);
    const result = script.answer?.(message);
    if (result !== undefined) setImmediate(() => calls.settle(message.reply, stamp, result));
  });
  const changes = new RunChanges();
  const hub = new ExecutorHub({
    post: (message) => {
      script.executorMessage?.(message);
      heard.push(message);
    },
    postSurely: (message) => void heard.push(message),
    log,
  });
  const service = coordinatorServiceOf({
    calls,
    changes,
    store: script.store ?? { readManifest: async () => undefined },
    inputs: script.inputs ?? { listSource: async () => [] },
    planJob: async () => script.plan ?? emptyPlan,
    about: {
      version: "0.1.0",
      natsVersion: () => "2.9.10",
      duckdb: "v1.5.6",
      root: script.root ?? "/data",
      pid: 7,
    },
  });
  const services = [service, hub.service()];
  const server = await createServer({ services, address: "127.0.0.1:0", log });
  const client = connectCoordinator(server.address);
  const executor = connectHub(server.address);
  cleanups.push(async () => {
    client.close();
    executor.close();
    await server.stop();
  });
  return { asked, heard, hub, changes, client, executor };
}
