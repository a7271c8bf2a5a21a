/** What a caller of the client library may choose. */
import type { Lane } from "../shared/kernel/lane.ts";

export interface ClientOptions {
  /** `host:port` of coordinators. May be empty when `findLeader` is given. */
  readonly coordinators: readonly string[];
  /** Asks somebody else (the cluster's registry) who leads; called when no known address helps. */
  readonly findLeader?: () => Promise<string | undefined>;
  /** Milliseconds until a call gives up looking for a leader; default limits.grpcDeadlineMs. */
  readonly deadlineMs?: number;
  /**
   * The same where nothing listens at any known address, nothing ever did, and there is nobody else to ask; default
   * `deadlineMs`. Whoever waits for a cluster that starts wants the default, a person at a terminal does not.
   */
  readonly unreachedMs?: number;
}

export interface SubmitOptions {
  /** A new revision of a day that is done. */
  readonly rerun?: boolean;
  readonly requestId?: string;
  readonly lane?: Lane;
  /** Who asks: shown with the run. */
  readonly by?: string;
  /** Some models only, in the words of shared/kernel/selection.ts; none: all. */
  readonly select?: readonly string[];
}

export interface ReadOptions {
  /** 0 or absent: the committed revision. */
  readonly revision?: number;
  /** 0 or absent: all rows. */
  readonly limit?: number;
  /** Column, optionally with ` DESC`. */
  readonly orderBy?: string;
}
