/** `daymill gc`: a report in parts, made of the judgements that the leader acts on; what goes is removed unless it is a dry run. */
import { describe, expect, test } from "vitest";
import type { Answer, Ask } from "../../coordinator/core/protocol.ts";
import { failed } from "../../scripts/simulation/cluster-memory.ts";
import { exchangePrefix } from "../../shared/kernel/exchange-names.ts";
import type { GcReport } from "../../shared/kernel/gc.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { DayRevisions, RevisionFolder } from "../../shared/kernel/manifest.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const dayMs = 86_400_000;

function folder(revision: number, state: "committed" | "aborted" = "committed"): RevisionFolder {
  const manifest = { state, arrangedBy: 1, wallMs: 0, late: [] } as const;
  return { revision, arrangedBy: 1, datasets: ["_rejects", "totals"], bytes: [5, 100], manifest };
}

/** A leader whose storage has these days; what it removes is kept. */
function leader(days: readonly DayRevisions[]) {
  const bench = new Bench();
  const removed: string[] = [];
  bench.override = (ask: Ask): Answer | undefined => {
    if (ask.kind === "listStaging" && ask.isMeasured) {
      const runs = bench.memory.stagedRuns();
      return { kind: "staging", runs, bytes: runs.map(() => 70) };
    }
    if (ask.kind === "dropRevision") {
      const { datasets, run } = ask;
      const what = datasets === "all" ? "all" : datasets.join("+");
      removed.push(`${run.job} ${run.day} r${run.revision} ${what}`);
    }
    if (ask.kind === "dropStaging") removed.push(ask.run);
    if (ask.kind !== "listRevisions") return undefined;
    const { from, daysMax } = ask;
    const keyOf = (of: { job: string; day: string }) => `${of.job}|${of.day}`;
    const left = days.filter((one) => from === undefined || keyOf(one) >= keyOf(from));
    const next = left[daysMax];
    const listed = { kind: "revisions", days: left.slice(0, daysMax) } as const;
    return next === undefined ? listed : { ...listed, next: { job: next.job, day: next.day } };
  };
  bench.wallFrom = 40 * dayMs;
  bench.lead();
  bench.attach(1, { slots: 8 });
  removed.length = 0;
  return { bench, removed };
}

function report(bench: Bench, job = "", dryRun = true): GcReport {
  const reply = bench.tidy({ kind: "gc", job, dryRun });
  if (reply?.kind !== "gc") throw new Error(JSON.stringify(reply));
  return reply.report;
}

const lines = ({ items }: GcReport) =>
  items.map(({ kind, job, day: of, name, bytes, goes, why }) => {
    const place = [job, of, name].filter((text) => text !== "").join(" ");
    return `${goes ? "-" : "+"} ${kind} ${place} ${bytes}: ${why}`;
  });

const twoJobs: readonly DayRevisions[] = [
  { job: "hourly", day: "2026-01-14", folders: [folder(1, "aborted")] },
  { job: "usage", day, folders: [1, 2, 3, 4, 5].map((revision) => folder(revision)) },
];

