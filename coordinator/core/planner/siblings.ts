/**
 * Which places become one stage. Small exchanges that are read at the same time are read by the same tasks: a task costs
 * about as much as the few rows it would read. Rows that may be many keep a stage, and with it a worker's memory, to
 * themselves. It decides by what is sent, never by sizes: a plan does not depend on the day.
 */
import { must } from "../../../shared/kernel/assert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Placement } from "./placement.ts";
import type { Exchange, Place } from "./places.ts";
import { inputsOf } from "./relation.ts";

/** Places of one stage: a scan alone, or exchange places with equally many partitions and no way between them. */
export type Siblings = readonly Place[];

/** The placed places as stages, every sender before its readers, otherwise in the order they were opened. */
export function siblingPlaces(placement: Placement): readonly Siblings[] {
  const { list } = placement.places;
  const levels = levelsOf(list, placement);
  const groups = new Map<Place, Place[]>(list.map((place) => [place, [place]]));
  const open: { readonly level: number; readonly group: Place[] }[] = [];
  for (const place of [...list].sort((a, b) => levelOf(levels, b) - levelOf(levels, a))) {
    if (!isMergeable(placement, place)) continue;
    const level = levelOf(levels, place);
    const waits = mayWait(placement, place);
    const nearest = open.findLast(
      (entry) => (waits || entry.level === level) && fits(placement, place, entry.group),
    );
    if (nearest === undefined) {
      open.push({ level, group: must(groups.get(place), "each place is in a group") });
    } else {
      nearest.group.push(place);
      groups.set(place, nearest.group);
    }
  }
  return runningOrder(list, groups, placement);
}

/** Exchanges between a place and the scans: two of one level never wait for each other. */
function levelsOf(list: readonly Place[], placement: Placement): ReadonlyMap<Place, number> {
  const levels = new Map<Place, number>();
  const visit = (place: Place): number => {
    const known = levels.get(place);
    if (known !== undefined) return known;
    const below = place.exchanges.map((entry) => visit(placement.places.get(entry.from)));
    const level = below.length === 0 ? 0 : 1 + Math.max(...below);
    levels.set(place, level);
    return level;
  };
  for (const place of list) visit(place);
  return levels;
}

function levelOf(levels: ReadonlyMap<Place, number>, place: Place): number {
  return must(levels.get(place), "each place has a level");
}

function isMergeable(placement: Placement, { source, exchanges }: Place): boolean {
  if (source !== undefined || exchanges.length === 0) return false;
  return exchanges.every((entry) => isLight(placement, entry));
}

function fits(placement: Placement, place: Place, group: Siblings): boolean {
  const there = group.flatMap((member) => member.exchanges);
  // A relation that arrives twice, cut in two ways, would be two tables of one name.
  const twice = place.exchanges.some((entry) =>
    there.some((other) => other.anchor === entry.anchor),
  );
  return (
    !twice &&
    there.length + place.exchanges.length <= limits.mergedExchangesMax &&
    group.every((member) => placement.places.isSingle(member) === placement.places.isSingle(place))
  );
}

/** Does the exchange carry partial results that other tasks made of rows which had been brought together before? */
function isLight(placement: Placement, exchange: Exchange): boolean {
  if (isTiny(placement, exchange)) return true;
  return (
    placement.isPartial(exchange.anchor) && placement.places.get(exchange.from).source === undefined
  );
}

/** One row a task, or at most one a file. */
function isTiny(placement: Placement, { anchor }: Exchange): boolean {
  const { body } = placement.relations.get(anchor);
  const keyless = body.kind === "aggregate" && body.keys.length === 0;
  return (keyless && placement.isPartial(anchor)) || isOfFiles(placement, anchor);
}

function isOfFiles(placement: Placement, name: string): boolean {
  const { body } = placement.relations.get(name);
  if (body.kind === "base") return body.base === "files";
  if (body.kind !== "view" && body.kind !== "aggregate") return false;
  const inputs = inputsOf(body);
  return inputs.length === 1 && inputs.every((input) => isOfFiles(placement, input));
}

/** May it start later than it could? A few rows at the end of a way: nothing else waits for them. */
function mayWait(placement: Placement, place: Place): boolean {
  const sends = placement.places.list.some((other) =>
    other.exchanges.some((entry) => entry.from === place.id),
  );
  return !sends && place.exchanges.every((entry) => isTiny(placement, entry));
}

function runningOrder(
  list: readonly Place[],
  groups: ReadonlyMap<Place, Siblings>,
  placement: Placement,
): readonly Siblings[] {
  const done: Siblings[] = [];
  const visit = (place: Place): void => {
    const group = must(groups.get(place), "each place is in a group");
    if (done.includes(group)) return;
    for (const exchange of group.flatMap((member) => member.exchanges))
      visit(placement.places.get(exchange.from));
    done.push(group);
  };
  for (const place of list) visit(place);
  return done;
}
