/**
 * Which columns of each relation a stage really needs, from its outputs down. What nobody reads is neither computed nor
 * sent: an exchange carries the union of what its readers use, and nothing else.
 */
import { makesRows } from "./aggregates.ts";
import {
  type Body,
  conditionsOf,
  leavesOf,
  type Relation,
  refsByAlias,
  subqueryRelations,
} from "./relation.ts";
import { type Item, some, type Tree } from "./tree.ts";

/** Needed columns by relation. */
export type Needs = Map<string, Set<string>>;

export function addNeeds(needs: Needs, relation: string, columns: Iterable<string>): void {
  const set = needs.get(relation) ?? new Set<string>();
  for (const name of columns) set.add(name);
  needs.set(relation, set);
}

/** Notes what `relation` reads of its inputs when `needed` of its columns are wanted. */
export function noteInputs(
  relation: Relation,
  needed: ReadonlySet<string>,
  needs: Needs,
  columnsOf: (relation: string) => readonly string[],
): void {
  const { body } = relation;
  switch (body.kind) {
    case "base":
      return;
    case "view":
    case "join": {
      const where = body.kind === "view" ? body.where : [];
      noteFrom(
        body,
        [...chosen(body.select, needed), ...where, ...conditionsOf(body.from)],
        needs,
        columnsOf,
      );
      return;
    }
    case "aggregate": {
      const items = [...body.keys, ...keptCalls(body, needed)];
      noteUnary(
        body.input,
        items.map((item) => item.expr),
        needs,
        columnsOf,
      );
      return;
    }
    case "window":
      noteUnary(body.input, chosen(body.select, needed), needs, columnsOf);
      return;
    case "distinct":
    case "limit":
      addNeeds(needs, body.input, columnsOf(body.input));
      return;
    case "setop":
      noteSet(relation, body, needed, needs);
      return;
  }
}

/** Items of a select list that are computed: those that are needed, and those that decide how many rows there are. */
export function keptItems(items: readonly Item[], needed: ReadonlySet<string>): readonly Item[] {
  const kept = items.filter((item) => needed.has(item.name) || some(item.expr, makesRows));
  return kept.length > 0 ? kept : items.slice(0, 1);
}

/** Calls of an aggregate that are computed: those that are needed, or one where there would be no column at all. */
export function keptCalls(
  { keys, calls }: Body & { readonly kind: "aggregate" },
  needed: ReadonlySet<string>,
): readonly Item[] {
  const kept = calls.filter((item) => needed.has(item.name));
  return kept.length > 0 || keys.length > 0 ? kept : calls.slice(0, 1);
}

function chosen(items: readonly Item[], needed: ReadonlySet<string>): readonly Tree[] {
  return keptItems(items, needed).map((item) => item.expr);
}

function noteUnary(
  input: string,
  exprs: readonly Tree[],
  needs: Needs,
  columnsOf: (relation: string) => readonly string[],
): void {
  addNeeds(needs, input, refsByAlias(exprs).get("t") ?? []);
  noteSubqueries(exprs, needs, columnsOf);
}

function noteFrom(
  body: Body & { readonly kind: "view" | "join" },
  exprs: readonly Tree[],
  needs: Needs,
  columnsOf: (relation: string) => readonly string[],
): void {
  const refs = refsByAlias(exprs);
  for (const leaf of leavesOf(body.from))
    addNeeds(needs, leaf.relation, refs.get(leaf.alias) ?? []);
  noteSubqueries(exprs, needs, columnsOf);
}

function noteSubqueries(
  exprs: readonly Tree[],
  needs: Needs,
  columnsOf: (relation: string) => readonly string[],
): void {
  for (const name of exprs.flatMap(subqueryRelations)) addNeeds(needs, name, columnsOf(name));
}

function noteSet(
  relation: Relation,
  body: Body & { readonly kind: "setop" },
  needed: ReadonlySet<string>,
  needs: Needs,
): void {
  const all = relation.columns.map((_, index) => index);
  const wanted = all.filter((index) => needed.has(relation.columns[index] ?? ""));
  const positions = body.op === "UNION" ? (wanted.length > 0 ? wanted : all.slice(0, 1)) : all;
  body.inputs.forEach((input, at) => {
    addNeeds(
      needs,
      input,
      positions.map((index) => body.columns[at]?.[index] ?? ""),
    );
  });
}
