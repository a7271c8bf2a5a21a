/**
 * A run that gathers: its day is not ready, so it maps what is final and begins nothing else. Splits are appended as
 * files come and never change; when the day is ready all of its files are listed, the rest is appended, and from then on
 * it is a run like any other. A file that is another one than the one that was mapped ends it: the day's own run begins
 * with the outputs that are kept. Which days do so is decided in days/ahead.ts.
 */
import { failure } from "../../shared/kernel/failure.ts";
import type { JobSpec, SourceFormat } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { StagePlan } from "../../shared/kernel/plan.ts";
import { type FileFingerprint, type Split, sameFile } from "../../shared/kernel/work.ts";
import { dropDuplicates, tellDropped } from "./drop-duplicates.ts";
import { sourceOf } from "./duplicates.ts";
import { dayKey, isClosing, type Run, type Stage } from "./durable.ts";
import type { AddedScan, Fact } from "./facts.ts";
import { joinedDimensions, planRun, scannedSources } from "./planning.ts";
import type { ListedSource } from "./protocol.ts";
import {
  advanceRun,
  changed,
  endRun,
  jobOf,
  listInputs,
  tellDone,
  tellPlanned,
} from "./run-flow.ts";
import { plainBytes } from "./splits.ts";
import type { Listing } from "./state.ts";
import { decide, log, type Turn } from "./turn.ts";

type RunPlanned = Extract<Fact, { kind: "runPlanned" }>;

/** What such a run is planned from now that an answer is there; undefined: nothing, it was taken care of. */
export function gatheredListing(turn: Turn, run: Run, answer: Listing): Listing | undefined {
  if (run.ending !== undefined) return undefined;
  // A job reads something: without sources only what else a plan takes was asked for.
  const isWhole = answer.sources.length > 0;
  if (run.state === "running") {
    if (isWhole && isClosing(run)) close(turn, run, answer);
    return undefined;
  }
  if (isWhole) return answer;
  if (isClosing(run)) {
    listInputs(turn, run.id);
    return undefined;
  }
  const sources = finalSources(turn, run);
  if (sources?.some(({ files }) => files.length > 0) === true) {
    return { ...answer, sources, isPartial: true };
  }
  // A new leader has to look first; and what a lost journal knew is found again file by file.
  listInputs(turn, run.id, limits.deskEveryMs);
  return undefined;
}

/** Of each source of the run what the last look takes for final; undefined: nobody has looked. */
function finalSources(turn: Turn, run: Run): readonly ListedSource[] | undefined {
  const job = jobOf(turn, run);
  const verdict = turn.state.desk.looks.get(dayKey(run.job, run.day))?.verdict;
  if (job === undefined || verdict === undefined) return undefined;
  return scannedSources(job, run.plan).map(({ name, format }) => {
    const final = verdict.sources.find(({ source }) => source === name)?.final ?? [];
    return { source: name, files: mappable(job, format, final) };
  });
}

/**
 * Parquet files that are cut by rows wait: how many rows they have is found out when all files are listed. So does a file
 * without a byte: it is an error by then, or costs nothing.
 */
export function mappable(
  { execution }: JobSpec,
  format: SourceFormat,
  final: readonly FileFingerprint[],
): readonly FileFingerprint[] {
  const most = format === "parquet" ? execution.splitBytes : Infinity;
  return final.filter(({ size }) => size > 0 && size <= most);
}

/** Appends what has become final since; ends the run where a file is not the one that was mapped. */
export function grow(turn: Turn, run: Run): void {
  const look = turn.state.desk.looks.get(dayKey(run.job, run.day));
  const job = jobOf(turn, run);
  if (look?.verdict === undefined || look.verdict === look.gathered || job === undefined) return;
  look.gathered = look.verdict;
  const sources: ListedSource[] = [];
  let isNews = false;
  for (const { source, files } of finalSources(turn, run) ?? []) {
    const seen = look.seen.get(source)?.look;
    const { splits = [], dropped = [] } = scanOf(run, source) ?? {};
    const mapped = splits.flatMap((split) => split.files);
    if (seen === undefined || seen.problem !== undefined) {
      sources.push({ source, files: mapped });
      continue;
    }
    const other = firstOther(mapped, seen.files);
    if (other !== undefined) {
      abandon(turn, run, `${other.path} is not the file any more that was mapped`);
      return;
    }
    const known = new Set([...mapped, ...dropped.map(({ file }) => file)].map(({ path }) => path));
    const fresh = files.filter(({ path }) => !known.has(path));
    const isEnough = fresh.length > 0 && isWorthIt(job, source, splits.length, fresh);
    isNews ||= isEnough;
    sources.push({ source, files: isEnough ? [...mapped, ...fresh] : mapped });
  }
  if (isNews) append(turn, run, job, sources);
}

/** A split's worth of bytes. Less is taken for as long as the stage is small: then its tasks are cheap to have. */
function isWorthIt(
  job: JobSpec,
  source: string,
  splits: number,
  fresh: readonly FileFingerprint[],
): boolean {
  if (splits < limits.aheadSmallSplitsMax) return true;
  const format = job.sources.find(({ name }) => name === source)?.format ?? "csv";
  const bytes = fresh.reduce((sum, file) => sum + plainBytes(file, format), 0);
  return bytes >= job.execution.splitBytes;
}

