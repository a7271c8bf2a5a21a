/**
 * Places: where rows are while a job runs. A place becomes a stage: the scan of a source, or everything computed over one
 * set of exchanges that are cut alike. Exchanges only ever lead forward; a place never waits for itself.
 */
import { must } from "../../../shared/kernel/assert.ts";
import type { KeySet } from "./demands.ts";
import type { Tree } from "./tree.ts";

export interface Exchange {
  readonly anchor: string;
  /** Place that sends. */
  readonly from: number;
  /** Over `[t, column]` of the anchor; empty: everything goes to one partition. */
  readonly keys: readonly Tree[];
  readonly texts: readonly string[];
}

export interface Place {
  readonly id: number;
  /** The scanned source; undefined for a place fed by exchanges. */
  readonly source: string | undefined;
  readonly exchanges: Exchange[];
  /** Types that keys are cast to before hashing, by position. Empty: one partition. */
  readonly keyTypes: readonly string[];
}

/** By position of the place's keys: texts (over the relation's columns) that are equal to that key. */
export type Cut = readonly ReadonlySet<string>[];

export class Places {
  readonly list: Place[] = [];
  private readonly homes = new Map<string, number>();
  private readonly cuts = new Map<string, Cut | undefined>();

  scan(source: string): Place {
    const found = this.list.find((place) => place.source === source);
    if (found !== undefined) return found;
    const place: Place = { id: this.list.length, source, exchanges: [], keyTypes: [] };
    this.list.push(place);
    return place;
  }

  /** A new place without exchanges yet. */
  open(keyTypes: readonly string[]): Place {
    const place: Place = { id: this.list.length, source: undefined, exchanges: [], keyTypes };
    this.list.push(place);
    return place;
  }

  get(id: number): Place {
    return must(this.list[id], `place ${id} exists`);
  }

  settle(relation: string, place: number, cut: Cut | undefined): void {
    this.homes.set(relation, place);
    this.cuts.set(relation, cut);
  }

  homeOf(relation: string): number {
    return must(this.homes.get(relation), `${relation} is placed`);
  }

  isSettled(relation: string): boolean {
    return this.homes.has(relation);
  }

  /** Brings an anchor's rows to a place, cut by `keys` in the order of the place's key types. */
  bring(anchor: string, place: Place, set: Pick<KeySet, "exprs" | "texts">): void {
    const from = this.homeOf(anchor);
    place.exchanges.push({ anchor, from, keys: set.exprs, texts: set.texts });
  }

  isSingle(place: Place): boolean {
    return place.source === undefined && place.keyTypes.length === 0;
  }

  /** Places where the anchor's rows are, its home first. */
  placesOf(anchor: string): readonly Place[] {
    const home = this.get(this.homeOf(anchor));
    const others = this.list.filter((place) =>
      place.exchanges.some((entry) => entry.anchor === anchor),
    );
    return [home, ...others.filter((place) => place !== home)];
  }

  isAt(anchor: string, place: Place): boolean {
    return (
      this.homeOf(anchor) === place.id || place.exchanges.some((entry) => entry.anchor === anchor)
    );
  }

  /** How the anchor's rows are cut at a place; undefined: anyhow. One partition is cut by nothing: `[]`. */
  cutOf(anchor: string, place: Place): Cut | undefined {
    if (this.isSingle(place)) return [];
    if (this.homeOf(anchor) === place.id) return this.cuts.get(anchor);
    const exchange = place.exchanges.find((entry) => entry.anchor === anchor);
    return exchange?.texts.map((text) => new Set([text]));
  }

  /** Does the work at `place` wait, directly or not, for the work at `other`? */
  waitsFor(place: Place, other: Place): boolean {
    const seen = new Set<number>();
    const open = [place];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (next === other) return true;
      if (seen.has(next.id)) continue;
      seen.add(next.id);
      open.push(...next.exchanges.map((entry) => this.get(entry.from)));
    }
    return false;
  }

  /** May rows be brought from `from` into `place` without a circle? */
  accepts(place: Place, from: Place): boolean {
    return place.source === undefined && !this.waitsFor(from, place);
  }
}
