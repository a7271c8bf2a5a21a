/**
 * The first turn of a leadership: storage has the last word on what is committed, the journal on everything else.
 * Nothing that was committed runs again, and every live run goes on where it was.
 */
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { RunManifest, RunRequest } from "../../shared/kernel/manifest.ts";
import { beginAlerts } from "./alerts/alerts.ts";
import { figuresOf } from "./check-history.ts";
import { adoptManifest } from "./commit.ts";
import { type DayRecord, dayKey, liveRuns, type Run } from "./durable.ts";
import { shownRevision } from "./fold-run.ts";
import { awaitExecutor } from "./membership.ts";
import { releasedFact } from "./release.ts";
import { endRun, jobOf, resumeRun } from "./run-flow.ts";
import { lookForRest } from "./run-planning.ts";
import type { Candidate } from "./state.ts";
import { restore } from "./submissions.ts";
import { ask, clusterWide, decide, epochOf, log, publish, type Turn, tell } from "./turn.ts";

export function takeOver(turn: Turn, candidate: Candidate): void {
  const { state } = turn;
  const epoch = epochOf(turn);
  const { coordinator } = state.config;
  tell(turn, { kind: "roleChanged", role: "leader", epoch });
  log(turn, "info", "leading", { epoch, sequence: state.journal.sequence });
  learnJobs(turn, candidate);
  learnRevisions(turn, candidate.manifests);
  learnDesks(turn, candidate);
  beginAlerts(turn, candidate.alerts);
  ask(turn, { kind: "rebuildViews", epoch }, { kind: "background" });
  for (const [attemptId, attempt] of state.durable.attempts) {
    if (attempt.state !== "running") continue;
    awaitExecutor(turn, attempt.executor, attempt.incarnation, attemptId);
  }
  const manifests = new Map(candidate.manifests.map((manifest) => [manifest.run, manifest]));
  state.journalLost = candidate.lost || state.journalWentBack;
  state.journalWentBack = false;
  for (const run of liveRuns(state.durable)) {
    const manifest = manifests.get(run.id);
    if (manifest !== undefined) adoptManifest(turn, run, manifest);
    else if (jobOf(turn, run) === undefined) endRun(turn, run, jobLost(run), false);
    else if (!state.journalLost || !lookForRest(turn, run)) resumeRun(turn, run);
  }
  restoreRuns(turn, candidate.requests);
  publish(turn, clusterWide, "leader.changed", { epoch, coordinator });
}

/**
 * Jobs on storage that the journal does not know in this form: it was lost, or a part of it was. A job is written to
 * storage first, so what is there is never the older form. That of a live run may be older: its request has it.
 */
function learnJobs(turn: Turn, candidate: Candidate): void {
  const { durable } = turn.state;
  for (const { run, spec, digest } of candidate.requests) {
    const live = durable.runs.get(run);
    const isMissing = live?.ended === undefined && live?.jobDigest === digest;
    if (isMissing && !durable.jobs.has(digest)) decide(turn, { kind: "jobSaved", digest, spec });
  }
  for (const { spec, digest } of candidate.jobs) {
    if (durable.names.get(spec.name) !== digest) decide(turn, { kind: "jobSaved", digest, spec });
  }
}

/** What people said about days is on storage before they are told that it is in force: there it is never older. */
function learnDesks(turn: Turn, { desks }: Candidate): void {
  const known = turn.state.durable.desks;
  for (const { job, desk } of desks) {
    if (desk.changes > (known.get(job)?.changes ?? 0)) {
      decide(turn, { kind: "deskFound", job, desk });
    }
  }
}

function jobLost({ id, job, day }: Run) {
  const text = `the job that run ${id} was created from is lost with a part of the journal, and not on storage`;
  return failure("unknownJob", `${text}; submit the day again`, { job, day });
}

function learnRevisions(turn: Turn, manifests: readonly RunManifest[]): void {
  const { durable } = turn.state;
  const isCompared = newestDays(manifests, limits.checkDaysKept);
  const isDelivered = newestDays(manifests, limits.deliveryDaysMax);
  for (const manifest of manifests) {
    const { job, day, revision, state } = manifest;
    const known = durable.days.get(dayKey(job, day));
    const isSeen = state === "committed" && (known?.committed ?? 0) <= revision;
    const isNews =
      known === undefined ||
      known.highest < revision ||
      (isSeen && known.committed < revision) ||
      (isSeen && known.figures === undefined && isCompared(manifest)) ||
      (isSeen && !isShown(known, revision) && isDelivered(manifest));
    const run = durable.runs.get(manifest.run);
    // A live run's own manifest is adopted with the run.
    if (!isNews || (run !== undefined && run.ended === undefined)) continue;
    if (isSeen && run?.ended?.state === "quarantined") {
      decide(turn, releasedFact(turn, manifest));
      continue;
    }
    const datasets = manifest.datasets.map((dataset) => dataset.dataset);
    const figures = figuresOf(manifest.datasets, manifest.sources, manifest.speed);
    const found = { kind: "revisionFound", job, day, revision, state, datasets } as const;
    const shown = shownRevision(revision, manifest.wallMs, manifest.datasets);
    decide(turn, state === "committed" ? { ...found, figures, shown } : found);
  }
}

function isShown({ shown = [] }: DayRecord, revision: number): boolean {
  return shown.some((one) => one.revision === revision);
}

/** Is the manifest of one of the newest days of its job? What is remembered of older ones would be forgotten at once. */
function newestDays(
  manifests: readonly RunManifest[],
  daysMax: number,
): (manifest: RunManifest) => boolean {
  const days = new Map<string, Set<string>>();
  for (const { job, day, state } of manifests) {
    if (state === "committed") days.set(job, (days.get(job) ?? new Set()).add(day));
  }
  const first = new Map([...days].map(([job, all]) => [job, [...all].sort().at(-daysMax) ?? ""]));
  return ({ job, day }) => day >= (first.get(job) ?? "");
}

/**
 * Runs that were promised and that the journal does not know: it was lost with them. They start from the beginning, at
 * once or when the day's earlier revision, which an old snapshot shows as live, is closed.
 */
export function restoreRuns(turn: Turn, requests: readonly RunRequest[]): void {
  const { durable } = turn.state;
  const blocked: RunRequest[] = [];
  for (const request of requests) {
    const run = durable.runs.get(request.run);
    const highest = durable.days.get(dayKey(request.spec.name, request.day))?.highest ?? 0;
    const isOver = run === undefined ? request.revision <= highest : run.ended !== undefined;
    if (isOver) {
      const drop = { kind: "dropRequest", epoch: epochOf(turn), run: request.run } as const;
      ask(turn, drop, { kind: "background" });
    } else if (run === undefined && !restore(turn, request)) {
      blocked.push(request);
    }
  }
  turn.state.unrestored = blocked;
}

/** Why executors are turned away by a coordinator that does not lead. */
export function notLeading(leaderAddress: string) {
  return leaderAddress === ""
    ? failure("noLeader", "no coordinator leads at the moment; it is looked for again")
    : failure("notLeader", `this coordinator does not lead; ${leaderAddress} does`);
}
