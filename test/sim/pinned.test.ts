/** Seeds that found a bug once. Each keeps its promises now, and the line says what it was. */
import { expect, test } from "vitest";
import { describeFailure, simulate } from "../../scripts/simulation/campaign.ts";
import { planJobs } from "../../scripts/simulation/jobs.ts";

const pinned: readonly (readonly [seed: number, bug: string])[] = [
  [39, "a promised run was not restored while an old snapshot showed its day's former run as live"],
  [42, "the sweep of staging took the folder of a run that was just being restored"],
];

test.each(pinned)("seed %i: %s", async (seed) => {
  const outcome = simulate(seed, await planJobs());
  expect(outcome.failure === undefined ? "" : describeFailure(outcome)).toBe("");
});
