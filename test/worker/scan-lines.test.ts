/**
 * Every line of a hostile file is a row, a reject or blank: nothing is lost, nothing counted twice, and what was
 * rejected is the line that stands in the file.
 */

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { CsvOptions } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import { query } from "./query.ts";
import { columns, context, copyWork, delivery, makeRoot, type Root, source } from "./setup.ts";

let root: Root;
beforeAll(() => {
  root = makeRoot();
});
afterAll(() => root.remove());

interface Outcome {
  readonly lines: number;
  readonly rows: (string | null)[][];
  readonly rejects: (string | null)[][];
  readonly blank: number;
  readonly unterminated: boolean;
}

async function scan(
  bytes: string | Buffer,
  types = "a BIGINT, b VARCHAR, c BIGINT",
  csv: Partial<CsvOptions> = {},
): Promise<Outcome> {
  const file = root.write("raw/hostile.csv", bytes);
  const spec = source({ columns: columns(types), csv: { ...plainCsv, ...csv } });
  const done = await runWork(copyWork(spec, [file]), delivery(), context(root));
  const [account] = done.accounts;
  const [staged] = done.files;
  return {
    lines: account?.lines ?? -1,
    rows:
      staged === undefined
        ? []
        : await query(`SELECT * FROM '${join(root.path, staged.path)}' ORDER BY ALL`),
    rejects:
      done.rejectsFile === undefined
        ? []
        : await query(
            `SELECT line, reason, raw FROM '${join(root.path, done.rejectsFile)}' ORDER BY line`,
          ),
    blank: account?.blank ?? -1,
    unterminated: account?.lastLineUnterminated ?? false,
  };
}

