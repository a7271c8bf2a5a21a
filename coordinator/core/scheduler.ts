/**
 * Which waiting task starts where: lane by lane as far as its share goes (lanes.ts), earlier runs first, later stages
 * before earlier ones, the executor with the fewest running attempts first, and not again where the task failed as long
 * as there is another place.
 * One turn starts a bounded number of tasks (each needs its map key); the next turn goes on.
 */
import { must } from "../../shared/kernel/assert.ts";
import { lanes, type PerLane } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Work } from "../../shared/kernel/work.ts";
import { endOthers, taskKey } from "./attempts.ts";
import { dropDuplicates } from "./drop-duplicates.ts";
import type { Run, Stage } from "./durable.ts";
import { mayTake, servingOrder } from "./lanes.ts";
import { purgeSoon } from "./losers.ts";
import { busyWith } from "./membership.ts";
import { hasOthers, pick } from "./places.ts";
import { advanceRun, changed, jobOf, tellDone } from "./run-flow.ts";
import { keptScope } from "./salvage.ts";
import { salvageKey } from "./salvage-key.ts";
import { isComplete, isReady } from "./stage-graph.ts";
import { isDelayed, loadOf, openRuns, startableStages } from "./startable.ts";
import type { ExecutorState } from "./state.ts";
import { decide, epochOf, publish, type Turn, tell, tellNow } from "./turn.ts";
import { goesOn } from "./waiting.ts";
import { buildDelivery, buildWork, keyOf } from "./work-builder.ts";

interface Budget {
  /** Tasks that are named in this turn. */
  left: number;
  /** Slots that the lane may still take. */
  slots: number;
}

/** Called at the end of each step of a leader. */
export function schedule(turn: Turn): void {
  const { places, reusing } = turn.state;
  // Most turns end here: nobody is free.
  if (places.free === 0 && reusing.size === 0) return;
  const open = openRuns(turn);
  const reuses = { left: limits.startsPerStepMax };
  for (const lane of lanes) for (const run of open[lane]) reuseKept(turn, run, reuses);
  const budget = { left: limits.startsPerStepMax, slots: 0 };
  if (places.free > 0) startByLane(turn, open, budget);
  if ((budget.left > 0 && reuses.left > 0) || turn.state.proceeding) return;
  turn.state.proceeding = true;
  tellNow(turn, { kind: "again" });
}

function startByLane(turn: Turn, open: PerLane<readonly Run[]>, budget: Budget): void {
  const { isLiveActive } = loadOf(turn, open);
  for (const lane of servingOrder(isLiveActive)) {
    if (open[lane].length === 0) continue;
    const { slots, freeSlots: free, held } = turn.state.places;
    budget.slots = mayTake(lane, { slots, free, held, isLiveActive });
    for (const run of open[lane]) {
      if (budget.slots === 0) break;
      for (const index of startableStages(turn, run)) startTasks(turn, run, index, budget);
    }
  }
}

function startTasks(turn: Turn, run: Run, index: number, budget: Budget): void {
  const stage = must(run.stages[index], "the stage exists");
  for (const task of stage.waiting) {
    if (budget.left === 0 || budget.slots === 0) return;
    if (isDelayed(turn, run, stage, task)) continue;
    const failedOn = must(stage.tasks[task], "the task exists").failedOn;
    if (turn.state.places.free === 0) return;
    const executor = choose(turn, failedOn);
    if (executor === undefined) continue;
    budget.left--;
    if (startTask(turn, run, index, task, executor, "first") !== undefined) budget.slots--;
  }
}

/** One that failed the task is taken only if there is no other place at all. */
function choose({ state }: Turn, failedOn: readonly string[]): ExecutorState | undefined {
  const { places } = state;
  return pick(places, failedOn.length > 0 && hasOthers(places, failedOn) ? failedOn : []);
}

