/**
 * An executor process of the simulation: the production step, and a shell that does what the real one does with
 * effects: worker processes, links by number, questions to the registry. It can die between any two effects.
 */
import type { Effect, Hello, Message } from "../../executor/core/protocol.ts";
import { checkInvariants, type ExecutorState, initialState } from "../../executor/core/state.ts";
import { step } from "../../executor/core/step.ts";
import { unreachable } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { hashVersion, wireVersion } from "../../shared/kernel/work.ts";
import type { Hint } from "./cluster-memory.ts";
import type { Faults } from "./faults.ts";
import type { Down, Link } from "./link.ts";
import { type Network, nats } from "./network.ts";
import { SimActor } from "./sim-actor.ts";
import type { SimMemory } from "./sim-memory.ts";
import { SimWorkers } from "./sim-workers.ts";
import type { World } from "./world.ts";

/** State of the link, and whether it is leaving. */
export function executorStateName({ link, drain }: ExecutorState): string {
  return drain === undefined ? link.kind : `${link.kind}, draining`;
}

export function executorMessageKey(message: Message): string {
  return message.kind === "commanded" ? `commanded: ${message.command.kind}` : message.kind;
}

export interface ExecutorListeners {
  readonly stepped: (
    executor: SimExecutor,
    before: ExecutorState,
    message: Message,
    effects: readonly Effect[],
  ) => void;
  /** Dials. Where nobody answers the link is closed already, and its loss is told later. */
  readonly dial: (executor: SimExecutor, link: number, address: string) => Link;
}

export interface Surroundings {
  readonly world: World;
  readonly network: Network;
  readonly faults: Faults;
  readonly memory: SimMemory;
}

export class SimExecutor extends SimActor<Message> {
  state: ExecutorState;
  protected readonly tick: Message = { kind: "tick" };
  readonly #around: Surroundings;
  readonly #listeners: ExecutorListeners;
  readonly #slots: number;
  readonly #links = new Map<number, Link>();
  #workers: SimWorkers;
  #duckdb = "v1";
  #isAsking = false;

  constructor(
    around: Surroundings,
    listeners: ExecutorListeners,
    about: {
      readonly name: string;
      readonly number: number;
      readonly slots: number;
      readonly hasAllTicks: boolean;
    },
  ) {
    super(around.world, { ...about, tickEveryMs: limits.executorTickMs });
    this.#around = around;
    this.#listeners = listeners;
    this.#slots = about.slots;
    this.state = this.#fresh();
    this.#workers = this.#newWorkers();
    const { life } = this;
    // Nothing can come before it: nobody knows of this process yet.
    this.world.exactlyAt(0, () => this.post({ kind: "started" }, life));
  }

