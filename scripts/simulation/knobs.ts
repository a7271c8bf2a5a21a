/**
 * Limits that a seed may lower, so that what takes days to happen (a snapshot, a journal read in pieces, a worker
 * replaced after its last attempt) happens within minutes. Every value is one that production could be built with.
 */
import { limits } from "../../shared/kernel/limits.ts";
import { World } from "./world.ts";

type Knob = keyof typeof limits;

/** For each knob the values that a seed picks from; the first is the real one where a seed lasts long enough for it. */
const knobs = {
  snapshotEveryRecords: [limits.snapshotEveryRecords, 40, 150],
  journalReadRecordsMax: [limits.journalReadRecordsMax, 20],
  startsPerStepMax: [limits.startsPerStepMax, 2],
  exchangeUnreachableMs: [limits.exchangeUnreachableMs, 20_000, 20_000],
  attemptsPerWorkerMax: [limits.attemptsPerWorkerMax, 3],
  reportsKeptMax: [limits.reportsKeptMax, 4],
  settledAttemptsKept: [limits.settledAttemptsKept, 10],
  slowAfterMsMin: [limits.slowAfterMsMin, 2_000],
  exclusionMsMin: [limits.exclusionMsMin, 10_000],
  retentionRevisionsDefault: [limits.retentionRevisionsDefault, 1],
  retentionRoundEveryMs: [limits.retentionRoundEveryMs, 30_000],
  leftoversRoundEveryMs: [40_000, 20_000],
  leftoversStreamsPerLookMax: [limits.leftoversStreamsPerLookMax, 4],
  lostExecutorShownMs: [limits.lostExecutorShownMs, 15_000],
  alertHoldMs: [limits.alertHoldMs, 10_000],
  leaderChangedShownMs: [limits.leaderChangedShownMs, 20_000],
  sendRetryPauseMsMax: [20_000],
  noticeTriedMs: [limits.noticeTriedMs, 60_000],
} satisfies Partial<Record<Knob, readonly number[]>>;

/** Runs with the knobs of a seed, and puts the real values back. */
export function withKnobs<T>(seed: number, run: () => T): T {
  const chance = new World(seed ^ 0x5eed);
  // The limits are constants to everybody else; the simulation owns its process.
  const turned = limits as unknown as Record<string, number>;
  const former = Object.keys(knobs).map((name) => [name, turned[name] ?? 0] as const);
  for (const [name, values] of Object.entries(knobs)) {
    turned[name] = chance.pick<number>(values) ?? turned[name] ?? 0;
  }
  try {
    return run();
  } finally {
    for (const [name, value] of former) turned[name] = value;
  }
}
