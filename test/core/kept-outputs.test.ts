/** Kept outputs and cuts as texts: what comes back, in which order, whatever was asked in between. */
import { describe, expect, test } from "vitest";
import type { TaskResult } from "../../coordinator/core/durable.ts";
import { KeptOutputs } from "../../coordinator/core/kept-outputs.ts";
import { packSplits, unpackSplits } from "../../coordinator/core/kept-splits.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";

const file: FileFingerprint = {
  path: 'raw/day=2026-01-15/a "quoted"\n\\ ✓ name.csv',
  size: 5,
  mtimeNs: "1768435200000000001",
  ctimeNs: "1768435200000000002",
  inode: "77",
};

/** An output with every member that one can have. */
function output(mapKey: string, rows = 7): TaskResult {
  return {
    attemptId: `${mapKey}-e1-1`,
    executor: "",
    outputs: [
      {
        exchange: "x0",
        digest: "d0",
        checksum: "18446744073709551615",
        rows,
        bytes: 8,
        messages: 1,
      },
      { exchange: "x1", digest: "d1", checksum: "0", rows: 0, bytes: 0, messages: 0 },
    ],
    files: [],
    accounts: [
      {
        file,
        contentSha256: "c0",
        plainBytes: 50,
        lines: 9,
        rows,
        rejects: 1,
        blank: 1,
        outsideDay: 2,
        lastLineUnterminated: true,
      },
    ],
    counters: { rowsIn: 9, bytesIn: 50, rowsOut: 7, bytesOut: 8, elapsedMs: 3, peakMemoryBytes: 4 },
    mapKey,
  };
}

describe("kept outputs", () => {
  test("come back as they were, also the members that few have", () => {
    const plain = output("k1");
    const full: TaskResult = {
      ...output("k2"),
      rejectsFile: "rejects/r.csv",
      lateFile: "late/l.csv",
      checkValue: null,
      files: [{ model: "m", path: "p", rows: 1, bytes: 2, sha256: "s" }],
    };
    const kept = new KeptOutputs();
    kept.set("k1", { ...plain, executor: "executor-1" });
    kept.set("k2", full);
    const read = new KeptOutputs(kept.text(), kept.size);
    for (const one of [kept, read]) {
      expect(one.get("k1")).toEqual(plain);
      expect(one.get("k2")).toEqual(full);
      expect(one.get("k3")).toBeUndefined();
      expect(one.attemptIds()).toEqual(["k1-e1-1", "k2-e1-1"]);
      expect([...one]).toEqual([
        ["k1", plain],
        ["k2", full],
      ]);
    }
  });

  test("are the same text whether they lie by key or not", () => {
    const kept = new KeptOutputs();
    for (const key of ["b", "a", "c"]) kept.set(key, output(key));
    const text = kept.text();
    kept.close();
    expect([kept.size, kept.text()]).toEqual([3, text]);
    expect(kept.has("a")).toBe(true);
    expect([kept.size, kept.text()]).toEqual([3, text]);
    // As in a map: a new value stays in the old place.
    kept.set("b", output("b", 8));
    kept.close();
    expect(kept.values().map(({ mapKey, outputs }) => [mapKey, outputs[0]?.rows])).toEqual([
      ["b", 8],
      ["a", 7],
      ["c", 7],
    ]);
    kept.delete("a");
    kept.delete("z");
    kept.close();
    expect([kept.size, kept.attemptIds()]).toEqual([2, ["b-e1-1", "c-e1-1"]]);
  });

  test("that are cleared are none, and others may come", () => {
    const kept = new KeptOutputs();
    kept.set("a", output("a"));
    kept.close();
    kept.clear();
    expect([kept.size, kept.text(), kept.has("a"), [...kept]]).toEqual([0, "", false, []]);
    kept.set("b", output("b"));
    expect(kept.attemptIds()).toEqual(["b-e1-1"]);
  });

  test("that differ are not equal", () => {
    const [one, other] = [new KeptOutputs(), new KeptOutputs()];
    one.set("a", output("a", 7));
    other.set("a", output("a", 7));
    one.close();
    expect(one).toEqual(other);
    other.set("a", output("a", 8));
    expect(one).not.toEqual(other);
  });
});

test("splits come back as they were, whole files and row ranges", () => {
  const splits = [
    { files: [file, { ...file, path: "b" }] },
    { files: [file], rows: { from: 0, to: 9 } },
  ];
  expect(unpackSplits(packSplits(splits))).toEqual(splits);
  expect(packSplits(unpackSplits(packSplits(splits)))).toBe(packSplits(splits));
  expect(unpackSplits(packSplits([]))).toEqual([]);
});
