/**
 * Positions in the journal as predicates: the moments at which faults come.
 */
import type { StageKind } from "../../coordinator/core/durable.ts";
import type { JournalView } from "./journal-watch.ts";
import type { Fault } from "./scenario.ts";

/** Tasks of this kind that have a winner, each counted once. */
export function finished(view: JournalView, kind: StageKind): number {
  const tasks = new Set<string>();
  for (const { fact, about, life } of view.seen) {
    if (fact.kind !== "attemptDone" || about?.kind !== kind) continue;
    tasks.add(`${life} ${about.run} ${about.stage} ${about.task}`);
  }
  return tasks.size;
}

export function hasSeen(view: JournalView, kind: JournalView["seen"][number]["fact"]["kind"]) {
  return view.seen.some(({ fact }) => fact.kind === kind);
}

type Position = Pick<Fault, "when" | "due" | "missed">;

/** While the day's files are read: after the nth of them. `files`: how many there are. */
export function midMap(nth: number, files: number): Position {
  return {
    when: `after finished map task ${nth} of ${files}`,
    due: (view) => finished(view, "scan") >= nth,
    missed: (view) => finished(view, "scan") >= files,
  };
}

/** While groups are reduced. */
export function midReduce(nth: number): Position {
  return {
    when: `after finished reduce task ${nth}`,
    due: (view) => finished(view, "reduce") >= nth,
    missed: (view) => hasSeen(view, "checksStarted") || hasSeen(view, "commitStarted"),
  };
}

/** Anywhere in a run: after the nth task of whatever stage, before the commit. */
export function midRun(nth: number): Position {
  return {
    when: `after finished task ${nth}`,
    due: (view) => finished(view, "scan") + finished(view, "reduce") >= nth,
    missed: (view) => hasSeen(view, "commitStarted"),
  };
}

/** Attempts that run on an executor now, as the journal has it. */
export function runningOn(view: JournalView, executor: string): readonly string[] {
  return [...view.durable.attempts]
    .filter(([, attempt]) => attempt.executor === executor && attempt.state === "running")
    .map(([id]) => id);
}
