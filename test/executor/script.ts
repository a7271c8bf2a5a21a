/**
 * Drives the executor's step by hand and prints what it does as short lines, so that a test reads as a transcript.
 * Every step checks the state's invariants.
 */
import type { Command, Effect, Identity, Message } from "../../executor/core/protocol.ts";
import { checkInvariants, type ExecutorState, initialState } from "../../executor/core/state.ts";
import { step } from "../../executor/core/step.ts";
import { failure } from "../../shared/kernel/failure.ts";
import type { AttemptOutcome } from "../../shared/kernel/work.ts";

export const identity: Identity = {
  id: "e1",
  incarnation: 77,
  slots: 2,
  host: "h",
  pid: 1,
  wireVersion: 1,
  hashVersion: 1,
  version: "0.1.0",
};

export const success: AttemptOutcome = {
  kind: "done",
  outputs: [],
  files: [],
  accounts: [],
  counters: { rowsIn: 1, bytesIn: 1, rowsOut: 1, bytesOut: 1, elapsedMs: 1, peakMemoryBytes: 1 },
};

export function failed(code: Parameters<typeof failure>[0]): AttemptOutcome {
  return { kind: "failed", failure: failure(code, "as told by the worker") };
}

/** One executor under test. `at` is moved by hand. */
export class Script {
  state: ExecutorState;
  at = 0;

  constructor(slots = 2) {
    this.state = initialState({ ...identity, slots });
  }

  /** Posts one message; gives the effects, logs left out, as lines. */
  post(message: Message): string[] {
    return this.effects(message).flatMap(printEffect);
  }

  effects(message: Message): readonly Effect[] {
    const [state, effects] = step(this.state, { at: this.at, wall: 0, message });
    this.state = state;
    checkInvariants(state);
    return effects;
  }

  /** A command on the newest link. */
  command(epoch: number, command: Command): string[] {
    return this.post({ kind: "commanded", link: this.state.nextLink - 1, epoch, command });
  }

  run(epoch: number, attemptId: string, fresh = false, background = false): string[] {
    const task = { attemptId, work: "{}", delivery: "{}", fresh, background };
    return this.command(epoch, { kind: "runTask", ...task });
  }

  /** Of a run that is not live. */
  runBackground(epoch: number, attemptId: string, fresh = false): string[] {
    return this.run(epoch, attemptId, fresh, true);
  }

  /** Moves the time on and ticks once. */
  after(milliseconds: number): string[] {
    this.at += milliseconds;
    return this.post({ kind: "tick" });
  }

  ready(slot: number, worker: number, canRaise = false): string[] {
    const about = { pid: 1000 + worker, duckdbVersion: "v1.5.6", canRaise };
    return this.post({ kind: "workerReady", slot, worker, ...about });
  }

  outcome(slot: number, worker: number, attemptId: string, outcome = success): string[] {
    const peakMemoryBytes = 1;
    return this.post({ kind: "workerOutcome", slot, worker, attemptId, outcome, peakMemoryBytes });
  }

  exited(slot: number, worker: number, how = "signal SIGKILL"): string[] {
    return this.post({ kind: "workerExited", slot, worker, how });
  }

  leader(epoch: number, address = `c${epoch}:7400`): string[] {
    return this.post({ kind: "leaderHeard", epoch, coordinator: `c${epoch}`, address });
  }

  /** Started, both workers ready, attached to the leader of `epoch`. */
  attached(epoch: number, canRaise = false): this {
    this.post({ kind: "started" });
    for (let slot = 0; slot < this.state.identity.slots; slot++) {
      this.ready(slot, slot + 1, canRaise);
    }
    this.leader(epoch);
    this.command(epoch, { kind: "welcome", coordinator: `c${epoch}` });
    return this;
  }
}

/** One line for an effect; none for a log line. */
export function printEffect(effect: Effect): string[] {
  switch (effect.kind) {
    case "log":
      return [];
    case "openLink": {
      const { runningAttempts, highestEpoch } = effect.hello;
      const running = runningAttempts.join(",");
      return [`link ${effect.link}: dial ${effect.address} running=[${running}] e${highestEpoch}`];
    }
    case "send": {
      const { message } = effect;
      if (message.kind === "report") {
        const { outcome } = message;
        const code = outcome.kind === "failed" ? outcome.failure.code : "done";
        return [`link ${effect.link}: report ${message.attemptId} e${message.epoch} ${code}`];
      }
      if (message.kind === "draining") return [`link ${effect.link}: draining`];
      const running = message.running.map((one) => one.attemptId).join(",");
      return [`link ${effect.link}: heartbeat ${message.sequence} [${running}]`];
    }
    case "closeLink":
      return [`link ${effect.link}: close`];
    case "giveWork":
    case "interruptWorker":
      return [`slot ${effect.slot}: ${effect.kind} ${effect.worker} ${effect.attemptId}`];
    case "startWorker":
    case "quitWorker":
    case "killWorker":
      return [`slot ${effect.slot}: ${effect.kind} ${effect.worker}`];
    case "exit":
      return [`exit ${effect.code}`];
    case "askLeader":
    case "announceReady":
      return [effect.kind];
  }
}
