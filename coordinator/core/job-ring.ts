/**
 * What a submitted job wants of other jobs: datasets that there are, and no ring. A job that waits for itself by way of
 * others could never begin a day; one that reads its own rows of the same day so would never be up to date.
 */
import { afterCycle } from "../../shared/kernel/after-cycle.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { historyTables } from "../../shared/kernel/history.ts";
import type { JobSpec, UpstreamSpec } from "../../shared/kernel/job.ts";
import { unknownHistory } from "./history.ts";
import type { CoordinatorState } from "./state.ts";

/** Why a job can't be taken for what it wants of other jobs. */
export function wrongUpstream(state: Jobs, job: JobSpec): Failure | undefined {
  const isAlone = job.after === undefined && historyTables(job).every(({ isOwn }) => isOwn);
  if (isAlone) return undefined;
  const jobs = newestForms(state, job);
  return unknownHistory(job, jobs) ?? ringOfJobs(job, jobs);
}

type Jobs = Pick<CoordinatorState, "durable" | "submissions">;

/** The newest forms of all jobs, those that are being submitted just now among them. */
function newestForms({ durable, submissions }: Jobs, job: JobSpec): ReadonlyMap<string, JobSpec> {
  const jobs = new Map<string, JobSpec>([[job.name, job]]);
  for (const { job: other } of submissions.values()) {
    if (!jobs.has(other.name)) jobs.set(other.name, other);
  }
  for (const [name, digest] of durable.names) {
    const other = durable.jobs.get(digest);
    if (other !== undefined && !jobs.has(name)) jobs.set(name, other);
  }
  return jobs;
}

function ringOfJobs(job: JobSpec, jobs: ReadonlyMap<string, JobSpec>): Failure | undefined {
  const ring = afterCycle(jobs.values());
  if (ring !== undefined) {
    const waits = told(ring, () => "waits for");
    const message =
      `job ${job.name}: after: jobs wait for each other in a ring (${waits}): no day of them ` +
      "could ever begin; take one of these out";
    return failure("jobInvalid", message, { job: job.name, ring: ring.join(" ") });
  }
  const readers = [...jobs.values()].map(({ name, after = [], models }) => ({
    name,
    after: [...after, ...readOnTheDay({ name, models })],
  }));
  const reading = afterCycle(readers);
  if (reading === undefined) return undefined;
  const waits = (name: string, next: string) =>
    jobs.get(name)?.after?.some((one) => one.job === next) === true ? "waits for" : "reads";
  const message =
    `job ${job.name}: history: jobs read each other's rows of the same day in a ring ` +
    `(${told(reading, waits)}): each new revision would put another one out of date, for ever; ` +
    "say own_day: false in one of them";
  return failure("jobInvalid", message, { job: job.name, ring: reading.join(" ") });
}

/** Datasets of other jobs of which rows of the run's own day are read. */
function readOnTheDay(job: Pick<JobSpec, "name" | "models">): readonly UpstreamSpec[] {
  return historyTables(job).flatMap(({ isOwn, ownDay, owner, dataset }) =>
    isOwn || ownDay === false ? [] : [{ job: owner, dataset }],
  );
}

function told(ring: readonly string[], how: (name: string, next: string) => string): string {
  const pairs = ring.slice(1).map((next, index) => [ring[index] ?? "", next] as const);
  return pairs.map(([name, next]) => `${name} ${how(name, next)} ${next}`).join(", ");
}
