/**
 * A coordinator process of the simulation: the production step, and a shell whose port calls take time, may not
 * happen, and may happen without an answer. It can be killed, started again and paused (then it wakes up a zombie).
 */
import type { Ask, Effect, Message, Reply } from "../../coordinator/core/protocol.ts";
import {
  type CoordinatorState,
  checkInvariants,
  initialState,
} from "../../coordinator/core/state.ts";
import { step } from "../../coordinator/core/step.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { type ClusterMemory, failed } from "./cluster-memory.ts";
import type { Faults } from "./faults.ts";
import type { Link } from "./link.ts";
import type { ExecutorCommandSent, FromExecutor } from "./sim-executor.ts";
import type { World } from "./world.ts";

export class SimCoordinator {
  readonly name: string;
  state: CoordinatorState;
  /** Grows with each start: what was meant for an earlier life is dropped. */
  life = 1;
  isUp = true;
  readonly links = new Map<number, Link<FromExecutor, ExecutorCommandSent>>();
  /** How executors are reached; set by the cluster. */
  deliver: (connection: number, sent: ExecutorCommandSent) => void = () => {};
  /** After each step. */
  observe: (message: Message, effects: readonly Effect[]) => void = () => {};
  replied: (reply: number, result: Reply) => void = () => {};
  readonly #world: World;
  readonly #memory: ClusterMemory;
  readonly #faults: Faults;
  #pausedUntil = 0;

  constructor(world: World, memory: ClusterMemory, faults: Faults, name: string) {
    this.name = name;
    this.#world = world;
    this.#memory = memory;
    this.#faults = faults;
    this.state = this.#fresh();
    this.#tick(this.life);
  }

  get address(): string {
    return `${this.name}:1`;
  }

  #fresh(): CoordinatorState {
    const { name, address } = this;
    return initialState({ coordinator: name, address, cluster: "sim", duckdb: "v1" });
  }

  kill(): void {
    this.isUp = false;
    this.life++;
    for (const link of this.links.values()) link.isOpen = false;
    this.links.clear();
  }

  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.state = this.#fresh();
    this.#tick(this.life);
  }

  /** Nothing is taken from the mailbox for so long; everything in it comes afterwards, at once. */
  pause(ms: number): void {
    this.#pausedUntil = this.#world.at + ms;
  }

  post(message: Message, life = this.life): void {
    if (!this.isUp || life !== this.life) return;
    const restMs = this.#pausedUntil - this.#world.at;
    if (restMs > 0) {
      this.#world.after(restMs, () => this.post(message, life));
      return;
    }
    const { at } = this.#world;
    const [, effects] = step(this.state, { at, wall: 1_000_000 + at, message });
    checkInvariants(this.state);
    this.observe(message, effects);
    for (const effect of effects) {
      this.#interpret(effect);
      // The worst moment to die: some of a step's effects have left, the others never will.
      if (!this.#faults.strikes(0.002, "midStepKills")) continue;
      this.kill();
      this.#world.after(this.#world.between(100, 4_000), () => this.start());
      return;
    }
  }

  #tick(life: number): void {
    if (!this.isUp || life !== this.life) return;
    this.post({ kind: "tick" });
    this.#world.after(limits.tickEveryMs, () => this.#tick(life));
  }

  #interpret(effect: Effect): void {
    const { life } = this;
    if ("id" in effect) {
      this.#carryOut(effect);
      return;
    }
    if (effect.kind === "again") this.#world.after(1, () => this.post({ kind: "proceed" }, life));
    if (effect.kind === "reply") this.replied(effect.reply, effect.result);
    if (effect.kind === "toExecutor") {
      this.deliver(effect.connection, { epoch: effect.epoch, command: effect.command });
    }
    if (effect.kind === "closeConnection") {
      const link = this.links.get(effect.connection);
      this.links.delete(effect.connection);
      // What was sent before still arrives: the far end hears of the close last.
      if (link !== undefined) this.#world.after(30, () => link.close(() => {}));
    }
  }

  #carryOut(ask: Ask): void {
    const { life } = this;
    const world = this.#world;
    const from = { coordinator: this.name, address: this.address };
    const fate = this.#faults.fateOf(ask);
    const unanswered = failed("unavailable", `no answer to ${ask.kind}`);
    world.after(world.between(1, 15), () => {
      // A killed process's request may still arrive: it left before.
      const answer = fate === "lost" ? unanswered : this.#memory.answer(ask, from);
      const isAnswered = fate === "fine";
      const waitMs = isAnswered ? world.between(1, 15) : limits.natsRequestMs;
      world.after(waitMs, () => {
        const heard = isAnswered ? answer : unanswered;
        this.post({ kind: "answered", id: ask.id, answer: heard }, life);
      });
    });
  }
}
