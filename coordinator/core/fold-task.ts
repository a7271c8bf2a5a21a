/**
 * What facts about tasks and attempts do to durable state. A task is waiting, running or done; `done` is left only
 * when its output was lost. Part of `fold`: in place, total, deciding nothing.
 */

import { shortProducers } from "../../shared/kernel/exchange-intake.ts";
import { classOf, isStorageRefusal } from "../../shared/kernel/failure.ts";
import {
  type AttemptSuccess,
  type FileFingerprint,
  type Split,
  sameFile,
} from "../../shared/kernel/work.ts";
import type { Attempt, Durable, Run, Stage, Task, TaskResult } from "./durable.ts";
import type { Fact } from "./facts.ts";
import { keptScope } from "./salvage.ts";
import { consumersOf, isComplete, producersOf, readersOf, writesDataset } from "./stage-graph.ts";

type Of<Kind extends Fact["kind"]> = Extract<Fact, { kind: Kind }>;

export function foldAttemptStarted(durable: Durable, run: Run, fact: Of<"attemptStarted">): void {
  const found = locate(run, fact.stage, fact.task);
  if (found === undefined) return;
  const { stage, task } = found;
  // Only tasks without a result are started: that this one was dropped stood in a part of the journal that is lost.
  dropResult(durable, run, stage, fact.task);
  task.running = [...task.running, fact.attemptId];
  task.starts++;
  leaveWaiting(stage, fact.task);
  if (stage.startedMs === 0) stage.startedMs = fact.wallMs;
  if (fact.second === true) {
    task.hadSecond = true;
    stage.seconds = (stage.seconds ?? 0) + 1;
  }
  durable.running.add(fact.attemptId);
  durable.attempts.set(fact.attemptId, {
    run: run.id,
    stage: fact.stage,
    task: fact.task,
    executor: fact.executor,
    incarnation: fact.incarnation,
    ...(fact.mapKey === undefined ? {} : { mapKey: fact.mapKey }),
    startedMs: fact.wallMs,
    state: "running",
  });
}

export function foldAttemptDone(durable: Durable, fact: Of<"attemptDone">): void {
  const attempt = durable.attempts.get(fact.attemptId);
  const run = attempt && durable.runs.get(attempt.run);
  const found = run && locate(run, attempt.stage, attempt.task);
  if (attempt === undefined || run === undefined || found === undefined) return;
  if (attempt.state !== "running" && attempt.state !== "lost") return;
  const { stage, task } = found;
  endAttempt(durable, attempt, task, fact.attemptId, "done");
  if (task.result !== undefined) return;
  voidLost(durable, task);
  const split = stage.splits[attempt.task];
  const result = resultOf(fact.attemptId, attempt, fact.success, split);
  if (changedOutputs(run, stage, task, result)) restartConsumers(durable, run, stage);
  if (keepable(stage, result)) {
    durable.kept.get(stage.scope ?? "")?.outputs.set(result.mapKey ?? "", result);
  }
  finish(stage, attempt.task, result, fact.wallMs);
}

/** A set that is emptied from its front keeps the holes, and whoever looks for its first member steps over them all. */
function leaveWaiting(stage: Stage, task: number): void {
  stage.waiting.delete(task);
  if (stage.waiting.size % 1_024 === 0) stage.waiting = new Set(stage.waiting);
}

function resultOf(
  attemptId: string,
  attempt: Attempt,
  success: AttemptSuccess,
  split: Split | undefined,
): TaskResult {
  return {
    attemptId,
    executor: attempt.executor,
    outputs: success.outputs,
    files: success.files,
    accounts: success.accounts.map((account, index) => ({
      ...account,
      file: known(split?.files[index], account.file),
    })),
    ...(success.rejectsFile === undefined ? {} : { rejectsFile: success.rejectsFile }),
    ...(success.lateFile === undefined ? {} : { lateFile: success.lateFile }),
    counters: success.counters,
    ...(success.checkValue === undefined ? {} : { checkValue: success.checkValue }),
    ...(success.checkFailure === undefined ? {} : { checkFailure: success.checkFailure }),
    ...(attempt.mapKey === undefined ? {} : { mapKey: attempt.mapKey }),
  };
}

/** The fingerprint as planned where it is the same: a day has 50,000 of them, and their texts are most of its memory. */
function known(planned: FileFingerprint | undefined, file: FileFingerprint): FileFingerprint {
  const isSame = planned !== undefined && planned.path === file.path && sameFile(planned, file);
  return isSame ? planned : file;
}

/** Files in staging go with their run, so an output that has some can't be used by the next one. */
function keepable(stage: Stage, result: TaskResult): boolean {
  return stage.scope !== undefined && result.mapKey !== undefined && result.files.length === 0;
}

/**
 * May somebody have read other rows than these? Readers begin when all is there: where they have begun and it is not
 * known what was, a part of the journal is lost.
 */
