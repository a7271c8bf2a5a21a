/**
 * Decides where every relation is computed and which exchanges that takes. Relations are placed inputs first; each is
 * computed where its input already lies if that is faithful, else where a shared exchange brings the rows that must meet,
 * else in two steps, else (small inputs only) in one partition. What fits none of these is refused by its clause.
 */
import { must } from "../../../shared/kernel/assert.ts";
import { type Demand, Demands, type KeySet, keySet } from "./demands.ts";
import { hashType } from "./key-types.ts";
import { Lineage } from "./lineage.ts";
import { placeJoin } from "./place-joins.ts";
import { placeSetOperation } from "./place-sets.ts";
import { refuseGather, splitRelation } from "./place-two-step.ts";
import { type Cut, type Place, Places } from "./places.ts";
import { Refusal } from "./refusal.ts";
import {
  type Body,
  type ColumnTypes,
  inputsOf,
  itemsOf,
  leavesOf,
  type Relation,
  type Relations,
} from "./relation.ts";
import { chooseKeySets, joinedPlace, joinTypes } from "./sharing.ts";
import { column, columnRef, columnRefs, keyOf, mapColumns, type Tree } from "./tree.ts";
import type { Typing } from "./typing.ts";

export class Placement {
  readonly relations: Relations;
  readonly places = new Places();
  readonly lineage: Lineage;
  readonly demands: Demands;
  readonly typing: Typing;
  private readonly partials = new Set<string>();
  private readonly chosen = new Map<string, readonly KeySet[]>();
  private all: readonly Demand[] = [];

  /** The source that a base relation is scanned with. */
  readonly sourceOf: (relation: string) => string | undefined;

  constructor(
    relations: Relations,
    types: ColumnTypes,
    typing: Typing,
    sourceOf: (relation: string) => string | undefined,
  ) {
    this.relations = relations;
    this.sourceOf = sourceOf;
    this.lineage = new Lineage(relations);
    this.demands = new Demands(relations, this.lineage, types);
    this.typing = typing;
  }

  /** Places everything. */
  run(): void {
    const order = [...this.relations.byName.keys()];
    this.pinWhatCannotBeSaid(order);
    this.all = order
      .filter((name) => this.lineage.isFixed(name))
      .flatMap((name) => this.demands.of(name));
    for (const name of order) {
      const source = this.sourceOf(name);
      if (source !== undefined) {
        this.places.settle(name, this.places.scan(source).id, undefined);
      } else if (this.lineage.isFixed(name)) this.placeOne(name);
    }
  }

  /** A demand whose keys are no expressions over the anchor (say, a dimension's column) is met at the view itself. */
  private pinWhatCannotBeSaid(order: readonly string[]): void {
    for (const name of order.filter((entry) => this.lineage.isFixed(entry))) {
      for (const demand of this.demands.of(name)) {
        const { free, keys, distinctArgument } = demand;
        const asks = !free && (keys !== undefined || distinctArgument !== undefined);
        const stuck = asks && this.demands.options(demand).length === 0;
        if (stuck && this.lineage.anchorOf(demand.input) !== undefined)
          this.lineage.pin(demand.input);
      }
    }
  }

  private placeOne(name: string): void {
    const { body, model } = this.relations.get(name);
    try {
      if (body.kind === "view") this.placePinned(name);
      else if (body.kind === "join") placeJoin(this, name, body);
      else if (body.kind === "setop") placeSetOperation(this, name, body);
      else if (body.kind !== "base") this.placeUnary(name, body);
    } catch (error) {
      if (error instanceof Refusal) error.model ??= model;
      throw error;
    }
  }

  /** A pinned view is computed where its input is, before it is sent on. */
  placePinned(name: string): void {
    const input = inputsOf(this.relations.get(name).body).find(
      (entry) => !this.relations.isReplicated(entry),
    );
    const anchor = this.anchor(must(input, "a spread view has a spread input"));
    const place = this.places.get(this.places.homeOf(anchor));
    this.places.settle(name, place.id, this.derivedCut(name, place));
  }

