/**
 * The job file as a schema: what may stand where, the defaults, and the rules between fields.
 * It turns parsed YAML into a JobSpec; reading files and finding line numbers is job-file.ts.
 */
import { z } from "zod";
import {
  type CsvOptions,
  isDelimited,
  type JobSpec,
  type ModelSpec,
  plainCsv,
  type RetentionSpec,
  type SourceFormat,
} from "../kernel/job.ts";
import { versionText } from "../kernel/job-day.ts";
import { limits } from "../kernel/limits.ts";
import { lateDataset } from "../kernel/manifest.ts";
import { check, checkProblems, checkSpecs } from "./job-checks.ts";
import { sourceColumns } from "./job-columns.ts";
import { dayFields, dayKeys, ready, readyRules, refuseDays } from "./job-days.ts";
import {
  byteSize,
  columns,
  dataPath,
  didYouMean,
  jobName,
  object,
  tableName,
  tableNameProblem,
  timezone,
} from "./job-fields.ts";
import { history, modelHistory, refuseHistory } from "./job-history.ts";

const format = z.enum(["csv", "csv.gz", "parquet", "arrow"], {
  error: "a format is csv, csv.gz, parquet or arrow",
});

const csv = object({
  delimiter: z.string().min(1).max(4).default(plainCsv.delimiter),
  quote: z.string().max(1, "quote is one character, or empty for none").default(plainCsv.quote),
  escape: z.string().max(1, "escape is one character, or empty for none").optional(),
  header: z.boolean().default(plainCsv.header),
  null: z.string().default(plainCsv.nullString),
  timestamp_format: z.string().default(plainCsv.timestampFormat),
  date_format: z.string().default(plainCsv.dateFormat),
  decimal_separator: z.enum([".", ","]).default("."),
});

function csvOptions(given: z.infer<typeof csv> | undefined): CsvOptions {
  const value = given ?? csv.parse({});
  return {
    delimiter: value.delimiter,
    quote: value.quote,
    // SQL style: a quote inside quotes is doubled.
    escape: value.escape ?? value.quote,
    header: value.header,
    nullString: value.null,
    timestampFormat: value.timestamp_format,
    dateFormat: value.date_format,
    decimalSeparator: value.decimal_separator,
  };
}

const source = object({
  path: dataPath.refine(
    (path) => path.includes("{day}"),
    "a source's path holds {day}: without it every day would read the same files",
  ),
  format,
  columns: sourceColumns,
  csv: csv.optional(),
  event_time: object({
    column: z.string(),
    outside: z.enum(["keep", "late_table", "reject"]).default("keep"),
    unit: z.enum(["s", "ms", "us"]).default("ms"),
  }).optional(),
  rejects: object({ max_share: z.number().min(0).max(1) }).optional(),
  allow_empty_files: z.boolean().default(false),
  /** What happens to a file that holds the bytes of another one. */
  duplicates: z.enum(["drop", "keep"]).default("drop"),
  ready: ready.optional(),
}).superRefine((value, context) => {
  csvOnlyForText(value, context);
  const time = value.event_time;
  if (time === undefined) return;
  const problem = eventTimeProblem(time.column, value.columns);
  if (problem === undefined) return;
  context.addIssue({ code: "custom", message: problem, path: ["event_time", "column"] });
});

/** Whatever columns a day has: its records say when they happened. */
function eventTimeProblem(
  name: string,
  { columns, versions }: z.output<typeof sourceColumns>,
): string | undefined {
  for (const version of versions ?? [{ columns }]) {
    const where = versions === undefined ? "" : ` in the columns ${versionText(version)}`;
    const type = version.columns.find((column) => column.name === name)?.type;
    if (type === undefined) {
      const names = version.columns.map((column) => column.name);
      return `no column ${name}${where}${didYouMean(name, names)}`;
    }
    if (!/^(U?(SMALL|BIG)?INT(EGER)?|TIMESTAMP( WITH TIME ZONE)?|DATE)$/.test(type)) {
      return `an event time is an integer, a TIMESTAMP or a DATE, not ${type}${where}`;
    }
  }
  return undefined;
}

const dimension = object({ path: dataPath, format, columns, csv: csv.optional() }).superRefine(
  csvOnlyForText,
);

function csvOnlyForText(
  value: { readonly format: SourceFormat; readonly csv?: unknown },
  context: z.RefinementCtx,
): void {
  if (isDelimited(value.format) || value.csv === undefined) return;
  const message = `a file of format ${value.format} has no csv options`;
  context.addIssue({ code: "custom", message, path: ["csv"] });
}

const model = object({
  sql: dataPath.refine((path) => path.endsWith(".sql"), "the path of a .sql file beside the job"),
  history,
});

function tables<Value extends z.ZodType>(value: Value) {
  return z.record(tableName, value);
}

const keptDays = z.int().min(0).max(36_500);
const keptBytes = byteSize(0, Number.MAX_SAFE_INTEGER);

