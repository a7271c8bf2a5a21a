/**
 * One worker's end of the exchange: rows of a DuckDB table out to the streams of an exchange, and back in.
 * It keeps no state of a run: who won, and which streams there are, comes with each request.
 * Rows never pass through JavaScript one by one; only whole column buffers do.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { ExchangePlan } from "../kernel/plan.ts";
import type { ExchangeOutput, ExchangeRoute, Winner } from "../kernel/work.ts";
import type { Log } from "../ports.ts";
import { readGroup } from "./duckdb-arrow-receive.ts";
import { writeTable } from "./duckdb-arrow-send.ts";
import { connectNats } from "./nats.ts";
import { createPublisher } from "./nats-exchange-publish.ts";
import { pullStream } from "./nats-exchange-pull.ts";

export interface ExchangeWrite {
  readonly plan: ExchangePlan;
  readonly route: ExchangeRoute;
  readonly attemptId: string;
  /** Map key, or run/stage/task for the output of a reduce task. */
  readonly producer: string;
  /** Table or view with the columns of `plan.columns` in order, then `__p` INTEGER. */
  readonly table: string;
  readonly signal: AbortSignal;
}

export interface ExchangeRead {
  readonly plan: ExchangePlan;
  readonly route: ExchangeRoute;
  readonly winners: readonly Winner[];
  readonly group: number;
  /** Name of the table to make: the columns of `plan.columns`, then `__p` INTEGER. */
  readonly table: string;
  readonly signal: AbortSignal;
}

export interface ExchangeIo {
  /**
   * Publishes all rows of `table`, then the completion record to every group's stream.
   * Errors: `messageTooLarge`, `exchangeFull`, `exchangeShort` (a stream is gone), `unavailable`, `cancelled`.
   */
  write(connection: DuckDBConnection, request: ExchangeWrite): Promise<ExchangeOutput>;
  /**
   * Loads the winners' rows of one group into a new table and proves them by counts and checksums.
   * Errors: `exchangeShort` with `detail: {attempt, stream}` (without `attempt`: the whole stream),
   * `unavailable`, `cancelled`.
   */
  read(
    connection: DuckDBConnection,
    request: ExchangeRead,
  ): Promise<{ readonly rows: number; readonly bytes: number }>;
  /** Publishes what a map attempt gave, after everything that it wrote. Errors as of `write`. */
  account(request: {
    readonly stream: string;
    readonly attemptId: string;
    readonly text: string;
    readonly signal: AbortSignal;
  }): Promise<void>;
  close(): Promise<void>;
}

/** Opens the exchange over a NATS connection of its own: its traffic must not delay anybody's heartbeats. */
export async function openExchange(options: {
  readonly servers: readonly string[];
  /** Shown in the server's monitoring. */
  readonly name: string;
  readonly log: Log;
}): Promise<ExchangeIo> {
  const link = await connectNats(options);
  return {
    write(connection, request) {
      const { attemptId, signal } = request;
      const publisher = createPublisher(link, attemptId, signal, options.log);
      return writeTable(connection, request, publisher);
    },
    read(connection, request) {
      const { signal } = request;
      return readGroup(connection, request, (stream) => pullStream(link, stream, { signal }));
    },
    async account({ stream, attemptId, text, signal }) {
      const publisher = createPublisher(link, attemptId, signal, options.log);
      await publisher.account(stream, text);
      await publisher.settled();
    },
    close: () => link.close(),
  };
}