describe("the report", () => {
  test("begins with what belongs to no job and the first job, and goes on job by job", () => {
    const { bench, removed } = leader(twoJobs);
    bench.memory.files.set("staging/gone.2026-01-01.r3/a/totals-0.parquet", []);
    const stray = `${exchangePrefix("test")}0123456789abcdef0123_x0_n1_g0`;
    bench.memory.streams.set(stray, new Map());
    bench.memory.streamBytes.set(stray, 900);
    const first = report(bench);
    expect(lines(first)).toEqual([
      "- unused hourly 2026-01-14 r1-e1 _rejects, totals 105: no manifest names it",
      "- staging gone.2026-01-01.r3 70: its run has ended",
      `- exchange ${stray} 900: no run and no kept output is in it`,
      expect.stringMatching(
        /^\+ journal \d+ records? since the last snapshot \d+: goes behind the next snapshot: after 5000 records or 1048576 bytes$/,
      ),
    ]);
    expect(first.next).toBe("usage");
    expect(first.totals).toMatchObject({ goes: 3, goesBytes: 105 + 70 + 900, stays: 1 });
    const second = report(bench, "usage");
    expect(second.next).toBe("");
    // Nobody knows of a committed revision: it is shown next, and nothing is superseded.
    expect(lines(second).filter((line) => line.includes("revision"))).toEqual(
      [1, 2, 3, 4, 5].map(
        (n) => `+ revision usage ${day} r${n}-e1 totals 100: it is committed, and shown next`,
      ),
    );
    expect(removed).toEqual([]);
    expect(bench.memory.streams.has(stray)).toBe(true);
  });

  test("without --dry-run all of it goes at once, and nothing else", () => {
    const { bench, removed } = leader(twoJobs);
    bench.memory.files.set("staging/gone.2026-01-01.r3/a/totals-0.parquet", []);
    const stray = `${exchangePrefix("test")}0123456789abcdef0123_x0_n1_g0`;
    bench.memory.streams.set(stray, new Map());
    expect(report(bench, "", false).totals.goes).toBe(3);
    expect(removed).toEqual(["gone.2026-01-01.r3", "hourly 2026-01-14 r1 all"]);
    expect(bench.memory.streams.has(stray)).toBe(false);
  });

  test("says of each what the leader's own look does", () => {
    const { bench, removed } = leader(twoJobs);
    const job = sampleJob({ retention: { revisions: 1, rejectsDays: 30, lateDays: 90 } });
    for (let revision = 1; revision <= 5; revision++) {
      bench.submit(job, { rerun: revision > 1 });
      bench.work();
    }
    const goes = lines(report(bench, "usage")).filter((line) => line.startsWith("-"));
    expect(goes).toEqual([
      ...[1, 2, 3].flatMap((n) => [
        `- revision usage ${day} r${n}-e1 totals 100: superseded: the newest 1 stay`,
        `- rejects usage ${day} r${n}-e1 _rejects 5: older than 30 d`,
      ]),
      `- rejects usage ${day} r4-e1 _rejects 5: older than 30 d`,
      `- rejects usage ${day} r5-e1 _rejects 5: older than 30 d`,
    ]);
    removed.length = 0;
    bench.pass(limits.retentionAfterRunMs + limits.tickEveryMs, [1]);
    const byItself = [...new Set(removed.splice(0))];
    report(bench, "usage", false);
    expect(removed).toEqual(byItself);
    expect(removed).toEqual([
      ...[1, 2, 3].map((n) => `usage ${day} r${n} all`),
      ...[4, 5].map((n) => `usage ${day} r${n} _rejects`),
    ]);
  });

  test("a live run and whoever is sent rows hold a revision back", () => {
    const { bench } = leader(twoJobs);
    const job = sampleJob({ retention: { revisions: 0, rejectsDays: 300, lateDays: 300 } });
    for (let revision = 1; revision <= 5; revision++) {
      bench.submit(job, { rerun: revision > 1 });
      bench.work();
    }
    const revision = { job: "usage", day, revision: 2 };
    const gone = () =>
      report(bench, "usage").items.flatMap(({ goes, name }) => (goes ? [name.slice(0, 2)] : []));
    expect(gone()).toEqual(["r1", "r2", "r3", "r4"]);
    for (let n = 0; n < 2; n++) bench.tidy({ kind: "pin", revision, isPinned: true });
    bench.tidy({ kind: "pin", revision, isPinned: false });
    expect(gone()).toEqual(["r1", "r3", "r4"]);
    bench.tidy({ kind: "pin", revision, isPinned: false });
    bench.submit(job, { rerun: true });
    expect(gone()).toEqual([]);
    expect(lines(report(bench))).toContainEqual(
      expect.stringMatching(/^\+ exchange usage 2026-01-15 .*: a run of the day is under way$/),
    );
    bench.work();
    expect(gone()).toEqual(["r1", "r2", "r3", "r4", "r5"]);
  });

  test("a storage that fails is said, and whoever asks a coordinator that stops leading is told", () => {
    const { bench } = leader(twoJobs);
    const before = bench.override;
    bench.override = (ask) =>
      ask.kind === "listRevisions" ? failed("storageFailed", "no") : before(ask);
    expect(bench.tidy({ kind: "gc", job: "", dryRun: true })).toMatchObject({
      kind: "failed",
      failure: { code: "storageFailed" },
    });
    expect(bench.state.reports.size).toBe(0);
    bench.override = before;
    bench.hold = (ask) => ask.kind === "listRevisions";
    for (let n = 0; n < limits.gcAtOnceMax; n++) {
      expect(bench.tidy({ kind: "gc", job: "", dryRun: true })).toBeUndefined();
    }
    expect(bench.tidy({ kind: "gc", job: "", dryRun: true })).toMatchObject({
      failure: { code: "unavailable" },
    });
    bench.effects = [];
    bench.post({ kind: "stop" });
    const told = bench.effects.filter((effect) => effect.kind === "reply");
    expect(told.map((effect) => effect.result)).toMatchObject(
      Array.from({ length: limits.gcAtOnceMax }, () => ({ failure: { code: "noLeader" } })),
    );
  });
});

