/** Jobs as the desk sees them: the newest form of each, and which of them run by themselves. */
import { failure } from "../../../shared/kernel/failure.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import type { Durable } from "../durable.ts";

export interface NamedJob {
  readonly spec: JobSpec;
  readonly digest: string;
}

export function jobNamed(durable: Durable, name: string): NamedJob | undefined {
  const digest = durable.names.get(name);
  const spec = durable.jobs.get(digest ?? "");
  return digest === undefined || spec === undefined ? undefined : { spec, digest };
}

/** In the order in which the cluster came to know them. */
export function scheduledJobs(durable: Durable): NamedJob[] {
  return [...durable.names.keys()].flatMap((name) => {
    const job = jobNamed(durable, name);
    return job?.spec.schedule === undefined ? [] : [job];
  });
}

/** For callers that name a job that runs on command only. */
export function notScheduled(job: string) {
  return failure(
    "badRequest",
    `job ${job} has no schedule: its days run when they are submitted (daymill submit)`,
    { job },
  );
}
