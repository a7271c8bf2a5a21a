/** What the checksum of a partition sees, and what it must not: order. The engine is real. */
import { beforeAll, expect, test } from "vitest";
import { partitionTotals } from "../../shared/adapters/duckdb-arrow-sums.ts";
import { partitionColumn } from "../../shared/kernel/plan.ts";
import { openDuckDb, planOf } from "./kit.ts";

let connection: Awaited<ReturnType<typeof openDuckDb>>;
beforeAll(async () => {
  connection = await openDuckDb();
});

const plan = planOf("k BIGINT, s VARCHAR", 4, 1);
let tables = 0;

/** Totals of a table with these rows, all in partition 3. */
async function totalsOf(...rows: readonly string[]) {
  const table = `t${++tables}`;
  await connection.run(`CREATE TABLE ${table} (k BIGINT, s VARCHAR, ${partitionColumn} INTEGER)`);
  for (const row of rows) await connection.run(`INSERT INTO ${table} VALUES (${row}, 3)`);
  const [totals] = await partitionTotals(connection, plan, table);
  return totals;
}

test("rows in another order have the same checksum", async () => {
  expect(await totalsOf("1, 'a'", "2, 'b'")).toEqual(await totalsOf("2, 'b'", "1, 'a'"));
});

test("a pair of equal rows that takes the place of another pair is seen", async () => {
  const one = await totalsOf("1, 'a'", "1, 'a'");
  const other = await totalsOf("2, 'b'", "2, 'b'");
  expect(one?.rows).toBe(other?.rows);
  expect(one?.checksum).not.toBe(other?.checksum);
  expect(one?.checksum).not.toBe("0");
});

test("NULL, the empty text, and values that change columns are told apart", async () => {
  const sums = [
    await totalsOf("1, NULL"),
    await totalsOf("1, ''"),
    await totalsOf("NULL, '1'"),
    await totalsOf("NULL, NULL"),
  ].map((totals) => totals?.checksum);
  expect(new Set(sums).size).toBe(4);
});

test("a total is the sum of its rows' own, wrapped at 2^64", async () => {
  const rows = Array.from({ length: 12 }, (_, index) => `${index}, 'x${index}'`);
  let sum = 0n;
  for (const row of rows) sum += BigInt((await totalsOf(row))?.checksum ?? "none");
  expect(sum).toBeGreaterThan(2n ** 64n);
  expect(await totalsOf(...rows)).toMatchObject({ rows: 12, checksum: `${sum % 2n ** 64n}` });
});
