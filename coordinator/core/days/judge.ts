/**
 * The state of a day, why, and what is done about it: one total function. The desk acts on it and people are shown it,
 * so what they read is what happens. It decides from what the journal has, the time, and nothing else.
 */
import { classOf } from "../../../shared/kernel/failure.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { RunNews } from "../../../shared/kernel/status.ts";
import { type HistoryDay, movedDay } from "../history.ts";
import type { DayFailed, DayMemory, InputKnown } from "./day.ts";
import { otherFiles } from "./day.ts";
import { filesText, instantText } from "./words.ts";

export const dayStates = [
  "waiting",
  "ready",
  "running",
  "done",
  "provisional",
  "failed",
  "missing input",
  "stale",
  "skipped",
  "held",
] as const;

export type DayState = (typeof dayStates)[number];

export type DayAction =
  | { readonly kind: "none" }
  /** Looked at again by itself, at the latest at this time (epoch milliseconds) where one is known. */
  | {
      readonly kind: "wait";
      readonly untilMs?: number;
      /** It is about to be run: somebody looks at its input, or an earlier day that it reads is being made. */
      readonly isSoon?: true;
    }
  | {
      readonly kind: "run";
      readonly why: string;
      readonly missing: number;
      /** What has changed, where that is why. */
      readonly news?: RunNews;
    };

export interface Judgement {
  readonly state: DayState;
  /** One sentence without its full stop. */
  readonly reason: string;
  readonly action: DayAction;
}

/** A day of another job that this one waits for. */
export interface UpstreamDay {
  /** `job/dataset`. */
  readonly name: string;
  /** Committed revision, 0 = none. */
  readonly revision: number;
}

export interface DayView {
  readonly job: JobSpec;
  /** Of the job's newest form. */
  readonly jobDigest: string;
  /** What the day's rows would be made from now (`definitionOf`); absent where that of the revision is not known. */
  readonly definition?: string;
  readonly memory: DayMemory;
  /** Committed revision, 0 = none. */
  readonly committed: number;
  /** The run that has not ended, in words; a submission under way counts. */
  readonly live: string | undefined;
  /** What its run has mapped although the day is not ready, in words. */
  readonly ahead?: string | undefined;
  readonly upstream: readonly UpstreamDay[];
  /** Days whose rows it reads, oldest first, as they are now. Absent: none. */
  readonly history?: readonly HistoryDay[];
  /** The oldest of them that is being made, or about to be, in words. */
  readonly earlier?: string | undefined;
  /** It is the newest day of its job that is due: its files are not kept waiting for earlier days. */
  readonly isNewest?: boolean;
  readonly nowMs: number;
  /** Its start could not be made: why, and when it is tried again. */
  readonly refused?: { readonly message: string; readonly untilMs: number };
}

const nothing: DayAction = { kind: "none" };

export function judgeDay(view: DayView): Judgement {
  const { memory, live, refused, nowMs } = view;
  if (live !== undefined) return { state: "running", reason: live, action: nothing };
  if (memory.held !== undefined) {
    return { state: "held", reason: memory.held.reason || "no reason given", action: nothing };
  }
  if (memory.skipped !== undefined && view.committed === 0) {
    return {
      state: "skipped",
      reason: memory.skipped.reason || "no reason given",
      action: nothing,
    };
  }
  const judged = view.committed > 0 ? committedDay(view) : openDay(view);
  if (judged.action.kind === "wait" && view.ahead !== undefined) {
    return { ...judged, reason: `${judged.reason}; ${view.ahead}` };
  }
  if (judged.action.kind !== "run" || refused === undefined || refused.untilMs <= nowMs) {
    return judged;
  }
  const { message, untilMs } = refused;
  return { state: "failed", reason: message, action: { kind: "wait", untilMs } };
}

