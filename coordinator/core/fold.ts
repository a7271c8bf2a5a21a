/**
 * `fold` applies one fact to durable state, in place. It is total over facts of the past: what no longer applies
 * (a run that was forgotten, an attempt that ended) is ignored, so any replay of a journal gives the same state.
 * It decides nothing: which facts come is decided elsewhere.
 */
import { unreachable } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { type AlertsFact, foldAlerts, isAlertsFact } from "./alerts/book.ts";
import { rememberFigures } from "./check-history.ts";
import { type DaysFact, foldDays, isDaysFact } from "./days/fold-days.ts";
import { type DayRecord, type Durable, dayKey, type Run } from "./durable.ts";
import type { Fact } from "./facts.ts";
import {
  foldChecksStarted,
  foldLaneRaised,
  foldRunClosing,
  foldRunCommitted,
  foldRunCreated,
  foldRunEnded,
  foldRunGrown,
  foldRunPlanned,
  foldRunQuarantined,
  foldRunReleased,
  quarantine,
  rememberShown,
  show,
  shownRevision,
} from "./fold-run.ts";
import {
  foldAttemptDone,
  foldAttemptFailed,
  foldAttemptStarted,
  foldExchangeLost,
  foldExchangeMoved,
  foldFilesDropped,
  foldOutputDropped,
  foldTaskReused,
} from "./fold-task.ts";
import { missingDays } from "./history.ts";
import { isComplete } from "./stage-graph.ts";

export function fold(durable: Durable, fact: Fact): void {
  if (isAlertsFact(fact)) {
    foldAlerts(durable, fact);
    return;
  }
  if (isDaysFact(fact)) {
    foldDays(durable, dayRecord, fact);
    return;
  }
  switch (fact.kind) {
    case "led":
      durable.epoch = fact.epoch;
      return;
    case "jobSaved":
      durable.jobs.set(fact.digest, fact.spec);
      durable.names.set(fact.spec.name, fact.digest);
      dropUnusedJobs(durable);
      return;
    case "revisionFound":
      foldRevisionFound(durable, fact);
      return;
    case "requestAnswered":
      durable.requests.set(fact.requestId, fact.run);
      return;
    case "keptDropped":
      for (const scope of fact.scopes) durable.kept.delete(scope);
      return;
    case "keptSuperseded":
      for (const key of fact.mapKeys) durable.kept.get(fact.scope)?.outputs.delete(key);
      return;
    case "keptFound":
      foldKeptFound(durable, fact);
      return;
    case "splitsDropped":
      for (const day of fact.days) {
        const record = durable.days.get(dayKey(fact.job, day));
        record?.splits.clear();
        delete record?.dropped;
      }
      return;
    case "attemptDone":
      foldAttemptDone(durable, fact);
      return;
    case "attemptFailed":
      foldAttemptFailed(durable, fact);
      return;
    case "runReleased":
      foldRunReleased(durable, dayRecord(durable, fact.job, fact.day), fact);
      return;
    case "runCreated":
      beginsAnew(durable, durable.runs.get(fact.run));
      foldRunCreated(durable, dayRecord(durable, fact.job, fact.day), fact);
      return;
    default:
      foldIntoRun(durable, durable.runs.get(fact.run), fact);
      return;
  }
}

type RunFact = Exclude<
  Exclude<Fact, DaysFact | AlertsFact>,
  {
    kind:
      | "led"
      | "jobSaved"
      | "revisionFound"
      | "requestAnswered"
      | "keptDropped"
      | "keptSuperseded"
      | "keptFound"
      | "splitsDropped"
      | "attemptDone"
      | "attemptFailed"
      | "runCreated"
      | "runReleased";
  }
>;

