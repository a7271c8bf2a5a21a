/** Plain DuckDB for tests: asks one question of files, all values as text. */
import { DuckDBInstance } from "@duckdb/node-api";

export async function query(sql: string): Promise<(string | null)[][]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(`SELECT COLUMNS(*)::VARCHAR FROM (${sql})`);
    return reader.getRowsJson() as (string | null)[][];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
