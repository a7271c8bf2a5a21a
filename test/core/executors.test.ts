/** Executors come, fail, are lost, return and leave; the tasks always find somebody. */
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { carryOut } from "../sim/executor-model.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

function leader(...executors: number[]): Bench {
  const bench = new Bench().lead();
  for (const connection of executors) bench.attach(connection);
  bench.effects = [];
  return bench;
}

function one(tasks: readonly SentTask[], index = 0): SentTask {
  const task = tasks[index];
  if (task === undefined) throw new Error(`no task ${index} was sent`);
  return task;
}

describe("joining", () => {
  test.each([
    [{ duckdb: "v2" }, "versionMismatch", "DuckDB version v2"],
    [{ wire: 9 }, "versionMismatch", "wire version 9"],
    [{ hash: 9 }, "versionMismatch", "hash version 9"],
    [{ slots: 0 }, "limitExceeded", "1 to 64 slots"],
  ])("%o is refused: %s", (changes, code, words) => {
    const bench = leader();
    bench.attach(7, changes);
    const [sent] = bench.commands();
    expect(sent?.command).toMatchObject({ kind: "refused", failure: { code } });
    expect(JSON.stringify(sent)).toContain(words);
    expect(bench.effects).toContainEqual({ kind: "closeConnection", connection: 7 });
    expect(bench.state.executors.size).toBe(0);
  });

  test("work goes to the least busy, never beyond the slots", () => {
    const bench = leader(1, 2, 3);
    bench.memory.inputs = sampleFiles(9);
    bench.submit();
    const tasks = bench.takeTasks();
    expect(tasks.map((task) => task.connection)).toEqual([1, 2, 3, 1, 2, 3]);
  });

  test("who joins while a run is under way gets work of it", () => {
    const bench = leader(1);
    bench.submit();
    expect(bench.takeTasks()).toHaveLength(2);
    bench.attach(2);
    expect(bench.takeTasks().map((task) => task.connection)).toEqual([2, 2]);
  });
});

describe("a failed attempt", () => {
  test("goes to another executor, after a pause", () => {
    const bench = leader(1, 2);
    bench.memory.inputs = sampleFiles(2);
    bench.submit();
    const task = one(bench.takeTasks());
    expect(task.connection).toBe(1);
    bench.fail(task, failure("workerLost", "exit code 9"));
    expect(bench.takeTasks()).toEqual([]);
    bench.pass(limits.retryBackoffMsMin + limits.tickEveryMs, [1, 2]);
    const again = bench.takeTasks();
    expect(again).toMatchObject([{ connection: 2, work: { split: { files: [{ inode: "0" }] } } }]);
    expect(one(again).attemptId).not.toBe(task.attemptId);
  });

  test("stays where it is when there is no other executor", () => {
    const bench = leader(1);
    bench.submit();
    const task = one(bench.takeTasks());
    bench.fail(task, failure("workerLost", "exit code 9"));
    bench.pass(1_000, [1]);
    expect(bench.takeTasks()).toMatchObject([{ connection: 1 }]);
  });

  test("that keeps failing ends the run, naming task, files and executors", () => {
    const bench = leader(1, 2);
    bench.submit();
    const fails = () => {
      for (const task of bench.takeTasks()) {
        const isPoison = JSON.stringify(task.work).includes("part-1.csv");
        if (isPoison) bench.fail(task, failure("workerLost", "signal SIGSEGV"));
        else bench.finish(task);
      }
    };
    fails();
    for (let round = 0; round < 20; round++) {
      bench.pass(500, [1, 2]);
      fails();
    }
    const { state, failure: why } = bench.run();
    expect(state).toBe("failed");
    expect(why).toMatchObject({ code: "workerLost", detail: { stage: "s0", task: 1 } });
    expect(why?.message).toMatch(
      /part-1\.csv\) failed 3 times on e[12], e[12]; last: signal SIGSEGV/,
    );
  });

  test("that no retry can mend ends the run at once", () => {
    const bench = leader(1);
    bench.submit();
    const why = failure("inputTruncated", "part-0.csv.gz ends early", { file: "part-0.csv.gz" });
    bench.fail(one(bench.takeTasks()), why);
    expect(bench.run()).toMatchObject({
      state: "failed",
      failure: { code: "inputTruncated", detail: { file: "part-0.csv.gz", stage: "s0" } },
    });
  });

  test("for want of memory is tried again with little", () => {
    const bench = leader(1);
    bench.memory.inputs = sampleFiles(1);
    bench.submit();
    bench.fail(one(bench.takeTasks()), failure("outOfMemory", "256 MB"));
    bench.pass(1_000, [1]);
    expect(one(bench.takeTasks()).delivery.lowMemory).toBe(true);
  });

  test("for a full exchange costs nothing but time", () => {
    const bench = leader(1);
    bench.submit();
    bench.takeTasks();
    bench.submit();
    for (let round = 0; round < 10; round++) {
      const id = [...(bench.state.executors.get("e1")?.busy.keys() ?? [])][0] ?? "";
      const outcome = { kind: "failed", failure: failure("exchangeFull", "full") } as const;
      bench.post({ kind: "report", connection: 1, attemptId: id, outcome });
      bench.pass(limits.retryBackoffMsMax + 1_000, [1]);
    }
    expect(bench.run().state).toBe("running");
  });
});

