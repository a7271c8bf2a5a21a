// What is measured, as values: a leader's figures after things that happen to it, a standby's, and how many there may be.
import { describe, expect, test } from "vitest";
import { jobSamples } from "../../../coordinator/core/metrics/job-samples.ts";
import { initialState } from "../../../coordinator/core/state.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { sampleJob } from "../../sim/sample-job.ts";
import { atNight, daily, keys, minuteMs, withAlerts } from "../alerts/story.ts";
import { Bench } from "../bench.ts";
import { counted, figures, metricsAt } from "./figures.ts";

const nightMs = Date.parse("2026-01-18T00:59:00Z");

/** A leader with two executors of two slots and a run of four scans, which have begun. */
function running(): Bench {
  const bench = new Bench();
  bench.lead();
  bench.attach(1);
  bench.attach(2);
  bench.submit();
  return bench;
}

describe("a coordinator that does not lead", () => {
  test("tells that, what it is and what it uses, and nothing that only a leader knows", () => {
    const bench = new Bench();
    bench.post({ kind: "leaderHeard", epoch: 7, coordinator: "c2", address: "c2:1", beat: 1 });
    const told = metricsAt(bench).map(({ name, samples }) => [name, samples]);
    expect(Object.fromEntries(told)).toEqual({
      daymill_build_info: [{ labels: { version: "1.2.3", duckdb: "v1" }, value: 1 }],
      daymill_leader: [{ labels: {}, value: 0 }],
      daymill_epoch: [{ labels: {}, value: 7 }],
      process_start_time_seconds: [{ labels: {}, value: 5 }],
      process_cpu_seconds_total: [{ labels: {}, value: 2.5 }],
      process_resident_memory_bytes: [{ labels: {}, value: 100 }],
      process_heap_used_bytes: [{ labels: {}, value: 60 }],
      process_event_loop_busy_seconds_total: [{ labels: {}, value: 3 }],
    });
  });

  test("a leader that stood still for too long says so before it has noticed", () => {
    const bench = new Bench().lead();
    expect([figures(bench, "daymill_leader"), figures(bench, "daymill_epoch")]).toEqual([1, 1]);
    bench.at += limits.stepDownAfterMs + limits.renewEveryMs;
    expect(figures(bench, "daymill_leader")).toBe(0);
    expect(figures(bench, "daymill_executors")).toEqual({});
  });

  test("one that led counts anew when it leads again", () => {
    const bench = running();
    bench.work();
    expect(figures(bench, "daymill_attempts_won_total")).toBe(6);
    bench.post({ kind: "leaderHeard", epoch: 9, coordinator: "c2", address: "c2:1", beat: 1 });
    expect(figures(bench, "daymill_attempts_won_total")).toEqual({});
    bench.lead();
    expect(figures(bench, "daymill_epoch")).toBe(10);
    expect(figures(bench, "daymill_attempts_won_total")).toBe(0);
    expect(counted(bench, "daymill_runs_ended_total")).toEqual({});
    expect(counted(bench, "daymill_newest_day_timestamp_seconds")).toEqual({
      "job_name=usage": Date.parse("2026-01-15T00:00:00Z") / 1_000,
    });
  });
});

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
});

describe("the journal", () => {
  test("what is decided and not saved is told as that", () => {
    const bench = new Bench();
    bench.lead();
    const told = () =>
      ["sequence", "records", "unsaved_facts"].map((of) => figures(bench, `daymill_journal_${of}`));
    expect(told()).toEqual([1, 1, 0]);
    bench.hold = ({ kind }) => kind === "append";
    bench.submit();
    expect(told()).toEqual([1, 1, 2]);
    bench.hold = () => false;
    bench.release();
    expect(told()).toEqual([3, 3, 0]);
  });

  test("a snapshot is told of with its time, and the journal is short again", () => {
    const bench = new Bench();
    bench.wallFrom = nightMs;
    bench.lead();
    expect(figures(bench, "daymill_journal_snapshot_timestamp_seconds")).toEqual({});
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    bench.submit();
    expect(figures(bench, "daymill_journal_snapshot_timestamp_seconds")).toBe(
      (nightMs + bench.at) / 1_000,
    );
    expect(figures(bench, "daymill_journal_records")).toBe(1);
  });
});

