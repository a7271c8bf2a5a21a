/** Backfills as lines for people. Pure. */
import type { BackfillStatus } from "../shared/adapters/grpc-types.ts";
import { formatTable } from "./format.ts";

export function backfillTable(backfills: readonly BackfillStatus[]): readonly string[] {
  if (backfills.length === 0) return ["there is no backfill"];
  const heads = ["BACKFILL", "DAYS", "REDO", "STATE", "TO DO", "RUNNING", "DONE", "FAILED"];
  const rows = backfills.map((one) => [
    one.id,
    `${one.from} to ${one.to}`,
    one.redo,
    one.state,
    ...[one.toDo, one.running, one.done, one.failed, one.skipped].map(String),
    startText(one),
  ]);
  return formatTable([...heads, "SKIPPED", "STARTED"], rows);
}

/** One backfill with each of its days. */
export function backfillLines(backfill: BackfillStatus): readonly string[] {
  const { id, job, redo, order, concurrency, state, changed, days } = backfill;
  const isPlan = state === "dry run";
  const what = isPlan ? `what a backfill of ${job} would do` : `${id} is ${state}`;
  const why = changed === "" ? "" : ` (${changed})`;
  return [
    `${what}${why}: ${redo} days, ${order} first, ${concurrency} at a time`,
    ...(isPlan ? [] : [startText(backfill)]),
    sumsText(backfill),
    "",
    ...days.map(({ day, state: of, reason, revision }) => {
      const text = of === "done" ? `revision ${revision}` : reason;
      const shown = isPlan && of === "to do" ? "would be made" : of;
      return text === "" ? `${day} ${shown}` : `${day} ${shown}: ${text}`;
    }),
    ...(isPlan
      ? ["", "the input of a day is looked at when its turn comes; nothing was changed"]
      : []),
  ];
}

function startText({ wallMs, by, reason }: BackfillStatus): string {
  const when = new Date(wallMs).toISOString().slice(0, 16).replace("T", " ");
  return `${when} UTC by ${by === "" ? "somebody" : by}${reason === "" ? "" : `: ${reason}`}`;
}

function sumsText({ toDo, running, done, failed, skipped }: BackfillStatus): string {
  return `${toDo} to do, ${running} running, ${done} done, ${failed} failed, ${skipped} skipped`;
}
