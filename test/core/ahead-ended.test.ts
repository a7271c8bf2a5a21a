// What was mapped ahead of a day can't be gone on with: files, dimensions or the job are others now, or nothing comes.
import { describe, expect, test } from "vitest";
import { plainCsv } from "../../shared/kernel/job.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { sampleFiles, samplePlan } from "../sim/sample-job.ts";
import {
  beforeStart,
  daily,
  day,
  lead,
  live,
  manifest,
  midnight,
  minuteMs,
  plainRows,
  put,
  rows,
  run,
  said,
  toStart,
} from "./ahead-story.ts";
import { Bench } from "./bench.ts";

describe("what was mapped ahead can't be gone on with", () => {
  test("a file is another one now: the day's own run takes what is kept and reads that file again", () => {
    const bench = beforeStart(sampleFiles(3));
    live(bench, minuteMs);
    const [first, ...others] = sampleFiles(3);
    const changed = [{ ...first, mtimeNs: "2" } as FileFingerprint, ...others];
    put(bench, changed);
    live(bench, 30_000);
    expect(run(bench).ended).toMatchObject({ state: "cancelled" });
    expect(run(bench).ended?.failure?.message).toBe(
      "mapping ahead has ended: raw/day=2026-01-15/part-0.csv is not the file any more that was mapped",
    );
    expect(bench.state.durable.days.get(`usage|${day}`)?.failed).toBeUndefined();
    expect(said(bench)).toMatch(/^waiting: starts in/);
    expect(toStart(bench)).toEqual(["map part-0", "reduce 0", "reduce 1"]);
    expect(manifest(bench, 2)?.state).toBe("committed");
    expect(rows(bench, 2)).toEqual(plainRows(changed));
  });

  test("a file goes between the last look and the start", () => {
    const bench = beforeStart(sampleFiles(3));
    live(bench, midnight + 60 * minuteMs - 2_000 - (bench.wallFrom + bench.at));
    bench.memory.inputs = sampleFiles(2);
    bench.memory.lookedAt.set(`ipdr|${day}`, sampleFiles(2));
    expect(toStart(bench)).toEqual(["reduce 0", "reduce 1"]);
    expect(manifest(bench)?.state).toBe("aborted");
    expect(manifest(bench, 2)?.sources[0]).toMatchObject({ files: 2 });
    expect(rows(bench, 2)).toEqual(plainRows(sampleFiles(2)));
  });

  test("the job is edited: files are mapped for its new form, which takes over what it can", () => {
    const bench = beforeStart(sampleFiles(2));
    live(bench, minuteMs);
    const finishBy = daily({ finishBy: "06:00" });
    bench.register(finishBy);
    // Its map work is the same: nothing has to be read again.
    expect(live(bench, minuteMs)).toEqual([]);
    expect(run(bench).ended?.failure?.message).toBe("mapping ahead has ended: the job has changed");
    expect(run(bench, 2)).toMatchObject({ lane: "ahead", isGathering: true });
    expect(run(bench, 2).stages[0]?.reused).toBe(2);
    expect(toStart(bench)).toEqual(["reduce 0", "reduce 1"]);
    expect(manifest(bench, 2)?.state).toBe("committed");
  });

  test("a task fails for good: the day has not failed, and nothing is mapped ahead of it again", () => {
    const bench = beforeStart(sampleFiles(2));
    bench.pass(50_000, [1]);
    const [task] = bench.takeTasks();
    if (task === undefined) throw new Error("nothing was sent");
    bench.fail(task, { code: "inputMalformed", message: "torn", detail: {} });
    bench.pass(2 * minuteMs, [1]);
    expect(run(bench).ended).toMatchObject({ state: "failed" });
    expect(bench.state.durable.runs.size).toBe(1);
    expect(said(bench)).toMatch(/^waiting: starts in/);
    toStart(bench);
    expect(manifest(bench, 2)?.state).toBe("committed");
  });

  test("a backfill of days that have failed leaves the day out: no run of it has begun", () => {
    const bench = beforeStart(sampleFiles(2));
    live(bench, minuteMs);
    bench.register(daily({ finishBy: "06:00" }));
    live(bench, minuteMs);
    bench.say({ kind: "markDay", job: "usage", day, mark: "held", reason: "" });
    live(bench, minuteMs);
    expect([1, 2].map((revision) => run(bench, revision).state)).toEqual([
      "cancelled",
      "cancelled",
    ]);
    const range = { job: "usage", from: day, to: day, redo: "failed" } as const;
    const wish = { ...range, order: "oldest", concurrency: 1, by: "", reason: "" } as const;
    const action = { kind: "start", requestId: "one", dryRun: true, wish } as const;
    expect(bench.say({ kind: "backfill", action })).toMatchObject({
      backfills: [{ days: [{ reason: "no run of it has failed; it has no revision" }] }],
    });
  });

  test("its files never all come, and the day leaves the window", () => {
    const rule = { by: "count", value: "3" } as const;
    const bench = beforeStart(sampleFiles(2), daily({ ready: { ipdr: rule } }));
    live(bench, 12 * minuteMs);
    expect(said(bench)).toMatch(/^missing input: ipdr: 2 of .*; 2 of 2 files mapped ahead$/);
    bench.wallFrom += 2 * 86_400_000;
    live(bench, 30_000);
    expect(run(bench).ended?.failure?.message).toBe(
      "mapping ahead has ended: the day is older than the window",
    );
  });
});

