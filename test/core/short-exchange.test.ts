/** Readers that miss rows: all producers that they name run again, however often that takes. */
import { describe, expect, test } from "vitest";
import { must } from "../../shared/kernel/assert.ts";
import { findShort, startIntake } from "../../shared/kernel/exchange-intake.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleFiles, samplePlan } from "../sim/sample-job.ts";
import { Bench, type SentTask } from "./bench.ts";

function reading(files: number): { bench: Bench; readers: SentTask[] } {
  const bench = new Bench().lead();
  bench.attach(1, { slots: 64 });
  bench.memory.inputs = sampleFiles(files);
  bench.submit();
  for (const task of bench.takeTasks()) bench.finish(task);
  return { bench, readers: bench.takeTasks() };
}

function winnersOf({ delivery }: SentTask): readonly string[] {
  return delivery.inputs[0]?.winners.map((winner) => winner.attemptId) ?? [];
}

function short(attempts: readonly string[]) {
  const detail = { attempt: attempts.join(","), stream: "s" };
  return failure("exchangeShort", "rows are missing", detail);
}

describe("a reader", () => {
  test("that misses one producer after the other does not fail the run", () => {
    const { bench, readers } = reading(2);
    let reader = must(readers[0], "a reader");
    for (let round = 0; round < limits.attemptsPerTaskTotalMax + 5; round++) {
      bench.fail(reader, short(winnersOf(reader).slice(0, 1)));
      bench.pass(limits.retryBackoffMsMax + limits.tickEveryMs, [1]);
      const tasks = bench.takeTasks();
      for (const task of tasks) if (task.work.kind === "map") bench.finish(task);
      const again = [...tasks, ...bench.takeTasks()].find(({ work }) => work.kind === "reduce");
      reader = must(again, "it reads again");
    }
    expect(bench.run()).toMatchObject({ state: "running" });
  });

  test("that names nobody does, in the end", () => {
    const { bench, readers } = reading(2);
    let reader = readers[0];
    for (let round = 0; reader !== undefined && round < 200; round++) {
      bench.fail(reader, failure("exchangeShort", "rows are missing"));
      bench.pass(limits.retryBackoffMsMax + limits.tickEveryMs, [1]);
      reader = bench.takeTasks()[0];
    }
    expect(bench.run()).toMatchObject({ state: "failed", failure: { code: "exchangeShort" } });
  });

  test("that names several has all of them run again at once", () => {
    const { bench, readers } = reading(6);
    const reader = must(readers[0], "a reader");
    const lost = winnersOf(reader).slice(1, 5);
    bench.fail(reader, short(lost));
    const tasks = bench.takeTasks();
    expect(tasks.map((task) => task.work.kind)).toEqual(["map", "map", "map", "map"]);
  });

  test("names every producer whose rows did not come, up to a limit", () => {
    const plan = must(samplePlan().exchanges[0], "an exchange");
    const winners = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ attemptId: `a${index}`, digest: "d" }));
    const named = (count: number) =>
      findShort(startIntake(plan, "s", 0, winners(count)))?.detail?.["attempt"];
    expect(named(0)).toBeUndefined();
    expect(named(3)).toBe("a0,a1,a2");
    expect(String(named(999)).split(",")).toHaveLength(limits.shortProducersNamedMax);
  });
});
