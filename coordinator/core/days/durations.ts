/** How long runs of a job take, from those that are remembered. */
import type { Run } from "../durable.ts";

/** Runs that count: the last ones that committed. */
const measuredRuns = 7;

/** Median of the last runs of the job that committed, milliseconds; 0 = none did. */
export function usualRunMs(runs: Iterable<Run>, job: string): number {
  const durations: number[] = [];
  for (const { job: of, ended, select } of runs) {
    // One of some models says nothing of a day.
    if (of === job && select === undefined && ended?.state === "committed")
      durations.push(ended.endedMs - ended.createdMs);
  }
  const last = durations.slice(-measuredRuns).sort((a, b) => a - b);
  return last[Math.floor(last.length / 2)] ?? 0;
}
