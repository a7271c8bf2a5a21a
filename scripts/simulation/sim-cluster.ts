/**
 * A cluster of the simulation: coordinators, executors, users, and trouble for most of the time. After every step the
 * checkers look; at the end faults stop and everything that was promised must have come true.
 */
import { liveRuns } from "../../coordinator/core/durable.ts";
import type { Ask } from "../../coordinator/core/protocol.ts";
import { must } from "../../shared/kernel/assert.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { Alerting, simAlerts } from "./alerting.ts";
import { Calls } from "./calls.ts";
import { Checkers } from "./checkers.ts";
import type { Hint } from "./cluster-memory.ts";
import {
  askKinds,
  askKindsOfAlerts,
  askKindsOfDays,
  Coverage,
  coordinatorTable,
  executorTable,
} from "./coverage.ts";
import { Faults } from "./faults.ts";
import { type SimJob, simDays } from "./jobs.ts";
import { Link } from "./link.ts";
import { Network, nats, watch } from "./network.ts";
import { type Haunts, SimCoordinator, stateName } from "./sim-coordinator.ts";
import { executorMessageKey, executorStateName, SimExecutor } from "./sim-executor.ts";
import { filesOf, SimMemory } from "./sim-memory.ts";
import { beginTrouble } from "./trouble.ts";
import { Users } from "./users.ts";
import { World } from "./world.ts";

/** When faults stop, and when everything must be done. */
export const simTimes = {
  troubleMs: 450_000,
  wishesMs: 430_000,
  endMs: 600_000,
  /** For slow executors that have more to do. */
  lastMs: 900_000,
  tidyMs: 120_000,
  /** A run that ends so close to the end has left what is not tidied up yet. */
  closeMs: 30_000,
} as const;

/** As a folder is listed. */
function byPath(one: FileFingerprint, other: FileFingerprint): number {
  return one.path < other.path ? -1 : 1;
}

/** Asks that a seed makes a few times at most, and one that a candidate makes whom no pause deposes. */
const seldomLate: readonly Ask["kind"][] = [
  "takeEpoch",
  "trimJournal",
  "saveSnapshot",
  "saveJob",
  "dropStreams",
  "readCompletions",
  "dropRevision",
  // Only runs in quarantine are released: two turns.
  "release",
  "release",
  // Only runs of some models carry datasets over: two turns.
  "readRevision",
  "readRevision",
];

/** One seed in so many has jobs with a schedule: their days run by themselves as well. */
const scheduledEvery = 4;

function isScheduled(seed: number): boolean {
  return seed % scheduledEvery === scheduledEvery - 1;
}

/** Half of those have alerts as well. */
function hasAlerts(seed: number): boolean {
  return isScheduled(seed) && Math.floor(seed / scheduledEvery) % 2 === 1;
}

/** One seed in ten has a model across days, half of them with a schedule. */
function hasHistory(seed: number): boolean {
  const turn = Math.floor(seed / scheduledEvery);
  return turn % 5 === 2 && seed % scheduledEvery >= scheduledEvery - 2;
}

/** Two minutes before midnight: the second of `simDays` is due while everything is in trouble. */
const scheduledFromMs = Date.parse("2026-01-16T23:58:00Z");

/** Seeds in a row take the kinds of asks in turn, those whose answers seldom come late more often. */
function hauntsOf(seed: number): Haunts {
  const kindsOfAll = askKinds.filter((kind) => !askKindsOfAlerts.includes(kind));
  if (isScheduled(seed)) {
    const turn = Math.floor(seed / scheduledEvery);
    const late = [inTurn(askKindsOfDays, turn), inTurn(kindsOfAll, turn)];
    if (hasAlerts(seed)) late.push(inTurn(askKindsOfAlerts, Math.floor(turn / 2)));
    return { kinds: new Map(late.map((kind) => [kind, { share: 0.5, left: 8 }])), turn };
  }
  const kindsOfRuns = kindsOfAll.filter((kind) => !askKindsOfDays.includes(kind));
  const all = kindsOfRuns.length;
  const some = [seed, seed + Math.floor(all / 2)].map((turn) => inTurn(kindsOfRuns, turn));
  const kinds = new Map(some.map((kind) => [kind, { share: 0.4, left: 8 }]));
  kinds.set(inTurn(seldomLate, seed), { share: 1, left: 8 });
  // Once in each candidacy, of which few come as far as the last phase: more seeds than its own turns have it late.
  if (hasHistory(seed)) kinds.set("readStorage", { share: 1, left: 8 });
  return { kinds, turn: Math.floor(seed / all) };
}

function inTurn<T>(all: readonly T[], turn: number): T {
  return must(all[turn % all.length], "there are some");
}

