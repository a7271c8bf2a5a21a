/** An executor where attempts keep failing while others succeed gets no new work for a time. */
import { describe, expect, test } from "vitest";
import { type FailureCode, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, type SentTask } from "./bench.ts";

const patient = sampleJob({
  execution: { partitions: 4, groups: 2, splitBytes: 100, maxAttempts: 4 },
});

/** A bench that leads, with a long day under way. */
function working(executors: number): { bench: Bench; all: number[] } {
  const bench = new Bench().lead();
  const all = Array.from({ length: executors }, (_, index) => index + 1);
  for (const connection of all) bench.attach(connection);
  bench.memory.inputs = sampleFiles(200);
  bench.submit(patient);
  return { bench, all };
}

/** Deals with every task that is out: those of the executors in `bad` fail, the others finish. */
function deal(
  bench: Bench,
  bad: readonly number[],
  code: FailureCode = "storageFailed",
): SentTask[] {
  const tasks = bench.takeTasks();
  for (const task of tasks) {
    if (bad.includes(task.connection)) bench.fail(task, failure(code, "it can't be written"));
    else bench.finish(task);
  }
  return tasks;
}

function states(bench: Bench): string[] {
  const reply = bench.ask({ kind: "executors" });
  return reply?.kind === "executors" ? reply.executors.map((one) => one.state) : [];
}

function excludedEvents(bench: Bench) {
  return bench.effects.flatMap((one) =>
    one.kind === "publishEvent" && one.event === "executor.excluded" ? [one.data] : [],
  );
}

describe("an executor where attempts of three tasks failed", () => {
  test("gets no new work, and people are told why", () => {
    const { bench } = working(3);
    deal(bench, [1]);
    expect(states(bench)).toEqual(["ready", "ready", "ready"]);
    const tasks = bench.takeTasks();
    for (const task of tasks.filter((one) => one.connection !== 1)) bench.finish(task);
    const [third] = tasks.filter((one) => one.connection === 1);
    if (third === undefined) throw new Error("it got more work");
    bench.fail(third, failure("storageFailed", "it can't be written"));
    expect(excludedEvents(bench)).toMatchObject([
      { executor: "e1", forMs: 60_000, tasks: 3, code: "storageFailed" },
    ]);
    expect(bench.ask({ kind: "executors" })).toMatchObject({
      executors: [
        {
          executorId: "e1",
          state: "excluded",
          note:
            "no new work for 60 s: attempts of 3 tasks failed here, the last one with storageFailed, " +
            "while other executors succeed",
        },
        { executorId: "e2", state: "ready", note: "" },
        { executorId: "e3", state: "ready", note: "" },
      ],
    });
    for (let round = 0; round < 5; round++) {
      expect(deal(bench, []).some((task) => task.connection === 1)).toBe(false);
    }
  });

  test("works again when its time is over, and is out for twice as long the next time", () => {
    const { bench, all } = working(3);
    bench.hold = (ask) => ask.kind === "purgeStreams";
    const bad = () => {
      for (let round = 0; round < 4 && states(bench)[0] !== "excluded"; round++) deal(bench, [1]);
      return excludedEvents(bench);
    };
    deal(bench, [1]);
    bench.fail(firstOf(bench, 1), failure("internal", "broken"));
    expect(states(bench)[0]).toBe("excluded");
    bench.pass(limits.exclusionMsMin - limits.tickEveryMs, all);
    expect(states(bench)[0]).toBe("excluded");
    bench.pass(2 * limits.tickEveryMs, all);
    expect(states(bench)[0]).toBe("ready");
    expect(bench.takeTasks().map((task) => task.connection)).toContain(1);
    bad();
    const running = [...(bench.state.executors.get("e1")?.busy.keys() ?? [])];
    for (const attemptId of running) {
      const outcome = { kind: "failed", failure: failure("internal", "broken") } as const;
      bench.post({ kind: "report", connection: 1, attemptId, outcome });
    }
    bad();
    expect(bench.state.executors.get("e1")?.exclusion?.until).toBeGreaterThan(
      bench.at + limits.exclusionMsMin,
    );
  });
});

function firstOf(bench: Bench, connection: number): SentTask {
  const task = bench.takeTasks().find((one) => one.connection === connection);
  if (task === undefined) throw new Error(`nothing was sent to ${connection}`);
  return task;
}

