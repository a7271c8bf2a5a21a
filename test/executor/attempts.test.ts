// Attempts, workers and reports: transcripts of the pure step.
import { describe, expect, test } from "vitest";
import { limits } from "../../shared/kernel/limits.ts";
import { failed, Script } from "./script.ts";

describe("running", () => {
  test("a task gets a free slot, its outcome goes out and is forgotten when acknowledged", () => {
    const script = new Script().attached(1);
    expect(script.run(1, "a1")).toEqual(["slot 0: giveWork 1 a1"]);
    expect(script.run(1, "a2")).toEqual(["slot 1: giveWork 2 a2"]);
    expect(script.outcome(0, 1, "a1")).toEqual(["link 1: report a1 e1 done"]);
    expect(script.run(1, "a3")).toEqual(["slot 0: giveWork 1 a3"]);
    expect(script.command(1, { kind: "reportAck", attemptId: "a1" })).toEqual([]);
    expect(script.state.reports).toEqual([]);
    expect(script.state.settled).toEqual(["a1"]);
  });

  test("the same command again never runs an attempt twice", () => {
    const script = new Script().attached(1);
    script.run(1, "a1");
    expect(script.run(1, "a1")).toEqual([]);
    script.outcome(0, 1, "a1");
    expect(script.run(1, "a1")).toEqual(["link 1: report a1 e1 done"]);
    script.command(1, { kind: "reportAck", attemptId: "a1" });
    expect(script.run(1, "a1")).toEqual([]);
    expect(script.state.slots.every((slot) => slot.attempt === undefined)).toBe(true);
  });

  test("more tasks than slots: reported as unavailable, which is retried and not counted", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    expect(script.run(1, "a2")).toEqual(["link 1: report a2 e1 unavailable"]);
  });

  test("a task waits for a worker that is about to be there", () => {
    const script = new Script(1).attached(1);
    script.exited(0, 1);
    expect(script.run(1, "a1")).toEqual([]);
    expect(script.after(limits.workerRestartAfterMs)).toContain("slot 0: startWorker 2");
    expect(script.ready(0, 2)).toEqual(["slot 0: giveWork 2 a1"]);
  });

  test("a task that needs a fresh process gets one, and waits for it where all have run something", () => {
    const script = new Script().attached(1);
    script.run(1, "a1");
    script.outcome(0, 1, "a1");
    // Slot 1 is fresh.
    expect(script.run(1, "a2", true)).toEqual(["slot 1: giveWork 2 a2"]);
    script.outcome(1, 2, "a2");
    expect(script.run(1, "a3", true)).toEqual(["slot 0: quitWorker 1"]);
    expect(script.exited(0, 1, "exit code 0")).toEqual(["slot 0: startWorker 3"]);
    expect(script.run(1, "a4")).toEqual(["slot 1: giveWork 2 a4"]);
    expect(script.ready(0, 3)).toEqual(["slot 0: giveWork 3 a3"]);
    expect(script.outcome(0, 3, "a3")).toEqual(["link 1: report a3 e1 done"]);
  });

  test("a task that waits for its fresh process can be cancelled", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    script.outcome(0, 1, "a1");
    expect(script.run(1, "a2", true)).toEqual(["slot 0: quitWorker 1"]);
    const cancel = { kind: "cancelTask", attemptId: "a2", reason: "not needed" } as const;
    expect(script.command(1, cancel)).toEqual(["link 1: report a2 e1 cancelled"]);
    expect(script.exited(0, 1, "exit code 0")).toEqual(["slot 0: startWorker 2"]);
    expect(script.ready(0, 2)).toEqual([]);
  });

  test("outcomes of other workers and other attempts are not taken", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    expect(script.outcome(0, 9, "a1")).toEqual([]);
    expect(script.outcome(0, 1, "a0")).toEqual([]);
    expect(script.outcome(0, 1, "a1")).toEqual(["link 1: report a1 e1 done"]);
    expect(script.outcome(0, 1, "a1")).toEqual([]);
  });
});