  private placeUnary(name: string, body: Body & { readonly input: string }): void {
    const demand = must(this.demands.of(name)[0], "a relation with one input has one demand");
    const anchor = this.anchor(body.input);
    const here = this.places.placesOf(anchor).find((place) => this.meets(demand, place));
    if (here !== undefined) {
      this.settle(name, here);
      return;
    }
    const sets = this.keySetsFor(anchor);
    const set = sets.find((entry) => this.demands.covers(demand, entry) !== undefined);
    if (set !== undefined) {
      const place = this.placeFor(anchor, set);
      if (this.meets(demand, place)) this.settle(name, place);
      else splitRelation(this, name, place);
    } else if (demand.free) {
      const shared = demand.keys === undefined ? undefined : sets[0];
      const home = this.places.get(this.places.homeOf(anchor));
      splitRelation(this, name, shared === undefined ? home : this.placeFor(anchor, shared));
    } else {
      if (!this.isReduced(anchor)) throw refuseGather(this.relations.get(name));
      this.settle(name, this.gather([anchor]));
    }
  }

  anchor(name: string): string {
    return must(this.lineage.anchorOf(name), `${name} is spread`);
  }

  /** Does every group of rows that must meet lie in one task at this place? */
  meets(demand: Demand, place: Place): boolean {
    const cut = this.places.cutOf(this.anchor(demand.input), place);
    if (cut === undefined) return false;
    const texts = new Set(
      (demand.keys ?? []).map((expr) => this.lineage.textDown(demand.input, expr)),
    );
    return cut.every((same) => [...same].some((text) => texts.has(text)));
  }

  /** Key sets that an anchor's exchanges will be cut by: the fewest that serve all who need one. */
  keySetsFor(anchor: string): readonly KeySet[] {
    const known = this.chosen.get(anchor);
    if (known !== undefined) return known;
    const home = this.places.get(this.places.homeOf(anchor));
    const mine = this.all.filter((demand) => this.lineage.anchorOf(demand.input) === anchor);
    const later = mine.flatMap((demand) =>
      this.readersOf(demand.relation, anchor, (expr) => this.lineage.carryDown(demand.input, expr)),
    );
    const open = mine.filter((demand) => !this.meets(demand, home));
    const sets = chooseKeySets(open, this.demands, { later });
    this.chosen.set(anchor, sets);
    return sets;
  }

  /**
   * Demands of those who read a relation, said over the anchor below it: if the anchor is cut so that these are met too,
   * the readers need no exchange of their own. `down` carries expressions over the relation's input to the anchor.
   */
  private readersOf(
    name: string,
    anchor: string,
    down: (expr: Tree) => Tree | undefined,
  ): readonly Demand[] {
    const { body } = this.relations.get(name);
    if (body.kind === "join" || body.kind === "view" || body.kind === "setop") return [];
    const items = new Map(itemsOf(body)?.map((item) => [item.name, item.expr]));
    const through = (expr: Tree): Tree | undefined => {
      const name = columnRef(expr)?.name;
      return name === undefined ? undefined : down(items.get(name) ?? expr);
    };
    return this.all
      .filter((demand) => this.lineage.anchorOf(demand.input) === name)
      .flatMap((demand) => {
        const carried = (expr: Tree): Tree | undefined => {
          const over = this.lineage.carryDown(demand.input, expr);
          return over === undefined ? undefined : through(over);
        };
        const keys = (demand.keys ?? []).map(carried).filter((expr) => expr !== undefined);
        const said = { ...demand, input: anchor, keys, distinctArgument: undefined };
        return [said, ...this.readersOf(demand.relation, anchor, carried)];
      });
  }

  /**
   * The place where the anchor's rows lie cut by a key set; opened on first use. `whole`: the relation that the anchor
   * holds partial results of; its joins are thought of already.
   */
  placeFor(anchor: string, set: KeySet, whole = anchor): Place {
    const known = this.places.list.find((place) =>
      place.exchanges.some(
        (entry) => entry.anchor === anchor && keySet(entry.keys).text === set.text,
      ),
    );
    if (known !== undefined) return known;
    const joins = this.all.filter(
      (demand) => demand.side !== undefined && this.lineage.anchorOf(demand.input) === whole,
    );
    const joined = joinedPlace(this, anchor, set, joins);
    if (joined !== undefined) return joined;
    const types = set.exprs.map((expr) => hashType(this.typing.exprType(anchor, expr)));
    const place = this.places.open(joinTypes(this, set, types, joins));
    this.places.bring(anchor, place, set);
    return place;
  }

