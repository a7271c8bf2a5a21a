/**
 * Who wants to hear that a run changed. A change is only a nudge: the watcher asks the core for what is true now,
 * so nudges may be lost, doubled or late.
 */
import { fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";

export class RunChanges {
  readonly #watchers = new Map<string, Set<() => void>>();
  #count = 0;

  /** Calls `nudge` at each change of the run; gives how to stop. Over the limit: `limitExceeded`. */
  watch(run: string, nudge: () => void): () => void {
    if (this.#count >= limits.watchersMax) {
      const text = `${limits.watchersMax} callers watch runs here already; ask GetRun instead`;
      throw fail("limitExceeded", text);
    }
    const nudges = this.#watchers.get(run) ?? new Set();
    this.#watchers.set(run, nudges);
    nudges.add(nudge);
    this.#count += 1;
    return () => {
      if (!nudges.delete(nudge)) return;
      this.#count -= 1;
      if (nudges.size === 0) this.#watchers.delete(run);
    };
  }

  changed(run: string): void {
    for (const nudge of this.#watchers.get(run) ?? []) nudge();
  }

  /** The role changed: what watchers see may end or begin. */
  all(): void {
    for (const nudges of this.#watchers.values()) for (const nudge of nudges) nudge();
  }
}
