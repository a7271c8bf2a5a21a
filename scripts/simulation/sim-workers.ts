/**
 * The worker processes of one simulated executor: they start, or don't; work in small acts; say how far they are; are
 * interrupted, or don't listen; crash between two acts; and may outlive their supervisor for a moment.
 */
import type { Message } from "../../executor/core/protocol.ts";
import { assert } from "../../shared/kernel/assert.ts";
import { type FailureCode, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import {
  type AttemptOutcome,
  type Delivery,
  isBackground,
  type Work,
} from "../../shared/kernel/work.ts";
import { actsOf } from "./data-plane.ts";
import type { Faults } from "./faults.ts";
import { type Network, nats, storage } from "./network.ts";
import type { SimMemory } from "./sim-memory.ts";
import type { World } from "./world.ts";

interface Worker {
  readonly slot: number;
  readonly number: number;
  isAlive: boolean;
  /** It answers nobody. */
  isHung: boolean;
  /** Its priority is low; for good where it may not raise it. */
  isLowered: boolean;
  attempt: Running | undefined;
}

interface Running {
  readonly attemptId: string;
  readonly acts: readonly (() => AttemptOutcome | undefined)[];
  next: number;
  /** Pause between two acts. */
  readonly pauseMs: number;
  /** Dies before this act. */
  readonly crashAt: number;
  readonly failsAt: number;
  /** For how long it has waited for NATS or storage. */
  waitedMs: number;
  readonly startedAt: number;
  /** Until when it goes on after its supervisor has gone. */
  until: number;
}

/** What engines and disks say; those that use up the budget of a task as well. */
const codes: readonly FailureCode[] = [
  "outOfMemory",
  "internal",
  "timeout",
  "storageFull",
  "storageDenied",
  "storageFailed",
  "exchangeFull",
  "unavailable",
];

/** An attempt waits for so long for what can't be reached. */
const patienceMs = 15_000;

/** Every second process may. */
function canRaise(worker: number): boolean {
  return worker % 2 === 0;
}

function isFull(outcome: AttemptOutcome): boolean {
  return outcome.kind === "failed" && outcome.failure.code === "exchangeFull";
}

export class SimWorkers {
  /** How many times longer everything takes. */
  slowness = 1;
  readonly #executor: string;
  readonly #world: World;
  readonly #network: Network;
  readonly #faults: Faults;
  readonly #memory: SimMemory;
  readonly #post: (message: Message) => void;
  readonly #workers = new Map<number, Worker>();
  #versions: () => string;

  constructor(about: {
    readonly executor: string;
    readonly world: World;
    readonly network: Network;
    readonly faults: Faults;
    readonly memory: SimMemory;
    readonly duckdb: () => string;
    readonly post: (message: Message) => void;
  }) {
    this.#executor = about.executor;
    this.#world = about.world;
    this.#network = about.network;
    this.#faults = about.faults;
    this.#memory = about.memory;
    this.#versions = about.duckdb;
    this.#post = about.post;
  }

  start(slot: number, number: number): void {
    const state = { isAlive: true, isHung: false, isLowered: false, attempt: undefined };
    const worker: Worker = { slot, number, ...state };
    this.#workers.set(number, worker);
    if (this.#faults.strikes(this.#faults.badWork, "workerNotStarted")) {
      // It ends by itself, or never says a word and has to be killed.
      if (this.#world.chance() < 0.5) worker.isHung = true;
      else this.#world.after(this.#world.between(1, 200), () => this.#exit(worker, "exit code 1"));
      return;
    }
    this.#world.after(this.#world.between(30, 400) * this.slowness, () => {
      if (!worker.isAlive) return;
      const duckdbVersion = this.#versions();
      const about = { pid: 1_000 + number, duckdbVersion, canRaise: canRaise(number) };
      this.#post({ kind: "workerReady", slot, worker: number, ...about });
    });
  }

  give(number: number, attemptId: string, workText: string, deliveryText: string): void {
    const worker = this.#workers.get(number);
    if (worker === undefined) return;
    const world = this.#world;
    const { badWork } = this.#faults;
    const work = JSON.parse(workText) as Work;
    const delivery = JSON.parse(deliveryText) as Delivery;
    worker.isLowered = isBackground(delivery) || (worker.isLowered && !canRaise(number));
    assert(worker.isLowered === isBackground(delivery), "live work runs at its own priority");
    const isDoubled = () => this.#faults.strikes(0.02, "publishDuplicated");
    const acts = actsOf(this.#memory, work, delivery, isDoubled);
    let ms = world.between(50, 5_000) * this.slowness;
    if (this.#faults.strikes(badWork / 2, "workerHung")) {
      worker.isHung = true;
      ms += world.between(5_000, 40_000);
    }
    const actOr = (isBad: boolean) =>
      isBad ? world.between(0, acts.length - 1) : Number.POSITIVE_INFINITY;
    const attempt: Running = {
      attemptId,
      acts,
      next: 0,
      pauseMs: Math.ceil(ms / acts.length),
      crashAt: actOr(this.#faults.strikes(badWork / 2, "workerCrashed")),
      failsAt: actOr(this.#faults.strikes(badWork, "workerFailed")),
      waitedMs: 0,
      startedAt: world.at,
      until: Number.POSITIVE_INFINITY,
    };
    worker.attempt = attempt;
    world.after(attempt.pauseMs, () => this.#act(worker, attempt));
  }

  interrupt(number: number, attemptId: string): void {
    const worker = this.#workers.get(number);
    if (worker === undefined || worker.isHung) return;
    this.#world.after(this.#world.between(5, 400), () => {
      if (worker.attempt?.attemptId !== attemptId) return;
      this.#end(worker, { kind: "failed", failure: failure("cancelled", "interrupted") });
    });
  }

  quit(number: number): void {
    const worker = this.#workers.get(number);
    if (worker === undefined || worker.isHung) return;
    this.#world.after(this.#world.between(1, 100), () => this.#exit(worker, "exit code 0"));
  }

  kill(number: number): void {
    const worker = this.#workers.get(number);
    if (worker === undefined) return;
    this.#world.after(this.#world.between(1, 50), () => this.#exit(worker, "signal SIGKILL"));
  }

  /** The supervisor is gone: its workers notice, at once or a moment later. */
  abandon(): void {
    for (const worker of this.#workers.values()) {
      worker.isAlive = false;
      const { attempt } = worker;
      if (attempt === undefined) continue;
      const goesOn = this.#faults.strikes(0.3, "orphanWrote");
      attempt.until = this.#world.at + (goesOn ? 2_000 : 0);
    }
    this.#workers.clear();
  }

  #act(worker: Worker, attempt: Running): void {
    if (worker.attempt !== attempt || this.#world.at > attempt.until) return;
    if (this.#isWaiting(worker, attempt)) return;
    const index = attempt.next++;
    if (index === attempt.crashAt) {
      this.#exit(worker, "signal SIGSEGV");
      return;
    }
    let outcome: AttemptOutcome | undefined;
    if (index === attempt.failsAt) {
      const code = this.#world.pick(codes) ?? "internal";
      outcome = { kind: "failed", failure: failure(code, "bad luck") };
    } else outcome = attempt.acts[index]?.();
    if (outcome !== undefined) {
      if (isFull(outcome)) this.#faults.count("exchangeFull");
      const isSlow = outcome.kind === "failed" && outcome.failure.code === "unavailable";
      this.#world.after(isSlow ? this.#world.between(500, 8_000) : 0, () =>
        this.#ended(worker, attempt, outcome),
      );
      return;
    }
    if (worker.isAlive && attempt.pauseMs >= limits.progressEveryMs) this.#progress(worker, index);
    this.#world.after(attempt.pauseMs, () => this.#act(worker, attempt));
  }

  /** What can't be reached is waited for, but not for ever. */
  #isWaiting(worker: Worker, attempt: Running): boolean {
    const { at } = this.#world;
    const clearAt = Math.max(
      this.#network.clearAt(this.#executor, nats),
      this.#network.clearAt(this.#executor, storage),
    );
    if (clearAt <= at) return false;
    const waitMs = Math.min(clearAt - at, patienceMs - attempt.waitedMs);
    if (waitMs > 0) {
      attempt.waitedMs += waitMs;
      this.#world.after(waitMs, () => this.#act(worker, attempt));
      return true;
    }
    const isNats = this.#network.isCut(this.#executor, nats);
    const why = failure(isNats ? "unavailable" : "storageFailed", "it can't be reached");
    this.#ended(worker, attempt, { kind: "failed", failure: why });
    return true;
  }

  #progress(worker: Worker, acts: number): void {
    const { slot, number: id, attempt } = worker;
    if (attempt === undefined) return;
    const progress = { attemptId: attempt.attemptId, rows: acts, bytes: 10 * acts };
    this.#post({ kind: "workerProgress", slot, worker: id, progress, peakMemoryBytes: acts });
  }

  #ended(worker: Worker, attempt: Running, outcome: AttemptOutcome): void {
    if (worker.attempt === attempt) this.#end(worker, outcome);
  }

  #end(worker: Worker, ended: AttemptOutcome): void {
    const { slot, number, attempt } = worker;
    worker.attempt = undefined;
    worker.isHung = false;
    if (attempt === undefined || !worker.isAlive) return;
    const { attemptId } = attempt;
    const elapsedMs = this.#world.at - attempt.startedAt;
    const outcome =
      ended.kind === "failed" ? ended : { ...ended, counters: { ...ended.counters, elapsedMs } };
    this.#post({
      kind: "workerOutcome",
      slot,
      worker: number,
      attemptId,
      outcome,
      peakMemoryBytes: 1,
    });
  }

  #exit(worker: Worker, how: string): void {
    if (!worker.isAlive) return;
    worker.isAlive = false;
    worker.attempt = undefined;
    this.#workers.delete(worker.number);
    this.#post({ kind: "workerExited", slot: worker.slot, worker: worker.number, how });
  }
}
