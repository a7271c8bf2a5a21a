/**
 * Answers of the shell that a run was waiting for: the next step of the run, another try, or its end.
 * What is worth another try is in the failure table (shared/kernel/failure.ts).
 */
import { classOf, type Failure, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import { adoptManifest, baseRead, runArranged, runPublished } from "./commit.ts";
import type { Run } from "./durable.ts";
import { lookedInVain, movedAway } from "./outages.ts";
import { endRun, hasReadAll, stagedSeen, streamsEnsured } from "./run-flow.ts";
import { goOnWith, inputsListed, recordsRead, streamsSeen } from "./run-planning.ts";
import type { Answered } from "./state.ts";
import { log, retryLater, type Turn } from "./turn.ts";
import { goesOn, waits } from "./waiting.ts";

/** listInputs, readUsage, readCompletions, listStaged, ensureStreams, readRevision, arrange, commit. */
export function answeredForRun(turn: Turn, id: string, answered: Answered): void {
  const run = turn.state.durable.runs.get(id);
  if (run === undefined || run.ended !== undefined) return;
  const { answer } = answered;
  if (answer.kind !== "failed") goesOn(turn, run, answered.ask.kind);
  switch (answer.kind) {
    case "listed":
      inputsListed(turn, run, answer);
      return;
    case "usage":
      streamsSeen(turn, run, answer.streams);
      return;
    case "completions":
      recordsRead(turn, run, answer);
      return;
    case "staged":
      stagedSeen(turn, run, answer);
      return;
    case "ensured":
      streamsEnsured(turn, run, answer.created);
      return;
    case "revision":
      if (answer.manifest !== undefined) baseRead(turn, run, answer.manifest);
      else endRun(turn, run, baseLost(run), false);
      return;
    case "arranged":
      runArranged(turn, run, answer.paths);
      return;
    case "manifest":
      adoptManifest(turn, run, answer.manifest);
      return;
    case "failed":
      failedForRun(turn, run, answered, answer.failure);
      return;
    default:
      return;
  }
}

function baseLost({ id, job, day }: Run): Failure {
  const text = `the revision that run ${id} carries datasets over from has no manifest on storage`;
  return failure("storageFailed", `${text}: run the whole day, without --select`, { job, day });
}

/** A manifest is tried until it is there, whatever stands in the way: only it ends the run. */
function failedForRun(turn: Turn, run: Run, answered: Answered, why: Failure): void {
  const { ask, tries } = answered;
  warn(turn, answered, why, run.id);
  if (ask.kind === "ensureStreams" && hasReadAll(run)) {
    goesOn(turn, run, ask.kind);
    streamsEnsured(turn, run, []);
    return;
  }
  if (ask.kind === "ensureStreams" && movedAway(turn, run, why)) return;
  const isCommit = ask.kind === "commit";
  const { retryable, counts } = classOf(why.code);
  const isLook = ask.kind === "readUsage" || ask.kind === "readCompletions";
  const isHopeless =
    !retryable ||
    (counts && tries + 1 >= limits.attemptsPerTaskMax) ||
    (isLook && lookedInVain(turn, run, why));
  if (isCommit || !isHopeless) {
    waits(turn, run, ask.kind, why);
    retryLater(turn, answered);
    return;
  }
  if (!isLook) {
    endRun(turn, run, why, false);
    return;
  }
  // Without a look into the exchange nothing is found there, and everything is read again.
  goesOn(turn, run, ask.kind);
  goOnWith(turn, run, []);
}

export function publishAnswered(
  turn: Turn,
  id: string,
  manifest: RunManifest,
  answered: Answered,
): void {
  const run = turn.state.durable.runs.get(id);
  if (run === undefined || run.ended !== undefined) return;
  if (answered.answer.kind !== "failed") {
    goesOn(turn, run, answered.ask.kind);
    runPublished(turn, run, manifest);
    return;
  }
  // Committed already: it only has to become visible.
  const why = answered.answer.failure;
  warn(turn, answered, why, id);
  waits(turn, run, answered.ask.kind, why);
  retryLater(turn, answered);
}

/** Housekeeping is tried a few times, then left to the next look (leftovers.ts) or the next leader. */
export function backgroundAnswered(turn: Turn, answered: Answered): void {
  if (answered.answer.kind !== "failed") return;
  warn(turn, answered, answered.answer.failure, "");
  const { kind } = answered.ask;
  // By then somebody may want them again: the next look finds what is still there (space.ts, old-revisions.ts).
  if (kind === "dropStreams" || kind === "dropStaging" || kind === "dropRevision") return;
  const { retryable } = classOf(answered.answer.failure.code);
  // What a lost journal left unpublished is shown by this alone: it waits for the storage as a commit does.
  const isPatient = kind === "rebuildViews" || answered.tries < limits.attemptsPerTaskMax;
  if (retryable && isPatient) retryLater(turn, answered);
}

function warn(turn: Turn, { ask, tries }: Answered, why: Failure, run: string): void {
  log(turn, "warn", `${ask.kind} failed: ${why.message}`, { run, code: why.code, tries });
}
