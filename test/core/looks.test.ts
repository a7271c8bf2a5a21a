// When days are looked at, and what a look is good for: slow looks, looks in trouble, and files seen for the first time.
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { atNoon, lines, noon, only, start } from "./backfill-story.ts";
import { Bench } from "./bench.ts";

const byCount = (value: string) => sampleJob({ ready: { ipdr: { by: "count", value } } });

describe("a day of a backfill", () => {
  test("is not judged by the first sight of its files: they may still change", () => {
    const bench = atNoon(new Bench(), byCount("4"));
    start(bench, { from: "2026-01-12", to: "2026-01-12" });
    bench.live(5_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-12 running ipdr: 4 of at least 4 files; 4 not seen unchanged for 30 s, first raw/day=2026-01-15/part-0.csv",
    ]);
    bench.live(limits.lookEveryMs);
    expect(lines(only(bench))).toEqual(["2026-01-12 done r1"]);
  });

  test("is skipped when they are seen to be too few", () => {
    const bench = atNoon(new Bench(), byCount("5"));
    start(bench, { from: "2026-01-12", to: "2026-01-12" });
    bench.live(5_000 + limits.lookEveryMs);
    expect(lines(only(bench))).toEqual([
      "2026-01-12 skipped missing input: ipdr: 4 of at least 5 files; waits for the rest",
    ]);
  });

  test("waits while its folder can't be listed, and is not skipped for that", () => {
    const bench = atNoon();
    const problem = failure("storageFailed", "folder raw: cannot be listed (EIO)");
    bench.override = (ask) =>
      ask.kind === "lookAtDay"
        ? { kind: "looked", sources: [{ source: "ipdr", files: [], newestMs: 0, problem }] }
        : undefined;
    start(bench, { from: "2026-01-12", to: "2026-01-12" });
    bench.live(60_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-12 running ipdr: folder raw: cannot be listed (EIO)",
    ]);
    bench.override = () => undefined;
    bench.live(2 * limits.lookEveryMs);
    expect(lines(only(bench))).toEqual(["2026-01-12 done r1"]);
  });

  test("runs although each look takes longer than the pause between two", () => {
    const bench = atNoon();
    bench.hold = ({ kind }) => kind === "lookAtDay";
    start(bench, { from: "2026-01-12", to: "2026-01-12" });
    bench.live(limits.lookEveryMs + 5_000);
    expect(bench.heldAsks).toHaveLength(1);
    bench.release();
    bench.live(5_000);
    expect(lines(only(bench))).toEqual(["2026-01-12 done r1"]);
  });
});

test("what is said while a look is under way is looked at when that is over", () => {
  const schedule = "0 1 * * *";
  const bench = atNoon(new Bench(), sampleJob({ schedule, backlogDays: 0 }));
  bench.live(5_000);
  bench.hold = ({ kind }) => kind === "lookAtDay";
  bench.live(limits.lookWhenDoneEveryMs);
  const held = () => bench.heldAsks.flatMap((ask) => (ask.kind === "lookAtDay" ? [ask.day] : []));
  expect(held()).toContain("2026-01-19");
  bench.say({ kind: "delivered", job: "usage", day: "2026-01-19", source: "" });
  bench.release();
  bench.live(1_000);
  expect(held()).toEqual(["2026-01-19"]);
});

test("what was seen of a day is forgotten when it has left the window, and its backfill is over", () => {
  const schedule = "0 1 * * *";
  const bench = atNoon(new Bench(), sampleJob({ schedule, backlogDays: 1 }));
  const seen = () => [...bench.state.desk.looks.keys()].map((key) => key.slice(-2)).sort();
  bench.live(20_000);
  expect(seen()).toEqual(["18", "19", "20"]);
  bench.memory.lookedAt.set("ipdr|2026-01-10", []);
  bench.hold = (ask) => ask.kind === "lookAtDay" && ask.day === "2026-01-10";
  start(bench, { from: "2026-01-09", to: "2026-01-10", concurrency: 2 });
  bench.live(20_000);
  expect(seen()).toEqual(["10", "18", "19", "20"]);
  bench.release();
  bench.live(5_000);
  expect(seen()).toEqual(["18", "19", "20"]);
  bench.wallFrom += 86_400_000;
  bench.hold = () => false;
  bench.live(20_000);
  expect(seen()).toEqual(["19", "20", "21"]);
});

describe("beside a job that waits for the files of sixty days", () => {
  const schedule = "0 1 * * *";
  const [ipdr] = sampleJob().sources;
  if (ipdr === undefined) throw new Error("the sample has a source");
  const waiting = sampleJob({
    name: "waiting",
    sources: [{ ...ipdr, name: "sms" }],
    schedule,
    backlogDays: 60,
  });

  /** It was known first, and its looks are due all the time. */
  function beside(job = sampleJob()): Bench {
    const bench = new Bench();
    bench.override = (ask) =>
      ask.kind === "lookAtDay" && ask.sources[0]?.source.name === "sms"
        ? { kind: "looked", sources: [{ source: "sms", files: [], newestMs: 0 }] }
        : undefined;
    bench.wallFrom = noon;
    bench.lead();
    bench.attach(1, { slots: 8 });
    bench.register(waiting);
    bench.live(20_000);
    if (job.schedule === undefined) bench.submit(job, { day: "2026-01-11" });
    else bench.register(job);
    return bench;
  }
  const runs = (bench: Bench) => [...bench.memory.manifests.keys()].sort();

  test("days of another job are looked at and run", () => {
    const bench = beside(sampleJob({ schedule, backlogDays: 1 }));
    bench.live(60_000);
    expect(runs(bench)).toEqual(["usage.2026-01-18.r1", "usage.2026-01-19.r1"]);
  });

  test("so are those of a backfill", () => {
    const bench = beside();
    start(bench, { from: "2026-01-12", to: "2026-01-13" });
    bench.live(60_000);
    expect(runs(bench).slice(1)).toEqual(["usage.2026-01-12.r1", "usage.2026-01-13.r1"]);
  });

  test("a day that is done is looked at, in case files come", () => {
    const bench = beside(sampleJob({ schedule, backlogDays: 0 }));
    bench.live(60_000);
    bench.memory.lookedAt.set("ipdr|2026-01-19", sampleFiles(5));
    bench.memory.inputs = sampleFiles(5);
    bench.live(5 * limits.lookWhenDoneEveryMs);
    expect(runs(bench)).toEqual(["usage.2026-01-19.r1", "usage.2026-01-19.r2"]);
  });
});
