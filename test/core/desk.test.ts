// Days that run by themselves: opened by the calendar, looked at, judged, started. Transcripts of one coordinator.
import { describe, expect, test } from "vitest";
import { projectedMs } from "../../coordinator/core/days/deadlines.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";
import { atNight, committed, daily, grid, hourMs, midnight, stateOf } from "./desk-story.ts";

describe("a scheduled job", () => {
  test("catches up its window and runs each day once, the live one when it is due", () => {
    const bench = atNight();
    bench.live(40_000);
    const caughtUp = ["usage.2026-01-14.r1", "usage.2026-01-15.r1", "usage.2026-01-16.r1"];
    expect(committed(bench).sort()).toEqual(caughtUp);
    expect(grid(bench)).toEqual([
      expect.stringMatching(/^2026-01-18 waiting: starts in 1 d; ipdr: 4 files .* in 1 d$/),
      expect.stringMatching(/^2026-01-17 waiting: starts in 16 s; ipdr: 4 files .* in 16 s$/),
      "2026-01-16 done: revision 1",
      "2026-01-15 done: revision 1",
      "2026-01-14 done: revision 1",
    ]);
    bench.live(60_000);
    expect(committed(bench)).toContain("usage.2026-01-17.r1");
    bench.live(10 * 60_000);
    expect(committed(bench)).toHaveLength(4);
  });

  test("waits for a day without files, and runs it when they come", () => {
    const bench = new Bench();
    bench.memory.lookedAt.set("ipdr|2026-01-15", []);
    atNight(daily(), bench);
    bench.live(40_000);
    expect(stateOf(bench, "2026-01-15")).toBe("missing input");
    expect(committed(bench)).not.toContain("usage.2026-01-15.r1");
    bench.memory.lookedAt.set("ipdr|2026-01-15", sampleFiles(4));
    bench.live(60_000);
    expect(committed(bench)).toContain("usage.2026-01-15.r1");
    expect(stateOf(bench, "2026-01-15")).toBe("done");
  });

  test("is provisional with enough of a number of files, and done when the others come", () => {
    const rule = { by: "count", value: "5", completeness: 0.8, grace: "0s" } as const;
    const bench = atNight(daily({ ready: { ipdr: rule } }));
    bench.live(120_000);
    expect(stateOf(bench, "2026-01-15")).toBe("provisional");
    for (const day of ["14", "16", "17", "18"]) {
      bench.memory.lookedAt.set(`ipdr|2026-01-${day}`, sampleFiles(4));
    }
    bench.memory.lookedAt.set("ipdr|2026-01-15", sampleFiles(5));
    bench.memory.inputs = sampleFiles(5);
    bench.live(300_000);
    expect(grid(bench)).toContain("2026-01-15 done: revision 2");
    expect(stateOf(bench, "2026-01-16")).toBe("provisional");
  });

  test("runs a day again when a late file comes, and only then", () => {
    const bench = atNight();
    bench.live(40_000);
    bench.memory.lookedAt.set("ipdr|2026-01-15", sampleFiles(5));
    bench.memory.inputs = sampleFiles(5);
    for (const day of ["14", "16", "17", "18"]) {
      bench.memory.lookedAt.set(`ipdr|2026-01-${day}`, sampleFiles(4));
    }
    bench.live(150_000);
    expect(committed(bench)).toContain("usage.2026-01-15.r2");
    expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(2);
    bench.live(300_000);
    expect(committed(bench).filter((run) => run.includes("-15.r"))).toHaveLength(2);
  });

  test("marks days of another form, and runs them again where the job says so", () => {
    const bench = atNight();
    bench.live(40_000);
    const models = [{ name: "totals", sql: "SELECT 2", file: "totals.sql" }];
    const changed = (onChange?: "rerun") => daily({ models, ...(onChange && { onChange }) });
    // What changes no row leaves a day what it is.
    bench.register(daily({ finishBy: "06:00", onChange: "rerun" }));
    bench.live(20_000);
    expect(stateOf(bench, "2026-01-15")).toBe("done");
    expect(committed(bench)).not.toContain("usage.2026-01-15.r2");
    bench.register(changed());
    bench.live(5_000);
    expect(stateOf(bench, "2026-01-15")).toBe("stale");
    expect(committed(bench)).not.toContain("usage.2026-01-15.r2");
    bench.register(changed("rerun"));
    bench.live(20_000);
    expect(committed(bench)).toContain("usage.2026-01-15.r2");
    expect(stateOf(bench, "2026-01-15")).toBe("done");
  });

  test("makes days again from which on its source has other columns, and no others", () => {
    // A run that has mapped ahead ends with its form of the job, and its day begins with the next revision.
    const bench = atNight(daily({ workAhead: false }));
    bench.live(40_000);
    bench.register(versioned(undefined, "2026-01-16"));
    bench.live(60_000);
    expect(committed(bench).filter((run) => run.endsWith(".r2"))).toEqual(["usage.2026-01-16.r2"]);
    expect(stateOf(bench, "2026-01-15")).toBe("done");
  });

  test("does not make a day for which nobody has told the columns, and says so", () => {
    const bench = atNight(versioned("2026-01-15", "2026-01-16"));
    bench.live(40_000);
    expect(committed(bench).sort()).toEqual(["usage.2026-01-15.r1", "usage.2026-01-16.r1"]);
    expect(grid(bench).at(-1)).toMatch(
      /^2026-01-14 failed: the columns of source ipdr are told from 2026-01-15 on, not for 2026-01-14: add/,
    );
  });
});

