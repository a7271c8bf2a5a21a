/**
 * The physical plan of a job: stages, the exchanges between them, and the SQL that each side runs.
 * Made by coordinator/core/planner from SQL; carried out by executor/shell. It names no day, file or executor.
 *
 * A stage is one program run by many tasks. A scan stage runs once per split of its source; an exchange stage runs
 * once per partition group, over the same group of each of its input exchanges (all have equal keys, P and G).
 */
import type { Column } from "./job.ts";

/** Name of the partition column that the worker appends to exchange rows. Reserved. */
export const partitionColumn = "__p";

export interface ExchangePlan {
  /** `x0`, `x1` … unique in the plan. */
  readonly id: string;
  /** Data columns with explicit types, in wire order. Types are limited to `wireTypes`. */
  readonly columns: readonly Column[];
  /**
   * SQL expressions over `columns`, already cast to the comparison's common type. The worker computes
   * `hash(k1, k2 …) % P`. Empty: everything goes to partition 0 (then partitions = groups = 1).
   */
  readonly keys: readonly string[];
  readonly partitions: number;
  readonly groups: number;
}

/** A table that the stage builds before its outputs, in order; later ones may read earlier ones. */
export interface StageTable {
  readonly name: string;
  readonly sql: string;
  /** true: CREATE TEMP TABLE (read more than once or large); false: CREATE TEMP VIEW. */
  readonly materialize: boolean;
}

export type StageOutput =
  | { readonly kind: "exchange"; readonly exchange: string; readonly sql: string }
  | {
      readonly kind: "dataset";
      readonly model: string;
      readonly sql: string;
      /** Explicit output schema (HUGEINT never appears: DECIMAL(38,0) or a checked BIGINT). */
      readonly columns: readonly Column[];
      /**
       * true: where no task of the stage has a row for it (an aggregate without GROUP BY has one always),
       * an empty file with the schema is still written by group 0.
       */
      readonly single: boolean;
    };

export type StageInput =
  | {
      readonly kind: "scan";
      readonly source: string;
      /** Declared columns that some expression of this stage needs: the scan table holds just these. */
      readonly keep: readonly string[];
      /** Is the per-file table `<source>_files` (see `fileTableColumns`) read by this stage? */
      readonly files: boolean;
    }
  | { readonly kind: "exchange"; readonly exchanges: readonly string[] };

export interface StagePlan {
  /** `s0`, `s1` … in topological order. */
  readonly id: string;
  readonly input: StageInput;
  /** Dimensions that the stage's SQL reads, by name; each is a table of that name in the worker. */
  readonly dimensions: readonly string[];
  readonly tables: readonly StageTable[];
  readonly outputs: readonly StageOutput[];
}

export interface DatasetPlan {
  readonly model: string;
  /** Stage that writes it. */
  readonly stage: string;
  readonly columns: readonly Column[];
  /** Tables of earlier days that its rows depend on, by way of other models, too. Absent: none. */
  readonly history?: readonly string[];
}

/** Days of a dataset that are scanned like the files of a source. */
export interface HistoryPlan {
  /** What stages call it: it is the `source` of their scan. */
  readonly table: string;
  readonly job: string;
  readonly dataset: string;
  /** First and last day, as days before the run's own. 0: that day itself. */
  readonly first: number;
  readonly last: number;
  /** Of the dataset, then `day`. */
  readonly columns: readonly Column[];
}

/** How many rows there can be, whatever is read: `each` for each of `times`. */
export interface RowsBound {
  /** A number, or one per group, or one per file of the sources. */
  readonly each: number | "groups" | "files";
  readonly times: "split" | "task" | "run";
}

/** What an exchange will carry, as far as the plan alone tells: bounds on the rows sent. */
export interface ExchangeTraffic {
  readonly exchange: string;
  /** Sources that its rows are made of: all their rows together are its input rows. */
  readonly sources: readonly string[];
  /** Rows sent per input row: at least … (a rejected line is no input row). */
  readonly atLeast: number;
  /** … and at most; absent: input rows are no bound (an exploding join, one row a file). */
  readonly atMost?: number;
  readonly rows?: RowsBound;
  /** Dimensions that must have one row a key for `atMost` to hold. */
  readonly assumes: readonly string[];
}

export interface JobPlan {
  readonly stages: readonly StagePlan[];
  readonly exchanges: readonly ExchangePlan[];
  /** One for each exchange, for people: no work depends on it. Absent in plans of older versions. */
  readonly traffic?: readonly ExchangeTraffic[];
  readonly datasets: readonly DatasetPlan[];
  /** Models that read others, and which. Absent: none does, or a plan of an older version. */
  readonly reads?: Readonly<Record<string, readonly string[]>>;
  /** Does some SQL use `now()`/`current_date`? Then the logical time is part of the map keys. */
  readonly usesLogicalTime: boolean;
  /** Datasets of which several days are read. Absent: none. */
  readonly history?: readonly HistoryPlan[];
}

/**
 * Columns of `<source>_files`: one row per input file of the day, for feed reports.
 * `rows` + `rejects` + `blank` = `lines` (a header line is not counted).
 */
export const fileTableColumns: readonly Column[] = [
  { name: "file", type: "VARCHAR" },
  { name: "bytes", type: "BIGINT" },
  { name: "lines", type: "BIGINT" },
  { name: "rows", type: "BIGINT" },
  { name: "rejects", type: "BIGINT" },
  { name: "blank", type: "BIGINT" },
  { name: "outside_day", type: "BIGINT" },
  { name: "first_event_ms", type: "BIGINT" },
  { name: "last_event_ms", type: "BIGINT" },
];

/** Types that may cross an exchange. Others are cast by the planner (HUGEINT → DECIMAL(38,0), ENUM → VARCHAR). */
export const wireTypes: readonly string[] = [
  "BOOLEAN",
  "TINYINT",
  "SMALLINT",
  "INTEGER",
  "BIGINT",
  "UTINYINT",
  "USMALLINT",
  "UINTEGER",
  "UBIGINT",
  "FLOAT",
  "DOUBLE",
  "DATE",
  "TIMESTAMP",
  "TIMESTAMP WITH TIME ZONE",
  "TIME",
  "VARCHAR",
  "BLOB",
  // and DECIMAL(p,s) for any p ≤ 38
];

/** May a value of this type cross an exchange? */
export function isWireType(type: string): boolean {
  return wireTypes.includes(type) || /^DECIMAL\(\d+,\s*\d+\)$/.test(type);
}
