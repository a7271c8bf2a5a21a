/**
 * What a worker is given. Map work holds exactly what its output's bytes depend on and nothing else, for its hash
 * names the output for later runs: what the worker must not depend on is blanked here, in one place.
 */
import { assert, must } from "../../shared/kernel/assert.ts";
import { canonicalJson, type Json, writtenOften } from "../../shared/kernel/canonical.ts";
import type { JobSpec, SourceSpec } from "../../shared/kernel/job.ts";
import type { ExchangePlan, JobPlan, StagePlan } from "../../shared/kernel/plan.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import {
  type CheckWork,
  type Delivery,
  type DimensionInput,
  type ExchangeRoute,
  type FileFingerprint,
  hashVersion,
  type MapWork,
  mapKey,
  mapKeys,
  type ReduceWork,
  type Split,
  type StagedFile,
  type Winner,
  type Work,
  wireVersion,
} from "../../shared/kernel/work.ts";
import { askedChecks, checkSql } from "./check-query.ts";
import type { Run, Stage } from "./durable.ts";
import { inputsOf, outputsOf, producersOf } from "./stage-graph.ts";

/** The work of one task, ready to be sent. */
export function buildWork(job: JobSpec, run: Run, stage: number, task: number): Work {
  const found = must(run.stages[stage], "the stage exists");
  if (found.kind === "check") return checkWork(job, run, task);
  const plan = must(run.plan.stages[stage], "the stage is planned");
  if (found.kind === "reduce") return reduceWork(job, run, plan, task);
  const split = must(found.splits[task], "the task has a split");
  const known = frames.get(found);
  if (known !== undefined) return { ...known.frame, split };
  const frame = mapFrame(job, run, plan);
  frames.set(found, { frame, keyOf: mapKeys(frame) });
  return { ...frame, split };
}

/** The map key of work that was built for a task of this stage. */
export function keyOf(stage: Stage, work: MapWork): string {
  return frames.get(stage)?.keyOf(work.split) ?? mapKey(work);
}

/** What the map work of all tasks of a stage has in common: made once, and its parts are turned to text once. */
type MapFrame = Omit<MapWork, "split">;

/** A planned run changes neither its job, its plan nor its dimensions, so a stage's frame stays what it is. */
const frames = new WeakMap<
  Stage,
  { readonly frame: MapFrame; readonly keyOf: (split: Split) => string }
>();

function mapFrame(job: JobSpec, run: Run, plan: StagePlan): MapFrame {
  const { source, stage, exchanges, timezone } = scanParts(job, run.plan, plan);
  return {
    kind: "map",
    wire: wireVersion,
    hash: hashVersion,
    duckdb: run.duckdb,
    timezone,
    // Only the event-time rule compares with the day.
    ...(source.eventTime === undefined ? {} : { day: run.day }),
    ...logicalTime(run, plan),
    source: writtenOften(source),
    dimensions: writtenOften(dimensionInputs(job, run, plan)),
    stage: writtenOften(stage),
    exchanges: writtenOften(exchanges),
  };
}

/** What of a map task's work comes from the job and its plan alone. */
export function scanParts(
  job: JobSpec,
  plan: JobPlan,
  stage: StagePlan,
): Pick<MapWork, "timezone" | "source" | "stage" | "exchanges"> {
  assert(stage.input.kind === "scan", "map work scans a source");
  const { source: name, keep } = stage.input;
  const source = must(
    job.sources.find((one) => one.name === name),
    "a planned source is declared",
  );
  return {
    timezone: job.timezone,
    // Where the files were looked for, how many rejects a day may have, and whether empty files are welcome was
    // decided before; it does not change a row.
    source: { ...withAbsent(source, keep), path: "", rejectsMaxShare: 1, allowEmptyFiles: true },
    stage,
    exchanges: exchangePlans(plan, outputsOf(stage)),
  };
}

/** Columns that only other days have concern the stages that read them: a new one must not void what is kept. */
function withAbsent({ absent = [], ...source }: SourceSpec, keep: readonly string[]): SourceSpec {
  const read = absent.filter(({ name }) => keep.includes(name));
  return { ...source, ...(read.length === 0 ? {} : { absent: read }) };
}

/** Also for a run that has not been planned yet, with dimensions that say nothing. */
export function reduceWork(job: JobSpec, run: Run, plan: StagePlan, group: number): ReduceWork {
  return {
    kind: "reduce",
    wire: wireVersion,
    hash: hashVersion,
    duckdb: run.duckdb,
    timezone: job.timezone,
    day: run.day,
    ...logicalTime(run, plan),
    group,
    dimensions: dimensionInputs(job, run, plan),
    stage: plan,
    exchanges: exchangePlans(run.plan, [...inputsOf(plan), ...outputsOf(plan)]),
  };
}

function checkWork(job: JobSpec, run: Run, task: number): CheckWork {
  const check = must(askedChecks(job.checks)[task], "the check is declared");
  const { name, model } = check;
  const dataset = run.plan.datasets.find((one) => one.model === model);
  const { columns } = must(dataset, "a checked model is planned");
  return {
    kind: "check",
    duckdb: run.duckdb,
    timezone: job.timezone,
    check: { name, model, sql: checkSql(check, columns, run.day) },
    columns,
    files: stagedFiles(run, model).map((file) => file.path),
  };
}

/** Winners' staged files of a model, in task order. */
export function stagedFiles(run: Run, model: string): readonly StagedFile[] {
  return run.stages.flatMap(({ tasks }, index) => {
    if (!makes(run.plan.stages[index], model)) return [];
    return tasks.flatMap(
      ({ result }) => result?.files.filter((file) => file.model === model) ?? [],
    );
  });
}