describe("reports", () => {
  test("sent twice count once and are acknowledged twice", () => {
    const bench = leader(1);
    bench.submit();
    const task = one(bench.takeTasks());
    bench.finish(task);
    bench.finish(task);
    const acks = bench.commands().filter(({ command }) => command.kind === "reportAck");
    expect(acks).toHaveLength(2);
    expect(bench.run().stages[0]).toMatchObject({ done: 1, rowsIn: 10 });
  });

  test("of nobody's attempt are acknowledged and change nothing", () => {
    const bench = leader(1);
    const outcome = { kind: "failed", failure: failure("internal", "") } as const;
    bench.post({ kind: "report", connection: 1, attemptId: "long-gone", outcome });
    expect(bench.commands()).toMatchObject([{ command: { kind: "reportAck" } }]);
  });

  test("that don't account for every line are not believed", () => {
    const bench = leader(1);
    bench.submit();
    const task = one(bench.takeTasks());
    const outcome = carryOut(bench.memory, task.work, task.delivery);
    if (outcome.kind !== "done") throw new Error("the attempt succeeded");
    const [account] = outcome.accounts;
    if (account === undefined) throw new Error("it read a file");
    const accounts = [{ ...account, lines: account.lines + 1 }];
    bench.report(task, { ...outcome, accounts });
    expect(bench.run().stages[0]).toMatchObject({ done: 0, failedAttempts: 1 });
  });
});

describe("a lost executor", () => {
  test("is lost by silence; its attempts go elsewhere at once, uncounted", () => {
    const bench = leader(1, 2);
    bench.submit();
    const tasks = bench.takeTasks();
    for (const task of tasks.filter((task) => task.connection === 2)) bench.finish(task);
    bench.takeTasks();
    bench.pass(limits.executorLostMs + 600, [2]);
    expect(bench.events()).toContain("executor.lost");
    const again = bench.takeTasks();
    expect(again).toMatchObject([{ connection: 2 }, { connection: 2 }]);
    const [stage] = bench.state.durable.runs.get(`usage.${day}.r1`)?.stages ?? [];
    expect(stage?.tasks.map((task) => task.failures)).toEqual([0, 0, 0, 0]);
    expect(bench.ask({ kind: "executors" })).toMatchObject({
      executors: [
        { executorId: "e1", state: "lost" },
        { executorId: "e2", state: "ready" },
      ],
    });
  });

  test("that comes back with a result in time wins with it", () => {
    const bench = leader(1);
    bench.memory.inputs = sampleFiles(2);
    bench.submit();
    const task = one(bench.takeTasks());
    bench.pass(limits.executorLostMs + 600);
    bench.attach(2);
    const again = bench.takeTasks();
    bench.attach(3, { executor: "e1", runningAttempts: [task.attemptId] });
    bench.report({ ...task, connection: 3 }, { ...outcomeOf(bench, task) });
    expect(bench.run().stages[0]?.done).toBe(1);
    const cancelled = bench
      .commands()
      .flatMap(({ command }) => (command.kind === "cancelTask" ? [command.attemptId] : []));
    const twin = again.find((other) => JSON.stringify(other.work) === JSON.stringify(task.work));
    expect(cancelled).toContain(twin?.attemptId);
  });

  test("whose process was replaced lost its attempts at once", () => {
    const bench = leader(1);
    bench.memory.inputs = sampleFiles(2);
    bench.submit();
    const before = bench.takeTasks();
    bench.post({ kind: "detached", connection: 1 });
    bench.attach(2, { executor: "e1", incarnation: 2 });
    const after = bench.takeTasks();
    expect(after.map((task) => task.work)).toEqual(before.map((task) => task.work));
  });

  test("an attempt that its heartbeats never name is started again", () => {
    const bench = leader(1);
    bench.memory.inputs = sampleFiles(2);
    bench.submit();
    const tasks = bench.takeTasks();
    const named = one(tasks, 1).attemptId;
    for (let ms = 0; ms <= limits.attemptMissingMs + 500; ms += 500) {
      bench.pass(500);
      bench.beat(1, [named]);
    }
    const again = bench.takeTasks();
    expect(again.map((task) => task.work)).toEqual([one(tasks).work]);
  });

  test("what it runs without being asked to is cancelled", () => {
    const bench = leader(1);
    bench.beat(1, ["stranger"]);
    expect(bench.commands()).toMatchObject([
      { command: { kind: "cancelTask", attemptId: "stranger" } },
    ]);
  });
});

function outcomeOf(_: Bench, task: SentTask) {
  const names = task.delivery.outputs.map(({ exchange }) => exchange);
  const counters = {
    rowsIn: 1,
    bytesIn: 0,
    rowsOut: 0,
    bytesOut: 0,
    elapsedMs: 0,
    peakMemoryBytes: 0,
  };
  const outputs = names.map((exchange) => ({
    exchange,
    digest: "d",
    checksum: "1",
    rows: 1,
    bytes: 1,
    messages: 1,
  }));
  return { kind: "done", outputs, files: [], accounts: [], counters } as const;
}

