/** Runs of some models: what they read and make, what their revision carries over, and when they are refused. */
import { describe, expect, test } from "vitest";
import { selectedPlan } from "../../coordinator/core/selection.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { noNegative, sampleFiles } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";
import { committed, job, made, manifest, plan, refusal, rows, select } from "./selection-story.ts";

describe("a run of some models", () => {
  test("reads only what they need, from the exchange, and carries the others over", () => {
    const bench = committed();
    expect(select(bench, ["totals+"])).toMatchObject({ kind: "submitted", created: true });
    const works = bench.work();
    expect(works.map(({ kind }) => kind)).toEqual(["reduce", "reduce"]);
    const folder = `revisions/usage/${day}/r2-e1`;
    expect(made(bench, 2)).toEqual([
      `totals: ${folder}/totals/r2-0.parquet ${folder}/totals/r2-1.parquet`,
      `heavy: ${folder}/heavy/r2-2.parquet ${folder}/heavy/r2-3.parquet`,
      `cells of r1: ${folder}/cells/r2-4.parquet ${folder}/cells/r2-5.parquet`,
    ]);
    expect(rows(bench, 2, "cells")).toEqual(rows(bench, 1, "cells"));
    expect(rows(bench, 2, "cells")).toHaveLength(8);
    expect(manifest(bench, 2)?.sources.map(({ source, readIn }) => [source, readIn])).toEqual([
      ["ipdr", undefined],
      ["calls", 1],
    ]);
    expect(bench.memory.views.get(`usage|${day}`)).toBe(2);
    expect(bench.run(2)).toMatchObject({ state: "committed", select: ["totals", "heavy"] });
    expect(bench.run(2).datasets.map(({ dataset: name }) => name)).toEqual([
      "totals",
      "heavy",
      "cells",
    ]);
    const cells = bench.ask({ kind: "dataset", dataset: "cells", day, revision: 0 });
    expect(cells).toMatchObject({ revision: 2 });
  });

  test("tells of the datasets that it made, and of no other", () => {
    const bench = committed();
    select(bench, ["heavy"]);
    for (const task of bench.takeTasks()) bench.finish(task);
    const told = bench.effects.flatMap((effect) =>
      effect.kind === "publishEvent" && effect.event === "dataset.committed"
        ? [effect.data["dataset"]]
        : [],
    );
    expect(told).toEqual(["heavy"]);
  });

  test("does not build what only other models need", () => {
    const pruned = selectedPlan(plan(), ["totals"]);
    if ("code" in pruned) throw new Error(pruned.message);
    expect(pruned.plan.stages.map(({ id }) => id)).toEqual(["s0", "s2"]);
    expect(pruned.plan.stages[1]?.tables.map(({ name }) => name)).toEqual(["totals_t"]);
    expect(pruned.plan.stages[0]).toEqual(plan().stages[0]);
    expect(pruned.plan.exchanges.map(({ id }) => id)).toEqual(["x0"]);
    // All of them: a run like any other.
    expect(selectedPlan(plan(), ["+heavy", "cells"])).toEqual({ plan: plan() });
    expect(selectedPlan(plan(), undefined)).toEqual({ plan: plan() });
  });

  test("runs the checks of its models only", () => {
    const checks = ["totals", "cells"].map((model) => ({ ...noNegative, name: model, model }));
    const bench = committed(job({ checks }));
    select(bench, ["cells"], job({ checks }));
    expect(bench.work().map(({ kind }) => kind)).toEqual(["reduce", "reduce", "check"]);
    expect(manifest(bench, 2)?.checks.map(({ name }) => name)).toEqual(["cells"]);
  });

  test("one after another carries over what the last ones made", () => {
    const bench = committed();
    select(bench, ["cells"]);
    bench.work();
    select(bench, ["heavy"]);
    bench.work();
    expect(made(bench, 3).map((line) => line.split(":")[0])).toEqual([
      "totals of r1",
      "heavy",
      "cells of r2",
    ]);
    const shown = bench.state.durable.days.get(`usage|${day}`)?.shown?.at(-1);
    expect(shown?.datasets).toEqual({ totals: 1, heavy: 3, cells: 2 });
    const copy = decodeSnapshot(encodeSnapshot(bench.state.durable));
    expect(copy.days).toEqual(bench.state.durable.days);
  });

  test("leaves kept outputs of other sources for the next run of the whole day", () => {
    const bench = committed();
    select(bench, ["heavy"]);
    bench.work();
    bench.submit(job(), { rerun: true });
    expect(bench.work().map(({ kind }) => kind)).toEqual(Array(4).fill("reduce"));
    expect(made(bench, 3).every((line) => !line.includes(" of r"))).toBe(true);
  });
});