function append(turn: Turn, run: Run, job: JobSpec, sources: readonly ListedSource[]): void {
  const dimensions = joinedDimensions(job, run.plan).flatMap(
    ({ name }) => run.dimensions.get(name) ?? [],
  );
  const planned = planAgain(turn, run, job, { kind: "listed", sources, dimensions });
  const added = "code" in planned ? planned.message : addedBy(run, planned);
  if (typeof added === "string") {
    log(turn, "warn", `files are not mapped ahead: ${added}`, { run: run.id });
    return;
  }
  const scans = added.filter(({ splits }) => splits.length > 0);
  if (scans.length === 0) return;
  const growth = scans.map(({ dropped: _, ...scan }) => scan);
  decide(turn, { kind: "runGrown", run: run.id, scans: growth, wallMs: turn.wall });
  changed(turn, run);
}

/** All files are known: the rest is appended, and the run goes on as any other. */
function close(turn: Turn, run: Run, listed: Listing): void {
  const job = jobOf(turn, run);
  if (job === undefined) return;
  const planned = planAgain(turn, run, job, listed);
  if ("code" in planned) {
    endRun(turn, run, planned, false);
    return;
  }
  const scans = addedBy(run, planned);
  if (typeof scans === "string") {
    abandon(turn, run, scans);
    return;
  }
  const { digests = {}, dimensions } = planned;
  const told = new Set(run.stages.flatMap(({ dropped = [] }) => dropped.map(pathOf)));
  const { done, tasks } = progress(run);
  const all = { scans, digests, dimensions };
  decide(turn, { kind: "runGrown", run: run.id, ...all, wallMs: turn.wall });
  log(turn, "info", "a day is ready", { run: run.id, doneAhead: done, tasksAhead: tasks });
  run.stages.forEach(({ dropped = [] }, stage) => {
    tellDropped(
      turn,
      run,
      stage,
      dropped.filter((one) => !told.has(pathOf(one))),
    );
  });
  tellPlanned(turn, run);
  // Now all contents may be known: a scan that lost a file has to read again before it is done.
  dropDuplicates(turn, run);
  for (const stage of run.stages) tellDone(turn, run, stage);
  changed(turn, run);
  advanceRun(turn, run);
}

function pathOf({ file }: { readonly file: FileFingerprint }): string {
  return file.path;
}

/** The day does without: its own run, when its time has come, finds what is kept of this one. */
export function abandon(turn: Turn, run: Run, why: string): void {
  log(turn, "warn", `files that were mapped ahead are left: ${why}`, { run: run.id });
  endRun(turn, run, failure("cancelled", `mapping ahead has ended: ${why}`), true);
}

/** As if the run was planned now, going on from how it is cut. */
function planAgain(turn: Turn, run: Run, job: JobSpec, listed: Listing) {
  const { durable, config, places } = turn.state;
  const day = durable.days.get(dayKey(run.job, run.day));
  const former = run.stages.map((stage, index) => [sourceOf(run, index), stage.splits] as const);
  return planRun({
    job,
    run,
    former: new Map(former),
    ...(day?.dropped === undefined ? {} : { dropped: day.dropped }),
    kept: durable.kept,
    listed,
    cluster: config.cluster,
    slots: places.slots,
    wallMs: turn.wall,
  });
}

/** What a new plan has more than the run; or why it can't go on from the run. */
function addedBy(run: Run, planned: RunPlanned): readonly AddedScan[] | string {
  for (const { name, file } of planned.dimensions) {
    // Reduces have not begun: they take it as it is now.
    if (!run.plan.stages.some((stage) => isMapping(stage, name))) continue;
    const was = run.dimensions.get(name);
    if (was === undefined || !isSame(was, file)) return `dimension ${name} has changed`;
  }
  const added: AddedScan[] = [];
  for (const { stage: id, splits, dropped = [] } of planned.scans) {
    const from = run.stages.find((stage) => stage.id === id)?.splits ?? [];
    const other = from.find((split, index) => !isSameSplit(split, splits[index]));
    if (other !== undefined) {
      const names = other.files.map(({ path }) => path).join(", ");
      return `not all of ${names} is what was mapped`;
    }
    added.push({ stage: id, from: from.length, splits: splits.slice(from.length), dropped });
  }
  return added;
}

function isMapping({ input, dimensions }: StagePlan, dimension: string): boolean {
  return input.kind === "scan" && dimensions.includes(dimension);
}

function isSameSplit(one: Split, other: Split | undefined): boolean {
  if (other === undefined || one.files.length !== other.files.length) return false;
  if (one.rows?.from !== other.rows?.from || one.rows?.to !== other.rows?.to) return false;
  return one.files.every((file, index) => {
    const is = other.files[index];
    return is !== undefined && isSame(file, is);
  });
}

function isSame(one: FileFingerprint, other: FileFingerprint): boolean {
  return one.path === other.path && sameFile(one, other);
}

function firstOther(
  mapped: readonly FileFingerprint[],
  there: readonly FileFingerprint[],
): FileFingerprint | undefined {
  const byPath = new Map(there.map((file) => [file.path, file]));
  return mapped.find((file) => {
    const is = byPath.get(file.path);
    return is === undefined || !sameFile(is, file);
  });
}

function scanOf(run: Run, source: string): Stage | undefined {
  return run.stages.find((_, index) => sourceOf(run, index) === source);
}

/** Map tasks of a run, and the files that those which are done have read. */
export function progress(run: Run): { done: number; tasks: number; files: number } {
  const sum = { done: 0, tasks: 0, files: 0 };
  for (const { kind, splits, tasks, done } of run.stages) {
    if (kind !== "scan") continue;
    sum.done += done;
    sum.tasks += tasks.length;
    tasks.forEach(({ result }, index) => {
      if (result !== undefined) sum.files += splits[index]?.files.length ?? 0;
    });
  }
  return sum;
}
