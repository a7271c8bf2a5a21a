/** Old files: what goes, what stays, and when the leader looks. */
import { describe, expect, test } from "vitest";
import type { Answer, Ask } from "../../coordinator/core/protocol.ts";
import {
  type FilesContext,
  judgeFiles,
  type Removal,
  removalsOf,
} from "../../coordinator/core/retention.ts";
import { failed } from "../../scripts/simulation/cluster-memory.ts";
import type { RetentionSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { DayRevisions, RevisionFolder } from "../../shared/kernel/manifest.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const dayMs = 86_400_000;
const retention = { revisions: 2, rejectsDays: 30, lateDays: 90 };

/** `committed 3`: revision 3 was committed from its folder, `ageDays` ago. */
function committed(
  revision: number,
  ageDays = 0,
  more: Partial<RevisionFolder> = {},
): RevisionFolder {
  const manifest = {
    state: "committed",
    arrangedBy: 1,
    wallMs: -ageDays * dayMs,
    late: ["ipdr_late"],
  } as const;
  return {
    revision,
    arrangedBy: 1,
    datasets: ["_rejects", "ipdr_late", "totals"],
    manifest,
    ...more,
  };
}

function aborted(revision: number): RevisionFolder {
  const manifest = { state: "aborted", arrangedBy: 1, wallMs: 0, late: [] } as const;
  return { revision, arrangedBy: 1, datasets: ["totals"], manifest };
}

const ofDay = (...folders: RevisionFolder[]): DayRevisions => ({ job: "usage", day, folders });

/** Of a job without a window, with no run and no reader, at the instant 0. */
function known(shown: number, spec: RetentionSpec, more: Partial<FilesContext> = {}): FilesContext {
  return {
    retention: spec,
    committed: () => shown,
    isLive: () => false,
    isPinned: () => false,
    windowFrom: undefined,
    wallMs: 0,
    ...more,
  };
}

const gone = (of: DayRevisions, shown: number, spec: RetentionSpec = retention) =>
  removalsOf(judgeFiles([of], known(shown, spec)));

const show = (removals: readonly Removal[]) =>
  removals.map(({ revision, arrangedBy, datasets, why }) => {
    const what = datasets === "all" ? "all" : datasets.join("+");
    return `r${revision}-e${arrangedBy} ${what}: ${why}`;
  });

describe("what goes", () => {
  test("superseded revisions beyond the number that is kept; rejects and late records stay their time", () => {
    const all = [1, 2, 3, 4, 5].map((revision) => committed(revision));
    expect(show(gone(ofDay(...all), 5))).toEqual([
      "r1-e1 totals: superseded: the newest 2 stay",
      "r2-e1 totals: superseded: the newest 2 stay",
    ]);
    expect(show(gone(ofDay(...all), 5, { ...retention, revisions: 0 }))).toEqual(
      [1, 2, 3, 4].map((revision) => `r${revision}-e1 totals: superseded: the newest 0 stay`),
    );
    expect(gone(ofDay(...all), 5, { ...retention, revisions: 4 })).toEqual([]);
  });

  test("rejects and late records by their age, those of the committed revision too", () => {
    const old = ofDay(committed(1, 31), committed(2, 30), committed(3, 91));
    expect(show(gone(old, 3))).toEqual([
      "r1-e1 _rejects: older than 30 d",
      "r3-e1 _rejects+ipdr_late: older than 30 d",
    ]);
    const veryOld = ofDay(committed(1, 91), committed(2), committed(3), committed(4));
    expect(show(gone(veryOld, 4))).toEqual(["r1-e1 all: superseded: the newest 2 stay"]);
  });

  test("a dataset may be called like late records: it is the committed one's own", () => {
    const manifest = { state: "committed", arrangedBy: 1, wallMs: -400 * dayMs, late: [] } as const;
    expect(gone(ofDay(committed(1, 400, { datasets: ["ipdr_late"], manifest })), 1)).toEqual([]);
  });

  test("whole folders that no manifest names, once their revision has one", () => {
    const manifest = { state: "committed", arrangedBy: 4, wallMs: 0, late: [] } as const;
    const tries = [2, 3, 4].map((arrangedBy) => committed(2, 0, { arrangedBy, manifest }));
    expect(show(gone(ofDay(aborted(1), ...tries), 2))).toEqual([
      "r1-e1 all: no manifest names it",
      "r2-e2 all: no manifest names it",
      "r2-e3 all: no manifest names it",
    ]);
  });

  test("nothing of a revision without a manifest, nor of one that is committed and not shown yet", () => {
    const open = { revision: 4, arrangedBy: 9, datasets: ["totals"] };
    const all = ofDay(committed(1), committed(2), committed(3), open);
    // Readers still see revision 1: 2 and 3 are to come.
    expect(gone(all, 1, { ...retention, revisions: 0 })).toEqual([]);
    expect(gone(all, 0, { ...retention, revisions: 0 })).toEqual([]);
  });

  test("an emptied folder itself, at last", () => {
    const emptied = ofDay(
      committed(1, 0, { datasets: [] }),
      committed(2),
      committed(3),
      committed(4),
    );
    expect(show(gone(emptied, 4))).toEqual(["r1-e1 all: superseded: the newest 2 stay"]);
  });
});

/** A leader with these days on storage; what it asks is kept. */
function leader(days: () => readonly DayRevisions[]) {
  const bench = new Bench();
  const asks: Ask[] = [];
  bench.override = (ask): Answer | undefined => {
    if (ask.kind !== "listRevisions" && ask.kind !== "dropRevision") return undefined;
    asks.push(ask);
    if (ask.kind === "dropRevision") return { kind: "ok" };
    const { from, daysMax } = ask;
    const left = days().filter((one) => from === undefined || one.day >= from.day);
    const next = left[daysMax];
    const listed = { kind: "revisions", days: left.slice(0, daysMax) } as const;
    return next === undefined ? listed : { ...listed, next: { job: next.job, day: next.day } };
  };
  bench.lead();
  bench.attach(1, { slots: 8 });
  const taken = () => asks.splice(0);
  const drops = () =>
    taken().flatMap((ask) =>
      ask.kind === "dropRevision" ? [`${ask.run.day} r${ask.run.revision}`] : [],
    );
  return { bench, taken, drops };
}

const dayN = (n: number) => new Date(Date.UTC(2026, 0, n)).toISOString().slice(0, 10);

describe("when", () => {
  test("after a run's end its day is looked at, under the leader's epoch", () => {
    const { bench, taken, drops } = leader(() => [ofDay(committed(1), committed(2), committed(3))]);
    const job = sampleJob({ retention: { revisions: 0, rejectsDays: 1, lateDays: 1 } });
    for (let revision = 1; revision <= 3; revision++) {
      bench.submit(job, { rerun: true });
      expect(drops(), "while a run is live").toEqual([]);
      bench.work();
    }
    taken();
    bench.pass(limits.retentionAfterRunMs + limits.tickEveryMs, [1]);
    // Each of the three ends was looked at; the folder would be gone after the first.
    const asked = taken();
    expect(asked.filter((ask) => ask.kind === "listRevisions").length).toBe(3);
    expect(asked).toContainEqual({
      kind: "dropRevision",
      id: expect.any(Number),
      epoch: 1,
      run: { job: "usage", day, revision: 1 },
      arrangedBy: 1,
      datasets: ["totals"],
    });
  });

  test("a round goes over all days, a few at a time, and comes again", () => {
    const days = Array.from({ length: limits.retentionDaysPerLookMax + 2 }, (_, n) => ({
      job: "usage",
      day: dayN(n + 1),
      folders: [aborted(1)],
    }));
    const { bench, drops } = leader(() => days);
    expect(drops()).toEqual(days.slice(0, -2).map((one) => `${one.day} r1`));
    bench.pass(limits.retentionLookEveryMs + limits.tickEveryMs, [1]);
    expect(drops()).toEqual(days.slice(-2).map((one) => `${one.day} r1`));
    bench.pass(limits.retentionLookEveryMs * 3, [1]);
    expect(drops()).toEqual([]);
    bench.at += limits.retentionRoundEveryMs;
    bench.lead();
    bench.pass(limits.tickEveryMs);
    expect(drops().length).toBe(limits.retentionDaysPerLookMax);
  });

  test("a look that finds too much stops between days and goes on there", () => {
    const folders = Array.from({ length: limits.retentionDropsPerLookMax }, (_, n) =>
      aborted(n + 1),
    );
    const { bench, drops } = leader(() =>
      [1, 2].map((n) => ({ job: "usage", day: dayN(n), folders })),
    );
    expect(new Set(drops().map((one) => one.slice(0, 10)))).toEqual(new Set([dayN(1)]));
    bench.pass(limits.retentionLookEveryMs + limits.tickEveryMs, [1]);
    expect(new Set(drops().map((one) => one.slice(0, 10)))).toEqual(new Set([dayN(2)]));
  });

  test("a look that fails is made again soon; a removal that fails is found by a later look", () => {
    const { bench, taken } = leader(() => []);
    bench.state.oldFiles.nextLookAt = 0;
    const before = bench.override;
    bench.override = (ask) =>
      ask.kind === "listRevisions" ? failed("storageFailed", "no") : before(ask);
    bench.pass(limits.tickEveryMs, [1]);
    bench.override = before;
    taken();
    bench.pass(limits.retentionLookEveryMs + limits.tickEveryMs, [1]);
    expect(taken().map((ask) => ask.kind)).toEqual(["listRevisions"]);
  });
});
