/** Who leads, when it stops, and why an old leader can't do harm. */
import { describe, expect, test } from "vitest";
import { encodeFacts } from "../../coordinator/core/journal-text.ts";
import { candidateJitterMs } from "../../coordinator/core/leadership.ts";
import { encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { ClusterMemory } from "../../scripts/simulation/cluster-memory.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const lease = limits.leaseExpiresMs + limits.candidateJitterMsMax + 2 * limits.tickEveryMs;

/** Another coordinator's clock goes on from where this one's is. */
function second(first: Bench, name = "c2"): Bench {
  const bench = new Bench(first.memory, name);
  bench.at = first.at;
  return bench;
}

describe("to lead", () => {
  test("takes the epoch, storage, the journal, in this order", () => {
    const bench = new Bench();
    const order: string[] = [];
    bench.override = (ask) => {
      order.push(ask.kind);
      return undefined;
    };
    bench.pass(200);
    expect(bench.state.role.kind).toBe("leader");
    expect(order).toEqual([
      "readFences",
      "readFences",
      "takeEpoch",
      "renew",
      "claimStorage",
      "readStorage",
      "readJournal",
      "append",
      "rebuildViews",
      "readUsage",
      "listStaging",
      "listRevisions",
    ]);
  });

  test("a cluster that had a leader before waits out the lease", () => {
    const memory = new ClusterMemory();
    memory.epochs.set(4, "c0");
    const bench = new Bench(memory);
    bench.pass(limits.leaseExpiresMs - 100);
    expect(bench.state.role.kind).toBe("standby");
    bench.pass(limits.candidateJitterMsMax + 300);
    expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 5 });
  });

  test("the epoch is above all that registry, storage and journal know", () => {
    const memory = new ClusterMemory();
    memory.epochs.set(2, "c0");
    memory.claimed = 7;
    const bench = new Bench(memory).lead();
    expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 8 });
  });

  test("a standby that hears renewals stays one", () => {
    const memory = new ClusterMemory();
    memory.epochs.set(3, "c9");
    const bench = new Bench(memory);
    for (let beat = 1; beat < 20; beat++) {
      bench.post({ kind: "leaderHeard", epoch: 3, coordinator: "c9", address: "c9:1", beat });
      bench.pass(1_000);
    }
    expect(bench.state.role.kind).toBe("standby");
  });

  test("who loses the race for an epoch takes a higher one later", () => {
    const memory = new ClusterMemory();
    const bench = new Bench(memory);
    let lost = false;
    bench.override = (ask) => {
      if (ask.kind !== "takeEpoch" || lost) return undefined;
      lost = true;
      memory.epochs.set(ask.epoch, "c9");
      return { kind: "taken", taken: false };
    };
    bench.lead();
    expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 2 });
  });

  test("records that an old leader still appends are folded before `led`", () => {
    const old = new Bench().lead();
    old.attach(1);
    old.submit();
    const [task] = old.takeTasks();
    const next = second(old);
    next.hold = (ask) => ask.kind === "append";
    next.pass(lease);
    if (task === undefined) throw new Error("no task was sent");
    old.finish(task);
    expect(old.commands()[0]).toMatchObject({ command: { kind: "reportAck" } });
    next.hold = () => false;
    next.release();
    expect(next.state.role.kind).toBe("leader");
    expect(next.state.durable.attempts.get(task.attemptId)?.state).toBe("done");
  });

  test("a `led` that was saved although the append failed is found", () => {
    const bench = new Bench();
    bench.override = (ask) => {
      if (ask.kind !== "append" || bench.memory.journalLast > 0) return undefined;
      bench.memory.answer(ask, { coordinator: "c1", address: "c1:1" });
      return { kind: "failed", failure: failure("unavailable", "no answer came") };
    };
    bench.lead();
    expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 1 });
    expect(bench.state.journal.sequence).toBe(bench.memory.journalLast);
  });

  test("gives its attempts names that no other leader gave", () => {
    const first = new Bench();
    first.memory.inputs = sampleFiles(1);
    first.lead();
    first.attach(1);
    first.submit();
    const next = second(first).lead();
    next.attach(1, { incarnation: 2 });
    const [one, ...others] = [...first.takeTasks(), ...next.takeTasks()];
    expect(others.map(({ work }) => work)).toEqual([one?.work]);
    expect(others.map(({ attemptId }) => attemptId)).not.toContain(one?.attemptId);
  });

  test("candidates are spread", () => {
    const spread = ["c1", "c2", "coordinator-a", "coordinator-b"].map(candidateJitterMs);
    expect(new Set(spread).size).toBe(4);
    expect(Math.max(...spread)).toBeLessThanOrEqual(limits.candidateJitterMsMax);
  });
});

