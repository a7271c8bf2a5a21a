/**
 * Plans a job with the help of the SQL engine: asks the pure planner, carries its questions to the binder, and asks
 * again until there is a plan. Decides nothing itself.
 */

import { DaymillError, fail, fromUnknown } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { firstDay } from "../../shared/kernel/job-day.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { SqlAnswer } from "../../shared/kernel/sql-question.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { SqlBinder } from "../../shared/ports.ts";
import { planJob, questionKey } from "../core/planner/plan-job.ts";

/** The plan, or a `DaymillError` (`jobInvalid`, `sqlRefused`, `pathForbidden`) that names model file and line. */
export async function planWithBinder(job: JobSpec, binder: SqlBinder): Promise<JobPlan> {
  const answers = new Map<string, SqlAnswer>();
  for (let round = 0; round < limits.planningRoundsMax; round += 1) {
    const planning = planJob(job, answers);
    switch (planning.kind) {
      case "planned":
        return planning.plan;
      case "refused":
        throw new DaymillError(planning.failure);
      case "need":
        for (const question of planning.questions) {
          answers.set(questionKey(question), await binder.ask(question));
        }
    }
  }
  throw fail(
    "internal",
    `planning of job ${job.name} asked questions for ${limits.planningRoundsMax} rounds without an end`,
  );
}

/** The plan of `job`, when the other forms of it have plans, too. Errors: as above, of another form with its day. */
export async function planForms(
  job: JobSpec,
  others: readonly { readonly from: Day; readonly job: JobSpec }[],
  planOne: (job: JobSpec) => Promise<JobPlan>,
): Promise<JobPlan> {
  const plan = await planOne(job);
  for (const { from, job: other } of others) {
    try {
      await planOne(other);
    } catch (error) {
      const { code, message, detail } = fromUnknown(error);
      const columns = from === firstDay ? "the first columns" : `the columns from ${from} on`;
      throw fail(code, `${message} (with ${columns}: the SQL has to hold for all)`, detail, error);
    }
  }
  return plan;
}
