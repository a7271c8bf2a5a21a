/**
 * DuckDB's parse tree as plain values: reading its JSON without losing big integers, walking and rewriting
 * expressions. It knows the shape of the tree, never what a query means.
 */
import { canonicalJson, type Json } from "../../../shared/kernel/canonical.ts";

/** Any object of the tree; expressions have a `class`, table references and query nodes a `type`. */
export interface Tree {
  readonly [key: string]: Json | undefined;
}

/** A named expression of a select list. */
export interface Item {
  readonly name: string;
  readonly expr: Tree;
}

// A number that JavaScript would not print as the engine wrote it (beyond 2^53; 1e9 as 1000000000, an integer to the
// engine; Infinity, no JSON at all) is kept as text: a mark and the engine's own token. Texts of the query that begin
// with the mark's control character get a mark of their own, so neither is taken for the other.
const textOrNumber = /"(?:[^"\\]|\\.)*"|-?(?:Infinity|NaN)|-?\d[\d.eE+-]*/g;
const numberMark = "\u0001number:";
const textMark = "\u0001text:";
const printedNumberMark = JSON.stringify(numberMark).slice(0, -1);
const printedTextMark = JSON.stringify(textMark).slice(0, -1);
const plainInteger = /^-?\d{1,15}$/;

/** JSON text of the engine → tree; source positions only when asked for (the canonical form has none). */
export function parseTree(jsonText: string, keepPositions = false): Tree {
  const safe = jsonText.replace(textOrNumber, (token) => {
    if (token.startsWith('"\\u0001')) return `${printedTextMark}${token.slice(1)}`;
    if (token.startsWith('"') || plainInteger.test(token)) return token;
    return `${printedNumberMark}${token}"`;
  });
  const drop = (key: string, value: unknown) =>
    key === "query_location" && !keepPositions ? undefined : value;
  return JSON.parse(safe, drop) as Tree;
}

/** Tree → JSON text for the engine; the inverse of `parseTree`. */
export function printTree(tree: Tree): string {
  return canonicalJson(tree as Json).replace(/"(?:[^"\\]|\\.)*"/g, (token) => {
    if (token.startsWith(printedNumberMark)) {
      return token.slice(printedNumberMark.length, -1);
    }
    return token.startsWith(printedTextMark) ? `"${token.slice(printedTextMark.length)}` : token;
  });
}

/**
 * Constants of type DOUBLE as casts of their text. The engine would write `0.1e0` back as `0.1`, which it reads as a
 * DECIMAL: then 3 * 0.1e0 is 0.3, and in another group and text than it was.
 */
export function doublesAsCasts(tree: Tree): Tree {
  const visit = (value: Json | undefined): Json | undefined => {
    if (Array.isArray(value)) return value.map((entry) => visit(entry) ?? null);
    if (!isTree(value)) return value;
    const token = classOf(value) === "CONSTANT" ? doubleToken(value) : undefined;
    if (token === undefined) {
      return Object.fromEntries(
        Object.entries(value).map(([key, member]) => [key, visit(member) ?? null]),
      );
    }
    const exact = cast(constant("VARCHAR", token), "DOUBLE");
    return { ...exact, alias: textOf(value, "alias") } as Json;
  };
  return visit(tree as Json) as Tree;
}

function doubleToken(constantExpr: Tree): string | undefined {
  const known = childOf(constantExpr, "value") ?? {};
  if (known["is_null"] === true || textOf(childOf(known, "type") ?? {}, "id") !== "DOUBLE") {
    return undefined;
  }
  const value = known["value"];
  return typeof value === "string" ? value.replace(numberMark, "") : String(value);
}

/** Is a constant beyond what its type holds, as `1e400`? */
export function isOverflown(constantExpr: Tree): boolean {
  const value = childOf(constantExpr, "value")?.["value"];
  return value === `${numberMark}Infinity` || value === `${numberMark}-Infinity`;
}

/** The text under `key`, empty when absent. */
export function textOf(tree: Tree, key: string): string {
  const value = tree[key];
  return typeof value === "string" ? value : "";
}

