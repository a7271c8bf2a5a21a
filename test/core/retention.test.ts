/** What goes of a job's files and what holds it back: one judgement, whoever asks. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FilesContext, judgeFiles, removalsOf } from "../../coordinator/core/retention.ts";
import type { DayRevisions, RevisionFolder } from "../../shared/kernel/manifest.ts";

const dayMs = 86_400_000;

function context(more: Partial<FilesContext> = {}): FilesContext {
  return {
    retention: { revisions: 1, rejectsDays: 30, lateDays: 90 },
    committed: () => 3,
    isLive: () => false,
    isPinned: () => false,
    windowFrom: undefined,
    wallMs: 0,
    ...more,
  };
}

function folder(
  revision: number,
  ageDays: number,
  state: "committed" | "aborted" | "quarantined" = "committed",
): RevisionFolder {
  const manifest = { state, arrangedBy: 1, wallMs: -ageDays * dayMs, late: ["ipdr_late"] } as const;
  const datasets = ["_rejects", "ipdr_late", "totals"];
  return { revision, arrangedBy: 1, datasets, bytes: [10, 20, 400], manifest };
}

function dayOf(day: string, ...folders: RevisionFolder[]): DayRevisions {
  return { job: "usage", day, folders };
}

const threeOf = (day: string, age = 1) =>
  dayOf(day, ...[1, 2, 3].map((revision) => folder(revision, age)));

/** `15 r1 revision 400: why` of what goes, or of all with `+` and `-` before it. */
function lines(days: readonly DayRevisions[], of: FilesContext, all = false): readonly string[] {
  return judgeFiles(days, of)
    .filter(({ goes }) => all || goes)
    .map(({ day, revision, kind, bytes, goes, why }) => {
      const sign = all ? (goes ? "- " : "+ ") : "";
      return `${sign}${day.slice(8)} r${revision} ${kind} ${bytes}: ${why}`;
    });
}

describe("what holds files back", () => {
  const three = [threeOf("2026-01-15", 100)];

  test("every part has a verdict with its reason, its bytes and its age", () => {
    expect(lines(three, context(), true)).toEqual([
      "- 15 r1 revision 400: superseded: the newest 1 stay",
      "- 15 r1 rejects 10: older than 30 d",
      "- 15 r1 late 20: older than 90 d",
      "+ 15 r2 revision 400: one of the newest 1 superseded",
      "- 15 r2 rejects 10: older than 30 d",
      "- 15 r2 late 20: older than 90 d",
      "+ 15 r3 revision 400: readers see it",
      "- 15 r3 rejects 10: older than 30 d",
      "- 15 r3 late 20: older than 90 d",
    ]);
    expect(judgeFiles(three, context())[0]?.ageMs).toBe(100 * dayMs);
  });

  test("a run of the day, a reader, the backlog window, a window that is not known yet", () => {
    expect(lines(three, context({ isLive: () => true }))).toEqual([]);
    expect(lines(three, context({ windowFrom: "2026-01-15" }))).toEqual([]);
    expect(lines(three, context({ windowFrom: "not known yet" }))).toEqual([]);
    expect(lines(three, context({ windowFrom: "2026-01-16" })).length).toBe(7);
    const read = context({ isPinned: (day, revision) => `${day} ${revision}` === "2026-01-15 1" });
    expect(lines(three, read).filter((line) => line.includes(" r1 "))).toEqual([]);
    expect(lines(three, read, true)).toContain("+ 15 r1 revision 400: somebody reads it");
  });

  test("quarantine, with its rejected lines, until a newer revision is committed", () => {
    const day = dayOf("2026-01-15", folder(3, 100), folder(4, 100, "quarantined"));
    expect(lines([day], context(), true).filter((line) => line.includes(" r4 "))).toEqual([
      "+ 15 r4 revision 400: it is in quarantine",
      "+ 15 r4 rejects 10: it is in quarantine",
      "+ 15 r4 late 20: it is in quarantine",
    ]);
    const over = context({
      committed: () => 5,
      retention: { revisions: 0, rejectsDays: 30, lateDays: 90 },
    });
    expect(lines([day], over)).toContain("15 r4 revision 400: superseded: the newest 0 stay");
  });

  test("what no manifest names goes from the window, too, but not beside a live run", () => {
    const day = dayOf("2026-01-15", folder(2, 0, "aborted"));
    const inWindow = context({ windowFrom: "2026-01-01" });
    expect(lines([day], inWindow)).toEqual(["15 r2 unused 430: no manifest names it"]);
    expect(lines([day], context({ isLive: () => true }))).toEqual([]);
  });

  test("no manifest yet: nothing of it", () => {
    const open = { revision: 4, arrangedBy: 9, datasets: ["totals"], bytes: [7] };
    expect(lines([dayOf("2026-01-15", open)], context(), true)).toEqual([
      "+ 15 r4 revision 7: it has no manifest yet, and may still be committed",
    ]);
  });
});

