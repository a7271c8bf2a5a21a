/** What stories of days that are mapped ahead have in common: a leader ten minutes before a start, files, and what was done. */
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { FileFingerprint, Work } from "../../shared/kernel/work.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

export const minuteMs = 60_000;
export const midnight = Date.parse("2026-01-18T00:00:00Z");
export const day = "2026-01-17";

/** Runs at 01:00 of the next day and catches up one day. */
export const daily = (changes: Partial<JobSpec> = {}) =>
  sampleJob({ schedule: "0 1 * * *", backlogDays: 1, ...changes });

/** Puts files into the day's folder; other days have none. */
export function put(bench: Bench, files: readonly FileFingerprint[]): void {
  for (const other of ["15", "16", "18"]) bench.memory.lookedAt.set(`ipdr|2026-01-${other}`, []);
  bench.memory.lookedAt.set(`ipdr|${day}`, files);
  bench.memory.inputs = files;
}

/** A leader at 00:50, ten minutes before the start, with one executor. */
export function beforeStart(files: readonly FileFingerprint[], job = daily()): Bench {
  const bench = new Bench();
  put(bench, files);
  return lead(bench, 50, job);
}

export function lead(bench: Bench, minute: number, job?: JobSpec): Bench {
  bench.wallFrom = midnight + minute * minuteMs;
  bench.lead();
  bench.attach(1, { slots: 8 });
  if (job !== undefined) bench.register(job);
  return bench;
}

/** Time passes, and everything that is sent is carried out. Gives what was: `map part-0 part-1`, `reduce 0`. */
export function live(bench: Bench, ms: number): string[] {
  return bench.live(ms).map(told);
}

export function told(work: Work): string {
  if (work.kind === "check") return "check";
  if (work.kind === "reduce") return `reduce ${work.group}`;
  const names = work.split.files.map(({ path }) => /part-\d+/.exec(path)?.[0]);
  return `map ${names.join(" ")}`;
}

/** Until the start at 01:00, and two minutes on. */
export const toStart = (bench: Bench) =>
  live(bench, midnight + 62 * minuteMs - (bench.wallFrom + bench.at));

export function said(bench: Bench): string {
  const found = bench.backlog().days.find((one) => one.day === day);
  return `${found?.state}: ${found?.reason}`;
}

export function run(bench: Bench, revision = 1) {
  const found = bench.state.durable.runs.get(`usage.${day}.r${revision}`);
  if (found === undefined) throw new Error(`no run r${revision}`);
  return found;
}

export const manifest = (bench: Bench, revision = 1) =>
  bench.memory.manifests.get(`usage.${day}.r${revision}`);

/** Rows of the committed revision, of all its files. */
export function rows(bench: Bench, revision = 1): string[] {
  const files = manifest(bench, revision)?.datasets.flatMap((one) => one.files) ?? [];
  return files.flatMap(({ path }) => bench.memory.files.get(path) ?? []).sort();
}

/** What a job that maps nothing ahead makes of the same files. */
export function plainRows(files: readonly FileFingerprint[]): string[] {
  const bench = beforeStart(files, daily({ workAhead: false }));
  toStart(bench);
  return rows(bench);
}
