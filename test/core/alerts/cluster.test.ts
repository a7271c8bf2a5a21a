// Rules about the cluster, and what a dead one does not also say.
import { describe, expect, test } from "vitest";
import { limits } from "../../../shared/kernel/limits.ts";
import { Bench } from "../bench.ts";
import {
  alertConfig,
  atNight,
  daily,
  keys,
  later,
  minuteMs,
  taken,
  textOf,
  withAlerts,
} from "./story.ts";

/** Two executors have gone silent at night, and the day's deadline has passed since. */
function withNobodyLeft(): Bench {
  const bench = withAlerts();
  bench.memory.finishAfterMs = 2 * minuteMs;
  atNight(bench, daily({ finishBy: "01:02" }));
  bench.attach(2);
  bench.pass(1_000, [1, 2]);
  bench.pass(5 * minuteMs);
  expect(keys(bench)).toEqual(["critical executorsFew///"]);
  return bench;
}

describe("executors", () => {
  test("one is lost: a warning until it comes back", () => {
    const bench = atNight(withAlerts());
    bench.attach(2);
    bench.pass(1_000, [1, 2]);
    bench.live(15_000);
    expect(keys(bench)).toEqual(["warning executorLost///e2"]);
    expect(textOf(bench, "executorLost")).toBe(
      "executor e2 is lost: nothing was heard of it for 5 s | its process on h has died or hangs, or can't be reached; " +
        "what it ran runs elsewhere | daymill executors",
    );
    bench.attach(3, { executor: "e2", incarnation: 2 });
    bench.live(70_000, [1, 3]);
    expect(keys(bench)).toEqual([]);
  });

  test("none is left: one alert for all of it, and what follows from it is not told", () => {
    const bench = withNobodyLeft();
    expect(textOf(bench, "executorsFew")).toBe(
      "0 executors are ready, at least 1 have to be | not ready: e1, e2 | daymill executors",
    );
    expect([...bench.state.alerts.found.keys()].sort()).toEqual([
      "deadlineMissed/usage/2026-01-17/",
      "executorLost///e1",
      "executorLost///e2",
      "executorsFew///",
    ]);
    // They come back, and the day is late all the same: now that is told.
    bench.attach(4, { executor: "e1", incarnation: 2, slots: 1 });
    bench.attach(5, { executor: "e2", incarnation: 2, slots: 1 });
    bench.pass(2 * minuteMs, [4, 5]);
    expect(keys(bench)).toEqual(["critical deadlineMissed/usage/2026-01-17/"]);
  });

  test("none is left, and the leader goes as well: the next one, which can't judge yet, tells no more than the last", () => {
    const bench = withNobodyLeft();
    taken(bench);
    const next = new Bench(bench.memory, "c2", alertConfig());
    next.wallFrom = bench.wallFrom + bench.at;
    next.lead();
    next.pass(10_000);
    expect([...next.state.alerts.found.keys()]).toContain("deadlineMissed/usage/2026-01-17/");
    expect(keys(next)).toEqual(["critical executorsFew///", "warning leaderChanged///"]);
    next.pass(3 * minuteMs);
    expect(keys(next)).toEqual(["critical executorsFew///", "warning leaderChanged///"]);
    expect(taken(next).join()).not.toContain("usage");
  });

  test("all go and one comes back now and then: what follows from it is told no sooner than it is over", () => {
    const bench = withAlerts();
    bench.memory.finishAfterMs = 2 * minuteMs;
    atNight(bench, daily({ finishBy: "01:02" }));
    bench.pass(5 * minuteMs);
    for (let round = 0; round < 6; round++) {
      bench.attach(10 + round, { executor: "e1", incarnation: 2 + round, slots: 1 });
      bench.pass(20_000, [10 + round]);
      bench.pass(20_000);
    }
    expect([...bench.state.alerts.found.keys()]).toContain("deadlineMissed/usage/2026-01-17/");
    expect(keys(bench)).toEqual(["critical executorsFew///"]);
    expect(taken(bench).join()).not.toContain("usage");
  });

  test("a new leader waits for them before it says that they are few", () => {
    const bench = atNight(withAlerts());
    bench.live(20_000);
    const next = new Bench(bench.memory, "c2", alertConfig());
    next.wallFrom = bench.wallFrom + bench.at;
    next.lead();
    next.pass(10_000);
    expect(keys(next)).toEqual(["warning leaderChanged///"]);
    next.attach(1, { slots: 8 });
    next.live(minuteMs);
    expect(keys(next)).toEqual(["warning leaderChanged///"]);
    expect(textOf(next, "leaderChanged")).toMatch(/^coordinator c2 leads now \(epoch 2\) \| /);
    later(next, 10 * minuteMs);
    next.live(70_000);
    expect(keys(next)).toEqual([]);
  });

  test("one that was lost under the last leader is over when it dials in, or when nobody would show it any more", () => {
    const bench = atNight(withAlerts());
    for (const connection of [2, 3]) bench.attach(connection);
    bench.pass(1_000, [1, 2, 3]);
    bench.live(15_000);
    const next = new Bench(bench.memory, "c2", alertConfig());
    next.wallFrom = bench.wallFrom + bench.at;
    next.lead();
    next.attach(1, { slots: 8 });
    next.attach(4, { executor: "e2", incarnation: 2 });
    next.live(3 * minuteMs, [1, 4]);
    const lost = () => keys(next).filter((key) => key.includes("executorLost"));
    expect(lost()).toEqual(["warning executorLost///e3"]);
    later(next, 10 * minuteMs, [1, 4]);
    next.live(70_000, [1, 4]);
    expect(lost()).toEqual([]);
  });
});

