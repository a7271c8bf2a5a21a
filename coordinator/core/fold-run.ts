/**
 * What facts about a whole run do to durable state: created, planned, checked, committed, ended.
 * Part of `fold`: in place, total, deciding nothing.
 */
import { assert } from "../../shared/kernel/assert.ts";
import type { ShownRevision } from "../../shared/kernel/delivery.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { ManifestDataset } from "../../shared/kernel/manifest.ts";
import { figuresOf, rememberFigures } from "./check-history.ts";
import { foldDayFailed, foldDayMade, foldGathered } from "./days/fold-days.ts";
import {
  type DayRecord,
  type Durable,
  emptySums,
  isStaged,
  liveRuns,
  newTask,
  type Run,
  type Stage,
  type StageKind,
  type TaskResult,
} from "./durable.ts";
import type { Fact, PlannedScan } from "./facts.ts";
import { dropResult } from "./fold-task.ts";
import { KeptOutputs } from "./kept-outputs.ts";
import { packSplits } from "./kept-splits.ts";
import { foldSalvaged, foldSalvageUsed } from "./salvage.ts";
import { runStatus } from "./views.ts";

type Of<Kind extends Fact["kind"]> = Extract<Fact, { kind: Kind }>;

export function foldRunCreated(durable: Durable, day: DayRecord, fact: Of<"runCreated">): void {
  day.highest = Math.max(day.highest, fact.revision);
  durable.requests.set(fact.requestId, fact.run);
  durable.runs.set(fact.run, {
    id: fact.run,
    job: fact.job,
    day: fact.day,
    revision: fact.revision,
    jobDigest: fact.jobDigest,
    duckdb: fact.duckdb,
    createdMs: fact.wallMs,
    ...(fact.lane === undefined ? {} : { lane: fact.lane }),
    ...(fact.isGathering === undefined ? {} : { isGathering: fact.isGathering }),
    plan: fact.plan,
    state: "planning",
    stages: [],
    dimensions: new Map(),
    exchanges: new Map(),
    warnings: [],
    ...(fact.origin === undefined ? {} : { origin: fact.origin }),
    ...(fact.news === undefined ? {} : { news: fact.news }),
    ...(fact.by === undefined ? {} : { by: fact.by }),
    ...(fact.select === undefined ? {} : { select: fact.select }),
    ...(fact.origin === "news" && day.input !== undefined ? { answers: day.input.digests } : {}),
    ...(fact.missing === undefined ? {} : { missing: fact.missing }),
    ...(fact.upstream === undefined ? {} : { upstream: fact.upstream }),
  });
  // The whole day is wanted.
  if (fact.select === undefined) delete day.wanted;
}

export function foldRunPlanned(
  durable: Durable,
  day: DayRecord,
  run: Run,
  fact: Of<"runPlanned">,
): void {
  run.state = "running";
  if (fact.isGathering !== true) delete run.isGathering;
  if (fact.digests !== undefined) run.digests = fact.digests;
  for (const { name, file } of fact.dimensions) run.dimensions.set(name, file);
  for (const exchange of fact.exchanges) run.exchanges.set(exchange.exchange, exchange);
  run.stages = run.plan.stages.map((plan) => {
    const { input } = plan;
    const salvage = fact.salvage?.find((one) => one.stage === plan.id)?.scope;
    if (input.kind === "exchange") {
      return newStage(plan.id, "reduce", groupsOf(run, input), { salvage });
    }
    const scan = fact.scans.find((one) => one.stage === plan.id);
    assert(scan !== undefined, "every scan stage was cut");
    day.splits.set(input.source, packSplits(scan.splits));
    if (scan.scope !== undefined) keepFrom(durable, run, input.source, scan.scope);
    return newStage(plan.id, "scan", scan.splits.length, { ...scan, salvage });
  });
}

/**
 * Behind a gap in the journal splits would get the numbers of others, and attempts the wrong files: then nothing is
 * taken, and the run gathers on.
 */
