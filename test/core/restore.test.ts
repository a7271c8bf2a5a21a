/** A run that was promised is started again when NATS lost everything, by whoever leads next. */
import { describe, expect, test } from "vitest";
import { encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { jobDigest } from "../../coordinator/core/submissions.ts";
import type { ClusterMemory } from "../../scripts/simulation/cluster-memory.ts";
import { exchangeStreams } from "../../shared/kernel/exchange-names.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { noNegative, sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const run = `usage.${day}.r1`;

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  return bench;
}

function loseNats(memory: ClusterMemory): void {
  memory.loseJournal();
  memory.epochs.clear();
  memory.streams.clear();
}

/** A coordinator that starts after `old` is gone; it leads when it returns unless told otherwise. */
function successor(old: Bench): Bench {
  const next = new Bench(old.memory, "c2");
  next.at = old.at;
  return next;
}

/** The day's first revision is live in the snapshot and committed since; the second is live. */
function withOldSnapshot(): Bench {
  const old = leader();
  old.submit(sampleJob(), { requestId: "first" });
  const texts = encodeSnapshot(old.state.durable);
  old.memory.snapshot = { sequence: old.state.journal.sequence, texts };
  old.work();
  old.submit("usage", { requestId: "second", rerun: true });
  return old;
}

describe("a live run whose journal is lost", () => {
  test("is started again as the same run, and its request is answered with it", () => {
    const old = leader();
    old.submit(sampleJob(), { requestId: "mine" });
    for (const task of old.takeTasks()) old.finish(task);
    loseNats(old.memory);
    const next = successor(old).lead();
    next.attach(1, { incarnation: 2 });
    const again = next.submit("usage", { requestId: "mine" });
    expect(next.replyTo(again)).toEqual({ kind: "submitted", run, created: false });
    next.work();
    expect(next.run()).toMatchObject({ runId: run, state: "committed", revision: 1 });
    expect(next.memory.requests.size).toBe(0);
  });

  test("is what a request gets that the rest of the journal knows, before it is created again", () => {
    const old = leader();
    old.submit(sampleJob(), { requestId: "mine" });
    const created = old.memory.journalLast;
    old.submit("usage", { requestId: "other" });
    old.memory.journal = old.memory.journal.filter(({ sequence }) => sequence > created);
    const next = successor(old);
    next.hold = (ask) => ask.kind === "planJob";
    next.lead();
    expect([...next.state.durable.runs.keys()]).toEqual([]);
    const again = next.submit("usage", { requestId: "other" });
    expect(next.replyTo(again)).toEqual({ kind: "submitted", run, created: false });
    const early = next.ask({ kind: "run", run });
    expect(early).toMatchObject({ kind: "failed", failure: { code: "unavailable" } });
    next.hold = () => false;
    next.release();
    expect([...next.state.durable.runs.keys()]).toEqual([run]);
  });

  test("is not started again once it has ended, however it did", () => {
    const old = leader();
    old.override = (ask) => (ask.kind === "dropRequest" ? { kind: "ok" } : undefined);
    old.submit();
    old.work();
    old.submit("usage", { rerun: true });
    old.cancel(`usage.${day}.r2`);
    expect([...old.memory.requests.keys()]).toEqual([run, `usage.${day}.r2`]);
    loseNats(old.memory);
    const next = successor(old).lead();
    expect(next.state.durable.runs.size).toBe(0);
    expect(next.state.submissions.size).toBe(0);
    expect(next.memory.requests.size).toBe(0);
  });

  test("is started again after the earlier revision of its day, live in the snapshot, is closed", () => {
    const old = withOldSnapshot();
    loseNats(old.memory);
    const next = successor(old);
    next.hold = (ask) => ask.kind === "publish";
    next.lead();
    expect([...next.state.durable.runs.keys()]).toEqual([run]);
    const early = next.ask({ kind: "run", run: `usage.${day}.r2` });
    expect(early).toMatchObject({ kind: "failed", failure: { code: "unavailable" } });
    next.hold = () => false;
    next.release();
    expect(next.run(1)).toMatchObject({ state: "committed" });
    next.attach(1, { incarnation: 2 });
    next.pass(limits.tickEveryMs, [1]);
    next.work();
    expect(next.run(2)).toMatchObject({ runId: `usage.${day}.r2`, state: "committed" });
    expect(next.memory.requests.size).toBe(0);
  });

  test("has its staging folder to itself while it is being restored", () => {
    const old = leader();
    old.submit();
    old.memory.files.set(`staging/${run}/s0-0-old/rejects`, ["left behind"]);
    loseNats(old.memory);
    const next = successor(old);
    next.hold = (ask) => ask.kind === "planJob";
    next.lead();
    next.pass(limits.tickEveryMs);
    expect(next.memory.droppedStaging).toEqual([]);
    next.hold = () => false;
    next.release();
    next.attach(1, { incarnation: 2 });
    next.work();
    expect(next.memory.droppedStaging).toEqual([run]);
  });

  test("has its staging folder and its streams to itself also while an earlier revision is in its way", () => {
    const old = withOldSnapshot();
    const second = `usage.${day}.r2`;
    loseNats(old.memory);
    old.memory.files.set(`staging/${second}/s0-0-old/rejects`, ["may be used again"]);
    const stream = exchangeStreams({
      ...{ cluster: "test", scope: "a form of the second run", exchange: "x0" },
      ...{ generation: 1, groups: 1 },
    })[0];
    old.memory.streams.set(stream ?? "", new Map());
    const next = successor(old);
    next.hold = (ask) => ask.kind === "publish";
    next.lead();
    next.pass(2 * limits.spaceLookEveryMs);
    expect([...next.state.durable.runs.keys()]).toEqual([run]);
    expect(next.memory.droppedStaging).not.toContain(second);
    expect([...next.memory.streams.keys()]).toContain(stream);
  });

  test("keeps its own form of the job, and whoever names the job gets the newest", () => {
    const old = leader();
    const newer = sampleJob({ backlogDays: 9 });
    old.submit();
    old.submit(newer, { day: "2026-01-16" });
    loseNats(old.memory);
    const next = successor(old).lead();
    const { runs, names, jobs } = next.state.durable;
    expect([...runs.keys()]).toEqual([run, "usage.2026-01-16.r1"]);
    expect(runs.get(run)?.jobDigest).toBe(jobDigest(sampleJob()));
    expect(jobs.size).toBe(2);
    expect(names.get("usage")).toBe(jobDigest(newer));
    expect(next.memory.jobs.get("usage")?.spec).toEqual(newer);
  });
});

