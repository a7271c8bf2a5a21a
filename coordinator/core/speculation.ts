/**
 * Slow tasks. Near the end of a stage an attempt that runs far longer than the finished ones did gets a second attempt
 * on another executor, if a slot there is free; the first to finish wins (attempts.ts cancels the other and has its
 * output removed). So does one that has stood still for minutes, at any time: where it is all that is left, or others
 * may run nowhere but in its slot, no end of the stage would ever come near.
 * Whether an attempt is slow is a guess and may be wrong: a wrong one costs a slot, never a row.
 * A second attempt counts in its run's lane like any other: it gets no slot that the lane may not take.
 */
import { must } from "../../shared/kernel/assert.ts";
import { lanes } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Split } from "../../shared/kernel/work.ts";
import { type Attempt, laneOf, type Run, type Stage, type Task } from "./durable.ts";
import { mayTake } from "./lanes.ts";
import { pick } from "./places.ts";
import { jobOf } from "./run-flow.ts";
import { startTask } from "./scheduler.ts";
import { isReady } from "./stage-graph.ts";
import { loadOf, openRuns, writesRows } from "./startable.ts";
import { log, publish, type Turn } from "./turn.ts";

interface Slow {
  readonly attemptId: string;
  readonly attempt: Attempt;
  readonly run: Run;
  readonly stage: Stage;
  readonly task: Task;
  readonly ranMs: number;
  /** 0 = it stands still, whatever the others took. */
  readonly medianMs: number;
}

/** Called on ticks, after everything that waits was offered the free slots. */
export function speculate(turn: Turn): void {
  const { state } = turn;
  const { places } = state;
  if (turn.at < state.slowLookAt || state.proceeding) return;
  state.slowLookAt = turn.at + limits.slowLookEveryMs;
  if (places.free === 0) return;
  const most = Math.max(1, Math.floor(places.slots * limits.secondAttemptsSlotsShare));
  const seconds = secondsRunning(turn);
  for (const slow of slowAttempts(turn)) {
    const { run, attempt } = slow;
    const lane = laneOf(run);
    // Those of live runs are not kept from theirs by those of others.
    const counted = lane === "live" ? seconds.live : seconds.live + seconds.others;
    if (counted >= most || mayTake(lane, loadOf(turn, openRuns(turn))) === 0) continue;
    const executor = pick(places, [attempt.executor, ...slow.task.failedOn]);
    if (executor === undefined) continue;
    seconds[lane === "live" ? "live" : "others"]++;
    const attemptId = startTask(turn, run, attempt.stage, attempt.task, executor, "second");
    if (attemptId !== undefined) tellSecond(turn, slow, attemptId, executor.id);
  }
}

function tellSecond(turn: Turn, slow: Slow, attemptId: string, executor: string): void {
  const { run, stage, attempt } = slow;
  const about = { run: run.id, stage: stage.id, task: attempt.task, attempt: attemptId, executor };
  const ranMs = Math.round(slow.ranMs);
  const medianMs = Math.round(slow.medianMs);
  const beside = { slowAttempt: slow.attemptId, slowExecutor: attempt.executor, ranMs, medianMs };
  publish(turn, run, "task.speculated", { ...about, ...beside });
  log(turn, "info", "a slow task gets a second attempt", { ...about, ...beside });
}

function secondsRunning(turn: Turn): { live: number; others: number } {
  const { durable } = turn.state;
  const beyond = { live: 0, others: 0 };
  const counted = new Set<Task>();
  for (const id of durable.running) {
    const attempt = durable.attempts.get(id);
    const run = durable.runs.get(attempt?.run ?? "");
    const task = attempt && run?.stages[attempt.stage]?.tasks[attempt.task];
    if (run === undefined || task === undefined) continue;
    if (task.running.length < 2 || counted.has(task)) continue;
    counted.add(task);
    beyond[laneOf(run) === "live" ? "live" : "others"] += task.running.length - 1;
  }
  return beyond;
}

