/**
 * Who can't reach whom at the moment. Parties are names: coordinators and executors by id, `nats`, `storage`, `watch`.
 * A cut has an end that is fixed when it begins; several cuts of a pair add up.
 */
import type { World } from "./world.ts";

export const nats = "nats";
export const storage = "storage";
/** The registry's pushes to watchers: they may fail while questions are answered. */
export const watch = "watch";

export class Network {
  readonly #until = new Map<string, number>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Neither hears of the other for so long. */
  cut(one: string, other: string, ms: number): void {
    const key = pair(one, other);
    const until = Math.ceil(this.#world.at + ms);
    this.#until.set(key, Math.max(until, this.#until.get(key) ?? 0));
    this.#world.trace(`cut ${key} until ${until}`);
  }

  /** When the two can reach each other again: now, when they can. */
  clearAt(one: string, other: string): number {
    if (this.#until.size === 0) return this.#world.at;
    return Math.max(this.#world.at, this.#until.get(pair(one, other)) ?? 0);
  }

  isCut(one: string, other: string): boolean {
    return this.clearAt(one, other) > this.#world.at;
  }

  /** Ends every cut. */
  heal(): void {
    this.#until.clear();
  }
}

function pair(one: string, other: string): string {
  return one < other ? `${one}-${other}` : `${other}-${one}`;
}
