// When days are looked at, and what a look is good for: slow looks, looks in trouble, and files seen for the first time.
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { atNoon, lines, live, only, start } from "./backfill-story.ts";
import { Bench } from "./bench.ts";

const byCount = (value: string) => sampleJob({ ready: { ipdr: { by: "count", value } } });

describe("a day of a backfill", () => {
  test("is not judged by the first sight of its files: they may still change", () => {
    const bench = atNoon(new Bench(), byCount("4"));
    start(bench, { from: "2026-01-12", to: "2026-01-12" });
    live(bench, 5_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-12 running ipdr: 4 of at least 4 files; 4 not seen unchanged for 30 s, first raw/day=2026-01-15/part-0.csv",
    ]);
    live(bench, limits.lookEveryMs);
    expect(lines(only(bench))).toEqual(["2026-01-12 done r1"]);
  });

  test("is skipped when they are seen to be too few", () => {
    const bench = atNoon(new Bench(), byCount("5"));
    start(bench, { from: "2026-01-12", to: "2026-01-12" });
    live(bench, 5_000 + limits.lookEveryMs);
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
    live(bench, 60_000);
    expect(lines(only(bench))).toEqual([
      "2026-01-12 running ipdr: folder raw: cannot be listed (EIO)",
    ]);
    bench.override = () => undefined;
    live(bench, 2 * limits.lookEveryMs);
    expect(lines(only(bench))).toEqual(["2026-01-12 done r1"]);
  });

  test("runs although each look takes longer than the pause between two", () => {
    const bench = atNoon();
    bench.hold = ({ kind }) => kind === "lookAtDay";
    start(bench, { from: "2026-01-12", to: "2026-01-12" });
    live(bench, limits.lookEveryMs + 5_000);
    expect(bench.heldAsks).toHaveLength(1);
    bench.release();
    live(bench, 5_000);
    expect(lines(only(bench))).toEqual(["2026-01-12 done r1"]);
  });
});

test("what is said while a look is under way is looked at when that is over", () => {
  const schedule = "0 1 * * *";
  const bench = atNoon(new Bench(), sampleJob({ schedule, backlogDays: 0 }));
  live(bench, 5_000);
  bench.hold = ({ kind }) => kind === "lookAtDay";
  live(bench, limits.lookWhenDoneEveryMs);
  const held = () => bench.heldAsks.flatMap((ask) => (ask.kind === "lookAtDay" ? [ask.day] : []));
  expect(held()).toContain("2026-01-19");
  bench.say({ kind: "delivered", job: "usage", day: "2026-01-19", source: "" });
  bench.release();
  live(bench, 1_000);
  expect(held()).toEqual(["2026-01-19"]);
});

test("what was seen of a day is forgotten when it has left the window, and its backfill is over", () => {
  const schedule = "0 1 * * *";
  const bench = atNoon(new Bench(), sampleJob({ schedule, backlogDays: 1 }));
  const seen = () => [...bench.state.desk.looks.keys()].map((key) => key.slice(-2)).sort();
  live(bench, 20_000);
  expect(seen()).toEqual(["18", "19", "20"]);
  bench.memory.lookedAt.set("ipdr|2026-01-10", []);
  bench.hold = (ask) => ask.kind === "lookAtDay" && ask.day === "2026-01-10";
  start(bench, { from: "2026-01-09", to: "2026-01-10", concurrency: 2 });
  live(bench, 20_000);
  expect(seen()).toEqual(["10", "18", "19", "20"]);
  bench.release();
  live(bench, 5_000);
  expect(seen()).toEqual(["18", "19", "20"]);
  bench.wallFrom += 86_400_000;
  bench.hold = () => false;
  live(bench, 20_000);
  expect(seen()).toEqual(["19", "20", "21"]);
});
