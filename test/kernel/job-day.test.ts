/** A job whose source had other columns before, in the form of single days. */
import { expect, test } from "vitest";
import type { Column, ColumnsVersion, JobSpec } from "../../shared/kernel/job.ts";
import {
  daysOfForms,
  definitionOf,
  jobOnDay,
  newestDay,
  tableColumns,
  untoldColumns,
} from "../../shared/kernel/job-day.ts";
import { sampleJob } from "../sim/sample-job.ts";

/** `id INTEGER, note VARCHAR` */
function columns(text: string): readonly Column[] {
  return text.split(", ").map((part) => {
    const [name = "", type = ""] = part.split(" ");
    return { name, type };
  });
}

function version(from: string | undefined, text: string): ColumnsVersion {
  return from === undefined ? { columns: columns(text) } : { from, columns: columns(text) };
}

function jobWith(...versions: readonly ColumnsVersion[]): JobSpec {
  const [source] = sampleJob().sources;
  if (source === undefined) throw new Error("the sample has a source");
  const newest = versions.at(-1)?.columns ?? [];
  return sampleJob({ sources: [{ ...source, columns: newest, versions }] });
}

function shown(list: readonly Column[] | undefined): string {
  return (list ?? []).map(({ name, type }) => `${name} ${type}`).join(", ");
}

const three = jobWith(
  version(undefined, "id INTEGER, old VARCHAR, kept BIGINT"),
  version("2026-02-01", "id BIGINT, kept BIGINT, added DATE"),
  version("2026-03-01", "id BIGINT, Added TIMESTAMP, kept BIGINT, last DOUBLE"),
);

test.each([
  ["2026-01-31", "id INTEGER, old VARCHAR, kept BIGINT", "Added TIMESTAMP, last DOUBLE"],
  ["2026-02-01", "id BIGINT, kept BIGINT, added DATE", "last DOUBLE, old VARCHAR"],
  ["2026-02-28", "id BIGINT, kept BIGINT, added DATE", "last DOUBLE, old VARCHAR"],
  ["2026-03-01", "id BIGINT, Added TIMESTAMP, kept BIGINT, last DOUBLE", "old VARCHAR"],
  [newestDay, "id BIGINT, Added TIMESTAMP, kept BIGINT, last DOUBLE", "old VARCHAR"],
])("on %s files have %s; absent are %s", (day, present, absent) => {
  const [source] = jobOnDay(three, day).sources;
  expect([shown(source?.columns), shown(source?.absent)]).toEqual([present, absent]);
  expect(source).not.toHaveProperty("versions");
  expect(source && shown(tableColumns(source))).toBe(`${present}, ${absent}`);
});

test("the form of a day is what a job would be that had never had another", () => {
  const first = version(undefined, "msisdn BIGINT, bytes BIGINT");
  const more = version("2026-02-01", "msisdn BIGINT, bytes BIGINT, app INTEGER");
  const onlyMore = jobWith(more);
  const { versions, ...source } = onlyMore.sources[0] ?? three.sources[0] ?? never();
  expect(versions).toHaveLength(1);
  expect(jobOnDay(jobWith(first, more), "2026-02-01")).toEqual(sampleJob({ sources: [source] }));
  const plain = sampleJob();
  expect(jobOnDay(plain, "2026-02-01")).toBe(plain);
});

function never(): never {
  throw new Error("the sample has a source");
}

test("days before the first version that says a day are told by nobody", () => {
  const job = jobWith(version("2026-01-10", "id INTEGER"), version("2026-02-01", "id BIGINT"));
  expect(untoldColumns(job, "2026-01-09")).toEqual({ source: "ipdr", from: "2026-01-10" });
  expect(untoldColumns(job, "2026-01-10")).toBeUndefined();
  expect(untoldColumns(three, "1999-01-01")).toBeUndefined();
});

test("one day for each form of the job, over all its sources", () => {
  expect(daysOfForms(sampleJob())).toEqual([]);
  expect(daysOfForms(three)).toEqual(["0001-01-01", "2026-02-01", "2026-03-01"]);
  const [late] = jobWith(
    version("2026-02-10", "id INTEGER"),
    version("2026-04-01", "id BIGINT"),
  ).sources;
  const both = { ...three, sources: [...three.sources, ...(late ? [{ ...late, name: "b" }] : [])] };
  // Before the 10th of February nobody tells what `b` has.
  expect(daysOfForms(both)).toEqual(["2026-02-10", "2026-03-01", "2026-04-01"]);
});

test("a day's definition changes with what its rows depend on, and with nothing else", () => {
  const first = version(undefined, "msisdn BIGINT, bytes BIGINT");
  const job = jobWith(first, version("2026-02-01", "msisdn BIGINT, bytes BIGINT, app INTEGER"));
  const [january, february] = ["2026-01-31", "2026-02-01"];
  const of = (changed: Partial<JobSpec>, day = january) =>
    definitionOf({ ...job, ...changed }, day);
  const same = of({});
  const [source] = job.sources;
  if (source === undefined) throw new Error("the sample has a source");
  const others: readonly Partial<JobSpec>[] = [
    { schedule: "0 1 * * *", finishBy: "06:00", after: [{ job: "a", dataset: "b" }] },
    { checks: [], backlogDays: 30, execution: { ...job.execution, partitions: 64 } },
    { sources: [{ ...source, rejectsMaxShare: 0.5, allowEmptyFiles: true }] },
    { models: job.models.map((model) => ({ ...model, file: "elsewhere.sql" })) },
    // A plain job with the columns that January has.
    { sources: sampleJob().sources },
  ];
  for (const changed of others) expect(of(changed), JSON.stringify(changed)).toBe(same);
  const differs: readonly Partial<JobSpec>[] = [
    { timezone: "Asia/Kolkata" },
    { models: job.models.map((model) => ({ ...model, sql: "SELECT 2" })) },
    { sources: [{ ...source, path: "other/{day}/*.csv" }] },
    { duplicates: { [source.name]: "keep" } },
    { sources: [{ ...source, versions: [version(undefined, "msisdn BIGINT, bytes DOUBLE")] }] },
  ];
  for (const changed of differs) expect(of(changed), JSON.stringify(changed)).not.toBe(same);
  expect(of({}, february)).not.toBe(same);
});
