/**
 * A validated job: what a user's YAML and SQL files mean, with defaults filled in and no file access left to do.
 * Made by shared/adapters/job-file.ts; everything after it trusts these values.
 */
import type { CheckSpec } from "./check.ts";
import type { ConsumerSpec } from "./delivery.ts";
import type { Day } from "./time.ts";

export type { CheckSpec } from "./check.ts";

/** A column with DuckDB's canonical type name, e.g. `{ name: "msisdn", type: "BIGINT" }`. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

/** Names in any case: SQL does not tell them apart. */
export function isSameColumns(some: readonly Column[], others: readonly Column[]): boolean {
  const text = (columns: readonly Column[]) =>
    columns.map(({ name, type }) => `${name.toLowerCase()} ${type}`).join(", ");
  return text(some) === text(others);
}

/** How delimited text is read. Nothing is ever detected automatically. */
export interface CsvOptions {
  readonly delimiter: string;
  /** Empty = no quoting. Declared by the user only: quoting can swallow following lines. */
  readonly quote: string;
  readonly escape: string;
  readonly header: boolean;
  /** The text that means NULL, for every type. Empty: an empty field does. */
  readonly nullString: string;
  readonly timestampFormat: string;
  readonly dateFormat: string;
  readonly decimalSeparator: string;
}

/** What a job file means that says nothing about it. */
export const plainCsv: CsvOptions = {
  delimiter: ",",
  quote: "",
  escape: "",
  header: false,
  nullString: "",
  timestampFormat: "",
  dateFormat: "",
  decimalSeparator: ".",
};

export type SourceFormat = "csv" | "csv.gz" | "parquet" | "arrow";

/** Lines of text, whose types only the declared columns say? */
export function isDelimited(format: SourceFormat): boolean {
  return format === "csv" || format === "csv.gz";
}

/** When a record's event time lies outside its day. */
export type OutsideRule = "keep" | "late_table" | "reject";

/** The columns of a source's files from a day on. */
export interface ColumnsVersion {
  /** Absent in the first one: since ever. */
  readonly from?: Day;
  readonly columns: readonly Column[];
}

export interface SourceSpec {
  readonly name: string;
  /** Glob relative to the storage root with `{day}` (YYYY-MM-DD) in it. */
  readonly path: string;
  readonly format: SourceFormat;
  /** Of the files, in their order; with `versions` those of the newest one. */
  readonly columns: readonly Column[];
  /** Where files of other days have other columns: all forms, oldest first. Gone in the form of a day (job-day.ts). */
  readonly versions?: readonly ColumnsVersion[];
  /** In the form of a day: columns that its files lack and those of other days have. NULL in every row. */
  readonly absent?: readonly Column[];
  readonly csv: CsvOptions;
  readonly eventTime?: {
    readonly column: string;
    readonly outside: OutsideRule;
    /** For integer columns: what one unit is. */
    readonly unit: "s" | "ms" | "us";
  };
  /** Above this share of rejected lines of a day the run stops before commit. */
  readonly rejectsMaxShare: number;
  /** Datasets of days as a source (history.ts): never in a job file, and only in a run's form of the job. */
  readonly history?: HistorySource;
  /** A zero-length file is an error unless the source says that it may happen. */
  readonly allowEmptyFiles: boolean;
}

/** Files of a dataset, each of one day, which its rows get as their column `day`. */
export interface HistorySource {
  /** The job's own dataset: files of an older form may lack columns, which are NULL then. */
  readonly isOwn: boolean;
}

/**
 * What makes a source's day ready: a control file that names the day's files, a marker file, an expected number of
 * files, or a time without new ones.
 */
export interface ReadyRule {
  readonly by: "manifest" | "marker" | "count" | "quiet";
  /** Path of the file (`{day}` allowed), the number, or the duration as written. */
  readonly value: string;
  /** Share of the expected files that is enough once the grace time is over, 0 to 1; absent = 1. */
  readonly completeness?: number;
  /** How long all expected files are waited for after the day's start, as written; absent = for ever. */
  readonly grace?: string;
}

/** A small table, sent whole to every task that joins it. */
export interface DimensionSpec {
  readonly name: string;
  /** Path relative to the storage root; `{day}` allowed. One file. */
  readonly path: string;
  readonly format: SourceFormat;
  readonly columns: readonly Column[];
  readonly csv: CsvOptions;
}

