/**
 * Which keys an anchor's exchanges are cut by: the fewest key sets that satisfy every reader who needs rows to meet.
 * Ties go to the set that also spares others, and then their readers, a second exchange, then to one with a plain column, then to the widest
 * (it spreads best). Also where joins bring two anchors to one place.
 */
import type { Demand, Demands, KeySet } from "./demands.ts";
import { commonType } from "./key-types.ts";
import type { Placement } from "./placement.ts";
import type { Place } from "./places.ts";
import { columnRef, type Tree } from "./tree.ts";

export interface Choice {
  /** Limits the sets that may be chosen. */
  readonly allowed?: (set: KeySet) => boolean;
  /** Demands of later readers, said over the same anchor: they decide between sets that do the same otherwise. */
  readonly later?: readonly Demand[];
}

/** `demands` are about one anchor. */
export function chooseKeySets(
  demands: readonly Demand[],
  rules: Demands,
  choice: Choice = {},
): readonly KeySet[] {
  const { allowed = () => true, later = [] } = choice;
  const free = demands.filter((demand) => demand.free && demand.keys !== undefined);
  let open = demands.filter((demand) => !demand.free);
  const options = new Map(
    open
      .flatMap((demand) => rules.options(demand))
      .filter(allowed)
      .map((set) => [set.text, set]),
  );
  const chosen: KeySet[] = [];
  for (;;) {
    let best: { set: KeySet; score: readonly number[] } | undefined;
    for (const set of options.values()) {
      const covered = open.filter((demand) => rules.covers(demand, set) !== undefined).length;
      if (covered === 0) continue;
      const spared = free.filter((demand) => rules.covers(demand, set) === "meet").length;
      const spares = later.filter((demand) => rules.covers(demand, set) === "meet").length;
      const plain = set.exprs.some((expr) => columnRef(expr) !== undefined) ? 1 : 0;
      const score = [covered, spared, spares, plain, set.texts.length];
      if (best === undefined || better(score, best.score)) best = { set, score };
    }
    if (best === undefined) return chosen;
    const { set } = best;
    chosen.push(set);
    open = open.filter((demand) => rules.covers(demand, set) === undefined);
  }
}

function better(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0;
    if (value !== other) return value > other;
  }
  return false;
}

/** A join's two sides as seen from one of them. */
export interface Facing {
  readonly other: string;
  readonly pairs: readonly KeyPair[];
}

/** An equality of a join, carried down to the anchors of both sides. */
export interface KeyPair {
  readonly mine: Tree;
  readonly theirs: Tree;
  readonly mineText: string;
  readonly theirsText: string;
  /** What both are cast to before hashing; undefined: no type that holds both exactly. */
  readonly type: string | undefined;
  /** Their own types, for messages. */
  readonly types: string;
}

/** The equalities of the join that `demand` belongs to, from the side of its input. */
function facing(placement: Placement, demand: Demand): Facing | undefined {
  const [left, right] = placement.demands.of(demand.relation);
  if (left === undefined || right === undefined) return undefined;
  return demand.side === "left"
    ? facePairs(placement, left, right)
    : facePairs(placement, right, left);
}

export function facePairs(placement: Placement, mine: Demand, theirs: Demand): Facing | undefined {
  const [myAnchor, other] = [
    placement.lineage.anchorOf(mine.input),
    placement.lineage.anchorOf(theirs.input),
  ];
  if (myAnchor === undefined || other === undefined) return undefined;
  const pairs: KeyPair[] = [];
  for (const [index, key] of (mine.keys ?? []).entries()) {
    const partner = theirs.keys?.[index];
    const carried = placement.lineage.carryDown(mine.input, key);
    const answered =
      partner === undefined ? undefined : placement.lineage.carryDown(theirs.input, partner);
    if (carried === undefined || answered === undefined) continue;
    const mineType = placement.typing.exprType(myAnchor, carried);
    const theirType = placement.typing.exprType(other, answered);
    pairs.push({
      mine: carried,
      theirs: answered,
      mineText: placement.lineage.textDown(mine.input, key) ?? "",
      theirsText: placement.lineage.textDown(theirs.input, partner ?? {}) ?? "",
      type: commonType(mineType, theirType),
      types: `${mineType} with ${theirType}`,
    });
  }
  return { other, pairs };
}

/**
 * A place where a join partner of the anchor already lies, cut so that bringing the anchor there by `set` lets the join
 * run in place; the anchor is brought there.
 */
export function joinedPlace(
  placement: Placement,
  anchor: string,
  set: KeySet,
  joins: readonly Demand[],
): Place | undefined {
  const { places } = placement;
  const home = places.get(places.homeOf(anchor));
  for (const demand of joins) {
    const face = facing(placement, demand);
    if (face === undefined || !places.isSettled(face.other)) continue;
    for (const place of places.placesOf(face.other)) {
      if (places.isSingle(place) || places.isAt(anchor, place) || !places.accepts(place, home))
        continue;
      const matched = matchCut(placement, face, place);
      if (matched === undefined) continue;
      const texts = new Set(matched.map((pair) => pair.mineText));
      if (texts.size !== set.texts.length || !set.texts.every((text) => texts.has(text))) continue;
      places.bring(anchor, place, {
        exprs: matched.map((pair) => pair.mine),
        texts: matched.map((pair) => pair.mineText),
      });
      return place;
    }
  }
  return undefined;
}

/** For each key position of a place where `face.other` lies: the pair that it is cut by; undefined if one has none. */
export function matchCut(
  placement: Placement,
  face: Facing,
  place: Place,
): readonly KeyPair[] | undefined {
  const cut = placement.places.cutOf(face.other, place);
  if (cut === undefined || cut.length === 0) return undefined;
  const matched = cut.map((same, index) =>
    face.pairs.find((pair) => same.has(pair.theirsText) && pair.type === place.keyTypes[index]),
  );
  return matched.every((pair) => pair !== undefined) ? matched : undefined;
}

/** Key types for a new place: where a join will use it, the type that holds both sides. */
export function joinTypes(
  placement: Placement,
  set: KeySet,
  own: readonly string[],
  joins: readonly Demand[],
): readonly string[] {
  return set.texts.map((text, index) => {
    for (const demand of joins) {
      const pair = facing(placement, demand)?.pairs.find((entry) => entry.mineText === text);
      if (pair?.type !== undefined) return pair.type;
    }
    return own[index] ?? "";
  });
}
