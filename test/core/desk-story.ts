/** A scheduled job on a bench, in the night before its days are due: what desk tests are told with. */
import type { JobSpec } from "../../shared/kernel/job.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

export const hourMs = 3_600_000;
export const midnight = Date.parse("2026-01-18T00:00:00Z");

/** A daily job at 01:00 UTC that catches up two days. */
export const daily = (changes: Partial<JobSpec> = {}) =>
  sampleJob({ schedule: "0 1 * * *", backlogDays: 2, ...changes });

/** A leader at 00:59 of 18 January with one executor, and what it knows of the job. */
export function atNight(job = daily(), bench = new Bench()): Bench {
  bench.wallFrom = midnight + hourMs - 60_000;
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.register(job);
  return bench;
}

/** `day state: reason → next`, newest first. */
export function grid(bench: Bench): string[] {
  return bench
    .backlog()
    .days.map(
      ({ day, state, reason, next }) =>
        `${day} ${state}: ${reason}${next === "" ? "" : ` → ${next}`}`,
    );
}

export function stateOf(bench: Bench, day: string): string {
  return bench.backlog().days.find((one) => one.day === day)?.state ?? "unknown";
}

export const committed = (bench: Bench) =>
  [...bench.memory.manifests.values()]
    .filter(({ state }) => state === "committed")
    .map(({ run }) => run);