export function foldRunGrown(day: DayRecord, run: Run, fact: Of<"runGrown">): void {
  if (run.isGathering !== true || run.state !== "running") return;
  const added = fact.scans.map((scan) => ({
    scan,
    index: run.stages.findIndex(({ id }) => id === scan.stage),
  }));
  const fits = added.every(({ scan, index }) => run.stages[index]?.splits.length === scan.from);
  if (!fits) return;
  for (const { scan, index } of added) {
    const stage = run.stages[index];
    const input = run.plan.stages[index]?.input;
    if (stage === undefined || input?.kind !== "scan") continue;
    stage.splits = [...stage.splits, ...scan.splits];
    for (const _ of scan.splits) stage.waiting.add(stage.tasks.push(newTask()) - 1);
    if (scan.dropped !== undefined) stage.dropped = scan.dropped;
    day.splits.set(input.source, packSplits(stage.splits));
  }
  if (fact.digests === undefined) return;
  for (const { name, file } of fact.dimensions ?? []) run.dimensions.set(name, file);
  run.digests = fact.digests;
  run.createdMs = fact.wallMs;
  delete run.isGathering;
}

export function foldRunClosing(run: Run, fact: Of<"runClosing">): void {
  const { lane, origin, news, by, missing, upstream } = fact;
  run.lane = lane;
  run.origin = origin;
  if (news !== undefined) run.news = news;
  if (by !== undefined) run.by = by;
  if (missing > 0) run.missing = missing;
  if (Object.keys(upstream).length > 0) run.upstream = upstream;
}

export function foldLaneRaised(run: Run, { lane, by }: Of<"laneRaised">): void {
  run.lane = lane;
  if (run.isGathering !== true || by === undefined) return;
  delete run.origin;
  if (by !== "") run.by = by;
}

function groupsOf(run: Run, input: { readonly exchanges: readonly string[] }): number {
  const plan = run.plan.exchanges.find((exchange) => exchange.id === input.exchanges[0]);
  assert(plan !== undefined, "a reduce stage reads an exchange of its plan");
  return plan.groups;
}

function keepFrom(durable: Durable, run: Run, source: string, scope: string): void {
  if (durable.kept.has(scope)) return;
  const exchanges = [...run.exchanges.values()].filter((exchange) => exchange.scope === scope);
  const outputs = new KeptOutputs();
  durable.kept.set(scope, { job: run.job, day: run.day, source, exchanges, outputs });
}

export function foldChecksStarted(durable: Durable, run: Run, fact: Of<"checksStarted">): void {
  run.state = "checking";
  const checks = fact.checks ?? durable.jobs.get(run.jobDigest)?.checks.length ?? 0;
  run.stages.push(newStage("checks", "check", checks));
}

type Planned = Partial<PlannedScan> & { readonly salvage?: string | undefined };

function newStage(id: string, kind: StageKind, tasks: number, planned: Planned = {}): Stage {
  const { splits = [], scope, salvage, former, dropped } = planned;
  return {
    id,
    kind,
    splits,
    ...(scope === undefined ? {} : { scope }),
    ...(salvage === undefined ? {} : { salvage }),
    ...(former === undefined ? {} : { former }),
    ...(dropped === undefined ? {} : { dropped }),
    tasks: Array.from({ length: tasks }, newTask),
    waiting: new Set(Array.from({ length: tasks }, (_, index) => index)),
    done: 0,
    reused: 0,
    failedAttempts: 0,
    startedMs: 0,
    endedMs: 0,
    sums: emptySums(),
  };
}

export function foldRunCommitted(
  durable: Durable,
  day: DayRecord,
  run: Run,
  fact: Of<"runCommitted">,
): void {
  run.state = "committed";
  // Before readers see it: what they saw until now is compared with it. What the datasets were made from that a run of
  // some models carries over is what it was, and so are what is new for them and how they failed.
  if (run.select === undefined) {
    foldDayMade(day, run, durable.jobs.get(run.jobDigest), fact.wallMs);
  }
  show(day, shownRevision(run.revision, fact.wallMs, fact.datasets));
  rememberFigures(durable, day, fact.figures ?? figuresOf(fact.datasets, []));
  const finals = new Map(fact.moved.map(({ staged, path }) => [staged, path]));
  settleKept(durable, run, finals);
  foldSalvageUsed(durable, run);
  rememberDropped(day, run);
  run.ended = {
    ...runStatus(run),
    datasets: fact.datasets,
    manifest: fact.manifest,
    endedMs: fact.wallMs,
  };
  shrink(run);
}

