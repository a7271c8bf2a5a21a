/** What rules look at: the state, the time, and of each job its days with the judgements that the desk acts on. */
import type { AlertConfig, AlertRule, Finding, Severity } from "../../../shared/kernel/alert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import { type Lateness, latenessOf } from "../days/deadlines.ts";
import { viewOf } from "../days/desk.ts";
import { usualRunMs } from "../days/durations.ts";
import { jobNamed, type NamedJob } from "../days/jobs.ts";
import { type Judgement, judgeDay } from "../days/judge.ts";
import { windowOf } from "../days/window.ts";
import { type DayRecord, laneOf, liveRuns, type Run } from "../durable.ts";
import type { CoordinatorState } from "../state.ts";
import type { Turn } from "../turn.ts";
import { type Measured, measuredDays } from "./speed.ts";

export interface Seen {
  readonly state: CoordinatorState;
  readonly config: AlertConfig;
  /** Wall clock, epoch milliseconds. */
  readonly nowMs: number;
  /** For how long this leader leads. */
  readonly ledForMs: number;
  readonly jobs: readonly JobSeen[];
}

export interface JobSeen extends NamedJob {
  readonly name: string;
  /** All that are remembered, newest first. */
  readonly records: readonly DayRecord[];
  /** Days that the desk acts on, newest first; none of a job without a schedule. */
  readonly days: readonly DaySeen[];
  /** Days with a speed, oldest first. */
  readonly measured: readonly Measured[];
  /** The run of the newest day that is under way and live. */
  readonly live: Run | undefined;
}

export interface DaySeen {
  readonly record: DayRecord;
  readonly judgement: Judgement;
  /** The newest day that is due; all older ones are the backlog. */
  readonly isLive: boolean;
  readonly isDue: boolean;
  readonly late: readonly Lateness[];
}

export function lookAtAll(turn: Turn, config: AlertConfig): Seen {
  const { state } = turn;
  const { durable } = state;
  const records = new Map<string, DayRecord[]>();
  for (const record of durable.days.values()) {
    const known = records.get(record.job);
    if (known === undefined) records.set(record.job, [record]);
    else known.push(record);
  }
  const jobs = [...durable.names.keys()].flatMap((name) => {
    const job = jobNamed(durable, name);
    const all = [...(records.get(name) ?? [])].sort((a, b) => (a.day < b.day ? 1 : -1));
    return job === undefined ? [] : [lookAtJob(turn, job, all)];
  });
  return { state, config, nowMs: turn.wall, ledForMs: turn.at - state.alerts.ledAt, jobs };
}

function lookAtJob(turn: Turn, job: NamedJob, records: readonly DayRecord[]): JobSeen {
  const { durable } = turn.state;
  const { name } = job.spec;
  const usualMs = usualRunMs(durable.runs.values(), name);
  const window = job.spec.schedule === undefined ? [] : windowOf(turn, job);
  const isDue = ({ plan }: DayRecord) => plan !== undefined && plan.startMs <= turn.wall;
  const newestDue = window.find(isDue);
  const days = window.map((record): DaySeen => {
    const judgement = judgeDay(viewOf(turn, job, record));
    return {
      record,
      judgement,
      isLive: record === newestDue,
      isDue: isDue(record),
      late: latenessOf(turn, record, judgement, usualMs),
    };
  });
  const live = liveRuns(durable).findLast(
    (run) => run.job === name && laneOf(run) === "live" && run.isGathering !== true,
  );
  return { ...job, name, records, days, measured: measuredDays(records), live };
}

/** What a rule gives. */
export interface Found {
  readonly findings: readonly Finding[];
  /** Open alerts of the rule that it can't judge at the moment: they stay open. */
  readonly isBlindTo?: (about: Pick<Finding, "job" | "day" | "subject"> & Since) => boolean;
}

interface Since {
  readonly sinceMs: number;
}

export type Rule = (seen: Seen) => Found;

/** What a finding is about; what is left out is empty. */
export interface About {
  readonly job?: string;
  readonly day?: Day;
  readonly subject?: string;
}

/** Its texts are cut to what an alert may have. */
export function finding(
  rule: AlertRule,
  severity: Severity,
  { job = "", day = "", subject = "" }: About,
  texts: Pick<Finding, "summary" | "cause" | "next">,
): Finding {
  const summary = cut(texts.summary);
  return { rule, severity, job, day, subject, summary, cause: cut(texts.cause), next: texts.next };
}

function cut(text: string): string {
  const most = limits.alertTextCharactersMax;
  const line = text.replaceAll("\n", " ");
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}

/** When readers came to see a day's revision; undefined: that is not known. */
export function committedMs({ figures, made }: DayRecord): number | undefined {
  return made?.wallMs ?? figures?.speed?.endedMs;
}

/** What is odd about a committed day is told of for a while. */
export function isFresh(seen: Seen, record: DayRecord): boolean {
  const ms = record.committed === 0 ? undefined : committedMs(record);
  return ms !== undefined && seen.nowMs - ms < limits.committedShownMs;
}
