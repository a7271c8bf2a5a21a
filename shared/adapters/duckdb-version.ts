/**
 * The version of the engine in this process, as every part of the cluster spells it. Opens no database.
 */
import { version } from "@duckdb/node-api";

/** DuckDB's version text, e.g. `v1.5.6`. */
export function duckdbVersion(): string {
  return version();
}
