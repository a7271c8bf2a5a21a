/** By job: what runs of it do, did, and made; its days as the desk judged them last. */
import { limits } from "../../../shared/kernel/limits.ts";
import { type Day, daysSinceEpoch } from "../../../shared/kernel/time.ts";
import { committedMs } from "../alerts/seen.ts";
import { jobNamed } from "../days/jobs.ts";
import type { DaysTally } from "../days/tally.ts";
import type { CoordinatorState } from "../state.ts";
import { byState } from "./cluster-samples.ts";
import { endStates, type JobCounts, noCounts } from "./counted.ts";
import type { Samples } from "./samples.ts";

const dayMs = 86_400_000;

interface JobFigures {
  readonly job: string;
  readonly counts: JobCounts;
  readonly tasks: Record<"waiting" | "running" | "done", number>;
  /** Of the newest commit, epoch milliseconds; 0 = none. */
  committedMs: number;
  /** Empty: none. */
  newestDay: Day;
  /** Absent: it has no schedule, or the desk has not looked yet. */
  readonly tally: DaysTally | undefined;
  readonly isPaused: boolean;
}

/** The jobs that the cluster knows for longest, as many as may be labels. */
export function jobSamples(state: CoordinatorState) {
  const figures = figuresOf(state);
  const scheduled = figures.filter(({ tally }) => tally !== undefined);
  const each = (of: readonly JobFigures[], value: (one: JobFigures) => number | undefined) =>
    of.flatMap((one) => {
      const found = value(one);
      return found === undefined ? [] : [[{ job_name: one.job }, found] as const];
    });
  return {
    daymill_runs_ended_total: figures.flatMap(({ job, counts: { runsEnded } }) =>
      endStates.map((end) => [{ job_name: job, state: end }, runsEnded[end]] as const),
    ),
    daymill_tasks: figures.flatMap(({ job, tasks }) => inJob(job, tasks)),
    daymill_records_read_total: each(figures, ({ counts }) => counts.scans.sums.rowsIn),
    daymill_records_rejected_total: each(figures, ({ counts }) => counts.scans.sums.rejects),
    daymill_input_read_bytes_total: each(figures, ({ counts }) => counts.scans.sums.bytesIn),
    daymill_exchange_sent_bytes_total: each(figures, ({ counts }) => counts.all.sums.exchangeBytes),
    daymill_days: scheduled.flatMap(({ job, tally }) => inJob(job, tally?.states ?? {})),
    daymill_backlog_days: each(scheduled, ({ tally }) => tally?.toDo),
    daymill_backlog_catch_up_seconds: each(
      scheduled,
      ({ tally }) => (tally?.catchUpMs ?? 0) / 1_000,
    ),
    daymill_backlog_paused: each(scheduled, ({ isPaused }) => (isPaused ? 1 : 0)),
    daymill_last_commit_timestamp_seconds: each(figures, (one) =>
      one.committedMs === 0 ? undefined : one.committedMs / 1_000,
    ),
    daymill_newest_day_timestamp_seconds: each(figures, ({ newestDay }) =>
      newestDay === "" ? undefined : (daysSinceEpoch(newestDay) * dayMs) / 1_000,
    ),
    daymill_jobs_omitted: state.durable.names.size - figures.length,
  } satisfies Partial<Samples>;
}

function inJob(job: string, counts: Readonly<Record<string, number>>) {
  return byState(counts).map(([labels, count]) => [{ job_name: job, ...labels }, count] as const);
}

/** One pass over runs and one over days: a cluster may remember thousands of them. */
function figuresOf({ durable, desk, counted }: CoordinatorState): JobFigures[] {
  const names = [...durable.names.keys()].slice(0, limits.metricJobsMax);
  const figures = new Map<string, JobFigures>(
    names.map((job) => {
      const isScheduled = jobNamed(durable, job)?.spec.schedule !== undefined;
      return [
        job,
        {
          job,
          counts: counted.jobs.get(job) ?? noCounts(),
          tasks: { waiting: 0, running: 0, done: 0 },
          committedMs: 0,
          newestDay: "",
          tally: isScheduled ? desk.tallies.get(job) : undefined,
          isPaused: durable.desks.get(job)?.paused !== undefined,
        },
      ];
    }),
  );
  for (const { job, stages } of durable.runs.values()) {
    const tasks = figures.get(job)?.tasks;
    if (tasks === undefined) continue;
    // Those of a run that has ended are gone.
    for (const stage of stages) {
      tasks.waiting += stage.waiting.size;
      tasks.done += stage.done;
      tasks.running += stage.tasks.length - stage.waiting.size - stage.done;
    }
  }
  for (const record of durable.days.values()) {
    const found = figures.get(record.job);
    if (found === undefined || record.committed === 0) continue;
    found.committedMs = Math.max(found.committedMs, committedMs(record) ?? 0);
    if (record.day > found.newestDay) found.newestDay = record.day;
  }
  return [...figures.values()];
}
