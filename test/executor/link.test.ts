// How an executor finds, follows and leaves leaders: transcripts of the pure step.
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { Script } from "./script.ts";

/** Breaks the present link and gives how long it took until the next was dialled. */
function pauseAfterLoss(script: Script): number {
  script.post({ kind: "linkLost", link: script.state.nextLink - 1, reason: "reset" });
  const lostAt = script.at;
  while (script.state.link.kind === "none") script.after(10);
  return script.at - lostAt;
}

describe("finding a leader", () => {
  test("workers start first, the hello waits for the engine's version, ready is told once", () => {
    const script = new Script();
    expect(script.post({ kind: "started" })).toEqual([
      "slot 0: startWorker 1",
      "slot 1: startWorker 2",
    ]);
    expect(script.leader(3)).toEqual([]);
    expect(script.ready(1, 2)).toEqual(["link 1: dial c3:7400 running=[] e0"]);
    expect(script.command(3, { kind: "welcome", coordinator: "c3" })).toEqual(["announceReady"]);
    expect(script.command(3, { kind: "welcome", coordinator: "c3" })).toEqual([]);
  });

  test("without a leader it asks again and again, and dials when one is heard", () => {
    const script = new Script(1);
    script.post({ kind: "started" });
    script.ready(0, 1);
    expect(script.after(1)).toEqual(["askLeader"]);
    expect(script.after(limits.leaderPollMs - 1)).toEqual([]);
    expect(script.after(1)).toEqual(["askLeader"]);
    expect(script.leader(1)).toEqual(["link 1: dial c1:7400 running=[] e0"]);
    // The same hint comes with every beat.
    expect(script.leader(1)).toEqual([]);
  });

  test("a link that breaks is dialled again after a pause that grows", () => {
    const script = new Script(1).attached(1);
    const pauses = Array.from({ length: 8 }, () => pauseAfterLoss(script));
    expect(pauses.every((pause) => pause <= limits.attachRetryMaxMs)).toBe(true);
    expect(pauses[0]).toBeLessThanOrEqual(limits.attachRetryMinMs * 2 + 10);
    expect(pauses[7]).toBeGreaterThanOrEqual(limits.attachRetryMaxMs / 2);
  });

  test("links that are welcomed and broken at once count as failures, a steady one does not", () => {
    const script = new Script(1).attached(1);
    const welcomeAndLose = () => {
      const pause = pauseAfterLoss(script);
      script.command(1, { kind: "welcome", coordinator: "c1" });
      return pause;
    };
    const pauses = Array.from({ length: 8 }, welcomeAndLose);
    expect(pauses[7]).toBeGreaterThanOrEqual(limits.attachRetryMaxMs / 2);
    script.at += limits.attachSteadyMs;
    expect(welcomeAndLose()).toBeLessThanOrEqual(limits.attachRetryMinMs + 10);
  });

  test("no welcome in time: the link is given up", () => {
    const script = new Script(1);
    script.post({ kind: "started" });
    script.leader(1);
    script.ready(0, 1);
    expect(script.after(limits.attachTimeoutMs)).toEqual(["link 1: close", "askLeader"]);
    expect(script.command(1, { kind: "welcome", coordinator: "late" })).toEqual([]);
    expect(script.state.link.kind).toBe("none");
  });
});