describe("background work", () => {
  test("goes where the priority is low already, live work where it is not", () => {
    const script = new Script(3).attached(1);
    expect(script.runBackground(1, "b1")).toEqual(["slot 0: giveWork 1 b1"]);
    script.outcome(0, 1, "b1");
    expect(script.run(1, "a1")).toEqual(["slot 1: giveWork 2 a1"]);
    expect(script.run(1, "a2")).toEqual(["slot 2: giveWork 3 a2"]);
    script.outcome(1, 2, "a1");
    expect(script.runBackground(1, "b2")).toEqual(["slot 0: giveWork 1 b2"]);
    expect(script.runBackground(1, "b3")).toEqual(["slot 1: giveWork 2 b3"]);
  });

  test("leaves a process that live work can't use: it gets a fresh one in that slot", () => {
    const script = new Script(1).attached(1);
    script.runBackground(1, "b1");
    script.outcome(0, 1, "b1");
    expect(script.run(1, "a1")).toEqual(["slot 0: quitWorker 1"]);
    expect(script.exited(0, 1, "exit code 0")).toEqual(["slot 0: startWorker 2"]);
    expect(script.ready(0, 2)).toEqual(["slot 0: giveWork 2 a1"]);
    script.outcome(0, 2, "a1");
    expect(script.runBackground(1, "b2")).toEqual(["slot 0: giveWork 2 b2"]);
  });

  test("makes no process unfit that may raise its priority again", () => {
    const script = new Script(1).attached(1, true);
    expect(script.runBackground(1, "b1")).toEqual(["slot 0: giveWork 1 b1"]);
    script.outcome(0, 1, "b1");
    expect(script.run(1, "a1")).toEqual(["slot 0: giveWork 1 a1"]);
  });

  test("a fresh process for live work is one that nobody has used, or one that is about to start", () => {
    const script = new Script(2).attached(1);
    script.runBackground(1, "b1");
    script.runBackground(1, "b2");
    script.outcome(1, 2, "b2");
    script.exited(0, 1);
    // Slot 0 has no process at the moment; that of slot 1 can leave at once.
    expect(script.run(1, "a1")).toEqual(["slot 1: quitWorker 2"]);
    script.after(limits.workerRestartAfterMs);
    expect(script.run(1, "a2")).toEqual([]);
    expect(script.ready(0, 3)).toEqual(["slot 0: giveWork 3 a2"]);
  });

  test("after out-of-memory it gets a fresh process, too", () => {
    const script = new Script(1).attached(1);
    script.runBackground(1, "b1");
    script.outcome(0, 1, "b1");
    expect(script.runBackground(1, "b2", true)).toEqual(["slot 0: quitWorker 1"]);
  });
});

