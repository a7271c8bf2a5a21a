/**
 * How urgent a run is: the live day, a day that is caught up with, or files that are mapped before their day is ready.
 */

/** The most urgent first. */
export const lanes = ["live", "backlog", "ahead"] as const;

export type Lane = (typeof lanes)[number];

/** What is known by lane. */
export type PerLane<Value> = Readonly<Record<Lane, Value>>;

export function isLane(text: string): text is Lane {
  return lanes.some((lane) => lane === text);
}

/** Does `one` come before `other`? */
export function isMoreUrgent(one: Lane, other: Lane): boolean {
  return lanes.indexOf(one) < lanes.indexOf(other);
}
