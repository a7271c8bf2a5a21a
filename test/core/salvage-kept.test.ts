/** What a failed run had finished, and how long it stays: files in its staging folder, streams, and what is known of them. */
import { describe, expect, test } from "vitest";
import { fold } from "../../coordinator/core/fold.ts";
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { noNegative, sampleFiles, samplePlan } from "../sim/sample-job.ts";
import { type Bench, day } from "./bench.ts";
import { again, begun, expectSameRows, failAt, failed, job } from "./salvage-story.ts";

describe("what was finished", () => {
  const staged = (bench: Bench) => bench.memory.stagedRuns();
  /** Of what is kept: the source that was scanned, or the stage that was finished. */
  const scopes = (bench: Bench) =>
    [...bench.state.durable.kept].map(([scope, { source }]) => source || scope.split("/")[3]);

  test("stays until the day is made: files and exchange", () => {
    const bench = failed();
    expect(staged(bench)).toEqual([`usage.${day}.r1`]);
    bench.pass(120_000, [1]);
    expect(staged(bench)).toEqual([`usage.${day}.r1`]);
    expect(bench.memory.streams.size).toBe(4);
    again(bench);
    expect(staged(bench)).toEqual([]);
    // Map outputs stay for re-runs.
    expect(bench.memory.streams.size).toBe(2);
  });

  test("is made again where its files have gone", () => {
    const bench = failed();
    const [gone = ""] = [...bench.memory.files.keys()].filter((path) =>
      path.startsWith("staging/"),
    );
    bench.memory.files.delete(gone);
    expect(again(bench)).toEqual(["s1/0", "s2/0", "s2/1"]);
    expectSameRows(bench, 2);
  });

  test("is made again where its exchange has gone", () => {
    const bench = failed();
    for (const stream of [...bench.memory.streams.keys()]) {
      const writers = [...(bench.memory.streams.get(stream)?.keys() ?? [])];
      if (writers.some((id) => id.startsWith("s1"))) bench.memory.streams.delete(stream);
    }
    expect(again(bench)).toEqual(["s1/0", "s1/1", "s2/0", "s2/1"]);
    expectSameRows(bench, 2);
  });

  test("goes when another day's run finds storage full", () => {
    const bench = failed();
    bench.submit("usage", { day: "2026-01-16" });
    const [task] = bench.takeTasks();
    bench.fail(must(task, "a scan"), failure("storageDenied", "no"));
    bench.pass(60_000, [1]);
    expect(staged(bench)).toEqual([`usage.${day}.r1`]);
    const [other] = bench.takeTasks();
    bench.fail(must(other, "a scan again"), failure("storageFull", "no space left"));
    bench.pass(60_000, [1]);
    expect(staged(bench)).toEqual([]);
    expect(scopes(bench)).toEqual(["ipdr", "ipdr"]);
  });

  test("stays when it is the day's own next run that finds storage full: that goes on from it", () => {
    const bench = failed();
    bench.submit("usage", { rerun: true });
    const [task] = bench.takeTasks();
    bench.fail(must(task, "s2/0"), failure("storageFull", "no space left"));
    bench.pass(60_000, [1]);
    expect(bench.run(2).warnings).toEqual(["waiting: no space left"]);
    expect(staged(bench)).toEqual([`usage.${day}.r1`]);
    expect(scopes(bench)).toEqual(["ipdr", "s1"]);
  });

  test("goes when the day is made for readers who do not see it yet", () => {
    const bench = failed();
    const doubted = { ...noNegative, expect: 7, severity: "quarantine" } as const;
    expect(again(bench, { ...job, checks: [doubted] })).toEqual(["checks/0", "s2/0", "s2/1"]);
    expect(bench.run(2).state).toBe("quarantined");
    expect(staged(bench)).toEqual([]);
    expect(scopes(bench)).toEqual(["ipdr"]);
  });

  test("is told of by gc: its files always, its exchange where it has one", () => {
    const bench = failed("sqlRefused", 1);
    expect(scopes(bench)).toEqual(["ipdr", "s1", "s2"]);
    const reply = bench.tidy({ kind: "gc", job: "", dryRun: true });
    if (reply?.kind !== "gc") throw new Error(JSON.stringify(reply));
    const told = reply.report.items.map(({ kind, name, goes, why }) => [kind, name, goes, why]);
    const days = "not older than backlog.days 2";
    expect(told.filter(([kind]) => kind !== "journal")).toEqual([
      [
        ...["staging", `usage.${day}.r1`, false],
        "its run failed: the day's next one goes on from what it had made",
      ],
      ["exchange", "ipdr, 2 streams", false, days],
      ["exchange", "of a failed run, 2 streams", false, days],
    ]);
  });

  test("does not stay when its run failed because storage took nothing", () => {
    for (const [code, stages] of [
      ["sqlRefused", 1],
      ["storageFull", 0],
    ] as const) {
      const bench = begun();
      for (const stage of ["s0", "s1"]) {
        for (const task of bench.takeTasks()) {
          expect(task.delivery.stage).toBe(stage);
          bench.finish(task);
        }
      }
      const { durable } = bench.state;
      const ended = { kind: "runEnded", run: `usage.${day}.r1`, state: "failed" } as const;
      fold(durable, { ...ended, failure: failure(code, "no"), wallMs: 1 });
      const salvaged = [...durable.kept.values()].filter(({ isSalvage }) => isSalvage);
      expect(salvaged).toHaveLength(stages);
    }
  });

  test("goes when the day's next run of other input fails before it had finished any of it", () => {
    const bench = failed();
    bench.memory.inputs = sampleFiles(5);
    bench.submit("usage", { rerun: true });
    failAt(bench, "s1", "sqlRefused", 0);
    expect(bench.run(2).state).toBe("failed");
    expect(scopes(bench)).toEqual(["ipdr"]);
    expect(staged(bench)).toEqual([]);
  });

  test("does not stay for a job that keeps no days", () => {
    const bench = failed("sqlRefused", 0, { ...job, backlogDays: 0 });
    expect(staged(bench)).toEqual([]);
    expect(bench.state.durable.kept.size).toBe(0);
    expect(bench.memory.streams.size).toBe(0);
  });

  test("goes with a form of the job that nobody runs any more", () => {
    const bench = failed();
    bench.memory.plan = samplePlan();
    bench.submit({ ...job, models: job.models.slice(0, 1) }, { rerun: true });
    failAt(bench, "s1", "sqlRefused", 0);
    expect(bench.run(2).state).toBe("failed");
    expect(staged(bench)).toEqual([]);
    expect(scopes(bench)).toEqual(["ipdr"]);
  });
});
