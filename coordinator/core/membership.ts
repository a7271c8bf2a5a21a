/**
 * Which executors there are. They dial in, beat, report, drain and go; one that is silent too long is lost and its
 * attempts are given up. What an executor says it runs is compared with what the journal says it should run.
 */
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Instant } from "../../shared/kernel/time.ts";
import { hashVersion, wireVersion } from "../../shared/kernel/work.ts";
import { failAttempt, reported } from "./attempts.ts";
import type { Attempt } from "./durable.ts";
import { occupy, place, vacate, vacateAll } from "./places.ts";
import type { ConnectionId, ExecutorCommand, ExecutorMessage, Hello } from "./protocol.ts";
import type { ExecutorState } from "./state.ts";
import { clusterWide, epochOf, log, publish, type Turn, tell, tellNow } from "./turn.ts";

type Of<Kind extends ExecutorMessage["kind"]> = Extract<ExecutorMessage, { kind: Kind }>;

/** All executor messages but `attached`, from the newest connection of a known executor; others are ignored. */
export function executorSaid(turn: Turn, message: Exclude<ExecutorMessage, Of<"attached">>): void {
  const { state } = turn;
  const executor = state.executors.get(state.connections.get(message.connection) ?? "");
  if (executor === undefined) return;
  executor.heardAt = turn.at;
  switch (message.kind) {
    case "heartbeat":
      heartbeat(turn, executor, message);
      return;
    case "report":
      reported(turn, executor, message.attemptId, message.outcome);
      return;
    case "draining":
      drain(turn, executor, message.reason);
      return;
    case "detached":
      detached(turn, executor);
      return;
  }
}

/** A refused executor is told why and its connection closed. */
export function refuseExecutor(
  turn: Turn,
  connection: ConnectionId,
  why: ReturnType<typeof failure>,
): void {
  const { role, leaderAddress, epochSeen, config } = turn.state;
  const leader = leaderAddress === config.address ? "" : leaderAddress;
  const epoch = role.kind === "leader" ? role.epoch : epochSeen;
  const command: ExecutorCommand = { kind: "refused", failure: why, leader };
  tellNow(turn, { kind: "toExecutor", connection, epoch, command });
  tellNow(turn, { kind: "closeConnection", connection });
}

export function attached(turn: Turn, { connection, hello }: Of<"attached">): void {
  const { state } = turn;
  const refusal = unfit(turn, hello);
  if (refusal !== undefined) {
    log(turn, "warn", `executor refused: ${refusal.message}`, { executor: hello.executor });
    refuseExecutor(turn, connection, refusal);
    return;
  }
  const former = state.executors.get(hello.executor);
  if (former !== undefined && isTaken(former, hello)) {
    refuseTwin(turn, connection, former, hello);
    return;
  }
  if (former?.connection !== undefined) {
    state.connections.delete(former.connection);
    tell(turn, { kind: "closeConnection", connection: former.connection });
  }
  const isSame = former !== undefined && former.incarnation === hello.incarnation;
  if (former !== undefined && !isSame) giveUpAttempts(turn, former, "its process was replaced");
  const executor = isSame ? former : newExecutor(turn, hello);
  state.executors.set(executor.id, executor);
  state.connections.set(connection, executor.id);
  const isNew = !isSame || former.lost || former.connection === undefined;
  Object.assign(executor, {
    connection,
    slots: hello.slots,
    host: hello.host,
    pid: hello.pid,
    heardAt: turn.at,
    lost: false,
  });
  place(state, executor);
  command(turn, executor, { kind: "welcome", coordinator: state.config.coordinator });
  settle(turn, executor, hello.runningAttempts);
  if (!isNew) return;
  const { slots, host, runningAttempts } = hello;
  const adopted = runningAttempts.filter((attemptId) => isWanted(turn, attemptId)).length;
  publish(turn, clusterWide, "executor.joined", { executor: executor.id, slots, host, adopted });
  log(turn, "info", "executor joined", { executor: executor.id, slots, adopted });
}

/** Another process has this id and is connected. One that is lost, or whose stream closed, gives it up. */
function isTaken(former: ExecutorState, hello: Hello): boolean {
  return (
    former.connection !== undefined && !former.lost && former.incarnation !== hello.incarnation
  );
}

/** `unavailable`, so that it tries again: after a power cut the old process is connected until it is lost. */
function refuseTwin(
  turn: Turn,
  connection: ConnectionId,
  { id, host, pid }: ExecutorState,
  hello: Hello,
): void {
  const why = failure(
    "unavailable",
    `executor ${id} is process ${pid} on ${host} already, and this is process ${hello.pid} on ` +
      `${hello.host}: give each executor its own --id, or wait until the other one is gone`,
    { executor: id, host, other: hello.host },
  );
  log(turn, "warn", `executor refused: ${why.message}`, { executor: id });
  refuseExecutor(turn, connection, why);
}

