/**
 * The loop around a pure step: take a message from a bounded mailbox, stamp it, step, hand the effects over in order.
 * An exception inside `step` stops the actor (the journal brings the state back). Effects must not throw: what they do
 * throw goes to whoever posted, and the effects after it are lost.
 */
import { assert } from "../kernel/assert.ts";
import { fail } from "../kernel/failure.ts";
import type { Step } from "../kernel/step.ts";
import type { Clock } from "../ports.ts";

export interface ActorOptions<S, M, E> {
  readonly step: Step<S, M, E>;
  readonly initial: S;
  readonly clock: Clock;
  /** Most messages waiting; one more is refused with `mailboxFull`. */
  readonly mailboxMax: number;
  /** Starts one effect. Must not throw; results come back through `post`. */
  readonly interpret: (effect: E) => void;
  /** Called when `step` throws: the state can no longer be trusted. */
  readonly crashed: (error: unknown) => void;
  /** Sees every step, for replay tests and post-mortems. */
  readonly observe?: (message: M, effects: readonly E[], state: S) => void;
}

/** One actor. `post` is the only way in; the state is only ever changed by the step. */
export class Actor<S, M, E> {
  readonly #options: ActorOptions<S, M, E>;
  readonly #mailbox: M[] = [];
  #state: S;
  #head = 0;
  #running = false;
  #stopped = false;

  constructor(options: ActorOptions<S, M, E>) {
    assert(options.mailboxMax > 0, "a mailbox holds at least one message");
    this.#options = options;
    this.#state = options.initial;
  }

  /** The state as of the last finished step. */
  get state(): S {
    return this.#state;
  }

  /** Queues a message. Throws `mailboxFull` instead of growing without bound. */
  post(message: M): void {
    if (this.#stopped) return;
    if (this.#mailbox.length - this.#head >= this.#options.mailboxMax) {
      throw fail("mailboxFull", "the actor's mailbox is full; try again in a moment");
    }
    this.#mailbox.push(message);
    if (!this.#running) this.#drain();
  }

  /** No further message is taken. */
  stop(): void {
    this.#stopped = true;
    this.#mailbox.length = 0;
    this.#head = 0;
  }

  #drain(): void {
    this.#running = true;
    try {
      while (!this.#stopped && this.#head < this.#mailbox.length) {
        const message = this.#mailbox[this.#head++];
        assert(message !== undefined, "a queued message exists");
        if (this.#head > 1024) {
          this.#mailbox.splice(0, this.#head);
          this.#head = 0;
        }
        this.#take(message);
      }
      if (this.#head >= this.#mailbox.length) {
        this.#mailbox.length = 0;
        this.#head = 0;
      }
    } finally {
      this.#running = false;
    }
  }

  #take(message: M): void {
    const { clock, step, interpret, crashed, observe } = this.#options;
    let effects: readonly E[];
    try {
      [this.#state, effects] = step(this.#state, { at: clock.now(), wall: clock.wall(), message });
    } catch (error) {
      this.stop();
      crashed(error);
      return;
    }
    observe?.(message, effects, this.#state);
    for (const effect of effects) interpret(effect);
  }
}
