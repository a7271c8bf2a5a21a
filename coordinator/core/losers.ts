/**
 * Attempts that lost, and what they left in the exchange: it is removed, for nobody will ever read it. Readers pass over
 * it anyway, so this saves space and nothing else: it may be late, done twice, or not at all.
 * A winner is never removed here while a run or a kept output stands on it.
 */
import { limits } from "../../shared/kernel/limits.ts";
import type { Durable, Run } from "./durable.ts";
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
  purgeFrom(turn, streamsOf(run, stage), withoutWinners(turn, attempts));
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
    const kept = durable.kept.get(stage?.scope ?? "")?.outputs.get(attempt?.mapKey ?? "");
    const result = stage?.tasks[attempt?.task ?? -1]?.result;
    return result?.attemptId !== id && kept?.attemptId !== id;
  });
}

/** For attempts that no run knows; whoever wrote them may not know yet that nobody wants them. */
export function purgeFrom(
  turn: Turn,
  streams: readonly string[],
  attempts: readonly string[],
): void {
  if (streams.length === 0 || attempts.length === 0) return;
  askLater(turn, { kind: "purgeStreams", streams, attempts }, background, limits.purgeAfterMs);
}

function streamsOf(run: Run, stage: number): readonly string[] {
  const plan = run.plan.stages[stage];
  const written = plan === undefined ? [] : outputsOf(plan);
  return written.flatMap((exchange) => run.exchanges.get(exchange)?.streams ?? []);
}

/** What a run wrote into streams that outlive it. */
export interface KeptWrites {
  readonly scope: string;
  readonly streams: readonly string[];
  /** Every attempt, won or not. */
  readonly attempts: readonly string[];
  readonly winners: ReadonlySet<string>;
}

export function keptWrites(durable: Durable, run: Run): readonly KeptWrites[] {
  return run.stages.flatMap(({ scope, tasks }, stage) => {
    if (scope === undefined) return [];
    const winners = new Set(tasks.flatMap(({ result }) => result?.attemptId ?? []));
    const attempts = new Set(winners);
    for (const [id, attempt] of durable.attempts) {
      if (attempt.run === run.id && attempt.stage === stage) attempts.add(id);
    }
    return [{ scope, streams: streamsOf(run, stage), attempts: [...attempts], winners }];
  });
}

/** A run is about to end early: whoever has not won by now never will. */
export function purgeUnfinished(turn: Turn, writes: readonly KeptWrites[]): void {
  for (const { streams, attempts, winners } of writes) {
    purgeFrom(
      turn,
      streams,
      attempts.filter((id) => !winners.has(id)),
    );
  }
}

/** A run has ended: of what it wrote, only kept outputs are still of use. */
export function purgeUnkept(turn: Turn, writes: readonly KeptWrites[]): void {
  for (const { scope, streams, attempts } of writes) {
    const kept = turn.state.durable.kept.get(scope);
    // Dropped with its streams.
    if (kept === undefined) continue;
    const useful = new Set(kept.outputs.attemptIds());
    purgeFrom(
      turn,
      streams,
      attempts.filter((id) => !useful.has(id)),
    );
  }
}
