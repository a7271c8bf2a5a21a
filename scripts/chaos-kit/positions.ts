/**
 * Positions in the journal as predicates: the moments at which faults come.
 */
import type { ExecutorHandle } from "../../client/local-cluster.ts";
import type { StageKind } from "../../coordinator/core/durable.ts";
import type { JournalView } from "./journal-watch.ts";
import type { Fault } from "./scenario.ts";
import type { World } from "./world.ts";

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

/** Tasks of this kind that the live runs have, done or not; 0 before they are planned. */
export function planned(view: JournalView, kind: StageKind): number {
  let tasks = 0;
  for (const run of view.durable.runs.values()) {
    for (const stage of run.stages) if (stage.kind === kind) tasks += stage.tasks.length;
  }
  return tasks;
}

/** While the day's files are read: when so much of it is done. Of twelve files `nth` of `parts` 12 is the nth. */
export function midMap(nth: number, parts: number): Position {
  return {
    when: `when ${nth}/${parts} of the map tasks were done`,
    due: (view) => isDone(view, "scan", nth / parts),
    missed: (view) => finished(view, "scan") >= planned(view, "scan"),
  };
}

/** Is this share of the tasks of a kind done, and one at least? */
export function isDone(view: JournalView, kind: StageKind, share: number): boolean {
  const tasks = planned(view, kind);
  return tasks > 0 && finished(view, kind) >= Math.max(1, Math.round(tasks * share));
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

/** The nth of the executors that have work now; where none has, of all of them. */
export function busyExecutor({ cluster, view }: World, nth: number): ExecutorHandle | undefined {
  const { executors } = cluster;
  const busy = executors.filter(({ id }) => runningOn(view, id).length > 0);
  const among = busy.length > 0 ? busy : executors;
  return among[nth % among.length];
}

/** Attempts that run on an executor now, as the journal has it. */
export function runningOn(view: JournalView, executor: string): readonly string[] {
  return [...view.durable.attempts]
    .filter(([, attempt]) => attempt.executor === executor && attempt.state === "running")
    .map(([id]) => id);
}
