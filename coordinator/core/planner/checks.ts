/**
 * Walks a model's raw parse tree before anything else is done with it and refuses what may never run: reads of files,
 * other databases, the environment; random values; constructs that the planner has no faithful plan for.
 */
import type { Json } from "../../../shared/kernel/canonical.ts";
import { forbiddenFunction, rowMakers } from "./functions.ts";
import { Refusal } from "./refusal.ts";
import {
  childOf,
  classOf,
  isOverflown,
  isTree,
  listOf,
  type Tree,
  textOf,
  textsOf,
} from "./tree.ts";

export const pivotWay = "write one aggregate with FILTER (WHERE …) per output column";
const unpivotWay = "write one SELECT per column and UNION ALL them";

/** Names of tables read in the tree that no CTE of it defines, in order of appearance, each once. */
export interface Checked {
  readonly tables: readonly { readonly name: string; readonly position: number | undefined }[];
}

/** `root` is the raw tree of one statement, with positions. Throws `Refusal`. */
export function checkStatement(root: Tree): Checked {
  const tables = new Map<string, { name: string; position: number | undefined }>();
  visit(root, new Set(), (name, position) => {
    if (!tables.has(name.toLowerCase())) tables.set(name.toLowerCase(), { name, position });
  });
  checkStars(root, false);
  checkCollations(root, false);
  return { tables: [...tables.values()] };
}

type Found = (name: string, position: number | undefined) => void;

function visit(value: Json | undefined, ctes: ReadonlySet<string>, found: Found): void {
  if (Array.isArray(value)) {
    for (const entry of value) visit(entry, ctes, found);
    return;
  }
  if (!isTree(value)) return;
  checkObject(value, ctes, found);
  let inner = ctes;
  const map = childOf(value, "cte_map");
  if (map !== undefined) {
    // A CTE sees the CTEs before it, and (harmlessly here) itself.
    const names = new Set(ctes);
    for (const entry of listOf(map, "map")) {
      visit(entry["value"], names, found);
      names.add(textOf(entry, "key").toLowerCase());
    }
    inner = names;
  }
  for (const [key, member] of Object.entries(value)) {
    if (key !== "cte_map") visit(member, inner, found);
  }
}

/** A star inside an expression stands for as many expressions as there are columns. */
function checkStars(value: Json | undefined, inside: boolean): void {
  if (Array.isArray(value)) {
    for (const entry of value) checkStars(entry, inside);
    return;
  }
  if (!isTree(value)) return;
  if (inside && classOf(value) === "STAR") {
    throw new Refusal("COLUMNS", "inside an expression: write it out for each column", {
      position: positionOf(value),
    });
  }
  const within = "class" in value || (inside && !textOf(value, "type").endsWith("_NODE"));
  for (const member of Object.values(value)) checkStars(member, within);
}

/**
 * A collation is part of a column's type and is lost on the way to another task: it may only be used up where it
 * stands, by a comparison or an order that no LIMIT carries further.
 */
function checkCollations(value: Json | undefined, usedUp: boolean): void {
  if (Array.isArray(value)) {
    for (const entry of value) checkCollations(entry, usedUp);
    return;
  }
  if (!isTree(value)) return;
  const type = textOf(value, "type");
  if (classOf(value) === "COLLATE" && !usedUp) {
    throw new Refusal(
      "COLLATE",
      "is lost between tasks; use it in a comparison or an ORDER BY without LIMIT, and lower(…) for keys and columns",
      { position: positionOf(value) },
    );
  }
  const query = type === "SELECT_NODE" || type === "SET_OPERATION_NODE";
  const limited = listOf(value, "modifiers").some(
    (one) => textOf(one, "type") === "LIMIT_MODIFIER",
  );
  const compares = type.startsWith("COMPARE_") || classOf(value) === "BETWEEN";
  for (const [key, member] of Object.entries(value)) {
    const orders =
      (key === "modifiers" && query && !limited) ||
      (key === "orders" && classOf(value) === "WINDOW");
    checkCollations(member, orders || (!query && (usedUp || compares)));
  }
}

function checkObject(tree: Tree, ctes: ReadonlySet<string>, found: Found): void {
  if ("class" in tree) checkExpression(tree);
  else if ("type" in tree) checkNode(tree, ctes, found);
}

