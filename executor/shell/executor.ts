/**
 * Puts an executor together: the pure step in its actor, and the interpreter that turns each effect into a call on
 * the worker pool, the links or the registry watch. It takes no decision of its own.
 */
import { Actor } from "../../shared/actor/actor.ts";
import { unreachable } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Clock, Log, Registry } from "../../shared/ports.ts";
import { type Effect, exitCodes, type Identity, type Message } from "../core/protocol.ts";
import { type ExecutorState, initialState } from "../core/state.ts";
import { step } from "../core/step.ts";
import { HubLinks } from "./hub-links.ts";
import { LeaderWatch } from "./leader-watch.ts";
import { WorkerPool, type WorkerPoolOptions } from "./worker-pool.ts";

export interface ExecutorOptions {
  readonly identity: Identity;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly log: Log;
  readonly workers: Omit<WorkerPoolOptions, "log" | "post">;
  /** Called once, at the first welcome by a leader. */
  readonly ready: () => void;
}

export interface RunningExecutor {
  /** Leaves in good order; running attempts have `finishMs`. */
  drain(reason: string, finishMs: number): void;
  /** Leaves at once. */
  stop(): void;
  /** Resolves when the executor has left and no worker process is left; never rejects. */
  readonly done: Promise<{ readonly code: number; readonly reason: string }>;
}

/** Starts workers, looks for the leader and works until told to leave. */
export function startExecutor(options: ExecutorOptions): RunningExecutor {
  return new Supervisor(options);
}

class Supervisor implements RunningExecutor {
  readonly done: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #options: ExecutorOptions;
  readonly #actor: Actor<ExecutorState, Message, Effect>;
  readonly #pool: WorkerPool;
  readonly #links: HubLinks;
  readonly #watch: LeaderWatch;
  readonly #ticks: NodeJS.Timeout;
  #leave: (end: { code: number; reason: string }) => void = () => undefined;
  #leaving = false;

  constructor(options: ExecutorOptions) {
    const { identity, registry, clock, log } = options;
    this.#options = options;
    this.done = new Promise((resolve) => {
      this.#leave = resolve;
    });
    const post = (message: Message) => this.#actor.post(message);
    this.#pool = new WorkerPool({ ...options.workers, log, post });
    this.#links = new HubLinks(post);
    this.#watch = new LeaderWatch(registry, post, log);
    this.#actor = new Actor<ExecutorState, Message, Effect>({
      step,
      initial: initialState(identity),
      clock,
      mailboxMax: limits.mailboxMessagesMax,
      interpret: (effect) => this.#interpret(effect),
      crashed: (error) => {
        log.error("the supervisor contradicts itself and stops", { error: String(error) });
        this.#exit(exitCodes.internal, `a defect: ${String(error)}`);
      },
    });
    // Before anything is posted: that may end it already, and what was not there then would never stop.
    this.#ticks = setInterval(() => post({ kind: "tick" }), limits.executorTickMs);
    this.#watch.start();
    post({ kind: "started" });
  }

  drain(reason: string, finishMs: number): void {
    this.#actor.post({ kind: "drain", reason, finishMs });
  }

  stop(): void {
    this.#actor.post({ kind: "stop" });
  }

  #interpret(effect: Effect): void {
    switch (effect.kind) {
      case "askLeader":
        this.#watch.ask();
        return;
      case "openLink":
        this.#links.open(effect.link, effect.address, effect.hello);
        return;
      case "send":
        this.#links.send(effect.link, effect.message);
        return;
      case "closeLink":
        this.#links.close(effect.link);
        return;
      case "startWorker":
        this.#pool.start(effect.slot, effect.worker);
        return;
      case "giveWork": {
        const { attemptId, work, delivery } = effect;
        this.#pool.tell(effect.worker, { kind: "run", attemptId, work, delivery });
        return;
      }
      case "interruptWorker":
        this.#pool.tell(effect.worker, { kind: "cancel", attemptId: effect.attemptId });
        return;
      case "quitWorker":
        this.#pool.tell(effect.worker, { kind: "quit" });
        return;
      case "killWorker":
        this.#pool.kill(effect.worker);
        return;
      case "announceReady":
        this.#options.ready();
        return;
      case "exit":
        this.#exit(effect.code, effect.reason);
        return;
      case "log":
        this.#options.log[effect.level](effect.text, effect.fields);
        return;
      default:
        unreachable(effect);
    }
  }

  #exit(code: number, reason: string): void {
    if (this.#leaving) return;
    this.#leaving = true;
    clearInterval(this.#ticks);
    this.#watch.stop();
    this.#links.closeAll();
    this.#actor.stop();
    this.#pool.close().then(
      () => this.#leave({ code, reason }),
      () => this.#leave({ code, reason }),
    );
  }
}