describe("no executor is excluded", () => {
  test("for failing while nobody else succeeds", () => {
    const { bench, all } = working(4);
    for (let round = 0; round < 3; round++) {
      deal(bench, all);
      bench.pass(300, all);
    }
    expect(states(bench)).toEqual(["ready", "ready", "ready", "ready"]);
  });

  test("for one bad task", () => {
    const { bench, all } = working(1);
    bench.attach(2);
    const [poison, ...others] = bench.takeTasks();
    if (poison === undefined) throw new Error("a task was sent");
    for (const task of others) bench.finish(task);
    bench.fail(poison, failure("workerLost", "signal SIGSEGV"));
    for (let round = 0; round < 80; round++) {
      bench.pass(500, [...all, 2]);
      for (const task of bench.takeTasks()) {
        if (task.delivery.task === poison.delivery.task) {
          bench.fail(task, failure("workerLost", "signal SIGSEGV"));
        } else bench.finish(task);
      }
    }
    expect(bench.run().state).toBe("failed");
    expect(states(bench)).toEqual(["ready", "ready"]);
  });

  test.each<FailureCode>(["exchangeFull", "drained", "inputChanged", "unavailable"])(
    "for %s, unless it counts",
    (code) => {
      const { bench } = working(3);
      for (let round = 0; round < 3; round++) deal(bench, [1], code);
      const isItsFault = code === "inputChanged";
      expect(states(bench)[0]).toBe(isItsFault ? "excluded" : "ready");
    },
  );

  test("when it is one of two, twice; or the only one", () => {
    const { bench } = working(2);
    for (let round = 0; round < 6; round++) deal(bench, [1]);
    expect(states(bench)).toEqual(["excluded", "ready"]);
    for (let round = 0; round < 6; round++) deal(bench, [2]);
    expect(states(bench)).toEqual(["excluded", "ready"]);
  });

  test("whose failures are long ago", () => {
    const { bench, all } = working(3);
    deal(bench, [1]);
    const waiting = bench.takeTasks();
    bench.pass(limits.exclusionWindowMs + 1_000, all);
    for (const task of waiting) {
      if (task.connection === 1) bench.fail(task, failure("internal", "broken"));
      else bench.finish(task);
    }
    expect(states(bench)[0]).toBe("ready");
  });

  test("where more succeeds than fails", () => {
    const { bench } = working(3);
    for (let round = 0; round < 12; round++) {
      let bad = false;
      for (const task of bench.takeTasks()) {
        if (task.connection === 1 && !bad && round % 3 === 0) {
          bad = true;
          bench.fail(task, failure("internal", "broken"));
        } else bench.finish(task);
      }
    }
    expect(bench.state.executors.get("e1")?.failed).toBeGreaterThanOrEqual(4);
    expect(states(bench)[0]).toBe("ready");
  });
});

describe("an exclusion ends early", () => {
  test("when the others go", () => {
    const { bench } = working(3);
    for (let round = 0; round < 3; round++) deal(bench, [1]);
    expect(states(bench)[0]).toBe("excluded");
    bench.effects = [];
    bench.pass(limits.executorLostMs + 500, [1]);
    expect(states(bench)).toEqual(["ready", "lost", "lost"]);
    expect(bench.takeTasks().map((task) => task.connection)).toEqual([1, 1]);
  });

  test("with the process: its successor starts clean", () => {
    const { bench } = working(3);
    for (let round = 0; round < 3; round++) deal(bench, [1]);
    bench.post({ kind: "detached", connection: 1 });
    bench.attach(9, { executor: "e1", incarnation: 2 });
    expect(bench.state.executors.get("e1")).toMatchObject({
      incarnation: 2,
      exclusion: undefined,
      outcomes: [],
      exclusions: 0,
    });
    bench.effects = [];
    bench.pass(limits.retryBackoffMsMin + 200, [2, 3, 9]);
    expect(states(bench)[0]).toBe("ready");
  });

  test("not by dialling in again", () => {
    const { bench } = working(3);
    for (let round = 0; round < 3; round++) deal(bench, [1]);
    bench.post({ kind: "detached", connection: 1 });
    bench.attach(9, { executor: "e1" });
    expect(states(bench)[0]).toBe("excluded");
  });
});