function unfit(turn: Turn, hello: Hello) {
  const { config, executors } = turn.state;
  const wanted = [
    ["DuckDB", hello.duckdb, config.duckdb],
    ["wire", String(hello.wire), String(wireVersion)],
    ["hash", String(hello.hash), String(hashVersion)],
  ] as const;
  for (const [what, theirs, ours] of wanted) {
    if (theirs === ours) continue;
    return failure(
      "versionMismatch",
      `executor ${hello.executor} has ${what} version ${theirs}, this cluster runs ${ours}; ` +
        "install the same Daymill on all machines",
    );
  }
  if (hello.slots < 1 || hello.slots > limits.slotsPerExecutorMax) {
    const most = limits.slotsPerExecutorMax;
    return failure("limitExceeded", `an executor has 1 to ${most} slots, not ${hello.slots}`);
  }
  if (!executors.has(hello.executor) && isCrowded(executors)) {
    return failure("limitExceeded", `${limits.executorsMax} executors are the most`);
  }
  return undefined;
}

/** Lost ones are only shown: they take nobody's place. */
function isCrowded(executors: ReadonlyMap<string, ExecutorState>): boolean {
  if (executors.size < limits.executorsMax) return false;
  let present = 0;
  for (const { lost } of executors.values()) if (!lost) present++;
  return present >= limits.executorsMax;
}

function newExecutor(turn: Turn, hello: Hello): ExecutorState {
  return {
    id: hello.executor,
    incarnation: hello.incarnation,
    connection: undefined,
    slots: hello.slots,
    host: hello.host,
    pid: hello.pid,
    heardAt: turn.at,
    joinedMs: turn.wall,
    draining: false,
    lost: false,
    lostAt: 0,
    busy: new Map(),
    committed: 0,
    failed: 0,
    peakMemoryBytes: 0,
    workerPids: [],
    outcomes: [],
    exclusion: undefined,
    exclusions: 0,
    excludedLast: 0,
  };
}

/**
 * After a takeover the journal names executors that have not dialled in yet: they get the usual time to do so
 * before their attempts are given up.
 */
export function awaitExecutor(
  turn: Turn,
  id: string,
  incarnation: number,
  attemptId: string,
): void {
  const { executors } = turn.state;
  const blank = { executor: id, incarnation, slots: 1, host: "", pid: 0 };
  const versions = { duckdb: "", wire: 0, hash: 0, version: "" };
  const known =
    executors.get(id) ??
    newExecutor(turn, { ...blank, ...versions, runningAttempts: [], highestEpoch: 0 });
  executors.set(id, known);
  if (known.incarnation === incarnation) busyWith(turn, known, attemptId);
}

/** From now on the attempt takes up a slot there. */
export function busyWith(turn: Turn, executor: ExecutorState, attemptId: string): void {
  const known = executor.busy.get(attemptId);
  const since = known?.since ?? sinceOf(turn, attemptId);
  const movedAt = known?.movedAt ?? turn.at;
  occupy(turn.state, executor, attemptId, { since, namedAt: turn.at, movedAt, rows: 0, bytes: 0 });
}

/** When an attempt that we did not know there began: by the wall clock of whoever started it. */
function sinceOf(turn: Turn, attemptId: string): Instant {
  const { startedMs = turn.wall } = turn.state.durable.attempts.get(attemptId) ?? {};
  return turn.at - Math.max(0, turn.wall - startedMs);
}

/**
 * Its hello names every attempt that it runs or still has to report: adopt those that we know, cancel those that we
 * don't, and give up what should be there but is not.
 */
function settle(turn: Turn, executor: ExecutorState, named: readonly string[]): void {
  const names = new Set(named);
  for (const [attemptId, attempt] of runningOn(turn, executor)) {
    if (attempt.incarnation === executor.incarnation && names.has(attemptId)) continue;
    giveUp(turn, attemptId, `executor ${executor.id} came back without it`);
  }
  for (const attemptId of executor.busy.keys()) {
    if (!names.has(attemptId)) vacate(turn.state, executor, attemptId);
  }
  for (const attemptId of named) {
    busyWith(turn, executor, attemptId);
    if (!isWanted(turn, attemptId)) cancel(turn, executor, attemptId);
  }
}

function isWanted(turn: Turn, attemptId: string): boolean {
  const { attempts, runs } = turn.state.durable;
  const attempt = attempts.get(attemptId);
  if (attempt === undefined) return false;
  if (attempt.state === "running") return true;
  // Given up as lost, yet still at it: it may win as long as nobody else has.
  const task = runs.get(attempt.run)?.stages[attempt.stage]?.tasks[attempt.task];
  return attempt.state === "lost" && task !== undefined && task.result === undefined;
}

