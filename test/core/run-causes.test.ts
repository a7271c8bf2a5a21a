/** The history of runs: who or what started each, and what it read; told of runs that have ended, and on storage. */
import { describe, expect, test } from "vitest";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import type { RunStatus } from "../../shared/kernel/status.ts";
import { sampleFiles } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";
import { atNight, daily, hourMs, midnight } from "./desk-story.ts";

function runs(bench: Bench): readonly RunStatus[] {
  const reply = bench.ask({ kind: "runs", job: "", limit: 100 });
  if (reply?.kind !== "runs") throw new Error(JSON.stringify(reply));
  return reply.runs;
}

/** `day rN: cause by`, oldest first. */
function causes(bench: Bench): string[] {
  const all = runs(bench).map(({ day, revision, cause, by }) =>
    `${day} r${revision}: ${cause} ${by}`.trim(),
  );
  return all.sort();
}

describe("each run says who or what started it", () => {
  test("the schedule, catching up, a person, a late file, another form, a command, a backfill", () => {
    const bench = atNight();
    bench.live(100_000);
    bench.submit("usage", { day: "2026-01-16", by: "ann", rerun: true });
    bench.live(10_000);
    bench.say({
      kind: "markDay",
      job: "usage",
      day: "2026-01-17",
      mark: "wanted",
      reason: "a look",
    });
    bench.live(10_000);
    for (const day of ["14", "16", "17", "18"]) {
      bench.memory.lookedAt.set(`ipdr|2026-01-${day}`, sampleFiles(4));
    }
    bench.memory.lookedAt.set("ipdr|2026-01-15", sampleFiles(5));
    bench.memory.inputs = sampleFiles(5);
    bench.live(150_000);
    const wish = {
      job: "usage",
      from: "2026-01-10",
      to: "2026-01-10",
      redo: "missing",
      order: "oldest",
      concurrency: 1,
      by: "ben",
      reason: "",
    } as const;
    bench.say({
      kind: "backfill",
      action: { kind: "start", requestId: "b", dryRun: false, wish },
    });
    bench.live(20_000);
    expect(causes(bench).filter((line) => !line.startsWith("2026-01-18"))).toEqual([
      "2026-01-10 r1: backfill usage.b1",
      "2026-01-14 r1: catch-up",
      "2026-01-15 r1: catch-up",
      "2026-01-15 r2: late input",
      "2026-01-16 r1: schedule",
      "2026-01-16 r2: request ann",
      "2026-01-17 r1: schedule",
      "2026-01-17 r2: command",
    ]);
    const models = [{ name: "totals", sql: "SELECT 2", file: "totals.sql" }];
    bench.register(daily({ models, onChange: "rerun" }));
    bench.live(20_000);
    expect(causes(bench)).toContain("2026-01-16 r3: definition");
  });

  test("with what it read, how long it took and its revision, also in its manifest", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    bench.submit("usage", { day: "2026-01-16", by: "ann" });
    bench.pass(2_000, [1]);
    bench.work();
    const run = runs(bench).find(({ day }) => day === "2026-01-16");
    expect(run).toMatchObject({ state: "committed", revision: 1, cause: "request", by: "ann" });
    const scan = run?.stages[0];
    expect([run?.rowsIn, run?.bytesIn]).toEqual([40, scan?.bytesIn]);
    expect(run?.bytesIn).toBeGreaterThan(0);
    expect(run && run.endedMs - run.createdMs).toBe(2_000);
    expect(bench.memory.manifests.get("usage.2026-01-16.r1")).toMatchObject({
      start: { by: "ann" },
      createdMs: run?.createdMs,
    });
  });

  test("whoever wants a day that only gathers files has started its run", () => {
    const bench = new Bench();
    bench.wallFrom = midnight - 2 * hourMs;
    bench.lead();
    bench.attach(1, { slots: 8 });
    bench.register(daily({ backlogDays: 0 }));
    bench.live(120_000);
    expect(causes(bench)).toContain("2026-01-17 r1: schedule");
    bench.submit("usage", { day: "2026-01-17", by: "ann" });
    bench.live(10_000);
    expect(causes(bench)).toContain("2026-01-17 r1: request ann");
    expect(runs(bench).find(({ day }) => day === "2026-01-17")?.state).toBe("committed");
  });

  test("the next leader and a snapshot know it, and a run that comes back when the journal is lost", () => {
    const bench = atNight();
    bench.live(30_000);
    bench.submit("usage", { day: "2026-01-16", by: "ann", rerun: true });
    const known = causes(bench);
    expect(known).toContain("2026-01-16 r2: request ann");
    const kept = decodeSnapshot(encodeSnapshot(bench.state.durable));
    expect(kept.runs.get("usage.2026-01-16.r2")?.by).toBe("ann");
    expect(bench.memory.requests.get("usage.2026-01-16.r2")?.start).toEqual({ by: "ann" });
    bench.memory.loseJournal();
    const next = new Bench(bench.memory, "c2");
    next.wallFrom = bench.wallFrom + bench.at;
    next.lead();
    next.attach(1, { slots: 8 });
    next.live(10_000);
    expect(causes(next)).toContain("2026-01-16 r2: request ann");
  });
});
