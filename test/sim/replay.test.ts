/** A seed gives the same history byte for byte, and leaving out ticks that change nothing changes nothing. */
import { expect, test } from "vitest";
import { type Outcome, simulate } from "../../scripts/simulation/campaign.ts";
import { planJobs, type SimJob } from "../../scripts/simulation/jobs.ts";

const sample = [3, 17, 101, 222, 404];
const histories = new Map<number, Outcome>();

/** What a seed gives: run once for both tests. */
function historyOf(seed: number, jobs: readonly SimJob[]): Outcome {
  const outcome = histories.get(seed) ?? simulate(seed, jobs);
  histories.set(seed, outcome);
  return outcome;
}

test("a seed that runs twice has one history", { timeout: 300_000 }, async () => {
  const jobs = await planJobs();
  for (const seed of sample) {
    const [one, other] = [historyOf(seed, jobs), simulate(seed, jobs)];
    expect(one.traced).toBeGreaterThan(1_000);
    expect(other.traceHash).toBe(one.traceHash);
    expect(other.counts).toEqual(one.counts);
  }
  const hashes = sample.map((seed) => historyOf(seed, jobs).traceHash);
  expect(new Set(hashes).size).toBe(sample.length);
});

test("with every tick the history is the same", { timeout: 300_000 }, async () => {
  const jobs = await planJobs();
  for (const seed of sample.slice(0, 2)) {
    const all = simulate(seed, jobs, { hasAllTicks: true });
    const due = historyOf(seed, jobs);
    expect(all.events).toBeGreaterThan(due.events);
    expect(all.traceHash).toBe(due.traceHash);
  }
});
