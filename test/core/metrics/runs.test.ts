// Figures of runs, tasks, executors and room after things that happen to a leader.
import { describe, expect, test } from "vitest";
import { encodeSnapshot } from "../../../coordinator/core/snapshot.ts";
import { must } from "../../../shared/kernel/assert.ts";
import { failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { carryOut } from "../../sim/executor-model.ts";
import { noNegative, sampleFiles, sampleJob } from "../../sim/sample-job.ts";
import { Bench, day } from "../bench.ts";
import { begun } from "../salvage-story.ts";
import { counted, figures, running } from "./figures.ts";

const nightMs = Date.parse("2026-01-18T00:59:00Z");

describe("runs, tasks and executors", () => {
  test("a run that has begun: what waits, runs and is done, and where", () => {
    const bench = running();
    const [first] = bench.takeTasks();
    if (first !== undefined) bench.finish(first);
    expect(counted(bench, "daymill_runs")).toEqual({ "lane=live,state=running": 1 });
    expect(figures(bench, "daymill_tasks")).toEqual({
      "job_name=usage,state=waiting": 2,
      "job_name=usage,state=running": 3,
      "job_name=usage,state=done": 1,
    });
    expect(figures(bench, "daymill_executors")).toEqual({
      "state=ready": 2,
      "state=draining": 0,
      "state=excluded": 0,
      "state=lost": 0,
    });
    expect(counted(bench, "daymill_slots")).toEqual({ "state=busy": 3, "state=free": 1 });
    expect(figures(bench, "daymill_attempts_started_total")).toBe(4);
    expect(figures(bench, "daymill_attempts_won_total")).toBe(1);
  });

  test("idle slots of an executor that gets no work are not free, and nobody counts on those of a lost one", () => {
    const bench = new Bench();
    bench.lead();
    for (const connection of [1, 2, 3]) bench.attach(connection);
    bench.post({ kind: "draining", connection: 2, reason: "it leaves" });
    bench.pass(limits.executorLostMs + 1_000, [1, 2]);
    expect(counted(bench, "daymill_executors")).toEqual({
      "state=ready": 1,
      "state=draining": 1,
      "state=lost": 1,
    });
    expect(counted(bench, "daymill_slots")).toEqual({ "state=free": 2, "state=draining": 2 });
  });

  test("a run that was committed is counted with what it read and sent, and leaves no task", () => {
    const bench = running();
    bench.wallFrom = nightMs;
    bench.work();
    const name = (what: string) => counted(bench, `daymill_${what}`);
    expect(name("runs_ended_total")).toEqual({ "job_name=usage,state=committed": 1 });
    expect(name("runs")).toEqual({});
    expect(name("tasks")).toEqual({});
    const run = bench.run();
    expect(run.rowsIn).toBe(40);
    expect(name("records_read_total")).toEqual({ "job_name=usage": run.rowsIn });
    expect(name("input_read_bytes_total")).toEqual({ "job_name=usage": run.bytesIn });
    expect(name("exchange_sent_bytes_total")).toEqual({ "job_name=usage": run.exchangeBytes });
    expect(name("last_commit_timestamp_seconds")).toEqual({
      "job_name=usage": (nightMs + bench.at) / 1_000,
    });
  });

  test("a run that fails is counted, and so is each attempt by what went wrong with it", () => {
    const bench = running();
    for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
      for (const task of tasks) bench.fail(task, { code: "inputTruncated", message: "cut short" });
    }
    bench.pass(1_000, [1, 2]);
    expect(counted(bench, "daymill_runs_ended_total")).toEqual({
      "job_name=usage,state=failed": 1,
    });
    expect(counted(bench, "daymill_attempts_failed_total")).toEqual({ "code=inputTruncated": 1 });
    expect(counted(bench, "daymill_records_read_total")).toEqual({});
  });

  test("a report that comes twice is one winner, and its records are read once", () => {
    const bench = running();
    const [task] = bench.takeTasks();
    if (task === undefined) throw new Error("no task was sent");
    bench.finish(task);
    bench.finish(task);
    expect(figures(bench, "daymill_attempts_won_total")).toBe(1);
    expect(counted(bench, "daymill_records_read_total")).toEqual({ "job_name=usage": 10 });
  });

  test("what was asked for and does not exist yet is queued", () => {
    const bench = new Bench();
    bench.lead();
    bench.hold = ({ kind }) => kind === "planJob";
    bench.submit();
    expect(figures(bench, "daymill_runs_queued")).toBe(1);
    bench.hold = () => false;
    bench.release();
    expect(figures(bench, "daymill_runs_queued")).toBe(0);
    expect(counted(bench, "daymill_runs")).toEqual({ "lane=live,state=running": 1 });
  });

  test("runs are counted by how they ended, and are in their lane until then", () => {
    const bench = running();
    const doubted = { ...noNegative, expect: 7, severity: "quarantine" } as const;
    bench.submit(sampleJob({ checks: [doubted] }), { day: "2026-01-16", lane: "backlog" });
    expect(counted(bench, "daymill_runs")).toEqual({
      "lane=live,state=running": 1,
      "lane=backlog,state=running": 1,
    });
    bench.cancel(`usage.${day}.r1`);
    bench.work();
    expect(counted(bench, "daymill_runs")).toEqual({});
    expect(counted(bench, "daymill_runs_ended_total")).toEqual({
      "job_name=usage,state=quarantined": 1,
      "job_name=usage,state=cancelled": 1,
    });
  });

  test("what scans reject is rejected, what any stage sends is sent", () => {
    const bench = running();
    const [task] = bench.takeTasks();
    const scan = must(task, "a scan was sent");
    const done = carryOut(bench.memory, scan.work, scan.delivery);
    if (done.kind === "failed") throw new Error(done.failure.message);
    const accounts = done.accounts.map((one) => ({ ...one, lines: one.lines + 2, rejects: 2 }));
    bench.report(scan, { ...done, accounts });
    expect(counted(bench, "daymill_records_rejected_total")).toEqual({ "job_name=usage": 2 });
    // A byte of each of the four scans, and of the two tasks between the models.
    const chained = begun();
    chained.work();
    expect(counted(chained, "daymill_exchange_sent_bytes_total")).toEqual({ "job_name=usage": 6 });
  });

  test("the newest day and the last commit need not be the day that was opened last", () => {
    const bench = running();
    bench.work();
    bench.submit(sampleJob(), { day: "2026-01-14" });
    bench.work();
    bench.pass(5_000, [1, 2]);
    bench.submit(sampleJob(), { rerun: true });
    bench.work();
    const at = { "job_name=usage": (bench.wallFrom + bench.at) / 1_000 };
    expect(counted(bench, "daymill_last_commit_timestamp_seconds")).toEqual(at);
    const newest = { "job_name=usage": Date.parse(`${day}T00:00:00Z`) / 1_000 };
    expect(counted(bench, "daymill_newest_day_timestamp_seconds")).toEqual(newest);
  });

  test("a run that a lost journal had promised is queued: while it is planned, and while it waits for the day's last one", () => {
    const old = running();
    const texts = encodeSnapshot(old.state.durable);
    old.memory.snapshot = { sequence: old.state.journal.sequence, texts };
    old.work();
    old.submit("usage", { rerun: true });
    old.memory.loseJournal();
    old.memory.epochs.clear();
    const next = new Bench(old.memory, "c2");
    next.at = old.at;
    const told = () => [figures(next, "daymill_runs_queued"), counted(next, "daymill_runs")];
    next.hold = ({ kind }) => kind === "publish";
    next.lead();
    // The snapshot shows the first one live: it is being closed.
    expect(told()).toEqual([1, { "lane=live,state=running": 1 }]);
    next.hold = ({ kind }) => kind === "planJob";
    next.release();
    expect(told()).toEqual([1, {}]);
    next.hold = () => false;
    next.release();
    next.pass(1_000);
    expect(told()).toEqual([0, { "lane=live,state=running": 1 }]);
  });
});

