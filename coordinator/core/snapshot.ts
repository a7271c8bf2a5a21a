/**
 * Durable state as one text and back: what a new leader starts from instead of the whole journal.
 * First a line of JSON in which maps and sets are marked; then sections, a line or more each, which the JSON names: what
 * is text already in durable state (kept outputs, how a day was cut) goes there as it is, each text once. Days that are
 * over cost a copy of their text and nothing else: the leader does nothing while it writes this.
 */
import { assert, must } from "../../shared/kernel/assert.ts";
import type { Split } from "../../shared/kernel/work.ts";
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
import { type EarlierDay, type EarlierKept, keptOf, splitsOf } from "./snapshot-earlier.ts";

/** Version 1 was the JSON alone, with everything in it. It is read as well. */
const snapshotVersion = 2;

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
          ? readonly (Task | Untouched)[]
          : Value extends readonly (infer Member)[]
            ? readonly Marked<Member>[]
            : Value extends object
              ? { [Key in keyof Value]: Marked<Value[Key]> }
              : Value;

type MarkedDay = Omit<DayRecord, "splits"> & { readonly splits: MarkedMap<Section> };
type Plain = Omit<Marked<Durable>, "days"> & { readonly days: MarkedMap<MarkedDay> };

export function encodeSnapshot(durable: Durable): string {
  const sections = new Sections();
  // Member by member: their order must not tell how the state was come by.
  const plain: Plain = {
    epoch: durable.epoch,
    jobs: marked(durable.jobs, same) as Plain["jobs"],
    names: marked(durable.names, same),
    days: marked(durable.days, (day) => encodeDay(day, sections)),
    runs: marked(durable.runs, (run) => encodeRun(run, sections)),
    requests: marked(durable.requests, same),
    attempts: marked(durable.attempts, same),
    running: { $set: [...durable.running] },
    kept: marked(durable.kept, (kept) => encodeKept(kept, sections)),
    desks: marked(durable.desks, same),
  };
  const { texts } = sections;
  const lengths = texts.map((text) => text.length);
  const head = JSON.stringify({ version: snapshotVersion, sections: lengths, durable: plain });
  return [head, ...texts].join("\n");
}

/** Each text is there once, whoever has it: a live run's splits are those of its day. */
class Sections {
  readonly texts: string[] = [];
  readonly #numbers = new Map<string, number>();

