/** One coordinator with alerts configured, driven message by message: what it has open, and what its channels were told. */
import type { Answer } from "../../../coordinator/core/protocol.ts";
import type { AlertConfig, AlertStatus, Notice } from "../../../shared/kernel/alert.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import { sampleJob } from "../../sim/sample-job.ts";
import { Bench } from "../bench.ts";

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;
export const midnight = Date.parse("2026-01-18T00:00:00Z");

/** As a file of alerts gives it that says nothing but its channels: everything goes to the chat, what is critical to the pager as well. */
export function alertConfig(changes: Partial<AlertConfig> = {}): AlertConfig {
  return {
    channels: [
      { name: "chat", kind: "slack" },
      { name: "pager", kind: "pagerduty" },
    ],
    routes: [
      { severities: ["critical"], jobs: [], rules: [], channels: ["pager"], goOn: true },
      { severities: [], jobs: [], rules: [], channels: ["chat"], goOn: false },
    ],
    groupWaitMs: 30_000,
    groupIntervalMs: 5 * minuteMs,
    repeatMs: { critical: 4 * hourMs, warning: dayMs, info: 0 },
    rules: {},
    thresholds: {
      baselineRuns: 14,
      baselineRunsMin: 7,
      slowFactor: 1.5,
      slowFloorMs: 10 * minuteMs,
      trendFactor: 1.25,
      trendFloorMs: 5 * minuteMs,
      throughputShare: 0.7,
      volumeLow: 0.6,
      volumeHigh: 1.5,
      rejectsShare: 0.001,
      executorsMin: 1,
      backlogDays: 3,
      fullShare: 0.85,
      notStartedAfterMs: 30 * minuteMs,
    },
    ...changes,
  };
}

/** A daily job at 01:00 UTC that catches up two days. */
export function daily(changes: Partial<JobSpec> = {}): JobSpec {
  return sampleJob({ schedule: "0 1 * * *", backlogDays: 2, workAhead: false, ...changes });
}

/** A leader at 00:59 of 18 January with one executor, and what it knows of the job. */
export function atNight(bench: Bench, job: JobSpec | "no job" = daily()): Bench {
  bench.wallFrom = midnight + hourMs - minuteMs;
  bench.lead();
  bench.attach(1, { slots: 8 });
  if (job !== "no job") bench.register(job);
  return bench;
}

export function withAlerts(changes: Partial<AlertConfig> = {}): Bench {
  return new Bench(undefined, "c1", alertConfig(changes));
}

/** The clock on the wall goes on by so much while the leader lives through a few looks. */
export function later(bench: Bench, ms: number, beating: readonly number[] = [1]): void {
  bench.wallFrom += ms - 10_000;
  bench.live(10_000, beating);
}

export function openAlerts(bench: Bench): readonly AlertStatus[] {
  return alertsOf(bench, "open");
}

export function alertsOf(bench: Bench, which: "open" | "history"): readonly AlertStatus[] {
  const reply = bench.ask({ kind: "alerts", which, job: "" });
  if (reply?.kind !== "alerts") throw new Error(JSON.stringify(reply));
  return reply.alerts.alerts;
}

/** `critical runFailed/usage/2026-01-16/`, and why nobody is told where that is so. */
export function keys(bench: Bench): string[] {
  return openAlerts(bench).map(
    ({ severity, key, state }) => `${severity} ${key}${state === "open" ? "" : ` (${state})`}`,
  );
}

/** `summary | cause | next` of an open alert. */
export function textOf(bench: Bench, rule: string): string {
  const found = openAlerts(bench).find((one) => one.rule === rule);
  return found === undefined ? "none" : [found.summary, found.cause, found.next].join(" | ");
}

/** `chat opened usage: runFailed/usage/2026-01-16/`; a `-` stands before what has ended. */
export function lineOf({ channel, kind, group, alerts, omitted }: Notice): string {
  const told = alerts.map(({ key, endedMs }) => `${endedMs === undefined ? "" : "-"}${key}`);
  const more = omitted === 0 ? "" : ` and ${omitted} more`;
  return `${channel} ${kind} ${group}: ${told.join(", ")}${more}`;
}

/** What channels took since the last call. */
export function taken(bench: Bench): string[] {
  return bench.memory.taken.splice(0).map(lineOf);
}

/** A receiver that is not there. */
export const away = (retryAfterMs?: number): Answer => ({
  kind: "failed",
  failure: {
    code: "unavailable",
    message: "hooks.example answers 503",
    ...(retryAfterMs === undefined ? {} : { detail: { retryAfterMs } }),
  },
});

/** Counts what is sent to channels, taken or not, and gives these answers to some. */
export function sends(bench: Bench, answer: (notice: Notice) => Answer | undefined): Notice[] {
  const sent: Notice[] = [];
  bench.memory.take = (notice) => {
    sent.push(notice);
    return answer(notice) ?? { kind: "ok" };
  };
  return sent;
}
