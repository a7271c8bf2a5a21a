/**
 * A worker process: takes one attempt at a time from its supervisor, runs it, tells progress and the outcome.
 * It decides nothing about retries, keeps nothing between attempts but its NATS connection, and never outlives its
 * supervisor: when the channel closes it ends at once, whatever it is doing.
 */
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { duckdbVersion } from "../../../shared/adapters/duckdb-version.ts";
import { type ExchangeIo, openExchange } from "../../../shared/adapters/exchange.ts";
import { createLog } from "../../../shared/adapters/logger.ts";
import { must, unreachable } from "../../../shared/kernel/assert.ts";
import { canonicalJson, type Json } from "../../../shared/kernel/canonical.ts";
import { fail, failure, fromUnknown } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import {
  type AttemptOutcome,
  type Delivery,
  isBackground,
  type Work,
} from "../../../shared/kernel/work.ts";
import type { Log } from "../../../shared/ports.ts";
import { canRaisePriority, killSelf, peakMemoryBytes, setThreadPriorities } from "./own-process.ts";
import type { FromWorker, ToWorker, WorkerConfig } from "./protocol.ts";
import { runWork } from "./run-work.ts";

interface Place {
  readonly config: WorkerConfig;
  readonly log: Log;
}
interface Running {
  readonly attemptId: string;
  readonly abort: AbortController;
}

/** Exit code of an unexpected error; the lines before it in the log say which. */
const internalExit = 70;

let place: Place | undefined;
let running: Running | undefined;
let exchange: Promise<ExchangeIo> | undefined;

process.on("message", (message: ToWorker) => take(message));
// The supervisor has gone, maybe by SIGKILL.
process.on("disconnect", () => killSelf(place?.config.tempDir));
// Signals to the whole process group are the supervisor's business: it drains first.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);

function take(message: ToWorker): void {
  switch (message.kind) {
    case "configure": {
      const { config } = message;
      const { executor, slot, worker } = config;
      const canRaise = canRaisePriority();
      setThreadPriorities(limits.workerNice);
      place = {
        config,
        log: createLog(config.logLevel, { role: "worker", executor, slot, worker }),
      };
      tell({ kind: "ready", pid: process.pid, duckdbVersion: duckdbVersion(), canRaise });
      return;
    }
    case "run":
      void run(must(place, "a worker is configured first"), message);
      return;
    case "cancel":
      if (running?.attemptId === message.attemptId) running.abort.abort();
      return;
    case "quit":
      leave(0);
      return;
    default:
      unreachable(message);
  }
}

/** Runs one attempt to its outcome; never rejects. */
async function run(
  { config, log }: Place,
  { attemptId, work, delivery }: Extract<ToWorker, { kind: "run" }>,
): Promise<void> {
  const abort = new AbortController();
  running = { attemptId, abort };
  let about: Log = log.child({ attempt: attemptId });
  const tempDir = join(config.tempDir, "attempt");
  let outcome: AttemptOutcome;
  try {
    mkdirSync(tempDir, { recursive: true, mode: 0o700 });
    const parsed = parse(work, delivery);
    about = log.child(fieldsOf(parsed.delivery));
    // Before the engine is opened: the threads that it makes inherit it.
    setThreadPriorities(isBackground(parsed.delivery) ? limits.backlogNice : limits.workerNice);
    outcome = await runWork(parsed.work, parsed.delivery, {
      root: config.root,
      tempDir,
      dimensionDir: config.dimensionDir,
      memoryBytes: config.memoryBytes,
      threads: config.threads,
      exchange: await openedExchange(config, log),
      log: about,
      progress: progressOf(attemptId),
      signal: abort.signal,
    });
  } catch (error) {
    outcome = { kind: "failed", failure: fromUnknown(error) };
    if (outcome.failure.code === "internal") {
      const trace = error instanceof Error ? (error.stack ?? "") : "";
      about.error("an attempt failed in a way that is not foreseen", { trace });
    }
  }
  logEnd(about, outcome);
  await rm(tempDir, { recursive: true, force: true }).catch((error: unknown) =>
    log.warn("an attempt's temporary folder stays", { attempt: attemptId, error: String(error) }),
  );
  running = undefined;
  tell({
    kind: "outcome",
    attemptId,
    outcome: fitting(outcome),
    peakMemoryBytes: peakMemoryBytes(),
  });
}

function logEnd(log: Log, outcome: AttemptOutcome): void {
  if (outcome.kind === "failed") {
    log.warn("attempt failed", { code: outcome.failure.code, reason: outcome.failure.message });
    return;
  }
  const { rowsIn, rowsOut, bytesIn, bytesOut, elapsedMs } = outcome.counters;
  log.info("attempt done", {
    rowsIn,
    rowsOut,
    bytesIn,
    bytesOut,
    elapsedMs: Math.round(elapsedMs),
  });
}

function parse(work: string, delivery: string): { work: Work; delivery: Delivery } {
  try {
    return { work: JSON.parse(work) as Work, delivery: JSON.parse(delivery) as Delivery };
  } catch (error) {
    throw fail("badRequest", `the task is not JSON: ${String(error)}`, undefined, error);
  }
}

function fieldsOf({ run, stage, task, attemptId, epoch }: Delivery) {
  return { run, stage, task, attempt: attemptId, epoch };
}

/** One connection for the life of the process, made at the first need; a failed one is tried again next time. */
function openedExchange(config: WorkerConfig, log: Log): Promise<ExchangeIo> {
  const name = `${config.executor}-worker-${config.slot}`;
  const opened =
    exchange ??
    openExchange({ servers: config.servers, name, log }).catch((error: unknown) => {
      exchange = undefined;
      throw error;
    });
  exchange = opened;
  return opened;
}

/** Tells at most every limits.progressEveryMs. */
function progressOf(attemptId: string): (rows: number, bytes: number) => void {
  let nextAt = 0;
  return (rows, bytes) => {
    const now = performance.now();
    if (now < nextAt) return;
    nextAt = now + limits.progressEveryMs;
    tell({ kind: "progress", attemptId, rows, bytes, peakMemoryBytes: peakMemoryBytes() });
  };
}

/** An outcome that no message can carry becomes a failure that says so. */
function fitting(outcome: AttemptOutcome): AttemptOutcome {
  const bytes = Buffer.byteLength(canonicalJson(outcome as unknown as Json));
  if (bytes <= limits.outcomeBytesMax) return outcome;
  const text =
    `the outcome has ${bytes} bytes, more than the ${limits.outcomeBytesMax} that a report carries; ` +
    "use a smaller split_bytes, so that a task reads fewer files";
  return { kind: "failed", failure: failure("messageTooLarge", text) };
}

function tell(message: FromWorker, sent: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, sent);
}

function crash(error: unknown): void {
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  place?.log.error("a worker stops after an unexpected error", { trace });
  if (place === undefined) process.stderr.write(`worker: ${trace}\n`);
  if (running === undefined) leave(internalExit);
  const { attemptId } = must(running, "an attempt runs");
  const outcome: AttemptOutcome = { kind: "failed", failure: fromUnknown(error) };
  tell({ kind: "outcome", attemptId, outcome, peakMemoryBytes: peakMemoryBytes() }, () =>
    leave(internalExit),
  );
  setTimeout(() => leave(internalExit), limits.workerCancelGraceMs).unref();
}

function leave(code: number): never {
  process.exit(code);
}
