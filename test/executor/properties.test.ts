/**
 * Whatever order, loss or repetition of commands, crashes of workers and changes of leaders: an attempt is given to a
 * worker at most once, slots never hold two, and every task that was taken ends in a report that a leader received.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Command, Effect, Message } from "../../executor/core/protocol.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { failed, Script, success } from "./script.ts";

type Action =
  | { readonly kind: "run" | "cancel" | "ack"; readonly attempt: number; readonly stale: boolean }
  | { readonly kind: "answer" | "die"; readonly slot: number }
  | { readonly kind: "leader" | "lose" | "wait" }
  | { readonly kind: "repeat"; readonly back: number };

const attempt = fc.nat({ max: 11 });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("run" as const, "run" as const, "cancel" as const, "ack" as const),
      attempt,
      stale: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("answer" as const, "answer" as const, "die" as const),
      slot: fc.nat({ max: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("leader" as const, "lose" as const, "wait" as const, "wait" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("repeat" as const), back: fc.nat({ max: 20 }) }),
  },
);

/** The outside world: worker processes and leaders, kept as simply as possible. */
class World {
  readonly script = new Script(3);
  readonly given: string[] = [];
  readonly taken = new Set<string>();
  /** Outcomes that a leader has saved. */
  readonly saved = new Set<string>();
  readonly #heard: Message[] = [];
  readonly #queue: Message[] = [];
  /** Reports that came over the present link; what was sent on a lost one may not have arrived. */
  #received = new Set<string>();
  #epoch = 1;
  /** Per slot: the live process and what it runs. */
  readonly #workers = new Map<number, { worker: number; runs: string | undefined }>();

  post(message: Message): void {
    this.#queue.push(message);
    if (this.#queue.length > 1) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      this.#heard.push(next);
      for (const effect of this.script.effects(next)) this.#interpret(effect);
      this.#noteTaken(next);
      this.#queue.shift();
    }
  }

  act(one: Action): void {
    switch (one.kind) {
      case "run":
      case "cancel":
        this.#command(one.stale, commandOf(one.kind, one.attempt));
        return;
      case "ack":
        this.#acknowledge(`a${one.attempt}`, one.stale);
        return;
      case "answer":
        this.#answer(one.slot);
        return;
      case "die":
        this.#exit(one.slot);
        return;
      case "leader":
        this.#epoch += 1;
        this.hear();
        return;
      case "lose":
        this.post({ kind: "linkLost", link: this.#link(), reason: "reset" });
        return;
      case "wait":
        this.script.at += limits.workerRestartAfterMs;
        this.post({ kind: "tick" });
        this.#welcome();
        return;
      case "repeat": {
        const again = this.#heard.at(-1 - one.back);
        if (again !== undefined) this.post(again);
        return;
      }
    }
  }

  /** The present leader is heard of and welcomes the executor. */
  hear(): void {
    const address = `c${this.#epoch}:1`;
    this.post({ kind: "leaderHeard", epoch: this.#epoch, coordinator: "c", address });
    this.#welcome();
  }

  /** Faults end: one leader stays, workers answer, reports are acknowledged. */
  settle(): void {
    this.#epoch += 1;
    this.hear();
    for (let round = 0; round < 12; round++) {
      this.script.at += limits.attachRetryMaxMs;
      this.post({ kind: "tick" });
      this.#welcome();
      for (const slot of [0, 1, 2]) this.#answer(slot);
      for (const { attemptId } of this.script.state.reports) this.#acknowledge(attemptId, false);
    }
  }

  #link(): number {
    return this.script.state.nextLink - 1;
  }

  #command(stale: boolean, command: Command): void {
    const epoch = stale ? this.#epoch - 1 : this.#epoch;
    this.post({ kind: "commanded", link: this.#link(), epoch, command });
  }

  #welcome(): void {
    if (this.script.state.link.kind !== "opening") return;
    this.#command(false, { kind: "welcome", coordinator: "c" });
  }

  /** A leader acknowledges only what it has received and saved. */
  #acknowledge(attemptId: string, stale: boolean): void {
    if (!this.#received.has(attemptId) && !this.saved.has(attemptId)) return;
    if (!stale) this.saved.add(attemptId);
    this.#command(stale, { kind: "reportAck", attemptId });
  }

  #noteTaken(message: Message): void {
    if (message.kind !== "commanded" || message.command.kind !== "runTask") return;
    const { attemptId } = message.command;
    const { slots, reports } = this.script.state;
    const holds = slots.some((slot) => slot.attempt?.attemptId === attemptId);
    if (holds || reports.some((one) => one.attemptId === attemptId)) this.taken.add(attemptId);
  }

  #answer(slot: number): void {
    const live = this.#workers.get(slot);
    if (live?.runs === undefined) return;
    const { worker, runs: attemptId } = live;
    this.#workers.set(slot, { worker, runs: undefined });
    const outcome = attemptId.endsWith("3") ? failed("outOfMemory") : success;
    this.post({ kind: "workerOutcome", slot, worker, attemptId, outcome, peakMemoryBytes: 1 });
  }

  #exit(slot: number): void {
    const live = this.#workers.get(slot);
    if (live === undefined) return;
    this.#workers.delete(slot);
    this.post({ kind: "workerExited", slot, worker: live.worker, how: "signal SIGKILL" });
  }