describe("leaders change", () => {
  test("a newer leader is followed at once; running attempts go on and are listed", () => {
    const script = new Script().attached(4);
    script.run(4, "a1");
    expect(script.leader(5)).toEqual(["link 1: close", "link 2: dial c5:7400 running=[a1] e4"]);
    expect(script.command(5, { kind: "welcome", coordinator: "c5" })).toEqual([]);
    expect(script.outcome(0, 1, "a1")).toEqual(["link 2: report a1 e4 done"]);
  });

  test("an older leader's hint is ignored, its commands are refused and its link is closed", () => {
    const script = new Script().attached(5);
    expect(script.leader(4)).toEqual([]);
    expect(script.run(4, "zombie")).toEqual(["link 1: close"]);
    expect(script.state.highestEpoch).toBe(5);
    expect(script.state.slots.every((slot) => slot.attempt === undefined)).toBe(true);
  });

  test("a candidate that gave up is left for the former leader, which goes on", () => {
    const script = new Script(1).attached(1);
    expect(script.leader(2)).toEqual(["link 1: close", "link 2: dial c2:7400 running=[] e1"]);
    const why = failure("notLeader", "not leading");
    for (let failures = 1; failures < limits.attachFailuresDoubted; failures++) {
      script.command(2, { kind: "refused", failure: why });
      expect(script.leader(1)).toEqual([]);
      while (script.state.link.kind === "none") script.after(10);
    }
    script.command(2, { kind: "refused", failure: why });
    const link = script.state.nextLink;
    expect(script.leader(1)).toEqual([`link ${link}: dial c1:7400 running=[] e1`]);
    script.command(1, { kind: "welcome", coordinator: "c1" });
    expect(script.state.link.kind).toBe("attached");
  });

  test("a leader that was obeyed is not left for one that it has replaced, however long it is away", () => {
    const script = new Script(1).attached(5);
    for (let failures = 0; failures <= limits.attachFailuresDoubted; failures++) {
      pauseAfterLoss(script);
    }
    script.post({ kind: "linkLost", link: script.state.nextLink - 1, reason: "reset" });
    expect(script.leader(4)).toEqual([]);
    expect(script.state.leader?.epoch).toBe(5);
  });

  test("one that is leaving says so to the next leader, too", () => {
    const script = new Script().attached(1);
    script.run(1, "a1");
    script.post({ kind: "drain", reason: "SIGTERM", finishMs: 60_000 });
    script.leader(2);
    expect(script.command(2, { kind: "welcome", coordinator: "c2" })).toEqual(["link 2: draining"]);
  });

  test("a higher epoch on the same link is obeyed and cancels nothing", () => {
    const script = new Script().attached(5);
    script.run(5, "a1");
    expect(script.run(6, "a2")).toEqual(["slot 1: giveWork 2 a2"]);
    expect(script.state.highestEpoch).toBe(6);
    expect(script.run(5, "a3")).toEqual(["link 1: close"]);
  });

  test("what comes over an old link is not heard", () => {
    const script = new Script().attached(4);
    script.leader(5);
    expect(
      script.post({
        kind: "commanded",
        link: 1,
        epoch: 9,
        command: { kind: "runTask", attemptId: "a1", work: "{}", delivery: "{}" },
      }),
    ).toEqual([]);
    expect(script.state.highestEpoch).toBe(4);
    expect(script.post({ kind: "linkLost", link: 1, reason: "late" })).toEqual([]);
    expect(script.state.link.kind).toBe("opening");
  });
});

describe("refusals", () => {
  test("a standby's refusal is passing: tried again, also when its epoch is old", () => {
    const script = new Script(1).attached(3);
    const notLeader = failure("notLeader", "c9 leads");
    expect(script.command(1, { kind: "refused", failure: notLeader })).toEqual(["link 1: close"]);
    expect(script.state.ended).toBe(false);
    expect(script.after(limits.attachRetryMaxMs)).toContain("link 2: dial c3:7400 running=[] e3");
  });

  test("a candidate's refusal is short-lived: it is dialled again soon, however often it refused", () => {
    const script = new Script(1).attached(3);
    const noLeader = failure("noLeader", "no coordinator leads at the moment");
    expect(script.leader(4)).toContain("link 2: dial c4:7400 running=[] e3");
    const pauses = Array.from({ length: 8 }, () => {
      script.command(4, { kind: "refused", failure: noLeader });
      const from = script.at;
      while (script.state.link.kind === "none") script.after(10);
      return script.at - from;
    });
    expect(Math.max(...pauses)).toBeLessThanOrEqual(limits.attachRetryElectionMs + 10);
    // One that is not there is left alone for longer.
    expect(pauseAfterLoss(script)).toBeGreaterThan(limits.attachRetryElectionMs + 10);
  });

  test("another version is final: the process ends with its own exit code", () => {
    const script = new Script(1);
    script.post({ kind: "started" });
    script.leader(1);
    script.ready(0, 1);
    const mismatch = failure("versionMismatch", "DuckDB v1.5.6 here, v1.4.0 there");
    expect(script.command(1, { kind: "refused", failure: mismatch })).toEqual([
      "link 1: close",
      "exit 78",
    ]);
    expect(script.after(1_000)).toEqual([]);
  });
});

test("heartbeats go out on their beat, with what runs", () => {
  const script = new Script().attached(1);
  script.state = { ...script.state, askLeaderAt: 1e9 };
  expect(script.after(100)).toEqual(["link 1: heartbeat 1 []"]);
  script.run(1, "a1");
  expect(script.after(limits.heartbeatEveryMs - 1)).toEqual([]);
  expect(script.after(1)).toEqual(["link 1: heartbeat 2 [a1]"]);
});