describe("lines of a file without quotes", () => {
  test("plain lines, blank lines, a last line without an end", async () => {
    expect(await scan("1,x,2\n\n3,y,4\n\n\n5,z,6")).toEqual({
      lines: 6,
      rows: [
        ["1", "x", "2"],
        ["3", "y", "4"],
        ["5", "z", "6"],
      ],
      rejects: [],
      blank: 3,
      unterminated: true,
    });
  });

  test("a wrong number of columns and a wrong type are one reject a line, with number and text", async () => {
    const seen = await scan("1,x,2\n3,y\n\nq,y,r\n1,2,3,4,5\n   \n7,z,8\n");
    expect(seen.rows).toEqual([
      ["1", "x", "2"],
      ["7", "z", "8"],
    ]);
    expect(seen.rejects).toEqual([
      ["2", "too few columns", "3,y"],
      ["4", "value does not fit column a", "q,y,r"],
      ["5", "too many columns", "1,2,3,4,5"],
      ["6", "too few columns", "   "],
    ]);
    expect(seen.blank).toBe(1);
  });

  test("empty columns too many at a line's end are a wrong number of columns", async () => {
    const seen = await scan("1,x,2\n3,y,4,\n5,z,\n6,v,7,,\r\n8,w,9,\r\n10,u,11,", undefined);
    expect(seen.rows).toEqual([
      ["1", "x", "2"],
      ["5", "z", null],
    ]);
    expect(seen.rejects).toEqual([
      ["2", "too many columns", "3,y,4,"],
      ["4", "too many columns", "6,v,7,,"],
      ["5", "too many columns", "8,w,9,"],
      ["6", "too many columns", "10,u,11,"],
    ]);
    const one = await scan("1\n2,\n,\n", "a BIGINT");
    expect(one.rows).toEqual([["1"]]);
    expect(one.rejects.map(([line, reason]) => [line, reason])).toEqual([
      ["2", "too many columns"],
      ["3", "too many columns"],
    ]);
  });

  test("so are NULLs too many, whatever text stands for them, and with delimiters of any length", async () => {
    const csv = { nullString: "NA", delimiter: "||" };
    const text = "1||x||NA\n2||y||3||NA\n4||z||5||\n6||NA||7\n8||NA||9||NA||NA\nNA||||NA||\n";
    const seen = await scan(text, undefined, csv);
    expect(seen.rows).toEqual([
      ["1", "x", null],
      ["6", null, "7"],
    ]);
    expect(seen.rejects.map(([line, reason]) => [line, reason])).toEqual(
      ["2", "3", "5", "6"].map((line) => [line, "too many columns"]),
    );
  });

  test("CR LF files read like LF files; a stray carriage return does not split its line", async () => {
    const seen = await scan("1,x,2\r\n\r\n3,y\ry,4\r\n5,z,6\n7,w,8\r");
    expect(seen.rows).toEqual([
      ["1", "x", "2"],
      ["5", "z", "6"],
      ["7", "w", "8"],
    ]);
    expect(seen.rejects).toEqual([["3", "carriage return inside the line", "3,y\ry,4"]]);
    expect(seen.blank).toBe(1);
  });

  test("a line longer than the limit, even than any buffer, is one reject", async () => {
    const long = `9,${"n".repeat(9_000_000)},9`;
    const seen = await scan(`1,x,2\n${long}\n3,y,4\nq,y,4\n${"m".repeat(2_000_001)}\n5,z,6\n`);
    expect(seen.rows.map((row) => row[0])).toEqual(["1", "3", "5"]);
    expect(seen.rejects.map(([line, reason]) => [line, reason])).toEqual([
      ["2", "line too long"],
      ["4", "value does not fit column a"],
      ["5", "line too long"],
    ]);
    expect(seen.rejects[0]?.[2]).toBe(long.slice(0, 4096));
    expect(seen.lines).toBe(6);
  });

  test("bytes that are no UTF-8 reject their line, NUL is a character like others", async () => {
    const bytes = Buffer.from("1,x,2\n3,\xff\xfe,4\n5,a\0b,6\n\0\n", "latin1");
    const seen = await scan(bytes);
    expect(seen.rows).toEqual([
      ["1", "x", "2"],
      ["5", "a\0b", "6"],
    ]);
    expect(seen.rejects.map(([line, reason]) => [line, reason])).toEqual([
      ["2", "not UTF-8"],
      ["4", "too few columns"],
    ]);
  });

  test("a byte order mark is no part of the first value", async () => {
    expect((await scan("\ufeff1,x,2\n")).rows).toEqual([["1", "x", "2"]]);
    expect(await scan("\ufeff\n1,x,2\n")).toMatchObject({ lines: 2, blank: 1 });
  });

  test("in a file of one column a blank line is an empty value", async () => {
    const seen = await scan("1\n\nx\n3\n\n", "a BIGINT");
    expect(seen).toMatchObject({ lines: 5, blank: 0 });
    expect(seen.rows).toEqual([["1"], ["3"], [null], [null]]);
    expect(seen.rejects).toEqual([["3", "value does not fit column a", "x"]]);
  });

  test("a header is no line; the same names in another order are refused", async () => {
    const seen = await scan("a,b,c\n1,x,2\nq,x,2\n", undefined, { header: true });
    expect(seen).toMatchObject({ lines: 2, rows: [["1", "x", "2"]] });
    expect(seen.rejects).toEqual([["3", "value does not fit column a", "q,x,2"]]);
    await expect(scan("c,b,a\n1,x,2\n", undefined, { header: true })).rejects.toMatchObject({
      failure: { code: "inputMalformed" },
    });
  });

  test("a header that is none is refused: it would be a lost record, and no value of it is told", async () => {
    for (const [text, csv] of [
      ["1,secret,2\n3,y,4\n", {}],
      ["\na,b,c\n1,x,2\n", {}],
      ["a,b\n1,x,2\n", {}],
      ["a,b,c,secret\n1,x,2\n", {}],
      ['1,"secret",2\n', { quote: '"', escape: '"' }],
    ] as const) {
      const refused = scan(text, undefined, { header: true, ...csv });
      await expect(refused, text).rejects.toMatchObject({
        failure: {
          code: "inputMalformed",
          message: expect.stringMatching(
            /file raw\/hostile.csv: its first line is not the header a,b,c; .*`header: false`/,
          ),
        },
      });
      await expect(refused).rejects.not.toThrow(/secret/);
    }
  });

  test("a header may be quoted, spaced, in capitals, behind a byte order mark, and long", async () => {
    const quoted = { header: true, quote: '"', escape: '"' };
    const seen = await scan('\ufeffA, "b" ,"C"\r\n1,x,2\r\n', undefined, quoted);
    expect(seen).toMatchObject({ lines: 1, rows: [["1", "x", "2"]] });
    const names = Array.from({ length: 300 }, (_, i) => `a_rather_long_column_${i}`);
    const text = `${names.join(",")}\n${names.map(() => "x").join(",")}\n`;
    const types = names.map((name) => `${name} VARCHAR`).join(", ");
    expect(await scan(text, types, { header: true })).toMatchObject({ lines: 1, rejects: [] });
  });

  test("a null string holds for all types; an empty field is then a value like others", async () => {
    const seen = await scan("1,NA,2\nNA,,NA\n3,x,\n", undefined, { nullString: "NA" });
    expect(seen.rows).toEqual([
      ["1", null, "2"],
      [null, "", null],
    ]);
    expect(seen.rejects).toEqual([["3", "value does not fit column c", "3,x,"]]);
  });
});

