/**
 * What every kind of work in a worker shares: its context, its engine and its own folder for temporary files.
 * It holds no rows and decides nothing.
 */
import type { Engine } from "../../../shared/adapters/duckdb.ts";
import type { ExchangeIo } from "../../../shared/adapters/exchange.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { ExchangePlan } from "../../../shared/kernel/plan.ts";
import type { Delivery, ExchangeRoute } from "../../../shared/kernel/work.ts";
import type { Log } from "../../../shared/ports.ts";

/** What the worker process lends to an attempt. */
export interface WorkerContext {
  /** Storage root, absolute. */
  readonly root: string;
  /** Folder for temporary files, absolute; each attempt makes and removes its own folder in it. */
  readonly tempDir: string;
  /** Folder of dimensions that the executor's workers have loaded, absolute; it need not exist. */
  readonly dimensionDir: string;
  /** What the process may use altogether; the engine gets a share of it. */
  readonly memoryBytes: number;
  readonly threads: number;
  readonly exchange: ExchangeIo;
  readonly log: Log;
  progress(rows: number, bytes: number): void;
  readonly signal: AbortSignal;
}

/** One running attempt. */
export interface Attempt {
  readonly context: WorkerContext;
  readonly delivery: Delivery;
  readonly engine: Engine;
  /** The attempt's own temporary folder, absolute. */
  readonly folder: string;
  /** Files of the executor's cache that the engine may read, by name of the dimension. */
  readonly cachedDimensions: ReadonlyMap<string, string>;
}

/** The plan of an exchange that the work names. Errors: `internal` when the work contradicts itself. */
export function exchangePlan(plans: readonly ExchangePlan[], id: string): ExchangePlan {
  const plan = plans.find((candidate) => candidate.id === id);
  if (plan === undefined)
    throw fail("internal", `work names exchange ${id} but holds no plan of it`);
  return plan;
}

/** The streams of an exchange that the delivery names. Errors: `internal`. */
export function exchangeRoute<R extends ExchangeRoute>(routes: readonly R[], id: string): R {
  const route = routes.find((candidate) => candidate.exchange === id);
  if (route === undefined) throw fail("internal", `delivery holds no streams for exchange ${id}`);
  return route;
}