describe("draining", () => {
  test("ends new work there; it leaves when idle", () => {
    const bench = leader(1, 2);
    bench.post({ kind: "draining", connection: 1, reason: "SIGTERM" });
    bench.submit();
    const tasks = bench.takeTasks();
    expect(tasks.map((task) => task.connection)).toEqual([2, 2]);
    bench.post({ kind: "detached", connection: 1 });
    expect(bench.events()).toContain("executor.drained");
    expect(bench.state.executors.has("e1")).toBe(false);
  });

  test("by command tells the executor", () => {
    const bench = leader(1);
    bench.post({ kind: "drainExecutor", reply: 77, executor: "e1" });
    expect(bench.replyTo(77)).toEqual({ kind: "draining" });
    expect(bench.commands()).toMatchObject([{ command: { kind: "drainNow" } }]);
    bench.post({ kind: "drainExecutor", reply: 78, executor: "e9" });
    expect(bench.replyTo(78)).toMatchObject({ failure: { code: "unknownExecutor" } });
  });

  test("work handed back goes elsewhere at once", () => {
    const bench = leader(1);
    bench.submit();
    const tasks = bench.takeTasks();
    bench.attach(2);
    bench.takeTasks();
    bench.post({ kind: "draining", connection: 1, reason: "SIGTERM" });
    bench.fail(one(tasks), failure("drained", "handed back"));
    for (const id of bench.state.executors.get("e2")?.busy.keys() ?? []) {
      bench.post({
        kind: "report",
        connection: 2,
        attemptId: id,
        outcome: { kind: "failed", failure: failure("drained", "") },
      });
      break;
    }
    expect(bench.takeTasks().map((task) => task.connection)).toEqual([2]);
  });
});

describe("a takeover", () => {
  function interrupted(): { old: Bench; next: Bench; tasks: SentTask[] } {
    const old = leader(1);
    old.memory.inputs = sampleFiles(3);
    old.submit(sampleJob());
    const tasks = old.takeTasks();
    old.finish(one(tasks));
    tasks.push(...old.takeTasks());
    const next = new Bench(old.memory, "c2");
    next.at = old.at;
    next.lead();
    return { old, next, tasks };
  }

  test("adopts what still runs, starts again what is missing, repeats nothing", () => {
    const { next, tasks } = interrupted();
    const running = one(tasks, 1);
    next.attach(1, { runningAttempts: [running.attemptId] });
    const started = next.takeTasks();
    expect(started.map((task) => task.work)).toEqual([one(tasks, 2).work]);
    next.report(running, outcomeOf(next, running));
    expect(next.run().stages[0]).toMatchObject({ done: 2, failedAttempts: 1 });
  });

  test("waits for executors, but not for ever", () => {
    const { next, tasks } = interrupted();
    next.attach(2);
    expect(next.takeTasks()).toEqual([]);
    next.pass(limits.executorLostMs + 600, [2]);
    const works = next.takeTasks().map((task) => JSON.stringify(task.work));
    expect(works.sort()).toEqual(
      tasks
        .slice(1)
        .map((task) => JSON.stringify(task.work))
        .sort(),
    );
  });

  test("ends in the same dataset", () => {
    const { next } = interrupted();
    next.attach(2);
    next.pass(limits.executorLostMs + 600, [2]);
    next.work();
    expect(next.run()).toMatchObject({ state: "committed", datasets: [{ rows: 6 }] });
  });

  test("finds a commit that was made and not remembered", () => {
    const old = leader(1);
    old.hold = (ask) => ask.kind === "publish";
    old.submit();
    old.work();
    expect(old.memory.manifests.get(`usage.${day}.r1`)?.state).toBe("committed");
    const next = new Bench(old.memory, "c2");
    next.at = old.at;
    next.lead();
    expect(next.run().state).toBe("committed");
    expect(next.memory.views.get(`usage|${day}`)).toBe(1);
    expect(next.memory.commits.filter((commit) => commit.won)).toHaveLength(1);
  });

  test.each(["listInputs", "ensureStreams", "arrange", "commit"])(
    "goes on with a run that was waiting for %s",
    (kind) => {
      const old = leader(1);
      old.hold = (ask) => ask.kind === kind;
      old.submit();
      old.work();
      const next = new Bench(old.memory, "c2");
      next.at = old.at;
      next.lead();
      next.attach(1, { incarnation: 2 });
      next.work();
      expect(next.run().state).toBe("committed");
    },
  );

  test("finishes the cancelling of a run", () => {
    const old = leader(1);
    old.submit();
    old.hold = (ask) => ask.kind === "commit";
    old.cancel(`usage.${day}.r1`);
    const next = new Bench(old.memory, "c2");
    next.at = old.at;
    next.lead();
    expect(next.run().state).toBe("cancelled");
  });
});