function changedOutputs(run: Run, stage: Stage, task: Task, result: TaskResult): boolean {
  const { replaces } = task;
  if (replaces === undefined) {
    return consumersOf(run, stage).some((consumer) => consumer.startedMs !== 0);
  }
  return result.outputs.some((output) => replaces[output.exchange] !== output.checksum);
}

export function foldAttemptFailed(durable: Durable, fact: Of<"attemptFailed">): void {
  const attempt = durable.attempts.get(fact.attemptId);
  const run = attempt && durable.runs.get(attempt.run);
  const found = run && locate(run, attempt.stage, attempt.task);
  if (attempt === undefined || found === undefined || attempt.state !== "running") return;
  const { stage, task } = found;
  const { code } = fact.failure;
  endAttempt(durable, attempt, task, fact.attemptId, code === "executorLost" ? "lost" : "failed");
  if (code !== "cancelled") stage.failedAttempts++;
  if (classOf(code).counts) {
    task.failures++;
    const { failedOn } = task;
    if (!failedOn.includes(attempt.executor)) task.failedOn = [...failedOn, attempt.executor];
  }
  if (code === "outOfMemory") task.lowMemory = true;
  if (code === "exchangeShort" && shortProducers(fact.failure).length > 0) {
    task.shorts = (task.shorts ?? 0) + 1;
  }
  if (isStorageRefusal(code) || code === "exchangeFull") task.refusals = (task.refusals ?? 0) + 1;
  if (task.result === undefined && task.running.length === 0) stage.waiting.add(attempt.task);
}

export function foldTaskReused(durable: Durable, run: Run, fact: Of<"taskReused">): void {
  const found = locate(run, fact.stage, fact.task);
  const kept = found && durable.kept.get(keptScope(found.stage))?.outputs.get(fact.mapKey);
  if (found === undefined || kept === undefined || found.task.result !== undefined) return;
  voidLost(durable, found.task);
  leaveWaiting(found.stage, fact.task);
  found.stage.reused++;
  if (found.stage.startedMs === 0) found.stage.startedMs = fact.wallMs;
  const result = { ...kept, executor: "" };
  // An output that was found again need not be the one that was read and dropped.
  if (changedOutputs(run, found.stage, found.task, result)) {
    restartConsumers(durable, run, found.stage);
  }
  finish(found.stage, fact.task, result, fact.wallMs);
}

export function foldOutputDropped(durable: Durable, run: Run, fact: Of<"outputDropped">): void {
  const found = locate(run, fact.stage, fact.task);
  if (found?.task.result?.attemptId !== fact.attemptId) return;
  dropResult(durable, run, found.stage, fact.task);
}

/** A file that is not in its task's split has left it before. */
export function foldFilesDropped(durable: Durable, run: Run, fact: Of<"filesDropped">): void {
  const stage = run.stages[fact.stage];
  if (stage === undefined) return;
  const splits = [...stage.splits];
  const touched = new Set<number>();
  const dropped = new Map((stage.dropped ?? []).map((one) => [one.file.path, one]));
  const twins = new Map<string, FileFingerprint>();
  for (const { task, ...one } of fact.files) {
    const split = splits[task];
    const files = split?.files.filter(({ path }) => path !== one.file.path);
    if (split === undefined || files?.length === split.files.length) continue;
    // Without a file there is nothing to have a range of.
    splits[task] = files?.length === 0 ? { files } : { ...split, files: files ?? [] };
    touched.add(task);
    if (!dropped.has(one.file.path)) dropped.set(one.file.path, one);
    twins.set(one.file.path, one.twin);
  }
  stage.splits = splits;
  // Whose twin is left out now is left out for the one that stands for that.
  stage.dropped = [...dropped.values()].map((one) => ({
    ...one,
    twin: twins.get(one.twin.path) ?? one.twin,
  }));
  for (const task of touched) {
    voidTask(durable, stage, task);
    dropResult(durable, run, stage, task);
  }
}

/** Rows that everybody has read are not made again: their producers' results stay. */
export function foldExchangeLost(durable: Durable, run: Run, exchange: string): void {
  const scope = run.exchanges.get(exchange)?.scope;
  if (scope !== undefined) durable.kept.get(scope)?.outputs.clear();
  if (readersOf(run, exchange).every(isComplete)) return;
  for (const stage of producersOf(run, exchange)) dropResults(durable, run, stage);
}

/** Whoever still writes to the old streams must not win: nobody will look for its rows there. */
export function foldExchangeMoved(durable: Durable, run: Run, fact: Of<"exchangeMoved">): void {
  const former = run.exchanges.get(fact.exchange);
  if (former === undefined) return;
  for (const stage of producersOf(run, fact.exchange)) voidAttempts(durable, stage);
  foldExchangeLost(durable, run, fact.exchange);
  const moved = { ...former, streams: fact.streams };
  run.exchanges.set(fact.exchange, moved);
  const kept = durable.kept.get(former.scope ?? "");
  if (kept === undefined || former.scope === undefined) return;
  const exchanges = kept.exchanges.map((one) => (one.exchange === fact.exchange ? moved : one));
  durable.kept.set(former.scope, { ...kept, exchanges });
}

