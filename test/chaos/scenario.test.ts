/**
 * One scenario with real processes, the quickest that goes through everything: the leader stops itself in the middle of
 * its commit and is killed there. The others run with ./scripts/chaos. Needs ./scripts/build.
 */
import { existsSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { byName } from "../../scripts/chaos-kit/catalogue.ts";
import { runScenario } from "../../scripts/chaos-kit/run-scenario.ts";
import type { Scenario } from "../../scripts/chaos-kit/scenario.ts";

/** A scenario on a smaller day. */
function scenario(name: string): Scenario {
  const found = byName.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return {
    ...found,
    plan: (draw, wanted) => {
      const plan = found.plan(draw, wanted);
      return { ...plan, shape: { ...plan.shape, files: 4 } };
    },
  };
}

const options = {
  rows: 12_000,
  seed: 1,
  signal: new AbortController().signal,
  say: () => undefined,
  keepFailed: false,
};

test("the leader is killed in the middle of its commit: the standby commits the same day once", async () => {
  const outcome = await runScenario(scenario("kill-leader-mid-commit"), options);
  expect(outcome.reasons).toEqual([]);
  expect(outcome).toMatchObject({ result: "PASS", datasetsCompared: 17 });
  expect(outcome.injected).toHaveLength(1);
  expect(outcome.injected[0]?.recoveredAfterMs).toBeGreaterThan(2_000);
  expect(outcome.attempts).toMatchObject({ rerun: 0 });
}, 240_000);

test("a fault that does not fire fails the trial, which leaves nothing behind", async () => {
  let work = "";
  const never: Scenario = {
    name: "never",
    proves: "nothing",
    plan: () => ({
      shape: { executors: 1, coordinators: 1 },
      before: async (world) => {
        work = world.work;
        // Its run is over at once.
        truncateSync(join(world.root, "raw/ipdr/day=2026-01-15/gw=1/2026-01-15T0000.csv"));
      },
      faults: [
        { when: "after the end of time", due: () => false, what: "", inject: async () => "" },
      ],
    }),
  };
  const outcome = await runScenario(never, options);
  expect(outcome.result).toBe("FAIL");
  expect(outcome.reasons).toEqual([
    "the fault did not fire: ipdr-daily.2026-01-15.r1 ended before after the end of time",
  ]);
  expect(work).not.toBe("");
  expect(existsSync(work)).toBe(false);
}, 240_000);
