/**
 * What the work of a failed run is known by (salvage.ts): where a stage's finished tasks are kept, and what must be the
 * same for one of them to stand for a task of the next run. Pure.
 */
import { must } from "../../shared/kernel/assert.ts";
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { StagePlan } from "../../shared/kernel/plan.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import type { MapWork, ReduceWork, Winner } from "../../shared/kernel/work.ts";
import type { Run } from "./durable.ts";
import { inputsOf, producersOf } from "./stage-graph.ts";
import { keyOf, reduceWork, scanScope, winnersOf, withoutDimensions } from "./work-builder.ts";

/** As `scanScope`, of any stage: what its outputs depend on apart from files, dimensions and the rows that it reads. */
export function salvageScope(job: JobSpec, run: Run, plan: StagePlan): string {
  if (plan.input.kind === "scan") return scanScope(job, run, plan);
  const work = reduceWork(job, withoutDimensions(run, plan), plan, 0);
  const digest = sha256Hex(textOf(work)).slice(0, 16);
  return `${run.job}/${run.day}//${plan.id}/${digest}`;
}

/**
 * As a map key: names the task's output by its work and, for a reduce, by every row that it is to read. A producer that
 * ran again and gave the same rows changes nothing.
 */
export function salvageKey(run: Run, index: number, work: MapWork | ReduceWork): string {
  if (work.kind === "map") return keyOf(must(run.stages[index], "the stage exists"), work);
  const plan = must(run.plan.stages[index], "the stage is planned");
  const frame = textOf({ ...work, group: 0 });
  return `${sha256Hex(`${frame}\n${inputDigest(run, plan)}`)}-${work.group}`;
}

function textOf(work: ReduceWork): string {
  // Interfaces of JSON-only members are JSON; the type system has no way to say so.
  return canonicalJson(work as unknown as Json);
}

interface Digest {
  readonly lists: readonly (readonly Winner[])[];
  readonly text: string;
}

/** By the first list of winners: lists are the same for all readers until a producer changes. */
const digests = new WeakMap<readonly Winner[], Digest>();

/** Of what lies in the exchanges that a stage reads. */
function inputDigest(run: Run, plan: StagePlan): string {
  const lists = inputsOf(plan).map((exchange) => winnersOf(run, exchange));
  const first = must(lists[0], "a reduce reads an exchange");
  const known = digests.get(first);
  if (known?.lists.every((list, at) => list === lists[at])) return known.text;
  const read = inputsOf(plan).map((exchange) => [exchange, ...rowsIn(run, exchange)]);
  const text = sha256Hex(JSON.stringify(read));
  digests.set(first, { lists, text });
  return text;
}

/** What each producing task gave, in task order. */
function rowsIn(run: Run, exchange: string): readonly (readonly [string, number])[] {
  return producersOf(run, exchange).flatMap(({ tasks }) =>
    tasks.flatMap(({ result }) => {
      const output = result?.outputs.find((one) => one.exchange === exchange);
      return output === undefined ? [] : [[output.checksum, output.rows] as const];
    }),
  );
}
