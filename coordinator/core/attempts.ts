/**
 * What an executor reports of an attempt, whenever and however often it does. The table is total: a report that no
 * longer matters is acknowledged and changes nothing; the first success of a task wins, also of an attempt that was
 * given up as lost. A report is acknowledged only after what it changed is saved.
 */
import { shortProducers } from "../../shared/kernel/exchange-intake.ts";
import { classOf, type Failure, failure } from "../../shared/kernel/failure.ts";
import type { AttemptOutcome, AttemptSuccess } from "../../shared/kernel/work.ts";
import { dropDuplicates } from "./drop-duplicates.ts";
import type { Run } from "./durable.ts";
import { noteFailure, noteSuccess } from "./exclusion.ts";
import { fatalFailure, type Place } from "./giving-up.ts";
import { purgeNow, purgeSoon } from "./losers.ts";
import { vacate } from "./places.ts";
import { advanceRun, cancelAttempt, changed, endRun, ensureStreams, tellDone } from "./run-flow.ts";
import { foundFull } from "./space.ts";
import { isComplete, outputsOf } from "./stage-graph.ts";
import type { ExecutorState } from "./state.ts";
import { backoffMs, decide, epochOf, log, publish, type Turn, tell } from "./turn.ts";
import { goesOn, waits } from "./waiting.ts";

export function reported(
  turn: Turn,
  executor: ExecutorState,
  attemptId: string,
  outcome: AttemptOutcome,
): void {
  vacate(turn.state, executor, attemptId);
  const place = locate(turn, attemptId);
  if (place !== undefined) {
    if (outcome.kind === "failed") attemptFailed(turn, attemptId, place, outcome.failure);
    else attemptDone(turn, executor, attemptId, place, outcome);
    // It has ended and can't win: also a loser that was told to stop, or was given up long ago.
    const { attempt, run } = place;
    if (attempt.state === "failed") purgeNow(turn, run, attempt.stage, [attemptId]);
  }
  const { connection } = executor;
  if (connection === undefined) return;
  const command = { kind: "reportAck", attemptId } as const;
  tell(turn, { kind: "toExecutor", connection, epoch: epochOf(turn), command });
}

function locate(turn: Turn, attemptId: string): Place | undefined {
  const { durable } = turn.state;
  const attempt = durable.attempts.get(attemptId);
  const run = attempt && durable.runs.get(attempt.run);
  const stage = run?.stages[attempt?.stage ?? -1];
  const task = stage?.tasks[attempt?.task ?? -1];
  if (attempt === undefined || run === undefined) return undefined;
  if (stage === undefined || task === undefined) return undefined;
  return { run, stage, task, attempt };
}

function attemptDone(
  turn: Turn,
  executor: ExecutorState,
  attemptId: string,
  { run, stage, task, attempt }: Place,
  success: AttemptSuccess,
): void {
  if (attempt.state !== "running" && attempt.state !== "lost") return;
  const wrong = outputsMissing(run, attempt.stage, success) ?? accountsWrong(success);
  if (wrong !== undefined) {
    attemptFailed(turn, attemptId, { run, stage, task, attempt }, wrong);
    return;
  }
  const others = task.running.filter((id) => id !== attemptId);
  const losers = [...others, ...(task.lost ?? [])].filter((id) => id !== attemptId);
  const wasComplete = isComplete(stage);
  decide(turn, { kind: "attemptDone", attemptId, success, wallMs: turn.wall });
  executor.committed++;
  noteSuccess(turn, executor, taskKey(run.id, stage.id, attempt.task));
  goesOn(turn, run, taskKey(run.id, stage.id, attempt.task));
  endOthers(turn, others);
  purgeSoon(turn, run, attempt.stage, losers);
  dropDuplicates(turn, run);
  if (!wasComplete) tellDone(turn, run, stage);
  changed(turn, run);
  advanceRun(turn, run);
}

/** The task has a winner: who is still at it stops. */
export function endOthers(turn: Turn, attempts: readonly string[]): void {
  for (const id of attempts) {
    const other = turn.state.durable.attempts.get(id);
    const why = failure("cancelled", "another attempt of the task finished first");
    decide(turn, { kind: "attemptFailed", attemptId: id, failure: why, wallMs: turn.wall });
    if (other !== undefined) cancelAttempt(turn, other.executor, id, why.message);
  }
}

