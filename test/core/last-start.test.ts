// Schedules whose starts lie further apart than the days that are caught up.
import { expect, test } from "vitest";
import { planCalendar } from "../../shared/adapters/calendar.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

test("a job by months opens the last day that was due, however long ago that was, and no older one", () => {
  const bench = new Bench();
  const asked: number[] = [];
  bench.override = (ask) => {
    if (ask.kind !== "planCalendar") return undefined;
    asked.push(Math.round((bench.wallFrom + bench.at - ask.fromMs) / (24 * 3_600_000)));
    return { kind: "calendar", starts: planCalendar({ ...ask, startsMax: 400 }) };
  };
  bench.wallFrom = Date.parse("2026-01-18T00:59:00Z");
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.register(sampleJob({ schedule: "0 1 1 * *", backlogDays: 2 }));
  bench.live(30_000);
  expect(asked).toEqual([4, 8, 16, 32]);
  expect([...bench.memory.manifests.keys()]).toEqual(["usage.2025-12-31.r1"]);
  expect(bench.backlog().days).toMatchObject([{ day: "2025-12-31", state: "done" }]);
});
