/** What is over a limit is refused with `limitExceeded` and a way out; what was there before goes on. */
import { describe, expect, test } from "vitest";
import { step } from "../../coordinator/core/step.ts";
import { must } from "../../shared/kernel/assert.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { sampleFiles, sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

describe("runs", () => {
  test("over the most that may be live are refused; one that ends makes room", () => {
    const bench = new Bench().lead();
    const dayOf = (index: number) =>
      `2026-${String(1 + Math.floor(index / 28)).padStart(2, "0")}-${String(1 + (index % 28)).padStart(2, "0")}`;
    const submit = (index: number) =>
      bench.replyTo(bench.submit(sampleJob(), { day: dayOf(index) }));
    for (let index = 0; index < limits.runsLiveMax; index++) {
      expect(submit(index)).toMatchObject({ kind: "submitted", created: true });
    }
    expect(submit(limits.runsLiveMax)).toMatchObject({
      kind: "failed",
      failure: {
        code: "limitExceeded",
        message: "64 runs are live, which is the most; submit again when one has ended",
      },
    });
    // Who asks for a day that is live is given that run: nothing new.
    expect(submit(5)).toMatchObject({ kind: "submitted", created: false });
    bench.cancel(`usage.${dayOf(0)}.r1`);
    expect(submit(limits.runsLiveMax + 1)).toMatchObject({ kind: "submitted", created: true });
  });

  test("with more tasks in a stage than allowed fail at once", () => {
    const bench = new Bench().lead();
    bench.memory.inputs = sampleFiles(limits.tasksPerStageMax + 1);
    bench.submit();
    expect(bench.run()).toMatchObject({
      state: "failed",
      failure: {
        code: "limitExceeded",
        message:
          "source ipdr would need 100001 tasks, at most 100000 are allowed; raise execution.split_bytes",
      },
    });
  });

  test("whose readers could not be told of all their producers in one message fail at once", () => {
    const bench = new Bench().lead();
    bench.memory.plan = reading(3);
    bench.memory.inputs = sampleFiles(35_000);
    bench.submit();
    expect(bench.run().failure).toMatchObject({
      code: "limitExceeded",
      message:
        "stage s1 would read what 105000 scan tasks send, counted for each exchange; at most 104857 " +
        "are allowed; raise execution.split_bytes",
    });
  });
});

/** The sample plan with `count` exchanges between its two stages. */
function reading(count: number): JobPlan {
  const plan = samplePlan();
  const [scan, reduce] = plan.stages;
  const first = must(plan.exchanges[0], "the sample exchanges");
  const ids = Array.from({ length: count }, (_, index) => `x${index}`);
  return {
    ...plan,
    stages: [
      {
        ...must(scan, "the sample scans"),
        outputs: ids.map((exchange) => ({ kind: "exchange", exchange, sql: "SELECT 1" })),
      },
      { ...must(reduce, "the sample reduces"), input: { kind: "exchange", exchanges: ids } },
    ],
    exchanges: ids.map((id) => ({ ...first, id })),
  };
}

describe("executors", () => {
  test("over the most are turned away; one that is lost gives up its place", () => {
    const bench = new Bench().lead();
    for (let connection = 1; connection <= limits.executorsMax; connection++) {
      attachQuietly(bench, connection);
    }
    bench.effects = [];
    bench.attach(5_000);
    expect(bench.commands()).toMatchObject([
      {
        connection: 5_000,
        command: {
          kind: "refused",
          failure: { code: "limitExceeded", message: "1000 executors are the most" },
        },
      },
    ]);
    expect(bench.effects).toContainEqual({ kind: "closeConnection", connection: 5_000 });
    expect(bench.state.executors.size).toBe(limits.executorsMax);
    // Its own place is kept for one that dials in again.
    bench.attach(5_001, { executor: "e7" });
    expect(bench.state.executors.get("e7")?.connection).toBe(5_001);
    bench.state.executors.forEach((executor) => {
      if (executor.id !== "e9") executor.heardAt = bench.at + limits.executorLostMs;
    });
    bench.pass(limits.executorLostMs + limits.tickEveryMs);
    expect(bench.state.executors.get("e9")?.lost).toBe(true);
    bench.attach(5_002);
    expect(bench.state.executors.get("e5002")?.connection).toBe(5_002);
  });
});

/** Without a look at all invariants after each: that would be a million of them. */
function attachQuietly(bench: Bench, connection: number): void {
  const versions = { duckdb: "v1", wire: 1, hash: 1, version: "1", highestEpoch: 0 };
  const hello = { executor: `e${connection}`, incarnation: 1, slots: 2, host: "h", pid: 1 };
  const message = {
    kind: "attached",
    connection,
    hello: { ...hello, ...versions, runningAttempts: [] },
  } as const;
  step(bench.state, { at: bench.at, wall: 1_000_000, message });
}
