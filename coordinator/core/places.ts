/**
 * Where work can go: the executors with a free slot, by how busy they are. With a thousand executors a search per task
 * would cost more than the task, so this is kept up to date with every change of an executor: whoever changes one that
 * is in `state.executors` calls `place`. It decides nothing; `checkInvariants` compares it with a fresh count.
 */
import { assert } from "../../shared/kernel/assert.ts";
import { type Lane, lanes, type PerLane } from "../../shared/kernel/lane.ts";
import { laneOf } from "./durable.ts";
import type { Busy, CoordinatorState, ExecutorState } from "./state.ts";

export interface Places {
  /** Those with a free slot, by the number of attempts there; within a level, who came to it first. */
  readonly levels: Set<ExecutorState>[];
  /** Every executor that may be given work, full ones included, by id. */
  readonly open: Map<string, Place>;
  /** Executors in `levels`, together. */
  free: number;
  /** Slots of all open executors, those of them that are free, and attempts in the others by lane. */
  slots: number;
  freeSlots: number;
  readonly held: Record<Lane, number>;
}

interface Place {
  readonly executor: ExecutorState;
  readonly busy: number;
  readonly slots: number;
  /** Attempts there, by lane. */
  readonly held: PerLane<number>;
}

export function emptyPlaces(): Places {
  const held = { live: 0, backlog: 0, ahead: 0 };
  return { levels: [], open: new Map(), free: 0, slots: 0, freeSlots: 0, held };
}

/** It can be sent something now, whether or not we want to. */
export function isPresent(executor: ExecutorState): boolean {
  return executor.connection !== undefined && !executor.draining && !executor.lost;
}

/** It may be given work. */
export function isOpen(executor: ExecutorState): boolean {
  return isPresent(executor) && executor.exclusion === undefined;
}

/** Brings the places up to date with one executor, whatever changed about it. */
export function place(state: CoordinatorState, executor: ExecutorState): void {
  const { places } = state;
  const { id, slots } = executor;
  const was = places.open.get(id);
  const busy = executor.busy.size;
  if (!isOpen(executor)) {
    displace(state, id);
    return;
  }
  if (was?.executor === executor && was.busy === busy && was.slots === slots) return;
  displace(state, id);
  const held = { live: 0, backlog: 0, ahead: 0 };
  for (const { lane } of executor.busy.values()) if (lane !== undefined) held[lane]++;
  places.open.set(id, { executor, busy, slots, held });
  places.slots += slots;
  add(places.held, held, 1);
  if (busy >= slots) return;
  places.freeSlots += slots - busy;
  while (places.levels.length <= busy) places.levels.push(new Set());
  places.levels[busy]?.add(executor);
  places.free++;
}

/** The executor is gone. */
function displace({ places }: CoordinatorState, id: string): void {
  const was = places.open.get(id);
  if (was === undefined) return;
  places.open.delete(id);
  places.slots -= was.slots;
  places.freeSlots -= Math.max(0, was.slots - was.busy);
  add(places.held, was.held, -1);
  if (places.levels[was.busy]?.delete(was.executor) === true) places.free--;
}

function add(sums: Record<Lane, number>, held: PerLane<number>, times: 1 | -1): void {
  sums.live += times * held.live;
  sums.backlog += times * held.backlog;
  sums.ahead += times * held.ahead;
}

export function occupy(
  state: CoordinatorState,
  executor: ExecutorState,
  attemptId: string,
  { since, namedAt, movedAt, rows, bytes }: Omit<Busy, "lane">,
): void {
  const known = executor.busy.get(attemptId);
  const lane = known === undefined ? laneOfAttempt(state, attemptId) : known.lane;
  executor.busy.set(attemptId, { since, namedAt, movedAt, lane, rows, bytes });
  place(state, executor);
}

function laneOfAttempt({ durable }: CoordinatorState, attemptId: string): Lane | undefined {
  const run = durable.runs.get(durable.attempts.get(attemptId)?.run ?? "");
  return run && laneOf(run);
}

export function vacate(state: CoordinatorState, executor: ExecutorState, attemptId: string): void {
  if (executor.busy.delete(attemptId)) place(state, executor);
}

export function vacateAll(state: CoordinatorState, executor: ExecutorState): void {
  executor.busy.clear();
  place(state, executor);
}

/** The least busy executor with a free slot that is not to be avoided. */
export function pick(places: Places, avoid: readonly string[]): ExecutorState | undefined {
  if (places.free === 0) return undefined;
  for (const level of places.levels) {
    for (const executor of level) if (!avoid.includes(executor.id)) return executor;
  }
  return undefined;
}

/** Is there any executor, free or not, besides these? */
export function hasOthers(places: Places, avoid: readonly string[]): boolean {
  const avoided = new Set(avoid.filter((id) => places.open.has(id)));
  return places.open.size > avoided.size;
}

/** What is kept must be what a fresh count gives. */
export function checkPlaces({ places, executors }: CoordinatorState): void {
  let free = 0;
  let slots = 0;
  let freeSlots = 0;
  let open = 0;
  const held = { live: 0, backlog: 0, ahead: 0 };
  for (const executor of executors.values()) {
    if (!isOpen(executor)) continue;
    open++;
    slots += executor.slots;
    freeSlots += Math.max(0, executor.slots - executor.busy.size);
    for (const { lane } of executor.busy.values()) if (lane !== undefined) held[lane]++;
    assert(places.open.get(executor.id)?.executor === executor, "an executor with work to take");
    if (executor.busy.size >= executor.slots) continue;
    free++;
    assert(places.levels[executor.busy.size]?.has(executor) === true, "is found where it belongs");
  }
  const listed = places.levels.reduce((sum, level) => sum + level.size, 0);
  assert(places.open.size === open && places.slots === slots, "no place is counted that is gone");
  assert(places.free === free && listed === free, "free executors are counted once");
  assert(places.freeSlots === freeSlots, "free slots are counted once");
  for (const lane of lanes)
    assert(places.held[lane] === held[lane], `slots of ${lane} are counted`);
}
