/** Backfills as people are shown them, from what the leader goes by. */
import type {
  Backfill,
  BackfillDayStatus,
  BackfillStatus,
  BackfillWish,
} from "../../../shared/kernel/backfill.ts";
import { daysOfBackfill } from "../../../shared/kernel/backfill.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import type { Turn } from "../turn.ts";

/** Newest first; `job` empty = of all jobs; `id` empty = all. */
export function backfillsOf(turn: Turn, job: string, id = ""): BackfillStatus[] {
  const { desks } = turn.state.durable;
  const all = [...desks].flatMap(([name, { backfills = [] }]) =>
    job === "" || name === job ? backfills : [],
  );
  const shown = all.filter((one) => id === "" || one.id === id);
  return shown.sort((a, b) => b.wallMs - a.wallMs).map((one) => statusOf(turn, one));
}

function statusOf(turn: Turn, backfill: Backfill): BackfillStatus {
  const inOrder = daysOfBackfill(backfill, limits.backfillDaysMax);
  const days = inOrder.map((day) => dayStatus(turn, backfill, day));
  const { id, state, changed, wallMs } = backfill;
  return { ...counted(backfill, days), id, state, wallMs, changed: changed?.reason ?? "" };
}

function dayStatus(turn: Turn, { id, days }: Backfill, day: Day): BackfillDayStatus {
  const known = days[day];
  const none = { day, reason: "", revision: 0 };
  switch (known?.state) {
    case undefined:
      return { ...none, state: "to do" };
    case "taken": {
      const waits = turn.state.desk.backfillWaits.get(`${id}|${day}`);
      return { ...none, state: "running", reason: waits ?? "it is taken up" };
    }
    case "done":
      return { ...none, state: "done", revision: known.revision };
    case "failed":
    case "skipped":
      return { ...none, state: known.state, reason: known.reason };
    default:
      return known satisfies never;
  }
}

/** Sums over the days. */
export function counted(
  { job, from, to, redo, order, concurrency, by, reason }: BackfillWish,
  days: readonly BackfillDayStatus[],
) {
  const count = (state: BackfillDayStatus["state"]) =>
    days.filter((day) => day.state === state).length;
  return {
    ...{ job, from, to, redo, order, concurrency, by, reason, days },
    toDo: count("to do"),
    running: count("running"),
    done: count("done"),
    failed: count("failed"),
    skipped: count("skipped"),
  };
}