  /** One partition holding all rows of some reduced anchors. */
  gather(anchors: readonly string[]): Place {
    const homes = anchors.map((anchor) => this.places.get(this.places.homeOf(anchor)));
    const fits = (place: Place): boolean =>
      this.places.isSingle(place) &&
      homes.every(
        (home, index) =>
          this.places.isAt(anchors[index] ?? "", place) || this.places.accepts(place, home),
      );
    const known = [
      ...homes,
      ...this.places.list.filter((place) => anchors.some((a) => this.places.isAt(a, place))),
    ];
    const place = known.find(fits) ?? this.places.open([]);
    for (const anchor of anchors) {
      if (!this.places.isAt(anchor, place))
        this.places.bring(anchor, place, { exprs: [], texts: [] });
    }
    return place;
  }

  settle(name: string, place: Place): void {
    this.places.settle(name, place.id, this.derivedCut(name, place));
  }

  /** Was the relation added to hold what tasks make of their own rows, before these are combined? */
  isPartial(name: string): boolean {
    return this.partials.has(name);
  }

  /** Is the anchor much smaller than a source (grouped, cut to a top-n, or one row a file)? */
  isReduced(anchor: string): boolean {
    const { body } = this.relations.get(anchor);
    if (body.kind === "base") return body.base !== "source";
    if (body.kind === "aggregate" || body.kind === "distinct" || body.kind === "limit") return true;
    return inputsOf(body).every((input) => {
      const below = this.lineage.anchorOf(input);
      return below === undefined || (below !== anchor && this.isReduced(below));
    });
  }

  /** How a relation computed at a place is cut there, in terms of its own columns. */
  derivedCut(name: string, place: Place): Cut | undefined {
    if (this.places.isSingle(place)) return [];
    const relation = this.relations.get(name);
    const { body } = relation;
    if (body.kind === "join" || body.kind === "base") return undefined;
    const [input] = inputsOf(body).filter((entry) => !this.relations.isReplicated(entry));
    if (input === undefined) return undefined;
    const cut = this.places.cutOf(this.anchor(input), place);
    const items =
      itemsOf(body) ?? relation.columns.map((entry) => ({ name: entry, expr: column("t", entry) }));
    const alias =
      body.kind === "view"
        ? leavesOf(body.from).find((leaf) => leaf.relation === input)?.alias
        : "t";
    const carried = items.map((item) => {
      const expr = overInput(item.expr, alias ?? "");
      const text = expr === undefined ? undefined : this.lineage.textDown(input, expr);
      return { own: keyOf(column("t", item.name)), text };
    });
    return renamed(cut, carried);
  }

  /** The key set within `names` that serves most readers of a relation; all names when nobody cares. */
  likedBy(name: string, names: readonly string[]): KeySet {
    const mine = this.all.filter(
      (demand) => !demand.free && this.lineage.anchorOf(demand.input) === name,
    );
    const within = (set: KeySet): boolean =>
      set.exprs.every((expr) => names.includes(columnRef(expr)?.name ?? ""));
    const [best] = chooseKeySets(mine, this.demands, { allowed: within });
    return best ?? keySet(names.map((entry) => column("t", entry)));
  }

  /** A relation whose rows are combined into those of `like`. */
  addPartial(like: Relation, columns: readonly { name: string }[], body: Body): string {
    const name = this.addRelation(like, columns, body);
    this.partials.add(name);
    return name;
  }

  addRelation(like: Relation, columns: readonly { name: string }[], body: Body): string {
    const name = this.relations.freshName(like.model);
    this.relations.add({
      name,
      model: like.model,
      columns: columns.map((item) => item.name),
      body,
    });
    return name;
  }
}

/** An expression over `alias` as one over `t`; undefined when it reads anything else. */
function overInput(expr: Tree, alias: string): Tree | undefined {
  const foreign = columnRefs(expr).some((ref) => ref.table !== alias);
  return foreign ? undefined : mapColumns(expr, (ref) => column("t", ref.name));
}

function renamed(
  cut: Cut | undefined,
  items: readonly { readonly own: string; readonly text: string | undefined }[],
): Cut | undefined {
  if (cut === undefined) return undefined;
  const result = cut.map(
    (same) =>
      new Set(items.filter((item) => item.text && same.has(item.text)).map((item) => item.own)),
  );
  return result.every((same) => same.size > 0) ? result : undefined;
}
