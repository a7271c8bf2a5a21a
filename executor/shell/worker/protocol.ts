/**
 * What the supervisor and a worker process say to each other over the process channel: plain JSON values.
 * Rows never pass here; texts of work pass unread, outcomes as the values of shared/kernel/work.ts.
 */
import type { AttemptOutcome } from "../../../shared/kernel/work.ts";

/** First message to a worker: all it will ever know about its place. */
export interface WorkerConfig {
  readonly executor: string;
  readonly slot: number;
  readonly worker: number;
  /** NATS servers for the exchange. */
  readonly servers: readonly string[];
  /** Storage root, absolute. */
  readonly root: string;
  /** This process's own folder, absolute; it exists and is removed when the process has gone. */
  readonly tempDir: string;
  /** Dimensions that this executor's workers have loaded, absolute; made by the first that has one. */
  readonly dimensionDir: string;
  /** For the engine, its buffers and the exchange together. */
  readonly memoryBytes: number;
  readonly threads: number;
  readonly logLevel: string;
}

export type ToWorker =
  | { readonly kind: "configure"; readonly config: WorkerConfig }
  | {
      readonly kind: "run";
      readonly attemptId: string;
      /** Canonical JSON of a `Work`. */
      readonly work: string;
      /** Canonical JSON of a `Delivery`. */
      readonly delivery: string;
    }
  | { readonly kind: "cancel"; readonly attemptId: string }
  /** Leave; sent to an idle worker only. */
  | { readonly kind: "quit" };

export type FromWorker =
  /** The engine is loaded; work may come. */
  | {
      readonly kind: "ready";
      readonly pid: number;
      readonly duckdbVersion: string;
      /** May raise its priority again after background work. */
      readonly canRaise: boolean;
    }
  | {
      readonly kind: "progress";
      readonly attemptId: string;
      readonly rows: number;
      readonly bytes: number;
      readonly peakMemoryBytes: number;
    }
  | {
      readonly kind: "outcome";
      readonly attemptId: string;
      readonly outcome: AttemptOutcome;
      readonly peakMemoryBytes: number;
    };
