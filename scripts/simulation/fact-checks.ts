/**
 * What the facts of a journal must never say, each looked at before it is folded: that a task is done or begun twice,
 * that an attempt is gone which its executor has, that an output is not needed which a run stands on, or the opposite.
 */
import { type Durable, liveRuns, type Task } from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import type { ExecutorState } from "../../executor/core/state.ts";
import { assert } from "../../shared/kernel/assert.ts";

/** What a leader says of an attempt that it gives up on the word of its executor, and not for its silence. */
const goneByItsWord = /came back without it|its process was replaced/;

export class FactChecks {
  /** The newest process of each executor, as it was after its last step. */
  readonly #processes = new Map<string, ExecutorState>();

  executorStepped(name: string, state: ExecutorState): void {
    this.#processes.set(name, state);
  }

  /** `isWhole`: the journal has never lost a record. What was lost may be all that is missing. */
  before(durable: Durable, fact: Fact, isWhole: boolean): void {
    if (fact.kind === "keptSuperseded") nothingUsedIsSuperseded(durable, fact);
    else if (fact.kind === "runCommitted") nothingUnusedIsKept(durable, fact.run);
    if (!isWhole) return;
    if (fact.kind === "attemptStarted") nothingIsDoneTwice(durable, fact);
    else if (fact.kind === "attemptFailed") this.#isGone(durable, fact);
  }

  /** After a group of facts: nobody works on what is done. */
  after(durable: Durable, facts: readonly Fact[], isWhole: boolean): void {
    if (!isWhole) return;
    for (const fact of facts) {
      const task = doneBy(durable, fact);
      if (task?.result === undefined) continue;
      const { attemptId } = task.result;
      const [other] = task.running;
      assert(other === undefined, `${other} goes on although ${attemptId} has won its task`);
    }
  }

  /** An executor that says which attempts it has is believed. */
  #isGone(
    { attempts }: Durable,
    { attemptId, failure }: Extract<Fact, { kind: "attemptFailed" }>,
  ): void {
    const attempt = attempts.get(attemptId);
    if (attempt?.state !== "running" || !goneByItsWord.test(failure.message)) return;
    const state = this.#processes.get(attempt.executor);
    if (state === undefined || state.identity.incarnation !== attempt.incarnation) return;
    const has = [...state.slots.map((slot) => slot.attempt), ...state.reports];
    const isThere = has.some((one) => one?.attemptId === attemptId);
    assert(!isThere, `${attempt.executor} has ${attemptId}, which is given up: ${failure.message}`);
  }
}

/** A task with a result never runs again, and one that runs only beside an attempt that is slow. */
function nothingIsDoneTwice(
  { runs }: Durable,
  { run, stage, task, attemptId, second }: Extract<Fact, { kind: "attemptStarted" }>,
): void {
  const found = runs.get(run)?.stages[stage]?.tasks[task];
  if (found === undefined) return;
  const { result, running } = found;
  assert(result === undefined, `${attemptId} does again what ${result?.attemptId} has done`);
  const isAlone = running.length === 0 || second === true;
  assert(isAlone, `${attemptId} does what ${running.join(" and ")} is at`);
}

function nothingUsedIsSuperseded(
  durable: Durable,
  { scope, mapKeys }: Extract<Fact, { kind: "keptSuperseded" }>,
): void {
  const gone = new Set(mapKeys);
  for (const run of liveRuns(durable)) {
    for (const stage of run.stages) {
      if (stage.scope !== scope) continue;
      const used = stage.tasks.find(({ result }) => gone.has(result?.mapKey ?? ""));
      const attemptId = used?.result?.attemptId;
      assert(used === undefined, `${run.id} stands on what ${attemptId} gave, which is superseded`);
    }
  }
}

/** A day that commits keeps what it stands on and nothing else, unless another run of the day may still want it. */
function nothingUnusedIsKept(durable: Durable, id: string): void {
  const run = durable.runs.get(id);
  if (run === undefined || run.ended !== undefined) return;
  const isShared = liveRuns(durable).some((other) => {
    return other !== run && other.job === run.job && other.day === run.day;
  });
  if (isShared) return;
  for (const { scope = "", tasks } of run.stages) {
    const used = new Set(tasks.map(({ result }) => result?.mapKey));
    const keys = durable.kept.get(scope)?.outputs.mapKeys() ?? [];
    const unused = keys.find((key) => !used.has(key));
    assert(unused === undefined, `${id} commits and keeps ${unused}, which it does not stand on`);
  }
}

function doneBy({ attempts, runs }: Durable, fact: Fact): Task | undefined {
  if (fact.kind === "attemptDone") {
    const { run = "", stage = -1, task = -1 } = attempts.get(fact.attemptId) ?? {};
    return runs.get(run)?.stages[stage]?.tasks[task];
  }
  if (fact.kind !== "taskReused") return undefined;
  return runs.get(fact.run)?.stages[fact.stage]?.tasks[fact.task];
}
