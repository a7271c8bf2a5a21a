/**
 * Who writes and who reads an exchange within a run: pure look-ups over plan and stages.
 * It knows nothing of attempts or executors.
 */
import type { StagePlan } from "../../shared/kernel/plan.ts";
import type { Run, Stage } from "./durable.ts";

/** Exchanges that a stage writes. */
export function outputsOf(plan: StagePlan): readonly string[] {
  return plan.outputs.flatMap((output) => (output.kind === "exchange" ? [output.exchange] : []));
}

/** Does the stage write files that checks look at? */
export function writesDataset(run: Run, stage: Stage): boolean {
  const plan = run.plan.stages[run.stages.indexOf(stage)];
  return plan?.outputs.some((output) => output.kind === "dataset") ?? false;
}

/** Exchanges that a stage reads; none for a scan. */
export function inputsOf(plan: StagePlan): readonly string[] {
  return plan.input.kind === "exchange" ? plan.input.exchanges : [];
}

/** Stages of the run that write the exchange. */
export function producersOf(run: Run, exchange: string): readonly Stage[] {
  return run.stages.filter((_, index) => {
    const plan = run.plan.stages[index];
    return plan !== undefined && outputsOf(plan).includes(exchange);
  });
}

/** Stages of the run that read the exchange. */
export function readersOf(run: Run, exchange: string): readonly Stage[] {
  return run.stages.filter((_, index) => {
    const plan = run.plan.stages[index];
    return plan !== undefined && inputsOf(plan).includes(exchange);
  });
}

/** Stages of the run that read something that the given stage writes. */
export function consumersOf(run: Run, producer: Stage): readonly Stage[] {
  const plan = run.plan.stages[run.stages.indexOf(producer)];
  const written = plan === undefined ? [] : outputsOf(plan);
  return run.stages.filter((_, index) => {
    const other = run.plan.stages[index];
    return other !== undefined && inputsOf(other).some((exchange) => written.includes(exchange));
  });
}

/** May tasks of this stage start: is everything that it reads complete? */
export function isReady(run: Run, index: number): boolean {
  const stage = run.stages[index];
  if (stage === undefined) return false;
  if (stage.kind === "check") {
    return run.state === "checking" && run.stages.every((one) => one === stage || isComplete(one));
  }
  const plan = run.plan.stages[index];
  if (plan === undefined) return false;
  // More may come: that all tasks there are have ended says nothing.
  if (run.isGathering === true && stage.kind !== "scan") return false;
  for (const exchange of inputsOf(plan)) {
    // Written out: this is asked in every turn, and lists would be made each time.
    for (let other = 0; other < run.stages.length; other++) {
      const producer = run.stages[other];
      if (producer === undefined || isComplete(producer)) continue;
      if (writes(run.plan.stages[other], exchange)) return false;
    }
  }
  return true;
}

function writes(plan: StagePlan | undefined, exchange: string): boolean {
  if (plan === undefined) return false;
  return plan.outputs.some((one) => one.kind === "exchange" && one.exchange === exchange);
}

export function isComplete(stage: Stage): boolean {
  return stage.done === stage.tasks.length;
}