export interface ModelSpec {
  readonly name: string;
  readonly sql: string;
  /** File that the SQL came from, for messages. */
  readonly file: string;
  /** Datasets of which it reads several days. Absent: none. */
  readonly history?: readonly HistorySpec[];
}

/** Days of a dataset that a model reads as the table `<dataset>_history` (history.ts). */
export interface HistorySpec {
  readonly dataset: string;
  /** Absent: a dataset of the same job. */
  readonly job?: string;
  readonly days: number;
  /** They end with the day before the run's own. Absent: with the run's own day. */
  readonly ownDay?: false;
  /** Of the dataset, without `day`. Absent: those of the job's own model. */
  readonly columns?: readonly Column[];
}

/** The same data date of another job's dataset must be committed. */
export interface UpstreamSpec {
  readonly job: string;
  readonly dataset: string;
}

/** How a run is cut. Part of every map key where it changes the bytes of a map output. */
export interface ExecutionSpec {
  /** P: hash buckets of an exchange. */
  readonly partitions: number;
  /** G: streams of an exchange and reduce tasks of a stage; G ≤ P. */
  readonly groups: number;
  /** Target raw bytes (as stored) of one split. */
  readonly splitBytes: number;
  /** Attempts per task before the run fails. */
  readonly maxAttempts: number;
}

/**
 * What stays on storage of what readers no longer see. Days count from the commit; bytes are those of all days of the
 * job together, newest first. Absent: no such bound.
 */
export interface RetentionSpec {
  /** Superseded revisions of a day. */
  readonly revisions: number;
  readonly revisionsDays?: number;
  readonly revisionsBytes?: number;
  /** Also of the committed revision. */
  readonly rejectsDays: number;
  readonly rejectsBytes?: number;
  readonly lateDays: number;
  readonly lateBytes?: number;
}

export interface JobSpec {
  readonly name: string;
  /** IANA zone: what `current_date` and timestamps with time zone mean in this job. */
  readonly timezone: string;
  readonly schedule?: string;
  readonly sources: readonly SourceSpec[];
  readonly dimensions: readonly DimensionSpec[];
  readonly models: readonly ModelSpec[];
  readonly checks: readonly CheckSpec[];
  /** Time of day in `timezone` by which a day is to be committed: the first one after its start. `HH:MM`. */
  readonly finishBy?: string;
  /** The same for single models. */
  readonly finishByModel?: Readonly<Record<string, string>>;
  /** Days of other jobs that a day of this one waits for. */
  readonly after?: readonly UpstreamSpec[];
  /** What happens to days of the window that were made from another form of the job; absent: they are marked. */
  readonly onChange?: "rerun";
  /** Which day of the backlog comes first; absent = oldest. */
  readonly backlogOrder?: "newest";
  /** Files that are final are not mapped before their day is ready. */
  readonly workAhead?: false;
  /** By source. Beside the sources, not in them: it changes no row, so it must not change a map key. */
  readonly ready?: Readonly<Record<string, ReadyRule>>;
  /** By source, beside them for the same reason: files that were delivered twice count twice. Absent: once. */
  readonly duplicates?: Readonly<Record<string, "keep">>;
  /** Who takes its datasets and acknowledges them; absent: nobody. */
  readonly consumers?: readonly ConsumerSpec[];
  readonly backlogDays: number;
  /** Absent: the defaults of `limits`. */
  readonly retention?: RetentionSpec;
  readonly execution: ExecutionSpec;
}

/** `ipdr-daily`, day, revision 3 → `ipdr-daily.2026-01-15.r3`. Job names hold no dot, so it parses back. */
export function formatRunId(job: string, day: Day, revision: number): string {
  return `${job}.${day}.r${revision}`;
}

export interface RunName {
  readonly job: string;
  readonly day: Day;
  readonly revision: number;
}

/** The exact inverse of `formatRunId`; undefined for anything else. */
export function parseRunId(text: string): RunName | undefined {
  const match = /^([a-z][a-z0-9-]{0,62})\.(\d{4}-\d{2}-\d{2})\.r([1-9]\d{0,8})$/.exec(text);
  if (!match) return undefined;
  return { job: match[1] ?? "", day: match[2] ?? "", revision: Number(match[3]) };
}
