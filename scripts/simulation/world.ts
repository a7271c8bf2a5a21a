/**
 * Virtual time and chance for a whole cluster on one thread. Everything that happens is an event at an instant;
 * ties keep their order, chance comes from one seeded generator, so a seed always gives the same history.
 * Events are at whole milliseconds; only the ticks of actors lie between them, so that no tick ever ties with a message.
 */
import { createHash } from "node:crypto";

interface Event {
  readonly at: number;
  readonly number: number;
  readonly run: () => void;
}

const tailLines = 40;
const hashedAtATime = 1 << 15;

export class World {
  at = 0;
  /** Wall clock of the instant 0, epoch milliseconds. */
  wallFrom = 1_000_000;
  /** Events that have happened. */
  happened = 0;
  /** Lines of history. */
  traced = 0;
  /** Is the history hashed? Where nobody compares it that is for nothing. */
  isHashed = true;
  /** Hears each line of the history. */
  listen: ((line: string) => void) | undefined;
  readonly #heap: Event[] = [];
  #number = 0;
  #random: number;
  readonly #hash = createHash("sha256");
  #unhashed = "";
  readonly #tail: string[] = [];

  constructor(seed: number) {
    this.#random = (Math.imul(seed, 0x85ebca6b) + 0x9e3779b9) | 0;
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

  /** At the first whole millisecond that is at least so far away. */
  after(ms: number, run: () => void): void {
    this.exactlyAt(Math.ceil(this.at + ms), run);
  }

  /** At this very instant, not before now. */
  exactlyAt(at: number, run: () => void): void {
    const heap = this.#heap;
    const event = { at, number: this.#number++, run };
    let hole = heap.length;
    heap.push(event);
    while (hole > 0) {
      const above = (hole - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isSooner(parent, event)) break;
      heap[hole] = parent;
      hole = above;
    }
    heap[hole] = event;
  }

  /** Runs everything up to an instant. */
  runUntil(at: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= at; next = this.#heap[0]) {
      this.#removeFirst();
      this.at = next.at;
      this.happened++;
      next.run();
    }
    this.at = at;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    const size = heap.length;
    let hole = 0;
    for (;;) {
      const left = 2 * hole + 1;
      if (left >= size) break;
      const [one, other] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const isRight = other !== undefined && isSooner(other, one);
      const child = isRight ? other : one;
      if (isSooner(last, child)) break;
      heap[hole] = child;
      hole = isRight ? left + 1 : left;
    }
    heap[hole] = last;
  }

  /** Adds to the history that two runs of a seed must share. */
  trace(line: string): void {
    const dated = `${this.at} ${line}`;
    const slot = this.traced % tailLines;
    this.traced++;
    this.#tail[slot] = dated;
    if (this.isHashed) {
      this.#unhashed += `${dated}\n`;
      if (this.#unhashed.length > hashedAtATime) this.#takeIn();
    }
    this.listen?.(dated);
  }

  /** The last lines of the history, oldest first. */
  tail(): readonly string[] {
    const from = this.traced % tailLines;
    return [...this.#tail.slice(from), ...this.#tail.slice(0, from)];
  }

  /** SHA-256 of the whole history so far; empty where it is not hashed. */
  traceHash(): string {
    if (!this.isHashed) return "";
    this.#takeIn();
    return this.#hash.copy().digest("hex");
  }

  #takeIn(): void {
    this.#hash.update(this.#unhashed);
    this.#unhashed = "";
  }
}

function isSooner(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.number < other.number);
}
