/**
 * Joins of two spread inputs: computed where both already lie cut alike, else one side is brought to the other, else both
 * to a new place. Without an equality, two reduced inputs may meet in one partition; raw rows may not.
 */
import { type Demand, overT } from "./demands.ts";
import type { Placement } from "./placement.ts";
import type { Cut, Place } from "./places.ts";
import { Refusal } from "./refusal.ts";
import { type Body, type From, leavesOf } from "./relation.ts";
import { type Facing, facePairs, matchCut } from "./sharing.ts";
import { isOneRow } from "./subqueries.ts";
import { column, columnRefs, keyOf } from "./tree.ts";

type Join = Body & { readonly kind: "join" };

export function placeJoin(placement: Placement, name: string, body: Join): void {
  const [left, right] = placement.demands.of(name);
  if (left === undefined || right === undefined) return;
  const face = facePairs(placement, left, right);
  if (face === undefined || face.pairs.length === 0) {
    gatherJoin(placement, name, body);
    return;
  }
  const typed = { ...face, pairs: face.pairs.filter((pair) => pair.type !== undefined) };
  if (typed.pairs.length === 0) {
    const compared = face.pairs.map(({ types }) => types).join(", ");
    throw new Refusal(
      "JOIN",
      `compares ${compared}; cast one side to the type of the other, and compare columns of a row one by one with AND`,
    );
  }
  const anchor = placement.anchor(left.input);
  if (face.other === anchor && !typed.pairs.some((pair) => pair.mineText === pair.theirsText)) {
    placeSelfJoin(placement, name, body);
    return;
  }
  const place = meetingPlace(placement, left, right, typed);
  placement.places.settle(name, place.id, joinCut(placement, body, place));
}

function meetingPlace(placement: Placement, left: Demand, right: Demand, face: Facing): Place {
  const { places } = placement;
  const anchor = placement.anchor(left.input);
  const together = (): Place | undefined =>
    places
      .placesOf(anchor)
      .find((place) => places.isAt(face.other, place) && alike(placement, anchor, face, place));
  const known = together();
  if (known !== undefined) return known;
  const backFace = facePairs(placement, right, left);
  // The other side may already lie well: bring this one there. Then the other way round.
  const brought =
    bringTo(placement, anchor, face) ?? (backFace && bringTo(placement, face.other, backFace));
  if (brought !== undefined) return brought;
  const [set] = placement
    .keySetsFor(anchor)
    .filter((entry) => placement.demands.covers(left, entry) === "meet");
  if (set !== undefined && backFace !== undefined) {
    placement.placeFor(anchor, set);
    const found = together() ?? bringTo(placement, face.other, backFace);
    if (found !== undefined) return found;
  }
  return openFor(placement, anchor, face);
}

/** Do both anchors lie at a place cut by pairs of equal keys, position by position? */
function alike(placement: Placement, anchor: string, face: Facing, place: Place): boolean {
  const mine = placement.places.cutOf(anchor, place);
  const theirs = placement.places.cutOf(face.other, place);
  if (mine === undefined || theirs === undefined || mine.length !== theirs.length) return false;
  return mine.every((same, index) =>
    face.pairs.some(
      (pair) =>
        same.has(pair.mineText) &&
        theirs[index]?.has(pair.theirsText) &&
        // FLOAT calls more values equal than any other type tells apart.
        (pair.type !== "FLOAT" || place.keyTypes[index] === "FLOAT"),
    ),
  );
}

/** Brings `anchor` to a place where the other side lies cut by keys of this join. */
function bringTo(placement: Placement, anchor: string, face: Facing): Place | undefined {
  const { places } = placement;
  const home = places.get(places.homeOf(anchor));
  for (const place of places.placesOf(face.other)) {
    if (places.isSingle(place) || places.isAt(anchor, place) || !places.accepts(place, home))
      continue;
    const matched = matchCut(placement, face, place);
    if (matched === undefined) continue;
    places.bring(anchor, place, {
      exprs: matched.map((pair) => pair.mine),
      texts: matched.map((pair) => pair.mineText),
    });
    return place;
  }
  return undefined;
}

