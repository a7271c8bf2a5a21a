/**
 * The worker processes of an executor: one per slot, forked, each with its own folder, and none left behind.
 * It decides nothing: which worker starts, runs or dies comes as effects; what happens to it goes back as messages.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unreachable } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Log } from "../../shared/ports.ts";
import type { Message } from "../core/protocol.ts";
import type { FromWorker, ToWorker, WorkerConfig } from "./worker/protocol.ts";

export interface WorkerPoolOptions {
  readonly config: Omit<WorkerConfig, "slot" | "worker" | "tempDir" | "dimensionDir">;
  /** Folder of this executor, absolute; each worker gets one inside, and all share one for dimensions. */
  readonly baseDir: string;
  readonly log: Log;
  readonly post: (message: Message) => void;
  /** The program of a worker; default: the compiled worker/main.js beside this file. */
  readonly program?: string;
}

/** All worker processes. Calls for a worker that has gone do nothing: its exit is already on its way as a message. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #dimensionDir: string;
  readonly #live = new Map<number, ChildProcess>();
  /** One for each worker whose process or folder is still there. */
  readonly #remains = new Set<Promise<void>>();

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#dimensionDir = join(options.baseDir, "dimensions");
  }

  /** Forks a worker. Failing to is told like any other exit. */
  start(slot: number, worker: number): void {
    const tempDir = join(this.#options.baseDir, `slot-${slot}-${worker}`);
    let child: ChildProcess;
    try {
      mkdirSync(tempDir, { recursive: true, mode: 0o700 });
      child = this.#fork(tempDir);
    } catch (error) {
      const how = `an error before it began: ${String(error)}`;
      this.#options.post({ kind: "workerExited", slot, worker, how });
      return;
    }
    this.#live.set(worker, child);
    const remains = this.#untilGone(slot, worker, child)
      .then(() => rm(tempDir, { recursive: true, force: true }))
      .catch((error: unknown) =>
        this.#options.log.warn("a worker's folder stays", { path: tempDir, error: String(error) }),
      )
      .finally(() => this.#remains.delete(remains));
    this.#remains.add(remains);
    child.on("message", (message: FromWorker) => this.#heard(slot, worker, message));
    const dimensionDir = this.#dimensionDir;
    const config = { ...this.#options.config, slot, worker, tempDir, dimensionDir };
    this.tell(worker, { kind: "configure", config });
  }

  /** Sends one message to a worker. */
  tell(worker: number, message: ToWorker): void {
    const child = this.#live.get(worker);
    // An error here means that the process is going: its exit says so.
    if (child?.connected) child.send(message, () => undefined);
  }

  kill(worker: number): void {
    this.#live.get(worker)?.kill("SIGKILL");
  }

  /** Kills all workers and waits until they have gone and their folders are removed, also the shared one. */
  async close(): Promise<void> {
    for (const child of this.#live.values()) child.kill("SIGKILL");
    await Promise.all(this.#remains);
    await rm(this.#dimensionDir, { recursive: true, force: true }).catch(() => undefined);
  }

  /** Tells the exit, once, when the process is no more. */
  #untilGone(slot: number, worker: number, child: ChildProcess): Promise<void> {
    return new Promise((resolve) => {
      const ended = (how: string) => {
        if (!this.#live.delete(worker)) return;
        this.#options.post({ kind: "workerExited", slot, worker, how });
        resolve();
      };
      child.once("exit", (code, signal) =>
        ended(signal === null ? `exit code ${code}` : `signal ${signal}`),
      );
      child.once("error", (error) => {
        // A process that was started ends by itself or by a kill; one that was not never will.
        if (child.pid === undefined) ended(`an error before it began: ${error.message}`);
      });
    });
  }

  #fork(tempDir: string): ChildProcess {
    const program =
      this.#options.program ?? fileURLToPath(new URL("./worker/main.js", import.meta.url));
    return fork(program, [], {
      cwd: tempDir,
      // Nothing of our environment: no secrets, and no locale or time zone that changes a result.
      env: {
        UV_THREADPOOL_SIZE: String(limits.workerPoolThreads),
        TZ: "UTC",
        LANG: "C.UTF-8",
        HOME: tempDir,
        TMPDIR: tempDir,
      },
      execArgv: [`--max-old-space-size=${limits.workerHeapMiB}`, "--enable-source-maps"],
      // Standard output belongs to the supervisor's ready line; a worker's logs and last words go to its log.
      stdio: ["ignore", 2, 2, "ipc"],
      serialization: "json",
    });
  }

  #heard(slot: number, worker: number, message: FromWorker): void {
    const { post } = this.#options;
    switch (message.kind) {
      case "ready": {
        const { pid, duckdbVersion, canRaise } = message;
        post({ kind: "workerReady", slot, worker, pid, duckdbVersion, canRaise });
        return;
      }
      case "progress": {
        const { attemptId, rows, bytes, peakMemoryBytes } = message;
        const progress = { attemptId, rows, bytes };
        post({ kind: "workerProgress", slot, worker, progress, peakMemoryBytes });
        return;
      }
      case "outcome": {
        const { attemptId, outcome, peakMemoryBytes } = message;
        post({ kind: "workerOutcome", slot, worker, attemptId, outcome, peakMemoryBytes });
        return;
      }
      default:
        unreachable(message);
    }
  }
}
