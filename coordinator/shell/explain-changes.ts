/**
 * `daymill explain --diff`: a job file beside the form of it that the cluster knows. Plans both; the comparison is the
 * core's (coordinator/core/planner/explain-diff.ts).
 */
import type * as wire from "../../shared/adapters/grpc-types.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { jobOnDay, newestDay } from "../../shared/kernel/job-day.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { Day } from "../../shared/kernel/time.ts";
import { diffJobs, diffText, type JobForm } from "../core/planner/explain-diff.ts";
import type { Calls } from "./calls.ts";

/** `day` empty: the newest form. Errors: `unknownJob` where the cluster knows no form of the job. */
export async function explainChanges(
  options: { readonly calls: Calls; readonly planJob: (job: JobSpec) => Promise<JobPlan> },
  given: JobSpec,
  day: Day | "",
  signal: AbortSignal,
): Promise<wire.ExplainReply> {
  const { stamp, result } = await options.calls.question(
    "job",
    { kind: "job", name: given.name },
    signal,
  );
  const on = day === "" ? newestDay : day;
  const planned = async (job: JobSpec): Promise<JobForm> => {
    const onDay = jobOnDay(job, on);
    return { job, onDay, plan: await options.planJob(onDay) };
  };
  const diff = diffJobs(await planned(result.job), await planned(given), on);
  const where = day === "" ? "days from now on" : day;
  return { stamp, text: diffText(diff, where), planJson: JSON.stringify(diff) };
}
