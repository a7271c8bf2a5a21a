// Slow-downs among noise: 30 simulated days of a coordinator, and what is found in 500 months by the rules alone.
import { expect, test } from "vitest";
import {
  isSlow,
  lowThroughput,
  type Measured,
  trendOf,
  usualFor,
} from "../../../coordinator/core/alerts/speed.ts";
import { World } from "../../../scripts/simulation/world.ts";
import { dayAfter } from "../../../shared/kernel/time.ts";
import { carryOut } from "../../sim/executor-model.ts";
import { sampleFiles } from "../../sim/sample-job.ts";
import type { Bench } from "../bench.ts";
import { alertConfig, daily, dayMs, keys, minuteMs, withAlerts } from "./story.ts";

/** Up to 12 % more or less input than usual, every seventh day 60 % more; runs vary by as much again. */
interface NoisyDay {
  readonly share: number;
  readonly minutes: number;
}

function noisyDays(seed: number, slowdown: (index: number) => number): readonly NoisyDay[] {
  const chance = new World(seed);
  const noise = () => 0.88 + 0.24 * chance.chance();
  return Array.from({ length: 30 }, (_, index) => {
    const share = (index % 7 === 5 ? 1.6 : 1) * noise();
    return { share, minutes: 60 * share * noise() * slowdown(index) };
  });
}

/** The 17th run takes twice as long as it would; from the 24th on all take 1.6 times as long. */
const twoSlowdowns = (index: number) => (index === 16 ? 2 : index >= 23 ? 1.6 : 1);

/** Carries out what was sent: as many rows as bytes. */
function workAll(bench: Bench): void {
  for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
    for (const task of tasks) {
      const outcome = carryOut(bench.memory, task.work, task.delivery);
      if (outcome.kind === "failed" || task.work.kind !== "map") bench.report(task, outcome);
      else {
        const rowsIn = task.work.split.files.reduce((sum, { size }) => sum + size, 0);
        bench.report(task, { ...outcome, counters: { ...outcome.counters, rowsIn } });
      }
    }
  }
}

test("30 days with noise: both slow-downs are found within one run, and nothing else is", {
  timeout: 120_000,
}, () => {
  const bench = withAlerts();
  bench.wallFrom = Date.parse("2026-01-01T00:59:00Z");
  bench.lead();
  bench.attach(1, { slots: 8 });
  const days = noisyDays(11, twoSlowdowns);
  const sizes = new Map<string, number>();
  let day = "2025-12-31";
  for (const { share } of days) {
    sizes.set(day, Math.round(1_000_000 * share));
    day = dayAfter(day);
  }
  const filesOf = (of: string) =>
    sampleFiles(4).map((file) => ({ ...file, size: sizes.get(of) ?? 100 }));
  bench.override = (ask) =>
    ask.kind === "listInputs"
      ? { kind: "listed", sources: [{ source: "ipdr", files: filesOf(ask.day) }], dimensions: [] }
      : undefined;
  bench.memory.look = (source, of) => ({ source, files: filesOf(of), newestMs: 0 });
  bench.register(daily({ backlogDays: 0 }));
  const found = new Map<string, number>();
  for (const [index, { minutes }] of days.entries()) {
    bench.pass(30_000, [1]);
    workAll(bench);
    // Two minutes past one, and so long: the run goes on while the clock does.
    bench.pass(60_000, [1]);
    for (let passed = 1; passed < minutes; passed++) {
      bench.wallFrom += minuteMs - 1_000;
      bench.pass(1_000, [1]);
    }
    workAll(bench);
    bench.pass(10_000, [1]);
    for (const alert of keys(bench)) if (!found.has(alert)) found.set(alert, index + 1);
    bench.wallFrom = Date.parse("2026-01-01T00:59:30Z") + (index + 1) * dayMs - bench.at;
  }
  const committed = [...bench.memory.manifests.values()].filter((one) => sizes.has(one.day));
  const isFalse = (run: number) => run !== 17 && run < 24;
  const wrong = [...found.values()].filter(isFalse).length;
  console.log(`30 days, ${committed.length} commits, ${found.size} alerts, ${wrong} of them false`);
  for (const [alert, run] of found) console.log(`run ${run}: ${alert}`);
  expect(committed.map(({ state }) => state)).toEqual(days.map(() => "committed"));
  expect(wrong).toBe(0);
  expect(found.get("warning runSlow/usage/2026-01-16/")).toBe(17);
  expect(found.get("warning runSlow/usage/2026-01-23/")).toBe(24);
  expect(found.get("critical runsSlowing/usage//")).toBeGreaterThanOrEqual(25);
});

test("500 months with other noise: what is found, missed, and found in vain", () => {
  const by = alertConfig().thresholds;
  let slow = 0;
  let vain = 0;
  let missed = 0;
  let trends = 0;
  for (let seed = 1; seed <= 500; seed++) {
    const measured: Measured[] = [];
    let trendAt = 0;
    for (const [index, { share, minutes }] of noisyDays(seed, twoSlowdowns).entries()) {
      const day = `2026-01-${String(index + 1).padStart(2, "0")}`;
      const durationMs = minutes * minuteMs;
      const bytes = share * 1_000_000;
      const judged = { day, kind: "live", bytes, rows: bytes, durationMs } as const;
      const usual = usualFor(judged, measured, by);
      const isFound =
        usual !== undefined &&
        (isSlow(durationMs, usual, by) || lowThroughput(judged, usual.of, by) !== undefined);
      const isReal = index === 16 || index >= 23;
      if (isFound && isReal) slow++;
      if (isFound && !isReal) vain++;
      if (!isFound && (index === 16 || index === 23)) missed++;
      measured.push({
        day,
        bytes,
        speed: { run: day, durationMs, rows: bytes, kind: "live", endedMs: 0 },
      });
      const isTrend = trendOf(measured, by) !== undefined;
      if (isTrend && index < 23) vain++;
      if (isTrend && index >= 23 && trendAt === 0) trendAt = index + 1;
    }
    if (trendAt > 0 && trendAt <= 26) trends++;
  }
  console.log(
    `500 months: ${slow} slow runs found, ${missed} of 1000 first ones missed, ${vain} found in vain, ${trends} trends by the third run`,
  );
  expect(vain).toBe(0);
  expect(missed).toBeLessThanOrEqual(60);
  expect(trends).toBeGreaterThanOrEqual(495);
});
