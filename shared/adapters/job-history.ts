/**
 * What a job file says about models that read several days of a dataset. Pure: parsed YAML in, `HistorySpec`s out.
 * What only the SQL tells (is the table read at all?) is the planner's business.
 */
import { z } from "zod";
import { dayColumn, earlierTable, historyTable } from "../kernel/history.ts";
import { type HistorySpec, isSameColumns, type ModelSpec } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import { columns, didYouMean, jobName, object, tableName, tableNameProblem } from "./job-fields.ts";

const days = z.int().min(1).max(limits.historyDaysMax);

const whole = object({
  days,
  job: jobName.optional(),
  own_day: z.boolean().default(true),
  columns: columns.optional(),
});

/** By dataset: a number of days, or what else there is to say. */
export const history = z
  .record(
    tableName,
    z.preprocess(
      (value) => (typeof value === "object" && value !== null ? value : { days: value }),
      whole,
    ),
  )
  .default({});

type History = z.output<typeof history>;

interface Job {
  readonly name: string;
  readonly sources: Readonly<Record<string, unknown>>;
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly models: Readonly<Record<string, { readonly history: History }>>;
}

type Refuse = (message: string, path: (string | number)[]) => void;

/** Rules between these fields and the rest of the file. */
export function refuseHistory(job: Job, refuse: Refuse): void {
  const models = Object.keys(job.models);
  const taken = new Set([...models, ...Object.keys(job.sources), ...Object.keys(job.dimensions)]);
  const first = new Map<string, { readonly model: string; readonly spec: HistorySpec }>();
  for (const [model, { history: read }] of Object.entries(job.models)) {
    for (const spec of historySpecs(read)) {
      const path = ["models", model, "history", spec.dataset];
      for (const { message, at = [] } of problemsOf(job, model, spec)) {
        refuse(message, [...path, ...at]);
      }
      for (const table of [historyTable(spec.dataset), earlierTable(spec.dataset)]) {
        if (taken.has(table)) refuse(`the days go by the name ${table}, which is taken`, path);
        const problem = tableNameProblem(table);
        if (problem !== undefined) refuse(`the days go by the name ${table}: ${problem}`, path);
      }
      const other = first.get(spec.dataset);
      if (other === undefined) first.set(spec.dataset, { model, spec });
      else if (!isSame(spec, other.spec)) {
        const text = `model ${other.model} says something else of ${spec.dataset}: models of a job read the same days of a dataset; say the longer time in both, and choose by the column day`;
        refuse(text, path);
      }
    }
  }
  if (first.size > limits.historyTablesPerJobMax) {
    refuse(`models read days of at most ${limits.historyTablesPerJobMax} datasets`, ["models"]);
  }
}

interface Problem {
  readonly message: string;
  /** Below the dataset's key. */
  readonly at?: readonly string[];
}

function problemsOf(job: Job, model: string, spec: HistorySpec): readonly Problem[] {
  const problems: Problem[] = [];
  const { dataset, job: owner, ownDay, columns: given = [] } = spec;
  const models = Object.keys(job.models);
  if (owner === job.name) {
    problems.push({ message: "is this job: leave it out", at: ["job"] });
  } else if (owner === undefined && !models.includes(dataset)) {
    const hint = didYouMean(dataset, models) || "; of another job's dataset say job, too";
    problems.push({ message: `no model ${dataset} in this job${hint}` });
  }
  if (owner !== undefined && given.length === 0) {
    const message = `say the columns of ${dataset}, too: they are another job's`;
    problems.push({ message, at: ["columns"] });
  }
  if (given.some(({ name }) => name.toLowerCase() === dayColumn.name)) {
    const message = `${historyTable(dataset)} has a column day, the day of the row: a dataset can't have one, too`;
    problems.push({ message, at: ["columns"] });
  }
  if (owner !== undefined || ownDay === false) return problems;
  if (dataset === model) {
    const message =
      "the last day would be the run's own, and the model would read itself on the same day; say own_day: false to read the days before it";
    problems.push({ message });
  } else if (spec.days === 1) {
    const message = `1 day is the run's own, which is ${dataset} itself; say 2 or more, or own_day: false for the day before`;
    problems.push({ message });
  }
  return problems;
}

function isSame(one: HistorySpec, other: HistorySpec): boolean {
  const isLike = one.days === other.days && one.job === other.job && one.ownDay === other.ownDay;
  return isLike && isSameColumns(one.columns ?? [], other.columns ?? []);
}

function historySpecs(read: History): HistorySpec[] {
  return Object.entries(read).map(
    ([dataset, { days: count, job, own_day: ownDay, columns: given }]) => ({
      dataset,
      days: count,
      ...(job === undefined ? {} : { job }),
      ...(ownDay ? {} : { ownDay: false as const }),
      ...(given === undefined ? {} : { columns: given }),
    }),
  );
}

/** Of one model; nothing where it reads its own day only. */
export function modelHistory(read: History): Pick<ModelSpec, "history"> {
  const specs = historySpecs(read);
  return specs.length === 0 ? {} : { history: specs };
}
