/**
 * Durable state as texts and back: what a new leader starts from instead of the whole journal. The first text is JSON in
 * which maps and sets are marked; the others are sections that it names by number. What is text already in durable state
 * (kept outputs, how a day was cut) is a section as it is, each text once: days that are over cost nothing. Of a live
 * run, results that are kept are named by their map key. The leader does nothing else while it makes this.
 */
import { assert, must } from "../../shared/kernel/assert.ts";
import type { Split } from "../../shared/kernel/work.ts";
import { bookOf, type StoredBook, storedBook } from "./alerts/book.ts";
import {
  type DayRecord,
  type Durable,
  type Kept,
  newTask,
  type Run,
  type Stage,
  type Task,
} from "./durable.ts";
import { KeptOutputs } from "./kept-outputs.ts";
import { packSplits, unpackSplits } from "./kept-splits.ts";
import { type PackedAttempts, packAttempts, unpackAttempts } from "./snapshot-attempts.ts";
import {
  type EarlierDay,
  type EarlierKept,
  type EarlierMap,
  keptOf,
  runningOf,
  sectionsOf,
  splitsOf,
} from "./snapshot-earlier.ts";

/** 1 was one text of JSON with everything in it, 2 one text with its sections behind the first line. Both are read. */
const snapshotVersion = 3;

interface MarkedMap<Value> {
  readonly $map: readonly (readonly [string, Value])[];
}
interface MarkedSet<Value> {
  readonly $set: readonly Value[];
}
/** Number of a section. */
interface Section {
  readonly $section: number;
}
interface OutputsSection extends Section {
  readonly size: number;
}
/** A task that nothing has happened to yet: a backlog has hundreds of thousands. */
type Untouched = 0;
/** A task with a result that is kept, and nothing else to say: nearly all that are done. */
type Done = readonly [starts: number, executor: string, mapKey: string];
/** Stands for a result that is kept in the stage's scope. */
interface KeptResult {
  readonly $kept: string;
  readonly executor: string;
}
type MarkedTask = Omit<Task, "result"> & { readonly result?: Task["result"] | KeptResult };

/** Durable state without a map or set left: the compiler points at one that was forgotten below. */
type Marked<Value> = Value extends KeptOutputs
  ? OutputsSection
  : Value extends ReadonlyMap<string, infer Member>
    ? MarkedMap<Marked<Member>>
    : Value extends ReadonlySet<infer Member>
      ? MarkedSet<Member>
      : Value extends readonly Split[]
        ? Section
        : Value extends readonly Task[]
          ? readonly (MarkedTask | Done | Untouched)[]
          : Value extends readonly (infer Member)[]
            ? readonly Marked<Member>[]
            : Value extends object
              ? { [Key in keyof Value]: Marked<Value[Key]> }
              : Value;

type MarkedDay = Omit<DayRecord, "splits"> & { readonly splits: MarkedMap<Section> };
type AttemptsSections = Omit<PackedAttempts, "texts"> & { readonly $sections: readonly number[] };
type Plain = Omit<Marked<Durable>, "days" | "attempts" | "alerts"> & {
  readonly alerts?: StoredBook;
  readonly days: MarkedMap<MarkedDay>;
  readonly attempts: AttemptsSections;
};

/** Its texts are never changed: who writes them may take its time. */
export function encodeSnapshot(durable: Durable): readonly string[] {
  const sections = new Sections();
  // Member by member: their order must not tell how the state was come by.
  const plain: Plain = {
    epoch: durable.epoch,
    jobs: marked(durable.jobs, same) as Plain["jobs"],
    names: marked(durable.names, same),
    days: marked(durable.days, (day) => encodeDay(day, sections)),
    runs: marked(durable.runs, (run) => encodeRun(run, durable.kept, sections)),
    requests: marked(durable.requests, same),
    attempts: encodeAttempts(durable.attempts, sections),
    running: { $set: [...durable.running] },
    kept: marked(durable.kept, (kept) => encodeKept(kept, sections)),
    desks: marked(durable.desks, same),
    ...(durable.alerts === undefined ? {} : { alerts: storedBook(durable.alerts) }),
  };
  return [JSON.stringify({ version: snapshotVersion, durable: plain }), ...sections.texts];
}

