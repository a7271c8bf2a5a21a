/**
 * What snapshots of earlier versions say otherwise. Version 1: kept outputs and splits as values, or as the name of those
 * of a live run. Version 2: sections behind the first line of the same text.
 */
import { assert, must } from "../../shared/kernel/assert.ts";
import type { Split } from "../../shared/kernel/work.ts";
import type { DayRecord, Durable, Kept, Run, TaskResult } from "./durable.ts";
import { KeptOutputs } from "./kept-outputs.ts";

/** Run id, stage: the splits of a stage of a live run. */
type EarlierSplits = readonly Split[] | { readonly $splits: readonly [string, number] };
/** Run id, stage, task: the result of a task of a live run. */
type EarlierOutput = TaskResult | { readonly $task: readonly [string, number, number] };

export interface EarlierMap<Value> {
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

/** The sections of version 2, numbered from 0. */
export function sectionsOf(
  text: string,
  from: number,
  lengths: readonly number[],
): readonly string[] {
  let at = from;
  const texts = lengths.map((length) => {
    const part = text.slice(at, at + length);
    at += length + 1;
    return part;
  });
  const isWhole = lengths.length === 0 || at - 1 === text.length;
  assert(isWhole, "a snapshot has the sections that its first line names");
  return texts;
}

/** The oldest snapshots don't list which attempts run. */
export function runningOf(attempts: Durable["attempts"]): Set<string> {
  const ids = new Set<string>();
  for (const [id, { state }] of attempts) if (state === "running") ids.add(id);
  return ids;
}