/** Readers see a revision: is it still what the day is? */
function committedDay(view: DayView): Judgement {
  const { memory, job } = view;
  const { made, input, wanted } = memory;
  const news = newsOf(view);
  if (news === undefined && wanted !== undefined) {
    return start("stale", `to be made again: ${wanted.reason}`, made?.missing ?? 0);
  }
  if (news === undefined) return restingDay(view);
  const { what, reason } = news;
  const failed = failedSince(view);
  if (failed !== undefined) return failed;
  const state = made !== undefined && made.missing > 0 ? "provisional" : "stale";
  if (what === "input" && isAnswered(memory)) {
    const how =
      "a run that was begun because of that found other files; it runs again when they change, or on command";
    return { state, reason: `${what}: ${reason}; ${how}`, action: { kind: "wait" } };
  }
  if (what === "definition" && job.onChange !== "rerun" && wanted === undefined) {
    const how = "it runs again on command, or by itself with on_change: rerun";
    return { state: "stale", reason: `definition: ${reason}; ${how}`, action: nothing };
  }
  if (input !== undefined && input.verdict === "waiting") {
    return { state, reason: `${what}: ${reason}; ${input.reason}`, action: { kind: "wait" } };
  }
  const why = `${what}: ${reason}`;
  if (isKept(view, what === "input")) {
    return waitsForEarlier(state, `${why}; waits for ${view.earlier}`);
  }
  return start(state, why, input?.verdict === "gaps" ? input.missingTotal : 0, what);
}

/**
 * Does a day that could run wait for an earlier one that it reads? Not where somebody wants it, nor the newest day with
 * its own files: it is made again when the others are there.
 */
function isKept({ earlier, isNewest, memory }: DayView, isForFiles: boolean): boolean {
  if (earlier === undefined || memory.wanted !== undefined) return false;
  return !(isForFiles && isNewest === true);
}

function waitsForEarlier(state: DayState, reason: string): Judgement {
  return { state, reason, action: { kind: "wait", isSoon: true } };
}

function restingDay({ memory: { made }, committed }: DayView): Judgement {
  if (made !== undefined && made.missing > 0) {
    const reason = `${filesText(made.missing)} missing in revision ${committed}; it runs again when they come`;
    return { state: "provisional", reason, action: { kind: "wait" } };
  }
  return { state: "done", reason: `revision ${committed}`, action: nothing };
}

/** A look and a listing that never agree must not run a day for ever. */
function isAnswered({ made, input, wanted }: DayMemory): boolean {
  if (wanted !== undefined || made?.answers === undefined || input === undefined) return false;
  return !otherFiles(made.answers, input.digests);
}

interface News {
  readonly what: RunNews;
  readonly reason: string;
}

function newsOf(view: DayView): News | undefined {
  const { memory, upstream, history = [], jobDigest, definition, nowMs } = view;
  const { made, input } = memory;
  // Made under a journal that is lost: what it was made from is not known, and nothing says that it has changed.
  if (made === undefined) return undefined;
  if (input !== undefined && input.files > 0 && otherFiles(made.digests, input.digests)) {
    const since = `files have come, changed or gone since revision ${made.revision}`;
    const reason = input.isSettled ? since : `${since}, and are still changing`;
    return { what: "input", reason };
  }
  const moved = upstream.find(({ name, revision }) => revision > (made.upstream[name] ?? revision));
  if (moved !== undefined) {
    const { name, revision } = moved;
    return { what: "upstream", reason: `${name} has revision ${revision} now` };
  }
  const read = movedDay(made, history);
  if (read !== undefined) {
    const { name, since } = read;
    const was = made.upstream[name] ?? 0;
    const reason =
      was === 0
        ? `${name} has revision ${since} now, and revision ${made.revision} was made without it`
        : `${name} has other rows since revision ${since}, and revision ${made.revision} was made from revision ${was}`;
    return { what: "upstream", reason };
  }
  // Not every change of a job file changes a day's rows.
  const isSame = definition !== undefined && definition === made.definition;
  if (isSame || jobDigest === made.jobDigest) return undefined;
  const age = instantText(made.wallMs, nowMs);
  return {
    what: "definition",
    reason: `revision ${made.revision} (${age}) is of another form of the job`,
  };
}