describe("a source that is not the same in all forms of the job", () => {
  const [ipdr] = sampleJob().sources;
  if (ipdr === undefined) throw new Error("the sample has a source");
  const sms = { ...ipdr, name: "sms", path: "sms/day={day}/*.csv" };
  const both = { sources: [ipdr, sms] };
  const again = (bench: Bench) => committed(bench).filter((run) => !run.endsWith(".r1"));

  test("no model reads it: it is looked at, and makes no day again", () => {
    const bench = atNight(daily(both));
    bench.live(150_000);
    expect(committed(bench)).toHaveLength(4);
    expect(again(bench)).toEqual([]);
    expect(stateOf(bench, "2026-01-15")).toBe("done");
  });

  test("no model reads it: a day that failed for good is not run again and again", () => {
    const bench = atNight(daily(both));
    const torn = { code: "inputMalformed", message: "torn", detail: {} } as const;
    for (let second = 0; second < 60; second++) {
      bench.pass(1_000, [1]);
      for (const task of bench.takeTasks()) bench.fail(task, torn);
    }
    expect(stateOf(bench, "2026-01-16")).toBe("failed");
    const runs = [...bench.memory.manifests.keys()];
    expect(runs.filter((run) => run.includes("-16.r"))).toEqual(["usage.2026-01-16.r1"]);
  });

  test("it is new, or has gone: the job has changed, not its files", () => {
    const models = [{ name: "totals", sql: "SELECT 2", file: "totals.sql" }];
    const bench = atNight(daily({ workAhead: false }));
    bench.live(40_000);
    bench.register(daily({ ...both, models, workAhead: false }));
    bench.live(150_000);
    const changed = /^2026-01-15 stale: definition: .* it runs again on command/;
    expect(grid(bench).find((line) => line.startsWith("2026-01-15"))).toMatch(changed);
    expect(again(bench)).toEqual([]);
    bench.register(daily({ models, workAhead: false }));
    bench.live(90_000);
    expect(again(bench)).toEqual([]);
    expect(bench.backlog().days.find(({ day }) => day === "2026-01-15")?.files).toBe(4);
  });
});

/** The daily job; from `from` on, its source has one column more. Days before `first` are told by nobody. */
function versioned(first: string | undefined, from: string): JobSpec {
  const [source] = sampleJob().sources;
  if (source === undefined) throw new Error("the sample has a source");
  const columns = [...source.columns, { name: "app", type: "VARCHAR" }];
  const before = { ...(first && { from: first }), columns: source.columns };
  const sources = [{ ...source, columns, versions: [before, { from, columns }] }];
  return daily({ sources, onChange: "rerun", workAhead: false });
}