export function isTree(value: Json | undefined): value is Tree & { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object under `key`, undefined when null or absent. */
export function childOf(tree: Tree, key: string): Tree | undefined {
  const value = tree[key];
  return isTree(value) ? value : undefined;
}

/** The objects in the array under `key`. */
export function listOf(tree: Tree, key: string): readonly Tree[] {
  const value = tree[key];
  return Array.isArray(value) ? value.filter(isTree) : [];
}

/** The texts in the array under `key`. */
export function textsOf(tree: Tree, key: string): readonly string[] {
  const value = tree[key];
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

export function classOf(tree: Tree): string {
  return textOf(tree, "class");
}

/** One text for one expression, whatever its alias: equal texts mean equal expressions. */
export function keyOf(expr: Tree): string {
  return canonicalJson(withoutAlias(expr) as Json);
}

export function withoutAlias(expr: Tree): Tree {
  return textOf(expr, "alias") === "" ? expr : { ...expr, alias: "" };
}

/**
 * Replaces sub-expressions top-down: where `visit` gives a tree, it stands in for the whole expression; where it gives
 * undefined, the walk goes on inside. Does not enter the queries of subqueries.
 */
export function rewrite(expr: Tree, visit: (expr: Tree) => Tree | undefined): Tree {
  const replaced = visit(expr);
  if (replaced === undefined) return mapMembers(expr, (member) => rewrite(member, visit));
  // An alias inside an expression is a field name ({'a': x}): it belongs to the position, not to what stands there.
  const alias = textOf(expr, "alias");
  return alias === "" || textOf(replaced, "alias") !== "" ? replaced : { ...replaced, alias };
}

/** Applies `map` to the direct sub-expressions. */
export function mapMembers(tree: Tree, map: (expr: Tree) => Tree): Tree {
  const result: Record<string, Json | undefined> = {};
  for (const [key, value] of Object.entries(tree)) {
    result[key] = key === "subquery" ? value : (mapValue(value, map) as Json | undefined);
  }
  return result;
}

function mapValue(value: Json | undefined, map: (expr: Tree) => Tree): unknown {
  if (Array.isArray(value)) return value.map((entry) => mapValue(entry, map));
  if (!isTree(value)) return value;
  return "class" in value ? map(value) : mapMembers(value, map);
}

/** Visits every sub-expression top-down, itself first; `false` keeps the walk out of it. */
export function walk(expr: Tree, visit: (expr: Tree) => boolean | undefined): void {
  rewrite(expr, (entry) => (visit(entry) === false ? entry : undefined));
}

/** Does some sub-expression satisfy the test? */
export function some(expr: Tree, test: (expr: Tree) => boolean): boolean {
  let found = false;
  walk(expr, (entry) => {
    if (test(entry)) found = true;
    return !found;
  });
  return found;
}

// --- building ---------------------------------------------------------------------------------

export function column(table: string, name: string): Tree {
  const names = table === "" ? [name] : [table, name];
  return { class: "COLUMN_REF", type: "COLUMN_REF", alias: "", column_names: names };
}

export interface ColumnRef {
  readonly table: string;
  readonly name: string;
}

/** The parts of a qualified column reference; undefined for anything else. */
export function columnRef(expr: Tree): ColumnRef | undefined {
  if (classOf(expr) !== "COLUMN_REF") return undefined;
  const [table, name] = textsOf(expr, "column_names");
  return table === undefined || name === undefined ? undefined : { table, name };
}

/** All qualified column references in an expression, in order of appearance. */
export function columnRefs(expr: Tree): readonly ColumnRef[] {
  const found: ColumnRef[] = [];
  walk(expr, (entry) => {
    const ref = columnRef(entry);
    if (ref !== undefined) found.push(ref);
    return undefined;
  });
  return found;
}

/** Rewrites each column reference; undefined leaves it. */
export function mapColumns(expr: Tree, map: (ref: ColumnRef) => Tree | undefined): Tree {
  return rewrite(expr, (entry) => {
    const ref = columnRef(entry);
    return ref === undefined ? undefined : (map(ref) ?? entry);
  });
}

export function call(name: string, children: readonly Tree[], more?: Tree): Tree {
  return {
    class: "FUNCTION",
    type: "FUNCTION",
    alias: "",
    function_name: name,
    schema: "",
    children: children as readonly Json[],
    filter: null,
    order_bys: { type: "ORDER_MODIFIER", orders: [] },
    distinct: false,
    is_operator: false,
    export_state: false,
    catalog: "",
    ...more,
  };
}

export function operator(name: string, left: Tree, right: Tree): Tree {
  return call(name, [left, right], { is_operator: true });
}

export function constant(typeId: string, value: Json): Tree {
  const type = { id: typeId, type_info: null };
  return {
    class: "CONSTANT",
    type: "VALUE_CONSTANT",
    alias: "",
    value: { type, is_null: false, value },
  };
}

/** CAST to a type by its DuckDB name; wire types and HUGEINT only. */
export function cast(expr: Tree, typeName: string): Tree {
  const decimal = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(typeName);
  const info = decimal
    ? {
        type: "DECIMAL_TYPE_INFO",
        alias: "",
        extension_info: null,
        width: Number(decimal[1]),
        scale: Number(decimal[2]),
      }
    : null;
  return {
    class: "CAST",
    type: "OPERATOR_CAST",
    alias: "",
    child: expr as Json,
    cast_type: { id: decimal ? "DECIMAL" : typeName, type_info: info },
    try_cast: false,
  };
}

export function comparison(type: string, left: Tree, right: Tree): Tree {
  return { class: "COMPARISON", type, alias: "", left: left as Json, right: right as Json };
}

/** The parts of a conjunction, flattened. */
export function conjuncts(expr: Tree | undefined): readonly Tree[] {
  if (expr === undefined) return [];
  if (textOf(expr, "type") !== "CONJUNCTION_AND") return [expr];
  return listOf(expr, "children").flatMap(conjuncts);
}

/** The conjunction of all parts; undefined for none. */
export function conjunction(parts: readonly Tree[]): Tree | undefined {
  const [first, ...others] = parts;
  if (first === undefined || others.length === 0) return first;
  return {
    class: "CONJUNCTION",
    type: "CONJUNCTION_AND",
    alias: "",
    children: parts as readonly Json[],
  };
}

export function order(expr: Tree, type = "ORDER_DEFAULT", nullOrder = "ORDER_DEFAULT"): Tree {
  return { type, null_order: nullOrder, expression: expr as Json };
}
