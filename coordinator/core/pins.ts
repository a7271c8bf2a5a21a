/**
 * Revisions that somebody reads: a live run that waited for a day of another job or reads earlier days, or a caller that is
 * being sent rows.
 */
import type { DayOfJob, RevisionOfDay } from "../../shared/kernel/manifest.ts";
import { liveRuns } from "./durable.ts";
import type { CoordinatorState } from "./state.ts";
import type { Turn } from "./turn.ts";

/** By `job|day|revision`. */
export type Pins = ReadonlySet<string>;

export function pinsOf({ durable, readers }: CoordinatorState): Pins {
  const pins = new Set(readers.keys());
  for (const { day, upstream = {}, history = [] } of liveRuns(durable)) {
    for (const [name, revision] of Object.entries(upstream)) {
      pins.add(pinKey({ job: name.split("/")[0] ?? "", day, revision }));
    }
    for (const { job, days } of history) {
      for (const one of days) pins.add(pinKey({ job, day: one.day, revision: one.revision }));
    }
  }
  return pins;
}

export function isPinned(pins: Pins, { job, day }: DayOfJob, revision: number): boolean {
  return pins.has(pinKey({ job, day, revision }));
}

/** Readers are of this process: who reads from another one, or has read a path from a manifest, is not known here. */
export function pin(turn: Turn, revision: RevisionOfDay, isPinned: boolean): void {
  const { readers } = turn.state;
  const key = pinKey(revision);
  const count = (readers.get(key) ?? 0) + (isPinned ? 1 : -1);
  if (count > 0) readers.set(key, count);
  else readers.delete(key);
}

function pinKey({ job, day, revision }: RevisionOfDay): string {
  return `${job}|${day}|${revision}`;
}