describe("what people say about days", () => {
  test("a held day is not started, and is on storage before that is confirmed", () => {
    const bench = new Bench();
    bench.memory.lookedAt.set("ipdr|2026-01-15", []);
    atNight(daily(), bench);
    bench.hold = ({ kind }) => kind === "saveDesk";
    const about = { job: "usage", day: "2026-01-15" };
    const mark = { kind: "markDay", ...about, mark: "held", reason: "bad feed" } as const;
    expect(bench.say(mark)).toBeUndefined();
    bench.hold = () => false;
    bench.release();
    expect(bench.memory.desks.get("usage")?.desk.days["2026-01-15"]?.held?.reason).toBe("bad feed");
    bench.memory.lookedAt.set("ipdr|2026-01-15", sampleFiles(4));
    bench.live(60_000);
    expect(grid(bench)).toContain("2026-01-15 held: bad feed");
    expect(bench.say({ ...mark, mark: "released", reason: "" })).toEqual({ kind: "said" });
    bench.live(20_000);
    expect(stateOf(bench, "2026-01-15")).toBe("done");
  });

  test("a paused backlog starts nothing, the live day runs", () => {
    const bench = new Bench();
    for (const day of ["14", "15"]) bench.memory.lookedAt.set(`ipdr|2026-01-${day}`, []);
    atNight(daily(), bench);
    const pause = {
      kind: "pauseBacklog",
      job: "usage",
      paused: true,
      reason: "maintenance",
    } as const;
    expect(bench.say(pause)).toEqual({ kind: "said" });
    bench.memory.lookedAt.clear();
    bench.live(150_000);
    expect(committed(bench).sort()).toEqual(["usage.2026-01-16.r1", "usage.2026-01-17.r1"]);
    expect(bench.backlog()).toMatchObject({ paused: "maintenance", toDo: 1 });
    expect(grid(bench).at(-1)).toMatch(/^2026-01-15 ready: .* → runs when the backlog goes on$/);
    bench.say({ ...pause, paused: false });
    bench.live(20_000);
    // The 14th has left the window of two days meanwhile.
    expect(committed(bench).sort()[0]).toBe("usage.2026-01-15.r1");
    expect(committed(bench)).toHaveLength(3);
  });

  test("what was said outlives a journal that is lost", () => {
    const bench = atNight();
    bench.live(40_000);
    const about = { job: "usage", day: "2026-01-17" };
    bench.say({ kind: "markDay", ...about, mark: "held", reason: "bad feed" });
    bench.memory.loseJournal();
    const next = new Bench(bench.memory, "c2");
    next.wallFrom = midnight + 2 * hourMs;
    next.lead();
    next.attach(1, { slots: 8 });
    next.live(60_000);
    expect(stateOf(next, "2026-01-17")).toBe("held");
    expect(committed(next).filter((run) => run.includes("-17"))).toEqual([]);
  });

  test("words that make no sense are refused", () => {
    const bench = atNight();
    const about = { kind: "markDay", job: "usage", day: "2026-01-15", mark: "held" } as const;
    const refusals = [
      bench.say({ ...about, job: "other", reason: "" }),
      bench.say({ ...about, day: "yesterday", reason: "" }),
      bench.say({ ...about, reason: "x".repeat(501) }),
      bench.say({ kind: "delivered", job: "usage", day: "2026-01-15", source: "sms" }),
    ].map((reply) => (reply?.kind === "failed" ? reply.failure.message : reply?.kind));
    expect(refusals).toEqual([
      'job "other" is not known; known jobs: usage',
      'day "yesterday" is not a date; write YYYY-MM-DD',
      "a reason has at most 500 characters, this one 501",
      'job usage has no source "sms"; it has ipdr',
    ]);
  });
});