/** A day has tens of thousands of scans that write nothing but exchanges: they need not be looked through. */
function makes(plan: StagePlan | undefined, model: string): boolean {
  return plan?.outputs.some((one) => one.kind === "dataset" && one.model === model) ?? false;
}

/**
 * `now()` of a run: the first moment after its day, in the job's time zone (the text has no offset on purpose).
 * The same for every re-run of the day, or no output could ever be used again.
 */
function logicalTime(run: Run, plan: StagePlan): { readonly logicalTime?: string } {
  if (!run.plan.usesLogicalTime) return {};
  const texts = [...plan.tables, ...plan.outputs].map((one) => one.sql);
  if (!texts.some((sql) => sql.includes("logical_time"))) return {};
  return { logicalTime: `${dayAfter(run.day)}T00:00:00` };
}

/** The calendar date after `day` (`YYYY-MM-DD`). */
export function dayAfter(day: string): string {
  const [year = 0, month = 0, date = 0] = day.split("-").map(Number);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  if (date < (lengths[month - 1] ?? 31)) return formatDay(year, month, date + 1);
  if (month < 12) return formatDay(year, month + 1, 1);
  return formatDay(year + 1, 1, 1);
}

function formatDay(year: number, month: number, date: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(date)}`;
}

function dimensionInputs(job: JobSpec, run: Run, plan: StagePlan): DimensionInput[] {
  return plan.dimensions.map((name) => ({
    spec: {
      ...must(
        job.dimensions.find((one) => one.name === name),
        "a planned dimension is declared",
      ),
      // The file says where it is.
      path: "",
    },
    file: must(run.dimensions.get(name), "a planned dimension was listed"),
  }));
}

function exchangePlans(plan: JobPlan, ids: readonly string[]): ExchangePlan[] {
  return plan.exchanges.filter((exchange) => ids.includes(exchange.id));
}

/**
 * Names what a scan stage's outputs depend on apart from the input files: same scope, same streams.
 * A change of the job that does not change map work leaves it alone.
 */
export function scanScope(job: JobSpec, run: Run, plan: StagePlan): string {
  assert(plan.input.kind === "scan", "only scans are kept");
  const frame = mapFrame(job, withoutDimensions(run, plan), plan);
  const work: MapWork = { ...frame, split: { files: [] } };
  const digest = sha256Hex(canonicalJson(work as unknown as Json)).slice(0, 16);
  return `${run.job}/${run.day}/${plan.input.source}/${plan.id}/${digest}`;
}

/** A dimension's contents name an output, not the place where it lies. */
export function withoutDimensions(run: Run, plan: StagePlan): Run {
  const nothing: FileFingerprint = { path: "", size: 0, mtimeNs: "0", ctimeNs: "0", inode: "0" };
  return { ...run, dimensions: new Map(plan.dimensions.map((name) => [name, nothing])) };
}

/** Where an attempt's result goes, and what it reads. */
export function buildDelivery(
  run: Run,
  at: { readonly stage: number; readonly task: number },
  attempt: { readonly attemptId: string; readonly epoch: number; readonly lowMemory: boolean },
): Delivery {
  const stage = must(run.stages[at.stage], "the stage exists");
  const plan = run.plan.stages[at.stage];
  const inputs = plan === undefined ? [] : inputsOf(plan);
  return {
    run: run.id,
    stage: stage.id,
    task: at.task,
    attemptId: attempt.attemptId,
    epoch: attempt.epoch,
    outputs: (plan === undefined ? [] : outputsOf(plan)).map((exchange) => route(run, exchange)),
    inputs: inputs.map((exchange) => ({
      ...route(run, exchange),
      winners: winnersOf(run, exchange),
    })),
    stagingDir: `staging/${run.id}/${stage.id}-${at.task}-${attempt.attemptId}`,
    lowMemory: attempt.lowMemory,
    ...(run.lane === undefined ? {} : { lane: run.lane }),
  };
}

function route(run: Run, exchange: string): ExchangeRoute {
  const planned = must(run.exchanges.get(exchange), "the exchange has streams");
  return { exchange, streams: writtenOften(planned.streams) };
}

/** Whom to read in an exchange: one for each producing task. The same list for all readers until a producer changes. */
export function winnersOf(run: Run, exchange: string): readonly Winner[] {
  const producers = producersOf(run, exchange);
  const [first] = producers;
  if (first === undefined) return [];
  const changes = producers.reduce((sum, stage) => sum + (stage.changes ?? 0), 0);
  const known = winners.get(first)?.get(exchange);
  if (known?.changes === changes) return known.list;
  const list = writtenOften(listWinners(producers, exchange));
  const ofStage = winners.get(first) ?? new Map<string, Winners>();
  winners.set(first, ofStage.set(exchange, { changes, list }));
  return list;
}

interface Winners {
  /** Changes of the producers' results as of this list; they only grow. */
  readonly changes: number;
  readonly list: readonly Winner[];
}

/** By the first producing stage, by exchange: goes when the run lets go of its stages. */
const winners = new WeakMap<Stage, Map<string, Winners>>();

function listWinners(producers: readonly Stage[], exchange: string): Winner[] {
  return producers.flatMap(({ tasks }) =>
    tasks.flatMap(({ result }) => {
      const output = result?.outputs.find((one) => one.exchange === exchange);
      if (result === undefined || output === undefined) return [];
      return [{ attemptId: result.attemptId, digest: output.digest }];
    }),
  );
}
