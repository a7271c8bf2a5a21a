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
import type { RunStatus, StageStatus } from "../../shared/adapters/grpc-types.ts";
import { emptyRun, stage as scan } from "./fake-coordinator.ts";

const reduce: StageStatus = {
  ...scan,
  id: "s1",
  label: "reduce x0",
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
    "  scan ipdr ██████░░░░░░░░░░░░░░░░░░    4/16  2 running  1.23 M rows  286 MiB  617 k rows/s  1 failed attempts",
    "  reduce x0 ░░░░░░░░░░░░░░░░░░░░░░░░     0/8",
  ]);
});

test("on 80 columns the bar gives way, not the figures", () => {
  const stage = { ...scan, label: "reduce x1+x2+x3+x4+x5", running: 0, failedAttempts: 0 };
  expect(progressLines({ ...run, stages: [stage] }, 3_000, 80)[1]).toBe(
    "  reduce x1+x2+x3+x4+x5 ██░░░░░░░░    4/16  1.23 M rows  286 MiB  617 k rows/s",
  );
});

test("lines never wrap on a narrow terminal", () => {
  const lines = progressLines(run, 3_000, 40);
  expect(lines.map((line) => line.length).every((length) => length <= 40)).toBe(true);
  expect(lines[1]?.endsWith("…")).toBe(true);
});

test("a bar is full only when all is done", () => {
  expect([bar(0), bar(0.999), bar(1)].map((text) => text.split("█").length - 1)).toEqual([
    0, 23, 24,
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
