/** What is news to a day that is made: looks and the listings of runs need not agree, and files may go back to what they were. */
import { expect, test } from "vitest";
import { emptyDesk } from "../../coordinator/core/days/desk-state.ts";
import { emptyDurable } from "../../coordinator/core/durable.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { readFacts } from "../../coordinator/core/journal-text.ts";
import { sampleFiles } from "../sim/sample-job.ts";
import { atNight, committed, grid } from "./desk-story.ts";

test("files that are again what they were when a run was begun are news to what that run found instead", () => {
  const bench = atNight();
  bench.live(40_000);
  const few = bench.memory.inputs;
  const seen = (lies: typeof few) => bench.memory.lookedAt.set("ipdr|2026-01-15", lies);
  // A run is begun because of five files, and finds six; looks see them, too, and later five again.
  seen(sampleFiles(5));
  bench.memory.inputs = sampleFiles(6);
  bench.live(3 * 60_000);
  expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(2);
  seen(sampleFiles(6));
  bench.live(3 * 60_000);
  expect(grid(bench).find((line) => line.startsWith("2026-01-15"))).toContain("done");
  seen(sampleFiles(5));
  bench.memory.inputs = sampleFiles(5);
  bench.live(10 * 60_000);
  expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(3);
  expect(grid(bench).find((line) => line.startsWith("2026-01-15"))).toContain("done");
});

test("a look that finds them while their run is under way agrees as well: what it finds afterwards is news", () => {
  const bench = atNight();
  bench.live(40_000);
  const seen = (count: number) => bench.memory.lookedAt.set("ipdr|2026-01-15", sampleFiles(count));
  seen(5);
  bench.memory.inputs = sampleFiles(6);
  bench.pass(2 * 60_000, [1]);
  expect(bench.state.durable.runs.get("usage.2026-01-15.r2")?.ended).toBeUndefined();
  seen(6);
  bench.pass(2 * 60_000, [1]);
  bench.live(10_000);
  expect(committed(bench)).toContain("usage.2026-01-15.r2");
  seen(5);
  bench.memory.inputs = sampleFiles(5);
  bench.live(3 * 60_000);
  expect(committed(bench)).toContain("usage.2026-01-15.r3");
});

test("a look and a listing that never agree run a day once more, not for ever", () => {
  const bench = atNight();
  bench.live(40_000);
  bench.memory.lookedAt.set("ipdr|2026-01-15", sampleFiles(5));
  bench.live(30 * 60_000);
  expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(2);
  expect(grid(bench).find((line) => line.startsWith("2026-01-15"))).toContain(
    "stale: input: files have come, changed or gone since revision 2; a run that was begun because of that found other files",
  );
});

test("what the backlog says of days follows from what the scheduler has written down: the journal alone gives it again", () => {
  const bench = atNight();
  bench.memory.lookedAt.set("ipdr|2026-01-15", []);
  bench.live(40_000);
  bench.say({ kind: "markDay", job: "usage", day: "2026-01-18", mark: "held", reason: "bad feed" });
  bench.say({ kind: "pauseBacklog", job: "usage", paused: true, reason: "maintenance" });
  bench.memory.lookedAt.set("ipdr|2026-01-16", sampleFiles(5));
  bench.live(90_000);
  const told = bench.backlog();
  const states = told.days.map(({ day, state }) => `${day.slice(-2)} ${state}`);
  expect(states).toEqual(["18 held", "17 done", "16 stale", "15 missing input"]);
  const durable = emptyDurable();
  const reader = { pieces: [] };
  for (const { text } of bench.memory.journal) {
    for (const fact of readFacts(reader, text)) fold(durable, fact);
  }
  bench.state.durable = durable;
  // Nothing of what looks found is left in memory: of it there is but the calendar.
  const { calendars } = bench.state.desk;
  bench.state.desk = { ...emptyDesk(), calendars };
  expect(bench.backlog()).toEqual(told);
});