/** A revision that readers see, or saw. */
export function shownRevision(
  revision: number,
  wallMs: number,
  datasets: readonly Pick<ManifestDataset, "dataset" | "madeIn">[],
): ShownRevision {
  const made = datasets.map(({ dataset, madeIn = revision }) => [dataset, madeIn] as const);
  return { revision, wallMs, datasets: Object.fromEntries(made) };
}

/** The last ones of a day are remembered, in order. */
export function rememberShown(day: DayRecord, shown: ShownRevision): void {
  const others = (day.shown ?? []).filter(({ revision }) => revision !== shown.revision);
  const all = [...others, shown].sort((a, b) => a.revision - b.revision);
  day.shown = all.slice(-limits.shownRevisionsMax);
}

/** Readers see this revision from now on: what is older is no longer waited for. */
export function show(day: DayRecord, shown: ShownRevision): void {
  rememberShown(day, shown);
  day.committed = Math.max(day.committed, shown.revision);
  day.datasets = Object.keys(shown.datasets);
  if ((day.quarantined?.revision ?? 0) <= day.committed) delete day.quarantined;
}

/** The newest one of a day is remembered. */
export function quarantine(
  day: DayRecord,
  quarantined: NonNullable<DayRecord["quarantined"]>,
): void {
  const { revision } = quarantined;
  if (revision > day.committed && revision >= (day.quarantined?.revision ?? 0)) {
    day.quarantined = quarantined;
  }
}

export function foldRunQuarantined(
  durable: Durable,
  day: DayRecord,
  run: Run,
  fact: Of<"runQuarantined">,
): void {
  const { datasets, manifest, failure, moved, wallMs } = fact;
  run.state = "quarantined";
  quarantine(day, {
    revision: run.revision,
    datasets: datasets.map((dataset) => dataset.dataset),
  });
  // As after a failed check: the day is not made again by itself from the same input.
  if (run.select === undefined) foldDayFailed(day, run, failure, wallMs);
  settleKept(durable, run, new Map(moved.map(({ staged, path }) => [staged, path])));
  foldSalvageUsed(durable, run);
  rememberDropped(day, run);
  run.ended = { ...runStatus(run), datasets, manifest, failure, endedMs: wallMs };
  shrink(run);
}

export function foldRunReleased(durable: Durable, day: DayRecord, fact: Of<"runReleased">): void {
  const { revision, datasets } = fact;
  const isWhole = datasets.every(({ madeIn }) => madeIn === undefined);
  day.highest = Math.max(day.highest, revision);
  if (revision > day.committed) {
    show(day, shownRevision(revision, fact.wallMs, datasets));
    rememberFigures(durable, day, fact.figures);
    if (isWhole) {
      delete day.failed;
      delete day.made;
    }
  }
  const run = durable.runs.get(fact.run);
  if (run !== undefined && revision === day.committed && isWhole) {
    foldDayMade(day, run, durable.jobs.get(run.jobDigest), fact.wallMs);
  }
  if (run?.ended?.state !== "quarantined") return;
  const { failure: _, ...ended } = run.ended;
  run.state = "committed";
  run.ended = { ...ended, state: "committed", datasets };
}

export function foldRunEnded(
  durable: Durable,
  day: DayRecord,
  run: Run,
  fact: Of<"runEnded">,
): void {
  run.state = fact.state;
  // The day was not even begun: its own run is yet to come.
  if (run.isGathering === true) foldGathered(day, run);
  else if (run.select === undefined) foldDayFailed(day, run, fact.failure, fact.wallMs);
  settleKept(durable, run, new Map());
  foldSalvaged(durable, run, fact.failure);
  rememberDropped(day, run);
  run.ended = { ...runStatus(run), failure: fact.failure, endedMs: fact.wallMs };
  shrink(run);
}