describe("a day that fails", () => {
  test("is tried again after pauses as long as that may help, and after news", () => {
    const bench = atNight();
    const planned = bench.override;
    bench.override = (ask) =>
      ask.kind === "listInputs"
        ? {
            kind: "failed",
            failure: { code: "inputEmpty", message: "file 3 is empty", detail: {} },
          }
        : undefined;
    bench.live(30_000);
    expect(grid(bench)[2]).toBe(
      "2026-01-16 failed: usage.2026-01-16.r1 failed: file 3 is empty; it runs again when its input or the job changes, or on command",
    );
    bench.live(30 * 60_000);
    expect([...bench.memory.manifests.keys()].filter((run) => run.includes("-16"))).toHaveLength(1);
    bench.override = planned;
    bench.memory.inputs = sampleFiles(5);
    // Who mends its input does not wait for a minute.
    bench.live(15_000);
    expect(committed(bench)).toContain("usage.2026-01-16.r2");
  });
});

describe("a new leader", () => {
  test("goes on where the last one was: no day is run twice, none is left out", () => {
    const bench = atNight();
    bench.live(12_000);
    const before = committed(bench);
    const next = new Bench(bench.memory, "c2");
    next.wallFrom = midnight + hourMs + 60_000;
    next.lead();
    next.attach(1, { slots: 8 });
    next.live(120_000);
    const runs = committed(next).sort();
    expect(runs).toEqual(["14", "15", "16", "17"].map((day) => `usage.2026-01-${day}.r1`));
    expect(runs).toEqual(expect.arrayContaining(before));
    expect(grid(next).slice(1)).toEqual(
      ["17", "16", "15"].map((day) => `2026-01-${day} done: revision 1`),
    );
  });
});

describe("a deadline", () => {
  const warnings = (bench: Bench) =>
    bench.effects.flatMap((effect) =>
      effect.kind === "publishEvent" && effect.event.startsWith("deadline.")
        ? [`${effect.day} ${effect.event} ${effect.data["model"] ?? ""}`.trim()]
        : [],
    );

  test("is missed by a day that was never started, once, whoever leads", () => {
    const bench = new Bench();
    bench.memory.lookedAt.set("ipdr|2026-01-17", []);
    bench.memory.finishAfterMs = 2 * 60_000;
    atNight(daily({ finishBy: "01:02" }), bench);
    bench.pass(3 * 60_000, [1]);
    // What was due before the job was known is shown as missed; nobody is called for it.
    expect(warnings(bench)).toEqual(["2026-01-17 deadline.missed"]);
    expect(bench.backlog().days.at(-1)?.warned).toEqual(["missed"]);
    const next = new Bench(bench.memory, "c2");
    next.wallFrom = midnight + hourMs + 4 * 60_000;
    next.lead();
    next.pass(30_000);
    expect(warnings(next)).toEqual([]);
    expect(next.backlog().days.find(({ day }) => day === "2026-01-17")?.warned).toEqual(["missed"]);
  });

  test("nobody is called for days that a job takes up because it looks further back now", () => {
    const job = { finishBy: "01:02", workAhead: false } as const;
    const bench = atNight(daily(job));
    bench.live(30_000);
    bench.effects = [];
    bench.register(daily({ ...job, backlogDays: 5 }));
    bench.pass(2_000, [1]);
    expect(bench.backlog().days.at(-1)).toMatchObject({ day: "2026-01-11", warned: ["missed"] });
    expect(warnings(bench)).toEqual([]);
  });

  test.each([
    { what: "at 5 %, by the usual time", done: 0.05, usualMs: 600, projected: 1_600 },
    { what: "at half, by its own speed", done: 0.5, usualMs: 600, projected: 1_800 },
    { what: "at half, nothing known before", done: 0.5, usualMs: 0, projected: 1_800 },
    { what: "at 5 %, nothing known before", done: 0.05, usualMs: 0, projected: undefined },
  ])("is projected: $what", ({ done, usualMs, projected }) => {
    const about = { nowMs: 1_400, startMs: 900, usualMs };
    expect(projectedMs(about, { startedMs: 1_000, done })).toBe(projected);
  });

  test("what has not begun begins now, or at its start", () => {
    expect(projectedMs({ nowMs: 500, startMs: 900, usualMs: 600 }, undefined)).toBe(1_500);
    expect(projectedMs({ nowMs: 1_000, startMs: 900, usualMs: 600 }, undefined)).toBe(1_600);
  });
});