/** No revision yet. */
function openDay(view: DayView): Judgement {
  const { memory, nowMs } = view;
  const { plan, input, wanted } = memory;
  const failed = failedSince(view);
  if (failed !== undefined) return failed;
  if (plan === undefined && wanted === undefined) {
    return { state: "waiting", reason: "nothing is planned for it", action: nothing };
  }
  const startMs = plan?.startMs ?? 0;
  if (nowMs < startMs) {
    const files = input === undefined ? "" : `; ${input.reason}`;
    const reason = `starts ${instantText(startMs, nowMs)}${files}`;
    return { state: "waiting", reason, action: { kind: "wait", untilMs: startMs } };
  }
  const behind = view.upstream.filter(({ revision }) => revision === 0);
  if (behind.length > 0) {
    const names = behind.map(({ name }) => name).join(", ");
    return { state: "waiting", reason: `waits for ${names}`, action: { kind: "wait" } };
  }
  if (input === undefined) {
    const action = { kind: "wait", isSoon: true } as const;
    return { state: "waiting", reason: "its input is being looked at", action };
  }
  switch (input.verdict) {
    case "waiting":
      return { state: "missing input", reason: input.reason, action: { kind: "wait" } };
    case "gaps":
    case "ready": {
      if (isKept(view, true)) {
        return waitsForEarlier("waiting", `${input.reason}; waits for ${view.earlier}`);
      }
      return start("ready", input.reason, input.verdict === "gaps" ? input.missingTotal : 0);
    }
    default:
      return input.verdict satisfies never;
  }
}

function start(state: DayState, reason: string, missing: number, news?: RunNews): Judgement {
  const action = { kind: "run", why: reason, missing, ...(news && { news }) } as const;
  return { state, reason, action };
}

/** The last run failed, and nothing has changed since that would make the next one another. */
function failedSince(view: DayView): Judgement | undefined {
  const { memory, jobDigest, nowMs } = view;
  const { failed, input, wanted } = memory;
  if (failed === undefined || wanted !== undefined) return undefined;
  if (failed.jobDigest !== jobDigest) return undefined;
  if (input !== undefined && !hasRead(failed, input)) return undefined;
  const { upstream } = failed;
  if (upstream !== undefined && movedDay({ upstream }, view.history ?? [])) return undefined;
  const text = `${failed.run} failed: ${failed.message}`;
  const retryMs = retryAt(failed);
  if (retryMs === undefined) {
    const how = isOutOfTries(failed) ? ` (${failed.times} times)` : "";
    const reason = `${text}${how}; it runs again when its input or the job changes, or on command`;
    return { state: "failed", reason, action: nothing };
  }
  if (nowMs >= retryMs) return undefined;
  const reason = `${text}; again ${instantText(retryMs, nowMs)}`;
  return { state: "failed", reason, action: { kind: "wait", untilMs: retryMs } };
}

/** Did the run that failed see these files? One that ended before it listed any has seen none. */
function hasRead({ digests }: DayFailed, input: InputKnown): boolean {
  return Object.keys(digests).length > 0 && !otherFiles(digests, input.digests);
}

/**
 * When a day that failed is run again by itself, epoch milliseconds; undefined: not by itself. What its own input or
 * SQL is to blame for fails again; what passes by itself is waited for, for as long as it takes.
 */
export function retryAt(failed: DayFailed): number | undefined {
  const { retryable, counts } = classOf(failed.code);
  if (!retryable || (counts && isOutOfTries(failed))) return undefined;
  const pauseMs = limits.dayRetryPauseMs * 2 ** Math.min(failed.times - 1, 16);
  return failed.wallMs + Math.min(pauseMs, limits.dayRetryPauseMsMax);
}

function isOutOfTries({ code, times }: DayFailed): boolean {
  return classOf(code).counts && times >= limits.dayRunsFailedMax;
}
