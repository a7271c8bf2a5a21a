/**
 * One attach stream between an executor and a coordinator, as TCP does it: in order, delayed, held up while the two are
 * cut from each other, and broken at any time. What is on the way when it breaks is lost; each end hears of the break
 * by itself, and one whose machine vanished never says so: the other end finds out by its keepalive.
 */
import type { Command, Hello, ToLeader } from "../../executor/core/protocol.ts";
import type { Faults } from "./faults.ts";
import type { Network } from "./network.ts";
import type { World } from "./world.ts";

export type Up = { readonly kind: "hello"; readonly hello: Hello } | ToLeader;
export interface Down {
  readonly epoch: number;
  readonly command: Command;
}

/** What each end does with what arrives. */
export interface LinkEnds {
  readonly executor: string;
  readonly coordinator: string;
  readonly up: (message: Up) => void;
  readonly down: (message: Down) => void;
  readonly upLost: () => void;
  readonly downLost: (reason: string) => void;
}

const keepaliveMs = { least: 4_000, most: 12_000 };

export class Link {
  isOpen = true;
  readonly ends: LinkEnds;
  readonly #world: World;
  readonly #network: Network;
  readonly #faults: Faults;
  #upAt = 0;
  #downAt = 0;
  #isWatched = false;

  constructor(world: World, network: Network, faults: Faults, ends: LinkEnds) {
    this.#world = world;
    this.#network = network;
    this.#faults = faults;
    this.ends = ends;
  }

  up(message: Up): void {
    if (!this.#carries()) return;
    this.#upAt = this.#arrival(this.#upAt);
    const copies =
      message.kind === "report" && this.#faults.strikes(0.02, "reportDuplicated") ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#world.exactlyAt(this.#upAt, () => this.#ifOpen(() => this.ends.up(message)));
    }
  }

  down(message: Down): void {
    if (!this.#carries()) return;
    this.#downAt = this.#arrival(this.#downAt);
    this.#world.exactlyAt(this.#downAt, () => this.#ifOpen(() => this.ends.down(message)));
  }

  /** The coordinator ends it: what was sent before still arrives, then the executor hears of the end. */
  endByCoordinator(): void {
    if (!this.isOpen) return;
    const at = this.#arrival(this.#downAt);
    this.#world.exactlyAt(at, () => {
      if (this.isOpen) this.#shut(undefined, "the coordinator closed the link");
    });
  }

  /** The executor ends it and wants to hear nothing more. */
  endByExecutor(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#soon(this.ends.upLost);
  }

  /** It breaks for both. */
  break(reason: string): void {
    if (this.isOpen) this.#shut(this.ends.upLost, reason);
  }

  /** One end is gone: the other one is told at once, or finds out much later. */
  endOf(side: "coordinator" | "executor", isTold: boolean): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const tell =
      side === "executor" ? this.ends.upLost : () => this.ends.downLost("the coordinator is gone");
    if (isTold) this.#soon(tell);
    else this.#world.after(this.#world.between(keepaliveMs.least, keepaliveMs.most), tell);
  }

  /** Does a message get onto the way? A lost one breaks the link: TCP delivers all or nothing. */
  #carries(): boolean {
    if (!this.isOpen) return false;
    if (this.#faults.strikes(0.0005, "messageLost")) {
      this.break("a message was lost");
      return false;
    }
    return true;
  }

  /** After what was sent before, and not while the two are cut; a cut that lasts breaks the link. */
  #arrival(notBefore: number): number {
    const world = this.#world;
    const { executor, coordinator } = this.ends;
    const clearAt = this.#network.clearAt(executor, coordinator);
    if (clearAt > world.at && !this.#isWatched) this.#watch();
    return Math.ceil(Math.max(notBefore, clearAt + world.between(1, 20)));
  }

  #watch(): void {
    const { executor, coordinator } = this.ends;
    this.#isWatched = true;
    this.#world.after(this.#world.between(keepaliveMs.least, keepaliveMs.most), () => {
      this.#isWatched = false;
      if (this.#network.isCut(executor, coordinator)) this.break("nothing comes through");
    });
  }

  #shut(upLost: (() => void) | undefined, reason: string): void {
    this.isOpen = false;
    if (upLost !== undefined) this.#soon(upLost);
    this.#soon(() => this.ends.downLost(reason));
  }

  #soon(run: () => void): void {
    this.#world.after(this.#world.between(1, 300), run);
  }

  #ifOpen(run: () => void): void {
    if (this.isOpen) run();
  }
}
