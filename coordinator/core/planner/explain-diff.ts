/**
 * What changes between two forms of a job: every field of its file, the datasets' columns, the stages, and what becomes
 * of what is there already. Pure: for `daymill explain --diff`, which compares a job file with what the cluster knows.
 */
import { canonicalJson, type Json } from "../../../shared/kernel/canonical.ts";
import { withHistory } from "../../../shared/kernel/history.ts";
import type { Column, JobSpec } from "../../../shared/kernel/job.ts";
import { definitionOf } from "../../../shared/kernel/job-day.ts";
import type { JobPlan } from "../../../shared/kernel/plan.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import { scanParts } from "../work-builder.ts";
import { type Change, changesOf, fieldsOf } from "./explain-fields.ts";

/** A job as it was submitted, its form of the day in question, and the plan of that form. */
export interface JobForm {
  readonly job: JobSpec;
  readonly onDay: JobSpec;
  readonly plan: JobPlan;
}

export interface JobDiff {
  readonly job: string;
  readonly fields: readonly Change[];
  /** `dataset.column` → its type. */
  readonly datasets: readonly Change[];
  /** What a stage reads, sends and writes; those that both plans have are left out. */
  readonly stages: { readonly gone: readonly string[]; readonly new: readonly string[] };
  /** A day's datasets are made as before from the same files. */
  readonly sameRows: boolean;
  /** Sources whose kept map outputs are used again by the next run of a day … */
  readonly mapsKept: readonly string[];
  /** … and those that are read anew. */
  readonly mapsAnew: readonly string[];
}

/** `day`: the one that both forms and plans are of. */
export function diffJobs(known: JobForm, given: JobForm, day: Day): JobDiff {
  const before = new Set(known.plan.stages.map((stage) => stageText(known.plan, stage)));
  const after = new Set(given.plan.stages.map((stage) => stageText(given.plan, stage)));
  const kept = new Set(scansOf(known).values());
  const scans = [...scansOf(given)];
  const sources = (isKept: boolean) =>
    scans.flatMap(([source, text]) => (kept.has(text) === isKept ? [source] : []));
  return {
    job: given.job.name,
    fields: changesOf(fieldsOf(known.job), fieldsOf(given.job)),
    datasets: changesOf(datasetColumns(known.plan), datasetColumns(given.plan)),
    stages: {
      gone: [...before].filter((text) => !after.has(text)),
      new: [...after].filter((text) => !before.has(text)),
    },
    sameRows: definitionOf(known.job, day) === definitionOf(given.job, day),
    mapsKept: sources(true),
    mapsAnew: sources(false),
  };
}

function datasetColumns({ datasets }: JobPlan): ReadonlyMap<string, string> {
  const named = (model: string) => (column: Column) =>
    [`${model}.${column.name}`, column.type] as const;
  return new Map(datasets.flatMap(({ model, columns }) => columns.map(named(model))));
}

function stageText({ exchanges }: JobPlan, { input, outputs }: JobPlan["stages"][number]): string {
  const reads =
    input.kind === "scan" ? `scans ${input.source}` : `reads ${input.exchanges.join(", ")}`;
  const makes = outputs.map((output) => {
    if (output.kind === "dataset") return `writes ${output.model}`;
    const keys = exchanges.find(({ id }) => id === output.exchange)?.keys ?? [];
    return `sends ${output.exchange} by ${keys.join(", ") || "nothing"}`;
  });
  return [reads, ...makes].join(", ");
}

/** By source: all of a map task but its files, and the dimensions' files. */
function scansOf({ onDay, plan }: JobForm): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const stage of plan.stages) {
    if (stage.input.kind !== "scan") continue;
    const dimensions = onDay.dimensions.filter(({ name }) => stage.dimensions.includes(name));
    const parts = { ...scanParts(withHistory(onDay, plan), plan, stage), dimensions };
    texts.set(stage.input.source, canonicalJson(parts as unknown as Json));
  }
  return texts;
}

export function diffText(diff: JobDiff, where: string): string {
  const { fields, datasets, stages } = diff;
  const isSame = fields.length === 0 && datasets.length === 0;
  if (isSame) return `job ${diff.job}: the cluster knows it in this form; nothing would change\n`;
  const lines = [`job ${diff.job}: what would change (+ new, - gone, ~ other)`];
  lines.push(...fields.flatMap(changeLines));
  if (datasets.length > 0) lines.push("columns of datasets:", ...datasets.flatMap(changeLines));
  if (stages.gone.length + stages.new.length > 0) {
    lines.push("stages:", ...stages.gone.map((text) => `  - ${text}`));
    lines.push(...stages.new.map((text) => `  + ${text}`));
  }
  const rows = diff.sameRows
    ? "the same rows: a day that is done stays as it is"
    : "other rows: a day that is done was made from another form of the job";
  lines.push(`${where}: ${rows}`);
  const maps = (sources: readonly string[], what: string) =>
    sources.length === 0 ? [] : [`map outputs of ${sources.join(", ")}: ${what}`];
  lines.push(...maps(diff.mapsKept, "those that are kept are used again"));
  lines.push(...maps(diff.mapsAnew, "none is used again, all files are read anew"));
  return `${lines.join("\n")}\n`;
}

function changeLines({ path, from, to }: Change): readonly string[] {
  const mark = from === undefined ? "+" : to === undefined ? "-" : "~";
  const texts = [from, to].map((text) => text?.split("\n") ?? []);
  const [before = [], after = []] = texts;
  if (before.length <= 1 && after.length <= 1) {
    return [`  ${mark} ${path}: ${[from, to].filter((text) => text !== undefined).join(" → ")}`];
  }
  return [`  ${mark} ${path}:`, ...lineChanges(before, after).map((line) => `      ${line}`)];
}

/** The lines between what both texts begin and end with: as they were, then as they are. */
function lineChanges(before: readonly string[], after: readonly string[]): readonly string[] {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  return [
    ...before.slice(head, before.length - tail).map((line) => `- ${line}`),
    ...after.slice(head, after.length - tail).map((line) => `+ ${line}`),
  ];
}
