/**
 * Attempts that lose while their run goes on, and what they left in the exchange: it is removed, for nobody will ever
 * read it. Readers pass over it anyway, so this saves space and nothing else: it may be late, done twice, or not at all.
 * What it misses is found after the run (leftovers.ts).
 * A winner is never removed here while a run or a kept output stands on it.
 */
import { limits } from "../../shared/kernel/limits.ts";
import type { Run } from "./durable.ts";
import { keptScope } from "./salvage.ts";
import { outputsOf } from "./stage-graph.ts";
import { ask, askLater, type Turn } from "./turn.ts";

const background = { kind: "background" } as const;

/** For attempts that are known to have ended. */
export function purgeNow(turn: Turn, run: Run, stage: number, attempts: readonly string[]): void {
  if (attempts.length === 0) return;
  const streams = streamsOf(run, stage);
  const losing = withoutWinners(turn, attempts);
  if (streams.length === 0 || losing.length === 0) return;
  ask(turn, { kind: "purgeStreams", streams, attempts: losing }, background);
}

/** For attempts that were told to stop, or that are silent: they may still be writing. */
export function purgeSoon(turn: Turn, run: Run, stage: number, attempts: readonly string[]): void {
  // Nearly every success has no losers.
  if (attempts.length === 0) return;
  const streams = streamsOf(run, stage);
  const losing = withoutWinners(turn, attempts);
  if (streams.length === 0 || losing.length === 0) return;
  const body = { kind: "purgeStreams", streams, attempts: losing } as const;
  askLater(turn, body, background, limits.purgeAfterMs);
}

/** These were found in the exchange and stand for a task from now on: removals that wait for their time leave them out. */
export function spare(turn: Turn, attempts: ReadonlySet<string>): void {
  turn.state.retries = turn.state.retries.flatMap((retry) => {
    const { ask: question } = retry;
    if (question.kind !== "purgeStreams") return [retry];
    const left = question.attempts.filter((id) => !attempts.has(id));
    if (left.length === question.attempts.length) return [retry];
    return left.length === 0 ? [] : [{ ...retry, ask: { ...question, attempts: left } }];
  });
}

/** An attempt that was given up may have been found again in the exchange, and stand for its task after all. */
function withoutWinners(turn: Turn, attempts: readonly string[]): readonly string[] {
  const { durable } = turn.state;
  return attempts.filter((id) => {
    const attempt = durable.attempts.get(id);
    const stage = durable.runs.get(attempt?.run ?? "")?.stages[attempt?.stage ?? -1];
    const kept = durable.kept.get(keptScope(stage ?? {}))?.outputs.get(attempt?.mapKey ?? "");
    const result = stage?.tasks[attempt?.task ?? -1]?.result;
    return result?.attemptId !== id && kept?.attemptId !== id;
  });
}

function streamsOf(run: Run, stage: number): readonly string[] {
  const plan = run.plan.stages[stage];
  const written = plan === undefined ? [] : outputsOf(plan);
  return written.flatMap((exchange) => run.exchanges.get(exchange)?.streams ?? []);
}
