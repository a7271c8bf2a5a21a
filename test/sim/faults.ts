/**
 * What goes wrong, and how often: one value per seed, so that some histories are quiet and some are not.
 * Each kind counts how often it struck: a test of a fault that never happened proves nothing.
 */
import type { Ask } from "../../coordinator/core/protocol.ts";
import type { World } from "./world.ts";

export interface Counts {
  lostAsks: number;
  cancels: number;
  midStepKills: number;
  unansweredAsks: number;
  coordinatorKills: number;
  coordinatorPauses: number;
  executorKills: number;
  brokenLinks: number;
  failedTasks: number;
  lostExchanges: number;
  lostJournals: number;
  shortages: number;
}

export class Faults {
  isOn = true;
  readonly counts: Counts = {
    lostAsks: 0,
    cancels: 0,
    midStepKills: 0,
    unansweredAsks: 0,
    coordinatorKills: 0,
    coordinatorPauses: 0,
    executorKills: 0,
    brokenLinks: 0,
    failedTasks: 0,
    lostExchanges: 0,
    lostJournals: 0,
    shortages: 0,
  };
  /** Share of port calls that go wrong. */
  readonly #badAsks: number;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.#badAsks = world.pick([0, 0, 0.01, 0.05]) ?? 0;
  }

  /** lost: it never happened. unanswered: it happened, and nobody says so. */
  fateOf(_ask: Ask): "fine" | "lost" | "unanswered" {
    if (!this.isOn || this.#world.chance() >= this.#badAsks) return "fine";
    if (this.#world.chance() < 0.5) {
      this.counts.lostAsks++;
      return "lost";
    }
    this.counts.unansweredAsks++;
    return "unanswered";
  }

  /** Strikes with the given probability. */
  strikes(probability: number, kind: keyof Counts): boolean {
    if (!this.isOn || this.#world.chance() >= probability) return false;
    this.counts[kind]++;
    return true;
  }
}
