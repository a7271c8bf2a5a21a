/**
 * The one shape of every deciding part: a message goes in, a new state and effects come out.
 * A step is synchronous, total and deterministic; effects are data that a shell interprets.
 */
import type { Instant } from "./time.ts";

/** A message with the time at which it was taken from the mailbox. */
export interface Stamped<M> {
  /** Monotonic, decides expiry and ages. */
  readonly at: Instant;
  /** Wall clock, epoch milliseconds: for records and people, never for decisions about liveness. */
  readonly wall: number;
  readonly message: M;
}

/** `(state, input) → [next state, effects in the order in which they must be started]`. */
export type Step<S, M, E> = (state: S, input: Stamped<M>) => readonly [S, readonly E[]];
