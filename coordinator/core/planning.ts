/**
 * A listed day to the `runPlanned` fact: splits of each source, streams of each exchange, what will be kept.
 * Pure: files, sizes and dimensions come in as values.
 */
import { must } from "../../shared/kernel/assert.ts";
import { exchangeStreams } from "../../shared/kernel/exchange-names.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { inputDigest } from "../../shared/kernel/input-files.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { JobPlan, StagePlan } from "../../shared/kernel/plan.ts";
import type { Split } from "../../shared/kernel/work.ts";
import { knownDuplicates, withoutDropped } from "./duplicates.ts";
import type { DroppedFile, Run } from "./durable.ts";
import type { Fact, PlannedExchange, PlannedScan } from "./facts.ts";
import type { Answer } from "./protocol.ts";
import { salvageScope } from "./salvage-key.ts";
import { cutSource } from "./splits.ts";
import { inputsOf, outputsOf } from "./stage-graph.ts";
import { scanScope } from "./work-builder.ts";

export interface PlanningInput {
  readonly job: JobSpec;
  readonly run: Run;
  /** How each source was cut before, where it was. */
  readonly former: ReadonlyMap<string, readonly Split[]>;
  /** What the day's last run left out of each source. */
  readonly dropped?: Readonly<Record<string, readonly DroppedFile[]>>;
  /** Where outputs of earlier runs are, by scope. */
  readonly kept: ReadonlyMap<string, { readonly exchanges: readonly PlannedExchange[] }>;
  readonly listed: Extract<Answer, { kind: "listed" }>;
  readonly cluster: string;
  readonly slots: number;
  readonly wallMs: number;
}

/** Sources that the plan scans, as declared, each once. */
export function scannedSources(job: JobSpec, plan: JobPlan) {
  return job.sources.filter((source) => plan.stages.some((stage) => scanOf(stage) === source.name));
}

/** Dimensions that some stage joins, as declared. */
export function joinedDimensions(job: JobSpec, plan: JobPlan) {
  return job.dimensions.filter((dimension) =>
    plan.stages.some((stage) => stage.dimensions.includes(dimension.name)),
  );
}

export function planRun(input: PlanningInput): Extract<Fact, { kind: "runPlanned" }> | Failure {
  const { job, run, listed } = input;
  const scans: PlannedScan[] = [];
  for (const stage of run.plan.stages) {
    const source = scanOf(stage);
    if (source === undefined) continue;
    const scan = planScan(input, stage, source);
    if (scan.splits.length > limits.tasksPerStageMax) {
      return failure(
        "limitExceeded",
        `source ${source} would need ${scan.splits.length} tasks, at most ` +
          `${limits.tasksPerStageMax} are allowed; raise execution.split_bytes`,
      );
    }
    scans.push(scan);
  }
  const crowded = tooManyProducers(run.plan, scans);
  if (crowded !== undefined) return crowded;
  const dimensions = joinedDimensions(job, run.plan).map(({ name }, index) => ({
    name,
    file: must(listed.dimensions[index], "every dimension was listed"),
  }));
  const salvage = run.plan.stages
    .filter((stage) => !isKept(run.plan, stage) && writesAlone(run.plan, stage))
    .map((stage) => ({ stage: stage.id, scope: salvageScope(job, run, stage) }));
  const exchanges = run.plan.exchanges.map((plan): PlannedExchange => {
    const scope = [...scans, ...salvage].find((one) => {
      return one.scope !== undefined && writes(run.plan, one.stage, plan.id);
    })?.scope;
    // Kept outputs are where they are, perhaps in a later generation.
    const kept = input.kept.get(scope ?? "")?.exchanges.find((one) => one.exchange === plan.id);
    if (kept !== undefined) return kept;
    const { cluster } = input;
    const name = { cluster, exchange: plan.id, generation: 1, groups: plan.groups };
    const streams = exchangeStreams({ ...name, scope: scope ?? run.id });
    return { exchange: plan.id, streams, ...(scope === undefined ? {} : { scope }) };
  });
  const { wallMs } = input;
  // Of what looks see: days that are read are pinned by their revisions.
  const { history = [] } = run.plan;
  const looked = listed.sources.filter(({ source }) =>
    history.every(({ table }) => table !== source),
  );
  const digests = Object.fromEntries(
    looked.map(({ source, files }) => [source, inputDigest(files)]),
  );
  return {
    kind: "runPlanned",
    run: run.id,
    scans,
    dimensions,
    exchanges,
    salvage,
    digests,
    wallMs,
  };
}

