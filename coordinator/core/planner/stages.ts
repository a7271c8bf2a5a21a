/**
 * Places as stages: which tables each builds, what it sends and writes, and the columns and filters of every exchange.
 * Stages are worked out from the last to the first, since a sender's columns are what its readers need.
 */
import { assert, must } from "../../../shared/kernel/assert.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import { plainSelect, relationNode, selectNode, tableReference } from "./emit.ts";
import { datasetType, travelType } from "./key-types.ts";
import type { Placement } from "./placement.ts";
import type { Exchange, Place } from "./places.ts";
import { addNeeds, type Needs, noteInputs } from "./pruning.ts";
import { pushedFilter } from "./pushdown.ts";
import { inModel } from "./refusal.ts";
import { inputsOf, type Relation } from "./relation.ts";
import { type Siblings, siblingPlaces } from "./siblings.ts";
import { cast, column, columnRef, columnRefs, type Item, mapColumns, type Tree } from "./tree.ts";

/** A model as it is written. */
export interface Written {
  readonly model: string;
  readonly relation: string;
  /** The relation of its query, with the same columns in the same order. */
  readonly answer: string;
  readonly columns: readonly Column[];
  /** ORDER BY of the model, over its output columns `[t, name]`. */
  readonly orders: readonly Tree[];
}

export interface DraftTable {
  readonly name: string;
  readonly node: Tree;
  readonly materialize: boolean;
}

export interface DraftExchange {
  readonly exchange: Exchange;
  readonly place: Place;
  readonly id: string;
  readonly columns: readonly Column[];
  /** Over bare column names, cast to the place's key types. */
  readonly keys: readonly Tree[];
  /** Does a filter of all its readers keep some rows back? */
  readonly filtered: boolean;
  readonly node: Tree;
}

export interface DraftStage {
  readonly places: Siblings;
  /** The scanned source; undefined for a stage fed by exchanges. */
  readonly source: string | undefined;
  readonly tables: readonly DraftTable[];
  readonly sends: readonly DraftExchange[];
  readonly writes: readonly {
    readonly written: Written;
    readonly columns: readonly Column[];
    readonly node: Tree;
  }[];
  readonly keep: readonly string[];
  readonly files: boolean;
  readonly dimensions: readonly string[];
}

interface Sent {
  readonly columns: readonly string[];
  readonly filter: readonly Tree[];
}

/** The stages of a placed job in running order. `exchangeId`: names by number that clash with nothing. */
export function draftStages(
  placement: Placement,
  written: readonly Written[],
  exchangeId: (number: number) => string,
): readonly DraftStage[] {
  const order = siblingPlaces(placement);
  const ids = new Map<Exchange, string>();
  for (const exchange of order.flatMap(exchangesOf)) ids.set(exchange, exchangeId(ids.size));
  const sent = new Map<Exchange, Sent>();
  const stages: DraftStage[] = [];
  for (const places of [...order].reverse()) {
    const outgoing = order
      .flat()
      .flatMap((target) =>
        target.exchanges
          .filter((entry) => isHere(places, entry.from) && sent.has(entry))
          .map((exchange) => ({ exchange, target })),
      );
    const mine = written.filter((entry) => isHere(places, homeOf(placement, entry.relation)));
    if (outgoing.length === 0 && mine.length === 0) continue;
    stages.unshift(new StageDraft(placement, places, ids).draft(outgoing, mine, sent));
  }
  return stages;
}

function exchangesOf(places: Siblings): readonly Exchange[] {
  return places.flatMap((place) => place.exchanges);
}

function isHere(places: Siblings, id: number): boolean {
  return places.some((place) => place.id === id);
}

function homeOf(placement: Placement, relation: string): number {
  return placement.places.homeOf(placement.anchor(relation));
}

class StageDraft {
  private readonly placement: Placement;
  private readonly places: Siblings;
  private readonly source: string | undefined;
  private readonly exchanges: readonly Exchange[];
  private readonly ids: ReadonlyMap<Exchange, string>;
  private readonly needs: Needs = new Map();
  private readonly readers = new Map<string, number>();
  private readonly slim = new Map<string, Relation>();

  constructor(placement: Placement, places: Siblings, ids: ReadonlyMap<Exchange, string>) {
    this.placement = placement;
    this.places = places;
    this.source = places[0]?.source;
    this.exchanges = exchangesOf(places);
    this.ids = ids;
  }

