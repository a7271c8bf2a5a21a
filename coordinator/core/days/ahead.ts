/**
 * Work ahead: a day that is not ready gets its run early, in the lane that takes what others leave. It maps files that
 * are final (gathering.ts), so that at the start only the last files and the reduces remain. The desk begins, tends and
 * closes such runs here; what can't be gone on with is ended, for it has cost nothing that anybody waits for.
 */
import { limits } from "../../../shared/kernel/limits.ts";
import { type DayRecord, dayKey, isClosing, liveRuns, nextRun, type Run } from "../durable.ts";
import { abandon, grow, mappable, progress } from "../gathering.ts";
import { listInputs } from "../run-flow.ts";
import type { Submission } from "../state.ts";
import { decide, type Turn } from "../turn.ts";
import { recordOf } from "./fold-days.ts";
import { jobNamed, type NamedJob } from "./jobs.ts";
import type { DayView, Judgement } from "./judge.ts";
import { submitByDesk } from "./starting.ts";
import { filesText } from "./words.ts";

/** Its day is not ready, and nobody asked for it: for people and for the backlog it has not begun. */
export function isAhead(run: Run): boolean {
  return run.isGathering === true && !isClosing(run);
}

/** A run that is about to be created so; who submits the day meanwhile makes it an ordinary one. */
export function isAheadSoon({ isGathering, lane }: Submission): boolean {
  return isGathering === true && lane === "ahead";
}

/** The highest revision whose run has begun the day: those behind it have mapped ahead and nothing else. */
export function highestBegun(record: DayRecord | undefined, live: Run | undefined): number {
  const { highest = 0, gathered } = record ?? {};
  const named = live !== undefined && isAhead(live) ? live.revision - 1 : highest;
  return named > 0 && gathered?.to === named ? (gathered.from ?? named) - 1 : named;
}

/** What people are told of such a run: `60 of 96 files mapped ahead`. */
export function aheadText(run: Run, { input }: DayRecord): string | undefined {
  const { files } = progress(run);
  if (files === 0) return undefined;
  return `${files} of ${filesText(Math.max(files, input?.files ?? 0))} mapped ahead`;
}

/** Begins a run for a day that is waited for, once a file of it is final. */
export function gatherDay(
  turn: Turn,
  { spec, digest }: NamedJob,
  record: DayRecord,
  view: DayView,
  { state }: Judgement,
): void {
  const { job, day, committed, quarantined, failed, gathered } = record;
  if (spec.workAhead === false || (state !== "waiting" && state !== "missing input")) return;
  if (committed > 0 || quarantined !== undefined || failed !== undefined) return;
  if (gathered?.jobDigest === digest || turn.state.space.isOver) return;
  if (view.refused !== undefined && view.refused.untilMs > turn.wall) return;
  if (liveRuns(turn.state.durable).filter(isAhead).length >= limits.aheadRunsMax) return;
  if (!hasFinal(turn, spec, record)) return;
  const { revision } = nextRun(turn.state.durable, job, day);
  submitByDesk(turn, {
    job: spec,
    digest,
    day,
    requestId: `auto.${job}.${day}.r${revision}`,
    lane: "ahead",
    isGathering: true,
    byDesk: { origin: "schedule", missing: 0, upstream: {} },
  });
}

function hasFinal(turn: Turn, spec: NamedJob["spec"], { job, day }: DayRecord): boolean {
  const verdict = turn.state.desk.looks.get(dayKey(job, day))?.verdict;
  return spec.sources.some(({ name, format }) => {
    const final = verdict?.sources.find(({ source }) => source === name)?.final ?? [];
    return mappable(spec, format, final).length > 0;
  });
}

/** The day is ready: what its run still lacks is listed. */
export function closeDay(
  turn: Turn,
  run: Run,
  start: Pick<Submission, "lane"> & Required<Pick<Submission, "byDesk">>,
): void {
  if (!isAhead(run) || run.ending !== undefined) return;
  // Of another form of the job: it ends now (`tendGathering`), and the day has a run of its own.
  if (jobNamed(turn.state.durable, run.job)?.digest !== run.jobDigest) return;
  const { lane, byDesk } = start;
  if (byDesk === undefined) return;
  decide(turn, { kind: "runClosing", run: run.id, lane, ...byDesk });
  if (run.state === "running") listInputs(turn, run.id);
}

/** Whoever submits a day means this form of the job, and not one that nobody asked for. */
export function leaveOtherForm(turn: Turn, run: Run, digest: string): void {
  if (isAhead(run) && run.jobDigest !== digest) abandon(turn, run, jobChanged);
}

const jobChanged = "the job has changed";

/** All runs that gather: those that nobody wants any more end, others take what has become final. */
export function tendGathering(turn: Turn, isInWindow: (record: DayRecord) => boolean): void {
  for (const run of liveRuns(turn.state.durable)) {
    if (run.isGathering !== true || run.ending !== undefined) continue;
    if (isClosing(run)) {
      if (run.state === "running" && !isListing(turn, run)) listInputs(turn, run.id);
      continue;
    }
    const why = unwanted(turn, run, isInWindow);
    if (why !== undefined) abandon(turn, run, why);
    else if (run.state === "running") grow(turn, run);
  }
}

/** A new leader has to ask again. */
function isListing({ state }: Turn, run: Run): boolean {
  const all = [...state.asked.values(), ...state.retries];
  return all.some(
    ({ ask, purpose }) =>
      ask.kind === "listInputs" && purpose.kind === "run" && purpose.run === run.id,
  );
}

function unwanted(
  turn: Turn,
  run: Run,
  isInWindow: (record: DayRecord) => boolean,
): string | undefined {
  const { durable, space, desk } = turn.state;
  const job = jobNamed(durable, run.job);
  const record = recordOf(durable, run.job, run.day);
  if (job?.spec.schedule === undefined) return "the job has no schedule any more";
  if (job.digest !== run.jobDigest) return jobChanged;
  // A new leader that knows no day has to ask the calendar first.
  const isKnown = (desk.calendars.get(run.job)?.starts.length ?? 0) > 0;
  if (record?.plan === undefined && !isKnown) return undefined;
  if (record === undefined || !isInWindow(record)) return "the day is older than the window";
  if (record.held !== undefined) return "the day is held";
  if (record.skipped !== undefined) return "the day is skipped";
  if (record.committed > 0) return "the day has a revision";
  return space.isOver ? "the exchange is short of room" : undefined;
}
