/** Of executors, runs, room and the journal: what the leader knows of the cluster as a whole. */
import { failureCodes } from "../../../shared/kernel/failure.ts";
import { lanes } from "../../../shared/kernel/lane.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { executorStates } from "../../../shared/kernel/status.ts";
import { laneOf, type Run } from "../durable.ts";
import type { CoordinatorState } from "../state.ts";
import { executorStateOf } from "../views.ts";
import type { Samples } from "./samples.ts";

const liveStates = ["planning", "running", "checking", "committing"] as const;

export function clusterSamples(state: CoordinatorState) {
  const { counted, journal, space, submissions, unrestored, waiting } = state;
  return {
    ...ofExecutors(state),
    daymill_runs: ofRuns(state.durable.runs.values()),
    daymill_runs_queued: submissions.size + unrestored.length,
    daymill_runs_waiting: waiting.size,
    daymill_attempts_started_total: counted.attemptsStarted,
    daymill_attempts_won_total: counted.attemptsWon,
    daymill_attempts_failed_total: failureCodes.map(
      (code) => [{ code }, counted.attemptsFailed.get(code) ?? 0] as const,
    ),
    daymill_exchange_needed_bytes: space.neededBytes,
    daymill_exchange_budget_bytes: limits.exchangeBytesBudget,
    daymill_storage_used_bytes: space.room?.usedBytes,
    daymill_storage_size_bytes: space.room?.totalBytes,
    daymill_journal_sequence: journal.sequence,
    daymill_journal_records: journal.recordsSinceSnapshot,
    daymill_journal_unsaved_facts: journal.decided - journal.saved,
    daymill_journal_snapshot_timestamp_seconds:
      counted.snapshotMs === 0 ? undefined : counted.snapshotMs / 1_000,
  } satisfies Partial<Samples>;
}

/** Idle slots have the state of their executor; nobody counts on those of a lost one. */
function ofExecutors({ executors }: CoordinatorState) {
  const known = Object.fromEntries(executorStates.map((name) => [name, 0]));
  const slots = { busy: 0, free: 0, draining: 0, excluded: 0 };
  for (const executor of executors.values()) {
    const name = executorStateOf(executor);
    known[name] = (known[name] ?? 0) + 1;
    if (name === "lost") continue;
    const busy = Math.min(executor.busy.size, executor.slots);
    slots.busy += busy;
    slots[name === "ready" ? "free" : name] += executor.slots - busy;
  }
  return { daymill_executors: byState(known), daymill_slots: byState(slots) };
}

export function byState(counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).map(([state, count]) => [{ state }, count] as const);
}

function ofRuns(runs: Iterable<Run>) {
  const counts = new Map<string, number>();
  for (const run of runs) {
    if (run.ended !== undefined) continue;
    const key = `${laneOf(run)} ${run.state}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return lanes.flatMap((lane) =>
    liveStates.map((state) => [{ lane, state }, counts.get(`${lane} ${state}`) ?? 0] as const),
  );
}
