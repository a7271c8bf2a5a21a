/**
 * Durable state as one JSON text and back: what a new leader starts from instead of the whole journal.
 * Maps and sets are marked; everything else in durable state is plain JSON already. What a live run and the kept outputs
 * or the cut of its day have in common is written once and named in the other place. All of it is written out by hand:
 * a function that JSON calls for each value takes ten times as long, and the leader does nothing else meanwhile.
 */
import { assert } from "../../shared/kernel/assert.ts";
import type { Split } from "../../shared/kernel/work.ts";
import type { DayRecord, Durable, Kept, Run, TaskResult } from "./durable.ts";

const snapshotVersion = 1;

interface MarkedMap<Value> {
  readonly $map: readonly (readonly [string, Value])[];
}
interface MarkedSet<Value> {
  readonly $set: readonly Value[];
}
/** Run id, stage, task: the result of a task of a live run. */
interface TaskReference {
  readonly $task: readonly [string, number, number];
}
/** Run id, stage: the splits of a stage of a live run. */
interface SplitsReference {
  readonly $splits: readonly [string, number];
}

/** Durable state without a map or set left: the compiler points at one that was forgotten below. */
type Marked<Value> = Value extends Split
  ? Split
  : Value extends TaskResult
    ? TaskResult | TaskReference
    : Value extends ReadonlyMap<string, infer Member>
      ? MarkedMap<Marked<Member>>
      : Value extends ReadonlySet<infer Member>
        ? MarkedSet<Member>
        : Value extends readonly (infer Member)[]
          ? readonly Marked<Member>[] | (Member extends Split ? SplitsReference : never)
          : Value extends object
            ? { [Key in keyof Value]: Marked<Value[Key]> }
            : Value;

export function encodeSnapshot(durable: Durable): string {
  const shared: Shared = { results: new Map(), splits: new Map() };
  // Runs first: the others name what they hold.
  const runs = marked(durable.runs, (run) => encodeRun(run, shared));
  const plain: Marked<Durable> = {
    ...durable,
    jobs: marked(durable.jobs, same) as Marked<Durable["jobs"]>,
    names: marked(durable.names, same),
    days: marked(durable.days, (day) => encodeDay(day, shared)),
    runs,
    requests: marked(durable.requests, same),
    attempts: marked(durable.attempts, same),
    running: { $set: [...durable.running] },
    kept: marked(durable.kept, (kept) => encodeKept(kept, shared)),
  };
  return JSON.stringify({ version: snapshotVersion, durable: plain });
}

interface Shared {
  readonly results: Map<TaskResult, TaskReference>;
  readonly splits: Map<readonly Split[], SplitsReference>;
}

function same<Value>(value: Value): Value {
  return value;
}

function marked<Value, Plain>(
  map: ReadonlyMap<string, Value>,
  encode: (value: Value) => Plain,
): MarkedMap<Plain> {
  return { $map: Array.from(map, ([key, value]) => [key, encode(value)] as const) };
}

function encodeRun(run: Run, shared: Shared): Marked<Run> {
  const stages = run.stages.map((stage, index) => {
    shared.splits.set(stage.splits, { $splits: [run.id, index] });
    if (stage.scope !== undefined) {
      stage.tasks.forEach(({ result }, task) => {
        if (result !== undefined) shared.results.set(result, { $task: [run.id, index, task] });
      });
    }
    return { ...stage, waiting: { $set: [...stage.waiting] } };
  });
  const plain = {
    ...run,
    stages,
    dimensions: marked(run.dimensions, same),
    exchanges: marked(run.exchanges, same),
  };
  return plain as Marked<Run>;
}

function encodeDay(day: DayRecord, { splits }: Shared): Marked<DayRecord> {
  return { ...day, splits: marked(day.splits, (list) => splits.get(list) ?? list) };
}

function encodeKept(kept: Kept, { results }: Shared): Marked<Kept> {
  return { ...kept, outputs: marked(kept.outputs, (result) => results.get(result) ?? result) };
}

/** The exact inverse. A snapshot of another version is a programmer error: versions are upgraded here. */
export function decodeSnapshot(text: string): Durable {
  const { version, durable: plain } = JSON.parse(text) as {
    readonly version: number;
    readonly durable: Marked<Durable>;
  };
  assert(version === snapshotVersion, `snapshot version ${version} is known`);
  const runs = unmarked(plain.runs, decodeRun);
  const attempts = unmarked(plain.attempts, same) as Durable["attempts"];
  return {
    ...plain,
    jobs: unmarked(plain.jobs, same) as Durable["jobs"],
    names: unmarked(plain.names, same),
    days: unmarked(plain.days, (day) => decodeDay(day, runs)),
    runs,
    requests: unmarked(plain.requests, same),
    attempts,
    // Snapshots of earlier versions don't list them.
    running: plain.running === undefined ? runningOf(attempts) : new Set(plain.running.$set),
    kept: unmarked(plain.kept, (kept) => decodeKept(kept, runs)),
  };
}

function unmarked<Plain, Value>(
  map: MarkedMap<Plain>,
  decode: (plain: Plain) => Value,
): Map<string, Value> {
  return new Map(map.$map.map(([key, plain]) => [key, decode(plain)]));
}

function decodeRun(plain: Marked<Run>): Run {
  const stages = plain.stages as readonly (Omit<Run["stages"][number], "waiting"> & {
    readonly waiting: MarkedSet<number>;
  })[];
  return {
    ...(plain as unknown as Run),
    stages: stages.map((stage) => ({ ...stage, waiting: new Set(stage.waiting.$set) })),
    dimensions: unmarked(plain.dimensions, same),
    exchanges: unmarked(plain.exchanges, same) as Run["exchanges"],
  };
}

function decodeDay(plain: Marked<DayRecord>, runs: ReadonlyMap<string, Run>): DayRecord {
  const splits = unmarked(plain.splits, (list) => {
    if (!("$splits" in list)) return list as readonly Split[];
    const [run, stage] = list.$splits;
    return runs.get(run)?.stages[stage]?.splits ?? [];
  });
  return { ...(plain as unknown as DayRecord), splits };
}

function decodeKept(plain: Marked<Kept>, runs: ReadonlyMap<string, Run>): Kept {
  const outputs = unmarked(plain.outputs, (result) => {
    if (!("$task" in result)) return result;
    const [run, stage, task] = result.$task;
    const found = runs.get(run)?.stages[stage]?.tasks[task]?.result;
    assert(found !== undefined, "a result that is named is in the same snapshot");
    return found;
  });
  return { ...(plain as unknown as Kept), outputs };
}

function runningOf(attempts: Durable["attempts"]): Set<string> {
  const ids = new Set<string>();
  for (const [id, { state }] of attempts) if (state === "running") ids.add(id);
  return ids;
}
