/**
 * Where a run stands, by the journal: reading files, reducing groups, or between its decision to commit and its end.
 * And what a change of leader must not do: begin a task again that was done.
 */
import type { Run, StageKind } from "../../coordinator/core/durable.ts";
import type { JournalView, Seen } from "./journal-watch.ts";
import { few, insist } from "./scenario.ts";
import type { World } from "./world.ts";

export type Phase = "map" | "reduce" | "commit";

/** Undefined between two phases: nothing of the kind runs, or all of it is done. */
export function phaseOf(view: JournalView): Phase | undefined {
  for (const run of view.durable.runs.values()) {
    if (run.ended !== undefined) continue;
    if (run.state === "committing") return "commit";
    if (left(run, "scan") > 0) return running(view, "scan").length > 0 ? "map" : undefined;
    const isReducing = left(run, "reduce") > 0 && running(view, "reduce").length > 0;
    return isReducing ? "reduce" : undefined;
  }
  return undefined;
}

function left(run: Run, kind: StageKind): number {
  const stages = run.stages.filter((stage) => stage.kind === kind);
  return stages.reduce((sum, stage) => sum + stage.tasks.length - stage.done, 0);
}

/** Attempts of live runs that run now, in the order of their starts. */
export function running(view: JournalView, kind: StageKind): readonly string[] {
  const { attempts, runs } = view.durable;
  return [...view.durable.running].filter((id) => {
    const attempt = attempts.get(id);
    return runs.get(attempt?.run ?? "")?.stages[attempt?.stage ?? -1]?.kind === kind;
  });
}

/** What was done before a change of leader is not begun again after it. */
export async function nothingDoneAgain({ view }: Pick<World, "view">): Promise<void> {
  const again = startedAfterDone(view.seen);
  insist(again.length === 0, `done tasks were started again: ${few(again)}`);
}

/** Attempts that were started although their task had a winner already. */
export function startedAfterDone(all: readonly Seen[]): readonly string[] {
  const done = new Set<string>();
  const again: string[] = [];
  for (const { fact, about, life } of all) {
    if (about === undefined) continue;
    const task = `${life} ${about.run} ${about.stage} ${about.task}`;
    if (fact.kind === "attemptDone") done.add(task);
    if (fact.kind === "attemptStarted" && done.has(task)) again.push(about.attemptId);
  }
  return again;
}

/** Attempts that one leader started and that won under a later one. */
export function adoptedAttempts(all: readonly Seen[]): ReadonlySet<string> {
  const starts = new Map<string, number>();
  const found = new Set<string>();
  for (const { fact, epoch, life } of all) {
    if (fact.kind === "attemptStarted") starts.set(`${life} ${fact.attemptId}`, epoch);
    if (fact.kind !== "attemptDone") continue;
    const from = starts.get(`${life} ${fact.attemptId}`);
    if (from !== undefined && from < epoch) found.add(fact.attemptId);
  }
  return found;
}