describe("slots", () => {
  test("of an executor that is excluded get no work; one runs no more attempts than it has", () => {
    const bench = new Bench().lead();
    for (const connection of [1, 2, 3]) bench.attach(connection);
    bench.memory.inputs = sampleFiles(200);
    const execution = { partitions: 4, groups: 2, splitBytes: 100, maxAttempts: 4 };
    bench.submit(sampleJob({ execution }));
    for (let round = 0; round < 6; round++) {
      for (const task of bench.takeTasks()) {
        if (task.connection === 1)
          bench.fail(task, failure("storageFailed", "it can't be written"));
        else bench.finish(task);
      }
    }
    expect(counted(bench, "daymill_executors")).toEqual({ "state=ready": 2, "state=excluded": 1 });
    expect(counted(bench, "daymill_slots")).toEqual({ "state=busy": 4, "state=excluded": 2 });
    bench.attach(4, { slots: 1, runningAttempts: ["a", "b", "c"] });
    expect(counted(bench, "daymill_slots")).toEqual({ "state=busy": 5, "state=excluded": 2 });
  });
});

describe("room", () => {
  test("in the exchange and on storage, as the last look found it; runs that wait for some", () => {
    const bench = running();
    const names = ["exchange_needed_bytes", "storage_used_bytes", "storage_size_bytes"];
    const told = () => names.map((name) => figures(bench, `daymill_${name}`));
    expect(told()).toEqual([0, {}, {}]);
    bench.memory.room = { usedBytes: 90, totalBytes: 100 };
    for (const name of bench.memory.streams.keys()) bench.memory.streamBytes.set(name, 1_000);
    bench.pass(limits.spaceLookEveryMs, [1, 2]);
    expect(told()).toEqual([2_000, 90, 100]);
    expect(figures(bench, "daymill_exchange_budget_bytes")).toBe(limits.exchangeBytesBudget);
    expect(figures(bench, "daymill_runs_waiting")).toBe(0);
    const [task] = bench.takeTasks();
    bench.fail(must(task, "a scan"), failure("exchangeFull", "no room on the server"));
    expect(figures(bench, "daymill_runs_waiting")).toBe(1);
  });
});