function checkExpression(expr: Tree): void {
  const position = positionOf(expr);
  switch (classOf(expr)) {
    case "FUNCTION":
    case "WINDOW": {
      const name = textOf(expr, "function_name").toLowerCase();
      const why = forbiddenFunction(name);
      if (why !== undefined) throw new Refusal(`${name}()`, why, { position });
      if (name === "age" && listOf(expr, "children").length === 1) {
        throw new Refusal("age()", "of one time counts from today; write age(current_date, …)", {
          position,
        });
      }
      // The parser itself writes `main` for operators like [..] and {..}.
      if (!["", "main"].includes(textOf(expr, "schema")) || textOf(expr, "catalog") !== "") {
        throw new Refusal(`${name}()`, "name the function without schema or database", {
          position,
        });
      }
      return;
    }
    case "CONSTANT":
      if (isOverflown(expr)) {
        throw new Refusal(
          "number",
          "is too large for a DOUBLE; write 'inf'::DOUBLE if you mean it",
          {
            position,
          },
        );
      }
      return;
    case "PARAMETER":
      throw new Refusal("parameter", "models have no parameters; write the value", { position });
    case "POSITIONAL_REFERENCE":
      throw new Refusal("positional reference", "name the column instead of #n", { position });
    case "STAR":
      if (expr["columns"] === true && isTree(expr["expr"])) {
        throw new Refusal("COLUMNS", "list the columns", { position });
      }
      if (listOf(expr, "rename_list").length > 0) {
        throw new Refusal("RENAME", "list the columns with AS", { position });
      }
      return;
    default:
  }
}

function checkNode(node: Tree, ctes: ReadonlySet<string>, found: Found): void {
  const position = positionOf(node);
  if (isTree(node["sample"])) {
    throw new Refusal(
      "TABLESAMPLE",
      "a sample differs on every attempt; filter by hash(column) % n",
      { position },
    );
  }
  switch (textOf(node, "type")) {
    case "BASE_TABLE":
      checkTable(node, ctes, found, position);
      return;
    case "TABLE_FUNCTION": {
      const name = textOf(childOf(node, "function") ?? {}, "function_name");
      const why = forbiddenFunction(name.toLowerCase());
      const way = rowMakers.has(name.toLowerCase())
        ? "call it in a SELECT list: FROM (SELECT *, unnest(…) AS x FROM …)"
        : "models read sources, dimensions and other models; make a small table with VALUES";
      throw new Refusal(`table function ${name}`, why ?? way, {
        position,
        code: why === undefined ? "sqlRefused" : "pathForbidden",
      });
    }
    case "RECURSIVE_CTE_NODE":
      throw new Refusal(
        "WITH RECURSIVE",
        "recursion can't be spread over tasks; unroll it into joins",
      );
    case "PIVOT":
      throw textsOf(node, "unpivot_names").length > 0
        ? new Refusal("UNPIVOT", unpivotWay, { position })
        : new Refusal("PIVOT", pivotWay, { position });
    case "SHOW_REF":
      throw new Refusal("DESCRIBE/SHOW", "a model is a SELECT", { position });
    case "LIMIT_PERCENT_MODIFIER":
      throw new Refusal("LIMIT percent", "give a number of rows");
    case "JOIN":
      if (textOf(node, "ref_type") === "ASOF" || textOf(node, "ref_type") === "POSITIONAL") {
        const kind = textOf(node, "ref_type");
        throw new Refusal(`${kind} JOIN`, "use an equality join and a window over its rows", {
          position,
        });
      }
      return;
    default:
  }
}

function checkTable(
  node: Tree,
  ctes: ReadonlySet<string>,
  found: Found,
  position: number | undefined,
): void {
  const name = textOf(node, "table_name");
  if (textOf(node, "schema_name") !== "" || textOf(node, "catalog_name") !== "") {
    throw new Refusal(`table ${name}`, "models have no schemas or databases; use the plain name", {
      position,
    });
  }
  if (isTree(node["at_clause"]))
    throw new Refusal("AT", "tables have no versions here", { position });
  if (ctes.has(name.toLowerCase())) return;
  if (/[/\\:*?.~]/.test(name)) {
    throw new Refusal(
      `table '${name}'`,
      "a model may not read files by path; declare a source or dimension",
      {
        position,
        code: "pathForbidden",
      },
    );
  }
  found(name, position);
}

/** Character offset of a node, if the engine noted one. */
function positionOf(tree: Tree): number | undefined {
  const value = tree["query_location"];
  return typeof value === "number" && value < Number.MAX_SAFE_INTEGER ? value : undefined;
}

/** The one SELECT of a parsed text. Throws `Refusal` for several statements. */
export function singleStatement(parsed: Tree): Tree {
  const statements = listOf(parsed, "statements");
  const [first] = statements;
  if (statements.length !== 1 || first === undefined) {
    throw new Refusal("several statements", "a model is exactly one SELECT");
  }
  return childOf(first, "node") ?? {};
}
