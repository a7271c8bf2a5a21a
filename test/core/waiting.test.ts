/** A storage that takes nothing for a while: the run waits, says so, and goes on by itself. */
import { describe, expect, test } from "vitest";
import { failed } from "../../scripts/simulation/cluster-memory.ts";
import { type FailureCode, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { noNegative, sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

const refusals = ["storageFull", "storageReadOnly", "storageDenied"] as const;
const text = (code: FailureCode) => `could not write x: ${code}; free some space`;
const full = text("storageFull");
const long = 600_000;

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1, { slots: 8 });
  bench.effects = [];
  return bench;
}

describe.each(refusals)("%s", (code) => {
  test.each(["arrange", "commit", "publish"] as const)("as the answer to %s", (kind) => {
    const bench = leader();
    let tries = 0;
    bench.override = (ask) => {
      if (ask.kind !== kind) return undefined;
      tries++;
      return failed(code, text(code));
    };
    bench.submit();
    bench.work();
    expect(bench.run()).toMatchObject({
      state: "committing",
      warnings: [`waiting: ${text(code)}`],
    });
    bench.effects = [];
    bench.pass(long, [1]);
    expect(bench.run()).toMatchObject({
      state: "committing",
      warnings: [`waiting: ${text(code)}`],
    });
    // It is told once, and tried at the longest pause.
    expect(bench.events()).toEqual([]);
    expect(tries).toBeGreaterThan(long / limits.retryBackoffMsMax - 10);
    expect(tries).toBeLessThan(long / limits.retryBackoffMsMax + 20);
    bench.override = () => undefined;
    bench.pass(limits.retryBackoffMsMax + limits.tickEveryMs, [1]);
    expect(bench.run()).toMatchObject({ state: "committed", warnings: [] });
    const told = bench.events().filter((event) => event.startsWith("run."));
    expect(told).toEqual(["run.resumed", "run.committed"]);
  });

  test("from a task: it is started again for as long as a day, and the list of runs says why", () => {
    const bench = leader();
    bench.submit();
    for (const task of bench.takeTasks()) bench.finish(task);
    const starts = limits.attemptsPerTaskTotalMax + 20;
    for (let n = 0; n < starts; n++) {
      for (const task of bench.takeTasks()) bench.fail(task, failure(code, text(code)));
      bench.pass(limits.retryBackoffMsMax + limits.tickEveryMs, [1]);
    }
    const listed = bench.ask({ kind: "runs", job: "", limit: 10 });
    expect(listed).toMatchObject({
      runs: [{ state: "running", warnings: [`waiting: ${text(code)}`] }],
    });
    bench.work();
    expect(bench.run()).toMatchObject({ state: "committed", warnings: [] });
  });

  test("from a task for longer: the run fails and says how often it was tried", () => {
    const bench = leader();
    bench.submit();
    for (const task of bench.takeTasks()) bench.finish(task);
    const [stage] = bench.state.durable.runs.get(bench.run().runId)?.stages.slice(1) ?? [];
    for (const task of stage?.tasks ?? []) task.refusals = limits.storageRefusalsPerTaskMax - 1;
    for (const task of bench.takeTasks()) bench.fail(task, failure(code, text(code)));
    expect(bench.run()).toMatchObject({ state: "failed", failure: { code } });
  });

  test("as the answer to a submit: the caller is told, nothing is created, and may come again", () => {
    for (const kind of ["saveJob", "saveRequest"]) {
      const bench = leader();
      bench.override = (ask) => (ask.kind === kind ? failed(code, text(code)) : undefined);
      const refused = bench.replyTo(bench.submit());
      expect(refused).toMatchObject({ kind: "failed", failure: { code, message: text(code) } });
      expect(bench.ask({ kind: "runs", job: "", limit: 10 })).toMatchObject({ runs: [] });
      bench.override = () => undefined;
      expect(bench.replyTo(bench.submit())).toMatchObject({ kind: "submitted", created: true });
    }
  });
});

