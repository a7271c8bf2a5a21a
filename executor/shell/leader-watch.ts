/**
 * Hears of leaders in the registry and posts each sign of life; asks when told to. Judges nothing: a hint only says
 * where to dial. While NATS is away it goes on trying without end and without noise.
 */
import { limits } from "../../shared/kernel/limits.ts";
import type { LeaderHint, Log, Registry } from "../../shared/ports.ts";
import type { Message } from "../core/protocol.ts";

/** Watch on one registry. */
export class LeaderWatch {
  readonly #registry: Registry;
  readonly #post: (message: Message) => void;
  readonly #log: Log;
  #asking = false;
  #stopWatch: (() => void) | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(registry: Registry, post: (message: Message) => void, log: Log) {
    this.#registry = registry;
    this.#post = post;
    this.#log = log;
  }

  /** Begins to watch; tries again until the watch stands. */
  start(): void {
    this.#registry
      .watchLeader((hint) => this.#heard(hint))
      .then(
        (stop) => {
          if (this.#stopped) stop();
          else this.#stopWatch = stop;
        },
        (error: unknown) => {
          this.#log.debug("cannot watch the registry yet", { error: String(error) });
          if (this.#stopped) return;
          this.#retry = setTimeout(() => this.start(), limits.leaderPollMs);
        },
      );
  }

  /** Asks once for the present leader; at most one question at a time. */
  ask(): void {
    if (this.#asking || this.#stopped) return;
    this.#asking = true;
    this.#registry
      .leader()
      .then(
        (hint) => (hint === undefined ? undefined : this.#heard(hint)),
        (error: unknown) => this.#log.debug("cannot read the registry", { error: String(error) }),
      )
      .finally(() => {
        this.#asking = false;
      });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#stopWatch?.();
  }

  #heard({ epoch, coordinator, address }: LeaderHint): void {
    if (!this.#stopped) this.#post({ kind: "leaderHeard", epoch, coordinator, address });
  }
}
