/**
 * Runs, datasets and executors as lines for people. Pure: what came over the wire in, text out.
 */
import type { DatasetStatus, ExecutorStatus, RunStatus } from "../shared/adapters/grpc-types.ts";
import { checkSummary, failedCheckLines, quarantineHint } from "./check-lines.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatShort,
  formatTable,
  formatTime,
} from "./format.ts";

/** One line per run; `job`: the only one that was asked for, or empty. */
export function runsTable(runs: readonly RunStatus[], job = ""): readonly string[] {
  if (runs.length === 0 && job !== "") return [`no runs of job ${job}; all jobs: daymill runs`];
  if (runs.length === 0) return ["no runs yet; start one with: daymill submit JOB.yaml --day D"];
  const header = [
    "RUN",
    "LANE",
    "STATE",
    "STARTED BY",
    "CREATED",
    "TOOK",
    "ROWS IN",
    "BYTES IN",
    "REJECTS",
    "TASKS",
  ];
  // A column of its own would be empty nearly always.
  const notes = runs.flatMap((run) => {
    const count = duplicatesOf(run);
    const { runId, select } = run;
    return [
      ...(select.length === 0 ? [] : [`${runId}: only ${select.join(", ")}`]),
      ...(count === 0 ? [] : [`${runId}: duplicate files that do not count: ${count}`]),
    ];
  });
  const table = formatTable(
    header,
    runs.map((run) => {
      const tasks = run.stages.reduce((sum, stage) => sum + stage.tasks, 0);
      const done = run.stages.reduce((sum, stage) => sum + stage.done, 0);
      const took = run.endedMs === 0 ? "-" : formatDuration(run.endedMs - run.createdMs);
      const created = formatTime(run.createdMs);
      const rows = formatCount(run.rowsIn);
      return [
        run.runId,
        run.lane,
        run.state,
        startedBy(run),
        created,
        took,
        rows,
        formatBytes(run.bytesIn),
        formatCount(run.rejects),
        `${done}/${tasks}`,
      ];
    }),
    { figures: ["TOOK", "ROWS IN", "BYTES IN", "REJECTS", "TASKS"] },
  );
  const failed = runs.flatMap((run) =>
    failedCheckLines(run).map((line) => `${run.runId}: ${line}`),
  );
  const more = [...notes, ...failed];
  return more.length === 0 ? table : [...table, "", ...more];
}

function duplicatesOf(run: RunStatus): number {
  return run.stages.reduce((sum, stage) => sum + stage.duplicates, 0);
}

/** `ann`, `backfill usage.b1`, `late input`: who or what a run is there for. */
export function startedBy({ cause, by }: Pick<RunStatus, "cause" | "by">): string {
  if (by === "") return cause === "" ? "-" : cause;
  return cause === "request" ? by : `${cause} ${by}`;
}

/** A live run is the usual one: nothing is said. */
export function laneNote({ lane }: RunStatus): string {
  return lane === "live" || lane === "" ? "" : ` (${lane})`;
}

/** What a run did, at its end or so far. */
export function runSummary(run: RunStatus): readonly string[] {
  const end = run.endedMs === 0 ? "" : ` in ${formatDuration(run.endedMs - run.createdMs)}`;
  const lines = [`${run.runId}: ${run.state}${end}${laneNote(run)}`];
  if (run.cause !== "")
    lines.push(`  started by ${startedBy(run)} at ${formatTime(run.createdMs)}`);
  if (run.select.length > 0)
    lines.push(`  only ${run.select.join(", ")}; other datasets carried over`);
  if (run.failure !== null)
    lines.push(...run.failure.message.split("\n").map((line) => `  ${line}`));
  if (run.rowsIn > 0) {
    const exchanged = `${formatShort(run.exchangeRows)} rows, ${formatBytes(run.exchangeBytes)}`;
    lines.push(
      `  rows in ${formatCount(run.rowsIn)} (${formatBytes(run.bytesIn)}), rejects ${formatCount(run.rejects)}, exchanged ${exchanged}`,
    );
  }
  const workers = Object.entries(run.committedBy).sort(([a], [b]) => a.localeCompare(b));
  if (workers.length > 0) {
    lines.push(`  tasks by ${workers.map(([id, count]) => `${id}: ${count}`).join(", ")}`);
  }
  const duplicates = duplicatesOf(run);
  if (duplicates > 0) lines.push(`  duplicate files that do not count: ${duplicates}`);
  const { secondAttempts = 0 } = run;
  if (secondAttempts > 0) lines.push(`  second attempts of slow tasks: ${secondAttempts}`);
  lines.push(...run.warnings.map((warning) => `  ! ${warning}`));
  lines.push(...checkSummary(run), ...quarantineHint(run));
  if (run.datasets.length > 0) lines.push("", ...datasetsTable(run.datasets));
  if (run.manifest !== "") lines.push("", `manifest ${run.manifest}`);
  return lines;
}

/** Where the datasets are is told once if only their names differ: with long paths no terminal is wide enough. */
export function datasetsTable(datasets: readonly DatasetStatus[]): readonly string[] {
  const places = new Set(datasets.map(({ path, dataset }) => path.replace(dataset, "DATASET")));
  const [place = ""] = places;
  const isCommon = places.size === 1 && place.includes("DATASET");
  const header = ["DATASET", "ROWS", "FILES", "SIZE"];
  const table = formatTable(
    isCommon ? header : [...header, "WHERE"],
    datasets.map((entry) => [
      entry.dataset,
      formatCount(entry.rows),
      entry.files,
      formatBytes(entry.bytes),
      entry.path,
    ]),
    { cellMax: 200, figures: ["ROWS", "SIZE"] },
  );
  return isCommon ? [...table, `in ${place}`] : table;
}

export function executorsTable(executors: readonly ExecutorStatus[]): readonly string[] {
  if (executors.length === 0) return ["no executors; start one with: daymill executor --nats URL"];
  const header = [
    "EXECUTOR",
    "STATE",
    "HOST",
    "PID",
    "SLOTS",
    "RUNNING",
    "DONE",
    "FAILED",
    "PEAK",
    "JOINED",
  ];
  // A column of its own would be empty nearly always.
  const notes = executors.flatMap(({ executorId, note = "" }) =>
    note === "" ? [] : [`${executorId}: ${note}`],
  );
  const byName = new Intl.Collator("en", { numeric: true });
  const sorted = [...executors].sort((a, b) => byName.compare(a.executorId, b.executorId));
  const table = formatTable(
    header,
    sorted.map((entry) => [
      entry.executorId,
      entry.state,
      entry.host,
      entry.pid,
      entry.slots,
      entry.running,
      entry.committed,
      entry.failed,
      formatBytes(entry.peakMemoryBytes),
      formatTime(entry.joinedMs),
    ]),
    { figures: ["PEAK"] },
  );
  return [...table, ...notes.sort(byName.compare)];
}
