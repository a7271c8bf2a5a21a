/**
 * What lies in kept streams and is no kept output's: rows of attempts that lost, of outputs that can't be kept, of
 * whoever did not hear that its run was over. The leader reads who has written to a stream and has everybody else
 * removed. It goes by what is there and never by what somebody meant to remove, so nothing is forgotten with a leader
 * that was replaced. Streams are looked at after each run that may have written to them, and all of them every so often.
 */
import { limits } from "../../shared/kernel/limits.ts";
import { type Durable, type Kept, liveRun, streamsOf } from "./durable.ts";
import { isPlanning } from "./space.ts";
import type { Answered } from "./state.ts";
import { ask, log, type Turn } from "./turn.ts";

/** One look at the clock of a leader. The first tick of a leadership begins a round over all kept streams. */
export function leftoversTick(turn: Turn): void {
  const { durable, leftovers } = turn.state;
  // Not before the last round is over: whoever was asked about beside a stream that can't be reached comes last in it,
  // and would be beside that stream again.
  if (turn.at >= leftovers.nextRoundAt && leftovers.unread.size === 0) {
    leftovers.nextRoundAt = turn.at + limits.leftoversRoundEveryMs;
    lookForLeftovers(turn, durable.kept.keys());
  }
  const { unread } = leftovers;
  if (turn.at < leftovers.nextLookAt || unread.size === 0 || isPlanning(turn.state)) return;
  // With every tick: most of the time nothing is due, and nothing is copied then.
  const due: string[] = [];
  for (const [stream, at] of unread) if (at <= turn.at) due.push(stream);
  if (due.length === 0) return;
  const taken = due.slice(0, limits.leftoversStreamsPerLookMax);
  for (const stream of taken) unread.delete(stream);
  const resting = restingStreams(durable);
  const streams = taken.filter((stream) => resting.has(stream));
  if (streams.length === 0) return;
  leftovers.nextLookAt = turn.at + limits.leftoversLookEveryMs;
  ask(turn, { kind: "listWriters", streams }, { kind: "leftovers" });
}

/** Nobody writes to these scopes on purpose any more; who has not heard of it yet is given a moment. */
export function lookForLeftovers(turn: Turn, scopes: Iterable<string>): void {
  const { durable } = turn.state;
  for (const scope of scopes) {
    const kept = durable.kept.get(scope);
    if (kept !== undefined) lookAt(turn, streamsOf(kept), limits.purgeAfterMs);
  }
}

function lookAt(turn: Turn, streams: readonly string[], waitMs: number): void {
  const { unread } = turn.state.leftovers;
  for (const stream of streams) unread.set(stream, turn.at + waitMs);
}

export function leftoversAnswered(turn: Turn, { ask: question, answer }: Answered): void {
  if (question.kind !== "listWriters") return;
  if (answer.kind === "failed") {
    const { code, message, detail } = answer.failure;
    log(turn, "warn", `leftovers can't be looked for, it is tried again: ${message}`, { code });
    // One that can't be reached waits for the next round: it must not keep the others from being looked at.
    const others = question.streams.filter((stream) => stream !== detail?.["stream"]);
    lookAt(turn, others, limits.leftoversLookEveryMs);
    return;
  }
  // A run that comes under a lost journal looks for outputs that nobody knows yet.
  if (answer.kind !== "writers" || isPlanning(turn.state)) {
    lookAt(turn, question.streams, limits.leftoversLookEveryMs);
    return;
  }
  const resting = restingStreams(turn.state.durable);
  const useful = new Map<Kept, ReadonlySet<string>>();
  for (const { stream, attempts } of answer.streams) {
    const kept = resting.get(stream);
    // Dropped meanwhile, or a run works on it: that one's end brings the stream up again.
    if (kept === undefined) continue;
    const winners = useful.get(kept) ?? new Set(kept.outputs.attemptIds());
    useful.set(kept, winners);
    remove(
      turn,
      stream,
      attempts.filter((id) => !winners.has(id)),
    );
  }
}

function remove(turn: Turn, stream: string, losers: readonly string[]): void {
  if (losers.length === 0) return;
  const attempts = losers.slice(0, limits.leftoversRemovedMax);
  if (attempts.length < losers.length) lookAt(turn, [stream], 0);
  ask(turn, { kind: "purgeStreams", streams: [stream], attempts }, { kind: "background" });
}

/** Kept streams that no live run can stand on. */
function restingStreams(durable: Durable): ReadonlyMap<string, Kept> {
  const resting = [...durable.kept.values()].filter(
    ({ job, day }) => liveRun(durable, job, day) === undefined,
  );
  return new Map(
    resting.flatMap((kept) => streamsOf(kept).map((stream) => [stream, kept] as const)),
  );
}