describe("a promise", () => {
  test("is made after the request is on storage", () => {
    const bench = leader();
    bench.hold = (ask) => ask.kind === "saveRequest";
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toBeUndefined();
    expect(bench.state.durable.runs.size).toBe(0);
    bench.hold = () => false;
    bench.release();
    expect(bench.replyTo(reply)).toMatchObject({ kind: "submitted", run });
    expect(bench.memory.requests.get(run)).toMatchObject({ day, revision: 1 });
  });

  test("that could not be stored is not made, and leaves nothing behind", () => {
    const bench = leader();
    const why = failure("storageFull", "no room");
    bench.override = (ask) => {
      if (ask.kind !== "saveRequest") return undefined;
      bench.memory.requests.set(run, ask.request);
      return { kind: "failed", failure: why };
    };
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toMatchObject({ kind: "failed", failure: why });
    expect(bench.memory.requests.size).toBe(0);
  });

  test("that was stored and never journaled is kept by the next leader", () => {
    const old = leader();
    old.hold = (ask) => ask.kind === "append";
    const reply = old.submit(sampleJob(), { requestId: "mine" });
    expect(old.replyTo(reply)).toBeUndefined();
    const next = successor(old).lead();
    const again = next.submit("usage", { requestId: "mine" });
    expect(next.replyTo(again)).toEqual({ kind: "submitted", run, created: false });
  });
});

