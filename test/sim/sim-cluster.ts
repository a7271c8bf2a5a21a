/**
 * A cluster of the simulation: coordinators, executors, a client that insists, and a troublemaker. After every step
 * the checkers look; at the end faults stop and everything that was promised must have come true.
 */
import type { Message, Reply } from "../../coordinator/core/protocol.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { Checkers } from "./checkers.ts";
import { ClusterMemory } from "./cluster-memory.ts";
import { Faults } from "./faults.ts";
import { Link } from "./link.ts";
import { noNegative, sampleFiles, sampleJob, simDays } from "./sample-job.ts";
import { SimCoordinator } from "./sim-coordinator.ts";
import { type ExecutorCommandSent, type FromExecutor, SimExecutor } from "./sim-executor.ts";
import { World } from "./world.ts";

export class SimCluster {
  readonly world: World;
  readonly memory = new ClusterMemory();
  readonly faults: Faults;
  readonly checkers: Checkers;
  readonly coordinators: SimCoordinator[];
  readonly executors: SimExecutor[];
  #connections = 1;
  #replies = 1;
  readonly #waiting = new Map<number, (result: Reply) => void>();
  /** Requests that were answered with a run. */
  readonly promised = new Map<string, string>();
  /** Runs that somebody tried to cancel: they may end either way. */
  readonly cancelled = new Set<string>();
  #heardBeat = "";

  constructor(seed: number) {
    this.world = new World(seed);
    const { world, memory } = this;
    this.faults = new Faults(world);
    this.checkers = new Checkers(memory);
    memory.inputs = sampleFiles(6);
    this.checkers.inputsSeen.push(memory.inputs);
    const names = world.chance() < 0.5 ? ["c1", "c2"] : ["c1", "c2", "c3"];
    this.coordinators = names.map((name) => this.#newCoordinator(name));
    const count = world.between(3, 5);
    this.executors = Array.from({ length: count }, (_, i) => this.#newExecutor(`e${i + 1}`));
    this.#gossip();
    this.#trouble();
    simDays.forEach((day, index) => {
      this.#submitUntilPromised(`first-${day}`, day, false, index * 2_000);
      this.#submitUntilPromised(`again-${day}`, day, true, 15_000 + index * 3_000);
    });
    if (world.chance() < 0.4) world.after(world.between(500, 25_000), () => this.#cancelSome());
    world.after(14_000, () => {
      memory.inputs = sampleFiles(7);
      this.checkers.inputsSeen.push(memory.inputs);
    });
  }

  #newCoordinator(name: string): SimCoordinator {
    const coordinator = new SimCoordinator(this.world, this.memory, this.faults, name);
    coordinator.observe = (message, effects) => {
      this.world.trace(`${name} ${message.kind} ${effects.map((one) => one.kind).join(",")}`);
      this.checkers.asked(coordinator, effects);
      this.checkers.afterStep(this.coordinators);
    };
    coordinator.replied = (reply, result) => {
      const heard = this.#waiting.get(reply);
      this.#waiting.delete(reply);
      heard?.(result);
    };
    return coordinator;
  }

  #newExecutor(name: string): SimExecutor {
    const executor = new SimExecutor(this.world, this.memory, this.faults, name);
    executor.dial = (address) => this.#dial(address, executor);
    executor.obeyed = (sent) => this.checkers.obeyed(name, sent);
    return executor;
  }

  #dial(address: string, executor: SimExecutor) {
    const coordinator = this.coordinators.find((one) => one.address === address);
    if (coordinator === undefined || !coordinator.isUp) return undefined;
    const connection = this.#connections++;
    const link = new Link<FromExecutor, ExecutorCommandSent>(this.world, connection);
    coordinator.links.set(connection, link);
    const { life } = coordinator;
    const detached: Message = { kind: "detached", connection };
    coordinator.deliver = (to, sent) => {
      const found = coordinator.links.get(to);
      const target = this.#holders.get(to);
      found?.down(sent, (arrived) => target?.commanded(to, arrived));
    };
    this.#holders.set(connection, executor);
    const uplink = {
      send: (message: FromExecutor) => {
        if (link.isOpen) link.up(message, (arrived) => coordinator.post(arrived, life));
        else executor.breakLink();
      },
      close: () => link.close(() => coordinator.post(detached, life)),
    };
    return { connection, uplink };
  }
  readonly #holders = new Map<number, SimExecutor>();

