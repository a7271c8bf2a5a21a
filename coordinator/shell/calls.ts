/**
 * Callers that wait for the core: each gets a number, the core's Tell `reply` with that number settles it.
 * It decides nothing; a caller that has gone is forgotten, and the core's late reply with it.
 */
import { DaymillError, fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Stamp } from "../../shared/kernel/status.ts";
import type { ClientMessage, Question, Reply, ReplyId } from "../core/protocol.ts";

export type ReplyOf<K extends Reply["kind"]> = Extract<Reply, { readonly kind: K }>;

export interface Replied<K extends Reply["kind"]> {
  readonly stamp: Stamp;
  readonly result: ReplyOf<K>;
}

interface Answered {
  readonly stamp: Stamp;
  readonly result: Reply;
}

/** The door to the actor for handlers. `post` may throw (`mailboxFull`): the caller is told. */
export class Calls {
  readonly #post: (message: ClientMessage) => void;
  readonly #waiting = new Map<ReplyId, (answered: Answered) => void>();
  #last: ReplyId = 0;

  constructor(post: (message: ClientMessage) => void) {
    this.#post = post;
  }

  /**
   * Posts one message and waits for its reply of kind `want`. A `failed` reply is thrown; `notLeader` names the
   * leader in `detail.leader`. No reply in time: `timeout`.
   */
  async ask<K extends Reply["kind"]>(
    want: K,
    make: (reply: ReplyId) => ClientMessage,
    signal: AbortSignal,
  ): Promise<Replied<K>> {
    const { stamp, result } = await this.#exchange(make, signal);
    if (result.kind === want) return { stamp, result: result as ReplyOf<K> };
    if (result.kind !== "failed") throw fail("internal", `asked ${want}, got ${result.kind}`);
    const { failure, leader } = result;
    if (leader === "") throw new DaymillError(failure);
    throw new DaymillError({ ...failure, detail: { ...failure.detail, leader } });
  }

  question<K extends Reply["kind"]>(want: K, question: Question, signal: AbortSignal) {
    return this.ask(want, (reply) => ({ kind: "question", reply, question }), signal);
  }

  /** The core's reply. Nobody waits any more: nothing happens. */
  settle(reply: ReplyId, stamp: Stamp, result: Reply): void {
    this.#waiting.get(reply)?.({ stamp, result });
  }

  #exchange(make: (reply: ReplyId) => ClientMessage, signal: AbortSignal): Promise<Answered> {
    const reply = ++this.#last;
    let forget = () => {};
    const answered = new Promise<Answered>((resolve, reject) => {
      const gone = () => reject(fail("cancelled", "the caller has gone"));
      const late = `the coordinator had no answer within ${limits.grpcDeadlineMs} ms`;
      const timer = setTimeout(() => reject(fail("timeout", late)), limits.grpcDeadlineMs);
      signal.addEventListener("abort", gone, { once: true });
      if (signal.aborted) gone();
      this.#waiting.set(reply, resolve);
      forget = () => {
        this.#waiting.delete(reply);
        clearTimeout(timer);
        signal.removeEventListener("abort", gone);
      };
      // Throws when the mailbox is full; inside a promise that is a rejection.
      this.#post(make(reply));
    });
    return answered.finally(() => forget());
  }
}
