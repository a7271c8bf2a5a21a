/** Which days a history holds, and what a run sees of a job that reads one. */
import { describe, expect, test } from "vitest";
import { daysRead, historyTables, scannedDays, withHistory } from "../../shared/kernel/history.ts";
import type { HistorySpec } from "../../shared/kernel/job.ts";
import { dayAfter, daysBefore } from "../../shared/kernel/time.ts";
import { sampleJob } from "../sim/sample-job.ts";

const job = (history: HistorySpec) =>
  sampleJob({ models: [{ name: "week", sql: "SELECT 1", file: "w.sql", history: [history] }] });

describe("the days that are scanned", () => {
  test.each([
    ["the run makes its own day", { dataset: "totals", days: 3 }, "2026-02-28 2026-03-01"],
    ["the days before it", { dataset: "totals", days: 2, ownDay: false }, "2026-02-28 2026-03-01"],
    [
      "another job's, its own day among them",
      { dataset: "totals", days: 3, job: "other" },
      "2026-02-28 2026-03-01 2026-03-02",
    ],
    [
      "another job's, without it",
      { dataset: "totals", days: 1, job: "other", ownDay: false },
      "2026-03-01",
    ],
  ] as const)("%s", (_, spec, days) => {
    const [table] = historyTables(job(spec));
    expect(table && daysRead("2026-03-02", scannedDays(table)).join(" ")).toBe(days);
  });
});

test("days before a day, over leap days and years", () => {
  const walked = ["2023-12-30"];
  while (walked.length < 500) walked.push(dayAfter(walked.at(-1) ?? ""));
  expect(walked.map((_, index) => daysBefore(walked[499] ?? "", 499 - index))).toEqual(walked);
  expect(daysBefore("2024-03-01", 1)).toBe("2024-02-29");
  expect(daysBefore("2026-03-01", 0)).toBe("2026-03-01");
  expect(daysBefore("0000-01-02", 5)).toBe("0000-01-01");
});

test("a run sees the days as one more source, whose equal files all count", () => {
  const plain = sampleJob();
  expect(withHistory(plain, {})).toBe(plain);
  const columns = [{ name: "day", type: "DATE" }];
  const table = { table: "t", job: "usage", dataset: "totals", first: 1, last: 1, columns };
  const seen = withHistory({ ...plain, duplicates: { ipdr: "keep" } }, { history: [table] });
  expect(seen.sources.map(({ name, format, history }) => [name, format, history])).toEqual([
    ["ipdr", "csv", undefined],
    ["t", "parquet", { isOwn: true }],
  ]);
  expect(seen.duplicates).toEqual({ ipdr: "keep", t: "keep" });
});
