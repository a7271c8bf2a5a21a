/**
 * A query node (SELECT or set operation, with CTEs and modifiers) as relations. Gives the name of the relation that
 * holds its answer; ORDER BY without LIMIT is only remembered for the model's own files.
 */
import { type Ctes, leaf, type Reading } from "./from-clause.ts";
import { addDistinct, addLimit, ordinalOf } from "./modifiers.ts";
import { Refusal } from "./refusal.ts";
import { orderExpr, orderLike, ordersOf } from "./relation.ts";
import { readSelect } from "./select.ts";
import { childOf, column, listOf, type Tree, textOf, textsOf } from "./tree.ts";

export function readQuery(node: Tree, ctes: Ctes, reading: Reading): string {
  const inner = new Map(ctes);
  for (const entry of listOf(childOf(node, "cte_map") ?? {}, "map")) {
    const value = childOf(entry, "value") ?? {};
    const query = childOf(childOf(value, "query") ?? {}, "node") ?? {};
    const relation = readQuery(query, inner, reading);
    inner.set(textOf(entry, "key").toLowerCase(), { relation, names: textsOf(value, "aliases") });
  }
  switch (textOf(node, "type")) {
    case "SELECT_NODE":
      return readSelect(node, inner, reading);
    case "SET_OPERATION_NODE":
      return readSetOperation(node, inner, reading);
    default:
      throw new Refusal(textOf(node, "type"), "this kind of query can't be spread over tasks");
  }
}

function readSetOperation(node: Tree, ctes: Ctes, reading: Reading): string {
  const operands = setOperands(node);
  const inputs = operands.map((operand) => readQuery(operand, ctes, reading));
  const op = textOf(node, "setop_type");
  const all = node["setop_all"] === true;
  const { relations, model } = reading;
  const add = (
    name: string,
    given: readonly string[],
    operation: string,
    keepAll: boolean,
  ): string => {
    const columns = relations.get(given[0] ?? "").columns;
    relations.add({
      name,
      model,
      columns,
      body: {
        kind: "setop",
        op: operation,
        all: keepAll,
        inputs: given,
        columns: given.map((input) => relations.get(input).columns),
      },
    });
    return name;
  };
  let current: string;
  if (op === "UNION" || op === "UNION_BY_NAME") {
    const aligned = op === "UNION" ? inputs : alignByName(inputs, reading);
    current = add(relations.freshName(model), aligned, "UNION", true);
    if (!all) current = addDistinct(current, reading);
  } else if (op === "EXCEPT" || op === "INTERSECT") {
    current = add(relations.freshName(model), inputs, op, all);
  } else throw new Refusal(op, "is not a set operation that can be spread over tasks");
  return applyModifiers(current, listOf(node, "modifiers"), reading);
}

function setOperands(node: Tree): readonly Tree[] {
  const children = listOf(node, "children");
  const pair = [childOf(node, "left"), childOf(node, "right")].filter(
    (entry) => entry !== undefined,
  );
  return children.length > 0 ? children : pair;
}

/** UNION BY NAME: each input as a view with the columns of all, NULL where it has none. */
function alignByName(inputs: readonly string[], reading: Reading): readonly string[] {
  const { relations, model } = reading;
  const columns: string[] = [];
  for (const name of inputs.flatMap((input) => relations.get(input).columns)) {
    if (!columns.some((known) => known.toLowerCase() === name.toLowerCase())) columns.push(name);
  }
  return inputs.map((input) => {
    const own = relations.get(input).columns;
    const clause = leaf(input, "part", [], reading);
    const alias = clause.from.kind === "leaf" ? clause.from.alias : "";
    const select = columns.map((name) => {
      const found = own.find((known) => known.toLowerCase() === name.toLowerCase());
      return { name, expr: found === undefined ? nullConstant() : column(alias, found) };
    });
    const name = relations.freshName(model);
    relations.add({
      name,
      model,
      columns,
      body: { kind: "view", from: clause.from, where: [], select },
    });
    return name;
  });
}

function nullConstant(): Tree {
  const type = { id: "NULL", type_info: null };
  return { class: "CONSTANT", type: "VALUE_CONSTANT", alias: "", value: { type, is_null: true } };
}

/** ORDER BY and LIMIT of a set operation: orders name output columns only. */
function applyModifiers(input: string, modifiers: readonly Tree[], reading: Reading): string {
  const { columns } = reading.relations.get(input);
  const orders = modifiers
    .filter((entry) => textOf(entry, "type") === "ORDER_MODIFIER")
    .flatMap(ordersOf)
    .flatMap((entry) => outputOrders(entry, columns));
  return addLimit(input, orders, modifiers, reading);
}

function outputOrders(entry: Tree, columns: readonly string[]): readonly Tree[] {
  const expr = orderExpr(entry);
  if (expr["class"] === "STAR") return columns.map((name) => orderLike(entry, column("t", name)));
  const ordinal = ordinalOf(expr);
  const wanted = textsOf(expr, "column_names").at(-1)?.toLowerCase();
  const name =
    ordinal === undefined
      ? columns.find((known) => known.toLowerCase() === wanted)
      : columns[ordinal - 1];
  if (name === undefined)
    throw new Refusal("ORDER BY", "of a set operation must name an output column");
  return [orderLike(entry, column("t", name))];
}