function openFor(placement: Placement, anchor: string, face: Facing): Place {
  const pairs = face.pairs.filter(
    (pair, index) => face.pairs.findIndex((entry) => entry.mineText === pair.mineText) === index,
  );
  const place = placement.places.open(pairs.map((pair) => pair.type ?? ""));
  const mine = { exprs: pairs.map((pair) => pair.mine), texts: pairs.map((pair) => pair.mineText) };
  placement.places.bring(anchor, place, mine);
  if (face.other !== anchor) {
    const theirs = {
      exprs: pairs.map((pair) => pair.theirs),
      texts: pairs.map((pair) => pair.theirsText),
    };
    placement.places.bring(face.other, place, theirs);
  }
  return place;
}

/** One anchor joined with itself along different keys: its rows travel twice, the second time as a relation of its own. */
function placeSelfJoin(placement: Placement, name: string, body: Join): void {
  const relation = placement.relations.get(name);
  const { right } = body.from;
  if (right.kind !== "leaf") return;
  const columns = placement.relations.get(right.relation).columns;
  const copy = placement.relations.freshName(relation.model);
  const alias = right.alias;
  const select = columns.map((entry) => ({ name: entry, expr: column(alias, entry) }));
  const from: From = { kind: "leaf", alias, relation: right.relation };
  placement.relations.add({
    name: copy,
    model: relation.model,
    columns,
    body: { kind: "view", from, where: [], select },
  });
  placement.lineage.pin(copy);
  placement.placePinned(copy);
  const replaced: Join = { ...body, from: { ...body.from, right: { ...right, relation: copy } } };
  placement.relations.add({ ...relation, body: replaced });
  placeJoin(placement, name, replaced);
}

/** Does an outer join keep rows of a side that is the same in every task? */
function keepsDimension(placement: Placement, body: Join): boolean {
  const { joinType, left, right } = body.from;
  const same = (from: From): boolean =>
    leavesOf(from).every((leaf) => placement.relations.isReplicated(leaf.relation));
  return (
    (["LEFT", "FULL"].includes(joinType) && same(left)) ||
    (["RIGHT", "FULL"].includes(joinType) && same(right))
  );
}

function gatherJoin(placement: Placement, name: string, body: Join): void {
  const anchors = leavesOf(body.from).flatMap(
    (leaf) => placement.lineage.anchorOf(leaf.relation) ?? [],
  );
  const raw = anchors.filter((anchor) => !placement.isReduced(anchor));
  const [, right] = leavesOf(body.from);
  if (raw.length > 0 && right !== undefined && isOneRow(right.relation, placement)) {
    throw new Refusal(
      "scalar subquery",
      "beside raw rows would need its value in every task; aggregate first, or compute it in a model and divide there",
    );
  }
  if (raw.length > 0) {
    const { joinType } = body.from;
    if (keepsDimension(placement, body)) {
      throw new Refusal(
        `${joinType} JOIN`,
        "that keeps a dimension's rows without a match would repeat them in every task; put the dimension on the optional side, or aggregate first: dimension LEFT JOIN (SELECT key, … GROUP BY key) USING (key)",
      );
    }
    throw new Refusal(
      `${joinType} JOIN`,
      "of raw rows needs an equality between columns of both sides that are not a dimension's; add one, put the dimension on the optional side, or aggregate first",
    );
  }
  placement.settle(name, placement.gather([...new Set(anchors)]));
}

/** Cut of a join's output: by the columns that are equal to its keys, of the sides that are never padded with NULL. */
function joinCut(placement: Placement, body: Join, place: Place): Cut | undefined {
  if (placement.places.isSingle(place)) return [];
  if (place.source !== undefined) return undefined;
  const { joinType } = body.from;
  const [left, right] = leavesOf(body.from);
  if (left === undefined || right === undefined) return undefined;
  const sides = [
    ...(["INNER", "LEFT", "SEMI", "ANTI"].includes(joinType) ? [left] : []),
    ...(["INNER", "RIGHT"].includes(joinType) ? [right] : []),
  ];
  const cut: Set<string>[] = place.keyTypes.map(() => new Set());
  for (const side of sides) {
    const anchorCut = placement.places.cutOf(placement.anchor(side.relation), place);
    for (const item of body.select) {
      if (columnRefs(item.expr).some((ref) => ref.table !== side.alias)) continue;
      const text = placement.lineage.textDown(side.relation, overT(item.expr));
      anchorCut?.forEach((same, index) => {
        if (text !== undefined && same.has(text)) cut[index]?.add(keyOf(column("t", item.name)));
      });
    }
  }
  return cut.every((same) => same.size > 0) ? cut : undefined;
}
