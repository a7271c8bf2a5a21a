/**
 * Virtual time and chance for a whole cluster on one thread. Everything that happens is an event at an instant;
 * ties keep their order, chance comes from one seeded generator, so a seed always gives the same history.
 */
import { sha256Hex } from "../../shared/kernel/sha256.ts";

export class World {
  at = 0;
  #queue: { readonly at: number; readonly number: number; readonly run: () => void }[] = [];
  #number = 0;
  #random: number;
  #trace = "";
  #traced = 0;

  constructor(seed: number) {
    this.#random = (seed + 0x9e3779b9) | 0;
  }

  /** 0 ≤ x < 1. */
  chance(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  between(least: number, most: number): number {
    return Math.floor(least + this.chance() * (most - least + 1));
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.between(0, items.length - 1)];
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.at + ms, number: this.#number++, run };
    // Binary search: the queue is kept in order, soonest last.
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle];
      if (other !== undefined && (other.at > event.at || other.at === event.at)) low = middle + 1;
      else high = middle;
    }
    // Of several at one instant the earlier posted one comes first, that is, nearer to the end.
    while (low > 0 && this.#queue[low - 1]?.at === event.at) low--;
    this.#queue.splice(low, 0, event);
  }

  /** Runs everything up to an instant. */
  runUntil(at: number): void {
    for (let next = this.#queue.at(-1); next !== undefined && next.at <= at; ) {
      this.#queue.pop();
      this.at = next.at;
      next.run();
      next = this.#queue.at(-1);
    }
    this.at = at;
  }

  /** Adds to the history that two runs of a seed must share. */
  trace(line: string): void {
    this.#traced++;
    this.#trace += `${this.at} ${line}\n`;
    if (this.#trace.length > 10_000) this.#trace = sha256Hex(this.#trace);
  }

  get traced(): number {
    return this.#traced;
  }

  get traceHash(): string {
    return sha256Hex(this.#trace);
  }
}
