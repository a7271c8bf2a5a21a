/** Types of load.mjs for the tests that call it. */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { JobSpec } from "../../shared/kernel/job.ts";

export interface Reference {
  readonly connection: DuckDBConnection;
  close(): void;
}

/** Sources, file tables and dimensions of the day as tables of one DuckDB. */
export function openReference(
  job: JobSpec,
  root: string,
  day: string,
  options?: { readonly threads?: number; readonly memoryLimit?: string },
): Promise<Reference>;

/** Every model's SQL as a table. */
export function buildModels(connection: DuckDBConnection, job: JobSpec): Promise<void>;
