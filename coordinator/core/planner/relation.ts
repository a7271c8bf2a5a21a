/**
 * The logical form of a job: small relations, each doing one thing (a row-wise view, a join, an aggregate, a window,
 * a distinct, a top-n, a set operation) over others. No relation knows where it runs: placement decides that.
 */

import { must } from "../../../shared/kernel/assert.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import { columnRefs, type Item, isTree, listOf, type Tree, textOf, walk } from "./tree.ts";

/** FROM of a view or join, over relations by name. Column references in it are `[alias, column]`. */
export type From =
  | { readonly kind: "leaf"; readonly alias: string; readonly relation: string }
  | {
      readonly kind: "join";
      readonly joinType: string;
      readonly left: From;
      readonly right: From;
      readonly condition: readonly Tree[];
    }
  /** VALUES lists: `tree` is DuckDB's table reference. */
  | {
      readonly kind: "literal";
      readonly alias: string;
      readonly tree: Tree;
      readonly columns: readonly string[];
    }
  | { readonly kind: "empty" };

/** An equality that a join runs along: `left` reads only the left input, `right` only the right one. */
export interface JoinKey {
  readonly left: Tree;
  readonly right: Tree;
}

/** Bodies with one input name its columns `[t, column]`. */
export type Body =
  | { readonly kind: "base"; readonly base: "source" | "files" | "dimension" }
  /** Row-wise: at most one input is not a dimension, so it can run wherever that input is. */
  | {
      readonly kind: "view";
      readonly from: From;
      readonly where: readonly Tree[];
      readonly select: readonly Item[];
    }
  /** Two inputs, both spread over tasks. */
  | {
      readonly kind: "join";
      readonly from: From & { readonly kind: "join" };
      readonly select: readonly Item[];
      readonly keys: readonly JoinKey[];
    }
  | {
      readonly kind: "aggregate";
      readonly input: string;
      readonly keys: readonly Item[];
      readonly calls: readonly Item[];
      /** Grouping sets as positions in `keys`; absent for plain GROUP BY. */
      readonly sets?: readonly (readonly number[])[];
    }
  | { readonly kind: "window"; readonly input: string; readonly select: readonly Item[] }
  | { readonly kind: "distinct"; readonly input: string }
  | {
      readonly kind: "limit";
      readonly input: string;
      readonly orders: readonly Tree[];
      readonly limit: Tree | undefined;
      readonly offset: Tree | undefined;
    }
  | {
      readonly kind: "setop";
      readonly op: string;
      readonly all: boolean;
      readonly inputs: readonly string[];
      /** Columns of each input, by position. */
      readonly columns: readonly (readonly string[])[];
    };

export interface Relation {
  readonly name: string;
  readonly columns: readonly string[];
  readonly body: Body;
  /** The model it was made for, for messages; empty for base tables. */
  readonly model: string;
}

/** All relations of a job by name, inputs before readers. */
export class Relations {
  readonly byName = new Map<string, Relation>();
  private readonly taken = new Set<string>();
  private readonly replicated = new Map<string, boolean>();

  /** Registers a relation; its inputs must be there already. */
  add(relation: Relation): Relation {
    this.byName.set(relation.name, relation);
    this.taken.add(relation.name.toLowerCase());
    return relation;
  }

  get(name: string): Relation {
    return must(this.byName.get(name), `relation ${name} is known`);
  }

  reserve(name: string): void {
    this.taken.add(name.toLowerCase());
  }

  /** A name that nothing else has: `<model>__1`, `<model>__2` … */
  freshName(model: string): string {
    for (let number = 1; ; number += 1) {
      const name = `${model}__${number}`;
      if (!this.taken.has(name.toLowerCase())) {
        this.taken.add(name.toLowerCase());
        return name;
      }
    }
  }

  isTaken(name: string): boolean {
    return this.taken.has(name.toLowerCase());
  }

  /** Is the relation the same in every task (dimensions and what is made of them alone)? */
  isReplicated(name: string): boolean {
    const known = this.replicated.get(name);
    if (known !== undefined) return known;
    const { body } = this.get(name);
    const value =
      body.kind === "base"
        ? body.base === "dimension"
        : inputsOf(body).every((input) => this.isReplicated(input));
    this.replicated.set(name, value);
    return value;
  }
}

/** The relation and its aliases in a FROM, left to right. */
export function leavesOf(from: From): readonly (From & { readonly kind: "leaf" })[] {
  if (from.kind === "leaf") return [from];
  return from.kind === "join" ? [...leavesOf(from.left), ...leavesOf(from.right)] : [];
}

/** Every expression of a body, for dependency and column walks. */
function expressionsOf(body: Body): readonly Tree[] {
  switch (body.kind) {
    case "view":
      return [...conditionsOf(body.from), ...body.where, ...body.select.map((item) => item.expr)];
    case "join":
      return [...conditionsOf(body.from), ...body.select.map((item) => item.expr)];
    case "aggregate":
      return [...body.keys, ...body.calls].map((item) => item.expr);
    case "window":
      return body.select.map((item) => item.expr);
    case "limit":
      return body.orders.flatMap((entry) =>
        isTree(entry["expression"]) ? [entry["expression"]] : [],
      );
    default:
      return [];
  }
}

export function conditionsOf(from: From): readonly Tree[] {
  if (from.kind !== "join") return [];
  return [...conditionsOf(from.left), ...conditionsOf(from.right), ...from.condition];
}

/** Names of all relations that a body reads, in FROM and in subqueries. */
export function inputsOf(body: Body): readonly string[] {
  const direct =
    body.kind === "view" || body.kind === "join"
      ? leavesOf(body.from).map((leaf) => leaf.relation)
      : body.kind === "setop"
        ? body.inputs
        : body.kind === "base"
          ? []
          : [body.input];
  return [...direct, ...expressionsOf(body).flatMap(subqueryRelations)];
}

/** Relations read by the subqueries of an expression (all of them replicated). */
export function subqueryRelations(expr: Tree): readonly string[] {
  const found: string[] = [];
  walk(expr, (entry) => {
    const inner = entry["subquery"];
    if (isTree(inner) && typeof inner["relation"] === "string") found.push(inner["relation"]);
    return undefined;
  });
  return found;
}

/** The select list of a body with explicit items; undefined where columns pass through. */
export function itemsOf(body: Body): readonly Item[] | undefined {
  if (body.kind === "view" || body.kind === "join" || body.kind === "window") return body.select;
  return body.kind === "aggregate" ? [...body.keys, ...body.calls] : undefined;
}

/** Columns of each alias that an expression reads. */
export function refsByAlias(exprs: readonly Tree[]): Map<string, Set<string>> {
  const result = new Map<string, Set<string>>();
  for (const ref of exprs.flatMap(columnRefs)) {
    const set = result.get(ref.table) ?? new Set<string>();
    result.set(ref.table, set.add(ref.name));
  }
  return result;
}

/** Types of a relation's columns as the engine told them, by relation name. */
export type ColumnTypes = ReadonlyMap<string, readonly Column[]>;

export function ordersOf(modifier: Tree): readonly Tree[] {
  return listOf(modifier, "orders");
}

export function orderExpr(entry: Tree): Tree {
  return must(
    isTree(entry["expression"]) ? entry["expression"] : undefined,
    "an order has its expression",
  );
}

export function orderLike(entry: Tree, expr: Tree): Tree {
  return {
    type: textOf(entry, "type"),
    null_order: textOf(entry, "null_order"),
    expression: expr as never,
  };
}