describe("room", () => {
  test("in the exchange: what live runs hold, not what is kept for later", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.submit();
    const tasks = bench.takeTasks();
    const [stream = ""] = [...bench.memory.streams.keys()];
    const share = (part: number) => {
      bench.memory.streamBytes.set(stream, part * limits.exchangeBytesBudget);
      bench.pass(limits.spaceLookEveryMs + limits.alertsEveryMs, [1]);
    };
    share(0.8);
    expect(keys(bench)).toEqual([]);
    share(0.9);
    expect(keys(bench)).toEqual(["warning exchangeNearLimit///"]);
    expect(textOf(bench, "exchangeNearLimit")).toBe(
      "live runs hold 90 % of the exchange's room | 46080 MiB of 51200 MiB can't be evicted | daymill runs",
    );
    share(1.1);
    expect(keys(bench)).toEqual(["critical exchangeNearLimit///"]);
    // The same bytes as kept outputs of a day that is done are room.
    share(0.9);
    for (const task of tasks) bench.finish(task);
    bench.live(2 * minuteMs);
    expect(keys(bench)).toEqual([]);
  });

  test("on the storage", () => {
    const bench = atNight(withAlerts(), "no job");
    const GiB = 1024 ** 3;
    bench.memory.room = { usedBytes: 90 * GiB, totalBytes: 100 * GiB };
    bench.pass(20_000, [1]);
    expect(keys(bench)).toEqual(["warning storageNearLimit///"]);
    expect(textOf(bench, "storageNearLimit")).toBe(
      "the storage is nearly full | 90 % of it is used, 10240 MiB are left | daymill doctor",
    );
    bench.override = (ask) =>
      ask.kind === "arrange"
        ? { kind: "failed", failure: { code: "storageFull", message: "no space left" } }
        : undefined;
    bench.submit();
    bench.live(10_000);
    expect(keys(bench)).toEqual(["critical storageNearLimit///"]);
    expect(textOf(bench, "storageNearLimit")).toContain(
      "the storage is full: runs wait | run usage.2026-01-15.r1 waiting: no space left",
    );
  });
});

test("rules are switched off or weighed otherwise by the configuration", () => {
  const rules = { executorLost: { off: true }, executorsFew: { severity: "warning" } } as const;
  const bench = atNight(withAlerts({ rules }));
  bench.pass(30_000);
  expect(keys(bench)).toEqual(["warning executorsFew///"]);
});

test("without a configuration nothing is looked for, saved or sent", () => {
  const bench = atNight(new Bench());
  bench.pass(2 * minuteMs);
  expect(bench.state.durable.alerts).toBeUndefined();
  expect(bench.memory.alerts).toBeUndefined();
  expect(bench.ask({ kind: "alerts", which: "open", job: "" })).toEqual({
    kind: "alerts",
    alerts: { isConfigured: false, alerts: [], silences: [], channels: [] },
  });
  expect(bench.alert({ kind: "test", channel: "chat" })).toMatchObject({
    failure: { code: "badRequest", message: expect.stringMatching(/^no alerts are configured/) },
  });
});
