/**
 * Effects that wait for a save leave once, in their order, or never, because the leadership ended: one that is forgotten
 * is a run that stands still for nobody knows how long.
 */
import type { Effect } from "../../coordinator/core/protocol.ts";
import { assert } from "../../shared/kernel/assert.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";

interface Waiting {
  readonly life: number;
  readonly epoch: number;
  readonly effects: readonly Effect[];
}

export class HeldChecks {
  /** By coordinator: what waited after its last step as a leader. */
  readonly #waiting = new Map<string, Waiting>();

  /** After each step of a coordinator. */
  stepped({ name, life, state }: SimCoordinator, left: readonly Effect[]): void {
    const { role, journal } = state;
    const before = this.#waiting.get(name);
    if (role.kind !== "leader") {
      if (before !== undefined) this.#waiting.delete(name);
      return;
    }
    const { epoch } = role;
    const now = journal.held.map(({ effect }) => effect);
    if (before?.life === life && before.epoch === epoch) inOrder(name, before.effects, left, now);
    this.#waiting.set(name, { life, epoch, effects: now });
  }
}

function inOrder(
  name: string,
  before: readonly Effect[],
  left: readonly Effect[],
  now: readonly Effect[],
): void {
  let from = 0;
  const gone = before.length - before.filter((effect) => now.includes(effect)).length;
  before.forEach((effect, index) => {
    if (index >= gone) {
      assert(effect === now[index - gone], `${name} lets a ${effect.kind} go before others`);
      return;
    }
    const at = left.findIndex((one, place) => place >= from && isSame(one, effect));
    assert(at >= 0, `${name} forgets a ${effect.kind} that waited for a save`);
    from = at + 1;
  });
}

/** A reply is stamped when it leaves. */
function isSame(one: Effect, other: Effect): boolean {
  if (one === other) return true;
  return one.kind === "reply" && other.kind === "reply" && one.reply === other.reply;
}
