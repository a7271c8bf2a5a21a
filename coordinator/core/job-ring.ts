/** A submitted job that would wait for itself, by way of what other jobs wait for: no day of them could ever begin. */
import { afterCycle } from "../../shared/kernel/after-cycle.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { CoordinatorState } from "./state.ts";

/** Over the newest forms of all jobs, those that are being submitted just now among them. */
export function ringOfJobs(
  { durable, submissions }: Pick<CoordinatorState, "durable" | "submissions">,
  job: JobSpec,
): Failure | undefined {
  if (job.after === undefined) return undefined;
  const jobs = new Map<string, JobSpec>([[job.name, job]]);
  for (const { job: other } of submissions.values()) {
    if (!jobs.has(other.name)) jobs.set(other.name, other);
  }
  for (const [name, digest] of durable.names) {
    const other = durable.jobs.get(digest);
    if (other !== undefined && !jobs.has(name)) jobs.set(name, other);
  }
  const ring = afterCycle(jobs.values());
  if (ring === undefined) return undefined;
  const waits = ring.slice(1).map((next, index) => `${ring[index]} waits for ${next}`);
  const message =
    `job ${job.name}: after: jobs wait for each other in a ring (${waits.join(", ")}): no day of them ` +
    "could ever begin; take one of these out";
  return failure("jobInvalid", message, { job: job.name, ring: ring.join(" ") });
}
