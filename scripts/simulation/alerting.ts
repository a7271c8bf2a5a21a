/**
 * Alerts in the simulation: who is told of what, receivers that fail, take what they say they did not, and answer late,
 * people who silence and try channels, breakers that open and close.
 */
import type { Answer, ClientMessage, Message } from "../../coordinator/core/protocol.ts";
import { type AlertAction, type AlertConfig, alertRules } from "../../shared/kernel/alert.ts";
import { must } from "../../shared/kernel/assert.ts";
import { failed } from "./cluster-memory.ts";
import type { Faults } from "./faults.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { SimMemory } from "./sim-memory.ts";
import type { World } from "./world.ts";

/** Short times, so that what takes hours happens within minutes. */
export const simAlerts: AlertConfig = {
  channels: [
    { name: "chat", kind: "slack" },
    { name: "pager", kind: "pagerduty" },
    { name: "mail", kind: "email" },
  ],
  routes: [
    { severities: ["critical"], jobs: [], rules: [], channels: ["pager"], goOn: true },
    { severities: [], jobs: ["traffic"], rules: [], channels: ["mail"], goOn: true },
    { severities: [], jobs: [], rules: [], channels: ["chat"], goOn: false },
  ],
  groupWaitMs: 5_000,
  groupIntervalMs: 15_000,
  repeatMs: { critical: 60_000, warning: 120_000, info: 0 },
  quietHours: { from: "00:02", to: "00:04", timezone: "UTC" },
  rules: { backlogGrowing: { off: true }, leaderChanged: { severity: "critical" } },
  thresholds: {
    baselineRuns: 7,
    baselineRunsMin: 2,
    slowFactor: 1.5,
    slowFloorMs: 5_000,
    trendFactor: 1.25,
    trendFloorMs: 5_000,
    throughputShare: 0.7,
    volumeLow: 0.6,
    volumeHigh: 1.5,
    rejectsShare: 0.001,
    executorsMin: 3,
    backlogDays: 1,
    fullShare: 0.85,
    notStartedAfterMs: 10_000,
  },
  heartbeatEveryMs: 10_000,
};

export class Alerting {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #memory: SimMemory;
  /** Share of messages that a receiver does not take, or takes and does not say so. */
  readonly #badShare: number;
  #replies = -1;

  constructor(world: World, faults: Faults, memory: SimMemory) {
    this.#world = world;
    this.#faults = faults;
    this.#memory = memory;
    this.#badShare = world.pick([0, 0.2, 0.5, 0.8]) ?? 0;
    memory.take = (notice) => this.#receive(notice.id);
  }

  #receive(id: string): Answer {
    if (!this.#faults.isOn || this.#world.chance() >= this.#badShare) return { kind: "ok" };
    const kind = this.#world.pick(["away", "away", "unsure", "patience", "never"] as const);
    this.#world.trace(`  receiver of ${id} is ${kind}`);
    if (kind === "unsure") this.#memory.unsure.add(id);
    if (kind === "never") return failed("badRequest", "the receiver wants nothing more");
    const away = failed("unavailable", "the receiver is away");
    if (kind !== "patience" || away.kind !== "failed") return away;
    const detail = { retryAfterMs: this.#world.between(1, 20_000) };
    return { kind: "failed", failure: { ...away.failure, detail } };
  }

  /** At a moment that is not theirs to choose. */
  poke(coordinator: SimCoordinator): void {
    const state = this.#world.pick(["working", "resting", "probing"] as const) ?? "working";
    const changed: Message = { kind: "channelChanged", channel: "chat", state, reason: "" };
    const reply = this.#replies--;
    const said: ClientMessage =
      this.#world.chance() < 0.2
        ? { kind: "question", reply, question: { kind: "alerts", which: "open", job: "" } }
        : { kind: "alert", reply, action: this.#action() };
    const { life } = coordinator;
    this.#world.after(0, () => {
      coordinator.post(changed, life);
      coordinator.post(said, life);
    });
  }

  #action(): AlertAction {
    const world = this.#world;
    const kind = world.pick(["silence", "silence", "unsilence", "test"] as const) ?? "test";
    if (kind === "test") return { kind, channel: world.pick(["chat", "nobody"]) ?? "chat" };
    if (kind === "unsilence") return { kind, id: `s${world.between(1, 40)}` };
    const rule = must(world.pick(alertRules), "there are rules");
    const about = { rule, job: "", day: "", subject: "", by: "somebody", reason: "" };
    return { kind, silence: { ...about, forMs: world.between(1_000, 30_000) } };
  }
}
