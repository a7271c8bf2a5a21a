/** What each file of seeds demands of its share: no failure, nothing left uncovered, enough takeovers. */
import { expect } from "vitest";
import { Campaign, describeFailure, simulate } from "../../scripts/simulation/campaign.ts";
import { planJobs } from "../../scripts/simulation/jobs.ts";

/** Of 243 cells. */
const lateCellsMissedMax = 24;

/** Runs seeds `from` … `from + seeds - 1` and prints the report. */
export async function proves(from: number, seeds: number, takeovers: number): Promise<void> {
  const jobs = await planJobs();
  const campaign = new Campaign();
  for (let seed = from; seed < from + seeds; seed++) campaign.add(simulate(seed, jobs));
  console.log(campaign.report());
  expect(campaign.failures.map(describeFailure)).toEqual([]);
  const gaps = campaign.gaps();
  // An answer that comes under another role than it was asked in takes a pause at one instant: half of the seeds miss a few
  // of these cells. All others, and all faults, are met by each half.
  const late = gaps.filter((gap) => /^answered: \w+ × (candidate|leader).*never$/.test(gap));
  if (late.length > 0) console.log(`not met by these seeds: ${late.join("; ")}`);
  expect(gaps.filter((gap) => !late.includes(gap))).toEqual([]);
  expect(late.length).toBeLessThanOrEqual(lateCellsMissedMax);
  expect(campaign.takeovers).toBeGreaterThanOrEqual(takeovers);
}
