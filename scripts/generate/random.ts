/**
 * Our own random numbers: xoshiro128** (Blackman and Vigna), seeded by splitmix32 steps.
 * The same seed gives the same numbers on any machine. Not for secrets.
 */

/** One stream of numbers. Streams with different names are independent for our purposes. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  /** A stream named by whole numbers, e.g. seed, day, gateway, period. */
  constructor(...names: readonly number[]) {
    let state = 0x2545f491;
    const word = (): number => {
      state = (state + 0x9e3779b9) | 0;
      return mix(state);
    };
    for (const name of names) {
      state ^= mix((name | 0) ^ mix(Math.floor(name / 2 ** 32) | 0));
      state = word();
    }
    this.a = word();
    this.b = word();
    this.c = word();
    // All four words zero would give zeros for ever.
    this.d = word() | 1;
  }

  /** 32 random bits as a signed integer: the cheapest draw. */
  bits(): number {
    const product = Math.imul(this.b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result;
  }

  /** A whole number in [0, limit); limit below 2^31. The bias of at most limit / 2^32 is accepted. */
  below(limit: number): number {
    return ((this.bits() >>> 0) * limit * 2.3283064365386963e-10) | 0;
  }

  /** A fraction in [0, 1) with 32 bits. */
  fraction(): number {
    return (this.bits() >>> 0) * 2.3283064365386963e-10;
  }
}

/** One splitmix32 finaliser: spreads each input bit over all output bits. */
export function mix(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}