  draft(
    outgoing: readonly { exchange: Exchange; target: Place }[],
    mine: readonly Written[],
    sent: Map<Exchange, Sent>,
  ): DraftStage {
    for (const { exchange } of outgoing) {
      const { columns, filter } = must(sent.get(exchange), "readers are drafted before senders");
      addNeeds(this.needs, exchange.anchor, columns);
      addNeeds(
        this.needs,
        exchange.anchor,
        filter.flatMap(columnRefs).map((ref) => ref.name),
      );
      this.count(exchange.anchor);
    }
    for (const { relation } of mine) {
      addNeeds(this.needs, relation, this.placement.relations.get(relation).columns);
      this.count(relation);
    }
    const order = this.reachable([
      ...outgoing.map((entry) => entry.exchange.anchor),
      ...mine.map((w) => w.relation),
    ]);
    const filters = this.slimReaders(order);
    for (const name of [...order].reverse()) {
      if (!this.isTable(name)) this.noteInputsOf(name);
    }
    for (const exchange of this.exchanges) {
      if (this.needs.has(exchange.anchor))
        sent.set(exchange, this.sentColumns(exchange, filters.get(exchange) ?? []));
    }
    return {
      places: this.places,
      source: this.source,
      tables: this.tables(order, sent),
      sends: outgoing.map(({ exchange, target }) =>
        this.send(exchange, target, must(sent.get(exchange), "drafted")),
      ),
      writes: mine.map((entry) => this.write(entry)),
      ...this.scanned(order),
      dimensions: order.filter((name) => this.baseKind(name) === "dimension").sort(),
    };
  }

  private count(relation: string): void {
    this.readers.set(relation, (this.readers.get(relation) ?? 0) + 1);
  }

  private relation(name: string): Relation {
    return this.slim.get(name) ?? this.placement.relations.get(name);
  }

  private baseKind(name: string): string | undefined {
    const { body } = this.placement.relations.get(name);
    return body.kind === "base" ? body.base : undefined;
  }

  private incoming(name: string): Exchange | undefined {
    return this.exchanges.find((entry) => entry.anchor === name);
  }

  /** Is the relation there as a table, rather than computed in this stage? */
  private isTable(name: string): boolean {
    return this.incoming(name) !== undefined || this.baseKind(name) !== undefined;
  }

  /** Everything the roots read in this stage, inputs first. */
  private reachable(roots: readonly string[]): readonly string[] {
    const order: string[] = [];
    const seen = new Set<string>();
    const visit = (name: string): void => {
      if (seen.has(name)) return;
      seen.add(name);
      if (!this.isTable(name)) {
        for (const input of inputsOf(this.placement.relations.get(name).body)) {
          this.count(input);
          visit(input);
        }
      }
      order.push(name);
    };
    for (const root of roots) visit(root);
    return order;
  }

  /** Filters that every reader of an exchange has are applied by the sender and dropped here. */
  private slimReaders(order: readonly string[]): Map<Exchange, readonly Tree[]> {
    const filters = new Map<Exchange, readonly Tree[]>();
    for (const exchange of this.exchanges) {
      const readers = order
        .filter((name) => !this.isTable(name))
        .map((name) => this.relation(name))
        .filter((relation) => inputsOf(relation.body).includes(exchange.anchor));
      const { filter, slimmed } = pushedFilter(exchange.anchor, readers);
      filters.set(exchange, filter);
      for (const relation of slimmed) this.slim.set(relation.name, relation);
    }
    return filters;
  }

  private noteInputsOf(name: string): void {
    const needed = this.needs.get(name) ?? new Set<string>();
    noteInputs(
      this.relation(name),
      needed,
      this.needs,
      (entry) => this.placement.relations.get(entry).columns,
    );
  }

  private sentColumns(exchange: Exchange, filter: readonly Tree[]): Sent {
    const needed = this.needs.get(exchange.anchor) ?? new Set<string>();
    const keyed = exchange.keys.flatMap(columnRefs).map((ref) => ref.name);
    const all = this.placement.relations.get(exchange.anchor).columns;
    const columns = all.filter((name) => needed.has(name) || keyed.includes(name));
    return { columns: columns.length > 0 ? columns : all.slice(0, 1), filter };
  }

