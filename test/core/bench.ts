/**
 * One coordinator on a bench: the production step over an in-memory cluster, driven message by message.
 * Asks are answered at once unless a test holds them back; what left the coordinator is kept to be looked at.
 */

import { checkInvariants } from "../../coordinator/core/invariants.ts";
import type {
  Answer,
  Ask,
  Effect,
  ExecutorCommand,
  Hello,
  Message,
  Question,
  Reply,
} from "../../coordinator/core/protocol.ts";
import type { DaysMessage } from "../../coordinator/core/protocol-days.ts";
import { initialState } from "../../coordinator/core/state.ts";
import { step } from "../../coordinator/core/step.ts";
import { ClusterMemory } from "../../scripts/simulation/cluster-memory.ts";
import type { AlertAction, AlertConfig } from "../../shared/kernel/alert.ts";
import { assert } from "../../shared/kernel/assert.ts";
import type { BacklogStatus } from "../../shared/kernel/days.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { RunStatus } from "../../shared/kernel/status.ts";
import type { UpkeepAction } from "../../shared/kernel/upkeep.ts";
import type { AttemptOutcome, Delivery, Work } from "../../shared/kernel/work.ts";
import { carryOut } from "../sim/executor-model.ts";
import { sampleFiles, sampleJob, samplePlan } from "../sim/sample-job.ts";

export const day = "2026-01-15";

/** More than any message has in its wake. */
const stepsMax = 100_000;

type Unnumbered<T> = T extends unknown ? Omit<T, "reply"> : never;
type Submit = Extract<Message, { kind: "submit" }>;

export interface SentTask {
  readonly connection: number;
  readonly attemptId: string;
  readonly work: Work;
  readonly delivery: Delivery;
}

export class Bench {
  readonly memory: ClusterMemory;
  readonly name: string;
  readonly state;
  /** Asks for which this gives true stay unanswered, in `heldAsks`. */
  hold: (ask: Ask) => boolean = () => false;
  /** Stands in for the memory's answer where it gives one. */
  override: (ask: Ask) => Answer | undefined = () => undefined;
  heldAsks: Ask[] = [];
  effects: Effect[] = [];
  at = 0;
  /** Wall clock of the instant 0, epoch milliseconds. */
  wallFrom = 1_000_000;
  /** Claimed by the attempts that finish. */
  rejectsFile: string | undefined;
  lateFile: string | undefined;
  #replies = 1;
  readonly #replied = new Map<number, Reply>();

  constructor(memory = new ClusterMemory(), name = "c1", alerts?: AlertConfig) {
    this.memory = memory;
    this.name = name;
    if (memory.inputs.length === 0) memory.inputs = sampleFiles(4);
    if (memory.plan.stages.length === 0) memory.plan = samplePlan();
    const address = `${name}:1`;
    const config = { coordinator: name, address, cluster: "test", duckdb: "v1" };
    this.state = initialState({ ...config, ...(alerts === undefined ? {} : { alerts }) });
  }

  /** Takes one message in, and everything that follows from it at once. */
  post(message: Message): void {
    const queue: Message[] = [message];
    let steps = 0;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      assert(++steps <= stepsMax, `what follows from ${message.kind} comes to an end`);
      const [, effects] = step(this.state, {
        at: this.at,
        wall: this.wallFrom + this.at,
        message: next,
      });
      checkInvariants(this.state);
      for (const effect of effects) {
        this.effects.push(effect);
        if (effect.kind === "again") queue.push({ kind: "proceed" });
        if (effect.kind === "reply") this.#replied.set(effect.reply, effect.result);
        if (!("id" in effect)) continue;
        if (this.hold(effect)) this.heldAsks.push(effect);
        else queue.push({ kind: "answered", id: effect.id, answer: this.#answer(effect) });
      }
    }
  }

  #answer(ask: Ask): Answer {
    const from = { coordinator: this.name, address: this.state.config.address };
    return this.override(ask) ?? this.memory.answer(ask, from);
  }

  /** A server without room refuses each append at once. Gives how to know how many it was asked for. */
  withoutRoom(): () => number {
    let appends = 0;
    this.override = ({ kind }) => {
      if (kind !== "append") return undefined;
      appends++;
      return { kind: "failed", failure: failure("exchangeFull", "no room") };
    };
    return () => appends;
  }

