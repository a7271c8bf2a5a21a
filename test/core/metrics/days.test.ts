// Figures of days, alerts and channels: those that people are shown in other places.
import { describe, expect, test } from "vitest";
import { limits } from "../../../shared/kernel/limits.ts";
import { atNight, daily, keys, minuteMs, withAlerts } from "../alerts/story.ts";
import { Bench } from "../bench.ts";
import { counted, figures, running } from "./figures.ts";

/** Of runs that took as long as each other, the first that was committed. */
function usual(bench: Bench) {
  const reply = bench.ask({ kind: "runs", job: "usage", limit: 10 });
  if (reply?.kind !== "runs") throw new Error(JSON.stringify(reply));
  const [run] = reply.runs.filter(({ state }) => state === "committed");
  if (run === undefined) throw new Error("no run was committed");
  return run;
}

describe("days", () => {
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

  test("those whose input is still to be looked at are to do", () => {
    const bench = new Bench();
    bench.hold = ({ kind }) => kind === "lookAtDay";
    atNight(bench);
    bench.pass(5_000, [1]);
    expect(counted(bench, "daymill_days")).toEqual({ "job_name=usage,state=waiting": 5 });
    // The two that begin later are not.
    expect(figures(bench, "daymill_backlog_days")).toEqual({ "job_name=usage": 3 });
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
