/** Days that read earlier days: what is pinned, what is out of date when one is restated, and in which order it is redone. */
import { describe, expect, test } from "vitest";
import { failed } from "../../scripts/simulation/cluster-memory.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { DayRevisions, RevisionFolder } from "../../shared/kernel/manifest.ts";
import type { AttemptSuccess } from "../../shared/kernel/work.ts";
import { carryOut } from "../sim/executor-model.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { HistoryStory, runningJob, weekJob } from "./history-story.ts";

/** One row of each file does not fit. */
function withoutRow(outcome: AttemptSuccess): AttemptSuccess {
  const accounts = outcome.accounts.map((one) => ({ ...one, rows: one.rows - 1, rejects: 1 }));
  return { ...outcome, accounts };
}

/** The whole window is made and at rest. */
function caughtUp(job = weekJob()): HistoryStory {
  const story = new HistoryStory().begin(job);
  story.live(30_000);
  return story;
}

describe("catching up", () => {
  test("each day waits for those that it reads; the newest runs at once, and again when they are there", () => {
    const story = new HistoryStory().begin(weekJob());
    story.live(30_000);
    expect(story.committed()).toEqual(["16.r1", "12.r1", "13.r1", "14.r1", "15.r1", "16.r2"]);
    expect(story.read("usage.2026-01-12.r1")).toBe("10@- 11@-");
    expect(story.read("usage.2026-01-14.r1")).toBe("12@1 13@1");
    expect(story.read("usage.2026-01-16.r1")).toBe("14@- 15@-");
    expect(story.read("usage.2026-01-16.r2")).toBe("14@1 15@1");
    expect(story.grid().slice(2)).toEqual([
      "16 done: revision 2",
      "15 done: revision 1",
      "14 done: revision 1",
      "13 done: revision 1",
      "12 done: revision 1",
    ]);
  });

  test("a run says which days it did without", () => {
    const story = caughtUp();
    const reply = story.bench.ask({ kind: "run", run: "usage.2026-01-12.r1" });
    expect(reply?.kind === "run" ? reply.run.warnings : []).toEqual([
      "usage/totals had no revision of 2026-01-10, 2026-01-11: made without",
    ]);
  });

  test("map tasks read the files of the pinned revisions, and a day of equal rows is a day", () => {
    const story = caughtUp();
    story.folders.set("2026-01-15", 5);
    const works = story.until("16.r3");
    const read = works.flatMap((work) =>
      work.kind === "map" && work.source.name === "totals_earlier" ? work.split.files : [],
    );
    // Day 16 reads 14 and 15 again; what is kept of 14 is used as it is.
    expect(read.map(({ path }) => path)).toEqual([
      "revisions/usage/2026-01-15/r2-e1/totals/r2-0.parquet",
      "revisions/usage/2026-01-15/r2-e1/totals/r2-1.parquet",
    ]);
    expect(story.committed().slice(6)).toEqual(["15.r2", "16.r3"]);
  });
});

