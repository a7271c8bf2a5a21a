// More alerts of one group than one message holds.
import { expect, test } from "vitest";
import type { ChannelKind } from "../../../shared/kernel/alert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Bench } from "../bench.ts";
import { alertConfig, atNight, minuteMs, withAlerts } from "./story.ts";

/** A channel of this kind that hears of 25 executors that are lost, and of each again after two minutes. */
function listened(kind: ChannelKind): { bench: Bench; heard: Map<string, number[]> } {
  const { thresholds } = alertConfig();
  const bench = atNight(
    withAlerts({
      channels: [{ name: "one", kind }],
      routes: [{ severities: [], jobs: [], rules: [], channels: ["one"], goOn: false }],
      repeatMs: { critical: 2 * minuteMs, warning: 2 * minuteMs, info: 0 },
      groupIntervalMs: 30_000,
      thresholds: { ...thresholds, executorsMin: 0 },
    }),
    "no job",
  );
  for (let n = 0; n < 25; n++) bench.attach(10 + n, { executor: `x${n + 10}`, incarnation: 1 });
  const heard = new Map<string, number[]>();
  bench.memory.take = ({ alerts }) => {
    for (const { key, endedMs } of alerts) {
      if (endedMs === undefined) heard.set(key, [...(heard.get(key) ?? []), bench.at]);
    }
    return { kind: "ok" };
  };
  return { bench, heard };
}

test("a program hears of each of them as often as of a few: it may take what it does not hear of for over", () => {
  const { bench, heard } = listened("alertmanager");
  bench.live(9 * minuteMs);
  expect(heard.size).toBe(25);
  const pauses = [...heard.values()].flatMap((times) =>
    [...times, bench.at].slice(1).map((at, index) => at - (times[index] ?? 0)),
  );
  // One look late at the most, for each message.
  expect(Math.max(...pauses)).toBeLessThanOrEqual(2 * minuteMs + 4 * limits.alertsEveryMs);
});

test("people are shown the worst again, once in that time", () => {
  const { bench, heard } = listened("slack");
  bench.live(9 * minuteMs);
  expect(heard.size).toBe(limits.alertsPerNoticeMax);
  expect(heard.get("executorLost///x10")?.length).toBe(5);
});
