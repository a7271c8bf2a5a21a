/** What the leader knows of days for as long as it leads: the calendar, when to look again, what is being saved. */
import type { CalendarStart } from "../../../shared/kernel/days.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Instant } from "../../../shared/kernel/time.ts";
import type { ReplyId } from "../protocol.ts";
import type { Turn } from "../turn.ts";
import type { DayState } from "./judge.ts";
import type { DayVerdict } from "./readiness.ts";
import type { SeenSource } from "./seen.ts";

export interface Desk {
  nextAt: Instant;
  /** By job. */
  readonly calendars: Map<string, Calendar>;
  /** By `dayKey`. */
  readonly looks: Map<string, Look>;
  /** Days whose run could not be created: why, and until when nobody tries; wall clock. */
  readonly refused: Map<string, { readonly message: string; readonly untilMs: number }>;
  /** What was last told of each day. */
  readonly told: Map<string, DayState>;
  /** By job: the account of what people said is being written. */
  readonly saving: Map<string, Saving>;
}

export interface Calendar {
  readonly jobDigest: string;
  /** Empty until the first answer. */
  starts: readonly CalendarStart[];
  /** Wall clock: a process that stood still must notice that days have passed. */
  asked: Span;
}

export interface Look {
  isUnderWay: boolean;
  due: Span;
  /** By source: what the looks have found so far. */
  readonly seen: Map<string, SeenSource>;
  /** As of the last look. */
  verdict?: DayVerdict;
}

/** From a moment until another, wall clock; outside it something is due. A clock that was put back is outside. */
export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

export function isOver({ fromMs, untilMs }: Span, nowMs: number): boolean {
  return nowMs < fromMs || nowMs >= untilMs;
}

export interface Saving {
  /** Callers whose words are in the write that is under way, and those that wait for the next one. */
  readonly waiters: readonly ReplyId[];
  readonly next: ReplyId[];
}

export function emptyDesk(): Desk {
  return {
    nextAt: 0,
    calendars: new Map(),
    looks: new Map(),
    refused: new Map(),
    told: new Map(),
    saving: new Map(),
  };
}

/** The run of a day could not be created, and nobody waits for the answer: tried again after a pause. */
export function deskRefused(turn: Turn, key: string, message: string): void {
  const untilMs = turn.wall + limits.dayRetryPauseMs;
  turn.state.desk.refused.set(key, { message, untilMs });
}
