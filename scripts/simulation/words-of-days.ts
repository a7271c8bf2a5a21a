/** What somebody may say about days, or have made of them, at a moment that is not theirs to choose. */
import type { DaysMessage } from "../../coordinator/core/protocol-days.ts";
import { must } from "../../shared/kernel/assert.ts";
import { type SimJob, simDays } from "./jobs.ts";
import { backfillWord } from "./words.ts";
import type { World } from "./world.ts";

type Unnumbered<T> = T extends unknown ? Omit<T, "reply"> : never;

/** One of each; `requestId`: of a backfill. */
export function wordsOfDays(
  world: World,
  jobs: readonly SimJob[],
  requestId: string,
): Unnumbered<DaysMessage>[] {
  const { spec } = must(world.pick(jobs), "there are jobs");
  const job = spec.name;
  const day = must(world.pick(simDays), "there are days");
  const mark = world.pick(["held", "released", "skipped", "wanted"] as const) ?? "released";
  const paused = world.chance() < 0.5;
  const dataset = world.pick(spec.models)?.name ?? "";
  // Mostly a revision that readers saw, sometimes one that nobody ever will.
  const delivery = { job, consumer: "bi", dataset, day, revision: world.between(1, 4) };
  return [
    { kind: "markDay", job, day, mark, reason: "for a reason" },
    { kind: "delivered", job, day, source: "" },
    { kind: "pauseBacklog", job, paused, reason: "for a reason" },
    { kind: "backfill", action: backfillWord(world, job, requestId) },
    { kind: "acknowledge", wish: { ...delivery, by: "somebody" } },
  ];
}
