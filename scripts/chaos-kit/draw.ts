/**
 * What a seed decides: positions, victims, points. One stream of numbers per scenario name, so that scenarios do not
 * shift each other's draws. The same seed and name give the same answers on any machine.
 */
import { Random } from "../generate/random.ts";

export class Draw {
  readonly #random: Random;

  constructor(seed: number, name: string) {
    let hash = 0;
    for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
    this.#random = new Random(seed, hash);
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.#random.below(most - least + 1);
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.between(0, list.length - 1)] ?? list[0];
  }
}