describe("an old day is restated", () => {
  test("the days that have read it run again, each once, oldest first, and no other", () => {
    const story = caughtUp();
    story.folders.set("2026-01-13", 5);
    story.until("15.r2");
    story.live(20_000);
    // 16 does not read 13. The others have new revisions with the totals that they had.
    expect(story.committed().slice(6)).toEqual(["13.r2", "14.r2", "15.r2"]);
    expect(story.read("usage.2026-01-14.r2")).toBe("12@1 13@2");
    expect(story.read("usage.2026-01-15.r2")).toBe("13@2 14@2");
    expect(story.line("15")).toBe("15 done: revision 2");
    expect(story.line("16")).toBe("16 done: revision 2");
  });

  test("what depends on it is listed with day and revisions while it waits for its turn", () => {
    const story = caughtUp();
    story.folders.set("2026-01-13", 5);
    story.until("13.r2");
    story.bench.pass(1_000, [1]);
    expect(story.grid().slice(2)).toEqual([
      "16 done: revision 2",
      "15 stale: upstream: usage/totals of 2026-01-13 has other rows since revision 2, and revision 1 was made from revision 1; waits for usage/totals of 2026-01-14 → runs by itself after that",
      "14 running: usage.2026-01-14.r2: running, 0 of 12 tasks",
      "13 done: revision 2",
      "12 done: revision 1",
    ]);
  });

  test("the same under a leader that comes in between, with the pins of the run under way", () => {
    const first = caughtUp();
    first.folders.set("2026-01-13", 5);
    first.until("13.r2");
    first.bench.pass(1_000, [1]);
    const story = first.takeOver();
    story.until("15.r2");
    story.live(20_000);
    expect(story.committed().slice(6)).toEqual(["13.r2", "14.r2", "15.r2"]);
    expect(story.read("usage.2026-01-14.r2")).toBe("12@1 13@2");
    expect(story.read("usage.2026-01-15.r2")).toBe("13@2 14@2");
  });

  test("a run reads what it was promised, also under the next leader, and runs again for what has come since", () => {
    const first = caughtUp();
    first.folders.set("2026-01-13", 5);
    first.until("13.r2");
    first.bench.pass(1_000, [1]);
    const story = first.takeOver();
    const tasks = story.bench.takeTasks();
    expect(tasks.map(({ delivery }) => delivery.run)).toContain("usage.2026-01-14.r2");
    story.folders.set("2026-01-12", 6);
    story.until("12.r2");
    expect(story.committed().at(-1)).toBe("12.r2");
    for (const task of tasks) story.bench.finish(task);
    story.until("15.r2");
    expect(story.read("usage.2026-01-14.r2")).toBe("12@1 13@2");
    expect(story.read("usage.2026-01-14.r3")).toBe("12@2 13@3");
    expect(story.committed().slice(-5)).toEqual(["12.r2", "14.r2", "13.r3", "14.r3", "15.r2"]);
  });

  test("newest first in the backlog changes nothing about that order", () => {
    const story = caughtUp(weekJob({ backlogOrder: "newest" }));
    expect(story.committed()).toEqual(["16.r1", "12.r1", "13.r1", "14.r1", "15.r1", "16.r2"]);
  });

  test("files of the newest day are not kept waiting for earlier days", () => {
    const story = caughtUp();
    story.folders.set("2026-01-13", 5);
    story.folders.set("2026-01-16", 5);
    story.until("15.r2");
    const after = story.committed().slice(6);
    expect(after.sort()).toEqual(["13.r2", "14.r2", "15.r2", "16.r3"]);
    expect(story.committed().indexOf("16.r3")).toBeLessThan(story.committed().indexOf("14.r2"));
  });

  test("running totals follow one after the other", () => {
    const story = caughtUp(runningJob());
    const before = story.committed().length;
    story.folders.set("2026-01-13", 5);
    story.until("16.r3");
    story.live(10_000);
    expect(story.committed().slice(before)).toEqual(["13.r2", "14.r2", "15.r2", "16.r3"]);
    expect(story.read("usage.2026-01-16.r3")).toBe("15@2");
  });

  test("outside the window it is listed, and nothing is started", () => {
    const story = new HistoryStory().begin(weekJob({ backlogDays: 0 }));
    for (const day of ["2026-01-08", "2026-01-09", "2026-01-10"]) {
      story.bench.submit("usage", { day });
      story.live(3_000);
    }
    story.folders.set("2026-01-08", 5);
    story.bench.submit("usage", { day: "2026-01-08", rerun: true });
    story.live(100_000);
    expect(story.committed().filter((run) => run.startsWith("08"))).toEqual(["08.r1", "08.r2"]);
    expect(story.grid(400).slice(-3)).toEqual([
      "10 stale: upstream: usage/totals of 2026-01-08 has other rows since revision 2, and revision 1 was made from revision 1 → nothing: it is older than the window; daymill submit runs it",
      "09 stale: upstream: usage/totals of 2026-01-08 has other rows since revision 2, and revision 1 was made from revision 1 → nothing: it is older than the window; daymill submit runs it",
      "08 done: revision 2",
    ]);
    expect(story.committed()).not.toContain("09.r2");
  });

  test("with the same rows nothing is out of date", () => {
    const story = caughtUp();
    const before = story.committed().length;
    story.bench.submit("usage", { day: "2026-01-13", rerun: true });
    story.live(30_000);
    expect(story.committed().slice(before)).toEqual(["13.r2"]);
    expect(story.line("14")).toBe("14 done: revision 1");
    // Which revision it is does not matter: the next one with other rows does.
    story.folders.set("2026-01-13", 5);
    story.until("14.r2");
    expect(story.read("usage.2026-01-14.r2")).toBe("12@1 13@3");
  });

  test("a day that was missing comes: who did without runs again", () => {
    const story = new HistoryStory();
    story.folders.set("2026-01-14", 0);
    story.begin(weekJob());
    story.live(30_000);
    expect(story.line("14")).toMatch(/^14 missing input: /);
    // Nobody waits for a day whose input is not there.
    expect(story.read("usage.2026-01-15.r1")).toBe("13@1 14@-");
    story.folders.set("2026-01-14", 4);
    story.until("16.r3");
    expect(story.committed().slice(-3)).toEqual(["14.r1", "15.r2", "16.r3"]);
    expect(story.read("usage.2026-01-16.r3")).toBe("14@1 15@2");
  });
});

