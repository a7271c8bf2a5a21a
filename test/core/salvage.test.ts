/** A day that failed goes on from the model that failed: what the failed run had finished stands for its tasks. */
import { describe, expect, test } from "vitest";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { noNegative, sampleFiles } from "../sim/sample-job.ts";
import { day, type SentTask } from "./bench.ts";
import {
  again,
  begun,
  besideScan,
  chain,
  expectSameRows,
  failAt,
  failed,
  job,
  leaderAfter,
  rows,
  undisturbed,
  works,
} from "./salvage-story.ts";

const names = (tasks: readonly (SentTask | undefined)[]) =>
  tasks.map((task) => `${task?.delivery.stage}/${task?.delivery.task}`).sort();

describe("the day's next run", () => {
  test("makes the failed model, and nothing that was finished", () => {
    const bench = failed();
    expect(again(bench)).toEqual(["s2/0", "s2/1"]);
    expect(bench.run(2)).toMatchObject({ state: "committed" });
    expect(bench.run(2).stages.map(({ tasks, reused }) => `${reused} of ${tasks}`)).toEqual([
      "4 of 4",
      "2 of 2",
      "0 of 2",
    ]);
    expectSameRows(bench, 2);
  });

  test("makes what was left of a stage that failed in the middle", () => {
    const bench = failed("sqlRefused", 1);
    expect(again(bench)).toEqual(["s2/1"]);
    expectSameRows(bench, 2);
  });

  test("takes over all that was finished before any other task can fail it", () => {
    const bench = begun({ slots: 2 });
    for (const task of [...bench.takeTasks(), ...bench.takeTasks()]) bench.finish(task);
    for (const task of bench.takeTasks()) bench.finish(task);
    const [first, second] = bench.takeTasks();
    expect(names([first, second])).toEqual(["s1/0", "s1/1"]);
    bench.finish(must(second, "s1/1"));
    bench.fail(must(first, "s1/0"), failure("sqlRefused", "no"));
    expect(bench.run(1).state).toBe("failed");
    const next = leaderAfter(bench, 1);
    next.submit("usage", { rerun: true });
    expect(next.run(2).stages[1]).toMatchObject({ done: 1, reused: 1, running: 1 });
    failAt(next, "s1", "sqlRefused", 0);
    expect(next.run(2).state).toBe("failed");
    next.submit("usage", { rerun: true });
    expect(works(next)).toEqual(["s1/0", "s2/0", "s2/1"]);
    expectSameRows(next, 3);
    expect(next.state.reusing.size).toBe(0);
  });

  test("goes on from the one before it also when that went on from another", () => {
    const bench = failed();
    bench.submit("usage", { rerun: true });
    failAt(bench, "s2", "sqlRefused", 1);
    expect(bench.run(2).state).toBe("failed");
    expect(bench.memory.stagedRuns()).toEqual([`usage.${day}.r1`, `usage.${day}.r2`]);
    expect(again(bench)).toEqual(["s2/1"]);
    expectSameRows(bench, 3);
  });

  test("of a day whose check failed makes the check alone", () => {
    const whole = { ...job, checks: [noNegative] };
    const bench = begun({ whole });
    failAt(bench, "checks", "sqlRefused", 0);
    expect(bench.run(1).state).toBe("failed");
    expect(again(bench, { ...whole, checks: [{ ...noNegative, expect: 0 }] })).toEqual([
      "checks/0",
    ]);
    expectSameRows(bench, 2);
  });

  test("with the failed model's SQL corrected makes that one", () => {
    const bench = failed();
    bench.memory.plan = chain("SELECT 2");
    const models = job.models.map((one) => ({ ...one, sql: `${one.sql} AS n` }));
    expect(again(bench, { ...job, models })).toEqual(["s2/0", "s2/1"]);
  });

  test("with a late file makes every model that reads it", () => {
    const bench = failed();
    bench.memory.inputs = sampleFiles(5);
    expect(again(bench)).toEqual(["s0/4", "s1/0", "s1/1", "s2/0", "s2/1"]);
    expectSameRows(bench, 2, undisturbed(sampleFiles(5)));
  });

  test("takes over scans that make a model, unless the lines that they put aside have gone", () => {
    const rejects = `staging/usage.${day}.r1/t-0/rejects.csv`;
    const whole = begun({ plan: besideScan() });
    whole.work();
    const next = (isThere: boolean) => {
      const bench = begun({ plan: besideScan() });
      bench.rejectsFile = rejects;
      failAt(bench, "s1", "sqlRefused", 0);
      expect(bench.run(1).state).toBe("failed");
      if (isThere) bench.memory.files.set(rejects, []);
      const made = again(bench);
      expect(rows(bench, 2, "heavy")).toEqual(rows(whole, 1, "heavy"));
      return made;
    };
    expect(next(true)).toEqual(["s1/0", "s1/1"]);
    expect(next(false)).toEqual(["s0/0", "s0/1", "s0/2", "s0/3", "s1/0", "s1/1"]);
  });

  test("with a file that has changed makes again what read it, though it has as many rows", () => {
    const bench = failed();
    const changed = sampleFiles(4).with(2, { ...must(sampleFiles(4)[2], "a file"), mtimeNs: "9" });
    bench.memory.inputs = changed;
    expect(again(bench)).toEqual(["s0/2", "s1/0", "s1/1", "s2/0", "s2/1"]);
    expectSameRows(bench, 2, undisturbed(changed));
  });

  test("goes on from it also when one in between could not even list its input", () => {
    const bench = failed();
    bench.override = (ask) =>
      ask.kind === "listInputs"
        ? { kind: "failed", failure: failure("inputEmpty", "file 3 is empty") }
        : undefined;
    expect(again(bench)).toEqual([]);
    expect(bench.run(2)).toMatchObject({ state: "failed", stages: [] });
    bench.override = () => undefined;
    expect(again(bench)).toEqual(["s2/0", "s2/1"]);
    expectSameRows(bench, 3);
  });

  test.each(["failed", "committed"])(
    "goes on from it also when one of some models has %s",
    (end) => {
      const bench = undisturbed();
      bench.memory.inputs = sampleFiles(5);
      bench.submit("usage", { rerun: true });
      failAt(bench, "s2", "sqlRefused", 0);
      bench.submit("usage", { rerun: true, select: ["totals"] });
      if (end === "failed") failAt(bench, "s1", "sqlRefused", 0);
      else bench.work();
      expect([bench.run(2).state, bench.run(3).state]).toEqual(["failed", end]);
      expect(again(bench)).toEqual(["s2/0", "s2/1"]);
      expectSameRows(bench, 4, undisturbed(sampleFiles(5)));
    },
  );

  test("that ends before it could take anything over leaves no place where it would go on", () => {
    const bench = failed();
    bench.memory.inputs = sampleFiles(5);
    bench.submit("usage", { rerun: true });
    // The new file is to be mapped: until then nobody knows whether what was made of the others still stands.
    expect([...bench.state.reusing.keys()]).toEqual([`usage.${day}.r2|1`]);
    bench.cancel(`usage.${day}.r2`);
    expect([...bench.state.reusing.keys()]).toEqual([]);
  });

  test("that has taken it over makes again whose files a new leader does not find", () => {
    const bench = failed();
    bench.submit("usage", { rerun: true });
    expect(bench.run(2).stages[1]).toMatchObject({ done: 2, reused: 2 });
    const [gone = ""] = [...bench.memory.files.keys()].filter((path) =>
      path.startsWith("staging/"),
    );
    bench.memory.files.delete(gone);
    const next = leaderAfter(bench, 8);
    expect(works(next)).toEqual(["s1/0", "s2/0", "s2/1"]);
    expectSameRows(next, 2);
  });

  test("under another leader goes on from it just the same, also from a snapshot", () => {
    const bench = failed();
    const copy = decodeSnapshot(encodeSnapshot(bench.state.durable));
    expect(copy).toEqual(bench.state.durable);
    const next = leaderAfter(bench, 8);
    next.submit("usage", { rerun: true });
    expect(works(next)).toEqual(["s2/0", "s2/1"]);
    expectSameRows(next, 2);
  });
});
