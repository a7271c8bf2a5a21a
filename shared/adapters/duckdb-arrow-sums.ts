/**
 * Rows and checksums per partition, computed by DuckDB on both ends of an exchange in the same words.
 * A checksum is the sum of row hashes modulo 2^64: order does not matter, a doubled or changed row does.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { FoundTotals } from "../kernel/exchange-intake.ts";
import { type ExchangePlan, partitionColumn } from "../kernel/plan.ts";
import { sqlName } from "./duckdb.ts";
import { translateDuckDb } from "./duckdb-errors.ts";

/** Totals of each partition that has rows, in order of partition; `where` may narrow the rows. */
export async function partitionTotals(
  connection: DuckDBConnection,
  plan: ExchangePlan,
  table: string,
  where = "TRUE",
): Promise<readonly FoundTotals[]> {
  const columns = plan.columns.map((column) => sqlName(column.name));
  const hashed = columns.length === 0 ? "1" : columns.join(", ");
  const sql =
    `SELECT ${partitionColumn}, count(*)::BIGINT, ` +
    `(sum(hash(${hashed})) % 18446744073709551616::HUGEINT)::VARCHAR ` +
    `FROM ${sqlName(table)} WHERE ${where} GROUP BY ${partitionColumn} ORDER BY ${partitionColumn}`;
  try {
    const reader = await connection.runAndReadAll(sql);
    return reader.getRows().map(([partition, rows, checksum]) => ({
      partition: Number(partition),
      rows: Number(rows),
      checksum: String(checksum),
    }));
  } catch (error) {
    throw translateDuckDb(error, `checksum of exchange ${plan.id}`);
  }
}