/** Gives the new attempt's id; none when a kept output took its place. `second`: beside one that is slow. */
export function startTask(
  turn: Turn,
  run: Run,
  index: number,
  task: number,
  executor: ExecutorState,
  which: "first" | "second",
): string | undefined {
  const stage = must(run.stages[index], "the stage exists");
  const job = must(jobOf(turn, run), "a live run's job is kept");
  const work = buildWork(job, run, index, task);
  const key = keyOfTask(run, index, work);
  if (key !== undefined && reuse(turn, run, index, task, key)) return undefined;
  const epoch = epochOf(turn);
  const attemptId = nameAttempt(turn, stage, task, work.kind === "map" ? key : undefined);
  const isFirst = stage.startedMs === 0;
  decide(turn, {
    kind: "attemptStarted",
    run: run.id,
    stage: index,
    task,
    attemptId,
    executor: executor.id,
    incarnation: executor.incarnation,
    ...(key === undefined ? {} : { mapKey: key }),
    ...(which === "second" ? { second: true } : {}),
    wallMs: turn.wall,
  });
  busyWith(turn, executor, attemptId);
  if (isFirst) {
    const { id, tasks } = stage;
    publish(turn, run, "stage.started", { run: run.id, stage: id, tasks: tasks.length });
  }
  sendTask(turn, run, { stage: index, task }, executor, work, attemptId, epoch);
  return attemptId;
}

/** What an output of an earlier run must have been made from to take the task's place. */
function keyOfTask(run: Run, index: number, work: Work): string | undefined {
  const stage = must(run.stages[index], "the stage exists");
  if (work.kind === "check") return undefined;
  if (stage.salvage !== undefined) return salvageKey(run, index, work);
  return work.kind === "map" ? keyOf(stage, work) : undefined;
}

function sendTask(
  turn: Turn,
  run: Run,
  at: { readonly stage: number; readonly task: number },
  executor: ExecutorState,
  work: Work,
  attemptId: string,
  epoch: number,
): void {
  const lowMemory = run.stages[at.stage]?.tasks[at.task]?.lowMemory ?? false;
  const delivery = buildDelivery(run, at, { attemptId, epoch, lowMemory });
  const connection = must(executor.connection, "a free executor is connected");
  const command = { kind: "runTask", attemptId, work, delivery } as const;
  tell(turn, { kind: "toExecutor", connection, epoch, command });
  changed(turn, run);
}

/** Unique for ever: an epoch is led once, and numbers its attempts. Safe as a subject token and a folder name. */
function nameAttempt(turn: Turn, stage: Stage, task: number, key: string | undefined): string {
  const number = turn.state.nextAttempt++;
  const what = key === undefined ? `${stage.id}-${task}` : key.slice(0, 16);
  return `${what}-e${epochOf(turn)}-${number.toString(36)}`;
}

/** Compares waiting tasks with the outputs that earlier runs of the day left, a few each turn. */
function reuseKept(turn: Turn, run: Run, budget: { left: number }): void {
  if (turn.state.reusing.size === 0 || turn.state.streamsChecking.has(run.id)) return;
  const job = jobOf(turn, run);
  if (job === undefined) return;
  run.stages.forEach((stage, index) => {
    const cursor = `${run.id}|${index}`;
    let task = turn.state.reusing.get(cursor);
    // What a reduce reads is part of its key. Taken over before any of its tasks starts: should that one fail the run, what
    // was finished is known to be of use.
    if (task === undefined || (stage.kind === "reduce" && !isReady(run, index))) return;
    for (; task < stage.tasks.length && budget.left > 0; task++) {
      if (!stage.waiting.has(task)) continue;
      const work = buildWork(job, run, index, task);
      budget.left--;
      const key = keyOfTask(run, index, work);
      if (key !== undefined) reuse(turn, run, index, task, key);
    }
    if (task < stage.tasks.length) turn.state.reusing.set(cursor, task);
    else turn.state.reusing.delete(cursor);
  });
}

function reuse(turn: Turn, run: Run, index: number, task: number, key: string): boolean {
  const stage = must(run.stages[index], "the stage exists");
  const kept = turn.state.durable.kept.get(keptScope(stage));
  if (kept === undefined || !kept.outputs.has(key)) return false;
  const at = { run: run.id, stage: index, task };
  // One may run where another task of the same key has ended before it: splits that lost all their files have one.
  const { lost = [], running } = must(stage.tasks[task], "the task exists");
  decide(turn, { kind: "taskReused", ...at, mapKey: key, wallMs: turn.wall });
  endOthers(turn, running);
  goesOn(turn, run, taskKey(run.id, stage.id, task));
  purgeSoon(turn, run, index, [...lost, ...running]);
  changed(turn, run);
  dropDuplicates(turn, run);
  if (isComplete(stage)) {
    tellDone(turn, run, stage);
    advanceRun(turn, run);
  }
  return true;
}
