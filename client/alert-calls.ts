/** The part of the client library about alerts. Every call goes to the leader, and throws `DaymillError`. */
import type { CoordinatorClient } from "../shared/adapters/grpc-clients.ts";
import type { Stamp } from "../shared/adapters/grpc-types.ts";
import type {
  ListAlertsReply,
  Silence,
  SilenceAlertsRequest,
} from "../shared/adapters/grpc-types-alerts.ts";
import { fail } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";

/** Asks the leader, looking for it until the client's deadline. */
type CallLeader = <Reply extends { readonly stamp: Stamp | null }>(
  perAttemptMs: number,
  ask: (at: CoordinatorClient, deadlineMs: number) => Promise<Reply>,
) => Promise<Reply>;

export class AlertCalls {
  readonly #call: CallLeader;

  constructor(call: CallLeader) {
    this.#call = call;
  }

  /** Those that are open, or have ended; no job: of all, and of the cluster. */
  list(which: "open" | "history" = "open", job = ""): Promise<ListAlertsReply> {
    return this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.listAlerts({ which, job }, { deadlineMs }),
    );
  }

  /** Nobody is told of what matches until then. In force and on storage when it returns. */
  async silence(wish: SilenceAlertsRequest): Promise<Silence> {
    const { silence } = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.silenceAlerts(wish, { deadlineMs }),
    );
    if (silence !== null) return silence;
    throw fail("internal", "the coordinator has answered without the silence");
  }

  async unsilence(id: string): Promise<void> {
    await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.unsilenceAlerts({ id }, { deadlineMs }),
    );
  }

  /** Sends a test message; returns when the channel's receiver has taken it. */
  async test(channel: string): Promise<void> {
    // One try of the channel, and the way there and back.
    await this.#call(limits.sendMs + limits.clientAttemptMs, (at, deadlineMs) =>
      at.testChannel({ channel }, { deadlineMs }),
    );
  }
}