  add(text: string): Section {
    const known = this.#numbers.get(text);
    if (known !== undefined) return { $section: known };
    this.#numbers.set(text, this.texts.length);
    return { $section: this.texts.push(text) - 1 };
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

function encodeRun(run: Run, sections: Sections): Marked<Run> {
  const plain = {
    ...run,
    stages: run.stages.map((stage) => encodeStage(stage, sections)),
    dimensions: marked(run.dimensions, same),
    exchanges: marked(run.exchanges, same),
  };
  return plain as Marked<Run>;
}

function encodeStage(stage: Stage, sections: Sections): Marked<Stage> {
  return {
    ...stage,
    splits: sections.add(packSplits(stage.splits)),
    tasks: stage.tasks.map((task) => (isUntouched(task) ? 0 : task)),
    waiting: { $set: [...stage.waiting] },
  };
}

function isUntouched(task: Task): boolean {
  const { starts, failures, lowMemory, running, failedOn } = task;
  if (starts > 0 || failures > 0 || lowMemory) return false;
  if (running.length > 0 || failedOn.length > 0) return false;
  return Object.keys(task).length === untouchedMembers;
}

const untouchedMembers = Object.keys(newTask()).length;

function encodeDay(day: DayRecord, sections: Sections): MarkedDay {
  return { ...day, splits: marked(day.splits, (text) => sections.add(text)) };
}

function encodeKept(kept: Kept, sections: Sections): Marked<Kept> {
  const outputs = { ...sections.add(kept.outputs.text()), size: kept.outputs.size };
  return { ...kept, outputs } as Marked<Kept>;
}

/** The exact inverse. A snapshot of an unknown version is a programmer error: versions are upgraded here. */
export function decodeSnapshot(text: string): Durable {
  const end = text.indexOf("\n");
  const {
    version,
    sections: lengths = [],
    durable: plain,
  } = JSON.parse(end === -1 ? text : text.slice(0, end)) as {
    readonly version: number;
    readonly sections?: readonly number[];
    readonly durable: Plain;
  };
  assert(version === 1 || version === snapshotVersion, `snapshot version ${version} is known`);
  const sections = new Cut(text, end + 1, lengths);
  const runs = unmarked(plain.runs, (run) => decodeRun(run, sections));
  const attempts = unmarked(plain.attempts, same) as Durable["attempts"];
  return {
    ...plain,
    jobs: unmarked(plain.jobs, same) as Durable["jobs"],
    names: unmarked(plain.names, same),
    days: unmarked(plain.days, (day) => decodeDay(day, runs, sections)),
    runs,
    requests: unmarked(plain.requests, same),
    attempts,
    // Snapshots of earlier versions don't list them.
    running: plain.running === undefined ? runningOf(attempts) : new Set(plain.running.$set),
    kept: unmarked(plain.kept, (kept) => decodeKept(kept, runs, sections)),
    // Absent in snapshots of earlier versions.
    desks: plain.desks === undefined ? new Map() : unmarked(plain.desks, same),
  };
}

/** The sections of a snapshot that is read. */
class Cut {
  readonly #texts: readonly string[];
  readonly #splits = new Map<number, readonly Split[]>();

  constructor(text: string, from: number, lengths: readonly number[]) {
    let at = from;
    this.#texts = lengths.map((length) => {
      const part = text.slice(at, at + length);
      at += length + 1;
      return part;
    });
    const isWhole = lengths.length === 0 || at - 1 === text.length;
    assert(isWhole, "a snapshot has the sections that its first line names");
  }

  text({ $section }: Section): string {
    return must(this.#texts[$section], "a section that is named is there");
  }

  splits(section: Section): readonly Split[] {
    const known = this.#splits.get(section.$section);
    if (known !== undefined) return known;
    const splits = unpackSplits(this.text(section));
    this.#splits.set(section.$section, splits);
    return splits;
  }
}

function unmarked<Plain, Value>(
  map: MarkedMap<Plain>,
  decode: (plain: Plain) => Value,
): Map<string, Value> {
  return new Map(map.$map.map(([key, plain]) => [key, decode(plain)]));
}

function decodeRun(plain: Marked<Run>, sections: Cut): Run {
  return {
    ...(plain as unknown as Run),
    stages: plain.stages.map((stage) => decodeStage(stage, sections)),
    dimensions: unmarked(plain.dimensions, same),
    exchanges: unmarked(plain.exchanges, same) as Run["exchanges"],
  };
}

function decodeStage(plain: Marked<Stage>, sections: Cut): Stage {
  const splits: Section | readonly Split[] = plain.splits;
  return {
    ...(plain as unknown as Stage),
    splits: "$section" in splits ? sections.splits(splits) : splits,
    tasks: plain.tasks.map((task) => (task === 0 ? newTask() : task)),
    waiting: new Set(plain.waiting.$set),
  };
}

function decodeDay(
  plain: MarkedDay | EarlierDay,
  runs: ReadonlyMap<string, Run>,
  sections: Cut,
): DayRecord {
  const splits = new Map<string, string>();
  for (const [source, cut] of plain.splits.$map) {
    splits.set(source, "$section" in cut ? sections.text(cut) : packSplits(splitsOf(cut, runs)));
  }
  return { ...plain, splits };
}

function decodeKept(
  plain: Marked<Kept> | EarlierKept,
  runs: ReadonlyMap<string, Run>,
  sections: Cut,
): Kept {
  const { outputs } = plain;
  return {
    ...(plain as unknown as Kept),
    outputs:
      "$section" in outputs
        ? new KeptOutputs(sections.text(outputs), outputs.size)
        : keptOf(outputs, runs),
  };
}

function runningOf(attempts: Durable["attempts"]): Set<string> {
  const ids = new Set<string>();
  for (const [id, { state }] of attempts) if (state === "running") ids.add(id);
  return ids;
}
