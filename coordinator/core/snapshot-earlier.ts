/**
 * What snapshots of version 1 say otherwise: kept outputs and splits as values, or as the name of those of a live run.
 */
import { must } from "../../shared/kernel/assert.ts";
import type { Split } from "../../shared/kernel/work.ts";
import type { DayRecord, Kept, Run, TaskResult } from "./durable.ts";
import { KeptOutputs } from "./kept-outputs.ts";

/** Run id, stage: the splits of a stage of a live run. */
type EarlierSplits = readonly Split[] | { readonly $splits: readonly [string, number] };
/** Run id, stage, task: the result of a task of a live run. */
type EarlierOutput = TaskResult | { readonly $task: readonly [string, number, number] };

interface EarlierMap<Value> {
  readonly $map: readonly (readonly [string, Value])[];
}

export type EarlierDay = Omit<DayRecord, "splits"> & { readonly splits: EarlierMap<EarlierSplits> };
export type EarlierKept = Omit<Kept, "outputs"> & { readonly outputs: EarlierMap<EarlierOutput> };

export function splitsOf(splits: EarlierSplits, runs: ReadonlyMap<string, Run>): readonly Split[] {
  if (!("$splits" in splits)) return splits;
  const [run, stage] = splits.$splits;
  return runs.get(run)?.stages[stage]?.splits ?? [];
}

export function keptOf(
  { $map }: EarlierMap<EarlierOutput>,
  runs: ReadonlyMap<string, Run>,
): KeptOutputs {
  const outputs = new KeptOutputs();
  for (const [mapKey, output] of $map) {
    if (!("$task" in output)) {
      outputs.set(mapKey, output);
      continue;
    }
    const [run, stage, task] = output.$task;
    const found = runs.get(run)?.stages[stage]?.tasks[task]?.result;
    outputs.set(mapKey, must(found, "a result that is named is in the same snapshot"));
  }
  outputs.close();
  return outputs;
}
