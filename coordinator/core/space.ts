/**
 * Room in the exchange and in staging. The leader looks every so often at what is there: what belongs to no live run and
 * to no kept output is dropped; above the budget kept outputs go, oldest day first; while that is not enough, scans of
 * less urgent lanes wait, and within a lane those of older days wait for the newest one. Streams of a live run are never touched.
 */
import { isExchangeStream } from "../../shared/kernel/exchange-names.ts";
import { isMoreUrgent } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";
import {
  type Durable,
  laneOf,
  liveRun,
  liveRuns,
  nextRun,
  type Run,
  streamsOf,
} from "./durable.ts";
import type { Answer } from "./protocol.ts";
import type { Answered, CoordinatorState } from "./state.ts";
import { ask, decide, epochOf, log, publish, type Turn } from "./turn.ts";

const look = { kind: "space" } as const;
const background = { kind: "background" } as const;

type Usage = Extract<Answer, { kind: "usage" }>["streams"];

/** One look at the clock of a leader. The first tick of a leadership looks at once. */
export function spaceTick(turn: Turn): void {
  const { space } = turn.state;
  if (turn.at < space.nextLookAt) return;
  space.nextLookAt = turn.at + limits.spaceLookEveryMs;
  ask(turn, { kind: "readUsage" }, look);
  ask(turn, { kind: "listStaging" }, look);
}

export function lookWithin(turn: Turn, ms: number): void {
  const { space } = turn.state;
  space.nextLookAt = Math.min(space.nextLookAt, turn.at + ms);
}

/** A task could not write: the server's own limit may be lower than our budget. */
export function foundFull(turn: Turn): void {
  turn.state.space.isFull = true;
  lookWithin(turn, limits.spaceLookWhenFullMs);
}

/** Must the scans of this run wait? While space is short, those of the newest day of the most urgent lane come first. */
export function waitsForRoom(turn: Turn, run: Run): boolean {
  if (!turn.state.space.isOver) return false;
  return liveRuns(turn.state.durable).some(
    (other) => goesBefore(other, run) && other.ending === undefined && other.state !== "committing",
  );
}

function goesBefore(other: Run, run: Run): boolean {
  const [theirs, ours] = [laneOf(other), laneOf(run)];
  return theirs === ours ? other.day > run.day : isMoreUrgent(theirs, ours);
}

export function spaceAnswered(turn: Turn, { ask: question, answer }: Answered): void {
  if (answer.kind === "usage") weighed(turn, answer.streams);
  else if (answer.kind === "staging") sweepStaging(turn, answer.runs);
  else if (answer.kind === "failed") {
    const { code, message } = answer.failure;
    log(turn, "warn", `${question.kind} failed, it is asked again: ${message}`, { code });
  }
}

function sweepStaging(turn: Turn, staged: readonly string[]): void {
  const { durable, submissions, unrestored } = turn.state;
  const coming = new Set([
    ...[...submissions.values()].map(({ job, day }) => nextRun(durable, job.name, day).run),
    ...unrestored.map(({ run }) => run),
  ]);
  // A run that was promised under a lost journal has files there before it is created again.
  const isLive = (id: string) => coming.has(id) || liveRuns(durable).some((run) => run.id === id);
  for (const run of staged.filter((id) => !isLive(id)).slice(0, limits.stagingSweptMax)) {
    ask(turn, { kind: "dropStaging", epoch: epochOf(turn), run }, background);
  }
}

function weighed(turn: Turn, usage: Usage): void {
  const { durable, config } = turn.state;
  const wanted = wantedStreams(durable);
  const bytes = new Map<string, number>();
  const unknown: string[] = [];
  for (const one of usage) {
    if (!isExchangeStream(config.cluster, one.stream)) continue;
    if (wanted.has(one.stream)) bytes.set(one.stream, one.bytes);
    else unknown.push(one.stream);
  }
  if (unknown.length > 0 && !isPlanning(turn.state)) dropStreams(turn, [], unknown);
  makeRoom(turn, bytes);
}

/** Streams of a run that is being planned, or restored later, have no name yet: they might be among those of nobody. */
export function isPlanning({ durable, submissions, unrestored }: CoordinatorState): boolean {
  if (submissions.size + unrestored.length > 0) return true;
  return liveRuns(durable).some((run) => run.state === "planning");
}

/** Streams that a live run or a kept output stands on. */
function wantedStreams(durable: Durable): ReadonlySet<string> {
  const live = liveRuns(durable).map((run) => ({ exchanges: run.exchanges.values() }));
  return new Set([...durable.kept.values(), ...live].flatMap(streamsOf));
}

function makeRoom(turn: Turn, bytes: ReadonlyMap<string, number>): void {
  const { space } = turn.state;
  let total = [...bytes.values()].reduce((sum, one) => sum + one, 0);
  const budget = limits.exchangeBytesBudget;
  const target = space.isFull ? Math.min(budget, Math.floor(total / 2)) : budget;
  for (const one of evictable(turn.state.durable, bytes)) {
    if (total <= target) break;
    total -= one.bytes;
    evict(turn, one);
  }
  const isOver = space.isFull || total > budget;
  if (isOver && !space.isOver) {
    log(turn, "warn", "the exchange is short of room: scans of backlog and older days wait", {
      bytes: total,
    });
  }
  space.isOver = isOver;
  space.isFull = false;
}

interface Evictable {
  readonly scope: string;
  readonly job: string;
  readonly day: string;
  readonly source: string;
  readonly streams: readonly string[];
  readonly bytes: number;
}

/** Kept outputs that no live run can stand on, oldest day first. Those that hold nothing are no help. */
function evictable(durable: Durable, bytes: ReadonlyMap<string, number>): readonly Evictable[] {
  const all = [...durable.kept].flatMap(([scope, kept]) => {
    const { job, day, source } = kept;
    if (liveRun(durable, job, day) !== undefined) return [];
    const streams = streamsOf(kept);
    const held = streams.reduce((sum, stream) => sum + (bytes.get(stream) ?? 0), 0);
    return held === 0 ? [] : [{ scope, job, day, source, streams, bytes: held }];
  });
  return all.sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0));
}

function evict(turn: Turn, { scope, job, day, source, streams, bytes }: Evictable): void {
  dropKept(turn, [scope]);
  const about = { source, bytes, streams: streams.length };
  publish(turn, { job, day }, "exchange.evicted", about);
  log(turn, "info", "kept outputs evicted: the exchange is short of room", { job, day, ...about });
}

/** Outputs of these scopes and the streams that they are in. */
export function dropKept(turn: Turn, scopes: readonly string[]): void {
  const { kept } = turn.state.durable;
  const dropped = scopes.flatMap((scope) => kept.get(scope) ?? []);
  dropStreams(turn, scopes, dropped.flatMap(streamsOf));
}

/** The fact goes first, also without a scope: a leader that was replaced can't save it, and so drops nothing. */
function dropStreams(turn: Turn, scopes: readonly string[], streams: readonly string[]): void {
  decide(turn, { kind: "keptDropped", scopes });
  ask(turn, { kind: "dropStreams", streams }, background);
}
