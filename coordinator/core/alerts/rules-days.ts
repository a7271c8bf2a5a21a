/** Rules about days: failed, checks not kept, late, not started, input not there. From the desk's own judgements. */
import { alertKey, type Finding } from "../../../shared/kernel/alert.ts";
import { checkSentence } from "../../../shared/kernel/check.ts";
import { formatRunId } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { durationMs, utcText } from "../../../shared/kernel/time.ts";
import type { DayFailed } from "../days/day.ts";
import { retryAt } from "../days/judge.ts";
import { durationText, instantText } from "../days/words.ts";
import { type DayRecord, dayKey, liveRun } from "../durable.ts";
import { type DaySeen, finding, isFresh, type JobSeen, type Rule, type Seen } from "./seen.ts";

/** Files that a cause names. */
const namedFiles = 5;

/** After all tries that are made by themselves. One that failed of a check is `checkFailed`. */
export const runFailed: Rule = (seen) => ({
  findings: failedDays(seen).flatMap(({ record, failed }) => {
    if (failed.code === "checkFailed") return [];
    const { job, day, committed } = record;
    const times = failed.times > 1 ? `, ${failed.times} times in a row` : "";
    const still = committed > 0 ? `; readers see revision ${committed}` : "";
    return finding(
      "runFailed",
      committed > 0 ? "warning" : "critical",
      { job, day },
      {
        summary: `${job} ${day}: run ${failed.run} failed${times}${still}`,
        cause: failed.message,
        next: `daymill run ${failed.run}`,
      },
    );
  }),
});

/** A check that stops the commit or the view, and, less severe, one that only warns. */
export const checkFailed: Rule = (seen) => {
  const stopped = failedDays(seen).flatMap(({ record, failed }) =>
    failed.code === "checkFailed" ? stoppedBy(seen, record, failed) : [],
  );
  const warned = seen.jobs.flatMap(({ records }) =>
    records.filter((record) => isFresh(seen, record)).flatMap((record) => warnedOf(seen, record)),
  );
  return { findings: [...stopped, ...warned] };
};

function stoppedBy({ state }: Seen, record: DayRecord, failed: DayFailed): Finding[] {
  const { job, day, committed, quarantined } = record;
  const checks = state.durable.runs.get(failed.run)?.ended?.checks ?? [];
  const broken = checks.filter((one) => one.state === "failed" && one.severity !== "warn");
  const isHeld =
    quarantined !== undefined && failed.run === formatRunId(job, day, quarantined.revision);
  const what = isHeld ? `run ${failed.run} is in quarantine` : `run ${failed.run} was stopped`;
  const still = committed > 0 ? `; readers see revision ${committed}` : "";
  const found = broken.length > 0 ? broken : [undefined];
  return found.map((check) =>
    finding(
      "checkFailed",
      "critical",
      { job, day, subject: check?.name ?? "" },
      {
        summary: `${job} ${day}: ${what} by check ${check?.name ?? "of the job"}${still}`,
        cause: check === undefined ? failed.message : checkSentence(check),
        next: `daymill run ${failed.run}`,
      },
    ),
  );
}

function warnedOf({ state }: Seen, { job, day, committed }: DayRecord): Finding[] {
  const id = formatRunId(job, day, committed);
  const checks = state.durable.runs.get(id)?.ended?.checks ?? [];
  return checks
    .filter((one) => one.state === "failed" && one.severity === "warn")
    .map((check) =>
      finding(
        "checkFailed",
        "warning",
        { job, day, subject: check.name },
        {
          summary: `${job} ${day}: check ${check.name} was not kept; the day is committed`,
          cause: checkSentence(check),
          next: `daymill run ${id}`,
        },
      ),
    );
}

interface FailedDay {
  readonly record: DayRecord;
  readonly failed: DayFailed;
}

/** Days whose last run failed for good. While a day is run again it is still one of them, until it commits. */
function failedDays(seen: Seen): readonly FailedDay[] {
  return seen.jobs.flatMap((job) =>
    job.records.flatMap((record) => {
      const { failed, skipped, committed } = record;
      if (failed === undefined || failed.code === "cancelled") return [];
      if (skipped !== undefined && committed === 0) return [];
      const isInWindow = job.days.some((day) => day.record === record);
      const isOld = seen.nowMs - failed.wallMs > limits.oldFailureShownMs;
      if (!isInWindow && isOld) return [];
      const isRetried = (isInWindow || isInBackfill(seen, record)) && willRetry(failed);
      return isRetried ? [] : [{ record, failed }];
    }),
  );
}

/** What is tried for as long as it takes is told of after as many failures as anything else. */
function willRetry(failed: DayFailed): boolean {
  return retryAt(failed) !== undefined && failed.times < limits.dayRunsFailedMax;
}

function isInBackfill({ state }: Seen, { job, day }: DayRecord): boolean {
  const all = state.durable.desks.get(job)?.backfills ?? [];
  return all.some(({ days, state: of }) => of === "running" && days[day]?.state === "taken");
}

// --- deadlines ----------------------------------------------------------------------------------

export const deadlineMissed: Rule = (seen) => ({
  findings: ofDays(seen, (job, { record, judgement, late }) =>
    late.flatMap(({ what, finishByMs, model, projectedMs }) => {
      // What was due before the job was known is shown, and nobody is called.
      if (projectedMs !== undefined || record.passedOver?.includes(what) === true) return [];
      const of = model === undefined ? "" : ` (${model})`;
      return finding(
        "deadlineMissed",
        "critical",
        { job: job.name, day: record.day, subject: model ?? "" },
        {
          summary: `${job.name} ${record.day}${of} is late: it was to be done at ${utcText(finishByMs)}`,
          cause: `${judgement.state}: ${judgement.reason}`,
          next: nextFor(seen, record),
        },
      );
    }),
  ),
});

