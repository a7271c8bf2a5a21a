/** Plain DuckDB for tests: the reference that results are compared with. */
import { DuckDBInstance } from "@duckdb/node-api";

/** Runs statements in order; gives the last one's rows, every value as text. */
export async function query(...statements: string[]): Promise<(string | null)[][]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    const last = statements.pop() ?? "SELECT 1";
    for (const statement of statements) await connection.run(statement);
    const reader = await connection.runAndReadAll(`SELECT COLUMNS(*)::VARCHAR FROM (${last})`);
    return reader.getRowsJson() as (string | null)[][];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
