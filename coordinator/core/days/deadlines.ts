/**
 * Is a day, or a model of it, late, and will it be? Judged on the clock and not by runs: one that hangs or was never
 * started is late, too. Each warning is a fact, so that a day is warned of once, whoever leads.
 */
import type { DayRecord, Run } from "../durable.ts";
import { liveRun } from "../durable.ts";
import { decide, log, publish, type Turn } from "../turn.ts";
import type { Judgement } from "./judge.ts";
import { instantText } from "./words.ts";

/** Below this share of its tasks a run says too little about how long it will take. */
const tellingShare = 0.1;

export interface Progress {
  /** Epoch milliseconds. */
  readonly startedMs: number;
  /** Share of the tasks that are done, 0 to 1. */
  readonly done: number;
}

/**
 * When a day will be done, epoch milliseconds; undefined: nothing to tell it from. `usualMs`: how long its runs take,
 * 0 = not known. What has not begun begins now at the earliest.
 */
export function projectedMs(
  about: { readonly nowMs: number; readonly startMs: number; readonly usualMs: number },
  progress: Progress | undefined,
): number | undefined {
  const { nowMs, startMs, usualMs } = about;
  if (progress !== undefined && progress.done >= tellingShare) {
    const elapsedMs = nowMs - progress.startedMs;
    return Math.round(progress.startedMs + elapsedMs / progress.done);
  }
  if (usualMs === 0) return undefined;
  const beganMs = progress?.startedMs ?? Math.max(nowMs, startMs);
  return Math.max(nowMs, beganMs + usualMs);
}

/** Warns of what is late, and of what will be. */
export function watchDeadlines(
  turn: Turn,
  record: DayRecord,
  judgement: Judgement,
  usualMs: number,
): void {
  for (const { what, finishByMs, ...more } of latenessOf(turn, record, judgement, usualMs)) {
    warn(turn, record, what, judgement, finishByMs, more);
  }
}

export interface Lateness {
  /** `missed`, `projected`, or `missed <model>`. */
  readonly what: string;
  readonly finishByMs: number;
  /** When it will be done, where it is not too late yet. */
  readonly projectedMs?: number;
  /** The model that is late; absent: the day. */
  readonly model?: string;
}

/** What of a day is late now, and what will be. */
export function latenessOf(
  turn: Turn,
  record: DayRecord,
  { state }: Judgement,
  usualMs: number,
): readonly Lateness[] {
  const { plan, committed } = record;
  if (plan === undefined || state === "skipped") return [];
  const { finishByMs, finishByModelMs = {}, startMs } = plan;
  const models = Object.entries(finishByModelMs).flatMap(([model, byMs]) =>
    turn.wall < byMs || record.datasets.includes(model)
      ? []
      : [{ what: `missed ${model}`, finishByMs: byMs, model }],
  );
  if (finishByMs === undefined || committed > 0) return models;
  if (turn.wall >= finishByMs) return [...models, { what: "missed", finishByMs }];
  const run = liveRun(turn.state.durable, record.job, record.day);
  const progress = run && progressOf(run);
  const projected = projectedMs({ nowMs: turn.wall, startMs, usualMs }, progress);
  if (projected === undefined || projected <= finishByMs) return models;
  return [...models, { what: "projected", finishByMs, projectedMs: projected }];
}

function warn(
  turn: Turn,
  record: DayRecord,
  what: string,
  { state, reason }: Judgement,
  finishByMs: number,
  more: Readonly<Record<string, string | number>>,
): void {
  if (record.warned?.includes(what) === true) return;
  const { job, day } = record;
  decide(turn, { kind: "dayWarned", job, day, what, wallMs: turn.wall });
  const event = what === "projected" ? "deadline.projected" : "deadline.missed";
  publish(turn, record, event, { finishByMs, state, reason, ...more });
  const late = what === "projected" ? "will be late" : "is late";
  const text = `a day ${late}: it was to be done ${instantText(finishByMs, turn.wall)}; ${reason}`;
  log(turn, "warn", text, { job, day, what });
}

function progressOf(run: Run): Progress | undefined {
  // It has not begun, and how many tasks it will have is not known.
  if (run.isGathering === true) return undefined;
  const tasks = run.stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
  if (tasks === 0) return undefined;
  const done = run.stages.reduce((sum, stage) => sum + stage.done, 0);
  return { startedMs: run.createdMs, done: done / tasks };
}