describe("reports", () => {
  test("kept while nobody listens, listed in the next hello, sent after its welcome", () => {
    const script = new Script().attached(1);
    script.run(1, "a1");
    script.run(1, "a2");
    script.post({ kind: "linkLost", link: 1, reason: "reset" });
    expect(script.outcome(0, 1, "a1")).toEqual([]);
    expect(script.leader(2)).toEqual(["link 2: dial c2:7400 running=[a2,a1] e1"]);
    expect(script.command(2, { kind: "welcome", coordinator: "c2" })).toEqual([
      "link 2: report a1 e1 done",
    ]);
    script.leader(3);
    expect(script.command(3, { kind: "welcome", coordinator: "c3" })).toEqual([
      "link 3: report a1 e1 done",
    ]);
  });

  test("an unacknowledged report goes out again on the same link", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    script.outcome(0, 1, "a1");
    expect(script.after(limits.reportResendMs - 1)).not.toContain("link 1: report a1 e1 done");
    expect(script.after(1)).toContain("link 1: report a1 e1 done");
  });

  test("a stale leader's acknowledgement counts for nothing", () => {
    const script = new Script(1).attached(5);
    script.run(5, "a1");
    script.outcome(0, 1, "a1");
    expect(script.command(4, { kind: "reportAck", attemptId: "a1" })).toEqual(["link 1: close"]);
    expect(script.state.reports.map((report) => report.attemptId)).toEqual(["a1"]);
  });

  test("the last settled attempts are remembered, and no more than the bound says", () => {
    const script = new Script(1).attached(1);
    for (let number = 0; number <= limits.settledAttemptsKept; number++) {
      const attemptId = `a${number}`;
      script.command(1, { kind: "cancelTask", attemptId, reason: "not wanted" });
      script.command(1, { kind: "reportAck", attemptId });
    }
    expect(script.state.settled).toHaveLength(limits.settledAttemptsKept);
    expect([script.state.settled[0], script.state.settled.at(-1)]).toEqual([
      "a1",
      `a${limits.settledAttemptsKept}`,
    ]);
  });

  test("a leader that acknowledges nothing is left before the reports outgrow their bound", () => {
    const script = new Script(1).attached(1);
    for (let n = 0; n < limits.reportsKeptMax; n++) {
      script.command(1, { kind: "cancelTask", attemptId: `a${n}`, reason: "test" });
    }
    expect(script.state.reports).toHaveLength(limits.reportsKeptMax);
    expect(script.run(1, "one-more")).toEqual(["link 1: close"]);
    expect(script.state.reports).toHaveLength(limits.reportsKeptMax);
  });
});

describe("cancelling", () => {
  test("the worker is interrupted; its answer is the end of it", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    const cancel = { kind: "cancelTask", attemptId: "a1", reason: "run cancelled" } as const;
    expect(script.command(1, cancel)).toEqual(["slot 0: interruptWorker 1 a1"]);
    expect(script.command(1, cancel)).toEqual([]);
    expect(script.outcome(0, 1, "a1", failed("sqlFailed"))).toEqual([
      "link 1: report a1 e1 cancelled",
    ]);
  });

  test("no answer within the grace: the worker is killed and its successor takes the slot", () => {
    const script = new Script(1).attached(1);
    script.state = { ...script.state, askLeaderAt: 1e9 };
    script.run(1, "a1");
    script.command(1, { kind: "cancelTask", attemptId: "a1", reason: "run cancelled" });
    script.after(limits.workerCancelGraceMs - 1);
    expect(script.after(1)).toEqual(["slot 0: killWorker 1"]);
    expect(script.exited(0, 1)).toEqual([
      "link 1: report a1 e1 cancelled",
      "slot 0: startWorker 2",
    ]);
  });

  test("an attempt that finished all the same is a success", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    script.command(1, { kind: "cancelTask", attemptId: "a1", reason: "run cancelled" });
    expect(script.outcome(0, 1, "a1")).toEqual(["link 1: report a1 e1 done"]);
  });

  test("an attempt cancelled before it came never runs", () => {
    const script = new Script(1).attached(1);
    expect(
      script.command(1, { kind: "cancelTask", attemptId: "a1", reason: "run cancelled" }),
    ).toEqual(["link 1: report a1 e1 cancelled"]);
    expect(script.run(1, "a1")).toEqual(["link 1: report a1 e1 cancelled"]);
  });
});