function heartbeat(turn: Turn, executor: ExecutorState, message: Of<"heartbeat">): void {
  executor.workerPids = message.workerPids;
  executor.peakMemoryBytes = message.peakMemoryBytes;
  for (const { attemptId, rows, bytes } of message.running) {
    const known = executor.busy.get(attemptId);
    if (known === undefined) {
      const since = sinceOf(turn, attemptId);
      const { at } = turn;
      occupy(turn.state, executor, attemptId, { since, namedAt: at, movedAt: at, rows, bytes });
    } else {
      if (known.rows !== rows || known.bytes !== bytes) known.movedAt = turn.at;
      known.namedAt = turn.at;
      known.rows = rows;
      known.bytes = bytes;
    }
    if (!isWanted(turn, attemptId)) cancel(turn, executor, attemptId);
  }
  for (const [attemptId, busy] of executor.busy) {
    if (turn.at - busy.namedAt <= limits.attemptMissingMs) continue;
    // Its command waits for the journal: the executor can't know of it.
    if (isHeld(turn, attemptId)) {
      busy.namedAt = turn.at;
      continue;
    }
    vacate(turn.state, executor, attemptId);
    giveUp(turn, attemptId, `executor ${executor.id} does not run it`);
  }
}

/** Looked for seldom: only where an attempt was not named for long. */
function isHeld({ state }: Turn, attemptId: string): boolean {
  return state.journal.held.some(({ effect }) => {
    if (effect.kind !== "toExecutor" || effect.command.kind !== "runTask") return false;
    return effect.command.attemptId === attemptId;
  });
}

function cancel(turn: Turn, executor: ExecutorState, attemptId: string): void {
  command(turn, executor, { kind: "cancelTask", attemptId, reason: "its result is not needed" });
}

function giveUp(turn: Turn, attemptId: string, reason: string): void {
  failAttempt(turn, attemptId, failure("executorLost", `attempt ${attemptId} was lost: ${reason}`));
}

/** No new work; the executor leaves by itself when its attempts have ended. */
export function drain(turn: Turn, executor: ExecutorState, reason: string): void {
  if (executor.draining) return;
  executor.draining = true;
  place(turn.state, executor);
  log(turn, "info", "executor drains", { executor: executor.id, reason });
}

/** An operator wants it to drain. */
export function drainByCommand(turn: Turn, executor: ExecutorState, reason: string): void {
  drain(turn, executor, reason);
  command(turn, executor, { kind: "drainNow", reason });
}

function detached(turn: Turn, executor: ExecutorState): void {
  if (executor.connection !== undefined) turn.state.connections.delete(executor.connection);
  executor.connection = undefined;
  place(turn.state, executor);
  // It may dial in again at once; only silence makes it lost. One that drained has left for good.
  const { attempts } = turn.state.durable;
  const isIdle = ![...executor.busy.keys()].some((id) => attempts.get(id)?.state === "running");
  if (!executor.draining || !isIdle) return;
  turn.state.executors.delete(executor.id);
  publish(turn, clusterWide, "executor.drained", { executor: executor.id });
  log(turn, "info", "executor left", { executor: executor.id });
}

/** One look at the clock: who has been silent for too long? */
export function membershipTick(turn: Turn): void {
  const { state, at } = turn;
  for (const executor of state.executors.values()) {
    const silentMs = at - executor.heardAt;
    if (executor.lost) {
      if (at - executor.lostAt > limits.lostExecutorShownMs) state.executors.delete(executor.id);
    } else if (silentMs > limits.executorLostMs) {
      loseExecutor(turn, executor, silentMs);
    }
  }
}

function loseExecutor(turn: Turn, executor: ExecutorState, silentMs: number): void {
  const { connection, id } = executor;
  executor.lost = true;
  executor.lostAt = turn.at;
  if (connection !== undefined) {
    turn.state.connections.delete(connection);
    tell(turn, { kind: "closeConnection", connection });
  }
  executor.connection = undefined;
  place(turn.state, executor);
  publish(turn, clusterWide, "executor.lost", { executor: id, silentMs: Math.round(silentMs) });
  log(turn, "warn", "executor lost", { executor: id, silentMs: Math.round(silentMs) });
  giveUpAttempts(turn, executor, "its executor is silent");
}

function giveUpAttempts(turn: Turn, executor: ExecutorState, reason: string): void {
  vacateAll(turn.state, executor);
  for (const [attemptId] of runningOn(turn, executor)) giveUp(turn, attemptId, reason);
}

/** Of whatever incarnation. A list of its own: giving one up changes what is running. */
function runningOn(turn: Turn, executor: ExecutorState): readonly (readonly [string, Attempt])[] {
  const { attempts, running } = turn.state.durable;
  return [...running].flatMap((id) => {
    const attempt = attempts.get(id);
    return attempt?.executor === executor.id ? [[id, attempt] as const] : [];
  });
}

function command(turn: Turn, executor: ExecutorState, what: ExecutorCommand): void {
  const { connection } = executor;
  if (connection === undefined) return;
  tell(turn, { kind: "toExecutor", connection, epoch: epochOf(turn), command: what });
}
