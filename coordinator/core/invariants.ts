/** What must hold of a coordinator's state after every step; tests and the simulation check it. */
import { assert } from "../../shared/kernel/assert.ts";
import type { Durable } from "./durable.ts";
import { checkPlaces } from "./places.ts";
import type { CoordinatorState } from "./state.ts";

/** What must hold between steps. */
export function checkInvariants(state: CoordinatorState): void {
  const { durable, journal, role } = state;
  const inFlight = journal.flight?.facts ?? 0;
  assert(
    journal.decided === journal.saved + inFlight + journal.unsaved.length,
    "every decided fact is saved, in flight or waiting",
  );
  assert(journal.held.length === 0 || journal.decided > journal.saved, "no effect is held in vain");
  assert(role.kind === "leader" || journal.decided === 0, "only a leader decides");
  assert(role.kind === "leader" || state.connections.size === 0, "only a leader has executors");
  for (const run of durable.runs.values()) {
    for (const stage of run.stages) {
      let done = 0;
      let index = 0;
      for (const { result, running } of stage.tasks) {
        if (result !== undefined) done++;
        const waiting = result === undefined && running.length === 0;
        assert(stage.waiting.has(index++) === waiting, "waiting = neither done nor running");
      }
      assert(stage.done === done, "a stage counts its done tasks");
    }
  }
  for (const executor of state.executors.values()) {
    if (executor.connection === undefined) continue;
    assert(
      state.connections.get(executor.connection) === executor.id,
      "each executor's connection leads back to it",
    );
  }
  checkPlaces(state);
  checkRunning(durable);
}

function checkRunning({ attempts, running, runs }: Durable): void {
  let count = 0;
  for (const [id, { run, stage, task, state }] of attempts) {
    if (state !== "running") continue;
    count++;
    assert(running.has(id), "a running attempt is listed");
    const isTasks = runs.get(run)?.stages[stage]?.tasks[task]?.running.includes(id);
    assert(isTasks === true, "a running attempt is one of its task's");
  }
  assert(running.size === count, "only running attempts are listed");
}
