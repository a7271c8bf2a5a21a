/** Rules about how runs go: slow, too few records a second, a trend, odd volumes, many rejects. */
import type { Finding } from "../../../shared/kernel/alert.ts";
import { formatRunId } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { grouped, medianOf, usualOf } from "../check-history.ts";
import { durationText } from "../days/words.ts";
import { type DayRecord, liveRun, type Run } from "../durable.ts";
import { speedOf } from "../run-speed.ts";
import { isComplete } from "../stage-graph.ts";
import { runStatus, waitingText } from "../views.ts";
import { finding, isFresh, type JobSeen, type Rule, type Seen } from "./seen.ts";
import { isSlow, type Judged, lowThroughput, trendOf, usualFor } from "./speed.ts";

/** Judged while it runs, and for a day after its commit. */
export const runSlow: Rule = (seen) => ({
  findings: judgedRuns(seen, (job, run) => {
    const usual = usualFor(run, job.measured, seen.config.thresholds);
    if (usual === undefined || !isSlow(run.durationMs, usual, seen.config.thresholds)) return [];
    const verb = run.isRunning ? "has taken" : "took";
    const { durationMs, runs } = usual;
    return finding(
      "runSlow",
      "warning",
      { job: job.name, day: run.day },
      {
        summary:
          `${job.name} ${run.day}: run ${run.id} ${verb} ${durationText(run.durationMs)}` +
          `${run.isRunning ? " so far" : ""}, usual are ${durationText(durationMs)} (median of ${runs} runs)`,
        cause: slowPart(seen, run.id),
        next: run.isRunning ? `daymill watch ${run.id}` : `daymill run ${run.id}`,
      },
    );
  }),
});

export const throughputLow: Rule = (seen) => ({
  findings: judgedRuns(seen, (job, run) => {
    const usual = usualFor(run, job.measured, seen.config.thresholds);
    const low = usual && lowThroughput(run, usual.of, seen.config.thresholds);
    if (low === undefined) return [];
    const rates = `${rateText(low.rate)} records a second, usual are ${rateText(low.usual)}`;
    return finding(
      "throughputLow",
      "warning",
      { job: job.name, day: run.day },
      {
        summary: `${job.name} ${run.day}: run ${run.id} made ${rates}`,
        cause: slowPart(seen, run.id),
        next: `daymill run ${run.id}`,
      },
    );
  }),
});

function rateText(rate: number): string {
  return rate < 10 ? String(Number(rate.toPrecision(2))) : grouped(rate);
}

/** One slow run is a warning, a trend is not: nobody's day was unlucky. */
export const runsSlowing: Rule = (seen) => ({
  findings: seen.jobs.flatMap(({ name, measured }) => {
    const trend = trendOf(measured, seen.config.thresholds);
    if (trend === undefined) return [];
    const { lastMs, usualMs, runs, from } = trend;
    const was = `${durationText(usualMs)} (median of ${runs} runs)`;
    return finding(
      "runsSlowing",
      "critical",
      { job: name },
      {
        summary: `${name}: the last ${limits.trendRuns} runs took ${durationText(lastMs)} in the median, before that ${was}`,
        cause: `runs are slower since ${from}, with the input that is usual`,
        next: `daymill runs --job ${name}`,
      },
    );
  }),
});

interface JudgedRun extends Judged {
  readonly id: string;
  readonly isRunning: boolean;
}

function judgedRuns(
  seen: Seen,
  find: (job: JobSeen, run: JudgedRun) => Finding | readonly Finding[],
): readonly Finding[] {
  return seen.jobs.flatMap((job) => {
    const committed = job.records.flatMap((record) => committedRun(seen, job, record));
    return [...committed, ...runningRun(seen, job)].flatMap((run) => find(job, run));
  });
}

function committedRun(seen: Seen, { measured, name }: JobSeen, record: DayRecord): JudgedRun[] {
  // Made again by a run that is under way: that one is judged.
  if (!isFresh(seen, record) || liveRun(seen.state.durable, name, record.day)) return [];
  const one = measured.find(({ day }) => day === record.day);
  if (one === undefined) return [];
  const { day, bytes, speed } = one;
  const { made } = record;
  // A later run took rows of its day from the exchange: what is known of time is that of the earlier one, and is past.
  if (made !== undefined && speed.run !== formatRunId(name, day, made.revision)) return [];
  const { run: id, kind, durationMs, rows } = speed;
  return [{ id, day, kind, durationMs, rows, bytes, isRunning: false }];
}

function runningRun(seen: Seen, { live, records }: JobSeen): JudgedRun[] {
  if (live === undefined || live.ending !== undefined) return [];
  const { id, day, stages } = live;
  const { kind, durationMs, rows } = speedOf(live, seen.nowMs);
  const scans = stages.filter((stage) => stage.kind === "scan");
  const hasRead = scans.length > 0 && scans.every(isComplete);
  // Of a day that runs on command nobody looked before: its run says what there is once that is listed.
  const bytes = records.find((record) => record.day === day)?.input?.bytes ?? listedBytes(live);
  return [{ id, day, kind, durationMs, bytes, isRunning: true, ...(hasRead ? { rows } : {}) }];
}

