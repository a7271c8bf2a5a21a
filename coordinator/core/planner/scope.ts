/**
 * Which column a name means. A scope is what a FROM offers: tables by alias, columns in order, and the columns that
 * USING or NATURAL merged. Resolving turns every name into one `[alias, column]` reference, so later parts compare
 * expressions by their text alone.
 */
import { dateNow, keywordFunctions, localNow, timestampNow } from "./functions.ts";
import { Refusal } from "./refusal.ts";
import {
  call,
  cast,
  classOf,
  constant,
  type Item,
  isTree,
  listOf,
  mapMembers,
  type Tree,
  textOf,
  textsOf,
} from "./tree.ts";

export interface ScopeTable {
  /** As the query calls it. */
  readonly alias: string;
  readonly columns: readonly Item[];
}

export interface Scope {
  readonly tables: readonly ScopeTable[];
  /** Columns that USING merged, by lower-case name. */
  readonly merged: ReadonlyMap<string, Tree>;
}

export const emptyScope: Scope = { tables: [], merged: new Map() };

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The expression that a (possibly qualified) name means; undefined when the scope has no such column. */
export function resolve(scope: Scope, names: readonly string[]): Tree | undefined {
  const [first, second, ...others] = names;
  if (first === undefined || others.length > 0) return undefined;
  if (second !== undefined) {
    const table = scope.tables.find((entry) => same(entry.alias, first));
    return table?.columns.find((entry) => same(entry.name, second))?.expr;
  }
  const merged = scope.merged.get(first.toLowerCase());
  if (merged !== undefined) return merged;
  for (const table of scope.tables) {
    const found = table.columns.find((entry) => same(entry.name, first));
    if (found !== undefined) return found.expr;
  }
  return undefined;
}

/** What `*`, `t.*`, EXCLUDE and REPLACE stand for; REPLACE expressions are still unresolved. */
export function expandStar(scope: Scope, star: Tree): readonly Item[] {
  const relation = textOf(star, "relation_name");
  const excluded = textsOf(star, "exclude_list").map((name) => name.toLowerCase());
  const excludedOf = listOf(star, "qualified_exclude_list");
  const replaced = new Map(
    listOf(star, "replace_list").map((entry) => [
      textOf(entry, "key").toLowerCase(),
      entry["value"],
    ]),
  );
  const items: Item[] = [];
  const mergedDone = new Set<string>();
  for (const table of scope.tables) {
    if (relation !== "" && !same(table.alias, relation)) continue;
    for (const { name, expr } of table.columns) {
      const lower = name.toLowerCase();
      const isExcluded = (entry: Tree): boolean =>
        same(textOf(entry, "table"), table.alias) && same(textOf(entry, "column"), name);
      if (excluded.includes(lower) || excludedOf.some(isExcluded)) continue;
      const merged = relation === "" ? scope.merged.get(lower) : undefined;
      if (merged !== undefined && mergedDone.has(lower)) continue;
      if (merged !== undefined) mergedDone.add(lower);
      const replacement = replaced.get(lower);
      items.push({ name, expr: isTree(replacement) ? replacement : (merged ?? expr) });
    }
  }
  return items;
}

export interface Resolver {
  readonly scope: Scope;
  /** Select aliases that may be used where no column has the name; already resolved. */
  readonly aliases: ReadonlyMap<string, Tree>;
  /** Scopes of the queries around this one; used by EXISTS only. */
  readonly outer?: Scope;
  /** What a whole expression stands for, before its parts are looked at; undefined: look at them. Used by HAVING only. */
  readonly whole?: (expr: Tree, lambda: readonly string[]) => Tree | undefined;
  readonly onSubquery: (expr: Tree) => Tree;
  readonly onLogicalTime: () => void;
}

/** Resolves every name in an expression. Throws `Refusal` for names nobody knows. */
export function resolveNames(expr: Tree, resolver: Resolver, lambda: readonly string[] = []): Tree {
  const whole = resolver.whole?.(expr, lambda);
  if (whole !== undefined) return whole;
  const names = textsOf(expr, "column_names");
  const kind = classOf(expr);
  if (kind === "COLUMN_REF") {
    const [first] = names;
    if (names.length === 1 && first !== undefined && lambda.includes(first.toLowerCase()))
      return expr;
    const resolved = resolveColumn(expr, names, resolver);
    // An alias inside an expression is a field name: {'a': x}.
    const alias = textOf(expr, "alias");
    return alias === "" ? resolved : { ...resolved, alias };
  }
  if (kind === "LAMBDA") {
    const left = isTree(expr["lhs"]) ? expr["lhs"] : {};
    const parameters = classOf(left) === "COLUMN_REF" ? [left] : listOf(left, "children");
    const own = parameters.flatMap((entry) => textsOf(entry, "column_names"));
    const inner = [...lambda, ...own.map((name) => name.toLowerCase())];
    const body = isTree(expr["expr"]) ? resolveNames(expr["expr"], resolver, inner) : null;
    return { ...expr, expr: body as never };
  }
  const mapped = mapMembers(expr, (member) => resolveNames(member, resolver, lambda));
  if (kind === "SUBQUERY") return resolver.onSubquery(mapped);
  if (kind === "FUNCTION" && listOf(expr, "children").length === 0) {
    return logicalTime(textOf(expr, "function_name").toLowerCase(), resolver) ?? mapped;
  }
  return mapped;
}

function resolveColumn(expr: Tree, names: readonly string[], resolver: Resolver): Tree {
  const found = resolve(resolver.scope, names);
  if (found !== undefined) return found;
  const [first] = names;
  if (names.length === 1 && first !== undefined) {
    const alias = resolver.aliases.get(first.toLowerCase());
    if (alias !== undefined) return alias;
    if (keywordFunctions.has(first.toLowerCase())) {
      const time = logicalTime(first.toLowerCase(), resolver);
      if (time !== undefined) return time;
      throw new Refusal(first, "has no meaning for a day's run; use now() or current_date");
    }
  }
  const outer = resolver.outer === undefined ? undefined : resolve(resolver.outer, names);
  if (outer !== undefined) return outer;
  const text = names.join(".");
  throw new Refusal(
    `column ${text}`,
    "is not a plain column of this query's own FROM (correlated subqueries and struct fields are not distributed); give it an alias there, or write a join",
    { position: typeof expr["query_location"] === "number" ? expr["query_location"] : undefined },
  );
}

/** `now()` and friends as the run's logical time, which the worker sets as a variable. */
function logicalTime(name: string, resolver: Resolver): Tree | undefined {
  if (!timestampNow.has(name) && !dateNow.has(name) && !localNow.has(name)) return undefined;
  resolver.onLogicalTime();
  const variable = call("getvariable", [constant("VARCHAR", "logical_time")]);
  const time = cast(variable, "TIMESTAMP WITH TIME ZONE");
  if (timestampNow.has(name)) return time;
  return cast(time, dateNow.has(name) ? "DATE" : "TIMESTAMP");
}