test("a round takes bytes of all days of a job together, those that it saw before too", () => {
  const days = [13, 14, 15].map((n) => ({
    job: "usage",
    day: `2026-01-${n}`,
    folders: [folder(1), folder(2)],
  }));
  const { bench, removed } = leader(days);
  const retention = { revisions: 9, rejectsDays: 300, lateDays: 300, revisionsBytes: 150 };
  for (const { day: of } of days) {
    for (const rerun of [false, true]) {
      bench.submit(sampleJob({ retention }), { day: of, rerun });
      bench.work();
    }
  }
  bench.pass(limits.retentionAfterRunMs + limits.tickEveryMs, [1]);
  expect(removed.filter((one) => one.startsWith("usage 20"))).toEqual([]);
  bench.state.oldFiles.nextLookAt = 0;
  bench.pass(limits.tickEveryMs, [1]);
  expect(removed.filter((one) => one.startsWith("usage 20"))).toEqual([
    "usage 2026-01-13 r1 totals",
    "usage 2026-01-14 r1 totals",
  ]);
});

test("a day of the window loses nothing, nor does any day while the window is not known", () => {
  const of = (date: string) => ({ job: "usage", day: date, folders: [folder(1), folder(2)] });
  const { bench } = leader([of("2026-01-10"), of("2026-01-16")]);
  // 02:00 of 18 January: the window of two days begins with the 15th.
  bench.wallFrom = Date.parse("2026-01-18T02:00:00Z") - bench.at;
  bench.hold = (ask) => ask.kind === "planCalendar";
  const retention = { revisions: 0, rejectsDays: 0, lateDays: 0 };
  bench.register(sampleJob({ schedule: "0 1 * * *", backlogDays: 2, retention }));
  for (const date of ["2026-01-10", "2026-01-16"]) {
    for (const rerun of [false, true]) {
      bench.submit("usage", { day: date, rerun });
      bench.work();
    }
  }
  const why = () =>
    new Set(
      report(bench, "usage").items.map(
        ({ day: on, goes, why: text }) => `${on} ${goes ? "goes" : text}`,
      ),
    );
  const shown = ["2026-01-10 readers see it", "2026-01-16 readers see it"];
  const notKnown = "the window of the job is not known yet";
  expect(why()).toEqual(new Set([`2026-01-10 ${notKnown}`, `2026-01-16 ${notKnown}`, ...shown]));
  bench.hold = () => false;
  bench.release();
  bench.pass(2_000, [1]);
  bench.work();
  bench.work();
  expect(why()).toEqual(new Set(["2026-01-10 goes", "2026-01-16 in the backlog window", ...shown]));
});

test("kept outputs go when the day's last run is older than the backlog, and not while they are in the window", () => {
  const kept = (bench: Bench) => [...bench.state.durable.kept.values()].map((one) => one.day);
  const { bench } = leader([]);
  bench.submit(sampleJob({ backlogDays: 2 }));
  bench.work();
  bench.at += 2 * dayMs - 60_000;
  bench.lead();
  bench.pass(limits.tickEveryMs);
  expect(kept(bench)).toEqual([day]);
  bench.at += 120_000;
  bench.lead();
  expect(kept(bench)).toEqual([]);
});