  /** Answers what was held back, from the memory as it is now. */
  release(): void {
    const asks = this.heldAsks;
    this.heldAsks = [];
    for (const ask of asks) {
      this.post({ kind: "answered", id: ask.id, answer: this.#answer(ask) });
    }
  }

  /** Lets time pass in ticks; executors named here keep beating. */
  pass(ms: number, beating: readonly number[] = []): void {
    const until = this.at + ms;
    while (this.at < until) {
      this.at = Math.min(until, this.at + limits.tickEveryMs);
      for (const connection of beating) this.beat(connection);
      this.post({ kind: "tick" });
    }
  }

  /** Time passes, and every task that is sent is carried out, in steps of a second. Gives the works done. */
  live(ms: number, beating: readonly number[] = [1]): Work[] {
    const done: Work[] = [];
    for (const until = this.at + ms; this.at < until; ) {
      this.pass(Math.min(1_000, until - this.at), beating);
      done.push(...this.work());
    }
    return done;
  }

  /** Leads from here on. */
  lead(): this {
    this.pass(limits.leaseExpiresMs + limits.candidateJitterMsMax + 2 * limits.tickEveryMs);
    return this;
  }

  attach(connection: number, changes: Partial<Hello> = {}): void {
    const hello: Hello = {
      executor: `e${connection}`,
      incarnation: 1,
      slots: 2,
      host: "h",
      pid: 1,
      duckdb: "v1",
      wire: 1,
      hash: 1,
      runningAttempts: [],
      highestEpoch: 0,
      version: "1",
      ...changes,
    };
    this.post({ kind: "attached", connection, hello });
  }

  beat(connection: number, running?: readonly string[]): void {
    const id = this.state.connections.get(connection);
    const busy = [...(this.state.executors.get(id ?? "")?.busy.keys() ?? [])];
    this.post({
      kind: "heartbeat",
      connection,
      running: (running ?? busy).map((attemptId) => ({ attemptId, rows: 0, bytes: 0 })),
      workerPids: [],
      peakMemoryBytes: 0,
    });
  }

  /** Gives the number of the reply. No other bench's requests have the same id. */
  submit(job: JobSpec | string = sampleJob(), changes: Partial<Submit> = {}): number {
    const reply = this.#replies++;
    const request = { rerun: false, requestId: `${this.name}-${reply}`, day, ...changes };
    this.post({ ...request, kind: "submit", reply, job });
    return reply;
  }

  /** Makes a scheduled job known without a day to run. */
  register(job: JobSpec): Reply | undefined {
    return this.replyTo(this.submit(job, { day: "" }));
  }

  /** What somebody says about days. */
  say(message: Unnumbered<DaysMessage>): Reply | undefined {
    return this.#answered((reply) => ({ ...message, reply }) as DaysMessage);
  }

  /** Somebody tidies up, or reads. */
  tidy(action: UpkeepAction): Reply | undefined {
    return this.#answered((reply) => ({ kind: "upkeep", reply, action }));
  }

  /** What somebody says about alerts. */
  alert(action: AlertAction): Reply | undefined {
    return this.#answered((reply) => ({ kind: "alert", reply, action }));
  }

  cancel(run: string): Reply | undefined {
    return this.#answered((reply) => ({ kind: "cancelRun", reply, run, reason: "test" }));
  }

  releaseRun(run: string): Reply | undefined {
    return this.#answered((reply) => ({ kind: "releaseRun", reply, run }));
  }

  ask(question: Question): Reply | undefined {
    return this.#answered((reply) => ({ kind: "question", reply, question }));
  }

  /** What is answered at once to a message that has a number for its reply. */
  #answered(message: (reply: number) => Message): Reply | undefined {
    const reply = this.#replies++;
    this.post(message(reply));
    return this.#replied.get(reply);
  }

  replyTo(reply: number): Reply | undefined {
    return this.#replied.get(reply);
  }

  run(revision = 1): RunStatus {
    const reply = this.ask({ kind: "run", run: `usage.${day}.r${revision}` });
    if (reply?.kind !== "run") throw new Error(`no run r${revision}: ${JSON.stringify(reply)}`);
    return reply.run;
  }

  /** What people are shown of a job's days; `days` 0: those of its window. */
  backlog(job = "usage", days = 0): BacklogStatus {
    const reply = this.ask({ kind: "backlog", job, days });
    if (reply?.kind !== "backlog") throw new Error(JSON.stringify(reply));
    return reply.backlog;
  }

  /** Tasks sent since the last call. */
  takeTasks(): SentTask[] {
    const tasks = this.commands().flatMap(({ connection, command }) =>
      command.kind === "runTask" ? [{ connection, ...command }] : [],
    );
    this.effects = [];
    return tasks;
  }

  commands(): { readonly connection: number; readonly command: ExecutorCommand }[] {
    return this.effects.flatMap((effect) => (effect.kind === "toExecutor" ? [effect] : []));
  }

  report(task: SentTask, outcome: AttemptOutcome): void {
    const { connection, attemptId } = task;
    this.post({ kind: "report", connection, attemptId, outcome });
  }

  fail(task: SentTask, failure: Failure): void {
    this.report(task, { kind: "failed", failure });
  }

  finish(task: SentTask): void {
    const { rejectsFile, lateFile } = this;
    const rejects = rejectsFile === undefined ? {} : { rejectsFile };
    const late = lateFile === undefined ? {} : { lateFile };
    const outcome = carryOut(this.memory, task.work, task.delivery, { ...rejects, ...late });
    this.report(task, outcome.kind === "failed" ? outcome : { ...outcome, ...rejects, ...late });
  }

  /** Carries out every task that is sent, until none is. Gives the works done. */
  work(): Work[] {
    const done: Work[] = [];
    for (let tasks = this.takeTasks(); tasks.length > 0; tasks = this.takeTasks()) {
      for (const task of tasks) this.finish(task);
      done.push(...tasks.map((task) => task.work));
    }
    return done;
  }

  events(): string[] {
    return this.effects.flatMap((effect) => (effect.kind === "publishEvent" ? [effect.event] : []));
  }
}
