/**
 * gRPC streams in our shapes: one end of a bidirectional stream as a `Duplex`, replies with back-pressure.
 * Knows node streams only; it decides nothing and keeps no message after the end.
 */
import { type Failure, fail } from "../kernel/failure.ts";
import type { Duplex, ReplyStream } from "./grpc-types.ts";

export interface DuplexOptions {
  readonly peer: string;
  /** A server's peer speaks last with `end`; a client's peer may still send a failure status after it. */
  readonly side: "server" | "client";
  /** Ends the call with a reason: a status on the server, a cancel on the client. */
  readonly refuse: (reason: Failure) => void;
  /** What an `error` event of the call means. */
  readonly translate: (error: unknown) => Failure;
}

/** What is needed of a call: both ends' streams of the library have it. */
export interface DuplexStream {
  on(event: string, listener: (value: unknown) => void): unknown;
  write(message: unknown): unknown;
  end(): unknown;
  readonly writableLength: number;
}

type Ended = (failure: Failure | undefined) => void;

/** Wraps a call. Node keeps incoming messages until `listen`, so none is lost before it. */
export function duplexOf<In, Out>(call: DuplexStream, options: DuplexOptions): Duplex<In, Out> {
  const { peer, side, refuse, translate } = options;
  let closed = false;
  let toldEnd = false;
  let tell: Ended | undefined;
  let early: { readonly failure: Failure | undefined } | undefined;
  const ended: Ended = (reason) => {
    closed = true;
    if (tell === undefined) early ??= { failure: reason };
    else if (!toldEnd) {
      toldEnd = true;
      tell(reason);
    }
  };
  call.on("error", (error: unknown) => ended(translate(error)));
  call.on("cancelled", () => ended(translate(undefined)));
  call.on("end", () => {
    if (!closed) call.end();
    if (side === "server") ended(undefined);
    else setImmediate(() => ended(undefined));
  });
  return {
    peer,
    listen: (heard, onEnd) => {
      tell = onEnd;
      if (early !== undefined) ended(early.failure);
      else call.on("data", (message) => (toldEnd ? undefined : heard(message as In)));
    },
    send: (message) => {
      if (!closed) call.write(message);
    },
    backlog: () => (closed ? 0 : call.writableLength),
    end: (reason) => {
      if (closed) return;
      closed = true;
      if (reason === undefined) call.end();
      else refuse(reason);
    },
  };
}

interface ReplyWriter {
  write(reply: unknown): boolean;
  once(event: "drain", listener: () => void): unknown;
  removeListener(event: "drain", listener: () => void): unknown;
}

/** Writes wait for room, and fail with `cancelled` once `signal` says that the caller has gone. */
export function repliesOf(call: ReplyWriter, signal: AbortSignal): ReplyStream<unknown> {
  const gone = () => fail("cancelled", "the caller has gone");
  return {
    write: (reply) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(gone());
        if (call.write(reply)) return resolve();
        const drained = () => {
          signal.removeEventListener("abort", aborted);
          resolve();
        };
        const aborted = () => {
          call.removeListener("drain", drained);
          reject(gone());
        };
        call.once("drain", drained);
        signal.addEventListener("abort", aborted, { once: true });
      }),
  };
}