/** Splits of a file that is read by ranges name it more than once. */
function listedBytes({ stages }: Run): number {
  const sizes = new Map<string, number>();
  for (const { files } of stages.flatMap(({ splits }) => splits)) {
    for (const { path, size } of files) sizes.set(path, size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** What took, or takes, the longest; for a run that waits, or has waited longer than that, what for. */
function slowPart({ state, nowMs }: Seen, id: string): string {
  const run = state.durable.runs.get(id);
  if (run === undefined) return "the run is not remembered any more";
  const waiting = waitingText(state, id);
  if (waiting !== undefined) return waiting;
  const spans = runStatus(run).stages.flatMap(({ label, tasks, done, startedMs, endedMs }) =>
    startedMs === 0
      ? []
      : [{ label, tasks, done, startedMs, ms: (endedMs === 0 ? nowMs : endedMs) - startedMs }],
  );
  const [longest] = spans.sort((a, b) => b.ms - a.ms);
  if (longest === undefined) return "no task of it has begun yet";
  const beganMs = Math.min(...spans.map(({ startedMs }) => startedMs));
  if (beganMs - run.createdMs > longest.ms) {
    return `for ${durationText(beganMs - run.createdMs)} no task of it could begin: all slots were taken, or there were none`;
  }
  const { label, tasks, done, ms } = longest;
  const executors = [...state.executors.values()].filter(({ lost }) => !lost).length;
  const part = done < tasks ? `${done} of ${tasks} tasks in ${durationText(ms)}` : durationText(ms);
  return `most of the time went into ${label}: ${part}, with ${executors} executors`;
}

// --- what a day brought -------------------------------------------------------------------------

/** Rows of each source against those of earlier days of the same weekday. */
export const volumeOdd: Rule = (seen) => ({
  findings: seen.jobs.flatMap(({ name, records }) =>
    records
      .filter((record) => isFresh(seen, record))
      .flatMap((record) =>
        Object.keys(record.figures?.sources ?? {}).flatMap((source) =>
          oddVolume(seen, name, record, source),
        ),
      ),
  ),
});

function oddVolume(
  { state, config }: Seen,
  job: string,
  record: DayRecord,
  source: string,
): Finding[] {
  const { volumeLow, volumeHigh, baselineRunsMin } = config.thresholds;
  const rows = record.figures?.sources[source]?.rows;
  const { points, weekday } = usualOf(state.durable, job, record.day, (figures) => {
    return figures.sources[source]?.rows;
  });
  // No more than this many are looked at.
  const least = Math.min(baselineRunsMin, limits.checkPointsMax);
  if (rows === undefined || points.length === 0 || points.length < least) return [];
  const usual = medianOf(points);
  if (rows >= volumeLow * usual && rows <= volumeHigh * usual) return [];
  const share = usual === 0 ? "" : `, ${Math.round((100 * rows) / usual)} % of what is usual`;
  const summary = `${job} ${record.day}: source ${source} brought ${grouped(rows)} rows${share}`;
  return [
    finding(
      "volumeOdd",
      rows === 0 ? "critical" : "warning",
      { job, day: record.day, subject: source },
      {
        summary,
        cause: `usual are ${grouped(usual)} (median of ${points.length} ${weekday}s)`,
        next: `daymill run ${formatRunId(job, record.day, record.committed)}`,
      },
    ),
  ];
}

/** As soon as a source is read, and for a day after the commit. */
export const rejectsHigh: Rule = (seen) => ({
  findings: seen.jobs.flatMap((job) => [
    ...job.records
      .filter((record) => isFresh(seen, record))
      .flatMap((record) =>
        Object.entries(record.figures?.sources ?? {}).flatMap(([source, figures]) =>
          manyRejects(seen, { ...figures, job: job.name, source, ...runOf(record) }),
        ),
      ),
    ...readSources(job).flatMap((one) => manyRejects(seen, { ...one, job: job.name })),
  ]),
});

function runOf({ job, day, committed }: DayRecord) {
  return { day, run: formatRunId(job, day, committed) };
}

function readSources({ live }: JobSeen) {
  if (live === undefined) return [];
  const { id: run, day, plan } = live;
  return live.stages.flatMap((stage, index) => {
    const input = plan.stages[index]?.input;
    if (input?.kind !== "scan" || stage.kind !== "scan" || !isComplete(stage)) return [];
    const { lines, rejects } = stage.sums;
    return [{ source: input.source, day, run, lines, rejects }];
  });
}

interface Read {
  readonly job: string;
  readonly day: string;
  readonly run: string;
  readonly source: string;
  readonly lines?: number;
  readonly rejects?: number;
}

function manyRejects(
  { config }: Seen,
  { job, day, run, source, lines = 0, rejects = 0 }: Read,
): Finding[] {
  if (lines === 0 || rejects <= config.thresholds.rejectsShare * lines) return [];
  const share = Number(((100 * rejects) / lines).toPrecision(2));
  return [
    finding(
      "rejectsHigh",
      "warning",
      { job, day, subject: source },
      {
        summary: `${job} ${day}: ${share} % of the lines of source ${source} were rejected`,
        cause: `${grouped(rejects)} of ${grouped(lines)} lines; the _rejects files of run ${run} say why`,
        next: `daymill run ${run}`,
      },
    ),
  ];
}