export const deadlineProjected: Rule = (seen) => ({
  findings: ofDays(seen, (job, { record, judgement, late, isDue }) =>
    late.flatMap(({ finishByMs, projectedMs }) => {
      // Before its start nobody can do anything about it.
      if (projectedMs === undefined || !isDue) return [];
      const by = durationText(projectedMs - finishByMs);
      return finding(
        "deadlineProjected",
        "warning",
        { job: job.name, day: record.day },
        {
          summary: `${job.name} ${record.day} will be late by ${by}: it is to be done at ${utcText(finishByMs)}`,
          cause: `${judgement.state}: ${judgement.reason}`,
          next: nextFor(seen, record),
        },
      );
    }),
  ),
});

// --- what does not begin ------------------------------------------------------------------------

/** The newest day that is due is ready, or its run can't be made, and there is none. */
export const runNotStarted: Rule = (seen) => ({
  findings: ofDays(seen, (job, { record, judgement, isLive }) => {
    const { plan, input, failed } = record;
    if (!isLive || plan === undefined || record.committed > 0) return [];
    const refused = seen.state.desk.refused.get(dayKey(record.job, record.day));
    const isRefused = judgement.state === "failed" && failed === undefined && refused !== undefined;
    if (judgement.action.kind !== "run" && !isRefused) return [];
    const readyMs = Math.max(plan.startMs, isRefused ? 0 : (input?.wallMs ?? 0));
    if (seen.nowMs - readyMs <= seen.config.thresholds.notStartedAfterMs) return [];
    return finding(
      "runNotStarted",
      "critical",
      { job: job.name, day: record.day },
      {
        summary: `${job.name} ${record.day} has no run, and was ready ${instantText(readyMs, seen.nowMs)}`,
        cause: judgement.reason,
        next: `daymill backlog ${job.name}`,
      },
    );
  }),
});

/** Nothing lies there although its start, and the time that it is waited for, have passed. */
export const inputMissing: Rule = (seen) => ({
  findings: ofDays(seen, (job, { record, judgement }) => {
    if (!isWaitedTooLong(seen, job, record, judgement.state)) return [];
    const isThere = (record.input?.files ?? 0) > 0;
    if (isThere && !isComing(seen, record)) return [];
    const what = isThere ? "its input has come, and is still changing" : "no input";
    return [inputFinding("inputMissing", "critical", job, record, judgement.reason, what)];
  }),
});

/** Somebody was told that it is missing. Until what has come lies still that is not over, and nothing else is wrong. */
function isComing({ state }: Seen, { job, day, input }: DayRecord): boolean {
  const key = alertKey({ rule: "inputMissing", job, day, subject: "" });
  return input?.isSettled === false && state.durable.alerts?.open.has(key) === true;
}

/** Some of it is missing: the day waits, or has been made without it. */
export const inputIncomplete: Rule = (seen) => ({
  findings: ofDays(seen, (job, { record, judgement }) => {
    const { input, made, committed } = record;
    if (committed > 0 && made !== undefined && made.missing > 0) {
      const what = `revision ${committed} lacks ${made.missing} of its files`;
      return [inputFinding("inputIncomplete", "warning", job, record, judgement.reason, what)];
    }
    if (!isWaitedTooLong(seen, job, record, judgement.state)) return [];
    if (input === undefined || input.files === 0 || isComing(seen, record)) return [];
    const what = "not all of its input is there, and it waits";
    return [inputFinding("inputIncomplete", "critical", job, record, judgement.reason, what)];
  }),
});

function isWaitedTooLong(
  { nowMs, config }: Seen,
  { spec }: JobSeen,
  { plan, committed }: DayRecord,
  state: DaySeen["judgement"]["state"],
): boolean {
  if (state !== "missing input" || plan === undefined || committed > 0) return false;
  const graces = Object.values(spec.ready ?? {}).map(({ grace }) => durationMs(grace ?? "") ?? 0);
  const graceMs = Math.max(config.thresholds.notStartedAfterMs, ...graces);
  return nowMs > plan.startMs + graceMs;
}

function inputFinding(
  rule: "inputMissing" | "inputIncomplete",
  severity: Finding["severity"],
  { name }: JobSeen,
  { day, input }: DayRecord,
  reason: string,
  what: string,
): Finding {
  const missing = input?.missing ?? [];
  const total = input?.missingTotal ?? 0;
  const shown = missing.slice(0, namedFiles).join(", ");
  const more = total > namedFiles ? ` and ${total - namedFiles} more` : "";
  const cause = shown === "" ? reason : `${reason}. Missing: ${shown}${more}`;
  const texts = { summary: `${name} ${day}: ${what}`, cause, next: `daymill backlog ${name}` };
  return finding(rule, severity, { job: name, day }, texts);
}

// --- words --------------------------------------------------------------------------------------

function ofDays(
  { jobs }: Seen,
  find: (job: JobSeen, day: DaySeen) => Finding | readonly Finding[],
): readonly Finding[] {
  return jobs.flatMap((job) => job.days.flatMap((day) => find(job, day)));
}

function nextFor({ state }: Seen, { job, day }: DayRecord): string {
  const run = liveRun(state.durable, job, day);
  return run === undefined ? `daymill backlog ${job}` : `daymill watch ${run.id}`;
}
