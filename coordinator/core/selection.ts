/**
 * A run of some models of a job. Its plan is the job's without what only other models need; its revision has all datasets
 * of the day, for those that it does not make are carried over from the revision that readers see (commit.ts). Pure.
 */
import type { CheckSpec } from "../../shared/kernel/check.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { ManifestDataset, ManifestSource, RunManifest } from "../../shared/kernel/manifest.ts";
import type { JobPlan, StagePlan } from "../../shared/kernel/plan.ts";
import { selectModels } from "../../shared/kernel/selection.ts";
import type { DayRecord, Run } from "./durable.ts";
import { inputsOf, outputsOf } from "./stage-graph.ts";

export interface Selected {
  readonly plan: JobPlan;
  /** Absent: all models are meant, and the run is one like any other. */
  readonly select?: readonly string[];
}

/** What of a job's plan a selection asks for. */
export function selectedPlan(
  plan: JobPlan,
  texts: readonly string[] | undefined,
): Selected | Failure {
  if (texts === undefined) return { plan };
  const models = plan.datasets.map(({ model }) => model);
  const select = selectModels(texts, models, plan.reads ?? {});
  if ("code" in select) return select;
  if (select.length === models.length) return { plan };
  return { plan: pruned(plan, new Set(select)), select };
}

function pruned(plan: JobPlan, selected: ReadonlySet<string>): JobPlan {
  const read = new Set<string>();
  const stages: StagePlan[] = [];
  for (const stage of plan.stages.toReversed()) {
    const outputs = stage.outputs.filter((output) =>
      output.kind === "dataset" ? selected.has(output.model) : read.has(output.exchange),
    );
    if (outputs.length === 0) continue;
    for (const exchange of inputsOf(stage)) read.add(exchange);
    // What a scan sends is kept by the exact bytes of its work: with one output less everything would be read again.
    stages.unshift(isScanToExchanges(stage) ? stage : withOutputs(stage, outputs));
  }
  const written = new Set(stages.flatMap(outputsOf));
  const { history = [], ...rest } = plan;
  // Earlier days that nothing selected reads are not pinned, not listed, and not missed.
  const days = history.filter(({ table }) => stages.some((stage) => isScanOf(stage, table)));
  return {
    ...rest,
    ...(days.length === 0 ? {} : { history: days }),
    stages,
    exchanges: plan.exchanges.filter(({ id }) => written.has(id)),
    ...(plan.traffic && {
      traffic: plan.traffic.filter(({ exchange }) => written.has(exchange)),
    }),
    datasets: plan.datasets.filter(({ model }) => selected.has(model)),
  };
}

function isScanToExchanges({ input, outputs }: StagePlan): boolean {
  return input.kind === "scan" && outputs.every(({ kind }) => kind === "exchange");
}

/** Tables whose name stands in no text that is left are not built. A name that only looks used costs a table. */
function withOutputs(stage: StagePlan, outputs: StagePlan["outputs"]): StagePlan {
  const texts = outputs.map(({ sql }) => sql);
  const tables = stage.tables.toReversed().filter(({ name, sql }) => {
    const isUsed = texts.some((text) => text.includes(name));
    if (isUsed) texts.push(sql);
    return isUsed;
  });
  return { ...stage, tables: tables.toReversed(), outputs };
}

/** The job as a run of some of its models sees it: without checks of what it does not make or read. */
export function jobOfRun(job: JobSpec, { select, plan }: Pick<Run, "select" | "plan">): JobSpec {
  if (select === undefined) return job;
  const isSeen = ({ kind, model }: CheckSpec) =>
    kind === "volume" ? scans(plan, model) : select.includes(model);
  return { ...job, checks: job.checks.filter(isSeen) };
}

function scans({ stages }: JobPlan, source: string): boolean {
  return stages.some((stage) => isScanOf(stage, source));
}

function isScanOf({ input }: StagePlan, source: string): boolean {
  return input.kind === "scan" && input.source === source;
}

// --- what is carried over ---------------------------------------------------------------------

/** Of the revision that readers see: what this run does not make. */
export function carriedDatasets(run: Run, base: RunManifest): readonly ManifestDataset[] {
  const made = new Set(run.plan.datasets.map(({ model }) => model));
  return base.datasets.filter(({ dataset }) => !made.has(dataset));
}

export function carriedSources(run: Run, base: RunManifest): readonly ManifestSource[] {
  const kept = base.sources.filter(({ source }) => !scans(run.plan, source));
  return kept.map((source) => ({ ...source, readIn: source.readIn ?? base.revision }));
}

/** `base`: the revision that was carried over from. */
export function carriedDataset(
  dataset: ManifestDataset,
  base: number,
  finals: ReadonlyMap<string, string>,
): ManifestDataset {
  const files = dataset.files.map((file) => ({ ...file, path: finals.get(file.path) ?? "" }));
  return { ...dataset, files, madeIn: dataset.madeIn ?? base };
}

/** The day's files have changed since the others were made: what readers see then does not belong together. */
export function mixedInput(run: Run, day: DayRecord | undefined): readonly string[] {
  const { made } = day ?? {};
  if (run.select === undefined || made === undefined) return [];
  const changed = Object.entries(run.digests ?? {})
    .filter(([source, digest]) => made.digests[source] !== digest)
    .map(([source]) => source);
  if (changed.length === 0) return [];
  return [
    `files of ${changed.join(", ")} have changed since revision ${made.revision}: ` +
      "datasets that this run does not make are of the old ones; a run of the whole day makes them one again",
  ];
}

/** Every dataset of the day that readers see was made in this revision or a later one; 0 = they see none. */
export function wholeRevision({ committed, shown = [] }: DayRecord): number {
  const now = shown.find(({ revision }) => revision === committed);
  return Math.min(committed, ...Object.values(now?.datasets ?? {}));
}

/** Why there can be no run of some models of this day. */
export function nothingToCarry(job: JobSpec, day: string): Failure {
  const text =
    `job ${job.name} has no committed revision of ${day}, from which the models that are not selected ` +
    "could be carried over: run the whole day first, without --select";
  return failure("conflict", text, { job: job.name, day });
}
