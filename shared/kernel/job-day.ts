/**
 * A job whose sources have had other columns before, as it is for one day. Everything that plans, reads and names the
 * work of a day sees this form only: it has one list of columns, as if the job had never had another.
 */
import { canonicalJson, type Json } from "./canonical.ts";
import type { Column, ColumnsVersion, JobSpec, SourceSpec } from "./job.ts";
import { sha256Hex } from "./sha256.ts";
import type { Day } from "./time.ts";

/**
 * The job with each source's columns as they are on `day`. What files of that day lack and those of other days have is
 * in `absent`: the SQL sees it as NULL, so that the same SQL runs over every day.
 */
export function jobOnDay(job: JobSpec, day: Day): JobSpec {
  if (!job.sources.some(({ versions }) => versions !== undefined)) return job;
  return { ...job, sources: job.sources.map((source) => sourceOnDay(source, day)) };
}

function sourceOnDay({ versions = [], ...source }: SourceSpec, day: Day): SourceSpec {
  const columns = versionOn(versions, day)?.columns ?? versions[0]?.columns ?? source.columns;
  const absent = absentColumns(columns, versions);
  return { ...source, columns, ...(absent.length === 0 ? {} : { absent }) };
}

/** Versions stand in the order of their days. */
function versionOn(versions: readonly ColumnsVersion[], day: Day): ColumnsVersion | undefined {
  return versions.findLast(({ from }) => from === undefined || from <= day);
}

/** Each as its newest version has it, in the order in which the newest versions name them. */
function absentColumns(
  columns: readonly Column[],
  versions: readonly ColumnsVersion[],
): readonly Column[] {
  const seen = new Set(columns.map(({ name }) => name.toLowerCase()));
  const absent: Column[] = [];
  for (const column of versions.toReversed().flatMap((version) => version.columns)) {
    if (seen.has(column.name.toLowerCase())) continue;
    seen.add(column.name.toLowerCase());
    absent.push(column);
  }
  return absent;
}

/** For messages: `from 2026-02-01 on`. */
export function versionText({ from }: ColumnsVersion): string {
  return from === undefined ? "of the first days" : `from ${from} on`;
}

/** What SQL sees of a source: the columns of its files, then those that they lack. */
export function tableColumns({ columns, absent = [] }: SourceSpec): readonly Column[] {
  return [...columns, ...absent];
}

/** A source whose columns nobody has told for `day`, and the first day for which they are told. */
export function untoldColumns(
  job: JobSpec,
  day: Day,
): { readonly source: string; readonly from: Day } | undefined {
  for (const { name, versions = [] } of job.sources) {
    const from = versions[0]?.from;
    if (from !== undefined && day < from) return { source: name, from };
  }
  return undefined;
}

/** One day for each form that the job has, oldest first: of a job without versions none. */
export function daysOfForms(job: JobSpec): readonly Day[] {
  const begins = job.sources.flatMap(({ versions = [] }) => versions.map(({ from }) => from ?? ""));
  const days = [...new Set(begins)].sort();
  // Before the first day that is told for every source there is no form.
  const first =
    job.sources
      .map(({ versions = [] }) => versions[0]?.from ?? "")
      .sort()
      .at(-1) ?? "";
  return days.filter((day) => day >= first).map((day) => (day === "" ? firstDay : day));
}

/** Earlier than any data. */
export const firstDay: Day = "0001-01-01";

/** Later than any version: gives the newest form of a job. */
export const newestDay: Day = "9999-12-31";

/**
 * Names what of a job decides the rows of a day's datasets: two forms of a job with the same name for a day make the same
 * datasets from the same files. When a day starts, what it waits for, its checks and how it is cut are not in it, nor are
 * columns that only other days have: SQL that begins to read one is other SQL.
 */
export function definitionOf(job: JobSpec, day: Day): string {
  const known = definitions.get(job) ?? new Map<Day, string>();
  definitions.set(job, known);
  const text = known.get(day) ?? definitionText(job, day);
  known.set(day, text);
  return text;
}

/** A desk asks again and again, for the days of its window. */
const definitions = new WeakMap<JobSpec, Map<Day, string>>();

function definitionText(job: JobSpec, day: Day): string {
  const { name, timezone, sources, dimensions, models, duplicates } = jobOnDay(job, day);
  const read = sources.map(({ absent, rejectsMaxShare, allowEmptyFiles, ...source }) => source);
  const texts = models.map(({ name: model, sql, history }) => ({
    name: model,
    sql,
    ...(history === undefined ? {} : { history }),
  }));
  const counted = duplicates === undefined ? {} : { duplicates };
  const definition = { name, timezone, sources: read, dimensions, models: texts, ...counted };
  // Interfaces of JSON-only members are JSON; the type system has no way to say so.
  return sha256Hex(canonicalJson(definition as unknown as Json));
}
