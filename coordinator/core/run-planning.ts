/**
 * From listed input files to a planned run. On the way the leader looks into the exchange for outputs of this very day
 * that the journal does not know (reindex.ts): a run that starts again need not read again what lies there.
 */
import { tellDropped } from "./drop-duplicates.ts";
import { dayKey, type Kept, type Run } from "./durable.ts";
import type { Fact, PlannedExchange } from "./facts.ts";
import { gatheredListing } from "./gathering.ts";
import { unpackSplits } from "./kept-splits.ts";
import { spare } from "./losers.ts";
import { planRun } from "./planning.ts";
import type { Answer } from "./protocol.ts";
import { exchangesThere, type FoundOutput, findOutputs, formerSplits } from "./reindex.ts";
import { changed, endRun, ensureStreams, jobOf, tellPlanned } from "./run-flow.ts";
import type { Listing } from "./state.ts";
import { ask, decide, log, type Turn } from "./turn.ts";

type Completions = Extract<Answer, { kind: "completions" }>;
type RunPlanned = Extract<Fact, { kind: "runPlanned" }>;
type Usage = Extract<Answer, { kind: "usage" }>["streams"];

/** Input files are known: cut them, and make the streams. */
export function inputsListed(turn: Turn, run: Run, answer: Listing): void {
  const listed = run.isGathering === true ? gatheredListing(turn, run, answer) : answer;
  if (listed === undefined) return;
  const planned = plan(turn, run, listed, []);
  if (planned === undefined) return;
  const { kept } = turn.state.durable;
  const isKnown = (scope: string) => kept.has(scope) && !turn.state.journalLost;
  const scans = new Set(planned.scans.map(({ scope }) => scope));
  const unknown = planned.exchanges.filter(
    ({ scope }) => scope && scans.has(scope) && !isKnown(scope),
  );
  if (unknown.length === 0) {
    remember(turn, run, planned, []);
    return;
  }
  turn.state.reindexing.set(run.id, { listed, exchanges: unknown });
  ask(turn, { kind: "readUsage" }, { kind: "run", run: run.id });
}

/** Which streams there are: the outputs of a day that nobody has worked on need no further look. */
export function streamsSeen(turn: Turn, run: Run, usage: Usage): void {
  const looking = turn.state.reindexing.get(run.id);
  turn.state.outages.delete(run.id);
  if (looking?.listed === undefined) return;
  const there = new Set(usage.map((one) => one.stream));
  const exchanges = exchangesThere(looking.exchanges, turn.state.durable.kept, there);
  if (exchanges.length === 0) goOnWith(turn, run, []);
  else readRecords(turn, run, looking.listed, exchanges);
}

/**
 * A planned run of a journal that lost its tail: results of scans may have been in there. True when they are looked
 * for; no task of the run starts before that.
 */
export function lookForRest(turn: Turn, run: Run): boolean {
  if (run.state !== "running" || run.ending !== undefined) return false;
  const open = run.stages.filter((stage) => stage.scope !== undefined && stage.waiting.size > 0);
  const scopes = new Set(open.map((stage) => stage.scope));
  const exchanges = [...run.exchanges.values()].filter(({ scope }) => scope && scopes.has(scope));
  if (exchanges.length === 0) return false;
  turn.state.streamsChecking.add(run.id);
  readRecords(turn, run, undefined, exchanges);
  return true;
}

function readRecords(
  turn: Turn,
  run: Run,
  listed: Listing | undefined,
  exchanges: readonly PlannedExchange[],
): void {
  turn.state.reindexing.set(run.id, { listed, exchanges });
  const streams = exchanges.flatMap((exchange) => exchange.streams);
  ask(turn, { kind: "readCompletions", run: run.id, streams }, { kind: "run", run: run.id });
}

export function recordsRead(turn: Turn, run: Run, answer: Completions): void {
  const { exchanges } = turn.state.reindexing.get(run.id) ?? { exchanges: [] };
  turn.state.outages.delete(run.id);
  const found = findOutputs(run.id, exchanges, answer);
  if (found.length > 0) spare(turn, new Set(found.map((one) => one.result.attemptId)));
  goOnWith(turn, run, found);
}

/** The look is over: with what it found, or with nothing when it could not be made. */
export function goOnWith(turn: Turn, run: Run, found: readonly FoundOutput[]): void {
  const looking = turn.state.reindexing.get(run.id);
  if (looking === undefined) return;
  turn.state.reindexing.delete(run.id);
  if (looking.listed === undefined) {
    keep(turn, run, found);
    ensureStreams(turn, run);
    return;
  }
  const scopes = new Set(found.map((one) => one.scope));
  const there = looking.exchanges.filter(({ scope }) => scope && scopes.has(scope));
  const planned = plan(turn, run, looking.listed, found, there);
  if (planned !== undefined) remember(turn, run, planned, found);
}

/** The fact to decide, or undefined when the run has no way on; then it ends. */
function plan(
  turn: Turn,
  run: Run,
  listed: Listing,
  found: readonly FoundOutput[],
  there: readonly PlannedExchange[] = [],
): RunPlanned | undefined {
  const job = jobOf(turn, run);
  if (job === undefined || run.state !== "planning" || run.ending !== undefined) return undefined;
  const { durable, config } = turn.state;
  const kept = new Map<string, Pick<Kept, "exchanges">>(durable.kept);
  for (const { scope = "" } of there) {
    if (durable.kept.has(scope)) continue;
    kept.set(scope, { exchanges: there.filter((exchange) => exchange.scope === scope) });
  }
  const day = durable.days.get(dayKey(run.job, run.day));
  const splits = found.map((one) => one.split);
  const former = listed.sources.map((source) => {
    const known = unpackSplits(day?.splits.get(source.source) ?? "[]");
    return [source.source, formerSplits(source, known, splits)] as const;
  });
  const planned = planRun({
    job,
    run,
    former: new Map(former),
    ...(day?.dropped === undefined ? {} : { dropped: day.dropped }),
    kept,
    listed,
    cluster: config.cluster,
    slots: turn.state.places.slots,
    wallMs: turn.wall,
  });
  if (!("code" in planned)) return listed.isPartial === true ? ofPart(planned) : planned;
  endRun(turn, run, planned, false);
  return undefined;
}

/** What lies in its sources is not known yet. */
function ofPart({ digests: _, ...planned }: RunPlanned): RunPlanned {
  return { ...planned, isGathering: true };
}

function remember(turn: Turn, run: Run, planned: RunPlanned, found: readonly FoundOutput[]): void {
  decide(turn, planned);
  run.stages.forEach(({ dropped = [] }, stage) => {
    tellDropped(turn, run, stage, dropped);
  });
  keep(turn, run, found);
  tellPlanned(turn, run);
  changed(turn, run);
  ensureStreams(turn, run);
}

/** From here on they are like any other kept output: a task whose map key is among them is not run. */
function keep(turn: Turn, run: Run, found: readonly FoundOutput[]): void {
  if (found.length === 0) return;
  for (const scope of new Set(found.map((one) => one.scope))) {
    const outputs = found.filter((one) => one.scope === scope).map((one) => one.result);
    decide(turn, { kind: "keptFound", scope, outputs });
  }
  const about = { run: run.id, outputs: found.length };
  log(turn, "info", "outputs found in the exchange that the journal does not know", about);
}
