/** How a run goes, in figures that runs of other days can be compared with. Pure. */
import type { RunSpeed } from "../../shared/kernel/manifest.ts";
import { laneOf, type Run } from "./durable.ts";

/** At its commit, or so far. */
export function speedOf(run: Run, nowMs: number): RunSpeed {
  return {
    run: run.id,
    durationMs: Math.max(0, nowMs - run.createdMs),
    rows: run.stages.reduce((sum, { kind, sums }) => sum + (kind === "scan" ? sums.rowsIn : 0), 0),
    kind: kindOf(run),
    endedMs: nowMs,
  };
}

/** Only runs that do the same can be compared: a re-run that takes most of its day from the exchange is fast. */
export function kindOf(run: Run): RunSpeed["kind"] {
  const isLive = laneOf(run) === "live" && run.origin !== "backfill" && run.origin !== "news";
  if (!isLive || run.select !== undefined || run.stages.some(({ reused }) => reused > 0))
    return "other";
  const hasMappedAhead = run.stages.some(
    ({ kind, startedMs }) => kind === "scan" && startedMs > 0 && startedMs < run.createdMs,
  );
  return hasMappedAhead ? "ahead" : "live";
}
