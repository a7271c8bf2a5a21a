/**
 * A plan as text for `daymill explain`: stages in order, what each reads, builds, sends and writes, with the SQL of
 * each side; and what every exchange will cost, as far as a plan can know it.
 */
import type { JobSpec } from "../../../shared/kernel/job.ts";
import type { ExchangePlan, JobPlan, StageOutput, StagePlan } from "../../../shared/kernel/plan.ts";

/** What a day's input weighs, by source. */
export interface SourceSize {
  readonly source: string;
  readonly files: number;
  readonly bytes: number;
}

export function explainPlan(
  job: JobSpec,
  plan: JobPlan,
  sizes: readonly SourceSize[] = [],
): string {
  const lines = [
    `job ${job.name}: ${count(plan.datasets.length, "dataset")}, ${count(plan.stages.length, "stage")}, ${count(plan.exchanges.length, "exchange")}`,
  ];
  if (plan.usesLogicalTime) lines.push("uses the run's logical time (now(), current_date)");
  for (const stage of plan.stages) lines.push("", ...explainStage(stage, job, plan, sizes));
  lines.push("", "datasets:");
  for (const dataset of plan.datasets) {
    const columns = dataset.columns.map((column) => `${column.name} ${column.type}`).join(", ");
    lines.push(`  ${dataset.model} (written by ${dataset.stage}): ${columns}`);
  }
  return `${lines.join("\n")}\n`;
}

function explainStage(
  stage: StagePlan,
  job: JobSpec,
  plan: JobPlan,
  sizes: readonly SourceSize[],
): readonly string[] {
  const lines = [`stage ${stage.id}: ${inputText(stage, job, plan, sizes)}`];
  if (stage.dimensions.length > 0)
    lines.push(`  dimensions, whole in every task: ${stage.dimensions.join(", ")}`);
  for (const table of stage.tables) {
    lines.push(`  ${table.materialize ? "table" : "view"} ${table.name} =`, `    ${table.sql}`);
  }
  for (const output of stage.outputs) lines.push(...outputText(output, stage, plan));
  return lines;
}

function inputText(
  stage: StagePlan,
  job: JobSpec,
  plan: JobPlan,
  sizes: readonly SourceSize[],
): string {
  const { input } = stage;
  if (input.kind === "exchange") {
    const tasks = Math.max(...input.exchanges.map((id) => exchangeOf(plan, id)?.groups ?? 1));
    return `reads ${input.exchanges.join(", ")} in ${count(tasks, "task")}`;
  }
  const declared = job.sources.find((source) => source.name === input.source)?.columns.length ?? 0;
  const size = sizes.find((entry) => entry.source === input.source);
  const weight =
    size === undefined ? "" : `; ${count(size.files, "file")}, ${bytesText(size.bytes)}`;
  const files = input.files ? `; with ${input.source}_files` : "";
  const kept = `keeps ${input.keep.length} of ${declared} columns (${input.keep.join(", ")})`;
  return `scans ${input.source} once, ${kept}${files}${weight}`;
}

function outputText(output: StageOutput, stage: StagePlan, plan: JobPlan): readonly string[] {
  if (output.kind === "dataset") return [`  writes dataset ${output.model}:`, `    ${output.sql}`];
  const exchange = exchangeOf(plan, output.exchange);
  if (exchange === undefined) return [];
  const by =
    exchange.keys.length === 0
      ? "to one partition"
      : `by ${exchange.keys.join(", ")} in ${count(exchange.partitions, "partition")}, ${count(exchange.groups, "group")}`;
  const readers = plan.stages
    .filter(
      (reader) => reader.input.kind === "exchange" && reader.input.exchanges.includes(exchange.id),
    )
    .map((reader) => reader.id);
  return [
    `  sends ${exchange.id} ${by}, to ${readers.join(", ")}; ${rowsText(output.sql, stage)}; ${widthText(exchange)}`,
    `    ${output.sql}`,
  ];
}

/** Rows sent per row read, as far as the SQL alone tells. */
function rowsText(sql: string, stage: StagePlan): string {
  const { input } = stage;
  if (input.kind !== "scan") return "rows: as many as its groups";
  const direct = new RegExp(`FROM "?${input.source}"? AS t( WHERE .*)?$`).exec(sql);
  if (direct === null) return "rows: at most one per group and split";
  return direct[1] === undefined
    ? "1 row per input row"
    : "at most 1 row per input row (filtered before it is sent)";
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

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