describe("bounds", () => {
  const retention = { revisions: 9, rejectsDays: 900, lateDays: 900 };
  const days = ["2026-01-13", "2026-01-14", "2026-01-15"].map((day) => threeOf(day));

  test("an age for superseded revisions beside their number; what readers see has none", () => {
    const day = dayOf("2026-01-15", folder(1, 41), folder(2, 40), folder(3, 400));
    const aged = context({ retention: { ...retention, revisionsDays: 40 } });
    expect(lines([day], aged)).toEqual(["15 r1 revision 400: older than 40 d"]);
  });

  test("bytes over all days of the job: the newest stay, what readers see does not count", () => {
    const bounded = context({ retention: { ...retention, revisionsBytes: 1_200 } });
    const why = "with the newer ones over 1200 bytes";
    expect(lines(days, bounded)).toEqual([
      `13 r1 revision 400: ${why}`,
      `13 r2 revision 400: ${why}`,
      `14 r1 revision 400: ${why}`,
    ]);
    const rejects = context({ retention: { ...retention, rejectsBytes: 0, lateBytes: 60 } });
    expect(lines(days, rejects).filter((line) => line.includes("rejects")).length).toBe(9);
    expect(lines(days, rejects).filter((line) => line.includes("late")).length).toBe(6);
  });

  test("what is held back counts, and stays", () => {
    const bounded = context({
      retention: { ...retention, revisionsBytes: 500 },
      windowFrom: "2026-01-14",
    });
    expect(lines(days, bounded)).toEqual([
      "13 r1 revision 400: with the newer ones over 500 bytes",
      "13 r2 revision 400: with the newer ones over 500 bytes",
    ]);
  });

  test("some of the days show a part of what goes, never more", () => {
    const some = fc.record({
      ages: fc.array(fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 4 }), { maxLength: 6 }),
      take: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
      bytes: fc.option(fc.integer({ min: 0, max: 6_000 }), { nil: undefined }),
      shown: fc.integer({ min: 0, max: 5 }),
    });
    fc.assert(
      fc.property(some, ({ ages, take, bytes, shown }) => {
        const all = ages.map((of, n) =>
          dayOf(`2026-01-1${n}`, ...of.map((age, index) => folder(index + 1, age))),
        );
        const bounds = bytes === undefined ? {} : { revisionsBytes: bytes, rejectsBytes: bytes };
        const of = context({
          committed: () => shown,
          retention: { revisions: 2, rejectsDays: 30, lateDays: 40, revisionsDays: 50, ...bounds },
        });
        const whole = new Set(lines(all, of).map((line) => line.split(":")[0]));
        const part = lines(
          all.filter((_, n) => take[n]),
          of,
        ).map((line) => line.split(":")[0]);
        expect(part.filter((line) => !whole.has(line))).toEqual([]);
        // Never what readers see, and nothing that is not there.
        for (const { revision, datasets } of removalsOf(judgeFiles(all, of))) {
          if (revision === shown) expect(datasets).not.toContain("totals");
          if (revision === shown) expect(datasets).not.toBe("all");
        }
      }),
      { numRuns: 300 },
    );
  });
});