/** The whole file. Unknown keys are refused at every level. */
export const jobSchema = object({
  name: jobName,
  timezone: timezone.optional(),
  sources: tables(source),
  dimensions: tables(dimension).default({}),
  models: tables(model),
  checks: z.array(check).default([]),
  ...dayKeys,
  retention: object({
    revisions: z.int().min(0).max(1_000).default(limits.retentionRevisionsDefault),
    rejects_days: keptDays.default(limits.retentionRejectsDaysDefault),
    late_days: keptDays.default(limits.retentionLateDaysDefault),
    revisions_days: keptDays.optional(),
    revisions_bytes: keptBytes.optional(),
    rejects_bytes: keptBytes.optional(),
    late_bytes: keptBytes.optional(),
  }).optional(),
  execution: object({
    partitions: z.int().min(1).max(limits.partitionsMax).default(32),
    groups: z.int().min(1).max(limits.groupsMax).default(8),
    split_bytes: byteSize(1024, 64 * 1024 ** 3).default(128 * 1024 ** 2),
    max_attempts: z.int().min(1).max(limits.attemptsPerTaskMax).default(4),
  }).prefault({}),
}).superRefine((job, context) => {
  const refuse = (message: string, path: (string | number)[]) =>
    context.addIssue({ code: "custom", message, path });
  const seen = new Map<string, string>();
  for (const kind of ["sources", "dimensions", "models"] as const) {
    for (const name of Object.keys(job[kind])) {
      const other = seen.get(name);
      if (other !== undefined) refuse(`the name is used by ${other} already`, [kind, name]);
      seen.set(name, kind);
    }
  }
  for (const [name, { event_time: time }] of Object.entries(job.sources)) {
    if (time?.outside !== "late_table") continue;
    const late = lateDataset(name);
    const problem = tableNameProblem(late);
    if (problem !== undefined) refuse(`late records go to ${late}: ${problem}`, ["sources", name]);
    if (!Object.hasOwn(job.models, late)) continue;
    refuse(`late records of source ${name} go by that name: choose another`, ["models", late]);
  }
  if (Object.keys(job.sources).length === 0) refuse("a job reads at least one source", ["sources"]);
  const models = Object.keys(job.models);
  if (models.length === 0) refuse("a job has at least one model", ["models"]);
  if (models.length > limits.modelsPerJobMax) {
    refuse(`at most ${limits.modelsPerJobMax} models`, ["models"]);
  }
  for (const { message, path } of checkProblems(job.checks, models, Object.keys(job.sources))) {
    refuse(message, ["checks", ...path]);
  }
  if (job.execution.groups > job.execution.partitions) {
    refuse(`groups (${job.execution.groups}) may not exceed partitions`, ["execution", "groups"]);
  }
  refuseDays(job, refuse);
  refuseHistory(job, refuse);
});

export type JobDocument = z.output<typeof jobSchema>;

function retentionSpec(given: NonNullable<JobDocument["retention"]>): RetentionSpec {
  const { revisions, rejects_days: rejectsDays, late_days: lateDays } = given;
  const bounds = {
    revisionsDays: given.revisions_days,
    revisionsBytes: given.revisions_bytes,
    rejectsBytes: given.rejects_bytes,
    lateBytes: given.late_bytes,
  };
  const told = Object.entries(bounds).filter(([, bound]) => bound !== undefined);
  // What is not told stays away: it must not change the digest of a job.
  return { revisions, rejectsDays, lateDays, ...Object.fromEntries(told) };
}

/** The validated document and the SQL texts of its models → the job as everything after this sees it. */
export function jobSpec(job: JobDocument, sqlOf: (file: string) => string): JobSpec {
  return {
    name: job.name,
    timezone: job.timezone ?? job.schedule?.timezone ?? "UTC",
    sources: Object.entries(job.sources).map(([name, value]) => ({
      name,
      path: value.path,
      format: value.format,
      ...value.columns,
      csv: csvOptions(value.csv),
      ...(value.event_time === undefined ? {} : { eventTime: value.event_time }),
      rejectsMaxShare: value.rejects?.max_share ?? 0,
      allowEmptyFiles: value.allow_empty_files,
    })),
    dimensions: Object.entries(job.dimensions).map(([name, value]) => ({
      name,
      path: value.path,
      format: value.format,
      columns: value.columns,
      csv: csvOptions(value.csv),
    })),
    models: Object.entries(job.models).map(
      ([name, value]): ModelSpec => ({
        name,
        sql: sqlOf(value.sql),
        file: value.sql,
        ...modelHistory(value.history),
      }),
    ),
    checks: checkSpecs(job.checks),
    ...dayFields(job),
    ...readyRules(job.sources),
    ...keptDuplicates(job),
    ...(job.retention === undefined ? {} : { retention: retentionSpec(job.retention) }),
    execution: {
      partitions: job.execution.partitions,
      groups: job.execution.groups,
      splitBytes: job.execution.split_bytes,
      maxAttempts: job.execution.max_attempts,
    },
  };
}

function keptDuplicates(job: JobDocument): Pick<JobSpec, "duplicates"> {
  const names = Object.entries(job.sources).flatMap(([name, { duplicates }]) =>
    duplicates === "keep" ? [[name, duplicates] as const] : [],
  );
  return names.length === 0 ? {} : { duplicates: Object.fromEntries(names) };
}
