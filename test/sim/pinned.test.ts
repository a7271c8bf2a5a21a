/**
 * Seeds that found a bug once. Each keeps its promises now, and the line says what it was. A seed's history changes with
 * the code, so each bug has a test with values beside the core as well.
 */
import { expect, test } from "vitest";
import { describeFailure, simulate } from "../../scripts/simulation/campaign.ts";
import { planJobs } from "../../scripts/simulation/jobs.ts";

const pinned: readonly (readonly [seed: number, bug: string])[] = [
  [
    38,
    "a task that took over the output of another one with the same key left its own attempt running",
  ],
  [39, "a promised run was not restored while an old snapshot showed its day's former run as live"],
  [42, "the sweep of staging took the folder of a run that was just being restored"],
  [
    207,
    "a run that had taken up outputs of one whose end was lost named reject files in a staging folder that was gone",
  ],
  [
    249,
    "a run that was found committed took away the kept outputs that another live run of its day stood on",
  ],
  [
    273,
    "rows that were read under a part of the journal that is lost stood beside their producer's new ones",
  ],
  [
    215,
    "files that went back to what they were when a run was begun were not news to what that run had found instead",
  ],
  [290, "a removal that waited for its time took an output that was found again meanwhile"],
  [
    307,
    "executors stayed with a candidate that had given up and never heard the leader that went on",
  ],
  [
    325,
    "a kept output that a damaged journal could not name was replaced and its readers were not told",
  ],
  [
    494,
    "a result that was dropped in a lost part of the journal stood beside rows that its producer gave later",
  ],
  [
    1068,
    "a journal that lost its end took a record of a deposed leader, and the next one believed it",
  ],
  [
    9112,
    "a live run whose form of the job was in the lost head of the journal stopped every leader",
  ],
  [
    20202,
    "a journal that was lost and grew to the old snapshot's end again passed for its continuation",
  ],
  [
    90136,
    "a run that was told from its beginning once more, over a newer snapshot, kept attempts of tasks that it had no more",
  ],
];

test.each(pinned)("seed %i: %s", { timeout: 120_000 }, async (seed) => {
  const outcome = simulate(seed, await planJobs());
  expect(outcome.failure === undefined ? "" : describeFailure(outcome)).toBe("");
});
