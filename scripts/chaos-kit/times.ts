/**
 * Faults at times that somebody has chosen, instead of at positions that the seed draws. What a fault is called may not
 * fit any more (a kill "mid-map" may come in the commit); everything that must hold at the end must hold all the same.
 */
import { fail } from "../../shared/kernel/failure.ts";
import type { Fault, Plan } from "./scenario.ts";

/** `1.5,4` → milliseconds, in order. `badRequest` for anything that is no list of seconds. */
export function parseTimes(text: string | undefined): readonly number[] {
  if (text === undefined) return [];
  const times = text.split(",").map((part) => {
    const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(part.trim()) ? Number(part) : Number.NaN;
    return Math.round(seconds * 1_000);
  });
  if (times.every((time) => Number.isFinite(time))) return times.sort((a, b) => a - b);
  throw fail("badRequest", `--at ${text}: seconds after the submission are expected, as 1.5,4`);
}

/** The nth fault comes at the nth time; those beyond stay at their positions, after the others. */
export function atTimes(plan: Plan, at: readonly number[]): Plan {
  if (at.length === 0) return plan;
  // A leader that stops itself before an act does so whenever it comes to it.
  if ((plan.shape?.stops ?? []).length > 0) return plan;
  const faults = plan.faults.map((fault, index) => {
    const ms = at[index];
    return ms === undefined ? fault : timed(fault, ms);
  });
  return { ...plan, faults };
}

function timed(fault: Fault, ms: number): Fault {
  return {
    ...fault,
    when: `${ms / 1_000} s after the submission`,
    due: (_view, _world, msSinceSubmit) => msSinceSubmit >= ms,
    missed: () => false,
  };
}