  private tables(
    order: readonly string[],
    sent: ReadonlyMap<Exchange, Sent>,
  ): readonly DraftTable[] {
    return order.flatMap((name) => {
      const exchange = this.incoming(name);
      if (exchange !== undefined) {
        const { columns } = must(sent.get(exchange), "an exchange that is read is sent");
        const id = must(this.ids.get(exchange), "an exchange has its id");
        return [
          {
            name,
            node: plainSelect(id, columns, this.backCasts(name, columns)),
            materialize: false,
          },
        ];
      }
      const base = this.baseKind(name);
      if (base !== undefined) {
        const here = base === "dimension" || this.source === this.placement.sourceOf(name);
        assert(here, `${name} is read where it is scanned`);
        return [];
      }
      const relation = this.relation(name);
      const materialize = (this.readers.get(name) ?? 0) > 1 && this.isHeavy(name);
      return [
        {
          name,
          node: relationNode(relation, (table) => table, this.needs.get(name)),
          materialize,
        },
      ];
    });
  }

  /** Is work repeated when two read the relation as a view? Row-wise steps over tables cost next to nothing. */
  private isHeavy(name: string): boolean {
    if (this.isTable(name)) return false;
    const { body } = this.placement.relations.get(name);
    if (body.kind !== "view") return true;
    return inputsOf(body).some(
      (input) => (this.readers.get(input) ?? 0) < 2 && this.isHeavy(input),
    );
  }

  /** Columns that travelled in another type get their own back. */
  private backCasts(name: string, columns: readonly string[]): ReadonlyMap<string, string> {
    const casts = new Map<string, string>();
    for (const entry of columns) {
      const type = this.placement.typing.columnType(name, entry);
      const { model } = this.placement.relations.get(name);
      if (inModel(model, () => travelType(entry, type)) !== type) casts.set(entry, type);
    }
    return casts;
  }

  private send(exchange: Exchange, target: Place, sent: Sent): DraftExchange {
    const { typing } = this.placement;
    const { anchor } = exchange;
    const columns = sent.columns.map((name) => ({
      name,
      type: inModel(this.relation(anchor).model, () =>
        travelType(name, typing.columnType(anchor, name)),
      ),
    }));
    const casts = new Map<string, string>();
    for (const { name, type } of columns) {
      if (typing.columnType(anchor, name) !== type) casts.set(name, type);
    }
    const keys = exchange.keys.map((expr, index) => {
      const type = target.keyTypes[index] ?? "";
      const asTheyAre = columnRefs(expr).every((ref) => !casts.has(ref.name));
      const plain = asTheyAre && typing.exprType(anchor, expr) === type;
      const key = columnRef(expr) === undefined ? orNull(bareColumns(expr)) : bareColumns(expr);
      return plain ? key : cast(key, type);
    });
    const node = plainSelect(anchor, sent.columns, casts, sent.filter);
    const id = must(this.ids.get(exchange), "an exchange has its id");
    const filtered = sent.filter.length > 0;
    return { exchange, place: target, id, columns, keys, filtered, node };
  }

  private write(written: Written): DraftStage["writes"][number] {
    const columns = written.columns.map((entry) => ({
      name: entry.name,
      type: inModel(written.model, () => datasetType(entry.name, entry.type)),
    }));
    const select: Item[] = columns.map((entry, index) => {
      const ref = column("t", entry.name);
      return {
        name: entry.name,
        expr: written.columns[index]?.type === entry.type ? ref : cast(ref, entry.type),
      };
    });
    const modifiers =
      written.orders.length > 0
        ? [{ type: "ORDER_MODIFIER", orders: written.orders as never }]
        : [];
    const node = selectNode({ select, from: tableReference(written.relation, "t"), modifiers });
    return { written, columns, node };
  }

  private scanned(order: readonly string[]): Pick<DraftStage, "keep" | "files"> {
    const { source } = this;
    const files = order.some((name) => this.baseKind(name) === "files");
    if (source === undefined) return { keep: [], files: false };
    const declared = this.placement.relations.get(source).columns;
    const keep = declared.filter((name) => this.needs.get(source)?.has(name));
    return { keep: keep.length > 0 ? keep : declared.slice(0, 1), files };
  }
}

/** Rows that a reader's WHERE leaves out are sent as well: where it would not compute a key, theirs may not fail. */
function orNull(expr: Tree): Tree {
  return { class: "OPERATOR", type: "OPERATOR_TRY", alias: "", children: [expr as never] };
}

function bareColumns(expr: Tree): Tree {
  return mapColumns(expr, (ref) => column("", ref.name));
}
