/**
 * When failures of a task end its run, and how that is said. A task is given up after so many counted failures on two
 * executors, so that one bad machine can't fail a day; where there is only one executor, or the others can't be given
 * work, it is given up all the same. The input files that it was about are named: one of them may be poison.
 */
import { classOf, type Failure, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Attempt, Run, Stage, Task } from "./durable.ts";
import { isPresent } from "./places.ts";
import { jobOf } from "./run-flow.ts";
import type { Turn } from "./turn.ts";

/** An attempt with all that it belongs to. */
export interface Place {
  readonly run: Run;
  readonly stage: Stage;
  readonly task: Task;
  readonly attempt: Attempt;
}

/** Why the run must fail because of this task, if it must. */
export function fatalFailure(turn: Turn, place: Place, why: Failure): Failure | undefined {
  const { run, stage, task, attempt } = place;
  const attemptsMax = Math.min(
    jobOf(turn, run)?.execution.maxAttempts ?? 1,
    limits.attemptsPerTaskMax,
  );
  const { retryable, counts } = classOf(why.code);
  const { where, file } = describe(stage, attempt.task, why);
  const detail = { ...file, ...why.detail, stage: stage.id, task: attempt.task };
  if (counts && !retryable) return failure(why.code, `${where}: ${why.message}`, detail);
  if (counts && task.failures >= attemptsMax && isTriedEnough(turn, task, attemptsMax)) {
    const tried = `failed ${task.failures} times on ${task.failedOn.join(", ")}`;
    return failure(why.code, `${where} ${tried}; last: ${why.message}`, detail);
  }
  const { shorts = 0, refusals = 0 } = task;
  const isShortTooOften =
    shorts >= limits.exchangeShortsPerTaskMax || refusals >= limits.storageRefusalsPerTaskMax;
  // A start that found others' rows missing made progress: those are made again. One that was refused waits for room.
  const others = task.starts - shorts - refusals;
  if (others < limits.attemptsPerTaskTotalMax && !isShortTooOften) return undefined;
  return failure(
    why.code,
    `${where} was started ${task.starts} times; last: ${why.message}`,
    detail,
  );
}

/** Did it fail on two executors, or is there no second one, or will it never get there? */
function isTriedEnough(turn: Turn, task: Task, attemptsMax: number): boolean {
  if (task.failedOn.length >= Math.min(2, attemptsMax)) return true;
  if (task.failures >= limits.failuresPerTaskMax) return true;
  for (const executor of turn.state.executors.values()) {
    if (isPresent(executor) && !task.failedOn.includes(executor.id)) return false;
  }
  return true;
}

/** The task with its input: the file that the failure names, or else all of them, up to a bound. */
function describe(
  stage: Stage,
  index: number,
  why: Failure,
): { readonly where: string; readonly file: { readonly file?: string } } {
  const task = `task ${index} of stage ${stage.id}`;
  const paths = stage.splits[index]?.files.map((file) => file.path) ?? [];
  const named = paths.length === 1 ? paths[0] : paths.find((path) => path === why.detail?.["file"]);
  if (named !== undefined) return { where: `${task} (${named})`, file: { file: named } };
  if (paths.length === 0) return { where: task, file: {} };
  const shown = paths.slice(0, limits.filesNamedMax);
  const rest = paths.length - shown.length;
  const more = rest > 0 ? ` and ${rest} more files` : "";
  return { where: `${task} (one of ${shown.join(", ")}${more})`, file: {} };
}
