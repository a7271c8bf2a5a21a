/**
 * What a leader has decided and done, counted: figures that only grow, and begin anew with each leadership. Nothing is decided
 * from them. Facts that are read from the journal do not count: whoever led then has counted them.
 */
import type { FailureCode } from "../../../shared/kernel/failure.ts";
import type { RunStateName } from "../../../shared/kernel/status.ts";
import { type Durable, emptySums, type StageSums } from "../durable.ts";
import type { Fact } from "../facts.ts";
import { addSums } from "../fold-task.ts";

export interface Counted {
  attemptsStarted: number;
  attemptsWon: number;
  /** When the last snapshot was saved, wall clock; 0 = none. */
  snapshotMs: number;
  readonly attemptsFailed: Map<FailureCode, number>;
  /** By name. */
  readonly jobs: Map<string, JobCounts>;
  readonly channels: Map<string, ChannelCounts>;
}

export interface JobCounts {
  /** Over the winners of all stages, and over those of scans. */
  readonly all: { readonly sums: StageSums };
  readonly scans: { readonly sums: StageSums };
  readonly runsEnded: Record<EndState, number>;
}

export const endStates = ["committed", "quarantined", "failed", "cancelled"] as const;
type EndState = (typeof endStates)[number] & RunStateName;

export interface ChannelCounts {
  tries: number;
  failures: number;
}

export function emptyCounted(): Counted {
  return {
    attemptsStarted: 0,
    attemptsWon: 0,
    snapshotMs: 0,
    attemptsFailed: new Map(),
    jobs: new Map(),
    channels: new Map(),
  };
}

/** Takes in a fact that was just decided and folded. */
export function countFact(counted: Counted, durable: Durable, fact: Fact): void {
  switch (fact.kind) {
    case "attemptStarted":
      counted.attemptsStarted++;
      return;
    case "attemptDone":
      countWinner(counted, durable, fact.attemptId);
      return;
    case "attemptFailed": {
      const { code } = fact.failure;
      counted.attemptsFailed.set(code, (counted.attemptsFailed.get(code) ?? 0) + 1);
      return;
    }
    case "runCommitted":
      countEnd(counted, durable, fact.run, "committed");
      return;
    case "runQuarantined":
      countEnd(counted, durable, fact.run, "quarantined");
      return;
    case "runEnded":
      countEnd(counted, durable, fact.run, fact.state);
      return;
    default:
      return;
  }
}

/** An attempt that came second is done, and its result is nobody's. */
function countWinner(counted: Counted, durable: Durable, attemptId: string): void {
  const attempt = durable.attempts.get(attemptId);
  const run = durable.runs.get(attempt?.run ?? "");
  const stage = run?.stages[attempt?.stage ?? -1];
  const result = stage?.tasks[attempt?.task ?? -1]?.result;
  if (run === undefined || result?.attemptId !== attemptId) return;
  counted.attemptsWon++;
  const { all, scans } = countsOf(counted, run.job);
  addSums(all, result, 1);
  if (stage?.kind === "scan") addSums(scans, result, 1);
}

function countEnd(counted: Counted, durable: Durable, id: string, state: EndState): void {
  const run = durable.runs.get(id);
  if (run !== undefined) countsOf(counted, run.job).runsEnded[state]++;
}

function countsOf(counted: Counted, job: string): JobCounts {
  const known = counted.jobs.get(job) ?? noCounts();
  counted.jobs.set(job, known);
  return known;
}

export function noCounts(): JobCounts {
  return {
    all: { sums: emptySums() },
    scans: { sums: emptySums() },
    runsEnded: { committed: 0, quarantined: 0, failed: 0, cancelled: 0 },
  };
}

/** A channel was sent a message, and took it or not. */
export function countTry(counted: Counted, channel: string, isTaken: boolean): void {
  const { tries, failures } = counted.channels.get(channel) ?? { tries: 0, failures: 0 };
  counted.channels.set(channel, { tries: tries + 1, failures: failures + (isTaken ? 0 : 1) });
}
