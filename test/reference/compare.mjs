/**
 * Compares a committed dataset with the reference's table inside DuckDB: exact columns as multisets, DOUBLE and
 * FLOAT within 1e-9 relative. A wrong name, order or type of a column is a difference too.
 */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { identifier, literal, rowsOf } from "./load.mjs";

/** Largest relative difference of two DOUBLEs that are still equal. */
const tolerance = 1e-9;

/** {dataset, rows, expectedRows, equal, firstDifference?} for one model whose table is in `connection`. */
export async function compareDataset(connection, model, root, day) {
  const folder = path.join(root, "out", model, `day=${day}`);
  if (!existsSync(folder)) return different(model, 0, `${folder} does not exist`);
  const expected = identifier(model);
  const actual = identifier(`actual ${model}`);
  const pattern = literal(path.join(folder, "*.parquet"));
  // A day without a file is the empty dataset.
  const isEmpty = !readdirSync(folder).some((name) => name.endsWith(".parquet"));
  try {
    if (!isEmpty && (await schemaCount(connection, pattern)) > 1) {
      return different(model, 0, `the files in ${folder} differ in their columns`);
    }
    const from = isEmpty
      ? `FROM ${expected} LIMIT 0`
      : `FROM read_parquet(${pattern}, hive_partitioning = false)`;
    await connection.run(`CREATE OR REPLACE TEMP TABLE ${actual} AS ${from}`);
    return await compareTables(connection, model, expected, actual);
  } catch (error) {
    return different(model, 0, `${folder} cannot be compared: ${error}`);
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${actual}`);
  }
}

/** How many different lists of columns the files have: read together, the first one would hide the others. */
async function schemaCount(connection, pattern) {
  const [row] = await rowsOf(
    connection,
    `WITH columns AS (
      SELECT file_name, row_number() OVER () AS place,
        concat_ws(' ', name, type, logical_type, precision, scale) AS text
      FROM parquet_schema(${pattern}) WHERE coalesce(num_children, 0) = 0
    ), files AS (SELECT string_agg(text, ', ' ORDER BY place) AS text FROM columns GROUP BY file_name)
    SELECT count(DISTINCT text) AS n FROM files`,
  );
  return Number(row.n);
}

async function compareTables(connection, model, expected, actual) {
  const wanted = await describe(connection, expected);
  const got = await describe(connection, actual);
  const [sizes] = await rowsOf(
    connection,
    `SELECT (SELECT count(*) FROM ${expected}) AS wanted, (SELECT count(*) FROM ${actual}) AS got`,
  );
  const rows = Number(sizes.got);
  const expectedRows = Number(sizes.wanted);
  const schema = schemaDifference(wanted, got);
  if (schema !== undefined) return different(model, rows, schema, expectedRows);
  const exact = wanted.filter((column) => !isFloating(column.type));
  const floating = wanted.filter((column) => isFloating(column.type));
  const found =
    (await multisetDifference(connection, expected, actual, exact)) ??
    (await floatingDifference(connection, expected, actual, exact, floating));
  if (found !== undefined) return different(model, rows, found, expectedRows);
  return { dataset: model, rows, expectedRows, equal: true };
}

function different(dataset, rows, firstDifference, expectedRows = 0) {
  return { dataset, rows, expectedRows, equal: false, firstDifference };
}

async function describe(connection, table) {
  const rows = await rowsOf(connection, `DESCRIBE ${table}`);
  return rows.map((row) => ({ name: row.column_name, type: row.column_type }));
}

function isFloating(type) {
  return type === "DOUBLE" || type === "FLOAT";
}

/** Parquet has no HUGEINT: such a column must come as DECIMAL(38,0) or BIGINT, never as DOUBLE. */
function schemaDifference(wanted, got) {
  const text = (columns) => columns.map((c) => `${c.name} ${c.type}`).join(", ");
  const fits = (want, have) =>
    want.name === have.name &&
    (want.type === have.type ||
      (/^U?HUGEINT$/.test(want.type) && ["DECIMAL(38,0)", "BIGINT"].includes(have.type)) ||
      (want.type.startsWith("ENUM") && have.type === "VARCHAR"));
  const same =
    wanted.length === got.length && wanted.every((column, index) => fits(column, got[index]));
  return same ? undefined : `columns: expected (${text(wanted)}), found (${text(got)})`;
}

/** HUGEINT and DECIMAL compare as DECIMAL(38,0): exact, and the same kind on both sides. */
function comparable(column) {
  const name = identifier(column.name);
  return /^U?HUGEINT$/.test(column.type) ? `${name}::DECIMAL(38,0) AS ${name}` : name;
}

async function multisetDifference(connection, expected, actual, exact) {
  if (exact.length === 0) return undefined;
  const columns = exact.map(comparable).join(", ");
  for (const [label, one, other] of [
    ["missing", expected, actual],
    ["unexpected", actual, expected],
  ]) {
    const [row] = await rowsOf(
      connection,
      `SELECT ${columns} FROM ${one} EXCEPT ALL SELECT ${columns} FROM ${other} LIMIT 1`,
    );
    if (row !== undefined) return `${label}: ${JSON.stringify(row)}`;
  }
  return undefined;
}

/** Rows are paired by their exact columns; among equal ones by the order of their floating values. */
async function floatingDifference(connection, expected, actual, exact, floating) {
  if (floating.length === 0) return undefined;
  const keys = exact.map((column) => identifier(column.name));
  const values = floating.map((column) => identifier(column.name));
  const partition = keys.length > 0 ? `PARTITION BY ${keys.join(", ")}` : "";
  const select = [...exact.map(comparable), ...values].join(", ");
  const numbered = (table) =>
    `(SELECT *, row_number() OVER (${partition} ORDER BY ${values.join(", ")}) AS "pair number"
      FROM (SELECT ${select} FROM ${table}))`;
  const pairs = [...keys, '"pair number"'].map((key) => `e.${key} IS NOT DISTINCT FROM a.${key}`);
  const close = values.map((value) => near(`e.${value}`, `a.${value}`));
  const shown = [...keys, ...values].map((key) => `e.${key}`);
  const found = values.map((value) => `a.${value} AS ${identifier(`found ${value}`)}`);
  const [row] = await rowsOf(
    connection,
    `SELECT ${[...shown, ...found].join(", ")} FROM ${numbered(expected)} AS e
     FULL JOIN ${numbered(actual)} AS a ON ${pairs.join(" AND ")}
     WHERE NOT (${close.join(" AND ")}) LIMIT 1`,
  );
  return row === undefined ? undefined : `value: ${JSON.stringify(row)}`;
}

function near(one, other) {
  return `coalesce(${one} IS NOT DISTINCT FROM ${other} OR
    abs(${one} - ${other}) <= ${tolerance} * greatest(abs(${one}), abs(${other})), false)`;
}
