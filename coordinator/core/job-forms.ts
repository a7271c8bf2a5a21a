/** A submitted job's forms, where the columns of its sources have versions: which one a day has, and that all are sound. */
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { daysOfForms, jobOnDay, newestDay, untoldColumns } from "../../shared/kernel/job-day.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { Submission } from "./state.ts";
import { ask, type Turn } from "./turn.ts";

/**
 * A submission begins with the plan of its day's form; with no day of the newest. Of a job that nobody knows yet every
 * other form is planned as well: each has to hold.
 */
export function askForPlan(turn: Turn, key: string, submission: Submission): void {
  const { durable, submissions } = turn.state;
  const { job, digest, day } = submission;
  submissions.set(key, submission);
  const others = durable.jobs.has(digest) ? [] : daysOfForms(job);
  ask(
    turn,
    {
      kind: "planJob",
      job: jobOnDay(job, day === "" ? newestDay : day),
      ...(others.length === 0
        ? {}
        : { others: others.map((from) => ({ from, job: jobOnDay(job, from) })) }),
    },
    { kind: "submission", key },
  );
}

/** Why a day can't be made: nobody has told what columns its files have. */
export function untoldDay(job: JobSpec, day: Day): Failure | undefined {
  const untold = untoldColumns(job, day);
  if (untold === undefined) return undefined;
  const { source, from } = untold;
  return failure(
    "badRequest",
    `the columns of source ${source} are told from ${from} on, not for ${day}: add the version of ` +
      "the days before to the job file, or begin with a later day",
    { job: job.name, day, source },
  );
}
