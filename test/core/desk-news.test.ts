/** What is news to a day that is made: looks and the listings of runs need not agree, and files may go back to what they were. */
import { expect, test } from "vitest";
import { atNight, committed, files, grid } from "./desk-story.ts";

test("files that are again what they were when a run was begun are news to what that run found instead", () => {
  const bench = atNight();
  bench.live(40_000);
  const few = bench.memory.inputs;
  const seen = (lies: typeof few) => bench.memory.lookedAt.set("ipdr|2026-01-15", lies);
  // A run is begun because of five files, and finds six; looks see them, too, and later five again.
  seen(files(5));
  bench.memory.inputs = files(6);
  bench.live(3 * 60_000);
  expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(2);
  seen(files(6));
  bench.live(3 * 60_000);
  expect(grid(bench).find((line) => line.startsWith("2026-01-15"))).toContain("done");
  seen(files(5));
  bench.memory.inputs = files(5);
  bench.live(10 * 60_000);
  expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(3);
  expect(grid(bench).find((line) => line.startsWith("2026-01-15"))).toContain("done");
});

test("a look and a listing that never agree run a day once more, not for ever", () => {
  const bench = atNight();
  bench.live(40_000);
  bench.memory.lookedAt.set("ipdr|2026-01-15", files(5));
  bench.live(30 * 60_000);
  expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(2);
  expect(grid(bench).find((line) => line.startsWith("2026-01-15"))).toContain(
    "stale: input: files have come, changed or gone since revision 2; a run that was begun because of that found other files",
  );
});
