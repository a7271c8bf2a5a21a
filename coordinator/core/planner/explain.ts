/**
 * A plan as text for `daymill explain`: stages in order, what each reads, builds, sends and writes, with the SQL of
 * each side; and what every exchange costs, as the plan predicts it and as a committed run really had it.
 */
import { withHistory } from "../../../shared/kernel/history.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import type {
  ExchangePlan,
  HistoryPlan,
  JobPlan,
  StageOutput,
  StagePlan,
} from "../../../shared/kernel/plan.ts";
import { type Figures, figureLines, predictedText } from "./explain-figures.ts";
import { bytesText, countText } from "./explain-text.ts";

/** What a day's input weighs, by source. */
export interface SourceSize {
  readonly source: string;
  readonly files: number;
  readonly bytes: number;
}

/** What is known beside the plan. `sizes`: empty when no day was named. */
export interface Known {
  readonly sizes: readonly SourceSize[];
  readonly figures: Figures;
}

export function explainPlan(job: JobSpec, plan: JobPlan, known: Known): string {
  const { datasets, stages, exchanges } = plan;
  const lines = [
    `job ${job.name}: ${countText(datasets.length, "dataset")}, ${countText(stages.length, "stage")}, ${countText(exchanges.length, "exchange")}`,
  ];
  const { history = [] } = plan;
  for (const table of history) lines.push(historyText(table));
  if (plan.usesLogicalTime) lines.push("uses the run's logical time (now(), current_date)");
  const read = withHistory(job, plan);
  for (const stage of stages) lines.push("", ...explainStage(stage, read, plan, known));
  lines.push("", "datasets:");
  for (const dataset of datasets) {
    const columns = dataset.columns.map((column) => `${column.name} ${column.type}`).join(", ");
    lines.push(`  ${dataset.model} (written by ${dataset.stage}): ${columns}`);
  }
  if (exchanges.length > 0) lines.push("", ...figureLines(job.name, known.figures));
  return `${lines.join("\n")}\n`;
}

/** `subscriber_daily_earlier: ipdr-daily/subscriber_daily, from 6 days before a day to the day before it`. */
function historyText({ table, job, dataset, first, last }: HistoryPlan): string {
  const to = last === 0 ? "the day itself" : "the day before it";
  const span =
    first === last ? `of ${to}` : `from ${countText(first, "day")} before a day to ${to}`;
  return `${table}: ${job}/${dataset} ${span}`;
}

function explainStage(
  stage: StagePlan,
  job: JobSpec,
  plan: JobPlan,
  known: Known,
): readonly string[] {
  const lines = [`stage ${stage.id}: ${inputText(stage, job, plan, known)}`];
  if (stage.dimensions.length > 0)
    lines.push(`  dimensions, whole in every task: ${stage.dimensions.join(", ")}`);
  for (const table of stage.tables) {
    lines.push(`  ${table.materialize ? "table" : "view"} ${table.name} =`, `    ${table.sql}`);
  }
  for (const output of stage.outputs) lines.push(...outputText(output, plan, known));
  return lines;
}

function inputText(stage: StagePlan, job: JobSpec, plan: JobPlan, { sizes }: Known): string {
  const { input } = stage;
  if (input.kind === "exchange") {
    const tasks = Math.max(...input.exchanges.map((id) => exchangeOf(plan, id)?.groups ?? 1));
    return `reads ${input.exchanges.join(", ")} in ${countText(tasks, "task")}`;
  }
  const source = job.sources.find((one) => one.name === input.source);
  const declared = source?.columns.length ?? 0;
  const lacking = (source?.absent ?? []).filter(({ name }) => input.keep.includes(name));
  const size = sizes.find((entry) => entry.source === input.source);
  const weight =
    size === undefined ? "" : `; ${countText(size.files, "file")}, ${bytesText(size.bytes)}`;
  const files = input.files ? `; with ${input.source}_files` : "";
  const read = input.keep.filter((name) => !lacking.some((column) => column.name === name));
  const kept = `keeps ${read.length} of ${declared} columns (${read.join(", ")})`;
  const nulls =
    lacking.length === 0
      ? ""
      : `; ${lacking.map(({ name }) => name).join(", ")} NULL: not in these files`;
  return `scans ${input.source} once, ${kept}${nulls}${files}${weight}`;
}

function outputText(output: StageOutput, plan: JobPlan, { figures }: Known): readonly string[] {
  if (output.kind === "dataset") return [`  writes dataset ${output.model}:`, `    ${output.sql}`];
  const exchange = exchangeOf(plan, output.exchange);
  if (exchange === undefined) return [];
  const by =
    exchange.keys.length === 0
      ? "to one partition"
      : `by ${exchange.keys.join(", ")} in ${countText(exchange.partitions, "partition")}, ${countText(exchange.groups, "group")}`;
  const readers = plan.stages
    .filter(({ input }) => input.kind === "exchange" && input.exchanges.includes(exchange.id))
    .map((reader) => reader.id);
  const known = figures.exchangeFigures.find((entry) => entry.exchange === exchange.id);
  const rows = known === undefined ? "" : `; rows per input row: ${predictedText(known)}`;
  return [
    `  sends ${exchange.id} ${by}, to ${readers.join(", ")}${rows}; ${widthText(exchange)}`,
    `    ${output.sql}`,
  ];
}

const widths: Readonly<Record<string, number>> = {
  BOOLEAN: 1,
  TINYINT: 1,
  UTINYINT: 1,
  SMALLINT: 2,
  USMALLINT: 2,
  INTEGER: 4,
  UINTEGER: 4,
  FLOAT: 4,
  DATE: 4,
};

/** Uncompressed bytes of one row: fixed widths exactly, 16 for decimals and texts. */
function widthText(exchange: ExchangePlan): string {
  const total = exchange.columns.reduce((sum, column) => {
    const wide = /^(VARCHAR|BLOB|DECIMAL)/.test(column.type);
    return sum + (widths[column.type] ?? (wide ? 16 : 8));
  }, 0);
  const names = exchange.columns.map((column) => `${column.name} ${column.type}`).join(", ");
  return `about ${total} bytes a row before compression (${names})`;
}

function exchangeOf(plan: JobPlan, id: string): ExchangePlan | undefined {
  return plan.exchanges.find((entry) => entry.id === id);
}
