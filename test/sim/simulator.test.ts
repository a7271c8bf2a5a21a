/** Whole clusters on one thread, one per seed: nothing lost, nothing doubled, and in the end everything done. */
import { expect, test } from "vitest";
import type { Counts } from "./faults.ts";
import { SimCluster } from "./sim-cluster.ts";

const seeds = Array.from({ length: 60 }, (_, index) => index + 1);

function simulate(seed: number): SimCluster {
  const cluster = new SimCluster(seed);
  try {
    cluster.run();
  } catch (error) {
    throw new Error(`seed ${seed} at ${cluster.world.at} ms: ${String(error)}`, { cause: error });
  }
  return cluster;
}

test("every seed keeps its promises, and every fault has struck", { timeout: 120_000 }, () => {
  const total: Record<string, number> = {};
  for (const seed of seeds) {
    const { counts } = simulate(seed).faults;
    for (const kind of Object.keys(counts) as (keyof Counts)[]) {
      total[kind] = (total[kind] ?? 0) + counts[kind];
    }
  }
  for (const [kind, count] of Object.entries(total)) {
    expect(count, `fault ${kind} has to happen, or nothing is proved`).toBeGreaterThan(0);
  }
});

test("a seed replays to the same history", { timeout: 60_000 }, () => {
  for (const seed of [3, 17]) {
    const [one, other] = [simulate(seed), simulate(seed)];
    expect(one.world.traced).toBeGreaterThan(1_000);
    expect(other.world.traceHash).toBe(one.world.traceHash);
  }
});
