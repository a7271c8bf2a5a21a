/**
 * What people are shown, as pure functions of durable state and of the executors that are attached.
 * Nothing is decided from these values.
 */
import { checkStatus } from "../../shared/kernel/check.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { StagePlan } from "../../shared/kernel/plan.ts";
import {
  causeOf,
  type ExchangeStatus,
  type ExecutorStateName,
  type ExecutorStatus,
  type RunStatus,
  type StageStateName,
  type StageStatus,
  stageLabel,
} from "../../shared/kernel/status.ts";
import { duplicateWarnings } from "./duplicates.ts";
import { laneOf, type Run, type Stage } from "./durable.ts";
import { inputsOf, outputsOf } from "./stage-graph.ts";
import type { CoordinatorState, ExecutorState } from "./state.ts";

/** `waiting`: why it does not go on at the moment (waiting.ts). */
export function runStatus(run: Run, waiting?: string): RunStatus {
  if (run.ended !== undefined) return run.ended;
  const scans = run.stages.filter((stage) => stage.kind === "scan");
  const failure: Failure | undefined = run.ending?.failure;
  return {
    runId: run.id,
    job: run.job,
    jobDigest: run.jobDigest,
    day: run.day,
    revision: run.revision,
    lane: laneOf(run),
    state: run.state,
    stages: run.stages.map((stage, index) => stageStatus(run, stage, index)),
    datasets: [],
    ...(failure === undefined ? {} : { failure }),
    createdMs: run.createdMs,
    endedMs: 0,
    rowsIn: total(scans, (stage) => stage.sums.rowsIn),
    rejects: total(scans, (stage) => stage.sums.rejects),
    bytesIn: total(scans, (stage) => stage.sums.bytesIn),
    exchangeRows: total(run.stages, (stage) => stage.sums.exchangeRows),
    exchangeBytes: total(run.stages, (stage) => stage.sums.exchangeBytes),
    committedBy: committedBy(run.stages),
    secondAttempts: total(run.stages, (stage) => stage.seconds ?? 0),
    manifest: "",
    warnings: [
      ...run.warnings,
      ...duplicateWarnings(run),
      ...(waiting === undefined ? [] : [waiting]),
    ],
    checks: (run.checks ?? []).map(checkStatus),
    ...(run.select === undefined ? {} : { select: run.select }),
    cause: causeOf(run),
    by: run.by ?? "",
  };
}

function stageStatus(run: Run, stage: Stage, index: number): StageStatus {
  const running = stage.tasks.length - stage.done - stage.waiting.size;
  const plan = stage.kind === "check" ? undefined : run.plan.stages[index];
  return {
    id: stage.id,
    label: label(run, plan),
    source: plan?.input.kind === "scan" ? plan.input.source : "",
    makes: plan === undefined ? [] : datasetsOf(plan),
    exchanges: plan === undefined ? [] : sentBy(run, stage, plan),
    tasks: stage.tasks.length,
    running,
    done: stage.done,
    failedAttempts: stage.failedAttempts,
    rowsIn: stage.sums.rowsIn,
    bytesIn: stage.sums.bytesIn,
    rowsOut: stage.sums.rowsOut,
    bytesOut: stage.sums.bytesOut,
    reused: stage.reused,
    duplicates: stage.dropped?.length ?? 0,
    state: stateOf(stage, running),
    startedMs: stage.startedMs,
    endedMs: stage.done === stage.tasks.length ? stage.endedMs : 0,
    committedBy: committedBy([stage]),
  };
}

function stateOf(stage: Stage, running: number): StageStateName {
  if (stage.done === stage.tasks.length) return "done";
  return running > 0 || stage.done > 0 ? "running" : "waiting";
}

/** What the stage makes: a scan feeds every model of its source, a reduce writes datasets, or prepares some. */
function label(run: Run, plan: StagePlan | undefined): string {
  if (plan === undefined) return "checks";
  const most = limits.stageLabelCharactersMax;
  if (plan.input.kind === "scan") return stageLabel("scan", [plan.input.source], most);
  const made = datasetsOf(plan);
  return made.length > 0
    ? stageLabel("reduce", made, most)
    : stageLabel("reduce for", preparedFor(run, plan), most);
}

function datasetsOf(plan: StagePlan): readonly string[] {
  return plan.outputs.flatMap((output) => (output.kind === "dataset" ? [output.model] : []));
}

/** Datasets of the stages that read what this one sends, or of those after them. */
function preparedFor(run: Run, plan: StagePlan): readonly string[] {
  const sent = outputsOf(plan);
  const readers = run.plan.stages.filter((one) => inputsOf(one).some((id) => sent.includes(id)));
  const found = readers.flatMap((one) => {
    const made = datasetsOf(one);
    return made.length > 0 ? made : preparedFor(run, one);
  });
  return [...new Set(found)];
}

/** One pass over the tasks: a day may have 25,000 of them. */
function sentBy(run: Run, stage: Stage, plan: StagePlan): readonly ExchangeStatus[] {
  const sums = new Map(outputsOf(plan).map((id) => [id, { rows: 0, bytes: 0 }]));
  for (const { result } of stage.tasks) {
    for (const { exchange, rows, bytes } of result?.outputs ?? []) {
      const sum = sums.get(exchange);
      if (sum === undefined) continue;
      sum.rows += rows;
      sum.bytes += bytes;
    }
  }
  return [...sums].map(([exchange, sum]) => {
    const sources = run.plan.traffic?.find((one) => one.exchange === exchange)?.sources ?? [];
    return { exchange, sources, ...sum };
  });
}

function committedBy(stages: readonly Stage[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const stage of stages) {
    for (const { result } of stage.tasks) {
      if (result === undefined || result.executor === "") continue;
      counts[result.executor] = (counts[result.executor] ?? 0) + 1;
    }
  }
  return counts;
}

function total(stages: readonly Stage[], of: (stage: Stage) => number): number {
  return stages.reduce((sum, stage) => sum + of(stage), 0);
}

/** Why the run does not go on at the moment; undefined when it waits for nothing. */
export function waitingText({ waiting }: CoordinatorState, run: string): string | undefined {
  const [why] = waiting.get(run)?.values() ?? [];
  return why === undefined ? undefined : `waiting: ${why.message}`;
}

/** Newest first, of one job or of all (`job` empty). */
export function listRuns(
  state: CoordinatorState,
  job: string,
  limit: number,
): readonly RunStatus[] {
  const all = [...state.durable.runs.values()];
  const found = all.filter((run) => job === "" || run.job === job).reverse();
  return found.slice(0, limit).map((run) => runStatus(run, waitingText(state, run.id)));
}

export function executorStatus(executor: ExecutorState): ExecutorStatus {
  return {
    executorId: executor.id,
    incarnation: executor.incarnation,
    host: executor.host,
    pid: executor.pid,
    slots: executor.slots,
    running: executor.busy.size,
    state: executorStateOf(executor),
    note: executor.exclusion?.note ?? "",
    committed: executor.committed,
    failed: executor.failed,
    peakMemoryBytes: executor.peakMemoryBytes,
    workerPids: executor.workerPids,
    joinedMs: executor.joinedMs,
  };
}

export function executorStateOf({ lost, draining, exclusion }: ExecutorState): ExecutorStateName {
  if (lost) return "lost";
  if (draining) return "draining";
  return exclusion === undefined ? "ready" : "excluded";
}
