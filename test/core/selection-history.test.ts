/** Runs of some models of a job whose models read earlier days: what they pin, and what they leave up to date. */
import { describe, expect, test } from "vitest";
import { must } from "../../shared/kernel/assert.ts";
import { HistoryStory, weekJob } from "./history-story.ts";

const day = (of: string) => `2026-01-${of}`;

/** Days 12 to 16 are made; the newest one did not wait for the others at first. */
function made(): HistoryStory {
  const story = new HistoryStory().begin(weekJob({ workAhead: false }));
  story.until("16.r2");
  expect(story.committed()).toEqual(["16.r1", "12.r1", "13.r1", "14.r1", "15.r1", "16.r2"]);
  return story;
}

function select(story: HistoryStory, of: string, models: readonly string[]): void {
  const reply = story.bench.submit("usage", { day: day(of), select: models });
  expect(story.bench.replyTo(reply)?.kind).toBe("submitted");
  story.live(20_000);
}

function again(story: HistoryStory, of: string): void {
  story.bench.submit("usage", { day: day(of), rerun: true });
  story.live(20_000);
}

const manifest = (story: HistoryStory, run: string) =>
  must(story.bench.memory.manifests.get(`usage.${day(run.slice(0, 2))}.${run.slice(3)}`), run);

describe("a run of some models", () => {
  test("pins, lists and misses only days that they read", () => {
    const story = made();
    const listed: number[] = [];
    story.bench.effects = [];
    const answer = story.bench.override;
    story.bench.override = (ask) => {
      if (ask.kind === "listInputs") listed.push(ask.history?.length ?? 0);
      return answer(ask);
    };
    select(story, "16", ["week"]);
    expect(story.read(`usage.${day("16")}.r3`)).toBe("14@1 15@1");
    select(story, "12", ["totals"]);
    expect(manifest(story, "12.r2").history).toBeUndefined();
    const run = story.bench.ask({ kind: "run", run: `usage.${day("12")}.r2` });
    expect(run).toMatchObject({ run: { state: "committed", warnings: [] } });
    expect(listed.slice(0, 2)).toEqual([1, 0]);
  });

  test("leaves the rows that it carries over what they were since the revision that they are of", () => {
    const story = made();
    // Made again of the same: the rows of both revisions are those of the first.
    again(story, "15");
    expect(story.line("16")).toBe("16 done: revision 2");
    select(story, "15", ["week"]);
    expect(story.committed().at(-1)).toBe("15.r3");
    expect(story.line("16")).toBe("16 done: revision 2");
    // And the next whole run knows of them what the last one did.
    again(story, "15");
    expect(story.committed().at(-1)).toBe("15.r4");
    story.live(60_000);
    expect(story.line("16")).toBe("16 done: revision 2");
    expect(story.committed().at(-1)).toBe("15.r4");
  });

  test("makes rows new for the days that read them, in whatever day it does so", () => {
    const story = made();
    select(story, "14", ["totals"]);
    story.live(120_000);
    expect(story.committed().slice(6)).toEqual(["14.r2", "15.r2", "16.r3"]);
    expect(story.read(`usage.${day("16")}.r3`)).toBe("14@2 15@2");
    expect(story.line("16")).toBe("16 done: revision 3");
  });
});
