/** What control files say, and what is said of those that can't be used. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readControlFile, ruleFilePath } from "../../shared/kernel/control-file.ts";

const day = "2026-01-15";
const context = {
  path: `raw/day=${day}/control.json`,
  day,
  sourcePath: "raw/day={day}/*.csv",
  isOfSource: (path: string) => /^raw\/day=2026-01-15\/[^/]+\.csv$/.test(path),
};

/** The announced paths and sizes, or the problem. */
function read(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const reading = readControlFile(text, context);
  if ("problem" in reading) return reading.problem.message.replace(/^control file [^:]*: /, "");
  return reading.announced.map(({ path, bytes }) => `${path} ${bytes ?? "-"}`).join(", ");
}

describe("names", () => {
  test("are taken beside the control file, or from the root where the source would read them so", () => {
    const files = [{ file: "b.csv", bytes: 1 }, { file: `raw/day=${day}/a.csv` }];
    expect(read({ day, files })).toBe(`raw/day=${day}/a.csv -, raw/day=${day}/b.csv 1`);
  });

  test("may stand there twice if both say the same", () => {
    expect(
      read({
        files: [
          { file: "a.csv", bytes: 1 },
          { file: "./a.csv", bytes: 1 },
        ],
      }),
    ).toBe(`raw/day=${day}/a.csv 1`);
    expect(
      read({
        files: [
          { file: "a.csv", bytes: 1 },
          { file: "a.csv", bytes: 2 },
        ],
      }),
    ).toBe(`it names raw/day=${day}/a.csv twice, with different values; correct it`);
  });

  test("that the source would never read are told: they would be waited for in vain", () => {
    expect(read({ files: [{ file: "a.parquet" }] })).toBe(
      `files[0]: the source's path raw/day={day}/*.csv does not match raw/day=${day}/a.parquet; ` +
        "correct the name or the path",
    );
  });

  test.each(["/etc/passwd", "../a.csv", "x/../../a.csv", "a\\b.csv", "a\0.csv"])(
    "never lead out of the root: %j",
    (file) => {
      expect(read({ files: [{ file }] })).toMatch(/^files\[0\]: the name must be relative/);
    },
  );
});

describe("a control file that can't be used says what is wrong and what to do", () => {
  test.each([
    ["", /^it ends in the middle: it is still being written, or was cut; write it under another/],
    ['{"files":[{"file":"a.c', /^it ends in the middle/],
    ['{"files":[{"file":"a.csv"}', /^it ends in the middle/],
    ['{"files":\n[{"file" "a.csv"}]}', /^it is no JSON.*; deliver it again$/],
    ["path,bytes\na.csv,1\n", /^it is no JSON/],
    [[], /^the file is no object/],
    [{}, /^there is no list `files`/],
    [{ files: {} }, /^there is no list `files`/],
    [{ files: [] }, /^it announces no file/],
    [{ files: ["a.csv"] }, /^files\[0\] is no object/],
    [{ files: [{ file: "a.csv" }, {}] }, /^files\[1\]: file must be the name of a file/],
    [{ files: [{ file: "a.csv", bytes: -1 }] }, /^files\[0\]: bytes must be a whole number/],
    [{ files: [{ file: "a.csv", bytes: "9" }] }, /^files\[0\]: bytes must be a whole number/],
    [{ files: [{ file: "a.csv", records: 0.5 }] }, /^files\[0\]: records must be a whole number/],
    [{ files: [{ file: "a.csv", sha256: "abc" }] }, /^files\[0\]: sha256 must be 64 hex/],
    [
      { day: "2026-01-14", files: [{ file: "a.csv" }] },
      /^it is for 2026-01-14, not 2026-01-15; deliver the day's own/,
    ],
  ])("%j", (text, message) => {
    expect(read(text)).toMatch(message);
  });
});

test("whatever is cut off or garbled is a problem or a value, never a crash", () => {
  const files = Array.from({ length: 5 }, (_, index) => ({ file: `f${index}.csv`, bytes: index }));
  const whole = `${JSON.stringify({ day, files }, undefined, 1)}\n`;
  for (let length = 0; length < whole.trimEnd().length; length++) {
    expect(read(whole.slice(0, length)), `${length} bytes`).toMatch(/^it ends in the middle/);
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((text) => `{"files":[${text}]}`),
      ),
      (text) => {
        const reading = readControlFile(text, context);
        expect("problem" in reading || reading.announced.length > 0).toBe(true);
      },
    ),
  );
});

test("a rule's file without a folder lies with the source's files", () => {
  expect(ruleFilePath("raw/ipdr/day={day}/gw=*/*.csv", "control.json")).toBe(
    "raw/ipdr/day={day}/control.json",
  );
  expect(ruleFilePath("raw/ipdr/{day}-*.csv", "{day}.json")).toBe("raw/ipdr/{day}.json");
  expect(ruleFilePath("{day}.csv", "{day}.json")).toBe("{day}.json");
  expect(ruleFilePath("raw/day={day}/*.csv", "control/{day}.json")).toBe("control/{day}.json");
});