  #interpret(effect: Effect): void {
    switch (effect.kind) {
      case "startWorker": {
        const { slot, worker } = effect;
        expect(this.#workers.has(slot)).toBe(false);
        this.#workers.set(slot, { worker, runs: undefined });
        this.post({
          kind: "workerReady",
          slot,
          worker,
          pid: worker,
          duckdbVersion: "v1",
          canRaise: worker % 2 === 0,
        });
        return;
      }
      case "giveWork": {
        const { slot, worker, attemptId } = effect;
        expect(this.#workers.get(slot)).toEqual({ worker, runs: undefined });
        this.given.push(attemptId);
        this.#workers.set(slot, { worker, runs: attemptId });
        return;
      }
      case "quitWorker":
      case "killWorker":
        if (this.#workers.get(effect.slot)?.worker === effect.worker) this.#exit(effect.slot);
        return;
      case "openLink":
        this.#received = new Set();
        return;
      case "send":
        if (effect.message.kind === "report") this.#received.add(effect.message.attemptId);
        return;
      default:
        return;
    }
  }
}

function commandOf(kind: "run" | "cancel", number: number): Command {
  const attemptId = `a${number}`;
  return kind === "run"
    ? { kind: "runTask", attemptId, work: "{}", delivery: "{}", background: number % 3 === 0 }
    : { kind: "cancelTask", attemptId, reason: "test" };
}

test("attempts run at most once, in their slots, and every taken task ends in a saved report", () => {
  const seen = { given: 0, saved: 0, refused: 0 };
  fc.assert(
    fc.property(fc.array(action, { minLength: 20, maxLength: 120, size: "max" }), (actions) => {
      const world = new World();
      world.post({ kind: "started" });
      world.hear();
      for (const one of actions) world.act(one);
      world.settle();
      expect(world.given.length).toBe(new Set(world.given).size);
      expect(world.script.state.reports).toEqual([]);
      expect(world.script.state.ended).toBe(false);
      expect([...world.taken].filter((id) => !world.saved.has(id))).toEqual([]);
      seen.given += world.given.length;
      seen.saved += world.saved.size;
      seen.refused += [...world.taken].filter((id) => !world.given.includes(id)).length;
    }),
    { numRuns: 300 },
  );
  // The runs did reach what they are about.
  expect(seen.given).toBeGreaterThan(500);
  expect(seen.saved).toBeGreaterThan(500);
  expect(seen.refused).toBeGreaterThan(10);
});