test("a run that waits for two things goes on when it has both", () => {
  const bench = leader();
  bench.submit();
  for (const task of bench.takeTasks()) bench.finish(task);
  const reduces = bench.takeTasks();
  for (const task of reduces) bench.fail(task, failure("storageFull", text("storageFull")));
  expect(bench.events().filter((event) => event === "run.waiting")).toEqual(["run.waiting"]);
  bench.pass(limits.retryBackoffMsMax, [1]);
  const [first, second] = bench.takeTasks();
  if (first === undefined || second === undefined) throw new Error("both are started again");
  bench.finish(first);
  expect(bench.run().warnings).toEqual([
    "waiting: could not write x: storageFull; free some space",
  ]);
  expect(bench.events()).not.toContain("run.resumed");
  bench.finish(second);
  expect(bench.events()).toContain("run.resumed");
  expect(bench.run()).toMatchObject({ state: "committed", warnings: [] });
});

describe("what was waited for and is not needed any more is not shown", () => {
  test("a task whose output is found among the kept ones", () => {
    const bench = leader();
    bench.submit();
    const [first, ...others] = bench.takeTasks();
    if (first === undefined) throw new Error("four tasks were sent");
    bench.fail(first, failure("exchangeFull", full));
    expect(bench.run().warnings).toHaveLength(1);
    for (const task of others) bench.finish(task);
    const [kept] = bench.state.durable.kept.values();
    const [other] = kept?.outputs.values() ?? [];
    const mapKey = bench.state.durable.attempts.get(first.attemptId)?.mapKey ?? "";
    if (other === undefined) throw new Error("three outputs are kept");
    kept?.outputs.set(mapKey, { ...other, attemptId: first.attemptId, mapKey });
    bench.pass(limits.retryBackoffMsMax, [1]);
    expect(bench.run()).toMatchObject({ state: "running", warnings: [] });
    expect(bench.run().stages[0]).toMatchObject({ done: 4, reused: 1 });
    expect(bench.events()).toContain("run.resumed");
  });

  test("streams that everybody has read by now", () => {
    const old = leader();
    old.submit(sampleJob({ checks: [noNegative] }));
    for (const task of old.takeTasks()) old.finish(task);
    const reduces = old.takeTasks();
    const bench = new Bench(old.memory, "c2");
    bench.at = old.at;
    bench.override = (ask) =>
      ask.kind === "ensureStreams" ? failed("exchangeFull", full) : undefined;
    bench.lead();
    bench.attach(1, { slots: 8, runningAttempts: reduces.map(({ attemptId }) => attemptId) });
    expect(bench.run()).toMatchObject({ state: "running", warnings: [`waiting: ${full}`] });
    for (const task of reduces) bench.finish(task);
    bench.pass(limits.retryBackoffMsMax, [1]);
    expect(bench.run()).toMatchObject({ state: "checking", warnings: [] });
    expect(bench.takeTasks().map(({ work }) => work.kind)).toEqual(["check"]);
  });

  test("a look into the exchange that can't be made", () => {
    const bench = leader();
    bench.override = (ask) =>
      ask.kind === "readUsage" ? failed("storageFailed", full) : undefined;
    bench.submit();
    expect(bench.run().warnings).toHaveLength(1);
    for (let n = 0; n < limits.attemptsPerTaskMax; n++) bench.pass(limits.retryBackoffMsMax, [1]);
    expect(bench.run()).toMatchObject({ state: "running", warnings: [] });
  });
});

test("a run that is cancelled while it waits ends, and waits for nothing any more", () => {
  const bench = leader();
  bench.submit();
  for (const task of bench.takeTasks()) bench.fail(task, failure("storageFull", full));
  bench.cancel(bench.run().runId);
  expect(bench.run()).toMatchObject({ state: "cancelled", warnings: [] });
  expect(bench.state.waiting.size).toBe(0);
});

test("a new leader builds the views as soon as storage lets it, however long that takes", () => {
  const bench = new Bench();
  let tries = 0;
  bench.override = (ask) => {
    if (ask.kind !== "rebuildViews") return undefined;
    tries++;
    return failed("storageReadOnly", "read-only");
  };
  bench.lead();
  bench.pass(long);
  expect(tries).toBeGreaterThan(long / limits.retryBackoffMsMax - 10);
  bench.override = () => undefined;
  bench.pass(limits.retryBackoffMsMax + limits.tickEveryMs);
  expect(bench.state.retries).toEqual([]);
});
