/** Which of several files with one content counts, and what is known before anything is read: values. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findDuplicates, knownDuplicates } from "../../coordinator/core/duplicates.ts";
import { emptySums, newTask, type Stage } from "../../coordinator/core/durable.ts";
import type { FileAccount, FileFingerprint } from "../../shared/kernel/work.ts";

const day = "2026-01-15";

function file(name: string, version = 1): FileFingerprint {
  const path = `raw/day=${day}/${name}.csv`;
  const [mtimeNs, inode] = [String(version), name];
  return { path, size: 100, mtimeNs, ctimeNs: mtimeNs, inode };
}

function account(of: FileFingerprint, contentSha256: string, rows = 10): FileAccount {
  const counts = { plainBytes: 100, lines: rows, rows, rejects: 0, blank: 0, outsideDay: 0 };
  return { file: of, contentSha256, ...counts, lastLineUnterminated: false };
}

/** A scan whose tasks read so much: `a=1` is file a with content 1. */
function scan(tasks: readonly (readonly string[])[], former?: number): Stage {
  const accounts = tasks.map((texts) =>
    texts.map((text) => {
      const [name = "", content = ""] = text.split("=");
      return account(file(name), content, content === "empty" ? 0 : 10);
    }),
  );
  const sizes = { rowsIn: 1, bytesIn: 1, rowsOut: 1, bytesOut: 1 };
  return {
    id: "s0",
    kind: "scan",
    splits: accounts.map((own) => ({ files: own.map((one) => one.file) })),
    ...(former === undefined ? {} : { former }),
    tasks: accounts.map((own, index) => ({
      ...newTask(),
      result: {
        attemptId: `attempt-${index}`,
        executor: "e1",
        outputs: [],
        files: [],
        accounts: own,
        counters: { ...sizes, elapsedMs: 1, peakMemoryBytes: 1 },
      },
    })),
    waiting: new Set(),
    done: tasks.length,
    reused: 0,
    failedAttempts: 0,
    startedMs: 1,
    endedMs: 1,
    sums: emptySums(),
  };
}

/** `task: file → the one that counts`. */
function found(stage: Stage): string[] {
  const name = ({ path }: FileFingerprint) => path.replace(/^.*\/|\.csv$/g, "");
  return findDuplicates(stage).map((one) => `${one.task}: ${name(one.file)} → ${name(one.twin)}`);
}

describe("what counts of files with one content", () => {
  test("is the first in the order of the paths, in whatever tasks they were", () => {
    expect(found(scan([["c=1", "d=2"], ["a=1"], ["b=1", "e=3"]]))).toEqual([
      "0: c → a",
      "2: b → a",
    ]);
    expect(found(scan([["b=1", "a=1", "c=1"]]))).toEqual(["0: b → a", "0: c → a"]);
    expect(found(scan([["a=1"], ["b=2"], ["c=3"]]))).toEqual([]);
  });

  test("is one that an earlier run of the day cut, though a new one has a lower path", () => {
    expect(found(scan([["m=1", "z=2"], ["n=3"], ["a=1", "b=3", "y=2"]], 2))).toEqual([
      "2: a → m",
      "2: b → n",
      "2: y → z",
    ]);
  });

  test("files without a record, and those whose content is not known, are not judged", () => {
    expect(found(scan([["a=empty", "b=empty"], ["c=empty"]]))).toEqual([]);
    expect(found(scan([["a="], ["b="], ["c="]]))).toEqual([]);
  });

  test("a Parquet file that is read by ranges is one file, and the same as one that has the same ranges", () => {
    const cut = (tasks: readonly string[], from = tasks.map((_, at) => at % 2)) => {
      const stage = scan(tasks.map((text) => [text]));
      const splits = stage.splits.map((split, at) => {
        const start = (from[at] ?? 0) * 100;
        return { ...split, rows: { from: start, to: start + 100 } };
      });
      return { ...stage, splits };
    };
    expect(found(cut(["a=1", "a=1", "a=1"]))).toEqual([]);
    expect(found(cut(["a=1", "a=2", "b=1", "b=3"]))).toEqual([]);
    expect(found(cut(["b=1", "b=2", "a=1", "a=2"]))).toEqual(["0: b → a", "1: b → a"]);
    expect(found(cut(["b=1", "b=2", "a=2", "a=1"], [0, 1, 1, 0]))).toEqual([
      "0: b → a",
      "1: b → a",
    ]);
    expect(found(cut(["a=1", "a=2", "b=2", "b=1"]))).toEqual([]);
    expect(found(cut(["a=1", "a=", "b=1", "b="]))).toEqual([]);
  });

  test("is the same for any order of tasks, and exactly one of each content", () => {
    const contents = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 12 });
    const cases = contents.chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc.shuffledSubarray([...list.keys()], { minLength: list.length }),
        fc.integer({ min: 1, max: 4 }),
      ),
    );
    fc.assert(
      fc.property(cases, ([list, order, size]) => {
        const names = order.map((at) => `${String.fromCharCode(97 + at)}=${list[at]}`);
        const groups = Array.from({ length: Math.ceil(names.length / size) }, (_, at) =>
          names.slice(at * size, (at + 1) * size),
        );
        const left = new Set(findDuplicates(scan(groups)).map((one) => one.file.path));
        const counting = [...list.keys()].filter(
          (at) => !left.has(file(String.fromCharCode(97 + at)).path),
        );
        const firsts = list.flatMap((content, at) => (list.indexOf(content) === at ? [at] : []));
        expect(counting).toEqual(firsts);
      }),
    );
  });
});

describe("what is known before anything is read", () => {
  const [a, b, c] = [file("a"), file("b"), file("c")];
  const listed = { source: "ipdr", files: [a, b, c] };
  const pair = { file: b, twin: a, contentSha256: "1" };

  test("is what an earlier run left out, as long as both files are what they were", () => {
    expect(knownDuplicates(listed, [pair])).toEqual([pair]);
    expect(knownDuplicates({ ...listed, files: [a, file("b", 2)] }, [pair])).toEqual([]);
    expect(knownDuplicates({ ...listed, files: [file("a", 2), b] }, [pair])).toEqual([]);
    expect(knownDuplicates({ ...listed, files: [b, c] }, [pair])).toEqual([]);
  });

  test("is what a control file says, but never both files of a pair, nor one that has gone", () => {
    const twins = [
      { path: c.path, twin: a.path, contentSha256: "2" },
      { path: a.path, twin: c.path, contentSha256: "2" },
      { path: b.path, twin: c.path, contentSha256: "2" },
      { path: b.path, twin: "raw/gone.csv", contentSha256: "2" },
      { path: b.path, twin: b.path, contentSha256: "2" },
    ];
    expect(knownDuplicates({ ...listed, twins }, [])).toEqual([
      { file: c, twin: a, contentSha256: "2", by: "control" },
    ]);
  });
});
