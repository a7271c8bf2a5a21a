/**
 * A coordinator process of the simulation: the production step, and a shell that does what the real one does with
 * effects: calls, replies, attach streams by connection number. It can die between any two effects.
 */

import { checkInvariants } from "../../coordinator/core/invariants.ts";
import { candidateJitterMs } from "../../coordinator/core/leadership.ts";
import type {
  Ask,
  Effect,
  ExecutorCommand,
  Message,
  Reply,
} from "../../coordinator/core/protocol.ts";
import { type CoordinatorState, initialState } from "../../coordinator/core/state.ts";
import { step } from "../../coordinator/core/step.ts";
import type { Command } from "../../executor/core/protocol.ts";
import type { AlertConfig } from "../../shared/kernel/alert.ts";
import { unreachable } from "../../shared/kernel/assert.ts";
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { isBackground, workText } from "../../shared/kernel/work.ts";
import type { Calls } from "./calls.ts";
import type { Faults } from "./faults.ts";
import type { Link, Up } from "./link.ts";
import { SimActor } from "./sim-actor.ts";
import type { World } from "./world.ts";

/** Role and, on the way to lead, what is waited for. */
export function stateName({ role }: CoordinatorState): string {
  return role.kind === "candidate" ? `candidate: ${role.phase}` : role.kind;
}

export interface CoordinatorListeners {
  /** After each step; `before` names the state that took the message. */
  readonly stepped: (
    coordinator: SimCoordinator,
    message: Message,
    key: string,
    before: string,
    effects: readonly Effect[],
  ) => void;
  readonly replied: (reply: number, result: Reply) => void;
}

export const stateNames = [
  "standby",
  ...["fences", "taking", "claiming", "storage", "journal", "leading"].map(
    (phase) => `candidate: ${phase}`,
  ),
  "leader",
];

/** Answers to a few kinds of asks, other ones in each seed, are made to come under another role. */
export interface Haunts {
  /** Kind → what share of its answers, and how many more. */
  readonly kinds: ReadonlyMap<Ask["kind"], { readonly share: number; left: number }>;
  /** Goes on through the roles in which they come. */
  turn: number;
}

interface Parked {
  readonly message: Message;
  /** Name of the state in which it comes. */
  readonly until: string;
}

interface Connection {
  readonly link: Link;
  attached: boolean;
}

export class SimCoordinator extends SimActor<Message> {
  state: CoordinatorState;
  protected readonly tick: Message = { kind: "tick" };
  readonly #faults: Faults;
  readonly #calls: Calls;
  readonly #listeners: CoordinatorListeners;
  readonly #connections = new Map<number, Connection>();
  #lastConnection = 0;
  readonly #asks = new Map<number, Ask["kind"]>();
  #parked: readonly Parked[] = [];
  readonly #haunts: Haunts;
  readonly #alerts: AlertConfig | undefined;

  constructor(
    world: World,
    faults: Faults,
    calls: Calls,
    listeners: CoordinatorListeners,
    about: {
      readonly name: string;
      readonly number: number;
      readonly hasAllTicks: boolean;
      readonly haunts: Haunts;
      readonly alerts?: AlertConfig;
    },
  ) {
    super(world, { ...about, tickEveryMs: limits.tickEveryMs });
    this.#haunts = about.haunts;
    this.#alerts = about.alerts;
    this.#faults = faults;
    this.#calls = calls;
    this.#listeners = listeners;
    this.state = this.#fresh();
    this.planTick();
  }

  get address(): string {
    return `${this.name}:1`;
  }

  #fresh(): CoordinatorState {
    const { name, address } = this;
    const config = { coordinator: name, address, cluster: "sim", duckdb: "v1" };
    return initialState(this.#alerts === undefined ? config : { ...config, alerts: this.#alerts });
  }

