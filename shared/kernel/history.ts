/**
 * Models that read several days of a dataset: the table that the SQL sees, the days that it holds, and the revisions of
 * those days that a run is pinned to. Plain values; who makes and judges them is in coordinator/core.
 */
import type { Column, HistorySpec, JobSpec, SourceSpec } from "./job.ts";
import { plainCsv } from "./job.ts";
import type { HistoryPlan, JobPlan } from "./plan.ts";
import { type Day, daysBefore } from "./time.ts";

/** The column of a history table that says of which day a row is. */
export const dayColumn: Column = { name: "day", type: "DATE" };

/** A dataset of which some model of a job reads several days. */
export interface HistoryTable extends HistorySpec {
  /** Whose it is. */
  readonly owner: string;
  readonly isOwn: boolean;
  /** What the SQL calls it. */
  readonly table: string;
  /** The part of it that is read from earlier revisions: the same, unless the run's own rows come to it. */
  readonly scanned: string;
  /** Its last day is the run's own, and made by the run itself. */
  readonly isJoined: boolean;
}

/** What the SQL calls days of a dataset. */
export function historyTable(dataset: string): string {
  return `${dataset}_history`;
}

/** The part of `<dataset>_history` that lies on storage when the run makes the rest of it. */
export function earlierTable(dataset: string): string {
  return `${dataset}_earlier`;
}

/** Each dataset once: models of a job that read days of the same one read the same days (job-history.ts). */
export function historyTables(job: Pick<JobSpec, "name" | "models">): readonly HistoryTable[] {
  const found = new Map<string, HistoryTable>();
  for (const spec of job.models.flatMap(({ history = [] }) => history)) {
    const { dataset, job: owner = job.name, ownDay } = spec;
    if (found.has(dataset)) continue;
    const isOwn = owner === job.name;
    const isJoined = isOwn && ownDay !== false;
    const table = historyTable(dataset);
    const scanned = isJoined ? earlierTable(dataset) : table;
    found.set(dataset, { ...spec, owner, isOwn, table, scanned, isJoined });
  }
  return [...found.values()];
}

/** Which days of the dataset are scanned, as days before the run's own. */
export function scannedDays({
  days,
  ownDay,
  isJoined,
}: Pick<HistoryTable, "days" | "ownDay" | "isJoined">): Pick<HistoryPlan, "first" | "last"> {
  if (ownDay === false) return { first: days, last: 1 };
  return { first: days - 1, last: isJoined ? 1 : 0 };
}

/** Oldest first. */
export function daysRead(day: Day, { first, last }: Pick<HistoryPlan, "first" | "last">): Day[] {
  const count = Math.max(0, first - last + 1);
  return Array.from({ length: count }, (_, index) => daysBefore(day, first - index));
}

/** The days of one table as a run reads them: fixed when it is created, whatever is committed after that. */
export interface HistoryPin {
  readonly table: string;
  readonly job: string;
  readonly dataset: string;
  /** Oldest first. */
  readonly days: readonly PinnedDay[];
}

export interface PinnedDay {
  readonly day: Day;
  /** The committed revision; 0: there was none with this dataset, and the run does without the day. */
  readonly revision: number;
  /** The revision since which the dataset's rows are what they are; 0 as above. */
  readonly since: number;
}

/** What a run of this plan sees of the job: the days that it scans are sources like others. */
export function withHistory(job: JobSpec, plan: Pick<JobPlan, "history">): JobSpec {
  const { history = [] } = plan;
  if (history.length === 0) return job;
  const tables = history.map(
    (one): SourceSpec => ({
      name: one.table,
      path: "",
      format: "parquet",
      columns: one.columns,
      csv: plainCsv,
      rejectsMaxShare: 0,
      history: { isOwn: one.job === job.name },
      allowEmptyFiles: true,
    }),
  );
  // Days that happen to have the same rows are days nonetheless.
  const kept = Object.fromEntries(history.map(({ table }) => [table, "keep"] as const));
  return {
    ...job,
    sources: [...job.sources, ...tables],
    duplicates: { ...job.duplicates, ...kept },
  };
}
