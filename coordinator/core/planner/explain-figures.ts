/**
 * What exchanges cost, for `daymill explain`: rows sent per input row as the plan predicts them, and as a committed run
 * of the job really had them. Pure: the plan and the run's status in, figures and their lines out.
 */
import type { ExchangeTraffic, JobPlan, RowsBound } from "../../../shared/kernel/plan.ts";
import type { ExchangeStatus, RunStatus } from "../../../shared/kernel/status.ts";
import { bytesText, countText, digitsText } from "./explain-text.ts";

/** Bounds on rows sent per input row; `atMost` null: input rows are no bound. */
export interface Predicted {
  readonly atLeast: number;
  readonly atMost: number | null;
}

export interface Real {
  readonly rows: number;
  readonly bytes: number;
  /** Rows read of the exchange's sources. */
  readonly inputRows: number;
  readonly rowsPerInputRow: number;
}

export interface ExchangeFigures {
  readonly exchange: string;
  readonly sources: readonly string[];
  readonly predicted: Predicted & {
    /** Another bound, on the rows as such. */
    readonly rows: RowsBound | null;
    /** Tasks of the stage that sends; null: as many as there are splits. */
    readonly tasks: number | null;
    /** Dimensions that must have one row a key for the bounds to hold. */
    readonly assumes: readonly string[];
  };
  /** null: no run to compare with, or one whose exchanges are not these. */
  readonly real: Real | null;
}

/** The committed run that predictions are compared with. */
export interface ComparedRun {
  readonly runId: string;
  readonly day: string;
  /** Is the job that ran the one that is explained, to the letter? */
  readonly sameJob: boolean;
  /** Its exchanges under the names that they had there. */
  readonly exchanges: readonly (Real & { readonly exchange: string })[];
}

export interface Figures {
  readonly exchangeFigures: readonly ExchangeFigures[];
  readonly total: {
    /** Exchanges that input rows don't bound are in `without`. */
    readonly predicted: Predicted & { readonly without: readonly string[] };
    readonly real: Real | null;
  };
  readonly run: ComparedRun | null;
}

/** The newest committed run, of `day` where there is one. `runs`: newest first. */
export function runToCompare(runs: readonly RunStatus[], day: string): RunStatus | undefined {
  const isWhole = ({ select = [] }: RunStatus) => select.length === 0;
  const committed = runs.filter((run) => run.state === "committed" && isWhole(run));
  return committed.find((run) => run.day === day) ?? committed[0];
}

/** `digest` names the job that is explained. */
export function figuresOf(plan: JobPlan, run: RunStatus | undefined, digest: string): Figures {
  const traffic = plan.traffic ?? [];
  const sent = (run?.stages.flatMap((stage) => stage.exchanges ?? []) ?? []).sort(
    (a, b) => Number(a.exchange.slice(1)) - Number(b.exchange.slice(1)),
  );
  const sameJob = run !== undefined && run.jobDigest === digest;
  return {
    exchangeFigures: traffic.map((entry) => {
      const found = sent.find((one) => one.exchange === entry.exchange);
      const comparable = sameJob && found?.sources.join() === entry.sources.join();
      return {
        exchange: entry.exchange,
        sources: entry.sources,
        predicted: {
          atLeast: entry.atLeast,
          atMost: entry.atMost ?? null,
          rows: entry.rows ?? null,
          tasks: tasksSending(plan, entry.exchange),
          assumes: entry.assumes,
        },
        real: comparable && found !== undefined ? realOf(run, found) : null,
      };
    }),
    total: { predicted: totalOf(traffic, plan), real: run === undefined ? null : wholeRun(run) },
    run:
      run === undefined
        ? null
        : {
            runId: run.runId,
            day: run.day,
            sameJob,
            exchanges: sent.map((one) => ({ exchange: one.exchange, ...realOf(run, one) })),
          },
  };
}

function tasksSending(plan: JobPlan, exchange: string): number | null {
  const stage = plan.stages.find(({ outputs }) =>
    outputs.some((output) => output.kind === "exchange" && output.exchange === exchange),
  );
  const input = stage?.input;
  if (input?.kind !== "exchange") return null;
  const read = plan.exchanges.filter((entry) => input.exchanges.includes(entry.id));
  return Math.max(1, ...read.map((entry) => entry.groups));
}

/** Whatever the shares of the sources in a day's rows: the least and the most that one row of any of them causes. */
function totalOf(traffic: readonly ExchangeTraffic[], plan: JobPlan) {
  const scanned = plan.stages.flatMap(({ input }) => (input.kind === "scan" ? [input.source] : []));
  const sources = [...new Set(scanned)];
  const sum = (source: string, of: (entry: ExchangeTraffic) => number) =>
    traffic.reduce((total, entry) => total + (entry.sources.includes(source) ? of(entry) : 0), 0);
  const least = sources.map((source) =>
    sum(source, (entry) => (entry.sources.length === 1 ? entry.atLeast : 0)),
  );
  const most = sources.map((source) => sum(source, (entry) => entry.atMost ?? 0));
  const bounded = traffic.filter((entry) => entry.atMost !== undefined);
  const without = traffic.filter((entry) => entry.atMost === undefined);
  return {
    atLeast: least.length === 0 ? 0 : Math.min(...least),
    atMost: bounded.length === 0 && without.length > 0 ? null : Math.max(0, ...most),
    without: without.map((entry) => entry.exchange),
  };
}

