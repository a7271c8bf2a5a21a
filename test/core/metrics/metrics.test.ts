// Who tells what: a leader, a standby, one that stood still; the journal's figures; and how many series there may be.
import { describe, expect, test } from "vitest";
import { jobSamples } from "../../../coordinator/core/metrics/job-samples.ts";
import { initialState } from "../../../coordinator/core/state.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { sampleJob } from "../../sim/sample-job.ts";
import { atNight, daily, minuteMs, withAlerts } from "../alerts/story.ts";
import { Bench } from "../bench.ts";
import { counted, figures, metricsAt, running } from "./figures.ts";

const nightMs = Date.parse("2026-01-18T00:59:00Z");

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

describe("how many series there are", () => {
  test("jobs beyond the bound, those that came last, are no labels, and are counted", () => {
    const bench = new Bench().lead();
    const digest = "d";
    bench.state.durable.jobs.set(digest, sampleJob());
    for (let n = 0; n < limits.metricJobsMax + 3; n++) {
      bench.state.durable.names.set(`job-${n}`, digest);
    }
    const { daymill_tasks, daymill_jobs_omitted } = jobSamples(bench.state);
    expect(daymill_jobs_omitted).toBe(3);
    const first = Array.from({ length: limits.metricJobsMax }, (_, n) => `job-${n}`);
    expect([...new Set(daymill_tasks.map(([labels]) => labels.job_name))]).toEqual(first);
  });

  test("no label names a run, a day, an executor, a file or an address", () => {
    const bench = withAlerts();
    atNight(bench, daily());
    bench.live(3 * minuteMs);
    bench.attach(2, { executor: "secret-host-7" });
    const samples = metricsAt(bench).flatMap((metric) => metric.samples);
    const names = new Set(samples.flatMap(({ labels }) => Object.keys(labels)));
    // Nor is one called job or instance: a server that scrapes has these for its targets, and would name ours anew.
    expect([...names].sort()).toEqual([
      ...["code", "duckdb", "job_name", "lane", "severity", "state", "target", "version"],
    ]);
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
