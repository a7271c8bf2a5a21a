/** Why a submit can't be done, as far as that is known at once: before anything is planned or promised. Pure. */
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { selectionProblem } from "../../shared/kernel/selection.ts";
import { isDay } from "../../shared/kernel/time.ts";
import { type Durable, dayKey, liveRuns, type Run } from "./durable.ts";
import { untoldDay } from "./job-forms.ts";
import type { ClientMessage } from "./protocol.ts";
import { nothingToCarry } from "./selection.ts";
import type { Submission } from "./state.ts";

type Submit = Extract<ClientMessage, { kind: "submit" }>;

export function malformed({ day, requestId, job, by = "" }: Submit): Failure | undefined {
  if (day === "" && typeof job !== "string") {
    if (job.schedule !== undefined) return undefined;
    const text = `job ${job.name} has no schedule: name the day to run, or give it a schedule`;
    return failure("badRequest", text, { job: job.name });
  }
  if (!isDay(day)) {
    return failure("badRequest", `day ${JSON.stringify(day)} is not a date; write YYYY-MM-DD`);
  }
  const { requestIdCharactersMax: idMost, byCharactersMax: byMost } = limits;
  if (requestId === "" || requestId.length > idMost) {
    return failure("badRequest", `a submit needs a request id of 1 to ${idMost} characters`);
  }
  if (by.length > byMost) {
    return failure("badRequest", `whoever submits is named in at most ${byMost} characters`);
  }
  return undefined;
}

/** Models that are selected and that the job does not have. */
export function wrongModels({ models }: JobSpec, { select, day }: Submit): Failure | undefined {
  if (select === undefined) return undefined;
  if (day === "") return failure("badRequest", "a run of some models needs the day to run");
  return selectionProblem(
    select,
    models.map(({ name }) => name),
  );
}

export function closedDay(
  durable: Durable,
  job: JobSpec,
  { day, rerun, select }: Submit,
  pending: number,
): Failure | undefined {
  const untold = untoldDay(job, day);
  if (untold !== undefined) return untold;
  const committed = durable.days.get(dayKey(job.name, day))?.committed ?? 0;
  if (select !== undefined && committed === 0) return nothingToCarry(job, day);
  if (committed > 0 && !rerun && select === undefined) {
    return failure(
      "conflict",
      `day ${day} of job ${job.name} is committed already as revision ${committed}; ` +
        "submit with --rerun to make a new revision",
      { job: job.name, day, revision: committed },
    );
  }
  if (liveRuns(durable).length + pending >= limits.runsLiveMax) {
    return failure(
      "limitExceeded",
      `${limits.runsLiveMax} runs are live, which is the most; submit again when one has ended`,
    );
  }
  return undefined;
}

/** A run of the day is under way, and it is not the one that is asked for. */
export function otherModels(live: Run, select: Submit["select"]): Failure | undefined {
  const about = { run: live.id };
  if (select !== undefined) {
    const text = `run ${live.id} is under way: submit some models of the day when it has ended`;
    return failure("conflict", text, about);
  }
  if (live.select === undefined) return undefined;
  const models = live.select.join(", ");
  const text = `run ${live.id} makes only ${models}: submit the whole day when it has ended`;
  return failure("conflict", text, about);
}

/** Why a submit can't be content with the run that is just being planned for its day. */
export function joinProblem(
  same: Submission,
  { name }: JobSpec,
  digest: string,
  select: Submit["select"],
): Failure | undefined {
  const { day } = same;
  if (select !== undefined || same.select !== undefined) {
    const text = `a run of job ${name} for ${day} is just being planned: submit other models of the day when it has ended`;
    return failure("conflict", text, { job: name, day });
  }
  // A day that is mapped ahead is nobody's wish yet: the run would have the form of the job that nobody wants any more.
  if (same.lane !== "ahead" || same.digest === digest) return undefined;
  const text = `work ahead for ${day} is just being planned from another form of job ${name}; submit again in a moment`;
  return failure("unavailable", text, { job: name, day });
}

/** What its run will make. */
export function datasetsOf({ plan }: Submission): readonly string[] {
  return plan?.datasets.map((dataset) => dataset.model) ?? [];
}

/** What committed runs show is seen on storage; what live ones will show only here. */
export function takenDataset(durable: Durable, submission: Submission): Failure | undefined {
  const { job, day } = submission;
  const wanted = datasetsOf(submission);
  for (const run of liveRuns(durable)) {
    if (run.job === job.name || run.day !== day) continue;
    const shared = run.plan.datasets.find(({ model }) => wanted.includes(model));
    if (shared === undefined) continue;
    const dataset = shared.model;
    return failure(
      "conflict",
      `dataset ${dataset} of ${day} is being made by job ${run.job} (run ${run.id}): rename the model ` +
        `${dataset} of job ${job.name}, or cancel that run`,
      { job: job.name, owner: run.job, dataset, day },
    );
  }
  return undefined;
}