describe("to stop", () => {
  test("renewals without an answer end a leadership before others may begin", () => {
    const bench = new Bench().lead();
    bench.hold = (ask) => ask.kind === "renew";
    bench.pass(limits.leaseExpiresMs - limits.tickEveryMs);
    expect(bench.state.role.kind).toBe("standby");
  });

  test("renewals that are refused prove nothing", () => {
    const bench = new Bench().lead();
    const why = failure("unavailable", "no answer");
    bench.override = (ask) => (ask.kind === "renew" ? { kind: "failed", failure: why } : undefined);
    bench.pass(limits.leaseExpiresMs - limits.tickEveryMs);
    expect(bench.state.role.kind).toBe("standby");
  });

  test("a paused leader notices before it does anything else", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.at += 60_000;
    bench.effects = [];
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toMatchObject({ failure: { code: "noLeader" } });
    expect(bench.effects.map((effect) => effect.kind)).toEqual([
      "log",
      "closeConnection",
      "roleChanged",
      "reply",
    ]);
  });

  test("a higher epoch heard of ends it; clients and executors are sent there", () => {
    const bench = new Bench().lead();
    bench.post({ kind: "leaderHeard", epoch: 9, coordinator: "c9", address: "c9:1", beat: 1 });
    expect(bench.state.role.kind).toBe("standby");
    expect(bench.replyTo(bench.submit())).toMatchObject({
      failure: { code: "notLeader" },
      leader: "c9:1",
    });
    bench.effects = [];
    bench.attach(1);
    expect(bench.commands()).toMatchObject([
      { command: { kind: "refused", failure: { code: "notLeader" }, leader: "c9:1" } },
    ]);
  });

  test("an executor that obeyed a higher epoch ends it, and the next epoch is above that", () => {
    const bench = new Bench().lead();
    bench.attach(1, { highestEpoch: 12 });
    expect(bench.state.role.kind).toBe("standby");
    bench.lead();
    expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 13 });
  });

  test("a fenced write ends it", () => {
    const bench = new Bench().lead();
    bench.memory.claimed = 99;
    bench.submit();
    expect(bench.state.role.kind).toBe("standby");
    expect(bench.replyTo(1)).toMatchObject({ kind: "failed" });
  });

  test("an old leader's append is refused once `led` of a newer one is there", () => {
    const old = new Bench().lead();
    old.attach(1);
    old.submit();
    const [task] = old.takeTasks();
    const next = second(old).lead();
    expect(next.state.role.kind).toBe("leader");
    if (task === undefined) throw new Error("no task was sent");
    old.effects = [];
    old.finish(task);
    expect(old.state.role.kind).toBe("standby");
    expect(old.commands()).toEqual([]);
  });

  test("a connection whose end waits for a save is closed as well", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.attach(2);
    bench.hold = (ask) => ask.kind === "append";
    bench.submit();
    // The first one falls silent while facts are being saved: whatever leaves has to wait for them.
    bench.pass(limits.executorLostMs + 2 * limits.tickEveryMs, [2]);
    const closed = () =>
      bench.effects.flatMap((one) => (one.kind === "closeConnection" ? [one.connection] : []));
    expect(bench.state.executors.get("e1")?.lost).toBe(true);
    expect(closed()).toEqual([]);
    bench.post({ kind: "stop" });
    expect(closed()).toEqual([2, 1]);
  });

  test("stop hands over and never leads again", () => {
    const bench = new Bench().lead();
    bench.post({ kind: "stop" });
    bench.pass(lease * 3);
    expect(bench.state.role.kind).toBe("standby");
  });
});

