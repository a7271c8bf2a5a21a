/** How a day's files are cut: every row in exactly one split, whatever the sizes and the history. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CutOptions, cutSource } from "../../coordinator/core/splits.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { FileFingerprint, Split } from "../../shared/kernel/work.ts";

const options: CutOptions = { format: "csv", splitBytes: 1_000, slots: 1, former: [] };

function files(...sizes: number[]): FileFingerprint[] {
  return sizes.map((size, index) => ({
    path: `f${String(index).padStart(4, "0")}`,
    size,
    mtimeNs: "1",
    ctimeNs: "1",
    inode: String(index),
  }));
}

/** `f0+f1 | f2`: what is read together. */
function shown(splits: readonly Split[]): string {
  const one = ({ files: read, rows }: Split) =>
    read.map((file) => Number(file.path.slice(1))).join("+") +
    (rows === undefined ? "" : `[${rows.from},${rows.to})`);
  return splits.map(one).join(" | ");
}

describe("CSV", () => {
  test("whole files in path order, up to the target", () => {
    const listed = { source: "s", files: files(400, 400, 400, 1_500, 10, 10) };
    expect(shown(cutSource(listed, options))).toBe("0+1+2 | 3 | 4+5");
  });

  test("gzip counts for what it holds", () => {
    const listed = { source: "s", files: files(250, 250, 250) };
    expect(shown(cutSource(listed, { ...options, format: "csv.gz" }))).toBe("0 | 1 | 2");
    expect(shown(cutSource(listed, options))).toBe("0+1 | 2");
  });

  test("no slot stands idle while there are files", () => {
    const listed = { source: "s", files: files(...Array.from({ length: 12 }, () => 10)) };
    const splits = cutSource(listed, { ...options, slots: 6 });
    expect(splits.length).toBe(12);
  });

  test("a split never has more files than a journal record may name", () => {
    const listed = { source: "s", files: files(...Array.from({ length: 1_200 }, () => 0)) };
    const counts = cutSource(listed, options).map((split) => split.files.length);
    expect(Math.max(...counts)).toBe(limits.filesPerSplitMax);
    expect(counts.reduce((sum, count) => sum + count)).toBe(1_200);
  });
});

describe("Parquet", () => {
  test("a large file is cut by rows at multiples of a row group", () => {
    const listed = { source: "s", files: files(3_000, 100), rows: [400_000, 10] };
    const splits = cutSource(listed, { ...options, format: "parquet" });
    expect(shown(splits)).toBe(
      "0[0,122880) | 0[122880,245760) | 0[245760,368640) | 0[368640,400000) | 1",
    );
  });

  test("a small row count is not cut", () => {
    const listed = { source: "s", files: files(3_000), rows: [100] };
    expect(shown(cutSource(listed, { ...options, format: "parquet" }))).toBe("0");
  });
});

describe("a day that was cut before", () => {
  const before = cutSource({ source: "s", files: files(400, 400, 400, 400) }, options);

  test("keeps its groups; late files form new ones", () => {
    const listed = { source: "s", files: files(400, 400, 400, 400, 5, 6) };
    expect(shown(before)).toBe("0+1 | 2+3");
    expect(shown(cutSource(listed, { ...options, former: before }))).toBe("0+1 | 2+3 | 4+5");
  });

  test("drops vanished files from their group, and takes changed ones as they are now", () => {
    const now = files(400, 400, 900, 400).filter((_, index) => index !== 0);
    const splits = cutSource({ source: "s", files: now }, { ...options, former: before });
    expect(shown(splits)).toBe("1 | 2+3");
    expect(splits[1]?.files[0]?.size).toBe(900);
  });

  test("cuts a changed Parquet file anew", () => {
    const parquet = { ...options, format: "parquet" } as const;
    const former = cutSource({ source: "s", files: files(3_000), rows: [300_000] }, parquet);
    const [file] = files(3_000);
    if (file === undefined) throw new Error("one file");
    const listed = { source: "s", files: [{ ...file, mtimeNs: "2" }], rows: [130_000] };
    const splits = cutSource(listed, { ...parquet, former });
    expect(shown(splits)).toBe("0[0,122880) | 0[122880,130000)");
  });
});

test("any history: each file, or each row of it, is read exactly once", () => {
  const day = fc.array(fc.tuple(fc.nat(2_000), fc.nat(500_000)), { minLength: 1, maxLength: 20 });
  const formats = fc.constantFrom("csv", "csv.gz", "parquet") as fc.Arbitrary<CutOptions["format"]>;
  fc.assert(
    fc.property(formats, fc.array(day, { minLength: 1, maxLength: 4 }), (format, days) => {
      let former: readonly Split[] = [];
      days.forEach((sizes, version) => {
        const now = files(...sizes.map(([size]) => size)).map((file) => ({
          ...file,
          mtimeNs: String(file.size % 2 === 0 ? version : 0),
        }));
        const rows = sizes.map(([, count]) => count);
        const listed = { source: "s", files: now, ...(format === "parquet" ? { rows } : {}) };
        // Rows of an unchanged file don't change.
        if (format === "parquet" && version > 0) former = [];
        const splits = cutSource(listed, { ...options, format, former });
        const read = splits.flatMap((split) =>
          split.files.map((file) => ({ file, rows: split.rows })),
        );
        for (const [index, file] of now.entries()) {
          const mine = read.filter((one) => one.file.path === file.path);
          const ranges = mine.flatMap((one) => (one.rows === undefined ? [] : [one.rows]));
          if (ranges.length === 0) expect(mine).toHaveLength(1);
          else expect(ranges.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(rows[index]);
          for (const one of mine) expect(one.file).toEqual(file);
        }
        former = splits;
      });
    }),
    { numRuns: 100 },
  );
});
