/** What people see of a run, as values. */
import { describe, expect, test } from "vitest";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatShort,
  formatTable,
  formatTime,
} from "../../client/format.ts";
import { bar, changeLines, progressLines } from "../../client/progress.ts";
import { datasetsTable, runSummary, runsTable } from "../../client/views.ts";
import type { RunStatus, StageStatus } from "../../shared/adapters/grpc-types.ts";
import { stageLabel } from "../../shared/kernel/status.ts";
import { emptyRun, stage as scan } from "./fake-coordinator.ts";

const reduce: StageStatus = {
  ...scan,
  id: "s1",
  label: "reduce usage",
  tasks: 8,
  running: 0,
  done: 0,
  failedAttempts: 0,
  rowsIn: 0,
  bytesIn: 0,
  state: "waiting",
  startedMs: 0,
};
const run: RunStatus = { ...emptyRun, createdMs: 1_000, stages: [scan, reduce] };

test("bars per stage on a terminal", () => {
  expect(progressLines(run, 3_000, 120)).toEqual([
    "ipdr-daily.2026-01-15.r1  running  2.0 s",
    "  scan ipdr    ██████░░░░░░░░░░░░░░░░░░    4/16  2 running  1.23 M rows  286 MiB  617 k rows/s  1 failed attempt",
    "  reduce usage ░░░░░░░░░░░░░░░░░░░░░░░░     0/8",
  ]);
});

describe("on 80 columns", () => {
  const makes = ["usage_hourly", "subscriber_daily", "subscriber_segment"];
  const label = "reduce usage_hourly, subscriber_daily +1";
  const stage = { ...scan, label, makes, running: 0, failedAttempts: 0 };
  const line = (change: Partial<StageStatus>) =>
    progressLines({ ...run, stages: [{ ...stage, ...change }] }, 3_000, 80)[1];

  test("the bar and the list of names give way, not the figures", () => {
    expect(line({})).toBe(
      "  reduce usage_hourly +2 ██░░░░░░░░    4/16  1.23 M rows  286 MiB  617 k rows/s",
    );
  });

  test("then whole figures, the least telling first", () => {
    expect(line({ running: 2 })).toBe(
      "  reduce usage_hourly +2 ██░░░░░░░░    4/16  2 running  1.23 M rows",
    );
    expect(line({ running: 2, failedAttempts: 1 })).toBe(
      "  reduce usage_hourly +2 ██░░░░░░░░    4/16  1.23 M rows  1 failed attempt",
    );
  });

  test("files that don't count are told before anything else", () => {
    expect(line({ running: 2, duplicates: 3 })).toBe(
      "  reduce usage_hourly +2 ██░░░░░░░░    4/16  1.23 M rows  3 duplicate files",
    );
    const one = { ...run, endedMs: 2_000, stages: [{ ...scan, duplicates: 1 }, reduce] };
    const note = "duplicate files that do not count: 1";
    expect(runSummary(one)).toContain(`  ${note}`);
    expect(runsTable([one, run]).filter((text) => text.includes("duplicate"))).toEqual([
      `${run.runId}: ${note}`,
    ]);
  });

  test("a source with a long name is cut", () => {
    expect(line({ label: "scan a_source_with_a_long_name", makes: [], rowsIn: 0 })).toBe(
      "  scan a_source_with_a_l… ██░░░░░░░░    4/16  286 MiB",
    );
  });
});

test("lines never wrap on a narrow terminal", () => {
  const lines = progressLines(run, 3_000, 24);
  expect(lines.map((line) => line.length).every((length) => length <= 24)).toBe(true);
  expect(lines[1]?.endsWith("…")).toBe(true);
});

test("a stage is called by what it makes, as far as there is room", () => {
  const names = ["usage_hourly", "subscriber_daily", "app_daily"];
  expect([60, 40, 28, 24, 14].map((room) => stageLabel("reduce", names, room))).toEqual([
    "reduce usage_hourly, subscriber_daily, app_daily",
    "reduce usage_hourly, subscriber_daily +1",
    "reduce usage_hourly +2",
    "reduce usage_hourly +2",
    "reduce usa… +2",
  ]);
  expect(stageLabel("scan", ["ipdr"], 40)).toBe("scan ipdr");
  expect(stageLabel("scan", ["x".repeat(50)], 20)).toBe(`scan ${"x".repeat(14)}…`);
});

test("a bar is full only when all is done", () => {
  expect([bar(0), bar(0.999), bar(1)].map((text) => text.split("█").length - 1)).toEqual([
    0, 23, 24,
  ]);
});

