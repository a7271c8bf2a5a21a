/**
 * From `submit` to a created run: who asked before, is the day live or done, does the SQL plan; nothing is started
 * before all of that is known. The same request gives the same run, and a live (job, day) gives the live run.
 */
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import { classOf, type Failure, failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { isMoreUrgent, type Lane } from "../../shared/kernel/lane.ts";
import type { RunRequest } from "../../shared/kernel/manifest.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import { leaveOtherForm } from "./days/ahead.ts";
import { deskRefused } from "./days/desk-state.ts";
import { startedBy } from "./days/starting.ts";
import { type Durable, dayKey, laneOf, liveRun, nextRun, type Run, startOf } from "./durable.ts";
import { askForPlan } from "./job-forms.ts";
import { wrongUpstream } from "./job-ring.ts";
import type { ClientMessage } from "./protocol.ts";
import { listInputs } from "./run-flow.ts";
import { selectedPlan } from "./selection.ts";
import type { Answered, CoordinatorState, Submission } from "./state.ts";
import {
  closedDay,
  datasetsOf,
  joinProblem,
  malformed,
  otherModels,
  takenDataset,
  wrongModels,
} from "./submit-checks.ts";
import {
  ask,
  decide,
  epochOf,
  log,
  publish,
  refuse,
  reply,
  retryLater,
  type Turn,
  tell,
} from "./turn.ts";

type Submit = Extract<ClientMessage, { kind: "submit" }>;

export function submit(turn: Turn, message: Submit): void {
  const { durable, submissions } = turn.state;
  const job = requestedJob(durable, message);
  const refusal =
    "code" in job
      ? job
      : (malformed(message) ?? wrongModels(job, message) ?? wrongUpstream(turn.state, job));
  if (refusal !== undefined) {
    refuse(turn, message.reply, refusal);
    return;
  }
  if ("code" in job) return;
  if (message.day === "") {
    register(turn, message, job);
    return;
  }
  const { lane = "live", by = "", select } = message;
  const live = liveRun(durable, job.name, message.day);
  const answered = durable.requests.get(message.requestId);
  const earlier = answered ?? live?.id;
  if (answered === undefined && live !== undefined && select === undefined) {
    leaveOtherForm(turn, live, jobDigest(job));
  }
  if (answered === undefined && live?.ending !== undefined) {
    // Whoever submits wants a result: not a run that can't give one any more.
    const why = `run ${live.id} is ending (${live.ending.failure.message}); submit again in a moment`;
    refuse(turn, message.reply, failure("unavailable", why, { run: live.id }));
    return;
  }
  const other = answered === undefined && live !== undefined && otherModels(live, select);
  if (other) {
    refuse(turn, message.reply, other);
    return;
  }
  if (earlier !== undefined) {
    if (answered === undefined) {
      decide(turn, { kind: "requestAnswered", requestId: message.requestId, run: earlier });
      if (live !== undefined) raise(turn, live, lane, by);
    }
    reply(turn, message.reply, { kind: "submitted", run: earlier, created: false });
    return;
  }
  const key = dayKey(job.name, message.day);
  const waiter = { reply: message.reply, requestId: message.requestId };
  const same = submissions.get(key);
  if (same !== undefined) {
    const isRetry = same.waiters.some(({ requestId }) => requestId === message.requestId);
    const wrong = isRetry ? undefined : joinProblem(same, job, jobDigest(job), select);
    if (wrong !== undefined) {
      refuse(turn, message.reply, wrong);
      return;
    }
    same.waiters.push(waiter);
    if (isMoreUrgent(lane, same.lane)) same.lane = lane;
    return;
  }
  const closed = closedDay(durable, job, message, submissions.size);
  if (closed !== undefined) {
    refuse(turn, message.reply, closed);
    return;
  }
  askForPlan(turn, key, {
    job,
    digest: jobDigest(job),
    day: message.day,
    plan: undefined,
    requestId: message.requestId,
    isRestored: false,
    lane,
    ...(by === "" ? {} : { start: { by } }),
    ...(select === undefined ? {} : { select }),
    waiters: [waiter],
  });
}

/** A job without a day: it is planned, so that it is known to be sound, and saved; the desk does the rest. */
function register(turn: Turn, { reply: to, requestId }: Submit, job: JobSpec): void {
  const { submissions } = turn.state;
  const key = dayKey(job.name, "");
  if (submissions.has(key)) {
    const why = `job ${job.name} is just being taken from somebody else; submit again in a moment`;
    refuse(turn, to, failure("unavailable", why, { job: job.name }));
    return;
  }
  askForPlan(turn, key, {
    job,
    digest: jobDigest(job),
    day: "",
    plan: undefined,
    requestId,
    isRestored: false,
    lane: "live",
    waiters: [{ reply: to, requestId }],
  });
}

function registered(turn: Turn, key: string, { job, digest, waiters }: Submission): void {
  const { durable, submissions } = turn.state;
  submissions.delete(key);
  if (durable.names.get(job.name) !== digest) {
    decide(turn, { kind: "jobSaved", digest, spec: job });
  }
  for (const { reply: to } of waiters)
    reply(turn, to, { kind: "submitted", run: "", created: false });
}

/** Whoever wants the run now gets it now, although it was begun as something that can wait. */
function raise(turn: Turn, run: Run, lane: Lane, by: string): void {
  if (!isMoreUrgent(lane, laneOf(run))) return;
  decide(turn, { kind: "laneRaised", run: run.id, lane, by });
  log(turn, "info", "run raised to a more urgent lane", { run: run.id, lane });
  tell(turn, { kind: "runChanged", run: run.id });
  if (run.isGathering === true && run.state === "running") listInputs(turn, run.id);
}

/**
 * A run that was promised under a journal that is lost: the same again, though nobody waits for the answer.
 * False: another run of the day has to end first, it is tried again then.
 */
export function restore(turn: Turn, request: RunRequest): boolean {
  const { spec, digest, day, run, requestId, lane = "live" } = request;
  const { isGathering, start, select } = request;
  const key = dayKey(spec.name, day);
  const { submissions, durable } = turn.state;
  if (submissions.has(key) || liveRun(durable, spec.name, day) !== undefined) return false;
  log(turn, "warn", "the journal does not know a run that was promised; it starts again", { run });
  askForPlan(turn, key, {
    job: spec,
    digest,
    day,
    plan: undefined,
    requestId,
    isRestored: true,
    lane,
    ...(isGathering === undefined ? {} : { isGathering }),
    ...(start === undefined ? {} : { start }),
    ...(select === undefined ? {} : { select }),
    waiters: [],
  });
  return true;
}

/** Names a job's content. */
export function jobDigest(job: JobSpec): string {
  return sha256Hex(canonicalJson(job as unknown as Json));
}

function requestedJob(durable: Durable, { job }: Submit): JobSpec | Failure {
  if (typeof job !== "string") return job;
  const spec = durable.jobs.get(durable.names.get(job) ?? "");
  if (spec !== undefined) return spec;
  return unknownJob(durable, job);
}

/** Names the jobs that there are. */
export function unknownJob(durable: Durable, job: string): Failure {
  const known = [...durable.names.keys()].sort().slice(0, 10).join(", ");
  const hint = known === "" ? "no job was submitted yet: submit its file" : `known jobs: ${known}`;
  return failure("unknownJob", `job ${JSON.stringify(job)} is not known; ${hint}`, { job });
}

/** The plan of a submission, that its datasets are free, or that its job is saved. */
export function submissionAnswered(turn: Turn, key: string, answered: Answered): void {
  const { ask: question, answer } = answered;
  const { submissions } = turn.state;
  const submission = submissions.get(key);
  if (submission === undefined) return;
  if (answer.kind === "planned") {
    const selected = selectedPlan(answer.plan, submission.select);
    if ("code" in selected) {
      submissionFailed(turn, key, answered, selected);
      return;
    }
    submission.plan = selected.plan;
    submission.select = selected.select;
    if (submission.day === "") saveOrCreate(turn, key, submission);
    else checkDatasets(turn, key, submission, answered);
  } else if (answer.kind === "ok" && question.kind === "checkViews") {
    saveOrCreate(turn, key, submission);
  } else if (answer.kind === "ok" && question.kind === "saveJob") {
    if (submission.day === "") registered(turn, key, submission);
    else saveRequest(turn, key, submission);
  } else if (answer.kind === "ok") {
    create(turn, key, submission, answered);
  } else if (answer.kind === "failed") {
    submissionFailed(turn, key, answered, answer.failure);
  }
}

/** Callers are told and may come again. A restored run was promised: it is tried until it can't be. */
function submissionFailed(turn: Turn, key: string, answered: Answered, why: Failure): void {
  const { submissions } = turn.state;
  const submission = submissions.get(key);
  if (submission === undefined) return;
  const { isRestored, waiters, job, day } = submission;
  for (const { reply: to } of waiters.splice(0)) refuse(turn, to, why);
  if (isRestored && classOf(why.code).retryable) {
    retryLater(turn, answered);
    return;
  }
  submissions.delete(key);
  if (submission.byDesk !== undefined) {
    deskRefused(turn, key, why);
    log(turn, "warn", `a day can't be started: ${why.message}`, {
      job: job.name,
      day,
      code: why.code,
    });
  }
  if (isRestored) {
    const fields = { job: job.name, day, code: why.code };
    log(turn, "error", `a promised run can't be started again: ${why.message}`, fields);
  }
  const { kind } = answered.ask;
  if (!isRestored && kind !== "saveRequest") return;
  const { run } = namedRun(turn.state.durable, submission);
  ask(turn, { kind: "dropRequest", epoch: epochOf(turn), run }, { kind: "background" });
}

/** A dataset's day belongs to one job. Refused here, not after hours of work when the files are arranged. */
function checkDatasets(turn: Turn, key: string, submission: Submission, answered: Answered): void {
  const taken = takenDataset(turn.state.durable, submission);
  if (taken !== undefined) {
    submissionFailed(turn, key, answered, taken);
    return;
  }
  const { job, day } = submission;
  const datasets = datasetsOf(submission);
  const purpose = { kind: "submission", key } as const;
  ask(turn, { kind: "checkViews", job: job.name, day, datasets }, purpose);
}

/** A job is on storage before anybody is told that it was taken: the journal alone may be lost. */
function saveOrCreate(turn: Turn, key: string, submission: Submission): void {
  const { job, digest, isRestored } = submission;
  // A restored run's job is on storage, perhaps in a newer form.
  if (isRestored || turn.state.durable.names.get(job.name) === digest) {
    if (submission.day === "") registered(turn, key, submission);
    else saveRequest(turn, key, submission);
    return;
  }
  const purpose = { kind: "submission", key } as const;
  ask(turn, { kind: "saveJob", epoch: epochOf(turn), job, digest }, purpose);
}

/** What the run is, on storage as well: a leader that finds no journal starts it again by itself. */
function saveRequest(turn: Turn, key: string, submission: Submission): void {
  const { job: spec, digest, day, requestId } = submission;
  const named = namedRun(turn.state.durable, submission);
  const how = { ...laneIn(submission), ...gatheringIn(submission), ...selectIn(submission) };
  const start = startOf(submission.byDesk ?? submission.start ?? {});
  const request: RunRequest = { ...named, spec, digest, day, requestId, ...how, start };
  const purpose = { kind: "submission", key } as const;
  ask(turn, { kind: "saveRequest", epoch: epochOf(turn), request }, purpose);
}

/** A live run says nothing of its lane, as ever. */
function laneIn({ lane }: Submission): { readonly lane?: Lane } {
  return lane === "live" ? {} : { lane };
}

function gatheringIn({ isGathering }: Submission): { readonly isGathering?: true } {
  return isGathering === undefined ? {} : { isGathering };
}

function selectIn({ select }: Submission): { readonly select?: readonly string[] } {
  return select === undefined ? {} : { select };
}

/** The next revision of the day: it stays so while the submission is under way, for a day has one at a time. */
function namedRun(durable: Durable, { job, day }: Submission) {
  return nextRun(durable, job.name, day);
}

/** Runs that were promised under a journal that is lost and are not created again yet. */
export function restoredRuns({
  submissions,
  unrestored,
  durable,
}: CoordinatorState): ReadonlySet<string> {
  const restored = [...submissions.values()].filter((submission) => submission.isRestored);
  const named = restored.map((submission) => namedRun(durable, submission).run);
  return new Set([...named, ...unrestored.map(({ run }) => run)]);
}

function create(turn: Turn, key: string, submission: Submission, answered: Answered): void {
  const { state, wall } = turn;
  const { job, digest, day, plan, requestId, waiters } = submission;
  if (plan === undefined) return;
  // Another job's run may have been created while this one was being checked.
  const taken = takenDataset(state.durable, submission);
  if (taken !== undefined) {
    submissionFailed(turn, key, answered, taken);
    return;
  }
  state.submissions.delete(key);
  const newest = state.durable.names.get(job.name) ?? digest;
  const newestJob = state.durable.jobs.get(newest);
  if (newest !== digest || newestJob === undefined) {
    decide(turn, { kind: "jobSaved", digest, spec: job });
  }
  const { run, revision } = namedRun(state.durable, submission);
  decide(turn, {
    kind: "runCreated",
    run,
    job: job.name,
    day,
    revision,
    requestId,
    jobDigest: digest,
    plan,
    duckdb: state.config.duckdb,
    ...startedBy(submission),
    ...laneIn(submission),
    ...gatheringIn(submission),
    ...selectIn(submission),
    wallMs: wall,
  });
  if (submission.isRestored && newest !== digest && newestJob !== undefined) {
    // The run needs its own form of the job; whoever names the job means the newest.
    decide(turn, { kind: "jobSaved", digest: newest, spec: newestJob });
  }
  waiters.forEach((waiter, index) => {
    const created = index === 0 && waiter.requestId === requestId;
    if (waiter.requestId !== requestId) {
      decide(turn, { kind: "requestAnswered", requestId: waiter.requestId, run });
    }
    reply(turn, waiter.reply, { kind: "submitted", run, created });
  });
  publish(turn, { job: job.name, day }, "run.created", { run, revision });
  listInputs(turn, run);
}
