/**
 * The attempts of live runs in a snapshot: a live day has one for each task and more, so each is a list whose members
 * have a place instead of a name, and runs and executors are named once.
 */
import { must } from "../../shared/kernel/assert.ts";
import type { Attempt } from "./durable.ts";

export interface PackedAttempts {
  readonly runs: readonly string[];
  readonly executors: readonly string[];
  /** Some thousand attempts each, in order. */
  readonly texts: readonly string[];
}

type Line = readonly [
  id: string,
  run: number,
  stage: number,
  task: number,
  executor: number,
  incarnation: number,
  state: Attempt["state"],
  startedMs: number | null,
  mapKey: string | null,
];

/** No text may grow with their number, for an engine refuses one of half a gigabyte; else any number would do. */
export const attemptsPerText = 8_192;

export function packAttempts(attempts: ReadonlyMap<string, Attempt>): PackedAttempts {
  const runs = new Names();
  const executors = new Names();
  const texts: string[] = [];
  let lines: Line[] = [];
  for (const [id, attempt] of attempts) {
    const { stage, task, incarnation, state, startedMs = null, mapKey = null } = attempt;
    const run = runs.number(attempt.run);
    const executor = executors.number(attempt.executor);
    lines.push([id, run, stage, task, executor, incarnation, state, startedMs, mapKey]);
    if (lines.length < attemptsPerText) continue;
    texts.push(JSON.stringify(lines));
    lines = [];
  }
  if (lines.length > 0) texts.push(JSON.stringify(lines));
  return { runs: runs.all(), executors: executors.all(), texts };
}

/** The exact inverse. */
export function unpackAttempts(packed: PackedAttempts): Map<string, Attempt> {
  const attempts = new Map<string, Attempt>();
  for (const text of packed.texts) {
    for (const line of JSON.parse(text) as readonly Line[]) {
      attempts.set(line[0], unpack(line, packed));
    }
  }
  return attempts;
}

function unpack(line: Line, { runs, executors }: PackedAttempts): Attempt {
  const [, run, stage, task, executor, incarnation, state, startedMs, mapKey] = line;
  return {
    run: must(runs[run], "a run that is numbered is named"),
    stage,
    task,
    executor: must(executors[executor], "an executor that is numbered is named"),
    incarnation,
    ...(mapKey === null ? {} : { mapKey }),
    ...(startedMs === null ? {} : { startedMs }),
    state,
  };
}

/** Numbers names in the order in which they come. */
class Names {
  readonly #numbers = new Map<string, number>();

  number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  all(): readonly string[] {
    return [...this.#numbers.keys()];
  }
}