function dropResults(durable: Durable, run: Run, stage: Stage): void {
  stage.tasks.forEach((task, index) => {
    if (task.result !== undefined) dropResult(durable, run, stage, index);
  });
}

/** Back to waiting; what its rows summed to is remembered, for consumers may have read them. */
export function dropResult(durable: Durable, run: Run, stage: Stage, index: number): void {
  const task = stage.tasks[index];
  const result = task?.result;
  if (task === undefined || result === undefined) return;
  task.replaces = Object.fromEntries(result.outputs.map((one) => [one.exchange, one.checksum]));
  if (result.mapKey !== undefined) {
    durable.kept.get(keptScope(stage))?.outputs.delete(result.mapKey);
  }
  delete task.result;
  stage.done--;
  stage.changes = (stage.changes ?? 0) + 1;
  if (result.executor === "") stage.reused--;
  addSums(stage, result, -1);
  if (task.running.length === 0) stage.waiting.add(index);
  if (writesDataset(run, stage)) voidChecks(durable, run);
}

/** What the checks saw is not what will be committed: they look again when the day is whole. */
function voidChecks(durable: Durable, run: Run): void {
  const checks = run.stages.find((stage) => stage.kind === "check");
  if (checks === undefined || checks.waiting.size === checks.tasks.length) return;
  voidAttempts(durable, checks);
  dropResults(durable, run, checks);
}

/** A producer gave other rows than the ones that were read: whoever read the old ones runs again. */
function restartConsumers(durable: Durable, run: Run, producer: Stage): void {
  for (const consumer of consumersOf(run, producer)) {
    let restarted = false;
    voidAttempts(durable, consumer);
    consumer.tasks.forEach((task, index) => {
      if (task.result === undefined) return;
      dropResult(durable, run, consumer, index);
      restarted = true;
    });
    if (restarted) restartConsumers(durable, run, consumer);
  }
}

/** Attempts that read the old rows, lost ones included: none of them may still win. */
function voidAttempts(durable: Durable, stage: Stage): void {
  for (const index of stage.tasks.keys()) voidTask(durable, stage, index);
}

function voidTask(durable: Durable, stage: Stage, index: number): void {
  const task = stage.tasks[index];
  if (task === undefined) return;
  for (const id of [...task.running, ...(task.lost ?? [])]) {
    const attempt = durable.attempts.get(id);
    if (attempt !== undefined) endAttempt(durable, attempt, task, id, "failed");
  }
  if (task.result === undefined && task.running.length === 0) stage.waiting.add(index);
}

function finish(stage: Stage, index: number, result: TaskResult, wallMs: number): void {
  const task = stage.tasks[index];
  if (task === undefined) return;
  task.result = result;
  delete task.replaces;
  stage.waiting.delete(index);
  stage.done++;
  stage.changes = (stage.changes ?? 0) + 1;
  stage.endedMs = wallMs;
  addSums(stage, result, 1);
}

export function addSums({ sums }: Pick<Stage, "sums">, result: TaskResult, sign: 1 | -1): void {
  sums.rowsIn += sign * result.counters.rowsIn;
  sums.bytesIn += sign * result.counters.bytesIn;
  sums.rowsOut += sign * result.counters.rowsOut;
  sums.bytesOut += sign * result.counters.bytesOut;
  for (const output of result.outputs) {
    sums.exchangeRows += sign * output.rows;
    sums.exchangeBytes += sign * output.bytes;
  }
  for (const account of result.accounts) {
    sums.lines += sign * account.lines;
    sums.rejects += sign * account.rejects;
  }
}

function endAttempt(
  durable: Durable,
  attempt: Attempt,
  task: Task,
  id: string,
  state: Exclude<Attempt["state"], "running">,
): void {
  durable.running.delete(id);
  attempt.state = state;
  task.running = task.running.filter((running) => running !== id);
  const lost = (task.lost ?? []).filter((other) => other !== id);
  if (state === "lost") lost.push(id);
  if (lost.length > 0) task.lost = lost;
  else delete task.lost;
}

/** The task has a winner: what the lost ones wrote is removed, so none of them may win it later. */
function voidLost(durable: Durable, task: Task): void {
  for (const id of task.lost ?? []) {
    const attempt = durable.attempts.get(id);
    if (attempt !== undefined) attempt.state = "failed";
  }
  delete task.lost;
}

function locate(run: Run, stage: number, task: number): { stage: Stage; task: Task } | undefined {
  const stageFound = run.stages[stage];
  const taskFound = stageFound?.tasks[task];
  if (stageFound === undefined || taskFound === undefined) return undefined;
  return { stage: stageFound, task: taskFound };
}
