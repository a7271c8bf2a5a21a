/**
 * Executors where attempts keep failing while others succeed: a full disk, a bad memory bank, a wrong mount. Such a one
 * gets no new work for a time that doubles with each exclusion; what runs there goes on. Never more than a share of the
 * executors, and never the last one. Nothing of this is remembered by the next leader, or of an earlier process with
 * the same id: it is a matter of time, not of rows.
 */
import { classOf, type FailureCode } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Instant } from "../../shared/kernel/time.ts";
import { isPresent, place } from "./places.ts";
import type { ExecutorState } from "./state.ts";
import { clusterWide, log, publish, type Turn } from "./turn.ts";

/** How one attempt ended, as far as the executor may be to blame. */
export interface Outcome {
  readonly at: Instant;
  /** Names the task within the cluster. */
  readonly task: string;
  readonly failed: boolean;
}

export interface Exclusion {
  readonly until: Instant;
  /** For people. */
  readonly note: string;
}

/** An attempt won there. */
export function noteSuccess(turn: Turn, executor: ExecutorState, task: string): void {
  remember(executor, { at: turn.at, task, failed: false });
}

/** An attempt failed there. What no retry can mend is the input's or the job's fault, wherever it runs. */
export function noteFailure(
  turn: Turn,
  executor: ExecutorState,
  task: string,
  code: FailureCode,
): void {
  const { counts, retryable } = classOf(code);
  if (!counts || !retryable) return;
  remember(executor, { at: turn.at, task, failed: true });
  if (executor.exclusion !== undefined || !isPresent(executor)) return;
  const tasks = tasksFailedOn(turn, executor);
  if (tasks < limits.exclusionTasksFailed) return;
  if (!othersSucceed(turn, executor) || !maySpare(turn)) return;
  exclude(turn, executor, tasks, code);
}

function remember(executor: ExecutorState, outcome: Outcome): void {
  executor.outcomes.push(outcome);
  if (executor.outcomes.length > limits.outcomesKeptPerExecutor) executor.outcomes.shift();
}

/** Different tasks that failed there lately; 0 while more attempts succeed there than fail. */
function tasksFailedOn({ at }: Turn, { outcomes }: ExecutorState): number {
  const recent = outcomes.filter((one) => at - one.at <= limits.exclusionWindowMs);
  const failed = new Set(recent.flatMap((one) => (one.failed ? [one.task] : [])));
  const succeeded = recent.filter((one) => !one.failed).length;
  return succeeded > failed.size ? 0 : failed.size;
}

function othersSucceed({ state, at }: Turn, executor: ExecutorState): boolean {
  for (const { executor: other } of state.places.open.values()) {
    if (other === executor) continue;
    const isWell = ({ at: then, failed }: Outcome) =>
      !failed && at - then <= limits.exclusionWindowMs;
    if (other.outcomes.some(isWell)) return true;
  }
  return false;
}

/** Is there one more to spare? */
function maySpare(turn: Turn): boolean {
  const present = [...turn.state.executors.values()].filter(isPresent);
  const excluded = present.filter((one) => one.exclusion !== undefined).length;
  return excluded + 1 <= Math.floor(present.length * limits.exclusionShareMax);
}

function exclude(turn: Turn, executor: ExecutorState, tasks: number, code: FailureCode): void {
  const { id } = executor;
  if (turn.at - executor.excludedLast > limits.exclusionMsMax) executor.exclusions = 0;
  const forMs = Math.min(limits.exclusionMsMax, limits.exclusionMsMin * 2 ** executor.exclusions);
  const note =
    `no new work for ${forMs / 1_000} s: attempts of ${tasks} tasks failed here, the last one with ` +
    `${code}, while other executors succeed`;
  executor.exclusions++;
  executor.exclusion = { until: turn.at + forMs, note };
  executor.outcomes.length = 0;
  place(turn.state, executor);
  publish(turn, clusterWide, "executor.excluded", { executor: id, forMs, tasks, code, note });
  log(turn, "warn", "executor excluded", { executor: id, forMs, tasks, code });
}

/** One look at the clock: whose time is over, and is anybody needed after all? */
export function exclusionTick(turn: Turn): void {
  const excluded: ExecutorState[] = [];
  let present = 0;
  for (const executor of turn.state.executors.values()) {
    if (isPresent(executor)) present++;
    if (executor.exclusion === undefined) continue;
    if (executor.exclusion.until <= turn.at) readmit(turn, executor, "its time is over");
    else if (isPresent(executor)) excluded.push(executor);
  }
  let surplus = excluded.length - Math.floor(present * limits.exclusionShareMax);
  if (surplus <= 0) return;
  excluded.sort((a, b) => (a.exclusion?.until ?? 0) - (b.exclusion?.until ?? 0));
  for (const executor of excluded) {
    if (surplus-- <= 0) return;
    readmit(turn, executor, "too few others are left");
  }
}

function readmit(turn: Turn, executor: ExecutorState, reason: string): void {
  executor.exclusion = undefined;
  executor.excludedLast = turn.at;
  place(turn.state, executor);
  log(turn, "info", "executor may work again", { executor: executor.id, reason });
}