describe("days", () => {
  /** Of runs that took as long as each other, the first that was committed. */
  function usual(bench: Bench) {
    const reply = bench.ask({ kind: "runs", job: "usage", limit: 10 });
    if (reply?.kind !== "runs") throw new Error(JSON.stringify(reply));
    const [run] = reply.runs.filter(({ state }) => state === "committed");
    if (run === undefined) throw new Error("no run was committed");
    return run;
  }

  test("by state they are those that people are shown as the backlog", () => {
    const bench = new Bench();
    bench.memory.lookedAt.set("ipdr|2026-01-15", []);
    atNight(bench);
    bench.live(40_000);
    bench.say({ kind: "pauseBacklog", job: "usage", paused: true, reason: "new disks" });
    const { days, toDo, catchUpMs } = bench.backlog();
    const shown: Record<string, number> = {};
    for (const { state } of days) {
      shown[`job_name=usage,state=${state}`] = (shown[`job_name=usage,state=${state}`] ?? 0) + 1;
    }
    expect(counted(bench, "daymill_days")).toEqual(shown);
    expect(shown).toMatchObject({
      "job_name=usage,state=done": 2,
      "job_name=usage,state=missing input": 1,
      "job_name=usage,state=waiting": 2,
    });
    expect(Object.keys(figures(bench, "daymill_days"))).toHaveLength(10);
    expect(figures(bench, "daymill_backlog_days")).toEqual({ "job_name=usage": toDo });
    expect(figures(bench, "daymill_backlog_catch_up_seconds")).toEqual({
      "job_name=usage": catchUpMs / 1_000,
    });
    expect(figures(bench, "daymill_backlog_paused")).toEqual({ "job_name=usage": 1 });
    expect(figures(bench, "daymill_newest_day_timestamp_seconds")).toEqual({
      "job_name=usage": Date.parse("2026-01-16T00:00:00Z") / 1_000,
    });
  });

  test("days that are being made count as to do, with the time that they will take", () => {
    const bench = new Bench();
    atNight(bench, daily({ backlogDays: 4 }));
    bench.pass(5_000, [1]);
    expect(counted(bench, "daymill_days")).toMatchObject({
      "job_name=usage,state=running": 3,
      "job_name=usage,state=ready": 2,
    });
    expect(figures(bench, "daymill_backlog_days")).toEqual({ "job_name=usage": 5 });
    expect(counted(bench, "daymill_backlog_catch_up_seconds")).toEqual({});
    bench.work();
    bench.pass(2_000, [1]);
    expect(figures(bench, "daymill_backlog_days")).toEqual({ "job_name=usage": 2 });
    const { endedMs, createdMs } = usual(bench);
    expect(figures(bench, "daymill_backlog_catch_up_seconds")).toEqual({
      "job_name=usage": (2 * (endedMs - createdMs)) / 1_000,
    });
    expect(endedMs - createdMs).toBeGreaterThan(1_000);
  });

  test("a job without a schedule has no days that are acted on", () => {
    const bench = running();
    bench.work();
    bench.pass(2_000, [1, 2]);
    expect(figures(bench, "daymill_days")).toEqual({});
    expect(figures(bench, "daymill_backlog_days")).toEqual({});
  });
});