describe("lines of a file with declared quotes", () => {
  const quoted = { quote: '"', escape: '"' };

  test("quoted delimiters, doubled quotes and line feeds belong to the value", async () => {
    const seen = await scan('1,"x,""y""",2\n3,"two\nlines",4\n', undefined, quoted);
    expect(seen).toMatchObject({ lines: 2, rejects: [] });
    expect(seen.rows).toEqual([
      ["1", 'x,"y"', "2"],
      ["3", "two\nlines", "4"],
    ]);
  });

  test("a column too many is one, whether it is quoted, empty or NULL", async () => {
    const text =
      '1,"x",2,\n3,"y",4,""\n5,z,"6"\n7,"two\nlines",8,\n9,v,10,\n11,"a,b,c",12\n13,"w",14,15\n';
    const seen = await scan(text, undefined, quoted);
    expect(seen.rows.map((row) => row[0])).toEqual(["5", "11"]);
    expect(seen.rejects.map(([line, reason]) => [line, reason])).toEqual(
      ["1", "2", "4", "5", "7"].map((line) => [line, "too many columns"]),
    );
  });

  test("a quote that is never closed costs its own line, not the rest of the file", async () => {
    const seen = await scan('1,"x",2\n3,"y,4\n5,z,6\n7,w,8\n', undefined, quoted);
    expect(seen.rows.map((row) => row[0])).toEqual(["1", "5", "7"]);
    expect(seen.rejects).toEqual([["2", "quote not closed", '3,"y,4']]);
  });

  test("text after a closing quote gives up the line in which the quote began", async () => {
    const seen = await scan('1,"x,2\n3,y,4\n5,"z"q,6\n7,w,8\n', undefined, quoted);
    expect(seen.rows.map((row) => row[0])).toEqual(["3", "7"]);
    expect(seen.rejects).toEqual([
      ["1", "text after a closing quote", '1,"x,2'],
      ["3", "text after a closing quote", '5,"z"q,6'],
    ]);
  });
});

describe("files of mostly bad lines", () => {
  test("keep each line's number and reason, however dense they are", async () => {
    const kinds = ["1,x,2", "q,x,2", "3,y", "4,z,5,6", ""];
    const lines = Array.from({ length: 15_000 }, (_, i) => kinds[i % 5] ?? "");
    const seen = await scan(`a,b,c\n${lines.join("\n")}\n`, undefined, { header: true });
    expect(seen).toMatchObject({ lines: 15_000, blank: 3_000 });
    expect(seen.rows.length).toBe(3_000);
    expect(seen.rejects.length).toBe(9_000);
    for (const [line, reason, raw] of seen.rejects) {
      const kind = (Number(line) - 2) % 5;
      const reasons = ["", "value does not fit column a", "too few columns", "too many columns"];
      expect([reason, raw]).toEqual([reasons[kind], kinds[kind]]);
    }
  });

  test("keep number and text also where they lie in one run among good ones", async () => {
    const isBad = (line: number) => line > 10_000 && line <= 16_000;
    const lines = Array.from({ length: 30_000 }, (_, i) => (isBad(i + 1) ? `q${i + 1},x` : "1,x"));
    const seen = await scan(`${lines.join("\n")}\n`, "a BIGINT, b VARCHAR");
    expect(seen).toMatchObject({ lines: 30_000, blank: 0 });
    expect(seen.rows.length).toBe(24_000);
    expect(seen.rejects).toEqual(
      Array.from({ length: 6_000 }, (_, at) => [
        `${10_001 + at}`,
        "value does not fit column a",
        `q${10_001 + at},x`,
      ]),
    );
  });

  test("are all counted, but only so many are kept, and the rejects file says so", async () => {
    const seen = await scan("1\n".repeat(130_000), "a BIGINT, b BIGINT");
    expect(seen).toMatchObject({ lines: 130_000, rows: [], blank: 0 });
    const [note] = seen.rejects.filter(([line]) => line === null);
    const kept = seen.rejects.length - 1;
    expect(kept).toBeGreaterThanOrEqual(100_000);
    expect(note?.[1]).toBe(
      `${130_000 - kept} more rejected lines of this file are counted but not kept`,
    );
  });
});
