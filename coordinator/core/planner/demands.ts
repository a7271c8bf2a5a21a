/**
 * What each placed relation demands of the way its inputs are spread: the sets of keys by which an exchange would let it
 * be computed faithfully task by task. A demand is never about where; it is about which rows must meet.
 */
import { type Spreading, spreadingOf } from "./aggregates.ts";
import type { Lineage } from "./lineage.ts";
import {
  type Body,
  type ColumnTypes,
  type From,
  leavesOf,
  type Relation,
  type Relations,
} from "./relation.ts";
import { classOf, column, columnRefs, keyOf, listOf, mapColumns, type Tree, walk } from "./tree.ts";

/** Expressions over an anchor that an exchange may hash by; `text` names the set whatever its order. */
export interface KeySet {
  readonly exprs: readonly Tree[];
  readonly texts: readonly string[];
  readonly text: string;
}

export function keySet(exprs: readonly Tree[]): KeySet {
  const byText = new Map(exprs.map((expr) => [keyOf(expr), expr]));
  const texts = [...byText.keys()].sort();
  return { exprs: texts.map((text) => byText.get(text) ?? {}), texts, text: texts.join("\n") };
}

/** A relation's demand on one of its inputs. */
export interface Demand {
  readonly relation: string;
  /** The input that it is about. */
  readonly input: string;
  /** Rows equal in these (over the input) must meet; undefined: no such keys, all rows must meet. */
  readonly keys: readonly Tree[] | undefined;
  /** Partial results can be made of any cut of the rows. */
  readonly free: boolean;
  /** Partial results can be made where rows equal in this (over the input) meet. */
  readonly distinctArgument: Tree | undefined;
  /** Which side of a join this is; both must be cut alike. */
  readonly side: "left" | "right" | undefined;
}

export class Demands {
  private readonly relations: Relations;
  private readonly lineage: Lineage;
  private readonly types: ColumnTypes;

  constructor(relations: Relations, lineage: Lineage, types: ColumnTypes) {
    this.relations = relations;
    this.lineage = lineage;
    this.types = types;
  }

  spreading(relation: Relation, body: Body & { readonly kind: "aggregate" }): Spreading {
    return spreadingOf(body, this.types.get(relation.name) ?? []);
  }

  /** The demands of one relation, one per spread input. */
  of(name: string): readonly Demand[] {
    const relation = this.relations.get(name);
    const { body } = relation;
    const base = { relation: name, free: false, distinctArgument: undefined, side: undefined };
    switch (body.kind) {
      case "aggregate": {
        const { free, distinctArgument } = this.spreading(relation, body);
        const keys =
          body.sets === undefined && body.keys.length > 0
            ? body.keys.map((key) => key.expr)
            : undefined;
        const argument = body.sets === undefined ? distinctArgument : undefined;
        return [{ ...base, input: body.input, keys, free, distinctArgument: argument }];
      }
      case "window":
        return [{ ...base, input: body.input, keys: partitionKeys(body) }];
      case "distinct":
        return [
          {
            ...base,
            input: body.input,
            free: true,
            keys: relation.columns.map((c) => column("t", c)),
          },
        ];
      case "limit":
        return [{ ...base, input: body.input, free: body.limit !== undefined, keys: undefined }];
      case "join":
        return joinDemands(name, body);
      default:
        return [];
    }
  }

  /** The key sets over the anchor that would satisfy a demand, widest first; empty when none can be said there. */
  options(demand: Demand): readonly KeySet[] {
    const carried = this.carriedKeys(demand);
    const result: KeySet[] = [];
    // A join needs the positions of both sides to agree, so it is either all keys or one.
    if (carried.length > 1) result.push(keySet(carried));
    result.push(...carried.map((expr) => keySet([expr])));
    const argument = this.carriedArgument(demand);
    if (argument !== undefined) result.push(keySet([argument]));
    return result;
  }

  /** Is the demand satisfied where rows are spread by `set`? */
  covers(demand: Demand, set: KeySet): "meet" | "partial" | undefined {
    const carried = new Set(this.carriedKeys(demand).map(keyOf));
    if (set.texts.every((text) => carried.has(text))) return "meet";
    const argument = this.carriedArgument(demand);
    return argument !== undefined && set.texts.every((text) => text === keyOf(argument))
      ? "partial"
      : undefined;
  }

  private carriedKeys(demand: Demand): readonly Tree[] {
    return (demand.keys ?? []).flatMap((expr) => {
      const carried = this.lineage.carryDown(demand.input, expr);
      return carried !== undefined && columnRefs(carried).length > 0 ? [carried] : [];
    });
  }

  private carriedArgument(demand: Demand): Tree | undefined {
    if (demand.distinctArgument === undefined) return undefined;
    const carried = this.lineage.carryDown(demand.input, demand.distinctArgument);
    return carried !== undefined && columnRefs(carried).length > 0 ? carried : undefined;
  }
}

function joinDemands(name: string, body: Body & { readonly kind: "join" }): readonly Demand[] {
  const [left, right] = sidesOf(body.from);
  const base = { relation: name, free: false, distinctArgument: undefined };
  const leftKeys = body.keys.map((key) => overT(key.left));
  const rightKeys = body.keys.map((key) => overT(key.right));
  return [
    { ...base, side: "left", input: left, keys: leftKeys.length > 0 ? leftKeys : undefined },
    { ...base, side: "right", input: right, keys: rightKeys.length > 0 ? rightKeys : undefined },
  ];
}

/** The two relations that a cut join reads. */
function sidesOf(from: From): readonly [string, string] {
  const [left, right] = leavesOf(from);
  return [left?.relation ?? "", right?.relation ?? ""];
}

/** An expression over one alias as an expression over `t`. */
export function overT(expr: Tree): Tree {
  return mapColumns(expr, (ref) => column("t", ref.name));
}

/** Keys that every window of the relation partitions by; undefined when one has none in common. */
function partitionKeys(body: Body & { readonly kind: "window" }): readonly Tree[] | undefined {
  const sets: Map<string, Tree>[] = [];
  for (const item of body.select) {
    walk(item.expr, (entry) => {
      if (classOf(entry) !== "WINDOW") return undefined;
      sets.push(new Map(listOf(entry, "partitions").map((expr) => [keyOf(expr), expr])));
      return false;
    });
  }
  const [first, ...others] = sets;
  if (first === undefined) return undefined;
  const common = [...first].filter(([text]) => others.every((set) => set.has(text)));
  return common.length > 0 ? common.map(([, expr]) => expr) : undefined;
}
