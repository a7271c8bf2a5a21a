/** Parquet inputs: whole or by rows, by column name, values that do not fit are rejects. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import { parquetError } from "../../shared/adapters/duckdb-parquet.ts";
import { query } from "./query.ts";
import {
  columns,
  context,
  copyWork,
  delivery,
  fingerprint,
  rootOfEachTest,
  source,
} from "./setup.ts";

const root = rootOfEachTest();

async function parquet(name: string, sql: string) {
  root.write(name, "");
  await query(
    `COPY (${sql}) TO '${join(root.path, name)}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
    "SELECT 1",
  );
  return fingerprint(root.path, name);
}

const spec = source({ columns: columns("a BIGINT, s VARCHAR"), format: "parquet" });

test("row ranges of a file are disjoint and complete", async () => {
  const file = await parquet(
    "raw/p.parquet",
    "SELECT range AS a, 'v' || range AS s FROM range(10000)",
  );
  const seen: string[] = [];
  const hashes: (string | undefined)[] = [];
  for (const [from, to] of [
    [0, 3000],
    [3000, 3001],
    [3001, 10000],
  ] as const) {
    const work = copyWork(spec, [], { split: { files: [file], rows: { from, to } } });
    const done = await runWork(work, delivery(), context(root));
    expect(done.accounts[0]).toMatchObject({ lines: to - from, rows: to - from, rejects: 0 });
    hashes.push(done.accounts[0]?.contentSha256);
    seen.push(...done.files.map(({ path }) => `'${join(root.path, path)}'`));
  }
  // Together the ranges hash every byte once.
  const bytes = readFileSync(join(root.path, file.path));
  const at = [0, 0.3, 0.3001, 1].map((share) => Math.floor(bytes.length * share));
  const parts = at.slice(1).map((to, part) => bytes.subarray(at[part], to));
  expect(hashes).toEqual(parts.map((part) => createHash("sha256").update(part).digest("hex")));
  const all = `read_parquet([${seen.join(", ")}])`;
  expect(await query(`SELECT count(*), count(DISTINCT a), sum(a), max(s) FROM ${all}`)).toEqual([
    ["10000", "10000", "49995000", "v9999"],
  ]);
});

test("columns are taken by name and cast; what does not fit is a reject with its row number", async () => {
  const file = await parquet(
    "raw/p.parquet",
    "SELECT * FROM (VALUES ('x', '1'), ('y', 'many'), (NULL, NULL)) t(s, a)",
  );
  const done = await runWork(copyWork(spec, [file]), delivery(), context(root));
  expect(done.accounts[0]).toMatchObject({ lines: 3, rows: 2, rejects: 1 });
  expect(done.accounts[0]?.contentSha256).toMatch(/^[0-9a-f]{64}$/);
  const rejects = join(root.path, done.rejectsFile ?? "");
  expect(await query(`SELECT line, reason FROM '${rejects}'`)).toEqual([
    ["2", "value does not fit column a"],
  ]);
});

test("a number that only fits when rounded is a reject; one that fits exactly is a row", async () => {
  const file = await parquet(
    "raw/p.parquet",
    `SELECT * FROM (VALUES (1.0::DOUBLE, 1.10::DECIMAL(9,4), 5::BIGINT, 0.1::DOUBLE),
       (1.7, 2.25, 6, 0.2), (2.0, 3.1234, 7, 0.3), (3.0, 4.5, 9007199254740993, 0.4),
       (NULL, NULL, NULL, NULL), (1e300, 5.5, 8, 0.5)) t(a, d, f, r)`,
  );
  const types = "a BIGINT, d DECIMAL(9,2), f DOUBLE, r FLOAT";
  const narrow = source({ columns: columns(types), format: "parquet" });
  const done = await runWork(copyWork(narrow, [file]), delivery(), context(root));
  expect(done.accounts[0]).toMatchObject({ lines: 6, rows: 2, rejects: 4 });
  const staged = join(root.path, done.files[0]?.path ?? "");
  expect(await query(`SELECT a, d, f, r FROM '${staged}' ORDER BY a`)).toEqual([
    ["1", "1.10", "5.0", "0.1"],
    [null, null, null, null],
  ]);
  const rejects = join(root.path, done.rejectsFile ?? "");
  expect(await query(`SELECT line, reason FROM '${rejects}' ORDER BY line`)).toEqual([
    ["2", "value does not fit column a"],
    ["3", "value does not fit column d"],
    ["4", "value does not fit column f"],
    ["6", "value does not fit column a"],
  ]);
});

test("a time that only fits when cut is a reject; one that fits exactly is a row", async () => {
  const file = await parquet(
    "raw/t.parquet",
    `SELECT * FROM (VALUES
       (1, TIMESTAMP '2026-01-15 00:00:00', TIMESTAMP_NS '2026-01-15 10:00:00.123456'),
       (2, TIMESTAMP '2026-01-15 08:30:00', TIMESTAMP_NS '2026-01-15 10:00:00'),
       (3, TIMESTAMP '2026-01-15 00:00:00', TIMESTAMP_NS '2026-01-15 10:00:00.123456789'),
       (4, NULL, NULL)) t(id, d, t)`,
  );
  const cut = source({ columns: columns("id INTEGER, d DATE, t TIMESTAMP"), format: "parquet" });
  const done = await runWork(copyWork(cut, [file]), delivery(), context(root));
  expect(done.accounts[0]).toMatchObject({ lines: 4, rows: 2, rejects: 2 });
  const staged = join(root.path, done.files[0]?.path ?? "");
  expect(await query(`SELECT id, d, t FROM '${staged}' ORDER BY id`)).toEqual([
    ["1", "2026-01-15", "2026-01-15 10:00:00.123456"],
    ["4", null, null],
  ]);
  const rejects = join(root.path, done.rejectsFile ?? "");
  expect(await query(`SELECT line, reason FROM '${rejects}' ORDER BY line`)).toEqual([
    ["2", "value does not fit column d"],
    ["3", "value does not fit column t"],
  ]);
});

test("a moment of a zone keeps its hour and digits too, and none is a time of day", async () => {
  const file = await parquet(
    "raw/z.parquet",
    `SELECT * FROM (VALUES
       (1, TIMESTAMP '2026-01-15 00:00:00' AT TIME ZONE 'UTC', TIMESTAMP_NS '2026-01-15 10:00:00.123456'),
       (2, TIMESTAMP '2026-01-15 08:30:00' AT TIME ZONE 'UTC', TIMESTAMP_NS '2026-01-15 10:00:00'),
       (3, NULL, TIMESTAMP_NS '2026-01-15 10:00:00.123456789')) t(id, d, t)`,
  );
  const read = async (types: string) => {
    const cut = source({ columns: columns(types), format: "parquet" });
    const done = await runWork(copyWork(cut, [file]), delivery(), context(root));
    const rejects = join(root.path, done.rejectsFile ?? "");
    return await query(`SELECT line, reason FROM '${rejects}' ORDER BY line`);
  };
  expect(await read("id INTEGER, d DATE, t TIMESTAMP WITH TIME ZONE")).toEqual([
    ["2", "value does not fit column d"],
    ["3", "value does not fit column t"],
  ]);
  expect(await read("id INTEGER, t TIME")).toEqual(
    ["1", "2", "3"].map((line) => [line, "value does not fit column t"]),
  );
  expect(await read("id TINYINT, d TIMESTAMP, t TIMESTAMP")).toEqual([
    ["3", "value does not fit column t"],
  ]);
});

test("a missing column, fewer rows than planned and a cut file are named", async () => {
  const run = (work: Parameters<typeof runWork>[0]) => runWork(work, delivery(), context(root));
  const other = await parquet("raw/o.parquet", "SELECT 1::BIGINT AS a");
  await expect(run(copyWork(spec, [other]))).rejects.toMatchObject({
    failure: { code: "inputMalformed", message: expect.stringContaining("no column s") },
  });
  const short = await parquet("raw/s.parquet", "SELECT 1::BIGINT AS a, 'x' AS s");
  const split = { files: [short], rows: { from: 0, to: 2 } };
  await expect(run(copyWork(spec, [], { split }))).rejects.toMatchObject({
    failure: { code: "inputChanged" },
  });
  const cut = root.write("raw/c.parquet", "PAR1 and no more");
  await expect(run(copyWork(spec, [cut]))).rejects.toMatchObject({
    failure: { code: "inputMalformed", message: expect.stringContaining("raw/c.parquet") },
  });
});

test("a folder called like a column does not replace what the file says", async () => {
  const file = await parquet("raw/s=other/p.parquet", "SELECT 1::BIGINT AS a, 'mine' AS s");
  const done = await runWork(copyWork(spec, [file]), delivery(), context(root));
  const path = join(root.path, done.files[0]?.path ?? "");
  expect(await query(`SELECT s FROM read_parquet('${path}')`)).toEqual([["mine"]]);
});

test("what is wrong with a Parquet file is told by the engine's words, not by its path's", () => {
  const refused =
    'IO Error: Cannot open file "/data/raw/corrupt/footer.parquet": Permission denied';
  expect(parquetError(new Error(refused), "raw/corrupt/footer.parquet")).toMatchObject({
    failure: { code: "storageDenied" },
  });
  for (const text of [
    "Invalid Input Error: No magic bytes found at end of file '/data/raw/a.parquet'",
    "Invalid Input Error: File '/data/raw/a.parquet' too small to be a Parquet file",
  ]) {
    expect(parquetError(new Error(text), "raw/a.parquet"), text).toMatchObject({
      failure: { code: "inputMalformed", message: expect.stringContaining("raw/a.parquet") },
    });
  }
});
