/** What facts about backfills do to the desk of a job. Part of `fold`: in place, total, deciding nothing. */
import type { Backfill, BackfillDay } from "../../../shared/kernel/backfill.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { DeskRecord } from "../durable.ts";
import type { Fact } from "../facts.ts";

type Of<Kind extends Fact["kind"]> = Extract<Fact, { kind: Kind }>;

/** The oldest that have ended make room. */
export function foldBackfillStarted(desk: DeskRecord, backfill: Backfill): void {
  const all = [...(desk.backfills ?? []), backfill];
  const over = all.length - limits.backfillsKept;
  const gone = new Set(all.filter(hasEnded).slice(0, Math.max(0, over)));
  desk.backfills = all.filter((one) => !gone.has(one));
  desk.changes++;
}

export function foldBackfillMarked(desk: DeskRecord, fact: Of<"backfillMarked">): void {
  const { state, reason, wallMs } = fact;
  const changed = state === "done" ? {} : { changed: { reason, wallMs } };
  change(desk, fact.id, (backfill) => ({ ...backfill, state, ...changed }));
}

/** What came of a day is final. */
export function foldBackfillDays(desk: DeskRecord, fact: Of<"backfillDays">): void {
  change(desk, fact.id, (backfill) => {
    const news = Object.entries(fact.days).filter(([day]) => !isSettled(backfill.days[day]));
    return { ...backfill, days: { ...backfill.days, ...Object.fromEntries(news) } };
  });
}

function change(desk: DeskRecord, id: string, to: (backfill: Backfill) => Backfill): void {
  desk.backfills = (desk.backfills ?? []).map((one) => (one.id === id ? to(one) : one));
  desk.changes++;
}

export function hasEnded({ state, days }: Backfill): boolean {
  if (state === "done") return true;
  // What was under way when it was cancelled is followed to its end.
  return state === "cancelled" && Object.values(days).every(isSettled);
}

export function isSettled(day: BackfillDay | undefined): boolean {
  return day !== undefined && day.state !== "taken";
}

/** For storage: what has no end yet is found out again. */
export function withoutTaken(backfill: Backfill): Backfill {
  const days = Object.entries(backfill.days).filter(([, day]) => isSettled(day));
  return { ...backfill, days: Object.fromEntries(days) };
}
