/**
 * Filters before an exchange: a condition that every reader of an exchange applies to its rows is applied once by the
 * sender, so rows that nobody wants don't travel. Conditions that only some readers have stay with them, and so do those
 * that a reader's other conditions may guard against failing.
 */
import { leavesOf, type Relation } from "./relation.ts";
import { classOf, column, columnRefs, keyOf, mapColumns, some, type Tree, textOf } from "./tree.ts";

export interface Pushed {
  /** Over `[t, column]` of the anchor. */
  readonly filter: readonly Tree[];
  /** The readers without the conditions that were taken over. */
  readonly slimmed: readonly Relation[];
}

export function pushedFilter(anchor: string, readers: readonly Relation[]): Pushed {
  const nothing: Pushed = { filter: [], slimmed: [] };
  const conditions = readers.map((relation) => ownConditions(relation, anchor));
  const [first, ...others] = conditions;
  if (first === undefined || conditions.some((entry) => entry === undefined)) return nothing;
  const common = [...first].filter(([text]) => others.every((entry) => entry?.has(text)));
  // Are they all that one of the readers asks of the anchor's rows? Then what fails of them fails there, too.
  const isAll = conditions.some((own) => own?.size === common.length);
  const shared = isAll ? common : common.filter(([, expr]) => !mayFail(expr));
  if (shared.length === 0) return nothing;
  const texts = new Set(shared.map(([text]) => text));
  const slimmed = readers.flatMap((relation) => {
    const { body } = relation;
    if (body.kind !== "view") return [];
    const alias = aliasOf(relation, anchor);
    const where = body.where.filter((expr) => !texts.has(conditionText(expr, alias) ?? ""));
    return [{ ...relation, body: { ...body, where } }];
  });
  return { filter: shared.map(([, expr]) => expr), slimmed };
}

/** LIKE and its kin, as the parser calls them. */
const neverFail: readonly string[] = ["~~", "!~~", "~~*", "!~~*"];

/** A cast or call over columns may fail for rows that another condition of its reader leaves out before. */
function mayFail(expr: Tree): boolean {
  return some(expr, (entry) => {
    const isCast = classOf(entry) === "CAST" && entry["try_cast"] !== true;
    const isCall =
      classOf(entry) === "FUNCTION" && !neverFail.includes(textOf(entry, "function_name"));
    return (isCast || isCall) && columnRefs(entry).length > 0;
  });
}

/** A view's conditions on the anchor's columns alone, by text; undefined when the reader takes rows unfiltered. */
function ownConditions(relation: Relation, anchor: string): ReadonlyMap<string, Tree> | undefined {
  const { body } = relation;
  const alias = aliasOf(relation, anchor);
  if (body.kind !== "view" || alias === undefined) return undefined;
  const found = new Map<string, Tree>();
  for (const expr of body.where) {
    const text = conditionText(expr, alias);
    if (text !== undefined) found.set(text, overT(expr));
  }
  return found.size > 0 ? found : undefined;
}

/** The alias under which the view reads the anchor, if it reads it once and as its spread input. */
function aliasOf(relation: Relation, anchor: string): string | undefined {
  if (relation.body.kind !== "view") return undefined;
  const leaves = leavesOf(relation.body.from).filter((leaf) => leaf.relation === anchor);
  return leaves.length === 1 ? leaves[0]?.alias : undefined;
}

function conditionText(expr: Tree, alias: string | undefined): string | undefined {
  const refs = columnRefs(expr);
  const own = alias !== undefined && refs.length > 0 && refs.every((ref) => ref.table === alias);
  return own && !some(expr, (entry) => classOf(entry) === "SUBQUERY")
    ? keyOf(overT(expr))
    : undefined;
}

function overT(expr: Tree): Tree {
  return mapColumns(expr, (ref) => column("t", ref.name));
}