describe("a run that can't be made", () => {
  test("names the day whose rows do not fit", () => {
    const story = caughtUp();
    const { bench } = story;
    story.folders.set("2026-01-13", 5);
    story.until("13.r2");
    bench.pass(1_000, [1]);
    for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
      for (const task of tasks) {
        const outcome = carryOut(bench.memory, task.work, task.delivery);
        const isEarlier = task.work.kind === "map" && task.work.source.name === "totals_earlier";
        if (outcome.kind === "failed") bench.report(task, outcome);
        else bench.report(task, isEarlier ? withoutRow(outcome) : outcome);
      }
    }
    const reply = bench.ask({ kind: "run", run: "usage.2026-01-14.r2" });
    expect(reply?.kind === "run" ? reply.run.failure?.message : "").toBe(
      "table totals_earlier: 4 of 40 rows of earlier days do not fit its columns; most of them in " +
        "revisions/usage/2026-01-12/r1-e1/totals/r1-0.parquet (1 of 10), revisions/usage/2026-01-12/r1-e1/totals/r1-1.parquet (1 of 10), " +
        "revisions/usage/2026-01-13/r2-e1/totals/r2-0.parquet (1 of 10); make those days again (daymill submit --rerun), or say the columns as the files have them",
    );
  });

  test("is tried again when the day that it reads has changed, however often it has failed", () => {
    const story = caughtUp();
    const { override } = story.bench;
    story.bench.override = (ask) =>
      ask.kind === "listInputs" && ask.day === "2026-01-14"
        ? failed("inputMissing", "a file of 2026-01-13 is gone")
        : override(ask);
    story.folders.set("2026-01-13", 5);
    story.live(120_000);
    expect(story.line("14")).toBe(
      "14 failed: usage.2026-01-14.r2 failed: a file of 2026-01-13 is gone; it runs again when its input or the job changes, or on command",
    );
    // It keeps nobody.
    expect(story.committed()).toContain("15.r2");
    story.bench.override = override;
    story.folders.set("2026-01-13", 6);
    story.live(120_000);
    expect(story.committed()).toContain("14.r3");
    expect(story.read("usage.2026-01-14.r3")).toBe("12@1 13@3");
  });
});

test("a day that was mapped ahead reads what is there at its start, not when its first file came", () => {
  const story = new HistoryStory();
  story.bench.wallFrom += 59 * 60_000;
  story.begin(weekJob());
  story.folders.set("2026-01-15", 5);
  story.until("17.r1");
  expect(story.committed().slice(-2)).toEqual(["16.r2", "17.r1"]);
  expect(story.read("usage.2026-01-17.r1")).toBe("15@1 16@2");
});