/** A task is told of every producer that it reads, in one message. */
function tooManyProducers(plan: JobPlan, scans: readonly PlannedScan[]): Failure | undefined {
  const tasks = new Map(scans.map(({ stage, splits }) => [stage, splits.length]));
  const bytes = limits.grpcMessageBytesMax - limits.workBytesReserved;
  const most = Math.floor(bytes / limits.winnerBytes);
  for (const stage of plan.stages) {
    let producers = 0;
    for (const exchange of inputsOf(stage)) {
      for (const { id } of plan.stages.filter((other) => outputsOf(other).includes(exchange))) {
        producers += tasks.get(id) ?? 0;
      }
    }
    if (producers <= most) continue;
    return failure(
      "limitExceeded",
      `stage ${stage.id} would read what ${producers} scan tasks send, counted for each exchange; ` +
        `at most ${most} are allowed; raise execution.split_bytes`,
    );
  }
  return undefined;
}

function planScan(input: PlanningInput, stage: StagePlan, source: string): PlannedScan {
  const { job, run } = input;
  const spec = must(
    job.sources.find((one) => one.name === source),
    "a planned source is declared",
  );
  const listed = must(
    input.listed.sources.find((one) => one.source === source),
    "every source was listed",
  );
  const isKeeping = job.duplicates?.[source] === "keep";
  const dropped = isKeeping ? [] : knownDuplicates(listed, input.dropped?.[source] ?? []);
  const former = input.former.get(source) ?? [];
  const splits = cutSource(withoutDropped(listed, dropped), {
    format: spec.format,
    splitBytes: job.execution.splitBytes,
    slots: input.slots,
    former,
  });
  const scope = isKept(run.plan, stage) ? scanScope(job, run, stage) : undefined;
  const first = firstNew(splits, former);
  return {
    stage: stage.id,
    splits,
    ...(scope === undefined ? {} : { scope }),
    ...(first > 0 && first < splits.length ? { former: first } : {}),
    ...(dropped.length === 0 ? {} : { dropped }),
  };
}

/** `cutSource` puts splits that go on from former ones first. */
function firstNew(splits: readonly Split[], former: readonly Split[]): number {
  const paths = new Set(former.flatMap(({ files }) => files.map(({ path }) => path)));
  const first = splits.findIndex(({ files: [file] }) => !paths.has(file?.path ?? ""));
  return first === -1 ? splits.length : first;
}

/** Kept are scans that write nothing but exchanges of their own. */
function isKept(plan: JobPlan, stage: StagePlan): boolean {
  const written = outputsOf(stage);
  if (stage.input.kind !== "scan" || written.length === 0) return false;
  return written.length === stage.outputs.length && writesAlone(plan, stage);
}

function writesAlone(plan: JobPlan, stage: StagePlan): boolean {
  const written = outputsOf(stage);
  return plan.stages.every(
    (other) => other.id === stage.id || !outputsOf(other).some((one) => written.includes(one)),
  );
}

function writes(plan: JobPlan, stage: string, exchange: string): boolean {
  const found = plan.stages.find((one) => one.id === stage);
  return found !== undefined && outputsOf(found).includes(exchange);
}

function scanOf(stage: StagePlan): string | undefined {
  return stage.input.kind === "scan" ? stage.input.source : undefined;
}
