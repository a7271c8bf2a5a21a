/**
 * Room in the exchange and in staging. The leader looks every so often at what is there: what belongs to no live run and
 * to no kept output is dropped; above the budget kept outputs go (judged in exchange-retention.ts); while that is not
 * enough, scans of less urgent lanes wait, and within a lane those of older days wait for the newest one.
 */
import { isExchangeStream } from "../../shared/kernel/exchange-names.ts";
import { isMoreUrgent } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { windowFrom } from "./days/window.ts";
import {
  type Durable,
  laneOf,
  liveRun,
  liveRuns,
  nextRun,
  type Run,
  streamsOf,
} from "./durable.ts";
import { type ExchangeContext, type ExchangeVerdict, judgeExchange } from "./exchange-retention.ts";
import type { Answer } from "./protocol.ts";
import { isStagingWanted } from "./salvage.ts";
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
  turn.state.space.isTight = true;
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
  if (answer.kind === "usage") weighed(turn, answer.streams, answer.isTight === true);
  else if (answer.kind === "staging") {
    if (answer.room !== undefined) turn.state.space.room = answer.room;
    sweepStaging(turn, answer.runs);
  } else if (answer.kind === "failed") {
    const { code, message } = answer.failure;
    log(turn, "warn", `${question.kind} failed, it is asked again: ${message}`, { code });
  }
}

function sweepStaging(turn: Turn, staged: readonly string[]): void {
  const goes = staged.filter((run) => stagingVerdict(turn, run).goes);
  for (const run of goes.slice(0, limits.stagingSweptMax)) dropStaging(turn, run);
}

export function dropStaging(turn: Turn, run: string): void {
  ask(turn, { kind: "dropStaging", epoch: epochOf(turn), run }, background);
}

/** What is staged goes when its run has ended: whatever counts of it has another name by then. */
export function stagingVerdict(
  { state }: Turn,
  id: string,
): { readonly goes: boolean; readonly why: string } {
  const { durable, submissions, unrestored } = state;
  const run = durable.runs.get(id);
  if (run !== undefined && run.ended === undefined)
    return { goes: false, why: "its run is under way" };
  // A run that was promised under a lost journal has files there before it is created again.
  const isComing =
    unrestored.some((request) => request.run === id) ||
    [...submissions.values()].some(({ job, day }) => nextRun(durable, job.name, day).run === id);
  if (isComing) return { goes: false, why: "its run is being planned" };
  if (isStagingWanted(durable, id)) {
    return { goes: false, why: "its run failed: the day's next one goes on from what it had made" };
  }
  return { goes: true, why: "its run has ended" };
}

/** Storage is full: what failed runs had made of days that nobody is at is worth less than a run that waits. */
export function makeRoomOnStorage(turn: Turn): void {
  const { durable } = turn.state;
  const idle = [...durable.kept].filter(
    ([, kept]) => kept.isSalvage === true && liveRun(durable, kept.job, kept.day) === undefined,
  );
  if (idle.length === 0) return;
  const scopes = idle.map(([scope]) => scope);
  log(turn, "warn", "storage is full: finished work of failed runs is given up", {
    stages: scopes.length,
  });
  dropKept(turn, scopes);
  lookWithin(turn, 0);
}

function weighed(turn: Turn, usage: Usage, isTight: boolean): void {
  const { space } = turn.state;
  // Where nothing of ours lies there, nothing of ours is in the way.
  const isOurs = (stream: string) => isExchangeStream(turn.state.config.cluster, stream);
  space.isTight = isTight && usage.some(({ stream, bytes }) => bytes > 0 && isOurs(stream));
  if (space.isTight) {
    space.isFull = true;
    lookWithin(turn, limits.spaceLookWhenFullMs);
    log(turn, "warn", "NATS has no room left: nothing that writes rows starts until it has");
  }
  const { verdicts, left } = judgeExchange(turn.state.durable, usage, exchangeContext(turn));
  dropJudged(turn, verdicts);
  space.neededBytes = neededBytes(turn.state.durable, usage);
  const isOver = space.isFull || left > limits.exchangeBytesBudget;
  if (isOver && !space.isOver) {
    log(turn, "warn", "the exchange is short of room: scans of backlog and older days wait", {
      bytes: left,
    });
  }
  space.isOver = isOver;
  space.isFull = false;
}

/** What live runs, and kept outputs of their days, hold: it can't be evicted. */
function neededBytes(durable: Durable, usage: Usage): number {
  const live = liveRuns(durable).map((run) => ({ exchanges: run.exchanges.values() }));
  const kept = [...durable.kept.values()].filter(({ job, day }) => liveRun(durable, job, day));
  const needed = new Set([...kept, ...live].flatMap(streamsOf));
  return usage.reduce((sum, { stream, bytes }) => sum + (needed.has(stream) ? bytes : 0), 0);
}

/** What the leader knows that its judgement of the exchange rests on; a report and its looks judge by the same. */
export function exchangeContext(turn: Turn): ExchangeContext {
  const { durable, config, space } = turn.state;
  const budget = limits.exchangeBytesBudget;
  const windows = new Map<string, ReturnType<typeof windowFrom>>();
  return {
    cluster: config.cluster,
    isPlanning: isPlanning(turn.state),
    bytesMax: (bytes) => (space.isFull ? Math.min(budget, Math.floor(bytes / 2)) : budget),
    backlogDays: (job) => {
      const spec = durable.jobs.get(durable.names.get(job) ?? "");
      return spec?.backlogDays ?? limits.backlogDaysDefault;
    },
    windowFrom: (job) => {
      if (!windows.has(job)) windows.set(job, windowFrom(turn, job));
      return windows.get(job);
    },
    wallMs: turn.wall,
  };
}

/** Carries out what was judged. */
export function dropJudged(turn: Turn, verdicts: readonly ExchangeVerdict[]): void {
  const unused = verdicts.filter(({ goes }) => goes === "unused").flatMap(({ streams }) => streams);
  if (unused.length > 0) dropStreams(turn, [], unused);
  const old = verdicts.filter(({ goes }) => goes === "old");
  if (old.length > 0)
    dropKept(
      turn,
      old.map(({ scope }) => scope),
    );
  for (const verdict of verdicts) if (verdict.goes === "room") evict(turn, verdict);
}

/** Streams of a run that is being planned, or restored later, have no name yet: they might be among those of nobody. */
export function isPlanning({ durable, submissions, unrestored }: CoordinatorState): boolean {
  if (submissions.size + unrestored.length > 0) return true;
  return liveRuns(durable).some((run) => run.state === "planning");
}

function evict(turn: Turn, { scope, job, day, source, streams, bytes }: ExchangeVerdict): void {
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
