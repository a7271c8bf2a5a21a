/**
 * One end of a bidirectional gRPC stream as a `Duplex`: the same shape for the hub and for the executor.
 * Knows node streams only; it decides nothing and keeps no message after the end.
 */
import type { Failure } from "../kernel/failure.ts";
import type { Duplex } from "./grpc-types.ts";

export interface DuplexOptions {
  readonly peer: string;
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
  const { peer, refuse, translate } = options;
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
    // A client learns of a failure by `error`, right after `end`: the failure is to be told, not the peace.
    setImmediate(() => ended(undefined));
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
