/**
 * Small files are scanned many at a time; each still has an account, rejects and event times of its own, whatever lies
 * before and after it in the same scan.
 */

import { appendFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { CsvOptions, SourceSpec } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { AttemptSuccess } from "../../shared/kernel/work.ts";
import { query } from "./query.ts";
import { columns, context, copyWork, delivery, rootOfEachTest, source } from "./setup.ts";

const root = rootOfEachTest();

const texts: Readonly<Record<string, string>> = {
  "empty at the start": "",
  whole: "1,x,2\n3,y,4\n",
  "blank lines, no end": "\n5,z,6\n\n7,w,8",
  "bad lines": "q,x,2\n9,x\n9,x,9\n",
  "CR LF": "10,a,1\r\n11,b,2\r\n",
  "stray return": "12,a\rb,1\n13,b,2\n",
  "only bad": "x\ny\n",
  empty: "",
  last: "14,c,3\n",
};
/** Lines, rows, rejects, blank. */
const sums: Readonly<Record<string, readonly number[]>> = {
  "empty at the start": [0, 0, 0, 0],
  whole: [2, 2, 0, 0],
  "blank lines, no end": [4, 2, 0, 2],
  "bad lines": [3, 1, 2, 0],
  "CR LF": [2, 2, 0, 0],
  "stray return": [2, 1, 1, 0],
  "only bad": [2, 0, 2, 0],
  empty: [0, 0, 0, 0],
  last: [1, 1, 0, 0],
};

async function scanTexts(
  overrides: Partial<SourceSpec> = {},
  bytesOf: (text: string) => string | Buffer = (text) => text,
): Promise<AttemptSuccess> {
  const files = Object.entries(texts).map(([name, text]) =>
    root.write(`raw/${name}.csv`, bytesOf(text)),
  );
  const spec = source({ columns: columns("a BIGINT, b VARCHAR, c BIGINT"), ...overrides });
  return await runWork(copyWork(spec, files), delivery(), context(root));
}

function sumsOf(done: AttemptSuccess): Record<string, readonly number[]> {
  return Object.fromEntries(
    done.accounts.map(({ file, lines, rows, rejects, blank }) => [
      file.path.slice("raw/".length, -".csv".length),
      [lines, rows, rejects, blank],
    ]),
  );
}

async function rowsOf(done: AttemptSuccess): Promise<(string | null)[][]> {
  const path = join(root.path, done.files[0]?.path ?? "");
  return await query(`SELECT * FROM read_parquet('${path}') ORDER BY ALL`);
}

const header = (csv: Partial<CsvOptions> = {}) => ({ ...plainCsv, header: true, ...csv });

test("each file keeps its own sums, rows and rejects", async () => {
  const done = await scanTexts();
  expect(sumsOf(done)).toEqual(sums);
  const unterminated = done.accounts.filter((account) => account.lastLineUnterminated);
  expect(unterminated.map(({ file }) => file.path)).toEqual(["raw/blank lines, no end.csv"]);
  expect((await rowsOf(done)).map((row) => row[0])).toEqual(
    [1, 3, 5, 7, 9, 10, 11, 13, 14].map(String),
  );
  const rejects = join(root.path, done.rejectsFile ?? "");
  expect(await query(`SELECT file, line FROM read_parquet('${rejects}') ORDER BY ALL`)).toEqual([
    ["raw/bad lines.csv", "1"],
    ["raw/bad lines.csv", "2"],
    ["raw/only bad.csv", "1"],
    ["raw/only bad.csv", "2"],
    ["raw/stray return.csv", "1"],
  ]);
});

test("gzip and headers change nothing, and no plain copy stays", async () => {
  const zipped = await scanTexts({ format: "csv.gz" }, (text) => gzipSync(text));
  expect(sumsOf(zipped)).toEqual(sums);
  const headed = await scanTexts({ csv: header() }, (text) => `a,b,c\n${text}`);
  expect(sumsOf(headed)).toEqual(sums);
  expect(await rowsOf(headed)).toEqual(await rowsOf(zipped));
  expect(readdirSync(root.temp)).toEqual([]);
});

test("quoted sources, and columns called like the engine's own, are read file by file", async () => {
  const quoted = await scanTexts({ csv: { ...plainCsv, quote: '"', escape: '"' } });
  expect(sumsOf(quoted)).toEqual(sums);
  const named = await scanTexts({ columns: columns("a BIGINT, b VARCHAR, FILE_INDEX BIGINT") });
  expect(sumsOf(named)).toEqual(sums);
  expect((await rowsOf(named)).map((row) => row[2])).toEqual([
    "2",
    "4",
    "6",
    "8",
    "9",
    "1",
    "2",
    "2",
    "3",
  ]);
});

test("in files of one column a blank line is a row", async () => {
  const files = ["1\n\n2\n", "x\n", "\n3"].map((text, index) =>
    root.write(`raw/${index}.csv`, text),
  );
  const work = copyWork(source({ columns: columns("a BIGINT") }), files);
  const done = await runWork(work, delivery(), context(root));
  expect(Object.values(sumsOf(done))).toEqual([
    [3, 3, 0, 0],
    [1, 0, 1, 0],
    [2, 2, 0, 0],
  ]);
});

test("more files than one scan takes are counted on", async () => {
  const many = limits.scanBatchFilesMax * 2 + 5;
  const files = Array.from({ length: many }, (_, index) =>
    root.write(`raw/${index}.csv`, `${index},x,1\n`.repeat((index % 3) + 1)),
  );
  const spec = source({ columns: columns("a BIGINT, b VARCHAR, c BIGINT") });
  const seen: number[] = [];
  const progress = (rows: number): void => {
    seen.push(rows);
  };
  const done = await runWork(copyWork(spec, files), delivery(), context(root, { progress }));
  expect(done.accounts.map((account) => account.rows)).toEqual(files.map((_, i) => (i % 3) + 1));
  expect(seen.at(-1)).toBe(done.counters.rowsIn);
});

test("event times and rows outside the day belong to their file", async () => {
  const day = "2026-01-15";
  const files = ["inside", "mixed", "none", "late"].map((name, index) => {
    const times = [["10:00"], ["11:00", "x"], [], ["y", "z"]][index] ?? [];
    const lines = times.map((time) =>
      time.length > 1 ? `${day} ${time}:00,x\n` : "2026-01-16 00:00:00,x\n",
    );
    return root.write(`raw/${name}.csv`, lines.join(""));
  });
  const spec = source({
    columns: columns("ts TIMESTAMP, b VARCHAR"),
    eventTime: { column: "ts", unit: "ms", outside: "reject" },
  });
  const done = await runWork(copyWork(spec, files, { day }), delivery(), context(root));
  expect(done.accounts.map((account) => [account.rows, account.rejects])).toEqual([
    [1, 0],
    [1, 1],
    [0, 0],
    [0, 2],
  ]);
  expect(done.accounts.map((account) => account.outsideDay)).toEqual([0, 1, 0, 2]);
});

test("a file that changes before its scan is over is named, and nothing of the scan is used", async () => {
  const files = ["a", "b", "c"].map((name) =>
    root.write(`raw/${name}.csv.gz`, gzipSync("1,x,2\n".repeat(200_000), { level: 1 })),
  );
  const spec = source({ columns: columns("a BIGINT, b VARCHAR, c BIGINT"), format: "csv.gz" });
  const running = runWork(copyWork(spec, files), delivery(), context(root));
  const second = (name: string) => existsSync(join(root.temp, name, "plain-1.csv"));
  let changed = false;
  const watching = setInterval(() => {
    if (changed || !readdirSync(root.temp).some(second)) return;
    changed = true;
    appendFileSync(join(root.path, "raw/a.csv.gz"), gzipSync("9,z,9\n"));
  }, 1);
  const failure = { code: "inputChanged", message: expect.stringContaining("raw/a.csv.gz") };
  await expect(running).rejects.toMatchObject({ failure });
  clearInterval(watching);
  expect(changed).toBe(true);
});
