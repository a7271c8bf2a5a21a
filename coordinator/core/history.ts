/**
 * Runs whose models read several days of a dataset: which revisions a run reads is fixed when it begins, as a fact, and
 * what it was made from is compared with what those days are now. A day's dataset may be made again with the same rows,
 * for another dataset of the job had to be: then nothing that depends on it is out of date, so each dataset has the
 * revision *since* which its rows are what they are.
 */
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import {
  daysRead,
  type HistoryPin,
  historyTables,
  scannedDays,
} from "../../shared/kernel/history.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { definitionOf } from "../../shared/kernel/job-day.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { nearestName } from "../../shared/kernel/nearest.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { DatasetRows, DayMade } from "./days/day.ts";
import { type DayRecord, type Durable, dayKey, type Run } from "./durable.ts";

/** What a run of this plan would read now. */
export function historyNow(
  durable: Durable,
  { day: own, plan: { history = [] } }: Pick<Run, "day" | "plan">,
): readonly HistoryPin[] {
  return history.map(({ table, job, dataset, ...span }) => {
    const days = daysRead(own, span).map((day) => ({
      day,
      ...revisionOf(durable, job, dataset, day),
    }));
    return { table, job, dataset, days };
  });
}

/** What of a dataset's day is committed. */
function revisionOf(durable: Durable, job: string, dataset: string, day: Day) {
  const record = durable.days.get(dayKey(job, day));
  if (record === undefined || record.committed === 0 || !record.datasets.includes(dataset)) {
    return { revision: 0, since: 0 };
  }
  return { revision: record.committed, since: sinceOf(record, dataset) };
}

/** The revision that made the rows which readers see of a dataset: a run of some models carries the others over. */
export function madeIn({ committed, shown = [] }: DayRecord, dataset: string): number {
  const now = shown.find(({ revision }) => revision === committed);
  return now?.datasets[dataset] ?? committed;
}

/** The revision since which the rows of a day's dataset are what they are; where that is not known the one that made them. */
function sinceOf(record: DayRecord, dataset: string): number {
  return wholeRows(record, dataset)?.since ?? madeIn(record, dataset);
}

/** What the rows that readers see follow from, where the day's last whole run made them. */
function wholeRows(record: DayRecord, dataset: string): DatasetRows | undefined {
  const { made } = record;
  return made?.revision === madeIn(record, dataset) ? made.rows?.[dataset] : undefined;
}

/** A day of a dataset that a job's day reads, by the name that `DayMade.upstream` knows it by. */
export interface HistoryDay {
  readonly name: string;
  readonly job: string;
  readonly day: Day;
  readonly since: number;
}

/** All that a day of a job reads, oldest first, as it is now. */
export function historyDays(durable: Durable, job: JobSpec, day: Day): readonly HistoryDay[] {
  const found = historyTables(job).flatMap((table) =>
    daysRead(day, scannedDays(table)).map((one) => {
      const { owner, dataset } = table;
      const { since } = revisionOf(durable, owner, dataset, one);
      return { name: historyName(owner, dataset, one), job: owner, day: one, since };
    }),
  );
  return found.sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0));
}

function historyName(job: string, dataset: string, day: Day): string {
  return `${job}/${dataset} of ${day}`;
}

/** What a run was made from, as `DayMade.upstream` has it. */
export function pinnedUpstream({ history = [] }: Run): Readonly<Record<string, number>> {
  const entries = history.flatMap(({ job, dataset, days }) =>
    days.map(({ day, since }) => [historyName(job, dataset, day), since] as const),
  );
  return Object.fromEntries(entries);
}

/** Days that there was nothing of, for people: one line for each table. */
export function missingDays(pins: readonly HistoryPin[]): readonly string[] {
  return pins.flatMap(({ job, dataset, days }) => {
    const missing = days.filter(({ revision }) => revision === 0).map(({ day }) => day);
    if (missing.length === 0) return [];
    const named = missing.slice(0, limits.historyDaysNamedMax).join(", ");
    const more = missing.length - limits.historyDaysNamedMax;
    const rest = more > 0 ? ` and ${more} more` : "";
    return [`${job}/${dataset} had no revision of ${named}${rest}: made without`];
  });
}

/**
 * By dataset what its rows were made from, and since when that is so. Part of `fold`. Without the digests of the input
 * nothing is known, and each dataset counts as new.
 */
export function rowsOf(
  day: DayRecord,
  run: Run,
  job: JobSpec | undefined,
): Readonly<Record<string, DatasetRows>> | undefined {
  const { digests, revision, plan, history = [] } = run;
  if (job === undefined || digests === undefined) return undefined;
  // The fact that pinned it is lost with a part of the journal.
  if (plan.history !== undefined && run.history === undefined) return undefined;
  const common = {
    definition: definitionOf(job, run.day),
    duckdb: run.duckdb,
    digests,
    dimensions: [...run.dimensions].map(([name, file]) => ({ name, file })),
  };
  const entries = plan.datasets.map(({ model, history: tables = [] }) => {
    const read = history.filter(({ table }) => tables.includes(table));
    const days = read.map(({ table, days: pinned }) => ({
      table,
      days: pinned.map(({ day, since }) => ({ day, since })),
    }));
    const from = sha256Hex(canonicalJson({ ...common, days } as unknown as Json)).slice(0, 16);
    // Of what readers saw until now, if that is known.
    const before = wholeRows(day, model);
    const since = before?.from === from ? before.since : revision;
    return [model, { from, since }] as const;
  });
  return Object.fromEntries(entries);
}

/** Is what the last commit of a day was made from another now? The oldest such day of those that it reads. */
export function movedDay(
  made: Pick<DayMade, "upstream">,
  days: readonly HistoryDay[],
): HistoryDay | undefined {
  return days.find(({ name, since }) => since > (made.upstream[name] ?? since));
}

/** A job whose models name what nobody makes. `others`: the newest forms of all jobs that are known. */
export function unknownHistory(
  job: JobSpec,
  others: ReadonlyMap<string, JobSpec>,
): Failure | undefined {
  for (const { name, history = [] } of job.models) {
    for (const { dataset, job: owner } of history) {
      if (owner === undefined) continue;
      const field = `models.${name}.history.${dataset}`;
      const other = others.get(owner);
      const known = other?.models.map((model) => model.name) ?? [];
      if (known.includes(dataset)) continue;
      const near = nearestName(
        other === undefined ? owner : dataset,
        other === undefined ? [...others.keys()] : known,
      );
      const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
      const message =
        other === undefined
          ? `${field}.job: no job ${owner} is known${hint}; submit its file first, or correct the name`
          : `${field}: job ${owner} makes no dataset ${dataset}${hint}; correct the name, or submit the form of ${owner} that makes it first`;
      const at = other === undefined ? `${field}.job` : field;
      return failure("jobInvalid", `job ${job.name}: ${message}`, { job: job.name, field: at });
    }
  }
  return undefined;
}