export interface SimOptions {
  /** Leaves no tick out, for comparing. */
  readonly hasAllTicks?: boolean;
}

export class SimCluster {
  readonly world: World;
  readonly memory: SimMemory;
  readonly network: Network;
  readonly faults: Faults;
  readonly checkers: Checkers;
  readonly users: Users;
  readonly coverage = new Coverage();
  readonly coordinators: readonly SimCoordinator[];
  readonly executors: readonly SimExecutor[];
  /** Times that a coordinator began to lead after another leadership. */
  takeovers = -1;
  readonly #jobs: readonly SimJob[];
  readonly #alerting: Alerting | undefined;

  constructor(seed: number, given: readonly SimJob[], options: SimOptions = {}) {
    const hasAllTicks = options.hasAllTicks ?? false;
    this.world = new World(seed);
    const { world } = this;
    const isByItself = isScheduled(seed);
    if (isByItself) world.wallFrom = scheduledFromMs;
    const schedule = "1 0 * * *";
    const forms = given.map((job) => (hasHistory(seed) ? (job.across ?? job) : job));
    const jobs = isByItself
      ? forms.map(({ spec, ...rest }) => ({ ...rest, spec: { ...spec, schedule } }))
      : forms;
    this.#jobs = jobs;
    this.faults = new Faults(world);
    this.network = new Network(world);
    this.memory = new SimMemory(world, jobs);
    this.checkers = new Checkers(world, this.memory);
    const isTold = hasAlerts(seed);
    this.#alerting = isTold ? new Alerting(world, this.faults, this.memory) : undefined;
    this.#putFiles(isByItself);
    const names = world.chance() < 0.5 ? ["c1", "c2"] : ["c1", "c2", "c3"];
    const haunts = hauntsOf(seed);
    this.coordinators = names.map((name, number) =>
      this.#newCoordinator({
        ...{ name, number, hasAllTicks, haunts },
        ...(isTold ? { alerts: simAlerts } : {}),
      }),
    );
    const count = world.pick([3, 3, 3, 4, 4, 5, 6, 8, 12, 20]) ?? 3;
    this.executors = Array.from({ length: count }, (_, index) =>
      this.#newExecutor({ name: `e${index + 1}`, number: index + 3, hasAllTicks }),
    );
    this.memory.renewed = (hint) => this.#gossip(hint);
    this.users = new Users({ ...this, jobs, isByItself });
    this.users.begin(simTimes.wishesMs);
    this.#letHauntedLead();
    beginTrouble(this);
    this.#fillAtLast();
  }

  /** Trouble often ends while NATS is full: whoever leads then has to notice by itself that there is room again. */
  #fillAtLast(): void {
    const { world, faults, memory } = this;
    if (faults.strengthOf("natsFull") === 0) return;
    world.after(simTimes.troubleMs - world.between(2_000, 12_000), () => {
      if (!memory.fill("rows", simTimes.troubleMs)) return;
      faults.count("natsFull");
      world.trace("natsFull");
    });
  }

  #putFiles(isByItself: boolean): void {
    for (const { spec } of this.#jobs) {
      for (const { name } of spec.sources) {
        for (const day of simDays) {
          const files = filesOf(name, day, this.world.between(2, 6));
          this.memory.folders.set(`${name}|${day}`, files);
          if (isByItself && day === simDays[1]) this.#deliver(`${name}|${day}`, files);
        }
      }
    }
  }

  /** A day that is not due yet: its files come one after the other, most of them before its start. */
  #deliver(folder: string, files: readonly FileFingerprint[]): void {
    const { folders } = this.memory;
    const [first, ...others] = files;
    folders.set(folder, first === undefined ? [] : [first]);
    for (const file of others) {
      this.world.after(this.world.between(1_000, 200_000), () => {
        const there = folders.get(folder) ?? [];
        folders.set(folder, [...there, file].sort(byPath));
      });
    }
  }

  #newCoordinator(about: ConstructorParameters<typeof SimCoordinator>[4]): SimCoordinator {
    const { world, faults, network, memory } = this;
    const calls = new Calls(world, network, faults, memory);
    return new SimCoordinator(
      world,
      faults,
      calls,
      {
        stepped: (coordinator, _message, key, before, effects) => {
          this.coverage.saw(coordinatorTable, key, before);
          this.checkers.coordinatorStepped(coordinator, effects);
          const now = stateName(coordinator.state);
          if (now === before) return;
          if (now === "leader") this.takeovers++;
          if (faults.isOn && world.chance() < 0.5) this.users.poke(coordinator);
          if (faults.isOn) this.#alerting?.poke(coordinator);
        },
        replied: (reply, result) => this.users.replied(reply, result),
      },
      about,
    );
  }

  #newExecutor(about: { name: string; number: number; hasAllTicks: boolean }): SimExecutor {
    return new SimExecutor(
      this,
      {
        stepped: (executor, before, message, effects) => {
          const state = executorStateName(before);
          this.coverage.saw(executorTable, executorMessageKey(message), state);
          this.checkers.executorStepped(executor, before, message, effects);
          const hasMoved = executorStateName(executor.state) !== state;
          if (hasMoved && this.faults.isOn && this.world.chance() < 0.03) {
            this.users.pokeExecutor(executor);
          }
        },
        dial: (executor, link, address) => this.#dial(executor, link, address),
      },
      { ...about, slots: this.world.between(1, 3) },
    );
  }

  #dial(executor: SimExecutor, number: number, address: string): Link {
    const { world, network, faults } = this;
    const { life } = executor;
    const coordinator = this.coordinators.find((one) => one.address === address);
    const theirLife = coordinator?.life ?? 0;
    const link: Link = new Link(world, network, faults, {
      executor: executor.name,
      coordinator: coordinator?.name ?? address,
      up: (message) => coordinator?.heard(connection, theirLife, message),
      down: (message) => executor.commanded(number, life, message),
      upLost: () => coordinator?.gone(connection, theirLife),
      downLost: (reason) => executor.lost(number, life, reason),
    });
    const isThere = coordinator?.isUp === true;
    const isCut = network.isCut(executor.name, coordinator?.name ?? "");
    const connection = isThere && !isCut ? coordinator.accept(link) : 0;
    if (connection > 0) return link;
    link.isOpen = false;
    const ms = isCut ? world.between(1_000, 6_000) : world.between(1, 40);
    world.after(ms, () => executor.lost(number, life, "nobody answers"));
    return link;
  }

  /** One that has answers of an earlier role to come is soon given the chance to lead again. */
  #letHauntedLead(): void {
    const { world, faults } = this;
    world.after(world.between(6_000, 16_000), () => {
      if (!faults.isOn) return;
      const isWaited = this.coordinators.some((one) => one.isUp && one.hasParked);
      const leader = this.coordinators.find((one) => one.state.role.kind === "leader");
      if (isWaited && leader?.isUp && !leader.hasParked) {
        faults.count("coordinatorPaused");
        leader.pause(world.between(3_600, 7_000));
      }
      this.#letHauntedLead();
    });
  }

  /** The registry's watchers: hints arrive late, out of order, twice, or not at all. */
  #gossip(hint: Hint): void {
    const { world, faults, network } = this;
    for (const node of [...this.coordinators, ...this.executors]) {
      if (network.isCut(node.name, nats) || network.isCut(node.name, watch)) continue;
      if (faults.strikes(0.02, "hintLost")) continue;
      const tell = () => {
        if (node instanceof SimExecutor) node.heard(hint);
        else node.post({ kind: "leaderHeard", ...hint });
      };
      const isLate = faults.strikes(0.01, "hintDelayed");
      world.after(isLate ? world.between(500, 8_000) : world.between(1, 60), tell);
      if (faults.strikes(0.01, "hintDuplicated")) world.after(world.between(1, 2_000), tell);
    }
  }

  #hasRuns(): boolean {
    return this.coordinators.some(
      ({ state }) => state.role.kind === "leader" && liveRuns(state.durable).length > 0,
    );
  }

  /** Trouble for a while, then quiet; then everything must be as promised. */
  run(): void {
    const { world, faults, network, memory } = this;
    world.runUntil(simTimes.troubleMs);
    faults.isOn = false;
    network.heal();
    memory.reachAgain();
    memory.bytesPerStream = 0;
    world.trace("faults stop");
    for (const node of [...this.coordinators, ...this.executors]) node.start();
    this.users.letDaysRun();
    let ms: number = simTimes.endMs - simTimes.closeMs;
    let isClose = false;
    for (; ms < simTimes.endMs; ms += 10_000) {
      world.runUntil(ms);
      isClose ||= this.#hasRuns();
    }
    world.runUntil(simTimes.endMs);
    for (; ms < simTimes.lastMs && this.#hasRuns(); ms += 10_000) world.runUntil(ms);
    // The last run has ended just now, or a moment ago: what is tidied up after it takes a while.
    if (isClose || ms > simTimes.endMs) world.runUntil(ms + simTimes.tidyMs);
    const days = this.#jobs.flatMap(({ spec }) => simDays.map((day) => [spec.name, day] as const));
    this.checkers.atTheEnd(this.coordinators, this.users, days);
  }
}