describe("it is refused", () => {
  test("for a day without a revision, for models that are not there, for nothing", () => {
    const bench = new Bench();
    bench.memory.plan = plan();
    bench.lead();
    bench.attach(1);
    expect(refusal(select(bench, ["totals"]))).toMatch(
      /^conflict: job usage has no committed revision of 2026-01-15, .*run the whole day first/,
    );
    bench.submit(job());
    bench.work();
    expect(refusal(select(bench, ["total+"]))).toBe(
      "badRequest: --select: the job has no model total; did you mean totals?",
    );
    expect(refusal(select(bench, ["totals,cells"]))).toContain("leaves no model");
    expect(refusal(select(bench, []))).toBe("badRequest: --select names no model");
    expect(bench.memory.manifests.size).toBe(1);
  });

  test("beside a run that is under way, as a run of the whole day is beside it", () => {
    const bench = committed();
    const request = { rerun: true, requestId: "mine", select: ["heavy"] };
    const first = bench.submit(job(), request);
    expect(bench.replyTo(first)).toMatchObject({ created: true });
    expect(refusal(select(bench, ["cells"]))).toMatch(/^conflict: run .*r2 is under way/);
    const whole = bench.submit(job(), { rerun: true });
    expect(refusal(bench.replyTo(whole))).toMatch(/^conflict: run .*r2 makes only heavy/);
    const same = bench.submit(job(), request);
    expect(bench.replyTo(same)).toMatchObject({ run: `usage.${day}.r2`, created: false });
    bench.work();
    expect(bench.run(2).state).toBe("committed");
  });
});

describe("when something goes wrong", () => {
  test("the next leader goes on with the same models, and carries over from storage", () => {
    const bench = committed();
    bench.hold = (ask) => ask.kind === "arrange";
    select(bench, ["heavy"]);
    bench.work();
    expect(bench.run(2).state).toBe("committing");
    const next = new Bench(bench.memory, "c2");
    next.lead();
    next.attach(1);
    next.work();
    expect(made(next, 2).map((line) => line.split(":")[0])).toEqual([
      "totals of r1",
      "heavy",
      "cells of r1",
    ]);
    expect(rows(next, 2, "totals")).toEqual(rows(next, 1, "totals"));
    expect(next.run(2).state).toBe("committed");
  });

  test("a lost journal brings it back as what it was", () => {
    const bench = committed();
    select(bench, ["heavy"]);
    expect(bench.memory.requests.get(`usage.${day}.r2`)?.select).toEqual(["heavy"]);
    bench.memory.loseJournal();
    const next = new Bench(bench.memory, "c2");
    next.lead();
    next.attach(1);
    next.work();
    expect(next.run(2)).toMatchObject({ state: "committed", select: ["heavy"] });
    expect(made(next, 2)).toHaveLength(3);
  });

  test("a revision that is released meanwhile is the one that is carried over from", () => {
    const checks = [{ ...noNegative, expect: 7, severity: "quarantine" as const }];
    const bench = committed();
    bench.memory.inputs = sampleFiles(5);
    bench.submit(job({ checks }), { rerun: true });
    bench.work();
    expect(bench.run(2).state).toBe("quarantined");
    bench.hold = (ask) => ask.kind === "arrange";
    select(bench, ["heavy"]);
    bench.work();
    bench.releaseRun(`usage.${day}.r2`);
    expect(bench.memory.views.get(`usage|${day}`)).toBe(2);
    bench.hold = () => false;
    bench.release();
    expect(made(bench, 3).map((line) => line.split(":")[0])).toEqual([
      "totals of r2",
      "heavy",
      "cells of r2",
    ]);
    expect(rows(bench, 3, "cells")).toEqual(rows(bench, 2, "cells"));
  });
});

test("without the manifest to carry over from it fails, and says what to do", () => {
  const bench = committed();
  bench.override = (ask) => (ask.kind === "readRevision" ? { kind: "revision" } : undefined);
  select(bench, ["heavy"]);
  bench.work();
  expect(bench.run(2)).toMatchObject({
    state: "failed",
    failure: { code: "storageFailed", message: expect.stringContaining("run the whole day") },
  });
  expect(bench.memory.views.get(`usage|${day}`)).toBe(1);
});
