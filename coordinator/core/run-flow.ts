/**
 * The way of a run between its big steps: planning → running → checking → committing, and the way out when it fails.
 * Each step is taken when what it needs is there, also after a takeover: `resumeRun` starts from durable state alone.
 */
import { checkStatus } from "../../shared/kernel/check.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { withHistory } from "../../shared/kernel/history.ts";
import type { JobSpec, SourceSpec } from "../../shared/kernel/job.ts";
import { jobOnDay } from "../../shared/kernel/job-day.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { askedChecks } from "./check-query.ts";
import { judgeChecks, verdictOf } from "./checks.ts";
import { arrangeRun, commitAborted } from "./commit.ts";
import { dropDuplicates } from "./drop-duplicates.ts";
import { wrongTwins } from "./duplicates.ts";
import { dayKey, isClosing, type Run, type Stage } from "./durable.ts";
import type { PlannedExchange } from "./facts.ts";
import { historyNow } from "./history.ts";
import { joinedDimensions, scannedSources } from "./planning.ts";
import type { Answer } from "./protocol.ts";
import { rejectsOverLimit } from "./rejects-limit.ts";
import { keptScope, stagingsOf } from "./salvage.ts";
import { filesSeen } from "./salvaged-files.ts";
import { jobOfRun, mixedInput } from "./selection.ts";
import { isComplete, producersOf } from "./stage-graph.ts";
import { ask, askLater, decide, publish, type Turn, tell } from "./turn.ts";
import { waitsNoMore } from "./waiting.ts";

type Staged = Extract<Answer, { kind: "staged" }>;

/** The job that a run was created from, as the run sees it on its day. Kept for as long as a live run needs it. */
export function jobOf(turn: Turn, run: Run): JobSpec | undefined {
  const job = turn.state.durable.jobs.get(run.jobDigest);
  return job && jobOfRun(withHistory(jobOnDay(job, run.day), run.plan), run);
}

/** Takes a live run up again, wherever it was. */
export function resumeRun(turn: Turn, run: Run): void {
  if (run.ending !== undefined) commitAborted(turn, run);
  else if (run.state === "planning") listInputs(turn, run.id);
  else if (run.state === "committing") arrangeRun(turn, run);
  else if (hasReadAll(run)) advanceRun(turn, run);
  else ensureStreams(turn, run);
}

/** Checks read files only: a run that has come to them needs no stream any more. */
export function hasReadAll(run: Run): boolean {
  return run.stages.every((stage) => stage.kind === "check" || isComplete(stage));
}

/** `waitMs`: not at once. */
export function listInputs(turn: Turn, id: string, waitMs = 0): void {
  const run = turn.state.durable.runs.get(id);
  const job = run && jobOf(turn, run);
  if (run === undefined || job === undefined) return;
  // What is final was seen by looks (gathering.ts): only what else a plan takes is asked for then.
  const isPartial = run.isGathering === true && !isClosing(run);
  const isPinned = run.plan.history === undefined || run.history !== undefined;
  if (!isPartial && !isPinned) {
    // Once: a run that is taken up again reads what was promised to it.
    decide(turn, { kind: "historyPinned", run: id, pins: historyNow(turn.state.durable, run) });
  }
  const body = {
    kind: "listInputs",
    day: run.day,
    sources: isPartial ? [] : scannedSources(job, run.plan).filter(isOfFiles),
    ...(isPartial || run.history === undefined ? {} : { history: run.history }),
    ...(job.ready === undefined ? {} : { ready: job.ready }),
    dimensions: joinedDimensions(job, run.plan),
  } as const;
  const purpose = { kind: "run", run: id } as const;
  if (waitMs === 0) ask(turn, body, purpose);
  else askLater(turn, body, purpose, waitMs);
}

function isOfFiles({ history }: SourceSpec): boolean {
  return history === undefined;
}

/** Asked again after each takeover and whenever a stream was found missing: what had to be made is empty. */
export function ensureStreams(turn: Turn, run: Run): void {
  turn.state.streamsChecking.add(run.id);
  const runs = stagingsOf(turn.state.durable, run);
  if (runs.length === 0) makeStreams(turn, run);
  else ask(turn, { kind: "listStaged", runs }, { kind: "run", run: run.id });
}

/** What a failed run left for this one is known to be there, or not. */
export function stagedSeen(turn: Turn, run: Run, { runs, paths }: Staged): void {
  filesSeen(turn, run, runs, paths);
  makeStreams(turn, run);
}

function makeStreams(turn: Turn, run: Run): void {
  const streams = [...run.exchanges.values()].flatMap((exchange) => exchange.streams);
  ask(turn, { kind: "ensureStreams", streams }, { kind: "run", run: run.id });
}

/** Outputs in streams that had gone are void; then the run may start, or go on. */
export function streamsEnsured(turn: Turn, run: Run, created: readonly string[]): void {
  turn.state.streamsChecking.delete(run.id);
  turn.state.outages.delete(run.id);
  const isNew = new Set(created);
  // Later exchanges first: whoever has to fill one again has to read the earlier ones again.
  for (const exchange of latestFirst(run)) {
    if (!exchange.streams.some((stream) => isNew.has(stream))) continue;
    if (!holdsOutputs(turn, run, exchange.exchange)) continue;
    decide(turn, { kind: "exchangeLost", run: run.id, exchange: exchange.exchange });
  }
  run.stages.forEach((stage, index) => {
    const kept = turn.state.durable.kept.get(keptScope(stage));
    if (kept !== undefined && kept.outputs.size > 0 && stage.waiting.size > 0) {
      turn.state.reusing.set(`${run.id}|${index}`, 0);
    }
  });
  if (run.stages.every((stage) => stage.startedMs === 0)) {
    publish(turn, run, "run.started", { run: run.id });
  }
  changed(turn, run);
  advanceRun(turn, run);
}