  /** The registry's watchers: hints arrive late, out of order, twice, or not at all. */
  #gossip(): void {
    const { world, memory } = this;
    const { hint } = memory;
    const beat = hint === undefined ? "" : `${hint.epoch}.${hint.beat}`;
    if (hint !== undefined && beat !== this.#heardBeat) {
      this.#heardBeat = beat;
      for (const node of [...this.coordinators, ...this.executors]) {
        const copies = this.faults.isOn ? (world.pick([0, 1, 1, 1, 1, 1, 2]) ?? 1) : 1;
        for (let copy = 0; copy < copies; copy++) {
          world.after(world.between(1, 60), () => {
            if (node instanceof SimExecutor) node.heard(hint);
            else node.post({ kind: "leaderHeard", ...hint });
          });
        }
      }
    }
    world.after(20, () => this.#gossip());
  }

  #trouble(): void {
    const { world, faults, memory } = this;
    const coordinator = world.pick(this.coordinators);
    const executor = world.pick(this.executors);
    if (coordinator?.isUp && faults.strikes(0.02, "coordinatorKills")) {
      coordinator.kill();
      world.after(world.between(100, 8_000), () => coordinator.start());
    }
    if (coordinator?.isUp && faults.strikes(0.02, "coordinatorPauses")) {
      coordinator.pause(world.between(500, 9_000));
    }
    if (executor?.isUp && faults.strikes(0.02, "executorKills")) {
      executor.kill();
      world.after(world.between(100, 9_000), () => executor.start());
    }
    if (executor?.isUp && faults.strikes(0.03, "brokenLinks")) executor.breakLink();
    if (faults.strikes(0.003, "lostExchanges")) memory.streams.clear();
    if (faults.strikes(0.001, "lostJournals")) {
      memory.journal = [];
      memory.journalLast = 0;
      memory.epochs.clear();
      memory.streams.clear();
      this.checkers.journalLost();
    }
    if (memory.bytesPerStream === 0 && faults.strikes(0.01, "shortages")) {
      memory.bytesPerStream = limits.exchangeBytesBudget / 3;
      world.after(world.between(5_000, 25_000), () => {
        memory.bytesPerStream = 0;
      });
    }
    world.after(200, () => this.#trouble());
  }

  /** Somebody changes their mind about a run; the day is submitted once more afterwards. */
  #cancelSome(): void {
    const run = this.world.pick([...this.promised.values()].filter((one) => one.includes(".r")));
    const coordinator = this.coordinators.find(
      (one) => one.isUp && one.state.role.kind === "leader",
    );
    if (run === undefined || coordinator === undefined) return;
    this.faults.counts.cancels++;
    this.cancelled.add(run);
    const reply = this.#replies++;
    coordinator.post({ kind: "cancelRun", reply, run, reason: "changed our mind" });
    for (const day of simDays) {
      if (run.includes(day)) this.#submitUntilPromised(`once-more-${day}`, day, true, 3_000);
    }
  }

  /** A client that tries one coordinator after the other until a run is promised. */
  #submitUntilPromised(requestId: string, day: string, rerun: boolean, waitMs: number): void {
    const { world } = this;
    world.after(waitMs, () => {
      const coordinator = world.pick(this.coordinators);
      const again = () => this.#submitUntilPromised(requestId, day, rerun, 700);
      if (coordinator === undefined || !coordinator.isUp) return again();
      const reply = this.#replies++;
      let isDone = false;
      const finish = (result: Reply | undefined) => {
        if (isDone) return;
        isDone = true;
        const isConflict = result?.kind === "failed" && result.failure.code === "conflict";
        if (result?.kind === "submitted") this.promised.set(requestId, result.run);
        else if (isConflict) this.promised.set(requestId, "done before");
        else again();
      };
      this.#waiting.set(reply, finish);
      world.after(4_000, () => finish(undefined));
      const job = sampleJob({ checks: [noNegative] });
      coordinator.post({ kind: "submit", reply, requestId, job, day, rerun });
    });
  }

  /** Trouble for a while, then quiet; then everything must be as promised. */
  run(): void {
    this.world.runUntil(40_000);
    this.faults.isOn = false;
    for (const node of [...this.coordinators, ...this.executors]) node.start();
    this.world.runUntil(160_000);
    this.checkers.atTheEnd(this.coordinators, this.promised, this.cancelled);
  }
}
