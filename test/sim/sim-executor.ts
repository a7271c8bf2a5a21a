/**
 * An executor of the simulation: dials whoever is said to lead, runs attempts for a while, reports until it is
 * acknowledged, refuses commands of an older epoch. A model of what executors promise, not their code.
 */
import type { ExecutorCommand, ExecutorMessage, Hello } from "../../coordinator/core/protocol.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { AttemptOutcome } from "../../shared/kernel/work.ts";
import type { ClusterMemory, Hint } from "./cluster-memory.ts";
import { carryOut } from "./executor-model.ts";
import type { Faults } from "./faults.ts";
import type { World } from "./world.ts";

export type FromExecutor = ExecutorMessage;
export interface ExecutorCommandSent {
  readonly epoch: number;
  readonly command: ExecutorCommand;
}

/** One open stream as the executor holds it. */
export interface Uplink {
  send(message: FromExecutor): void;
  close(): void;
}

export class SimExecutor {
  readonly name: string;
  incarnation = 1;
  isUp = true;
  /** Dials a coordinator; set by the cluster. */
  dial: (
    address: string,
    executor: SimExecutor,
  ) => { uplink: Uplink; connection: number } | undefined = () => undefined;
  /** Every command that is obeyed, for the checkers. */
  obeyed: (sent: ExecutorCommandSent) => void = () => {};
  #uplink: Uplink | undefined;
  #connection = 0;
  #hint: Hint | undefined;
  #highestEpoch = 0;
  #running = new Set<string>();
  #reports = new Map<string, AttemptOutcome>();
  readonly #world: World;
  readonly #memory: ClusterMemory;
  readonly #faults: Faults;

  constructor(world: World, memory: ClusterMemory, faults: Faults, name: string) {
    this.name = name;
    this.#world = world;
    this.#memory = memory;
    this.#faults = faults;
    this.#beat(this.incarnation);
  }

  kill(): void {
    this.isUp = false;
    this.incarnation++;
    this.#uplink?.close();
    this.#uplink = undefined;
    this.#running = new Set();
    this.#reports = new Map();
  }

  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.#beat(this.incarnation);
  }

  breakLink(): void {
    this.#uplink?.close();
    this.#uplink = undefined;
  }

  heard(hint: Hint): void {
    if (this.isUp && hint.epoch >= this.#highestEpoch) this.#hint = hint;
  }

  #beat(life: number): void {
    if (!this.isUp || life !== this.incarnation) return;
    if (this.#uplink === undefined) this.#attach();
    else {
      const running = [...this.#running].map((attemptId) => ({ attemptId, rows: 0, bytes: 0 }));
      const connection = this.#connection;
      this.#uplink.send({
        kind: "heartbeat",
        connection,
        running,
        workerPids: [],
        peakMemoryBytes: 0,
      });
    }
    this.#world.after(limits.heartbeatEveryMs, () => this.#beat(life));
  }

  #attach(): void {
    const dialled = this.#hint && this.dial(this.#hint.address, this);
    if (dialled === undefined) return;
    this.#uplink = dialled.uplink;
    this.#connection = dialled.connection;
    const hello: Hello = {
      executor: this.name,
      incarnation: this.incarnation,
      slots: 2,
      host: "h",
      pid: 1,
      duckdb: "v1",
      wire: 1,
      hash: 1,
      runningAttempts: [...this.#running, ...this.#reports.keys()],
      highestEpoch: this.#highestEpoch,
      version: "1",
    };
    this.#uplink.send({ kind: "attached", connection: this.#connection, hello });
  }

  commanded(connection: number, sent: ExecutorCommandSent): void {
    if (!this.isUp || connection !== this.#connection || this.#uplink === undefined) return;
    if (sent.epoch < this.#highestEpoch) return;
    const { command } = sent;
    if (command.kind === "refused") {
      this.breakLink();
      return;
    }
    this.#highestEpoch = sent.epoch;
    this.obeyed(sent);
    if (command.kind === "welcome") for (const id of this.#reports.keys()) this.#report(id);
    if (command.kind === "reportAck") this.#reports.delete(command.attemptId);
    if (command.kind === "cancelTask" && this.#running.delete(command.attemptId)) {
      this.#end(command.attemptId, { kind: "failed", failure: failure("cancelled", "") });
    }
    if (command.kind === "runTask") this.#run(command);
  }

  #run({ attemptId, work, delivery }: Extract<ExecutorCommand, { kind: "runTask" }>): void {
    if (this.#running.has(attemptId) || this.#reports.has(attemptId)) return;
    if (this.#running.size >= 2) {
      this.#end(attemptId, { kind: "failed", failure: failure("unavailable", "no free slot") });
      return;
    }
    const life = this.incarnation;
    this.#running.add(attemptId);
    this.#world.after(this.#world.between(20, 1_500), () => {
      if (!this.isUp || life !== this.incarnation || !this.#running.delete(attemptId)) return;
      const isBad = this.#faults.strikes(0.03, "failedTasks");
      const why = failure(this.#world.chance() < 0.5 ? "workerLost" : "exchangeFull", "bad luck");
      const outcome = isBad
        ? { kind: "failed" as const, failure: why }
        : carryOut(this.#memory, work, delivery);
      this.#end(attemptId, outcome);
    });
  }

  #end(attemptId: string, outcome: AttemptOutcome): void {
    this.#reports.set(attemptId, outcome);
    this.#report(attemptId);
  }

  #report(attemptId: string): void {
    const outcome = this.#reports.get(attemptId);
    const connection = this.#connection;
    if (outcome === undefined) return;
    this.#uplink?.send({ kind: "report", connection, attemptId, outcome });
  }
}