/** As `beforeStart`, with a dimension that the map tasks join, or the reduces. */
function withDimension(joinedBy: "map" | "reduce") {
  const plan = samplePlan();
  const spec = { name: "apps", path: "dims/apps.csv", format: "csv", columns: [] } as const;
  const stages = plan.stages.map((stage, index) =>
    index === (joinedBy === "map" ? 0 : 1) ? { ...stage, dimensions: ["apps"] } : stage,
  );
  const bench = new Bench();
  bench.memory.plan = { ...plan, stages };
  const about = { file: { ...sampleFiles(1)[0], path: "dims/apps.csv" } as FileFingerprint };
  bench.override = (ask) =>
    ask.kind === "listInputs"
      ? {
          kind: "listed",
          sources: ask.sources.map(({ name }) => ({ source: name, files: bench.memory.inputs })),
          dimensions: ask.dimensions.map(() => about.file),
        }
      : undefined;
  put(bench, sampleFiles(2));
  lead(bench, 50, daily({ dimensions: [{ ...spec, csv: plainCsv }] }));
  return { bench, about };
}

describe("a dimension is another one at the start", () => {
  test("reduces take it as it is then", () => {
    const { bench, about } = withDimension("reduce");
    expect(live(bench, minuteMs)).toEqual(["map part-0", "map part-1"]);
    about.file = { ...about.file, mtimeNs: "2" };
    live(bench, midnight + 59 * minuteMs - (bench.wallFrom + bench.at));
    const read: (string | undefined)[] = [];
    for (let second = 0; second < 120; second++) {
      bench.pass(1_000, [1]);
      for (const { work } of bench.takeTasks()) {
        if (work.kind === "reduce") read.push(work.dimensions[0]?.file.mtimeNs);
      }
    }
    expect(read).toEqual(["2", "2"]);
  });

  test("map tasks have read the old one: they run again, in the day's own run", () => {
    const { bench, about } = withDimension("map");
    live(bench, minuteMs);
    about.file = { ...about.file, mtimeNs: "2" };
    expect(toStart(bench)).toEqual(["map part-0", "map part-1", "reduce 0", "reduce 1"]);
    expect(manifest(bench)?.failure?.message).toBe(
      "mapping ahead has ended: dimension apps has changed",
    );
    expect(manifest(bench, 2)?.state).toBe("committed");
  });
});
