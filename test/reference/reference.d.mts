/** Types of reference.mjs for the tests that call it. */
import type { JobSpec } from "../../shared/kernel/job.ts";

/** One dataset's comparison; names that start with `truth:` were compared with truth.json. */
export interface ReferenceResult {
  readonly dataset: string;
  readonly rows: number;
  readonly expectedRows: number;
  readonly equal: boolean;
  readonly firstDifference?: string;
}

/** Runs the job's SQL over the raw files in plain DuckDB and compares with `out/` under the root. */
export function compareDay(options: {
  readonly job: JobSpec;
  readonly root: string;
  readonly day: string;
  readonly threads?: number;
  /** DuckDB size text, e.g. `2GB`. */
  readonly memoryLimit?: string;
}): Promise<ReferenceResult[]>;