/** The day's next run cuts its files as this one did in the end: duplicates are not read again to be found again. */
function rememberDropped(day: DayRecord, run: Run): void {
  run.stages.forEach(({ kind, splits, dropped = [] }, index) => {
    const input = run.plan.stages[index]?.input;
    if (kind !== "scan" || input?.kind !== "scan") return;
    const { [input.source]: _, ...others } = day.dropped ?? {};
    const all = dropped.length === 0 ? others : { ...others, [input.source]: dropped };
    const counting = splits.filter(({ files }) => files.length > 0);
    if (dropped.length > 0) day.splits.set(input.source, packSplits(counting));
    if (Object.keys(all).length > 0) day.dropped = all;
    else delete day.dropped;
  });
}

/**
 * A kept output's reject and late files must outlive the run's staging folder: they move to their final paths with
 * the commit. Without one the output can't be used again, for those lines would be lost. That holds for outputs that
 * were found again, too, and that no task had taken when the run ended.
 */
function settleKept(durable: Durable, run: Run, finals: ReadonlyMap<string, string>): void {
  for (const stage of run.stages) {
    const kept = stage.scope === undefined ? undefined : durable.kept.get(stage.scope);
    if (kept === undefined) continue;
    for (const { result } of stage.tasks) {
      if (result?.mapKey === undefined || !hasSideFiles(result)) continue;
      if (!kept.outputs.has(result.mapKey)) continue;
      const settled = settle(result, finals);
      if (settled === undefined) kept.outputs.delete(result.mapKey);
      else kept.outputs.set(result.mapKey, settled);
    }
    for (const key of kept.outputs.keysOf(`"${stagingOf(run)}`)) kept.outputs.delete(key);
    kept.outputs.close();
  }
  settleReaders(durable, run, finals);
}

/**
 * A damaged journal may show a later run of the day that took up outputs of this one before its end was known. What
 * can't be given its final place is made again, unless the later run commits already: then the files are missed there.
 */
function settleReaders(durable: Durable, run: Run, finals: ReadonlyMap<string, string>): void {
  const staging = stagingOf(run);
  const isOurs = (path = "") => path.startsWith(staging);
  for (const other of liveRuns(durable)) {
    if (other === run || other.job !== run.job || other.day !== run.day) continue;
    for (const stage of other.stages) {
      stage.tasks.forEach((task, index) => {
        const { result } = task;
        if (!isOurs(result?.rejectsFile) && !isOurs(result?.lateFile)) return;
        const settled = result && settle(result, finals);
        if (settled !== undefined) task.result = settled;
        else if (other.state !== "committing") dropResult(durable, other, stage, index);
      });
    }
  }
}

function stagingOf({ id }: Run): string {
  return `staging/${id}/`;
}

function hasSideFiles({ rejectsFile, lateFile }: TaskResult): boolean {
  return rejectsFile !== undefined || lateFile !== undefined;
}

function settle(result: TaskResult, finals: ReadonlyMap<string, string>): TaskResult | undefined {
  const { rejectsFile, lateFile, ...rest } = result;
  // The output of an earlier run has final paths already.
  const final = (path = "") => finals.get(path) ?? (isStaged(path) ? undefined : path);
  const rejects = rejectsFile === undefined ? undefined : final(rejectsFile);
  const late = lateFile === undefined ? undefined : final(lateFile);
  if ((rejectsFile !== undefined && rejects === undefined) || (lateFile && !late)) return undefined;
  return {
    ...rest,
    ...(rejects === undefined ? {} : { rejectsFile: rejects }),
    ...(late === undefined ? {} : { lateFile: late }),
  };
}

/** An ended run is remembered by what it shows; its tasks are not needed again. */
function shrink(run: Run): void {
  run.stages = [];
  run.dimensions = new Map();
  run.exchanges = new Map();
  delete run.checks;
  run.plan = { stages: [], exchanges: [], datasets: [], usesLogicalTime: false };
}
