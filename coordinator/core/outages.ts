/**
 * Streams that can't be reached although NATS answers: the node that holds the only copy is gone. After a while their
 * exchange is given new streams under the next generation's names, and its producers run again into those.
 * That NATS answers needs no proof here: a leader that can't renew steps down and forgets all of this.
 */
import { nextGeneration } from "../../shared/kernel/exchange-names.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Run } from "./durable.ts";
import { changed, ensureStreams } from "./run-flow.ts";
import type { Outage } from "./state.ts";
import { decide, log, type Turn } from "./turn.ts";

/**
 * A look at the run's streams failed. True when the exchange was moved and looked at again; false: the same question
 * is worth asking again.
 */
export function movedAway(turn: Turn, run: Run, why: Failure): boolean {
  if (why.code !== "unavailable" || run.ending !== undefined) return false;
  const outage = outageOf(turn, run);
  if (!isLong(turn, outage)) return false;
  const stream = String(why.detail?.["stream"] ?? "");
  const found = [...run.exchanges.values()].find((one) => one.streams.includes(stream));
  if (found === undefined) return false;
  const { exchange } = found;
  if (outage.moved.has(exchange)) {
    // The new place is no better: as much patience again before the next one.
    outage.since = turn.at;
    outage.moved.clear();
    return false;
  }
  outage.moved.add(exchange);
  const streams = freeGeneration(turn, found.streams);
  decide(turn, { kind: "exchangeMoved", run: run.id, exchange, streams });
  log(turn, "warn", "an exchange can't be reached; it is made anew", {
    run: run.id,
    exchange,
    stream,
  });
  changed(turn, run);
  ensureStreams(turn, run);
  return true;
}

/** The next one that is not just being dropped: an earlier run of the day may have left streams of that name behind. */
function freeGeneration({ state }: Turn, streams: readonly string[]): readonly string[] {
  const asked = [...state.asked.values()].map(({ ask }) => ask);
  const dropped = new Set(asked.flatMap((ask) => (ask.kind === "dropStreams" ? ask.streams : [])));
  let next = nextGeneration(streams);
  while (next.some((stream) => dropped.has(stream))) next = nextGeneration(next);
  return next;
}

/**
 * A look into the run's streams for outputs failed. True when that has gone on for as long as streams are waited for:
 * the run goes on without, and what it needs of them is moved when it asks for them.
 */
export function lookedInVain(turn: Turn, run: Run, why: Failure): boolean {
  return why.code === "unavailable" && isLong(turn, outageOf(turn, run));
}

function outageOf(turn: Turn, run: Run): Outage {
  const { outages } = turn.state;
  const outage = outages.get(run.id) ?? { since: turn.at, moved: new Set() };
  outages.set(run.id, outage);
  return outage;
}

function isLong(turn: Turn, { since }: Outage): boolean {
  return turn.at - since >= limits.exchangeUnreachableMs;
}
