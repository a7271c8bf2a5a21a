/**
 * Which columns of each relation a stage really needs, from its outputs down. What nobody reads is neither computed nor
 * sent: an exchange carries the union of what its readers use, and nothing else.
 */
import {
  type Body,
  conditionsOf,
  leavesOf,
  type Relation,
  refsByAlias,
  subqueryRelations,
} from "./relation.ts";
import type { Item, Tree } from "./tree.ts";

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
      const calls = chosen(body.calls, needed);
      const kept =
        calls.length > 0 || body.keys.length > 0
          ? calls
          : body.calls.slice(0, 1).map((item) => item.expr);
      noteUnary(body.input, [...body.keys.map((item) => item.expr), ...kept], needs, columnsOf);
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

function chosen(items: readonly Item[], needed: ReadonlySet<string>): readonly Tree[] {
  const kept = items.filter((item) => needed.has(item.name));
  return (kept.length > 0 ? kept : items.slice(0, 1)).map((item) => item.expr);
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