test("the lane is told where it is not the usual one", () => {
  const backlog = { ...run, lane: "backlog" };
  expect(progressLines(backlog, 3_000, 120)[0]).toBe(
    "ipdr-daily.2026-01-15.r1  running (backlog)  2.0 s",
  );
  expect(runSummary(backlog)[0]).toBe("ipdr-daily.2026-01-15.r1: running (backlog)");
  // Raised while somebody watches.
  expect(changeLines(backlog, run)).toEqual(["ipdr-daily.2026-01-15.r1: running"]);
  expect(changeLines({ ...run, lane: "ahead" }, backlog)).toEqual([
    "ipdr-daily.2026-01-15.r1: running (backlog)",
  ]);
  const [head, , ...lines] = runsTable([run, backlog]);
  expect([head, ...lines].map((line) => line?.split(/ +/).slice(0, 3))).toEqual([
    ["RUN", "LANE", "STATE"],
    ["ipdr-daily.2026-01-15.r1", "live", "running"],
    ["ipdr-daily.2026-01-15.r1", "backlog", "running"],
  ]);
});

describe("plain lines tell changes only", () => {
  test("the first status", () => {
    expect(changeLines(undefined, run)).toEqual([
      "ipdr-daily.2026-01-15.r1: running",
      "ipdr-daily.2026-01-15.r1: scan ipdr: 4/16 tasks, 1.23 M rows in",
    ]);
  });
  test("one more task is no news, a quarter is", () => {
    const one = { ...run, stages: [{ ...scan, done: 5 }, reduce] };
    const four = { ...run, stages: [{ ...scan, done: 8 }, reduce] };
    expect(changeLines(run, one)).toEqual([]);
    expect(changeLines(run, four)).toEqual([
      "ipdr-daily.2026-01-15.r1: scan ipdr: 8/16 tasks, 1.23 M rows in",
    ]);
  });
  test("the end comes last, after stages and new warnings", () => {
    const stages = [{ ...scan, done: 16, state: "done" }, reduce];
    const warnings = ["check app_daily-1 gave 3"];
    const done = { ...run, stages, state: "committed", endedMs: 9_000, warnings };
    expect(changeLines(run, done)).toEqual([
      "ipdr-daily.2026-01-15.r1: scan ipdr: 16/16 tasks, 1.23 M rows in",
      "ipdr-daily.2026-01-15.r1: check app_daily-1 gave 3",
      "ipdr-daily.2026-01-15.r1: committed",
    ]);
  });
});

test("numbers as people read them", () => {
  expect([formatCount(1_234_567), formatCount(123n), formatCount(-1234)]).toEqual([
    "1,234,567",
    "123",
    "-1,234",
  ]);
  expect([0, 999, 1_000, 12_345, 6e12].map(formatShort)).toEqual([
    "0",
    "999",
    "1.00 k",
    "12.3 k",
    "6.00 T",
  ]);
  expect([5, 1_536, 10 * 1024 ** 2].map(formatBytes)).toEqual(["5 B", "1.50 KiB", "10.0 MiB"]);
  expect([400, 12_300, 185_000, 7_400_000].map(formatDuration)).toEqual([
    "0.4 s",
    "12 s",
    "3 min 05 s",
    "2 h 03 min",
  ]);
  expect([formatTime(0), formatTime(Date.UTC(2026, 0, 15, 6, 0, 12))]).toEqual([
    "-",
    "2026-01-15 06:00:12Z",
  ]);
});

test("tables: numbers right, texts left, control characters harmless", () => {
  expect(
    formatTable(
      ["app", "bytes", "share"],
      [
        ["video", 9007199254740993n, 0.25],
        ["bad\u001b[2J", 7n, null],
      ],
    ),
  ).toEqual([
    "app                 bytes  share",
    "────────────────────────────────",
    "video    9007199254740993   0.25",
    "bad·[2J                 7      -",
  ]);
});

test("a table on a terminal keeps whole columns; a pipe gets all of them", () => {
  const header = ["app", "SIZE", "share"];
  const rows = [["video", "1.78 MiB", 0.25] as const, ["web", "5 B", 0.5] as const];
  const figures = ["SIZE"];
  expect(formatTable(header, rows, { figures, lineMax: 15 })).toEqual([
    "app        SIZE",
    "───────────────",
    "video  1.78 MiB",
    "web         5 B",
    "no room for: share",
  ]);
  expect(formatTable(header, rows, { figures, lineMax: 2 })[0]).toBe("app");
  expect(formatTable(header, rows, { figures })[2]).toBe("video  1.78 MiB   0.25");
});

test("datasets that differ in their names only are said to be in one place", () => {
  const entry = { rows: 159_661, files: 8, bytes: 1_866_000, columns: [] };
  const at = (dataset: string, path: string) => ({ ...entry, dataset, path });
  const one = at("usage", "/data/out/usage/day=2026-01-15");
  expect(datasetsTable([one, at("apps", "/data/out/apps/day=2026-01-15")])).toEqual([
    "DATASET     ROWS  FILES      SIZE",
    "─────────────────────────────────",
    "usage    159,661      8  1.78 MiB",
    "apps     159,661      8  1.78 MiB",
    "in /data/out/DATASET/day=2026-01-15",
  ]);
  expect(datasetsTable([one, at("apps", "/elsewhere/apps")])[3]).toBe(
    "apps     159,661      8  1.78 MiB  /elsewhere/apps",
  );
});
