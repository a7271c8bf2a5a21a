/**
 * Handlers and values for tests of the client side: a coordinator that refuses everything it was not told to do.
 */
import type {
  CoordinatorHandlers,
  RunStatus,
  StageStatus,
  Stamp,
} from "../../shared/adapters/grpc-types.ts";
import { fail } from "../../shared/kernel/failure.ts";

export const stamp: Stamp = { epoch: 3, journalSequence: 11, coordinator: "c1" };

export const emptyRun: RunStatus = {
  runId: "ipdr-daily.2026-01-15.r1",
  job: "ipdr-daily",
  jobDigest: "",
  day: "2026-01-15",
  revision: 1,
  state: "running",
  lane: "live",
  stages: [],
  datasets: [],
  failure: null,
  createdMs: 0,
  endedMs: 0,
  rowsIn: 0,
  rejects: 0,
  exchangeRows: 0,
  exchangeBytes: 0,
  committedBy: {},
  manifest: "",
  warnings: [],
  checks: [],
  secondAttempts: 0,
  cause: "request",
  by: "ann",
  bytesIn: 0,
  select: [],
};

/** A leader of itself. */
export const statusReply = {
  stamp,
  role: "leader",
  leader: "127.0.0.1:1",
  version: "0.1.0",
  natsVersion: "2.9.10",
  duckdbVersion: "v1.5.6",
  storageRoot: "/data",
  pid: 7,
};

async function refuse(): Promise<never> {
  throw fail("badRequest", "not expected in this test");
}

/** A stage in the middle of its work. */
export const stage: StageStatus = {
  id: "s0",
  label: "scan ipdr",
  source: "ipdr",
  makes: [],
  duplicates: 0,
  exchanges: [],
  tasks: 16,
  running: 2,
  done: 4,
  failedAttempts: 1,
  rowsIn: 1_234_567,
  bytesIn: 300_000_000,
  rowsOut: 0,
  bytesOut: 0,
  reused: 0,
  state: "running",
  startedMs: 1_000,
  endedMs: 0,
  committedBy: {},
};

/** Every call is refused; a test replaces what it needs. */
export const refusing: CoordinatorHandlers = {
  getStatus: refuse,
  submit: refuse,
  getRun: refuse,
  listRuns: refuse,
  watchRun: refuse,
  cancel: refuse,
  release: refuse,
  explain: refuse,
  listExecutors: refuse,
  drain: refuse,
  getBacklog: refuse,
  markDay: refuse,
  delivered: refuse,
  pauseBacklog: refuse,
  startBackfill: refuse,
  markBackfill: refuse,
  listBackfills: refuse,
  gc: refuse,
  listLate: refuse,
  acknowledge: refuse,
  listDeliveries: refuse,
  listAlerts: refuse,
  silenceAlerts: refuse,
  unsilenceAlerts: refuse,
  testChannel: refuse,
  readDataset: refuse,
};

/** A promise with its resolver outside, for events in tests. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
