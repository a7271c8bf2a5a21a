/** Whatever is restated when, and whoever leads: in the end each day is made from what the days that it reads are. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { HistoryStory, runningJob, weekJob } from "./history-story.ts";

const days = ["12", "13", "14", "15", "16"];

type Event =
  | { readonly kind: "restate"; readonly day: string; readonly files: number }
  | { readonly kind: "live"; readonly seconds: number }
  | { readonly kind: "takeOver" };

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("restate" as const),
      day: fc.constantFrom(...days),
      files: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("live" as const),
      seconds: fc.integer({ min: 1, max: 70 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "takeOver" as const }) },
);

function tell(job: JobSpec, events: readonly Event[]): HistoryStory {
  let story = new HistoryStory().begin(job);
  for (const one of events) {
    if (one.kind === "restate") story.folders.set(`2026-01-${one.day}`, one.files);
    else if (one.kind === "live") story.live(one.seconds * 1_000);
    else story = story.takeOver();
  }
  story.live(90_000);
  for (let tries = 0; tries < 20 && !isAtRest(story); tries++) story.live(10_000);
  return story;
}

const isAtRest = (story: HistoryStory) =>
  days.every((day) => story.line(day)?.startsWith(`${day} done`) === true);

/** What the newest revision of a day was made from, and what the days that it reads are now: `13@2 14@1`. */
function readings(story: HistoryStory, day: string): { was: string; is: string } {
  const { durable } = story.bench.state;
  const { committed = 0 } = durable.days.get(`usage|2026-01-${day}`) ?? {};
  const run = `usage.2026-01-${day}.r${committed}`;
  const pins = (story.bench.memory.manifests.get(run)?.history ?? []).flatMap((pin) => pin.days);
  const now = pins.map((pin) => {
    const record = durable.days.get(`usage|${pin.day}`);
    return { day: pin.day, since: record?.made?.rows?.["totals"]?.since ?? 0 };
  });
  const text = (all: readonly { day: string; since: number }[]) =>
    all.map((one) => `${one.day.slice(-2)}@${one.since}`).join(" ");
  return { was: text(pins), is: text(now) };
}

describe.each([
  ["a week of totals", weekJob()],
  ["running totals", runningJob()],
])("%s", (_, job) => {
  test("all are done, and none is out of date", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 2, maxLength: 6 }), (events) => {
        const story = tell(job, events);
        expect(story.grid().filter((line) => /^1[2-6] (?!done)/.test(line))).toEqual([]);
        for (const day of days) {
          const { was, is } = readings(story, day);
          expect(`${day} from ${was}`).toBe(`${day} from ${is}`);
        }
      }),
      { numRuns: 6, seed: 15 },
    );
  });
});
