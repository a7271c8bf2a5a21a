/**
 * Which tasks could start if there was a slot, and whether the live lane has any (lanes.ts decides by that).
 * Looks only: it starts and changes nothing.
 */
import { must } from "../../shared/kernel/assert.ts";
import type { PerLane } from "../../shared/kernel/lane.ts";
import { taskKey } from "./attempts.ts";
import { laneOf, type Run, type Stage } from "./durable.ts";
import type { Load } from "./lanes.ts";
import { waitsForRoom } from "./space.ts";
import { isReady, outputsOf } from "./stage-graph.ts";
import type { Turn } from "./turn.ts";

/** Runs whose tasks may run, earlier ones first, by lane. */
export function openRuns(turn: Turn): PerLane<readonly Run[]> {
  const open: PerLane<Run[]> = { live: [], backlog: [], ahead: [] };
  const { jobs, runs } = turn.state.durable;
  for (const run of runs.values()) {
    if (run.state !== "running" && run.state !== "checking") continue;
    // Lost with a part of the journal: the run has a manifest and is about to end by it (takeover.ts).
    if (run.ending !== undefined || !jobs.has(run.jobDigest)) continue;
    open[laneOf(run)].push(run);
  }
  return open;
}

/** Indexes of stages that may start tasks. Downstream first: what is nearly done frees memory and streams. */
export function startableStages(turn: Turn, run: Run): readonly number[] {
  if (turn.state.streamsChecking.has(run.id)) return [];
  const isHeld = waitsForRoom(turn, run);
  const { isTight } = turn.state.space;
  const found: number[] = [];
  for (let index = run.stages.length - 1; index >= 0; index--) {
    const stage = run.stages[index];
    if (stage === undefined || stage.waiting.size === 0) continue;
    if (isHeld && stage.kind === "scan") continue;
    if (isTight && writesRows(run, index)) continue;
    if (isReady(run, index)) found.push(index);
  }
  return found;
}

/** Into the exchange. */
export function writesRows(run: Run, index: number): boolean {
  const plan = run.plan.stages[index];
  return plan !== undefined && outputsOf(plan).length > 0;
}

/** It failed a moment ago, and is tried again a little later. */
export function isDelayed(turn: Turn, run: Run, stage: Stage, task: number): boolean {
  const { delays } = turn.state;
  // Most of the time nothing is delayed: no key is built then.
  if (delays.size === 0) return false;
  const until = delays.get(taskKey(run.id, stage.id, task));
  return until !== undefined && turn.at < until;
}

/** What lanes.ts goes by. */
export function loadOf(turn: Turn, open: PerLane<readonly Run[]>): Load {
  const { slots, freeSlots: free, held } = turn.state.places;
  // Asked in nearly every turn: nothing is looked at where there is nobody to share with.
  const isShared = open.backlog.length + open.ahead.length > 0;
  const isLiveActive = isShared && open.live.some((run) => isActive(turn, run));
  return { slots, free, held, isLiveActive };
}

/** A task of it runs, could start, or will as soon as its streams were looked at. */
function isActive(turn: Turn, run: Run): boolean {
  if (turn.state.streamsChecking.has(run.id)) return true;
  if (run.stages.some((stage) => stage.tasks.length > stage.done + stage.waiting.size)) return true;
  return startableStages(turn, run).some((index) => {
    const stage = must(run.stages[index], "the stage exists");
    for (const task of stage.waiting) if (!isDelayed(turn, run, stage, task)) return true;
    return false;
  });
}