function realOf(run: RunStatus | undefined, { sources, rows, bytes }: ExchangeStatus): Real {
  const scans = run?.stages.filter((stage) => sources.includes(stage.source ?? "")) ?? [];
  const read = scans.reduce((sum, stage) => sum + stage.rowsIn, 0);
  return real(rows, bytes, sources.length === 0 ? (run?.rowsIn ?? 0) : read);
}

function wholeRun(run: RunStatus): Real {
  return real(run.exchangeRows, run.exchangeBytes, run.rowsIn);
}

function real(rows: number, bytes: number, inputRows: number): Real {
  return { rows, bytes, inputRows, rowsPerInputRow: inputRows === 0 ? 0 : rows / inputRows };
}

// --- as text ----------------------------------------------------------------------------------

/** `1`, `≤ 1`, `1 to 2`, `≤ 1, ≤ groups × 8 tasks`; `*` marks what holds only if a dimension has one row a key. */
export function predictedText({ predicted }: Pick<ExchangeFigures, "predicted">): string {
  const { rows, tasks, assumes } = predicted;
  const bounds = [rangeText(predicted), rows === null ? "" : rowsText(rows, tasks)];
  const text = bounds.filter((one) => one !== "").join(", ");
  return `${text === "" ? "no bound" : text}${assumes.length > 0 ? " *" : ""}`;
}

function rangeText({ atLeast, atMost }: Predicted): string {
  if (atMost === null) return atLeast > 0 ? `≥ ${atLeast}` : "";
  if (atLeast === atMost) return String(atMost);
  return atLeast > 0 ? `${atLeast} to ${atMost}` : `≤ ${atMost}`;
}

function rowsText({ each, times }: RowsBound, tasks: number | null): string {
  if (times === "run")
    return each === 1 ? "1 row" : typeof each === "number" ? `≤ ${each} rows` : `≤ ${each}`;
  const many = times === "split" || tasks === null ? "splits" : `${countText(tasks, "task")}`;
  return each === 1 ? `≤ ${many}` : `≤ ${each} × ${many}`;
}

/** The closing part of an explanation: one line for each exchange, the total, and what the figures stand on. */
export function figureLines(job: string, figures: Figures): readonly string[] {
  const { exchangeFigures, total, run } = figures;
  const isCompared = run?.sameJob === true;
  const beside = (value: Real | null) => (isCompared ? realCells(value) : []);
  const cells = exchangeFigures.map((entry) => {
    const from = entry.sources.join("+");
    return [entry.exchange, from, predictedText(entry), ...beside(entry.real)];
  });
  cells.push(["total", "", totalText(total.predicted), ...beside(total.real)]);
  const header = ["EXCHANGE", "FROM", "PREDICTED", ...(isCompared ? realHeader : [])];
  const assumed = [...new Set(exchangeFigures.flatMap((entry) => entry.predicted.assumes))].sort();
  return [
    "exchanges, in rows sent per input row:",
    ...aligned([header, ...cells], 3),
    ...(assumed.length === 0 ? [] : [`  * if each key stands once in ${assumed.join(", ")}`]),
    ...(run === null
      ? [`  real figures: none, no committed run of ${job} is known`]
      : [`  real: run ${run.runId}, day ${run.day}, ${readText(total.real)}`]),
    ...(run === null || isCompared ? [] : otherFormLines(run, total.real)),
  ];
}

function totalText(predicted: Figures["total"]["predicted"]): string {
  const beside = predicted.without.join(", ");
  return [rangeText(predicted), beside].filter((part) => part !== "").join(" and ");
}

function readText(total: Real | null): string {
  return `${countText(total?.inputRows ?? 0, "row")} read`;
}

const realHeader = ["REAL", "ROWS", "SIZE"];

/** Names of exchanges mean nothing across two forms of a job: the run's own stand apart. */
function otherFormLines(run: ComparedRun, total: Real | null): readonly string[] {
  const cells = run.exchanges.map((entry) => [entry.exchange, ...realCells(entry)]);
  cells.push(["total", ...realCells(total)]);
  return [
    "  the job has been changed since that run; its exchanges were others:",
    ...aligned([["EXCHANGE", ...realHeader], ...cells], 1).map((line) => `  ${line}`),
  ];
}

function realCells(value: Real | null): readonly string[] {
  if (value === null) return ["-", "-", "-"];
  const { rowsPerInputRow: ratio, rows, bytes } = value;
  const text = ratio > 0 && ratio < 0.001 ? "< 0.001" : ratio.toFixed(3);
  return [text, digitsText(rows), bytesText(bytes)];
}

/** Columns side by side, from `right` on standing right; set in by two. */
function aligned(rows: readonly (readonly string[])[], right: number): readonly string[] {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => (row[at] ?? "").length)),
  );
  return rows.map((row) => {
    const cells = row.map((cell, at) =>
      at < right ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
    );
    return `  ${cells.join("  ")}`.trimEnd();
  });
}