function foldIntoRun(durable: Durable, run: Run | undefined, fact: RunFact): void {
  if (run === undefined || run.ended !== undefined) return;
  switch (fact.kind) {
    case "laneRaised":
      foldLaneRaised(run, fact);
      return;
    case "runPlanned":
      beginsAnew(durable, run);
      foldRunPlanned(durable, dayRecord(durable, run.job, run.day), run, fact);
      return;
    case "historyPinned":
      run.history = fact.pins;
      run.warnings = [...run.warnings, ...missingDays(fact.pins)];
      return;
    case "runGrown":
      foldRunGrown(dayRecord(durable, run.job, run.day), run, fact);
      return;
    case "runClosing":
      foldRunClosing(run, fact);
      return;
    case "attemptStarted":
      foldAttemptStarted(durable, run, fact);
      return;
    case "taskReused":
      foldTaskReused(durable, run, fact);
      return;
    case "outputDropped":
      foldOutputDropped(durable, run, fact);
      return;
    case "filesDropped":
      foldFilesDropped(durable, run, fact);
      return;
    case "exchangeLost":
      foldExchangeLost(durable, run, fact.exchange);
      return;
    case "exchangeMoved":
      foldExchangeMoved(durable, run, fact);
      return;
    case "checksStarted":
      if (!mayEnd(run)) return;
      foldChecksStarted(durable, run, fact);
      return;
    case "checksJudged":
      run.checks = fact.results;
      return;
    case "commitStarted":
      // After a gap in the journal a run may lack results: it goes on where it is, and commits when it has them.
      if (!mayEnd(run)) return;
      run.state = "committing";
      run.warnings = [...run.warnings, ...fact.warnings];
      return;
    case "runEnding":
      run.ending = { cancelled: fact.cancelled, failure: fact.failure };
      forgetAttempts(durable, run);
      return;
    case "runCommitted":
      foldRunCommitted(durable, dayRecord(durable, run.job, run.day), run, fact);
      break;
    case "runQuarantined":
      foldRunQuarantined(durable, dayRecord(durable, run.job, run.day), run, fact);
      break;
    case "runEnded":
      foldRunEnded(durable, dayRecord(durable, run.job, run.day), run, fact);
      break;
    default:
      unreachable(fact);
      return;
  }
  forgetAttempts(durable, run);
  forgetOldRuns(durable);
}

function mayEnd(run: Run): boolean {
  return (run.state === "running" || run.state === "checking") && run.stages.every(isComplete);
}

function foldKeptFound(durable: Durable, { scope, outputs }: Extract<Fact, { kind: "keptFound" }>) {
  const kept = durable.kept.get(scope)?.outputs;
  for (const output of outputs) {
    const { mapKey } = output;
    if (mapKey !== undefined && kept?.has(mapKey) === false) kept.set(mapKey, output);
  }
}

function foldRevisionFound(durable: Durable, fact: Extract<Fact, { kind: "revisionFound" }>): void {
  const record = dayRecord(durable, fact.job, fact.day);
  record.highest = Math.max(record.highest, fact.revision);
  const { state, revision, datasets, figures } = fact;
  const shown =
    fact.shown ??
    shownRevision(
      revision,
      0,
      datasets.map((dataset) => ({ dataset })),
    );
  if (state === "quarantined") quarantine(record, { revision, datasets });
  if (state !== "committed") return;
  if (revision > record.committed) show(record, shown);
  else if (fact.shown !== undefined) rememberShown(record, shown);
  if (figures !== undefined && revision === record.committed) {
    rememberFigures(durable, record, figures);
  }
}

function dayRecord(durable: Durable, job: string, day: string): DayRecord {
  const key = dayKey(job, day);
  const known = durable.days.get(key);
  if (known !== undefined) return known;
  const record: DayRecord = {
    job,
    day,
    highest: 0,
    committed: 0,
    datasets: [],
    splits: new Map(),
  };
  durable.days.set(key, record);
  return record;
}

/**
 * What is left of a journal that lost its end is folded over a snapshot that was newer: a run that is known as far on as
 * the snapshot goes is then told from its beginning, and its attempts were those of what it is not any more.
 */
function beginsAnew(durable: Durable, run: Run | undefined): void {
  if (run !== undefined && run.stages.length > 0) forgetAttempts(durable, run);
}

/** Attempts of an ended run: a late report of one is acknowledged as unknown. */
function forgetAttempts(durable: Durable, run: Run): void {
  for (const [id, attempt] of durable.attempts) {
    if (attempt.run !== run.id) continue;
    durable.attempts.delete(id);
    durable.running.delete(id);
  }
}

function forgetOldRuns(durable: Durable): void {
  const ended = [...durable.runs.values()].filter((run) => run.ended !== undefined);
  const forgotten = ended.slice(0, Math.max(0, ended.length - limits.runsKeptInMemory));
  if (forgotten.length === 0) return;
  for (const run of forgotten) durable.runs.delete(run.id);
  for (const [request, run] of durable.requests) {
    if (!durable.runs.has(run)) durable.requests.delete(request);
  }
  dropUnusedJobs(durable);
}

/** Old forms of a job stay for as long as a live run needs them. */
function dropUnusedJobs(durable: Durable): void {
  const used = new Set(durable.names.values());
  for (const run of durable.runs.values()) if (run.ended === undefined) used.add(run.jobDigest);
  for (const digest of durable.jobs.keys()) if (!used.has(digest)) durable.jobs.delete(digest);
}
