/**
 * UNION ALL of different anchors, EXCEPT and INTERSECT. Where all inputs lie in one place already, cut alike if that
 * matters, they are computed there; else each input travels, as its own columns in the common types.
 */
import { keySet } from "./demands.ts";
import { hashType } from "./key-types.ts";
import type { Placement } from "./placement.ts";
import type { Cut, Place } from "./places.ts";
import { Refusal } from "./refusal.ts";
import type { Body, From } from "./relation.ts";
import { cast, column, keyOf, type Tree } from "./tree.ts";

type SetOperation = Body & { readonly kind: "setop" };

export function placeSetOperation(placement: Placement, name: string, body: SetOperation): void {
  const anchors = body.inputs.flatMap((input) => placement.lineage.anchorOf(input) ?? []);
  if (anchors.length < body.inputs.length) {
    throw new Refusal(
      `${body.op} with a dimension`,
      "or constants: every task has them whole, so their rows would be doubled; put them into a source",
    );
  }
  const [first] = anchors;
  const shared = placement.places
    .placesOf(first ?? "")
    .filter((place) => anchors.every((anchor) => placement.places.isAt(anchor, place)));
  for (const place of shared) {
    const cut = commonCut(placement, name, body, place);
    if (body.op === "UNION" || cut !== undefined) {
      placement.places.settle(name, place.id, cut);
      return;
    }
  }
  travel(placement, name, body);
}

/** Cut by the columns (by position) that every input is cut by. */
function commonCut(
  placement: Placement,
  name: string,
  body: SetOperation,
  place: Place,
): Cut | undefined {
  if (placement.places.isSingle(place)) return [];
  // A scan's rows lie anyhow; it has no keys, which must not be taken for "cut by nothing".
  if (place.source !== undefined) return undefined;
  const { columns } = placement.relations.get(name);
  const cut = place.keyTypes.map((_, position) => {
    const agreed = columns.filter((_name, index) =>
      body.inputs.every((input, at) => {
        const same = placement.places.cutOf(placement.anchor(input), place)?.[position];
        const text = placement.lineage.textDown(
          input,
          column("t", body.columns[at]?.[index] ?? ""),
        );
        return text !== undefined && same?.has(text) === true;
      }),
    );
    return new Set(agreed.map((entry) => keyOf(column("t", entry))));
  });
  return cut.every((same) => same.size > 0) ? cut : undefined;
}

/** Sends every input to a new place, cut as the readers like it or by all columns. */
function travel(placement: Placement, name: string, body: SetOperation): void {
  const relation = placement.relations.get(name);
  const types = placement.typing.columnsOf(name);
  const set = placement.likedBy(name, relation.columns);
  const keys = keySet(set.exprs);
  const place = placement.places.open(
    keys.exprs.map((expr) => hashType(placement.typing.exprType(name, expr))),
  );
  const inputs = body.inputs.map((input, at) => {
    const copy = placement.relations.freshName(relation.model);
    const from: From = { kind: "leaf", alias: "part", relation: input };
    const select = relation.columns.map((entry, index) => {
      const own = body.columns[at]?.[index] ?? "";
      const ref: Tree = column("part", own);
      const type = types[index]?.type ?? "";
      const same = placement.typing.columnType(input, own) === type;
      return { name: entry, expr: same ? ref : cast(ref, type) };
    });
    const { columns, model } = relation;
    placement.relations.add({
      name: copy,
      model,
      columns,
      body: { kind: "view", from, where: [], select },
    });
    placement.lineage.pin(copy);
    placement.placePinned(copy);
    placement.places.bring(copy, place, keys);
    return copy;
  });
  const columns = inputs.map(() => relation.columns);
  placement.relations.add({ ...relation, body: { ...body, inputs, columns } });
  const replaced = { ...body, inputs, columns };
  placement.places.settle(name, place.id, commonCut(placement, name, replaced, place));
}
