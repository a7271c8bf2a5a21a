/**
 * What a trial says at its end: one outcome as lines for people, several as a table, all of it as JSON.
 */
import { formatBytes, formatTable } from "../../client/format.ts";
import type { Seen } from "./journal-watch.ts";
import { adoptedAttempts } from "./phases.ts";

export interface Injected {
  readonly what: string;
  readonly when: string;
  /** Journal record after which it came. */
  readonly sequence: number;
  readonly msAfterSubmit: number;
  /** Until the run moved again; null: it never did. */
  readonly recoveredAfterMs: number | null;
}

export interface Attempts {
  readonly started: number;
  /** Started again, for whatever reason. */
  readonly rerun: number;
  /** Started under one leader and finished under a later one. */
  readonly adopted: number;
  /** Tasks done by the kept output of an earlier run. */
  readonly reused: number;
}

export interface Outcome {
  readonly scenario: string;
  readonly seed: number;
  readonly rows: number;
  /** Which day it was. */
  readonly data: string;
  readonly result: "PASS" | "FAIL" | "SKIP";
  /** Why not PASS. */
  readonly reasons: readonly string[];
  readonly injected: readonly Injected[];
  readonly attempts: Attempts;
  readonly datasetsCompared: number;
  readonly streamsKept: number;
  readonly exchangeBytes: number;
  readonly seconds: number;
  /** Folder that was kept for a look. */
  readonly work?: string;
}

/** Counts over everything that the journal said. */
export function countAttempts(all: readonly Seen[]): Attempts {
  const tasks = new Set<string>();
  let started = 0;
  let reused = 0;
  for (const { fact } of all) {
    if (fact.kind === "attemptStarted") {
      started++;
      tasks.add(`${fact.run} ${fact.stage} ${fact.task}`);
    } else if (fact.kind === "taskReused") reused++;
  }
  return { started, rerun: started - tasks.size, adopted: adoptedAttempts(all).size, reused };
}

export function outcomeLines(outcome: Outcome): readonly string[] {
  const { started, rerun, adopted, reused } = outcome.attempts;
  return [
    ...outcome.injected.map(({ what, when, sequence, msAfterSubmit, recoveredAfterMs }) => {
      const at = `${seconds(msAfterSubmit)} after submit, journal record ${sequence}`;
      const back =
        recoveredAfterMs === null ? "never recovered" : `back in ${seconds(recoveredAfterMs)}`;
      return `  ${what}, ${when} (${at}): ${back}`;
    }),
    `  attempts: ${started} started, ${rerun} of them re-runs, ${adopted} adopted, ${reused} outputs re-used`,
    `  ${outcome.datasetsCompared} comparisons with the reference; ${outcome.streamsKept} streams kept ` +
      `(${formatBytes(outcome.exchangeBytes)})`,
    ...outcome.reasons.map((reason) => `  ${outcome.result}: ${reason}`),
    ...(outcome.work === undefined ? [] : [`  left for a look: ${outcome.work}`]),
    `${outcome.result} ${outcome.scenario} --seed ${outcome.seed} in ${outcome.seconds.toFixed(1)} s`,
  ];
}

export function summaryTable(outcomes: readonly Outcome[]): readonly string[] {
  const head = ["SCENARIO", "SEED", "RESULT", "FAULTS", "RECOVERY", "RE-RUN", "ADOPTED", "TIME"];
  const rows = outcomes.map((one) => [
    one.scenario,
    one.seed,
    one.result,
    one.injected.length,
    recovery(one),
    one.attempts.rerun,
    one.attempts.adopted,
    `${one.seconds.toFixed(1)} s`,
  ]);
  return formatTable(head, rows);
}

/** The slowest recovery of a trial. */
function recovery({ injected }: Outcome): string {
  const times = injected.map(
    ({ recoveredAfterMs }) => recoveredAfterMs ?? Number.POSITIVE_INFINITY,
  );
  const worst = Math.max(0, ...times);
  return injected.length === 0 ? "-" : Number.isFinite(worst) ? seconds(worst) : "never";
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