describe("alerts and channels", () => {
  const breaker = (bench: Bench, target: string) =>
    Object.keys(counted(bench, "daymill_alert_breaker_state")).filter((labels) =>
      labels.startsWith(`target=${target},`),
    );

  test("the breaker's state is the one that the shell tells of, one of four", () => {
    const bench = atNight(withAlerts(), "no job");
    expect(breaker(bench, "chat")).toEqual(["target=chat,state=unknown"]);
    const states = ["resting", "probing", "working"] as const;
    const told = states.map((state) => {
      bench.post({ kind: "channelChanged", channel: "chat", state, reason: "hooks answers 503" });
      return breaker(bench, "chat");
    });
    expect(told).toEqual([
      ["target=chat,state=open"],
      ["target=chat,state=halfOpen"],
      ["target=chat,state=closed"],
    ]);
    expect(breaker(bench, "pager")).toEqual(["target=pager,state=unknown"]);
    expect(Object.keys(figures(bench, "daymill_alert_breaker_state"))).toHaveLength(8);
  });

  test("open alerts by severity, what waits for a channel, and tries that failed", () => {
    const bench = withAlerts();
    const tries: string[] = [];
    bench.memory.take = ({ channel }) => {
      tries.push(channel);
      if (channel === "pager") return { kind: "ok" };
      return { kind: "failed", failure: { code: "unavailable", message: "hooks answers 503" } };
    };
    atNight(bench, "no job");
    // Its only executor is silent: that is told, and then that the chat takes nothing.
    bench.pass(3 * minuteMs);
    expect(keys(bench)).toEqual(["critical executorsFew///", "critical channelFailing///chat"]);
    expect(counted(bench, "daymill_alerts_open")).toEqual({ "severity=critical": 2 });
    const of = (channel: string) => tries.filter((one) => one === channel).length;
    // Two things to say to the pager, five minutes apart.
    expect([of("pager"), of("chat") >= limits.channelFailuresMin]).toEqual([1, true]);
    const failed = { "target=chat": of("chat") };
    expect(counted(bench, "daymill_alert_consecutive_failures")).toEqual(failed);
    expect(counted(bench, "daymill_alert_failures_total")).toEqual(failed);
    expect(figures(bench, "daymill_alert_tries_total")).toEqual({ ...failed, "target=pager": 1 });
    expect(counted(bench, "daymill_alert_messages_waiting")).toEqual({ "target=chat": 1 });
    bench.alert({ kind: "test", channel: "pager" });
    expect(figures(bench, "daymill_alert_tries_total")).toEqual({ ...failed, "target=pager": 2 });
  });

  test("where nobody is told of anything there is nothing to tell", () => {
    const bench = new Bench().lead();
    expect(figures(bench, "daymill_alert_breaker_state")).toEqual({});
    expect(counted(bench, "daymill_alerts_open")).toEqual({});
  });
});

describe("how many series there are", () => {
  test("jobs beyond the bound are no labels, and are counted", () => {
    const bench = new Bench().lead();
    const digest = "d";
    bench.state.durable.jobs.set(digest, sampleJob());
    for (let n = 0; n < limits.metricJobsMax + 3; n++) {
      bench.state.durable.names.set(`job-${n}`, digest);
    }
    const { daymill_tasks, daymill_jobs_omitted } = jobSamples(bench.state);
    expect(daymill_jobs_omitted).toBe(3);
    expect(new Set(daymill_tasks.map(([labels]) => labels.job_name)).size).toBe(
      limits.metricJobsMax,
    );
  });

  test("no label names a run, a day, an executor, a file or an address", () => {
    const bench = withAlerts();
    atNight(bench, daily());
    bench.live(3 * minuteMs);
    bench.attach(2, { executor: "secret-host-7" });
    const samples = metricsAt(bench).flatMap((metric) => metric.samples);
    const names = new Set(samples.flatMap(({ labels }) => Object.keys(labels)));
    expect([...names].sort()).toEqual([
      ...["code", "duckdb", "job_name", "lane", "severity", "state", "target", "version"],
    ]);
    // A server that scrapes has these for its targets, and would name ours anew.
    expect(["job", "instance"].filter((name) => names.has(name))).toEqual([]);
    const values = new Set(samples.flatMap(({ labels }) => Object.values(labels)));
    expect([...values].filter((value) => /2026|secret|csv|:/.test(value))).toEqual([]);
    expect(samples.every(({ value }) => Number.isFinite(value))).toBe(true);
  });

  test("every sample has the labels that are declared, and no two are the same", () => {
    const bench = withAlerts();
    atNight(bench, daily());
    bench.live(minuteMs);
    for (const { name, labels, samples } of metricsAt(bench)) {
      const keys = samples.map((sample) => JSON.stringify(sample.labels));
      expect(new Set(keys).size, name).toBe(keys.length);
      for (const sample of samples) expect(Object.keys(sample.labels), name).toEqual(labels);
    }
  });
});

test("a coordinator that has just been started has all to tell that a standby has", () => {
  const config = { coordinator: "c1", address: "c1:1", cluster: "test", duckdb: "v1" };
  const bench = Object.assign(new Bench(), { state: initialState(config) });
  expect(figures(bench, "daymill_epoch")).toBe(0);
  expect(metricsAt(bench)).toHaveLength(8);
});
