/**
 * How long map outputs are kept for re-runs: those of the job's newest `backlogDays` days, and of each day only the
 * form that its last run used and what that run stands on. Decided when a run ends; nothing else in the exchange
 * outlives a run.
 */
import type { JobSpec } from "../../shared/kernel/job.ts";
import { type Durable, liveRuns, type Run } from "./durable.ts";
import { dropKept } from "./space.ts";
import { decide, type Turn } from "./turn.ts";

/** Scopes of the job that are over their time; `used`: what the day's committed run stands on, if it did commit. */
export function expiredScopes(
  durable: Durable,
  job: string,
  day: string,
  used: ReadonlySet<string> | undefined,
  backlogDays: number,
): readonly string[] {
  const ours = [...durable.kept].filter(([, kept]) => kept.job === job);
  const days = [...new Set(ours.map(([, kept]) => kept.day))].sort().reverse();
  const alive = new Set(days.slice(0, Math.max(0, backlogDays)));
  // A live run may stand on the outputs of an old day: they go when it ends.
  for (const run of durable.runs.values()) {
    if (run.job === job && run.ended === undefined) alive.add(run.day);
  }
  // Two runs of a day are live where a damaged journal shows one of them that has its manifest: the other goes on.
  const inUse = new Set(
    liveRuns(durable).flatMap((run) => [
      ...[...run.exchanges.values()].map((one) => one.scope),
      ...run.stages.map(({ salvage }) => salvage),
    ]),
  );
  const isPast = (scope: string) => used !== undefined && !used.has(scope);
  return ours
    .filter(([scope]) => !inUse.has(scope))
    .filter(([scope, kept]) => !alive.has(kept.day) || (kept.day === day && isPast(scope)))
    .map(([scope]) => scope);
}

/** Drops what is expired now that a run has ended. `used`: the scopes of a run that committed. */
export function dropExpired(
  turn: Turn,
  run: Run,
  job: JobSpec,
  used: ReadonlySet<string> | undefined,
): void {
  const { durable } = turn.state;
  const scopes = expiredScopes(durable, run.job, run.day, used, job.backlogDays);
  if (scopes.length > 0) dropKept(turn, scopes);
  const days = daysToForget(durable, run.job, job.backlogDays);
  if (days.length > 0) decide(turn, { kind: "splitsDropped", job: run.job, days });
}

/**
 * A run commits: outputs in its scopes that none of its tasks stands on were made from files or dimensions that have
 * changed since. Nobody will ask for them, and every reader of their streams has to pass over them.
 */
export function dropSuperseded(turn: Turn, run: Run): void {
  const { durable } = turn.state;
  const isShared = liveRuns(durable).some(
    (other) => other !== run && other.job === run.job && other.day === run.day,
  );
  if (isShared) return;
  for (const { scope = "", tasks } of run.stages) {
    const kept = durable.kept.get(scope)?.outputs.mapKeys() ?? [];
    const used = new Set(tasks.map(({ result }) => result?.mapKey));
    const mapKeys = kept.filter((key) => !used.has(key));
    if (mapKeys.length > 0) decide(turn, { kind: "keptSuperseded", scope, mapKeys });
  }
}

/** Old days of the job whose cut is remembered although no output is: a re-run may cut them anew. */
function daysToForget(durable: Durable, job: string, backlogDays: number): readonly string[] {
  const cut = [...durable.days.values()].filter((day) => day.job === job && day.splits.size > 0);
  const days = cut
    .map(({ day }) => day)
    .sort()
    .reverse();
  const needed = new Set(days.slice(0, Math.max(0, backlogDays)));
  for (const kept of durable.kept.values()) if (kept.job === job) needed.add(kept.day);
  for (const run of durable.runs.values()) {
    if (run.job === job && run.ended === undefined) needed.add(run.day);
  }
  return days.filter((day) => !needed.has(day));
}