test("files of a revision that is being read stay until it has been read, whatever is committed meanwhile", () => {
  const retention = { revisions: 0, rejectsDays: 30, lateDays: 90 };
  const story = caughtUp(weekJob({ retention }));
  const { bench } = story;
  const dropped: string[] = [];
  const { override } = bench;
  const folder = (revision: number): RevisionFolder => ({
    revision,
    arrangedBy: 1,
    datasets: ["totals"],
    manifest: { state: "committed", arrangedBy: 1, wallMs: bench.wallFrom, late: [] },
  });
  const day: DayRevisions = { job: "usage", day: "2026-01-13", folders: [folder(1), folder(2)] };
  bench.override = (ask) => {
    if (ask.kind === "listRevisions") return { kind: "revisions", days: [day] };
    if (ask.kind === "dropRevision") dropped.push(`${ask.run.day}.r${ask.run.revision}`);
    return override(ask);
  };
  bench.submit("usage", { day: "2026-01-14", rerun: true });
  bench.pass(1_000, [1]);
  const reading = bench.takeTasks();
  // Days of the window keep their revisions anyway.
  bench.register(weekJob({ retention, backlogDays: 0 }));
  bench.submit("usage", { day: "2026-01-13", rerun: true });
  story.live(limits.retentionAfterRunMs + 5_000);
  expect(story.committed().at(-1)).toBe("13.r2");
  expect(dropped).toEqual([]);
  for (const task of reading) bench.finish(task);
  story.live(limits.retentionAfterRunMs + 5_000);
  expect(story.read("usage.2026-01-14.r2")).toBe("12@1 13@1");
  expect(dropped).toEqual(["2026-01-13.r1"]);
});

describe("refused when it is submitted", () => {
  const other = { dataset: "totals", days: 3, job: "usage", columns: [] } as const;
  const reader = (history: Parameters<typeof weekJob>[1]) => ({
    ...weekJob({}, history),
    name: "reader",
  });
  const refusal = (story: HistoryStory, job: ReturnType<typeof weekJob>) => {
    const reply = story.bench.register(job);
    if (reply?.kind !== "failed") throw new Error(JSON.stringify(reply));
    return reply.failure;
  };

  test("a dataset of a job that nobody knows, or that it does not make", () => {
    const story = new HistoryStory();
    story.bench.lead();
    expect(refusal(story, reader(other))).toMatchObject({
      code: "jobInvalid",
      message:
        "job reader: models.week.history.totals.job: no job usage is known; submit its file first, or correct the name",
      detail: { field: "models.week.history.totals.job" },
    });
    story.bench.register(sampleJob({ schedule: "0 1 * * *" }));
    expect(refusal(story, reader({ ...other, dataset: "total" }))).toMatchObject({
      code: "jobInvalid",
      message:
        "job reader: models.week.history.total: job usage makes no dataset total (did you mean totals?); correct the name, or submit the form of usage that makes it first",
    });
    expect(story.bench.register(reader(other))).toMatchObject({ kind: "submitted" });
  });

  test("jobs that read each other's rows of the same day", () => {
    const story = new HistoryStory();
    story.bench.lead();
    story.bench.register(sampleJob({ schedule: "0 1 * * *" }));
    story.bench.register(reader(other));
    const back = { dataset: "week", days: 2, job: "reader", columns: [] } as const;
    expect(refusal(story, weekJob({}, back))).toMatchObject({
      code: "jobInvalid",
      message:
        "job usage: history: jobs read each other's rows of the same day in a ring (usage reads reader, reader reads usage): each new revision would put another one out of date, for ever; say own_day: false in one of them",
    });
    expect(story.bench.register(weekJob({}, { ...back, ownDay: false }))).toMatchObject({
      kind: "submitted",
    });
  });
});
