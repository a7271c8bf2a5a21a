/**
 * What a demo run was: the JSON summary, the closing lines, and what makes it fail. Pure, from values.
 */
import { formatBytes, formatCount, formatShort, formatTable } from "../client/format.ts";
import type { ProcessPeak } from "../client/process-memory.ts";
import { datasetsTable } from "../client/views.ts";
import type { RunStatus } from "../shared/adapters/grpc-types.ts";

export interface DemoSummary {
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly run: string;
  readonly day: string;
  readonly revision: number;
  readonly state: string;
  readonly rows: number;
  readonly rejects: number;
  readonly inputFiles: number;
  readonly inputBytes: number;
  readonly generateSeconds: number;
  readonly runSeconds: number;
  readonly recordsPerSecond: number;
  readonly exchangeRows: number;
  readonly exchangeBytes: number;
  readonly exchangeRowsPerInputRow: number;
  readonly partitions: number;
  readonly groups: number;
  readonly pids: Readonly<Record<string, number>>;
  readonly committedBy: Readonly<Record<string, number>>;
  readonly reduceCommittedBy: Readonly<Record<string, number>>;
  readonly stages: RunStatus["stages"];
  readonly datasets: readonly {
    readonly dataset: string;
    readonly revision: number;
    readonly rows: number;
    readonly files: number;
    readonly bytes: number;
    readonly path: string;
  }[];
  readonly manifest: string;
  readonly storageRoot: string;
  readonly peakMemory: readonly ProcessPeak[];
  readonly totalPeakPssBytes: number;
  readonly natsVersion: string;
  readonly duckdbVersion: string;
}

/** Everything that the demo has seen. */
export interface DemoFacts {
  readonly run: RunStatus;
  readonly planJson: string;
  readonly executors: readonly string[];
  readonly pids: Readonly<Record<string, number>>;
  readonly made: { readonly files: number; readonly bytes: number; readonly seconds: number };
  readonly storageRoot: string;
  readonly peakMemory: readonly ProcessPeak[];
  readonly totalPeakPssBytes: number;
  readonly natsVersion: string;
  readonly duckdbVersion: string;
}

export function summarise(facts: DemoFacts): DemoSummary {
  const { run, made } = facts;
  const { partitions, groups } = largestExchange(facts.planJson);
  const runSeconds = Math.max(0.001, (run.endedMs - run.createdMs) / 1_000);
  const reducers = reduceCommittedBy(run);
  const problems = problemsOf(facts, partitions, reducers);
  return {
    ok: problems.length === 0,
    problems,
    run: run.runId,
    day: run.day,
    revision: run.revision,
    state: run.state,
    rows: run.rowsIn,
    rejects: run.rejects,
    inputFiles: made.files,
    inputBytes: made.bytes,
    generateSeconds: made.seconds,
    runSeconds,
    recordsPerSecond: Math.round(run.rowsIn / runSeconds),
    exchangeRows: run.exchangeRows,
    exchangeBytes: run.exchangeBytes,
    exchangeRowsPerInputRow: run.rowsIn === 0 ? 0 : run.exchangeRows / run.rowsIn,
    partitions,
    groups,
    pids: facts.pids,
    committedBy: run.committedBy,
    reduceCommittedBy: reducers,
    stages: run.stages,
    datasets: run.datasets.map(({ dataset, rows, files, bytes, path }) => ({
      ...{ dataset, revision: run.revision, rows, files, bytes, path },
    })),
    manifest: run.manifest,
    storageRoot: facts.storageRoot,
    peakMemory: facts.peakMemory,
    totalPeakPssBytes: facts.totalPeakPssBytes,
    natsVersion: facts.natsVersion,
    duckdbVersion: facts.duckdbVersion,
  };
}

/** What makes the demo fail although the run may have ended well. */
function problemsOf(
  facts: DemoFacts,
  partitions: number,
  reducers: Readonly<Record<string, number>>,
): readonly string[] {
  const { run, executors } = facts;
  if (run.state !== "committed") {
    return [`the run ended as ${run.state}: ${run.failure?.message ?? "no reason was given"}`];
  }
  const idle = executors.filter((id) => (run.committedBy[id] ?? 0) === 0);
  const problems = idle.map((id) => `${id} committed no task`);
  if (partitions < 8) problems.push(`only ${partitions} partitions, at least 8 are expected`);
  const reducing = executors.filter((id) => (reducers[id] ?? 0) > 0).length;
  if (reducing < Math.min(2, executors.length)) {
    problems.push(`reduce tasks ran on ${reducing} executor, at least 2 are expected`);
  }
  return problems;
}

function reduceCommittedBy(run: RunStatus): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const stage of run.stages.filter(({ label }) => label.startsWith("reduce "))) {
    for (const [id, count] of Object.entries(stage.committedBy)) {
      counts[id] = (counts[id] ?? 0) + count;
    }
  }
  return counts;
}

function largestExchange(planJson: string): { partitions: number; groups: number } {
  const plan = JSON.parse(planJson) as {
    readonly exchanges?: readonly { readonly partitions: number; readonly groups: number }[];
  };
  const partitions = Math.max(0, ...(plan.exchanges ?? []).map((exchange) => exchange.partitions));
  const groups = Math.max(0, ...(plan.exchanges ?? []).map((exchange) => exchange.groups));
  return { partitions, groups };
}

/** The closing lines for people. */
export function summaryLines(summary: DemoSummary, run: RunStatus): readonly string[] {
  const ratio = summary.exchangeRowsPerInputRow.toFixed(2);
  const work = Object.entries(summary.committedBy).map(([id, count]) => `${id}: ${count}`);
  return [
    ...datasetsTable(run.datasets),
    "",
    `${formatCount(summary.rows)} records (${formatBytes(summary.inputBytes)} in ${summary.inputFiles} files) in ` +
      `${summary.runSeconds.toFixed(1)} s: ${formatShort(summary.recordsPerSecond)} records/s, ` +
      `${formatCount(summary.rejects)} rejects`,
    `exchanged ${formatBytes(summary.exchangeBytes)}, ${formatCount(summary.exchangeRows)} rows ` +
      `(${ratio} per record), in ${summary.partitions} partitions`,
    `tasks committed by ${work.join(", ")}`,
    `peak memory together ${formatBytes(summary.totalPeakPssBytes)}; by process:`,
    ...formatTable(
      ["  PROCESS", "PID", "PEAK"],
      summary.peakMemory.map(({ name, pid, peakBytes }) => [
        `  ${name}`,
        pid,
        formatBytes(peakBytes),
      ]),
      { figures: ["PEAK"] },
    ),
    `manifest ${summary.manifest}`,
    ...summary.problems.map((problem) => `FAILED: ${problem}`),
  ];
}
