/** Of a backfill no day is made twice and none is left out, whoever led and whatever the journal lost. */
import { isSettled } from "../../coordinator/core/days/fold-backfills.ts";
import { type Durable, dayKey } from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import { assert } from "../../shared/kernel/assert.ts";
import { daysOfBackfill } from "../../shared/kernel/backfill.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";

export class BackfillChecks {
  /** Run → the backfill (with its request: a name that was never confirmed is given again) and the day. */
  readonly #madeFor = new Map<string, string>();

  /** Each fact that the journal takes. */
  saw({ desks }: Durable, fact: Fact): void {
    if (fact.kind !== "runCreated" || fact.origin !== "backfill") return;
    const [, job = "", number = ""] = /^backfill\.(.*)\.(b\d+)\./.exec(fact.requestId) ?? [];
    const of = desks.get(job)?.backfills?.find(({ id }) => id === `${job}.${number}`);
    if (of !== undefined) this.#madeFor.set(fact.run, `${of.id}|${of.requestId}|${fact.day}`);
  }

  atTheEnd({ desks, days }: Durable, manifests: ReadonlyMap<string, RunManifest>): void {
    const made = new Map<string, string>();
    for (const [run, what] of this.#madeFor) {
      const manifest = manifests.get(run);
      // One in quarantine has failed; somebody may have shown it after the day was made again.
      if (manifest?.state !== "committed" || manifest.released !== undefined) continue;
      assert(!made.has(what), `${what} is made by ${made.get(what)} and by ${run}`);
      made.set(what, run);
    }
    for (const backfill of [...desks.values()].flatMap(({ backfills = [] }) => backfills)) {
      const { id, job, state } = backfill;
      assert(state !== "running", `${id} still runs after all this time`);
      for (const day of daysOfBackfill(backfill, limits.backfillDaysMax)) {
        const known = backfill.days[day];
        const isEnd = state === "done" ? isSettled(known) : known?.state !== "taken";
        assert(isEnd || state === "paused", `${id} is ${state} and leaves ${day} out`);
        if (known?.state !== "done") continue;
        const record = days.get(dayKey(job, day));
        const isThere = known.revision <= (record?.committed ?? 0);
        assert(isThere, `${id} has made ${day} as r${known.revision}, which nobody can read`);
      }
    }
  }
}