  /** `isTold`: the system closes its connections; otherwise the machine is gone without a word. */
  kill(isTold: boolean): void {
    if (!this.isUp) return;
    this.world.trace(`${this.name} ${isTold ? "dies" : "vanishes"}`);
    this.die();
    for (const { link } of this.#connections.values()) link.endOf("coordinator", isTold);
    this.#connections.clear();
    this.#asks.clear();
    this.#parked = [];
  }

  start(): void {
    if (this.isUp) return;
    this.world.trace(`${this.name} starts`);
    this.isUp = true;
    this.#lastConnection = 0;
    this.state = this.#fresh();
    this.planTick();
  }

  /** A new stream; gives its connection number. */
  accept(link: Link): number {
    const connection = ++this.#lastConnection;
    this.#connections.set(connection, { link, attached: false });
    return connection;
  }

  heard(connection: number, life: number, message: Up): void {
    this.reach(life, () => {
      const found = this.#connections.get(connection);
      if (found === undefined) return;
      if (message.kind === "hello") found.attached = true;
      this.takeNow(fromWire(connection, message));
    });
  }

  gone(connection: number, life: number): void {
    this.reach(life, () => {
      const found = this.#connections.get(connection);
      this.#connections.delete(connection);
      if (found?.attached) this.takeNow({ kind: "detached", connection });
    });
  }

  protected dueAt(): number {
    const { role, stopping } = this.state;
    if (role.kind !== "standby") return this.world.at;
    if (stopping) return Number.POSITIVE_INFINITY;
    if (role.silentSince === undefined || !role.looked) return this.world.at;
    return role.silentSince + limits.leaseExpiresMs + candidateJitterMs(this.name);
  }

  protected take(message: Message): void {
    const before = stateName(this.state);
    const key = this.#keyOf(message);
    const { at } = this.world;
    const [, effects] = step(this.state, { at, wall: this.world.wallFrom + at, message });
    checkInvariants(this.state);
    if (effects.length > 0) {
      const told = effects.map((one) => one.kind).join(",");
      this.world.trace(`${this.name} ${before} ${key} > ${told}`);
    }
    this.#listeners.stepped(this, message, key, before, effects);
    const { life } = this;
    for (const effect of effects) {
      this.#interpret(effect);
      if (life !== this.life) return;
      // The worst moment to die: some of a step's effects have left, the others never will.
      if (!this.#faults.strikes(0.0003, "coordinatorKilledMidStep")) continue;
      this.kill(true);
      this.world.after(this.world.between(100, 4_000), () => this.start());
      return;
    }
    if (this.#parked.length > 0 && stateName(this.state) !== before) this.#release();
  }

  #keyOf(message: Message): string {
    if (message.kind !== "answered") return message.kind;
    const kind = this.#asks.get(message.id) ?? "unknown";
    this.#asks.delete(message.id);
    return `answered: ${kind}`;
  }

  #interpret(effect: Effect): void {
    const { life } = this;
    if ("id" in effect) {
      this.#ask(effect);
      return;
    }
    switch (effect.kind) {
      case "again":
        this.world.after(1, () => this.post({ kind: "proceed" }, life));
        if (this.#faults.strikes(0.02, "coordinatorPaused")) {
          this.pause(this.world.between(2_500, 6_000));
        }
        return;
      case "reply":
        this.#listeners.replied(effect.reply, effect.result);
        return;
      case "toExecutor": {
        const command = toWire(effect.command);
        this.#connections.get(effect.connection)?.link.down({ epoch: effect.epoch, command });
        return;
      }
      case "closeConnection": {
        const { connection } = effect;
        const found = this.#connections.get(connection);
        if (found === undefined) return;
        this.#connections.delete(connection);
        found.link.endByCoordinator();
        if (found.attached) {
          this.world.after(0, () => this.post({ kind: "detached", connection }, life));
        }
        return;
      }
      default:
        return;
    }
  }

  #ask(ask: Ask): void {
    const { life, name, address } = this;
    this.#asks.set(ask.id, ask.kind);
    const isHaunted = this.#isHaunted(ask);
    if (isHaunted && this.state.role.kind !== "standby") {
      // It wakes up deposed, and the answer is still to come.
      this.#faults.count("coordinatorPaused");
      this.world.after(0, () => {
        if (life === this.life) this.pause(this.world.between(2_500, 6_000));
      });
    }
    this.#calls.call(ask, { coordinator: name, address }, (answer, isParked) => {
      const message: Message = { kind: "answered", id: ask.id, answer };
      if (isParked || isHaunted) this.#park(message, life);
      else this.post(message, life);
    });
  }

  #isHaunted(ask: Ask): boolean {
    const haunt = this.#haunts.kinds.get(ask.kind);
    if (!this.#faults.isOn || haunt === undefined || haunt.left === 0) return false;
    if (this.world.chance() >= haunt.share) return false;
    haunt.left--;
    this.#faults.count("answerParked");
    return true;
  }

  /** Are answers of an earlier role still to come? */
  get hasParked(): boolean {
    return this.#parked.length > 0;
  }

  /** Until its role is another one, each in turn; or for long. */
  #park(message: Message, life: number): void {
    if (!this.isUp || life !== this.life) return;
    const asked = stateName(this.state);
    const others = stateNames.filter((name) => name !== asked);
    const until = others[this.#haunts.turn++ % others.length] ?? "standby";
    const parked = { message, until };
    this.#parked = [...this.#parked, parked];
    const unpark = (isStuck: () => boolean) => () => {
      if (life === this.life && isStuck()) this.#unpark(parked);
    };
    this.world.after(
      this.world.between(8_000, 20_000),
      unpark(() => stateName(this.state) === asked),
    );
    this.world.after(
      150_000,
      unpark(() => true),
    );
  }

  #unpark(parked: Parked): void {
    if (!this.#parked.includes(parked)) return;
    this.#parked = this.#parked.filter((one) => one !== parked);
    this.post(parked.message);
  }

  /** The role has changed: answers that were kept for this moment come now. */
  #release(): void {
    const { life } = this;
    const now = stateName(this.state);
    for (const parked of this.#parked) {
      if (parked.until !== now) continue;
      this.world.after(0, () => {
        if (life === this.life) this.#unpark(parked);
      });
    }
  }
}

/** What an executor says, in the coordinator's words. */
function fromWire(connection: number, message: Up): Message {
  switch (message.kind) {
    case "hello": {
      const { id, duckdbVersion, wireVersion, hashVersion, ...rest } = message.hello;
      const versions = { duckdb: duckdbVersion, wire: wireVersion, hash: hashVersion };
      return { kind: "attached", connection, hello: { ...rest, ...versions, executor: id } };
    }
    case "heartbeat": {
      const { running, workerPids, peakMemoryBytes } = message;
      return { kind: "heartbeat", connection, running, workerPids, peakMemoryBytes };
    }
    case "report": {
      const { attemptId, outcome } = message;
      return { kind: "report", connection, attemptId, outcome };
    }
    case "draining":
      return { kind: "draining", connection, reason: message.reason };
    default:
      return unreachable(message);
  }
}

/** As it travels: work and delivery are texts to the executor. */
function toWire(command: ExecutorCommand): Command {
  switch (command.kind) {
    case "runTask": {
      const { kind, attemptId, work, delivery } = command;
      return {
        kind,
        attemptId,
        work: workText(work),
        delivery: canonicalJson(delivery as unknown as Json),
        background: isBackground(delivery),
      };
    }
    case "refused":
      return { kind: "refused", failure: command.failure };
    case "welcome":
    case "cancelTask":
    case "reportAck":
    case "drainNow":
      return command;
    default:
      return unreachable(command);
  }
}
