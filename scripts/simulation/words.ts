/** What simulated users say beside submits: backfills, and tidying up. */

import { must } from "../../shared/kernel/assert.ts";
import {
  type BackfillAction,
  type BackfillWish,
  backfillOrders,
  redos,
} from "../../shared/kernel/backfill.ts";
import type { UpkeepAction } from "../../shared/kernel/upkeep.ts";
import { type SimJob, simDays } from "./jobs.ts";
import type { World } from "./world.ts";

/** Days are made, or made again; a backfill is paused, goes on, is cancelled. */
export function backfillWord(world: World, job: string, requestId: string): BackfillAction {
  const id = `${job}.b${world.between(1, 3)}`;
  const kind = world.pick(["start", "start", "start", "pause", "resume", "cancel"] as const);
  if (kind !== "start" && kind !== undefined) return { kind, id, reason: "for a reason" };
  const wish: BackfillWish = {
    job,
    from: world.pick(simDays) ?? simDays[0],
    to: world.pick(simDays) ?? simDays[0],
    // Most days have a revision: most backfills are to make them again.
    redo: world.pick(["all", "all", "all", ...redos] as const) ?? "all",
    order: world.pick(backfillOrders) ?? "oldest",
    concurrency: world.between(1, 2),
    by: "somebody",
    reason: "for a reason",
  };
  return { kind: "start", requestId, wish, dryRun: world.chance() < 0.2 };
}

/** Somebody tidies up, or begins or ends to read a revision. */
export function upkeepWord(world: World, jobs: readonly SimJob[]): UpkeepAction {
  const { spec } = must(world.pick(jobs), "there are jobs");
  if (world.chance() < 0.7) {
    return { kind: "gc", job: world.pick(["", spec.name]) ?? "", dryRun: world.chance() < 0.3 };
  }
  const revision = { job: spec.name, day: simDays[0], revision: world.between(1, 3) };
  return { kind: "pin", revision, isPinned: world.chance() < 0.6 };
}
