/** What stories of backfills have in common: a leader at noon, a job that it knows, and what is said of a backfill. */
import type { BackfillStatus, BackfillWish } from "../../shared/kernel/backfill.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

export const noon = Date.parse("2026-01-20T12:00:00Z");

/** A leader at noon of 20 January with one executor; it knows a job without a schedule, which has one day. */
export function atNoon(bench = new Bench(), job = sampleJob()): Bench {
  bench.wallFrom = noon;
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.submit(job, { day: "2026-01-11" });
  bench.live(5_000);
  return bench;
}

export const wish: BackfillWish = {
  job: "usage",
  from: "2026-01-10",
  to: "2026-01-13",
  redo: "missing",
  order: "oldest",
  concurrency: 1,
  by: "ann",
  reason: "new cells",
};

export function start(bench: Bench, changes: Partial<BackfillWish> = {}, requestId = "one") {
  const action = { kind: "start", requestId, dryRun: false } as const;
  return bench.say({ kind: "backfill", action: { ...action, wish: { ...wish, ...changes } } });
}

export function all(bench: Bench): readonly BackfillStatus[] {
  const reply = bench.ask({ kind: "backfills", job: "" });
  if (reply?.kind !== "backfills") throw new Error(JSON.stringify(reply));
  return reply.backfills;
}

export function only(bench: Bench): BackfillStatus {
  const [one] = all(bench);
  if (one === undefined) throw new Error("there is a backfill");
  return one;
}

export const lines = ({ days }: BackfillStatus) =>
  days.map(({ day, state, reason, revision }) =>
    `${day} ${state}${revision === 0 ? "" : ` r${revision}`} ${reason}`.trim(),
  );
