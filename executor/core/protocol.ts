/**
 * Everything that can happen to an executor and everything it can do, as data.
 * Arrow bytes never pass here: only ids, texts of work that travel through unread, counts and outcomes.
 */
import type { Failure } from "../../shared/kernel/failure.ts";
import type { AttemptOutcome, AttemptProgress } from "../../shared/kernel/work.ts";

/** Who this executor is; fixed for the life of the process. */
export interface Identity {
  readonly id: string;
  /** Random per start of the process: a returned executor is not its former self. */
  readonly incarnation: number;
  readonly slots: number;
  readonly host: string;
  readonly pid: number;
  readonly wireVersion: number;
  readonly hashVersion: number;
  /** Daymill's own version. */
  readonly version: string;
}

/** First message on each link. */
export interface Hello extends Identity {
  readonly duckdbVersion: string;
  /**
   * Attempts that run here, and those whose report is still unacknowledged: a new leader must not start
   * the latter elsewhere, their outcome follows right after its welcome.
   */
  readonly runningAttempts: readonly string[];
  readonly highestEpoch: number;
}

/** What a leader says; the epoch travels beside it. */
export type Command =
  | { readonly kind: "welcome"; readonly coordinator: string }
  | { readonly kind: "refused"; readonly failure: Failure }
  | {
      readonly kind: "runTask";
      readonly attemptId: string;
      /** Canonical JSON of a `Work`, exactly as it came: its hash names the output. */
      readonly work: string;
      /** Canonical JSON of a `Delivery`. */
      readonly delivery: string;
      /** By a process that has run nothing yet. */
      readonly fresh?: boolean;
      /** Of a run that is not live: the process lowers its priority, and can't raise it again. */
      readonly background?: boolean;
    }
  | { readonly kind: "cancelTask"; readonly attemptId: string; readonly reason: string }
  | { readonly kind: "reportAck"; readonly attemptId: string }
  | { readonly kind: "drainNow"; readonly reason: string };

export type Message =
  /** The first message. */
  | { readonly kind: "started" }
  /** A leader's sign of life in the registry; a hint, repeated with every beat. */
  | {
      readonly kind: "leaderHeard";
      readonly epoch: number;
      readonly coordinator: string;
      readonly address: string;
    }
  | {
      readonly kind: "commanded";
      readonly link: number;
      readonly epoch: number;
      readonly command: Command;
    }
  /** The link broke, could not be opened, or its send buffer ran over. */
  | { readonly kind: "linkLost"; readonly link: number; readonly reason: string }
  | {
      readonly kind: "workerReady";
      readonly slot: number;
      readonly worker: number;
      readonly pid: number;
      readonly duckdbVersion: string;
      /** It has the right to raise its priority again after it has lowered it. */
      readonly canRaise: boolean;
    }
  | {
      readonly kind: "workerProgress";
      readonly slot: number;
      readonly worker: number;
      readonly progress: AttemptProgress;
      readonly peakMemoryBytes: number;
    }
  | {
      readonly kind: "workerOutcome";
      readonly slot: number;
      readonly worker: number;
      readonly attemptId: string;
      readonly outcome: AttemptOutcome;
      readonly peakMemoryBytes: number;
    }
  /** The process is gone; `how` says by which exit code or signal. */
  | {
      readonly kind: "workerExited";
      readonly slot: number;
      readonly worker: number;
      readonly how: string;
    }
  /** Leave in good order; `finishMs` is how long running attempts may go on. */
  | { readonly kind: "drain"; readonly reason: string; readonly finishMs: number }
  /** Leave at once. */
  | { readonly kind: "stop" }
  | { readonly kind: "tick" };

export type ToLeader =
  | {
      readonly kind: "heartbeat";
      readonly sequence: number;
      readonly running: readonly AttemptProgress[];
      readonly workerPids: readonly number[];
      readonly peakMemoryBytes: number;
    }
  | {
      readonly kind: "report";
      readonly attemptId: string;
      readonly epoch: number;
      readonly outcome: AttemptOutcome;
    }
  | { readonly kind: "draining"; readonly reason: string };

export type Effect =
  /** Look the leader up in the registry; answered by `leaderHeard` when there is one. */
  | { readonly kind: "askLeader" }
  /** Dial, send the hello; all that happens on it comes back with this link number. */
  | {
      readonly kind: "openLink";
      readonly link: number;
      readonly address: string;
      readonly hello: Hello;
    }
  | { readonly kind: "send"; readonly link: number; readonly message: ToLeader }
  | { readonly kind: "closeLink"; readonly link: number }
  | { readonly kind: "startWorker"; readonly slot: number; readonly worker: number }
  | {
      readonly kind: "giveWork";
      readonly slot: number;
      readonly worker: number;
      readonly attemptId: string;
      readonly work: string;
      readonly delivery: string;
    }
  /** Ask the worker to end the attempt; it still answers with an outcome. */
  | {
      readonly kind: "interruptWorker";
      readonly slot: number;
      readonly worker: number;
      readonly attemptId: string;
    }
  /** Ask an idle worker to leave. */
  | { readonly kind: "quitWorker"; readonly slot: number; readonly worker: number }
  | { readonly kind: "killWorker"; readonly slot: number; readonly worker: number }
  /** The first welcome: tell whoever started this process. */
  | { readonly kind: "announceReady" }
  /** The last effect: close everything and end the process with this exit code. */
  | { readonly kind: "exit"; readonly code: number; readonly reason: string }
  | {
      readonly kind: "log";
      readonly level: "info" | "warn" | "error";
      readonly text: string;
      readonly fields: Readonly<Record<string, string | number>>;
    };

/** Exit codes of the executor process (sysexits where one fits). */
export const exitCodes = {
  drained: 0,
  /** A wrong option: what the coordinator and the `daymill` command say, too. */
  usage: 2,
  /** NATS, the storage root or the work folder could not be used at the start. */
  unavailable: 69,
  /** Workers do not start, or a bug stopped the supervisor. */
  internal: 70,
  /** The leader refused this executor for good (other version). */
  refused: 78,
  /** Told twice to stop. */
  stopped: 130,
} as const;
