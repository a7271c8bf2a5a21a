/**
 * Carries out one scenario: a world, the faults at their positions, the run's end, then all that must hold.
 * A fault that did not fire, or that came too late to be what it is called, fails the trial.
 */
import { rmSync } from "node:fs";
import { DaymillError, type Failure, fail, fromUnknown } from "../../shared/kernel/failure.ts";
import { afterChecks, type Settled } from "./after-checks.ts";
import { type Data, dataOf, usualWish } from "./data.ts";
import { Draw } from "./draw.ts";
import type { JournalView } from "./journal-watch.ts";
import { processesIn } from "./processes.ts";
import { compareWithReference } from "./reference.ts";
import { countAttempts, type Injected, type Outcome } from "./report.ts";
import { type Fault, isProgress, isSkip, type Mark, type Plan, type Scenario } from "./scenario.ts";
import { atTimes } from "./times.ts";
import { patienceMs, usualShape, World } from "./world.ts";

export interface TrialOptions {
  readonly rows: number;
  readonly seed: number;
  /** Default: a day of IPDR. */
  readonly data?: Data;
  /** Milliseconds after the submission at which the faults come, instead of at the seed's positions. */
  readonly at?: readonly number[];
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** Leave the folder (logs, storage) of a trial that did not pass. */
  readonly keepFailed: boolean;
}

/** What a trial has found out so far. */
interface Findings {
  readonly reasons: string[];
  readonly injected: { fault: Fault; mark: Mark; what: string }[];
  submittedAt: number;
  compared: number;
  settled: Settled | undefined;
}

/** Never throws but `cancelled`; whatever goes wrong is the outcome's reason. */
export async function runScenario(scenario: Scenario, options: TrialOptions): Promise<Outcome> {
  const { rows, seed, signal, say, keepFailed, at = [] } = options;
  const data = options.data ?? dataOf(usualWish);
  const beganAt = performance.now();
  const plan = atTimes(scenario.plan(new Draw(seed, scenario.name), at.length), at);
  const world = new World({ ...usualShape, rows, ...plan.shape }, { data, signal, say });
  const found: Findings = {
    reasons: [],
    injected: [],
    submittedAt: 0,
    compared: 0,
    settled: undefined,
  };
  let skipped = false;
  try {
    await world.start();
    await trial(world, plan, found);
  } catch (error) {
    const why = reasonOf(error);
    skipped = isSkip(why);
    if (why.code !== "cancelled") found.reasons.push(why.message);
    else await end(world, found);
    if (why.code === "cancelled") throw error;
  }
  const outcome = sumUp(scenario, world, found, { rows, seed, data: data.name });
  await end(world, found, keepFailed && found.reasons.length > 0 && !skipped);
  const result = skipped ? "SKIP" : found.reasons.length === 0 ? "PASS" : "FAIL";
  const seconds = (performance.now() - beganAt) / 1_000;
  const left = result === "FAIL" && keepFailed ? { work: world.work } : {};
  return { ...outcome, result, reasons: found.reasons, seconds, ...left };
}

async function trial(world: World, plan: Plan, found: Findings): Promise<void> {
  await plan.before?.(world);
  const run = await world.submit();
  found.submittedAt = performance.now();
  for (const fault of plan.faults) await fire(world, fault, run, found);
  await world.runEnds(run, plan.ends ?? "committed", plan.withinMs ?? patienceMs);
  await plan.after?.(world, run);
  const { compared, differences } = await compareWithReference(world);
  found.compared = compared;
  found.reasons.push(...differences.map((text) => `differs from the reference: ${text}`));
  found.settled = await afterChecks(world);
  found.reasons.push(...found.settled.problems);
}

async function fire(world: World, fault: Fault, run: string, found: Findings): Promise<void> {
  const isOver = () => !fault.mayComeAfterTheEnd && world.run(run)?.ended !== undefined;
  const sinceMs = () => performance.now() - found.submittedAt;
  const isDue = (view: JournalView) => isOver() || fault.due(view, world, sinceMs());
  await world.wait(`the position ${fault.when}`, isDue);
  await fault.prepare?.(world);
  if (isOver()) {
    if (fault.isOptional) return;
    throw fail("conflict", `the fault did not fire: ${run} ended before ${fault.when}`);
  }
  const { seen, epoch, sequence } = world.view;
  const mark = { index: seen.length, epoch, sequence, atMs: performance.now() };
  let isJudged = false;
  const struck = async () => {
    if (isJudged) return;
    isJudged = true;
    await world.watch.refresh();
    if (!fault.missed?.(world.view)) return;
    throw fail("conflict", `the fault came too late: ${fault.what}, ${fault.when}`);
  };
  const detail = await fault.inject(world, mark, struck);
  await struck();
  const what = detail === undefined ? fault.what : `${fault.what} (${detail})`;
  found.injected.push({ fault, mark, what });
}

/** Stops the world and looks whether anything of it lives on. */
async function end(world: World, found: Findings, keep = false): Promise<void> {
  try {
    await world.stop();
    const left = () => processesIn(world.work);
    for (let waited = 0; left().length > 0 && waited < 5_000; waited += 100) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    found.reasons.push(...left().map(({ pid, command }) => `process ${pid} is left: ${command}`));
  } catch (error) {
    found.reasons.push(`the cluster did not stop: ${reasonOf(error).message}`);
  }
  if (!keep) world.remove();
  else rmSync(`${world.work}/nats`, { recursive: true, force: true });
}

function sumUp(
  scenario: Scenario,
  world: World,
  found: Findings,
  about: Pick<Outcome, "rows" | "seed" | "data">,
): Omit<Outcome, "result" | "reasons" | "seconds"> {
  const seen = world.isWatching ? world.view.seen : [];
  const injected = found.injected.map(({ fault, mark, what }): Injected => {
    const recovered = fault.recovered ?? isProgress;
    const first = seen.slice(mark.index).find((one) => recovered(one, mark, world));
    return {
      what,
      when: fault.when,
      sequence: mark.sequence,
      msAfterSubmit: Math.round(mark.atMs - found.submittedAt),
      recoveredAfterMs: first === undefined ? null : Math.round(first.atMs - mark.atMs),
    };
  });
  return {
    scenario: scenario.name,
    ...about,
    injected,
    attempts: countAttempts(seen),
    datasetsCompared: found.compared,
    streamsKept: found.settled?.streams ?? 0,
    exchangeBytes: found.settled?.exchangeBytes ?? 0,
  };
}

/** An error that is no `DaymillError` is a defect of the trial: its stack is worth a line. */
function reasonOf(error: unknown): Failure {
  if (error instanceof DaymillError) return error.failure;
  const stack = error instanceof Error ? error.stack : undefined;
  return { ...fromUnknown(error), ...(stack === undefined ? {} : { message: stack }) };
}