function latestFirst(run: Run): PlannedExchange[] {
  const depth = ({ exchange }: PlannedExchange) =>
    Math.max(-1, ...producersOf(run, exchange).map((stage) => run.stages.indexOf(stage)));
  return [...run.exchanges.values()].sort((a, b) => depth(b) - depth(a));
}

function holdsOutputs(turn: Turn, run: Run, exchange: string): boolean {
  const scope = run.exchanges.get(exchange)?.scope;
  if (scope !== undefined && (turn.state.durable.kept.get(scope)?.outputs.size ?? 0) > 0)
    return true;
  return run.stages.some((stage) =>
    stage.tasks.some((task) => task.result?.outputs.some((one) => one.exchange === exchange)),
  );
}

/** Goes on to checks or commit when all that comes before is done. Harmless when it is not. */
export function advanceRun(turn: Turn, run: Run): void {
  const job = jobOf(turn, run);
  if (job === undefined || run.ending !== undefined || run.ended !== undefined) return;
  if (run.isGathering === true) return;
  dropDuplicates(turn, run);
  if (run.state === "running") {
    const over = wrongTwins(run) ?? rejectsOverLimit(job, run);
    if (over !== undefined) {
      endRun(turn, run, over, false);
      return;
    }
    if (!run.stages.every(isComplete)) return;
    const checks = askedChecks(job.checks).length;
    if (checks > 0) {
      decide(turn, { kind: "checksStarted", run: run.id, checks, wallMs: turn.wall });
      changed(turn, run);
      return;
    }
    checksDone(turn, run, job);
    return;
  }
  if (run.state !== "checking" || !run.stages.every(isComplete)) return;
  checksDone(turn, run, job);
}

/** Once all of its tasks are known. */
export function tellPlanned(turn: Turn, run: Run): void {
  if (run.isGathering === true) return;
  const stages = run.stages.map(({ id, tasks }) => ({ id, tasks: tasks.length }));
  publish(turn, run, "run.planned", { run: run.id, stages });
}

/** A stage is told to be done when all its tasks are, and there will be no others. */
export function tellDone(turn: Turn, run: Run, stage: Stage): void {
  if (!isComplete(stage) || run.isGathering === true) return;
  publish(turn, run, "stage.done", { run: run.id, stage: stage.id, tasks: stage.tasks.length });
}

/** The results are remembered before anything rests on them: days that are committed meanwhile would change them. */
function checksDone(turn: Turn, run: Run, job: JobSpec): void {
  const results = judgeChecks(turn.state.durable, job, run);
  if (results.length > 0) decide(turn, { kind: "checksJudged", run: run.id, results });
  for (const result of results) {
    if (result.state !== "failed") continue;
    publish(turn, run, "check.failed", { run: run.id, ...checkStatus(result) });
  }
  const verdict = verdictOf(results);
  if (verdict.kind === "block") endRun(turn, run, verdict.failure, false);
  else startCommit(turn, run);
}

function startCommit(turn: Turn, run: Run): void {
  const warnings = mixedInput(run, turn.state.durable.days.get(dayKey(run.job, run.day)));
  decide(turn, { kind: "commitStarted", run: run.id, warnings, wallMs: turn.wall });
  changed(turn, run);
  arrangeRun(turn, run);
}

/** The run fails or is cancelled: its work stops and its revision is closed by an aborted manifest. */
export function endRun(turn: Turn, run: Run, why: Failure, cancelled: boolean): void {
  if (run.ending !== undefined || run.ended !== undefined) return;
  for (const [attemptId, attempt] of turn.state.durable.attempts) {
    if (attempt.run !== run.id || attempt.state !== "running") continue;
    cancelAttempt(turn, attempt.executor, attemptId, `run ${run.id} ends`);
  }
  const { wall } = turn;
  waitsNoMore(turn.state, run.id);
  decide(turn, { kind: "runEnding", run: run.id, cancelled, failure: why, wallMs: wall });
  changed(turn, run);
  commitAborted(turn, run);
}

export function cancelAttempt(
  turn: Turn,
  executor: string,
  attemptId: string,
  reason: string,
): void {
  const { state } = turn;
  const connection = state.executors.get(executor)?.connection;
  if (connection === undefined || state.role.kind !== "leader") return;
  const command = { kind: "cancelTask", attemptId, reason } as const;
  tell(turn, { kind: "toExecutor", connection, epoch: state.role.epoch, command });
}

export function changed(turn: Turn, run: Run): void {
  tell(turn, { kind: "runChanged", run: run.id });
}

/** What a run failed of when the shell could not do its part, after all tries. */
export function stuck(what: string, why: Failure, tries: number): Failure {
  if (tries < limits.attemptsPerTaskMax) return why;
  return failure(why.code, `${what}: ${why.message} (tried ${tries} times)`, why.detail);
}
