/**
 * The executor's state: plain readonly data, small (slots, unacknowledged reports, one link), copied on change.
 * It decides nothing; `checkInvariants` says what must hold after every step.
 */
import { assert } from "../../shared/kernel/assert.ts";
import type { FailureCode } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Instant } from "../../shared/kernel/time.ts";
import type { AttemptOutcome } from "../../shared/kernel/work.ts";
import type { Effect, Identity } from "./protocol.ts";

/** Life of the process in a slot; `worker` numbers are never used twice. */
export type Worker =
  | { readonly kind: "starting"; readonly worker: number; readonly killAt: Instant }
  | {
      readonly kind: "ready";
      readonly worker: number;
      readonly pid: number;
      readonly attemptsDone: number;
      /** It was given background work: its priority is low, unless `canRaise` for good. */
      readonly isLowered: boolean;
      readonly canRaise: boolean;
    }
  /** Asked to quit, or killed: its successor starts when it has gone. */
  | { readonly kind: "leaving"; readonly worker: number; readonly killAt: Instant }
  /** Failed to start; tried again then. */
  | { readonly kind: "down"; readonly startAt: Instant };

/** Why an attempt is being ended, and until when the worker may answer by itself. */
export interface Ending {
  readonly code: Extract<FailureCode, "cancelled" | "drained">;
  readonly reason: string;
  readonly killAt: Instant;
}

export interface RunningAttempt {
  readonly attemptId: string;
  readonly epoch: number;
  /** Present until a worker has it. */
  readonly waiting: { readonly work: string; readonly delivery: string } | undefined;
  /** Of a run that is not live. */
  readonly background: boolean;
  readonly rows: number;
  readonly bytes: number;
  readonly ending: Ending | undefined;
}

export interface Slot {
  readonly worker: Worker;
  readonly attempt: RunningAttempt | undefined;
}

/** An outcome that the leader has not yet acknowledged as saved. */
export interface Report {
  readonly attemptId: string;
  readonly epoch: number;
  readonly outcome: AttemptOutcome;
  /** When it was last sent on the present link. */
  readonly sentAt: Instant | undefined;
}

export interface Leader {
  readonly epoch: number;
  readonly coordinator: string;
  readonly address: string;
}

export type Link =
  /** No link; the next try is due at `retryAt`. `failures` in a row decide the pause. */
  | { readonly kind: "none"; readonly retryAt: Instant; readonly failures: number }
  /** Dialled, hello sent, no welcome yet. */
  | {
      readonly kind: "opening";
      readonly link: number;
      readonly leader: Leader;
      readonly giveUpAt: Instant;
      readonly failures: number;
    }
  | {
      readonly kind: "attached";
      readonly link: number;
      readonly leader: Leader;
      readonly heartbeatAt: Instant;
      /** Lost before then, it counts as one more failure: two executors of one name must not chase each other. */
      readonly steadyAt: Instant;
      readonly failures: number;
    };

export interface Drain {
  readonly reason: string;
  /** Attempts still running then are handed back. */
  readonly handBackAt: Instant;
  /** Leave then, even with unacknowledged reports; set when the last attempt has ended. */
  readonly leaveAt: Instant | undefined;
}

export interface ExecutorState {
  readonly identity: Identity;
  readonly ended: boolean;
  readonly slots: readonly Slot[];
  readonly nextWorker: number;
  /** Failed starts in a row over all slots. */
  readonly startsFailed: number;
  /** Known from the first worker that became ready; no hello before. */
  readonly duckdbVersion: string | undefined;
  readonly reports: readonly Report[];
  /** Attempt ids whose report was acknowledged, oldest first. */
  readonly settled: readonly string[];
  /** Highest epoch obeyed. */
  readonly highestEpoch: number;
  readonly leader: Leader | undefined;
  readonly link: Link;
  readonly nextLink: number;
  readonly askLeaderAt: Instant;
  readonly heartbeatSequence: number;
  readonly announced: boolean;
  readonly peakMemoryBytes: number;
  readonly drain: Drain | undefined;
}

/** One step under way: sub-machines replace `state` and push effects; nothing of it outlives the step. */
export interface Turn {
  readonly at: Instant;
  state: ExecutorState;
  readonly effects: Effect[];
}

/** The state before `started`. Slots: 1 to `limits.slotsPerExecutorMax`. */
export function initialState(identity: Identity): ExecutorState {
  assert(
    identity.slots >= 1 && identity.slots <= limits.slotsPerExecutorMax,
    "an executor has at least one slot and at most slotsPerExecutorMax",
  );
  return {
    identity,
    ended: false,
    slots: Array.from({ length: identity.slots }, () => ({
      worker: { kind: "down" as const, startAt: 0 },
      attempt: undefined,
    })),
    nextWorker: 1,
    startsFailed: 0,
    duckdbVersion: undefined,
    reports: [],
    settled: [],
    highestEpoch: 0,
    leader: undefined,
    link: { kind: "none", retryAt: 0, failures: 0 },
    nextLink: 1,
    askLeaderAt: 0,
    heartbeatSequence: 0,
    announced: false,
    peakMemoryBytes: 0,
    drain: undefined,
  };
}

/** Throws when the state contradicts itself. Run after every step in tests. */
export function checkInvariants(state: ExecutorState): void {
  assert(state.slots.length === state.identity.slots, "slots are never added or lost");
  const seen = new Set<string>();
  for (const slot of state.slots) {
    if (slot.attempt === undefined) continue;
    assert(!seen.has(slot.attempt.attemptId), "an attempt holds one slot only");
    seen.add(slot.attempt.attemptId);
    const given = slot.attempt.waiting === undefined;
    assert(!given || slot.worker.kind !== "down", "an attempt that was given has a process");
    if (!given || slot.worker.kind !== "ready") continue;
    const { isLowered } = slot.worker;
    assert(isLowered === slot.attempt.background, "live work runs at its own priority");
  }
  for (const report of state.reports) {
    assert(!seen.has(report.attemptId), "a reported attempt no longer runs and is kept once");
    seen.add(report.attemptId);
  }
  for (const id of state.settled) assert(!seen.has(id), "a settled attempt is over");
  assert(state.reports.length <= limits.reportsKeptMax, "reports are bounded");
  assert(state.settled.length <= limits.settledAttemptsKept, "settled ids are bounded");
  const workers = state.slots.flatMap(({ worker }) =>
    worker.kind === "down" ? [] : [worker.worker],
  );
  assert(new Set(workers).size === workers.length, "worker numbers are never used twice");
}