describe("a lost journal", () => {
  test("committed days stay committed, known jobs stay known, and the epoch goes on", () => {
    const first = new Bench().lead();
    first.attach(1);
    first.submit();
    first.work();
    const { memory } = first;
    memory.loseJournal();
    memory.epochs.clear();
    memory.streams.clear();
    const next = second(first).lead();
    expect(next.state.role).toMatchObject({ kind: "leader", epoch: 2 });
    expect(next.replyTo(next.submit("usage"))).toMatchObject({ failure: { code: "conflict" } });
    next.attach(1);
    const rerun = next.submit("usage", { rerun: true });
    expect(next.replyTo(rerun)).toMatchObject({ run: `usage.${day}.r2` });
    next.work();
    expect(next.run(2).state).toBe("committed");
  });

  test("a gap in it is told, and no run commits without what it lost there", () => {
    const first = new Bench().lead();
    first.attach(1);
    first.submit();
    const tasks = [...first.takeTasks()];
    const [one, ...others] = tasks;
    if (one === undefined) throw new Error("no task was sent");
    const { memory } = first;
    const before = memory.journalLast;
    first.finish(one);
    const after = memory.journalLast;
    for (const task of others) first.finish(task);
    first.hold = (ask) => ask.kind === "commit";
    first.work();
    expect(first.run().state).toBe("committing");
    memory.journal = memory.journal.filter(
      ({ sequence }) => sequence <= before || sequence > after,
    );
    const next = second(first).lead();
    const told = next.effects.flatMap((effect) => (effect.kind === "log" ? [effect.message] : []));
    expect(told.join()).toContain(`records ${before + 1} to ${after} of the journal were lost`);
    expect(next.run().state).toBe("running");
    next.attach(1, { incarnation: 2 });
    next.pass(limits.executorLostMs, [1]);
    next.work();
    expect(next.run().state).toBe("committed");
    const files = memory.manifests.get(`usage.${day}.r1`)?.datasets.flatMap((set) => set.files);
    expect(files?.flatMap((file) => memory.files.get(file.path) ?? [])).toHaveLength(8);
  });

  test("who has read an output that its beginning told of reads again", () => {
    const old = new Bench().lead();
    old.attach(1);
    old.submit();
    old.work();
    const last = old.memory.journalLast;
    old.submit("usage", { rerun: true });
    const reduces = old.takeTasks();
    expect(reduces.map(({ work }) => work.kind)).toEqual(["reduce", "reduce"]);
    for (const task of reduces.slice(0, 1)) old.finish(task);
    // The kept outputs of the first run are not in what is left.
    old.memory.journal = old.memory.journal.filter(({ sequence }) => sequence > last);
    const next = second(old).lead();
    next.attach(1, { incarnation: 2 });
    const groups = next.work().flatMap((work) => (work.kind === "reduce" ? [work.group] : []));
    expect(groups.sort()).toEqual([0, 1]);
    expect(next.run(2)).toMatchObject({ state: "committed" });
  });

  test("one that has grown to the snapshot's end again is read from its beginning", () => {
    const first = new Bench().lead();
    const { memory } = first;
    const snapshot = { sequence: 3, texts: encodeSnapshot(first.state.durable) };
    memory.loseJournal();
    memory.epochs.clear();
    memory.snapshot = snapshot;
    // Its own snapshot comes too late: it dies before.
    const next = second(first);
    next.hold = (ask) => ask.kind === "saveSnapshot";
    next.lead();
    const reply = next.submit();
    expect(next.replyTo(reply)).toMatchObject({ created: true });
    expect(memory.journalLast).toBeGreaterThanOrEqual(snapshot.sequence);
    expect(memory.snapshot).toBe(snapshot);
    memory.requests.clear();
    const last = new Bench(memory, "c3");
    last.at = next.at;
    last.lead();
    expect([...last.state.durable.runs.keys()]).toEqual([`usage.${day}.r1`]);
    last.attach(1);
    last.work();
    expect(last.run().state).toBe("committed");
  });

  test("one that begins after the snapshot's end is told, too", () => {
    const first = new Bench().lead();
    first.attach(1);
    first.submit();
    first.memory.journal = [];
    const next = second(first).lead();
    const told = next.effects.flatMap((effect) => (effect.kind === "log" ? [effect.message] : []));
    expect(told.join()).toContain("of the journal were lost");
    next.attach(1);
    next.work();
    expect(next.run().state).toBe("committed");
  });

  test("a record that a deposed leader got in after its end was lost counts for nothing", () => {
    const old = new Bench().lead();
    old.attach(1);
    old.submit();
    const { memory } = old;
    const expected = memory.journalLast;
    const late = encodeFacts(1, 99, [
      { kind: "revisionFound", job: "usage", day, revision: 7, state: "committed", datasets: [] },
    ]);
    // NATS loses the last two records; the next leader's take their place.
    memory.journal.splice(-2);
    memory.journalLast -= 2;
    const next = second(old).lead();
    next.submit(sampleJob(), { rerun: true });
    while (memory.journalLast < expected) next.submit("usage");
    memory.journal.splice(expected);
    memory.journalLast = expected;
    const answer = memory.answer(
      { kind: "append", id: 0, epoch: 1, expected, text: late[0] ?? "" },
      { coordinator: "c1", address: "" },
    );
    expect(answer).toEqual({ kind: "appended", sequence: expected + 1 });
    const third = second(next, "c3").lead();
    expect(third.state.role).toMatchObject({ kind: "leader", epoch: 3 });
    expect(third.state.durable.days.get(`usage|${day}`)?.highest).toBe(1);
  });

  test("a job is the one on storage, not an older one in a journal without its end", () => {
    const first = new Bench().lead();
    first.submit();
    const { memory } = first;
    const kept = memory.journalLast;
    const newer = sampleJob({ backlogDays: 9 });
    first.submit(newer, { day: "2026-01-16" });
    memory.journal = memory.journal.filter(({ sequence }) => sequence <= kept);
    memory.journalLast = kept;
    memory.requests.clear();
    const { names, jobs } = second(first).lead().state.durable;
    expect(jobs.get(names.get("usage") ?? "")).toEqual(newer);
  });
});