describe("a restored run that can't be planned", () => {
  function restoring(code: "unavailable" | "sqlRefused", fails: { count: number }): Bench {
    const old = leader();
    old.submit();
    loseNats(old.memory);
    const next = successor(old);
    next.override = (ask) => {
      if (ask.kind !== "planJob" || fails.count-- <= 0) return undefined;
      return { kind: "failed", failure: failure(code, "no plan") };
    };
    return next.lead();
  }

  test("is tried again while that may help; who asks meanwhile is told", () => {
    const bench = restoring("unavailable", { count: 2 });
    expect(bench.state.submissions.size).toBe(1);
    bench.pass(2 * limits.retryBackoffMsMax);
    expect(bench.run()).toMatchObject({ runId: run });
  });

  test("is not denied meanwhile: who asks for it, or wants it cancelled, is told to ask again", () => {
    const bench = restoring("unavailable", { count: 2 });
    const soon = { kind: "failed", failure: { code: "unavailable", detail: { run } } };
    expect(bench.ask({ kind: "run", run })).toMatchObject(soon);
    expect(bench.cancel(run)).toMatchObject(soon);
    const other = bench.ask({ kind: "run", run: `usage.${day}.r2` });
    expect(other).toMatchObject({ kind: "failed", failure: { code: "unknownRun" } });
  });

  test("is given up when it never will", () => {
    const bench = restoring("sqlRefused", { count: 1 });
    expect(bench.state.submissions.size).toBe(0);
    expect(bench.memory.requests.size).toBe(0);
    const errors = bench.effects.filter((one) => one.kind === "log" && one.level === "error");
    expect(errors).toHaveLength(1);
  });
});

describe("a live run whose form of the job was in the lost part of the journal", () => {
  const second = `usage.${day}.r2`;

  /** A rerun is live under the job's first form, which only the lost head of the journal holds; a newer one is known. */
  function headless(): Bench {
    const old = leader();
    old.submit(sampleJob());
    old.work();
    const lost = old.memory.journalLast;
    old.submit("usage", { rerun: true });
    const newer = sampleJob({ backlogDays: 3 });
    old.submit(newer, { day: "2026-01-16" });
    expect(old.run(2)).toMatchObject({ runId: second, state: "running" });
    old.memory.journal = old.memory.journal.filter(({ sequence }) => sequence > lost);
    old.memory.snapshot = undefined;
    return old;
  }

  test("gets it back from the request on storage; the newest form stays the job's", () => {
    const next = successor(headless()).lead();
    const { names, jobs } = next.state.durable;
    expect(jobs.get(names.get("usage") ?? "")?.backlogDays).toBe(3);
    next.attach(1, { incarnation: 2 });
    next.work();
    expect(next.run(2)).toMatchObject({ runId: second, state: "committed" });
  });

  test("fails and says so where nothing knows it any more", () => {
    const old = headless();
    old.memory.requests.delete(second);
    const next = successor(old).lead();
    next.attach(1, { incarnation: 2 });
    next.work();
    expect(next.run(2)).toMatchObject({ state: "failed", failure: { code: "unknownJob" } });
  });

  test("is checked as the job wants it, when it had come to its checks", () => {
    const old = leader();
    old.submit(sampleJob({ checks: [noNegative] }));
    old.work();
    const lost = old.memory.journalLast;
    old.submit("usage", { day: "2026-01-16" });
    const nextDay = "usage.2026-01-16.r1";
    const state = (bench: Bench) => bench.ask({ kind: "run", run: nextDay });
    for (let tasks = old.takeTasks(); tasks[0]?.work.kind !== "check"; tasks = old.takeTasks()) {
      expect(tasks).not.toEqual([]);
      for (const task of tasks) old.finish(task);
    }
    expect(state(old)).toMatchObject({ run: { state: "checking" } });
    old.memory.journal = old.memory.journal.filter(({ sequence }) => sequence > lost);
    old.memory.snapshot = undefined;
    const next = successor(old).lead();
    next.attach(1, { incarnation: 2 });
    next.work();
    expect(state(next)).toMatchObject({ run: { state: "committed" } });
    expect(next.memory.manifests.get(nextDay)?.checks).toEqual([
      expect.objectContaining({ value: "0", passed: true }),
    ]);
  });
});
