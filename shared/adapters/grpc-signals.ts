/**
 * Abort signals and calls: a signal outlives most calls, so every call takes its listener off again when it is over.
 * It knows no gRPC library; the calls here are what is needed of one.
 */
import type { CallContext } from "./grpc-types.ts";

interface IncomingCall {
  getPeer(): string;
  on(event: "cancelled", listener: () => void): unknown;
}

/** Aborted when the caller goes or the server stops; call `done` when the handler has answered. */
export function contextOf(
  call: IncomingCall,
  stopping: AbortSignal,
): { readonly context: CallContext; done(): void } {
  const over = new AbortController();
  const stop = () => over.abort();
  call.on("cancelled", stop);
  if (stopping.aborted) stop();
  stopping.addEventListener("abort", stop, { once: true });
  return {
    context: { peer: call.getPeer(), signal: over.signal },
    done: () => stopping.removeEventListener("abort", stop),
  };
}

/** Cancels the call when the signal says so; the result takes that back and is called when the call is over. */
export function cancelOn(signal: AbortSignal | undefined, call: { cancel(): void }): () => void {
  const cancel = () => call.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  return () => signal?.removeEventListener("abort", cancel);
}
