/** What a leader takes away is nobody's: no live run and no kept output of the one who asks stands on it. */
import { type Durable, liveRuns } from "../../coordinator/core/durable.ts";
import type { Effect } from "../../coordinator/core/protocol.ts";
import { assert } from "../../shared/kernel/assert.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";

export function nothingNeededIsDropped(
  { name, state }: SimCoordinator,
  effects: readonly Effect[],
): void {
  const { durable } = state;
  for (const effect of effects) {
    if (effect.kind === "dropStaging") {
      nothingStagedIsNeeded(durable, name, effect.run);
    } else if (effect.kind === "dropStreams") {
      const used = liveRuns(durable).flatMap((run) => [...run.exchanges.values()]);
      const inUse = used.flatMap((one) => one.streams).find((s) => effect.streams.includes(s));
      assert(inUse === undefined, `${name} drops ${inUse}, which a live run uses`);
    } else if (effect.kind === "purgeStreams") {
      const won = winnersOf(durable);
      const winner = effect.attempts.find((attempt) => won.has(attempt));
      assert(winner === undefined, `${name} removes what ${winner} wrote, which has won`);
    }
  }
}

/** Not the run's own files, and none that a later run of its day has taken over or may take over. */
function nothingStagedIsNeeded(durable: Durable, name: string, run: string): void {
  const isLive = liveRuns(durable).some(({ id }) => id === run);
  assert(!isLive, `${name} drops the staging folder of ${run}, which is live`);
  const folder = `staging/${run}/`;
  for (const other of liveRuns(durable)) {
    for (const { tasks, scope } of other.stages) {
      // Those of outputs that are kept anyway have been given final paths by then, or have lost them.
      if (scope !== undefined) continue;
      const used = tasks.find(({ result }) =>
        result?.files.some((one) => one.path.startsWith(folder)),
      );
      const attempt = used?.result?.attemptId;
      assert(used === undefined, `${name} drops what ${attempt} staged, and ${other.id} stands on`);
    }
  }
  for (const { isSalvage, outputs } of durable.kept.values()) {
    if (isSalvage !== true) continue;
    const output = outputs
      .values()
      .find(({ files }) => files.some((one) => one.path.startsWith(folder)));
    assert(output === undefined, `${name} drops what ${output?.attemptId} staged, which is kept`);
  }
}

/** Attempts whose rows somebody may still read. */
function winnersOf(durable: Durable): ReadonlySet<string> {
  const won = new Set<string>();
  for (const run of liveRuns(durable)) {
    for (const { tasks } of run.stages) {
      for (const { result } of tasks) if (result !== undefined) won.add(result.attemptId);
    }
  }
  for (const { outputs } of durable.kept.values()) {
    for (const attemptId of outputs.attemptIds()) won.add(attemptId);
  }
  return won;
}
