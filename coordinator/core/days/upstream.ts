/** The days of other jobs that a job's day waits for. */
import type { JobSpec } from "../../../shared/kernel/job.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import type { Durable } from "../durable.ts";
import { madeIn } from "../history.ts";
import { recordOf } from "./fold-days.ts";
import type { UpstreamDay } from "./judge.ts";

export function upstreamOf(durable: Durable, { after = [] }: JobSpec, day: Day): UpstreamDay[] {
  return after.map(({ job, dataset }) => {
    const other = recordOf(durable, job, day);
    // A dataset that a later run of the day carried over is not a new one.
    const revision = other?.datasets.includes(dataset) === true ? madeIn(other, dataset) : 0;
    return { name: `${job}/${dataset}`, revision };
  });
}
