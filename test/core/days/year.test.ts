// A year of days that run by themselves, in seconds: changes of the clock, outages of up to a week, files that come late or
// never. In the end every day is done and made from what lies there, or it says honestly what it is.
import { expect, test } from "vitest";
import { ClusterMemory } from "../../../scripts/simulation/cluster-memory.ts";
import { World } from "../../../scripts/simulation/world.ts";
import { planCalendar } from "../../../shared/adapters/calendar.ts";
import { inputDigest } from "../../../shared/kernel/input-files.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileFingerprint } from "../../../shared/kernel/work.ts";
import { sampleFiles, sampleJob } from "../../sim/sample-job.ts";
import { Bench } from "../bench.ts";

const dayMs = 86_400_000;
/** Wall clock that passes while a leader's clock shows a second. */
const stepMs = 3 * 60 * 60_000;

const job: JobSpec = sampleJob({
  schedule: "30 2 * * *",
  timezone: "Europe/Berlin",
  backlogDays: 7,
  ready: { ipdr: { by: "count", value: "3" } },
});

interface Story {
  readonly world: World;
  readonly memory: ClusterMemory;
  bench: Bench;
  wallMs: number;
  outages: number;
  late: number;
  /** Days of which a file never comes. */
  readonly short: Set<string>;
}

function leaderOf(story: Story): Bench {
  const bench = new Bench(story.memory, `c${story.outages}`);
  bench.wallFrom = story.wallMs;
  bench.override = (ask) => {
    if (ask.kind === "planCalendar") {
      const question = { ...ask, startsMax: limits.calendarStartsMax };
      return { kind: "calendar", starts: planCalendar(question) };
    }
    if (ask.kind !== "listInputs") return undefined;
    const files = story.memory.lookedAt.get(`ipdr|${ask.day}`) ?? [];
    const sources = ask.sources.map(({ name }) => ({ source: name, files }));
    return { kind: "listed", sources, dimensions: [] };
  };
  bench.lead();
  bench.attach(1, { slots: 8 });
  return bench;
}

/** A second of the leader's clock, ten minutes of the day's. */
function pass(story: Story): void {
  const { bench } = story;
  bench.pass(1_000, [1]);
  bench.work();
  bench.wallFrom += stepMs - 1_000;
  story.wallMs += stepMs;
}

const isoDay = (ms: number) => new Date(ms).toISOString().slice(0, 10);

function put(story: Story, day: string, files: readonly FileFingerprint[]): void {
  story.memory.lookedAt.set(`ipdr|${day}`, files);
}

test("a year with daylight saving, outages and late files", { timeout: 300_000 }, () => {
  const memory = new ClusterMemory();
  memory.inputs = [];
  const story: Story = {
    world: new World(7),
    memory,
    bench: undefined as unknown as Bench,
    wallMs: Date.parse("2026-01-01T00:00:00Z"),
    outages: 0,
    late: 0,
    short: new Set(),
  };
  const { world } = story;
  // A day whose folder nobody has made yet has no file.
  memory.look = (source, day) => {
    const files = memory.lookedAt.get(`${source}|${day}`) ?? [];
    return { source, files, newestMs: 0 };
  };
  story.bench = leaderOf(story);
  story.bench.register(job);
  const endMs = Date.parse("2027-01-08T12:00:00Z");
  let nextDayMs = story.wallMs;
  while (story.wallMs < endMs) {
    if (story.wallMs >= nextDayMs) {
      // Yesterday's files are there a while after midnight, sometimes one short, seldom for ever.
      const day = isoDay(nextDayMs - dayMs);
      const isShort = world.chance() < 0.05;
      if (isShort) story.short.add(day);
      put(story, day, sampleFiles(isShort ? 2 : 4));
      nextDayMs += dayMs;
      const chance = world.chance();
      const late = isoDay(nextDayMs - world.between(3, 7) * dayMs);
      if (chance < 0.2 && memory.lookedAt.has(`ipdr|${late}`)) {
        story.late++;
        story.short.delete(late);
        put(story, late, sampleFiles(5 + (story.late % 3)));
      } else if (chance > 0.96) {
        // Nobody leads for up to a week; the days' files go on coming.
        const days = world.between(1, 7);
        story.outages++;
        for (let gone = 0; gone < days; gone++, nextDayMs += dayMs) {
          put(story, isoDay(nextDayMs - dayMs), sampleFiles(4));
        }
        story.wallMs = nextDayMs - dayMs / 2;
        story.bench = leaderOf(story);
      }
    }
    pass(story);
  }
  for (let quiet = 0; quiet < 100; quiet++) pass(story);

  const { durable } = story.bench.state;
  const states = new Map<string, number>();
  const first = Date.parse("2025-12-31T00:00:00Z");
  for (let at = first; at < Date.parse("2027-01-07T00:00:00Z"); at += dayMs) {
    const day = isoDay(at);
    const record = durable.days.get(`${job.name}|${day}`);
    const there = inputDigest(memory.lookedAt.get(`ipdr|${day}`) ?? []);
    const isCurrent = record?.made?.digests["ipdr"] === there;
    const isFlagged = story.short.has(day) && record?.committed === 0;
    const state = isCurrent
      ? "done"
      : isFlagged
        ? "missing input"
        : `${day}: r${record?.committed} of ${record?.input?.files} files`;
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  expect(story.outages).toBeGreaterThan(5);
  expect(story.late).toBeGreaterThan(30);
  expect([...states.keys()].sort()).toEqual(["done", "missing input"]);
  expect((states.get("done") ?? 0) + (states.get("missing input") ?? 0)).toBe(372);
  // Nothing ran twice for the same files: as many commits as there were different sets of files at most.
  const commits = [...memory.manifests.values()].filter(({ state }) => state === "committed");
  expect(commits.length).toBeLessThanOrEqual(372 + story.late);
});