describe("workers", () => {
  test("a dead worker fails its attempt, names how it ended, and is replaced", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    expect(script.exited(0, 1, "signal SIGSEGV")).toEqual(["link 1: report a1 e1 workerLost"]);
    const outcome = script.state.reports[0]?.outcome;
    expect(outcome).toMatchObject({ failure: { detail: { exit: "signal SIGSEGV" } } });
    expect(script.after(limits.workerRestartAfterMs)).toContain("slot 0: startWorker 2");
  });

  test("after out-of-memory the process is replaced, not the executor", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    expect(script.outcome(0, 1, "a1", failed("outOfMemory"))).toEqual([
      "link 1: report a1 e1 outOfMemory",
      "slot 0: quitWorker 1",
    ]);
    expect(script.run(1, "a2")).toEqual([]);
    expect(script.exited(0, 1, "exit code 0")).toEqual(["slot 0: startWorker 2"]);
    expect(script.ready(0, 2)).toEqual(["slot 0: giveWork 2 a2"]);
  });

  test("after an error that nobody foresaw the process is replaced too", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    expect(script.outcome(0, 1, "a1", failed("internal"))).toEqual([
      "link 1: report a1 e1 internal",
      "slot 0: quitWorker 1",
    ]);
  });

  test("after many attempts a fresh process takes over, so that memory does not creep", () => {
    const script = new Script(1).attached(1);
    for (let n = 1; n < limits.attemptsPerWorkerMax; n++) {
      script.run(1, `a${n}`);
      expect(script.outcome(0, 1, `a${n}`)).toEqual([`link 1: report a${n} e1 done`]);
    }
    script.run(1, "last");
    expect(script.outcome(0, 1, "last")).toEqual([
      "link 1: report last e1 done",
      "slot 0: quitWorker 1",
    ]);
    expect(script.after(limits.workerCancelGraceMs)).toContain("slot 0: killWorker 1");
  });

  test("workers that never start end the executor, attempts are handed on before", () => {
    const script = new Script(1).attached(1);
    script.exited(0, 1);
    script.run(1, "a1");
    const lines: string[] = [];
    for (let n = 2; n < 2 + limits.workerStartsFailedMax; n++) {
      script.after(limits.workerRestartAfterMs);
      lines.push(...script.exited(0, n, "exit code 1"));
    }
    expect(lines).toEqual(["link 1: report a1 e1 unavailable", "exit 70"]);
  });

  test("a start that hangs is killed", () => {
    const script = new Script(1);
    script.post({ kind: "started" });
    expect(script.after(limits.workerStartMs)).toContain("slot 0: killWorker 1");
  });
});

describe("draining", () => {
  const drain = { kind: "drain", reason: "SIGTERM", finishMs: 1_000 } as const;

  test("idle: leaves at once", () => {
    const script = new Script().attached(1);
    expect(script.post(drain)).toEqual(["link 1: draining", "exit 0"]);
  });

  test("no new work; what runs finishes, is acknowledged, and the executor leaves", () => {
    const script = new Script().attached(1);
    script.run(1, "a1");
    expect(script.post(drain)).toEqual(["link 1: draining"]);
    expect(script.run(1, "a2")).toEqual(["link 1: report a2 e1 drained"]);
    expect(script.outcome(0, 1, "a1")).toEqual(["link 1: report a1 e1 done"]);
    expect(script.command(1, { kind: "reportAck", attemptId: "a2" })).toEqual([]);
    expect(script.command(1, { kind: "reportAck", attemptId: "a1" })).toEqual(["exit 0"]);
  });

  test("what runs too long is handed back", () => {
    const script = new Script(1).attached(1);
    script.state = { ...script.state, askLeaderAt: 1e9 };
    script.run(1, "a1");
    script.post(drain);
    script.after(999);
    expect(script.after(1)).toEqual(["slot 0: interruptWorker 1 a1"]);
    expect(script.outcome(0, 1, "a1", failed("cancelled"))).toEqual([
      "link 1: report a1 e1 drained",
    ]);
  });

  test("nobody acknowledges: it leaves all the same, in bounded time", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    script.post({ kind: "linkLost", link: 1, reason: "reset" });
    script.post(drain);
    expect(script.outcome(0, 1, "a1")).toEqual([]);
    expect(script.after(limits.drainReportMs)).toContain("exit 0");
  });

  test("told by the leader, then by a signal: the shorter time counts", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    script.command(1, { kind: "drainNow", reason: "operator" });
    script.post(drain);
    expect(script.state.drain?.handBackAt).toBe(1_000);
  });

  test("stop does not wait for anything", () => {
    const script = new Script(1).attached(1);
    script.run(1, "a1");
    expect(script.post({ kind: "stop" })).toEqual(["exit 130"]);
  });
});
