/**
 * Where work can go: the executors with a free slot, by how busy they are. With a thousand executors a search per task
 * would cost more than the task, so this is kept up to date with every change of an executor: whoever changes one that
 * is in `state.executors` calls `place`. It decides nothing; `checkInvariants` compares it with a fresh count.
 */
import type { Busy, CoordinatorState, ExecutorState } from "./state.ts";

export interface Places {
  /** Those with a free slot, by the number of attempts there; within a level, who came to it first. */
  readonly levels: Set<ExecutorState>[];
  /** Every executor that may be given work, full ones included, by id. */
  readonly open: Map<string, Place>;
  /** Executors in `levels`, together. */
  free: number;
  /** Slots of all open executors. */
  slots: number;
}

interface Place {
  readonly executor: ExecutorState;
  readonly busy: number;
  readonly slots: number;
}

export function emptyPlaces(): Places {
  return { levels: [], open: new Map(), free: 0, slots: 0 };
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
  places.open.set(id, { executor, busy, slots });
  places.slots += slots;
  if (busy >= slots) return;
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
  if (places.levels[was.busy]?.delete(was.executor) === true) places.free--;
}

export function occupy(
  state: CoordinatorState,
  executor: ExecutorState,
  attemptId: string,
  busy: Busy,
): void {
  executor.busy.set(attemptId, busy);
  place(state, executor);
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