  #fresh(): ExecutorState {
    return initialState({
      id: this.name,
      incarnation: this.world.between(1, 2 ** 40),
      slots: this.#slots,
      host: `host-${this.name}`,
      pid: this.life,
      wireVersion,
      hashVersion,
      version: "1",
    });
  }

  #newWorkers(): SimWorkers {
    const { life } = this;
    const { faults } = this.#around;
    const workers = new SimWorkers({
      ...this.#around,
      executor: this.name,
      duckdb: () => this.#duckdb,
      post: (message) => this.post(message, life),
    });
    workers.slowness = faults.strikes(0.1, "executorSlow") ? 6 : 1;
    return workers;
  }

  /** `isTold`: the system closes its links; otherwise the machine is gone without a word. */
  kill(isTold: boolean): void {
    if (!this.isUp) return;
    this.world.trace(`${this.name} ${isTold ? "dies" : "vanishes"}`);
    this.die();
    this.#workers.abandon();
    for (const link of this.#links.values()) link.endOf("executor", isTold);
    this.#links.clear();
  }

  start(): void {
    if (this.isUp) return;
    this.world.trace(`${this.name} starts`);
    this.isUp = true;
    this.#isAsking = false;
    this.#duckdb = this.#around.faults.strikes(0.03, "executorOutdated") ? "v0" : "v1";
    this.state = this.#fresh();
    this.#workers = this.#newWorkers();
    this.post({ kind: "started" });
  }

  heard({ epoch, coordinator, address }: Hint): void {
    this.post({ kind: "leaderHeard", epoch, coordinator, address });
  }

  breakLink(): void {
    for (const link of this.#links.values()) link.break("it broke");
  }

  /** A link that was dialled has ended, or could not be opened. */
  lost(link: number, life: number, reason: string): void {
    this.reach(life, () => {
      if (this.#links.delete(link)) this.takeNow({ kind: "linkLost", link, reason });
    });
  }

  /** What comes down a link that was left is not heard any more. */
  commanded(link: number, life: number, { epoch, command }: Down): void {
    this.reach(life, () => {
      if (this.#links.has(link)) this.takeNow({ kind: "commanded", link, epoch, command });
    });
  }

  protected dueAt(): number {
    const { ended, link, slots, reports, drain, askLeaderAt, leader, duckdbVersion } = this.state;
    if (ended) return Number.POSITIVE_INFINITY;
    let due = askLeaderAt;
    if (link.kind === "opening") due = Math.min(due, link.giveUpAt);
    else if (link.kind === "attached") {
      due = Math.min(due, link.heartbeatAt);
      for (const { sentAt } of reports) due = Math.min(due, (sentAt ?? 0) + limits.reportResendMs);
    } else if (leader !== undefined && duckdbVersion !== undefined) {
      due = Math.min(due, link.retryAt);
    }
    for (const { worker, attempt } of slots) {
      if (worker.kind === "down") due = Math.min(due, worker.startAt);
      else if (worker.kind !== "ready") due = Math.min(due, worker.killAt);
      else if (attempt?.ending !== undefined) due = Math.min(due, attempt.ending.killAt);
    }
    if (drain === undefined) return due;
    const isFree = slots.every(({ attempt }) => attempt === undefined || attempt.ending);
    if (!isFree) due = Math.min(due, drain.handBackAt);
    return Math.min(due, drain.leaveAt ?? Number.POSITIVE_INFINITY);
  }

  protected take(message: Message): void {
    const before = this.state;
    const [after, effects] = step(before, { at: this.world.at, wall: 0, message });
    this.state = after;
    // They are about these three; most steps leave all of them as they were.
    const { slots, reports, settled } = before;
    const isSame = slots === after.slots && reports === after.reports && settled === after.settled;
    if (!isSame) checkInvariants(after);
    if (effects.length > 0 && (effects.length > 1 || effects[0]?.kind !== "askLeader")) {
      const told = effects
        .map((one) => (one.kind === "send" ? one.message.kind : one.kind))
        .join(",");
      const key = executorMessageKey(message);
      this.world.trace(`${this.name} ${executorStateName(before)} ${key} > ${told}`);
    }
    this.#listeners.stepped(this, before, message, effects);
    const { life } = this;
    for (const effect of effects) {
      this.#interpret(effect);
      if (life !== this.life) return;
      if (!this.#around.faults.strikes(0.0001, "executorKilledMidStep")) continue;
      this.kill(true);
      this.world.after(this.world.between(100, 6_000), () => this.start());
      return;
    }
  }

  #interpret(effect: Effect): void {
    switch (effect.kind) {
      case "askLeader":
        this.#askLeader();
        return;
      case "openLink":
        this.#openLink(effect.link, effect.address, effect.hello);
        return;
      case "send":
        this.#links.get(effect.link)?.up(effect.message);
        return;
      case "closeLink": {
        const link = this.#links.get(effect.link);
        this.#links.delete(effect.link);
        link?.endByExecutor();
        return;
      }
      case "startWorker":
        this.#workers.start(effect.slot, effect.worker);
        return;
      case "giveWork":
        this.#workers.give(effect.worker, effect.attemptId, effect.work, effect.delivery);
        return;
      case "interruptWorker":
        this.#workers.interrupt(effect.worker, effect.attemptId);
        return;
      case "quitWorker":
        this.#workers.quit(effect.worker);
        return;
      case "killWorker":
        this.#workers.kill(effect.worker);
        return;
      case "exit":
        this.#exit(effect.reason);
        return;
      case "announceReady":
      case "log":
        return;
      default:
        unreachable(effect);
    }
  }

  #openLink(number: number, address: string, hello: Hello): void {
    const link = this.#listeners.dial(this, number, address);
    this.#links.set(number, link);
    link.up({ kind: "hello", hello });
  }

  #askLeader(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { network, memory } = this.#around;
    const { life } = this;
    const waitMs = network.clearAt(this.name, nats) - this.world.at;
    const isHeard = waitMs < limits.natsRequestMs;
    const ms = Math.min(waitMs, limits.natsRequestMs) + this.world.between(2, 30);
    this.world.after(ms, () => {
      if (life !== this.life) return;
      this.#isAsking = false;
      const { hint } = memory;
      if (isHeard && hint !== undefined) this.heard(hint);
    });
  }

  /** It ends the process; whoever watches over it starts a new one. */
  #exit(reason: string): void {
    this.world.trace(`${this.name} exits: ${reason}`);
    this.kill(true);
    this.world.after(this.world.between(200, 6_000), () => this.start());
  }
}
