/** What each file of seeds demands of its share: no failure, nothing left uncovered, enough takeovers. */
import { expect } from "vitest";
import { Campaign, describeFailure, simulate } from "../../scripts/simulation/campaign.ts";
import { planJobs } from "../../scripts/simulation/jobs.ts";

/** Runs seeds `from` … `from + seeds - 1` and prints the report. */
export async function proves(from: number, seeds: number, takeovers: number): Promise<void> {
  const jobs = await planJobs();
  const campaign = new Campaign();
  for (let seed = from; seed < from + seeds; seed++) campaign.add(simulate(seed, jobs));
  console.log(campaign.report());
  expect(campaign.failures.map(describeFailure)).toEqual([]);
  expect(campaign.gaps()).toEqual([]);
  expect(campaign.takeovers).toBeGreaterThanOrEqual(takeovers);
}
