/**
 * How many slots each lane may take. While a live run has something to run, all others together start attempts only up
 * to a reserve, and the backlog is served first as long as it holds less than that: so neither starves. When nothing
 * live has anything to run the others may take everything. Nobody is stopped for somebody else: what runs ends, and its
 * slot goes to whoever is next. `ahead` gets what both leave.
 * Pure arithmetic over counts; what can start at all is found in startable.ts.
 */
import { type Lane, lanes, type PerLane } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";

/** The cluster at one moment, in numbers. */
export interface Load {
  /** Slots of all executors that may be given work, and how many of them are free. */
  readonly slots: number;
  readonly free: number;
  /** Attempts that take up one of those slots. */
  readonly held: PerLane<number>;
  /** Some live run has a task that runs or could start. */
  readonly isLiveActive: boolean;
}

/** Slots for all that is not live while something live is active. With a single slot live goes first. */
export function reserveOf(slots: number): number {
  if (slots < 2) return 0;
  return Math.max(1, Math.floor(slots * limits.backlogSlotsShare));
}

/** Who is offered slots first. Each takes what it can use of what it may take. */
export function servingOrder(isLiveActive: boolean): readonly Lane[] {
  return isLiveActive ? ["backlog", "live", "ahead"] : lanes;
}

/** Free slots that the lane may take when its turn has come. */
export function mayTake(lane: Lane, { slots, free, held, isLiveActive }: Load): number {
  if (lane === "live" || !isLiveActive) return free;
  return Math.min(free, Math.max(0, reserveOf(slots) - held.backlog - held.ahead));
}