/** A success has rows, or the proof that there are none, in every exchange that its stage writes. */
function outputsMissing(run: Run, stage: number, success: AttemptSuccess): Failure | undefined {
  const plan = run.plan.stages[stage];
  const missing = (plan === undefined ? [] : outputsOf(plan)).filter(
    (exchange) => !success.outputs.some((output) => output.exchange === exchange),
  );
  if (missing.length === 0) return undefined;
  return failure("internal", `the attempt claims success without output in ${missing.join(", ")}`);
}

/** Every line of every file must be accounted for: what a worker claims is checked here once more. */
function accountsWrong(success: AttemptSuccess): Failure | undefined {
  for (const { file, lines, rows, rejects, blank } of success.accounts) {
    if (rows + rejects + blank === lines) continue;
    const sum = `${rows} rows + ${rejects} rejects + ${blank} blank`;
    return failure("internal", `${file.path}: ${sum} are not its ${lines} lines`);
  }
  return undefined;
}

/** Ends a running attempt with a failure; decides whether the task may be tried again. */
export function failAttempt(turn: Turn, attemptId: string, why: Failure): void {
  const place = locate(turn, attemptId);
  if (place !== undefined) attemptFailed(turn, attemptId, place, why);
}

function attemptFailed(turn: Turn, attemptId: string, place: Place, why: Failure): void {
  const { run, stage, task, attempt } = place;
  if (attempt.state !== "running") return;
  decide(turn, { kind: "attemptFailed", attemptId, failure: why, wallMs: turn.wall });
  changed(turn, run);
  // The task did nothing wrong and nothing has to recover: it may start elsewhere at once.
  const isBlameless = why.code === "executorLost" || why.code === "drained";
  if (!isBlameless) tellFailed(turn, place, attemptId, why);
  if (task.result !== undefined) return;
  const isUnreachable = why.code === "unavailable" && why.detail?.["stream"] !== undefined;
  if (why.code === "exchangeShort" || isUnreachable) shortExchange(turn, run, why);
  if (why.code === "exchangeFull") foundFull(turn);
  if (classOf(why.code).retryable) waits(turn, run, taskKey(run.id, stage.id, attempt.task), why);
  const fatal = fatalFailure(turn, place, why);
  if (fatal !== undefined) {
    endRun(turn, run, fatal, false);
    return;
  }
  if (isBlameless) return;
  const { code } = why;
  const index = attempt.task;
  const pauseMs = classOf(code).counts ? backoffMs(task.failures - 1) : backoffMs(task.starts);
  turn.state.delays.set(taskKey(run.id, stage.id, index), turn.at + pauseMs);
}

function tellFailed(turn: Turn, place: Place, attemptId: string, why: Failure): void {
  const { run, stage, attempt } = place;
  const about = { run: run.id, stage: stage.id, task: attempt.task, attempt: attemptId };
  const { executor } = attempt;
  const known = turn.state.executors.get(executor);
  if (known?.incarnation === attempt.incarnation) {
    known.failed++;
    noteFailure(turn, known, taskKey(run.id, stage.id, attempt.task), why.code);
  }
  log(turn, "warn", `attempt failed: ${why.message}`, { ...about, executor, code: why.code });
  publish(turn, run, "task.failed", { ...about, executor, failure: why });
}

/** Names a task among the delays of this process. */
export function taskKey(run: string, stage: string, task: number): string {
  return `${run}|${stage}|${task}`;
}

/**
 * A reader missed rows of an exchange, or a writer its stream. The producers that are named run again, and the
 * streams themselves are looked at.
 */
function shortExchange(turn: Turn, run: Run, why: Failure): void {
  const producers = new Set(shortProducers(why));
  run.stages.forEach((stage, index) => {
    stage.tasks.forEach((task, number) => {
      const { attemptId = "" } = task.result ?? {};
      if (!producers.has(attemptId)) return;
      const at = { run: run.id, stage: index, task: number };
      decide(turn, { kind: "outputDropped", ...at, attemptId });
    });
  });
  // Where one output is missing others may be, too: if the streams are new, all of them are.
  if (!turn.state.streamsChecking.has(run.id)) ensureStreams(turn, run);
}