/** Slow attempts that may have a second one: the most urgent lane first, in it the one that runs longest. */
function slowAttempts(turn: Turn): readonly Slow[] {
  const { state } = turn;
  const { attempts, running, runs } = state.durable;
  const paces = new Map<Stage, Pace | undefined>();
  const found: Slow[] = [];
  for (const attemptId of running) {
    const attempt = must(attempts.get(attemptId), "a running attempt is known");
    const run = runs.get(attempt.run);
    const stage = run?.stages[attempt.stage];
    const task = stage?.tasks[attempt.task];
    if (run === undefined || stage === undefined || task === undefined) continue;
    if (task.hadSecond === true || task.running.length !== 1) continue;
    const busy = state.executors.get(attempt.executor)?.busy.get(attemptId);
    if (busy === undefined || turn.at - busy.since <= limits.slowAfterMsMin) continue;
    const ranMs = turn.at - busy.since;
    const about = { attemptId, attempt, run, stage, task, ranMs };
    if (turn.at - busy.movedAt > limits.standsStillMs) {
      if (mayBeJudged(turn, run, attempt.stage)) found.push({ ...about, medianMs: 0 });
      continue;
    }
    if (!paces.has(stage)) paces.set(stage, paceOf(turn, run, attempt.stage));
    const pace = paces.get(stage);
    if (pace === undefined) continue;
    const expectedMs = pace.medianMs * sizeFactor(pace, stage.splits[attempt.task]);
    if (ranMs <= limits.slowFactor * expectedMs) continue;
    found.push({ ...about, medianMs: pace.medianMs });
  }
  const rank = ({ run }: Slow) => lanes.indexOf(laneOf(run));
  return found.sort((a, b) => rank(a) - rank(b) || b.ranMs - a.ranMs);
}

/** How long attempts of a stage took, and how much each had to read. */
interface Pace {
  readonly medianMs: number;
  /** Bytes of a split on average; 0 = not known, or not comparable. */
  readonly splitBytes: number;
}

function mayBeJudged(turn: Turn, run: Run, index: number): boolean {
  // Lost with a part of the journal: the run is about to end (takeover.ts).
  if (jobOf(turn, run) === undefined) return false;
  // A check is one of a kind.
  const isCheck = run.stages[index]?.kind === "check";
  if (run.state !== "running" || run.ending !== undefined || isCheck) return false;
  // Nobody waits for it.
  if (run.isGathering === true) return false;
  if (turn.state.space.isTight && writesRows(run, index)) return false;
  // What a second attempt would read must all be there, as for a first one.
  return !turn.state.streamsChecking.has(run.id) && isReady(run, index);
}

/** Undefined while a stage has no attempts that may be judged. */
function paceOf(turn: Turn, run: Run, index: number): Pace | undefined {
  const stage = must(run.stages[index], "the stage exists");
  if (stage.done < stage.tasks.length * limits.slowStageDoneShare) return undefined;
  if (!mayBeJudged(turn, run, index)) return undefined;
  // Sorted as numbers, without a call for each comparison: this is done every second for a stage of 50,000 tasks.
  const tookMs = Float64Array.from(
    stage.tasks.flatMap(({ result }) => result?.counters.elapsedMs ?? []),
  ).sort();
  const medianMs = tookMs[Math.floor(tookMs.length / 2)];
  if (medianMs === undefined) return undefined;
  const bytes = stage.splits.reduce((sum, split) => sum + bytesOf(split), 0);
  return { medianMs, splitBytes: bytes / Math.max(1, stage.splits.length) };
}

/** A task that has more to read than the others may take longer. */
function sizeFactor({ splitBytes }: Pace, split: Split | undefined): number {
  if (split === undefined || split.rows !== undefined || splitBytes === 0) return 1;
  return Math.max(1, bytesOf(split) / splitBytes);
}

function bytesOf({ files }: Split): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}
