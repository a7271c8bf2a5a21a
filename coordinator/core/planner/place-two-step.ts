/**
 * Aggregates, DISTINCT and top-n in two steps: partial results where the rows lie, then an exchange of those, then their
 * combination. The whole keeps its name and columns; only its input changes.
 */
import { limits } from "../../../shared/kernel/limits.ts";
import { limitValue } from "./modifiers.ts";
import type { Placement } from "./placement.ts";
import type { Place } from "./places.ts";
import { Refusal } from "./refusal.ts";
import type { Body, Relation } from "./relation.ts";
import { column, constant } from "./tree.ts";
import { twoStep } from "./two-step.ts";

/** Computes a relation in two steps: partial results at `place`, their combination after an exchange. */
export function splitRelation(placement: Placement, name: string, place: Place): void {
  const relation = placement.relations.get(name);
  const { body } = relation;
  if (body.kind === "aggregate") splitAggregate(placement, relation, body, place);
  else if (body.kind === "limit") splitLimit(placement, relation, body, place);
  else if (body.kind === "distinct") splitDistinct(placement, relation, place);
}

function splitAggregate(
  placement: Placement,
  relation: Relation,
  body: Body & { readonly kind: "aggregate" },
  place: Place,
): void {
  const { kinds } = placement.demands.spreading(relation, body);
  const steps = twoStep(body, kinds, placement.typing.columnsOf(relation.name));
  const partial = placement.addPartial(relation, [...body.keys, ...steps.partial], {
    kind: "aggregate",
    input: body.input,
    keys: body.keys,
    calls: steps.partial,
  });
  placement.typing.noteKeys(partial, relation.name, body.keys);
  placement.settle(partial, place);
  const names = body.keys.map((key) => key.name);
  const target = exchangePartial(
    placement,
    relation.name,
    partial,
    body.sets === undefined ? names : [],
  );
  let input = partial;
  if (steps.means.length > 0) {
    const kept = [...names, ...steps.partial.map((item) => item.name)];
    const select = [
      ...kept.map((entry) => ({ name: entry, expr: column("t", entry) })),
      ...steps.means,
    ];
    input = placement.addRelation(relation, select, { kind: "window", input: partial, select });
    placement.settle(input, target);
  }
  const sets = body.sets === undefined ? {} : { sets: body.sets };
  const { keys, calls } = steps;
  placement.relations.add({
    ...relation,
    body: { kind: "aggregate", input, keys, calls, ...sets },
  });
  placement.settle(relation.name, target);
}

function splitDistinct(placement: Placement, relation: Relation, place: Place): void {
  const select = relation.columns.map((name) => ({ name, expr: column("t", name) }));
  const partial = placement.addPartial(relation, select, relation.body);
  placement.typing.noteKeys(partial, relation.name, select);
  placement.settle(partial, place);
  const target = exchangePartial(placement, relation.name, partial, relation.columns);
  placement.relations.add({ ...relation, body: { kind: "distinct", input: partial } });
  placement.settle(relation.name, target);
}

function splitLimit(
  placement: Placement,
  relation: Relation,
  body: Body & { readonly kind: "limit" },
  place: Place,
): void {
  const rows = limitValue(body.limit) + limitValue(body.offset);
  if (rows > limits.topRowsMax && !placement.isReduced(placement.anchor(body.input))) {
    throw new Refusal(
      "LIMIT",
      `of more than ${limits.topRowsMax} raw rows; filter with WHERE instead`,
    );
  }
  const select = relation.columns.map((name) => ({ name, expr: column("t", name) }));
  const limit = constant("BIGINT", rows);
  const partial = placement.addPartial(relation, select, { ...body, limit, offset: undefined });
  placement.settle(partial, place);
  const target = exchangePartial(placement, relation.name, partial, []);
  placement.relations.add({ ...relation, body: { ...body, input: partial } });
  placement.settle(relation.name, target);
}

/** Sends partial results on, cut as the readers of the whole like it best, within `names`. */
function exchangePartial(
  placement: Placement,
  whole: string,
  partial: string,
  names: readonly string[],
): Place {
  if (names.length === 0) return placement.gather([partial]);
  return placement.placeFor(partial, placement.likedBy(whole, names), whole);
}

/** Why a relation that needs all its input in one task can't have it. */
export function refuseGather(relation: Relation): Refusal {
  const { body } = relation;
  const all = "needs all raw rows in one task";
  switch (body.kind) {
    case "aggregate": {
      const distinct = body.calls.filter((item) => item.expr["distinct"] === true);
      if (body.sets === undefined && distinct.length > 1) {
        return new Refusal(
          "DISTINCT of several arguments without GROUP BY",
          "each needs its rows brought together in another way; compute each in a query of its own: FROM (SELECT count(DISTINCT a) AS a …) x, (SELECT count(DISTINCT b) AS b …) y",
        );
      }
      const names = [
        ...new Set(body.calls.map((item) => String(item.expr["function_name"] ?? ""))),
      ].join(", ");
      return new Refusal(
        body.sets === undefined ? `${names} without GROUP BY` : `GROUPING SETS with ${names}`,
        `${all}; group by a key first, or use sum, count, min, max, avg, stddev or count(DISTINCT)`,
      );
    }
    case "window":
      return new Refusal(
        "OVER without PARTITION BY",
        `${all}; partition the window, or aggregate first`,
      );
    case "limit":
      return new Refusal("OFFSET without LIMIT", `${all}; give a LIMIT`);
    default:
      return new Refusal(body.kind, all);
  }
}
