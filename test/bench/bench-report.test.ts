/** What the bench tells from what it measured, as values. */
import { expect, test } from "vitest";
import { exchangeTable, median, summarize, wayTable } from "../../scripts/bench-report.ts";

const MiB = 1024 * 1024;

test("the median of an odd and an even number of runs", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 2, 9])).toBe(3);
});

test("ratios are speeds relative to the first way", () => {
  const ways = summarize(1_000_000, [
    {
      name: "ours",
      seconds: [4, 2, 3],
      peakBytes: 512 * MiB,
      exchangeBytes: 64 * MiB,
      exchangeRows: 1_250_000,
    },
    { name: "plain", seconds: [6, 6, 7], peakBytes: 900 * MiB },
  ]);
  expect(ways.map((way) => [way.medianSeconds, way.recordsPerSecond, way.ratio])).toEqual([
    [3, 333_333, 1],
    [6, 166_667, 0.5],
  ]);
  expect(wayTable(ways)).toEqual([
    "way    median s  records/s  ratio  peak MiB  exchanged MiB  rows/row",
    "ours       3.00     333333   1.00     512.0           64.0     1.250",
    "plain      6.00     166667   0.50     900.0              -         -",
  ]);
});

test("the exchange's speed is per core: rows over processor time", () => {
  const figures = [
    { name: "to", rows: 2_000_000, seconds: 0.5, cpuSeconds: 0.8, heapBytes: 10_000_000 },
    { name: "from", rows: 2_000_000, seconds: 0.5, cpuSeconds: 0.5, heapBytes: 1_000_000 },
  ];
  expect(exchangeTable(figures)).toEqual([
    "exchange alone     rows  rows/s per core   rows/s  heap MB per M rows",
    "to              2000000          2500000  4000000                 5.0",
    "from            2000000          4000000  4000000                 0.5",
  ]);
});
