/** What the leader knows of days for as long as it leads: the calendar, when to look again, what is being saved. */
import type { CalendarStart } from "../../../shared/kernel/days.ts";
import { classOf, type Failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { DayOfJob } from "../../../shared/kernel/manifest.ts";
import type { Day, Instant } from "../../../shared/kernel/time.ts";
import type { ReplyId } from "../protocol.ts";
import type { Turn } from "../turn.ts";
import type { DayState } from "./judge.ts";
import type { DayVerdict } from "./readiness.ts";
import type { SeenSource } from "./seen.ts";
import type { DaysTally } from "./tally.ts";

export interface Desk {
  nextAt: Instant;
  /** When backfills are gone on with. */
  backfillsAt: Instant;
  /** What a day of a backfill is waiting for, by `<backfill>|<day>`, in words. */
  readonly backfillWaits: Map<string, string>;
  /** By job. */
  readonly calendars: Map<string, Calendar>;
  /** By `dayKey`. */
  readonly looks: Map<string, Look>;
  /** Days whose run could not be created: why, and until when nobody tries; wall clock. */
  readonly refused: Map<string, Refused>;
  /** What was last told of each day. */
  readonly told: Map<string, DayState>;
  /** By job: the days of its window as they were judged last. */
  readonly tallies: Map<string, DaysTally>;
  readonly late: LateLooks;
  /** By job: the account of what people said is being written. */
  readonly saving: Map<string, Saving>;
}

/** Where the looks for late files are. */
export interface LateLooks {
  nextAt: Instant;
  /** Jobs that have had their turn. */
  readonly looked: Set<string>;
  /** Days from the window back that were looked at, by job. */
  readonly back: Map<string, number>;
  /** Days that somebody says there is something to see of, by `dayKey`. */
  readonly soon: Map<string, DayOfJob>;
  /** When a day was first looked at of which nobody knows any more what it was made from, by `dayKey`; wall clock. */
  readonly firstSeen: Map<string, number>;
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
  /** The verdict whose final files the day's run has. */
  gathered?: DayVerdict;
}

/** From a moment until another, wall clock; outside it something is due. A clock that was put back is outside. */
export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

export function isOver({ fromMs, untilMs }: Span, nowMs: number): boolean {
  return nowMs < fromMs || nowMs >= untilMs;
}

export interface Refused {
  readonly message: string;
  readonly untilMs: number;
  /** What is tried again unchanged is refused again. */
  readonly isFinal: boolean;
}

export interface Saving {
  /** Callers whose words are in the write that is under way, and those that wait for the next one. */
  readonly waiters: readonly SavingWaiter[];
  readonly next: SavingWaiter[];
}

export interface SavingWaiter {
  /** Absent: what was learned is kept, and nobody waits. */
  readonly to?: ReplyId;
  /** They are shown this one. */
  readonly backfill?: string;
  readonly delivery?: DeliveryName;
}

export interface DeliveryName {
  readonly consumer: string;
  readonly dataset: string;
  readonly day: Day;
}

export function emptyDesk(): Desk {
  return {
    nextAt: 0,
    backfillsAt: 0,
    backfillWaits: new Map(),
    calendars: new Map(),
    looks: new Map(),
    refused: new Map(),
    told: new Map(),
    tallies: new Map(),
    late: {
      nextAt: 0,
      looked: new Set(),
      back: new Map(),
      soon: new Map(),
      firstSeen: new Map(),
    },
    saving: new Map(),
  };
}

/** The run of a day could not be created, and nobody waits for the answer: tried again after a pause. */
export function deskRefused(turn: Turn, key: string, { code, message }: Failure): void {
  const untilMs = turn.wall + limits.dayRetryPauseMs;
  const isFinal = !classOf(code).retryable;
  turn.state.desk.refused.set(key, { message, untilMs, isFinal });
}