/** Each text is there once, whoever has it: a live run's splits are those of its day. */
class Sections {
  readonly texts: string[] = [];
  readonly #numbers = new Map<string, number>();

  add(text: string): Section {
    const known = this.#numbers.get(text);
    if (known !== undefined) return { $section: known };
    // The first section has number 1.
    const number = this.texts.push(text);
    this.#numbers.set(text, number);
    return { $section: number };
  }
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

function encodeRun(run: Run, kept: Durable["kept"], sections: Sections): Marked<Run> {
  const plain = {
    ...run,
    stages: run.stages.map((stage) =>
      encodeStage(stage, kept.get(stage.scope ?? "")?.outputs, sections),
    ),
    dimensions: marked(run.dimensions, same),
    exchanges: marked(run.exchanges, same),
  };
  return plain as Marked<Run>;
}

function encodeStage(
  stage: Stage,
  kept: KeptOutputs | undefined,
  sections: Sections,
): Marked<Stage> {
  return {
    ...stage,
    splits: sections.add(packSplits(stage.splits)),
    tasks: stage.tasks.map((task) => encodeTask(task, kept)),
    waiting: { $set: [...stage.waiting] },
  };
}

function encodeTask(task: Task, kept: KeptOutputs | undefined): MarkedTask | Done | Untouched {
  const { result } = task;
  if (result === undefined) return task.starts === 0 && isPlain(task, plainMembers) ? 0 : task;
  const { mapKey = "", executor, attemptId } = result;
  if (kept?.attemptId(mapKey) !== attemptId) return task;
  if (isPlain(task, plainMembers + 1)) return [task.starts, executor, mapKey];
  return { ...task, result: { $kept: mapKey, executor } };
}

/** Apart from its starts, and a result where there is one more member, it is like a new one. */
function isPlain(task: Task, members: number): boolean {
  const { failures, lowMemory, running, failedOn } = task;
  if (failures > 0 || lowMemory || running.length > 0 || failedOn.length > 0) return false;
  return Object.keys(task).length === members;
}

const plainMembers = Object.keys(newTask()).length;

function encodeDay(day: DayRecord, sections: Sections): MarkedDay {
  return { ...day, splits: marked(day.splits, (text) => sections.add(text)) };
}

function encodeAttempts(attempts: Durable["attempts"], sections: Sections): AttemptsSections {
  const { texts, ...names } = packAttempts(attempts);
  return { ...names, $sections: texts.map((text) => sections.add(text).$section) };
}

function encodeKept(kept: Kept, sections: Sections): Marked<Kept> {
  const outputs = { ...sections.add(kept.outputs.text()), size: kept.outputs.size };
  return { ...kept, outputs } as Marked<Kept>;
}

interface Stored {
  readonly version: number;
  readonly sections?: readonly number[];
  readonly durable: Omit<Plain, "attempts"> & {
    readonly attempts: AttemptsSections | EarlierMap<unknown>;
  };
}

/** The exact inverse. A snapshot of an unknown version is a programmer error: versions are upgraded here. */
export function decodeSnapshot(texts: readonly string[]): Durable {
  const [first = ""] = texts;
  const end = first.indexOf("\n");
  const head = end === -1 ? first : first.slice(0, end);
  const { version, sections: lengths = [], durable: plain } = JSON.parse(head) as Stored;
  assert([1, 2, snapshotVersion].includes(version), `snapshot version ${version} is known`);
  const cut = new Cut(version < 3 ? sectionsOf(first, end + 1, lengths) : texts);
  // In a snapshot of version 1 kept outputs name results of runs; since version 3 it is the other way round.
  const kept = version === 1 ? new Map() : unmarked(plain.kept, (one) => decodeKept(one, cut));
  const runs = unmarked(plain.runs, (run) => decodeRun(run, kept, cut));
  const attempts = decodeAttempts(plain.attempts, cut);
  const { alerts, ...rest } = plain;
  return {
    ...rest,
    jobs: unmarked(plain.jobs, same) as Durable["jobs"],
    names: unmarked(plain.names, same),
    days: unmarked(plain.days, (day) => decodeDay(day, runs, cut)),
    runs,
    requests: unmarked(plain.requests, same),
    attempts,
    running: plain.running === undefined ? runningOf(attempts) : new Set(plain.running.$set),
    kept: version === 1 ? unmarked(plain.kept, (one) => earlierKept(one, runs)) : kept,
    // Absent in snapshots of earlier versions.
    desks: plain.desks === undefined ? new Map() : unmarked(plain.desks, same),
    ...(alerts === undefined ? {} : { alerts: bookOf(alerts) }),
  };
}

/** The sections of a snapshot that is read, by number. */
class Cut {
  readonly #texts: readonly string[];
  readonly #splits = new Map<number, readonly Split[]>();

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  text(number: number): string {
    return must(this.#texts[number], "a section that is named is there");
  }

  splits({ $section }: Section): readonly Split[] {
    const known = this.#splits.get($section);
    if (known !== undefined) return known;
    const splits = unpackSplits(this.text($section));
    this.#splits.set($section, splits);
    return splits;
  }
}

function unmarked<Plain, Value>(
  map: MarkedMap<Plain>,
  decode: (plain: Plain) => Value,
): Map<string, Value> {
  return new Map(map.$map.map(([key, plain]) => [key, decode(plain)]));
}

function decodeRun(plain: Marked<Run>, kept: Durable["kept"], cut: Cut): Run {
  return {
    ...(plain as unknown as Run),
    stages: plain.stages.map((stage) =>
      decodeStage(stage, kept.get(stage.scope ?? "")?.outputs, cut),
    ),
    dimensions: unmarked(plain.dimensions, same),
    exchanges: unmarked(plain.exchanges, same) as Run["exchanges"],
  };
}

function decodeStage(plain: Marked<Stage>, kept: KeptOutputs | undefined, cut: Cut): Stage {
  const splits: Section | readonly Split[] = plain.splits;
  return {
    ...(plain as unknown as Stage),
    splits: "$section" in splits ? cut.splits(splits) : splits,
    tasks: plain.tasks.map((task) => decodeTask(task, kept)),
    waiting: new Set(plain.waiting.$set),
  };
}

function decodeTask(task: MarkedTask | Done | Untouched, kept: KeptOutputs | undefined): Task {
  if (task === 0) return newTask();
  if (isDone(task)) {
    const [starts, executor, mapKey] = task;
    return { ...newTask(), starts, result: resultOf(kept, mapKey, executor) };
  }
  const { result } = task;
  if (result === undefined) return task as Task;
  // Members stay in their order: two ways to one state must give one text.
  const isKept = "$kept" in result;
  return { ...task, result: isKept ? resultOf(kept, result.$kept, result.executor) : result };
}

function isDone(task: MarkedTask | Done): task is Done {
  return Array.isArray(task);
}

function resultOf(kept: KeptOutputs | undefined, mapKey: string, executor: string) {
  return { ...must(kept?.get(mapKey), "a result that is named is kept"), executor };
}

function decodeDay(
  plain: MarkedDay | EarlierDay,
  runs: ReadonlyMap<string, Run>,
  texts: Cut,
): DayRecord {
  const splits = new Map<string, string>();
  for (const [source, cut] of plain.splits.$map) {
    splits.set(
      source,
      "$section" in cut ? texts.text(cut.$section) : packSplits(splitsOf(cut, runs)),
    );
  }
  return { ...plain, splits };
}

function decodeAttempts(plain: Stored["durable"]["attempts"], cut: Cut): Durable["attempts"] {
  if ("$map" in plain) return unmarked(plain, same) as Durable["attempts"];
  const { $sections, ...names } = plain;
  return unpackAttempts({ ...names, texts: $sections.map((number) => cut.text(number)) });
}

function decodeKept(plain: Marked<Kept>, cut: Cut): Kept {
  const { $section, size } = plain.outputs;
  return { ...(plain as unknown as Kept), outputs: new KeptOutputs(cut.text($section), size) };
}

function earlierKept(plain: Marked<Kept> | EarlierKept, runs: ReadonlyMap<string, Run>): Kept {
  const outputs = keptOf((plain as EarlierKept).outputs, runs);
  return { ...(plain as unknown as Kept), outputs };
}
