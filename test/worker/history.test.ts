/** Days of a dataset as a worker reads them: files of several revisions, each with its day; against plain DuckDB. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { SourceSpec } from "../../shared/kernel/job.ts";
import { query } from "./query.ts";
import {
  columns,
  context,
  copyWork,
  delivery,
  failsWith,
  fingerprint,
  mapWork,
  rootOfEachTest,
  source,
} from "./setup.ts";

const root = rootOfEachTest();

async function revision(day: string, name: string, sql: string) {
  const path = `revisions/usage/${day}/${name}/daily/${name.split("-")[0]}-00000.parquet`;
  root.write(path, "");
  await query(`COPY (${sql}) TO '${join(root.path, path)}' (FORMAT parquet)`, "SELECT 1");
  return fingerprint(root.path, path);
}

const spec = (isOwn = true): SourceSpec =>
  source({
    name: "daily_history",
    path: "",
    format: "parquet",
    columns: columns("id BIGINT, bytes DECIMAL(38,0), day DATE"),
    rejectsMaxShare: 0,
    history: { isOwn },
  });

const rows = (from: number, count: number) =>
  `SELECT i AS id, (i::HUGEINT * 9007199254740993)::DECIMAL(38,0) AS bytes FROM range(${from}, ${from + count}) r(i)`;

test("rows have the day of their revision, and every number is what DuckDB says over the same files", async () => {
  const files = [
    await revision("2026-01-09", "r1-e1", rows(0, 3_000)),
    await revision("2026-01-10", "r12-e3", rows(1_000, 2_500)),
    await revision("2026-01-12", "r2-e3", rows(0, 0)),
  ];
  const grouped =
    "SELECT id % 7 AS k, count(DISTINCT day) AS days, sum(bytes) AS bytes, max(day) AS newest FROM daily_history GROUP BY 1";
  const work = mapWork(spec(), files, {
    id: "s0",
    input: { kind: "scan", source: "daily_history", keep: ["id", "bytes", "day"], files: false },
    dimensions: [],
    tables: [],
    outputs: [
      {
        kind: "dataset",
        model: "week",
        sql: grouped,
        columns: columns("k BIGINT, days BIGINT, bytes DECIMAL(38,0), newest DATE"),
        single: false,
      },
    ],
  });
  const done = await runWork(work, delivery(), context(root));
  const paths = files.map(({ path }) => `'${join(root.path, path)}'`).join(", ");
  const plain = `WITH daily_history AS (SELECT id, bytes, regexp_extract(filename, '/(\\d{4}-\\d\\d-\\d\\d)/', 1)::DATE AS day
    FROM read_parquet([${paths}], filename = true)) ${grouped} ORDER BY k`;
  const written = `SELECT * FROM '${join(root.path, done.files[0]?.path ?? "")}' ORDER BY k`;
  const expected = await query(plain);
  expect(expected).toHaveLength(7);
  expect(await query(written)).toEqual(expected);
  expect(done.accounts.map(({ lines, rows: kept, rejects }) => [lines, kept, rejects])).toEqual([
    [3_000, 3_000, 0],
    [2_500, 2_500, 0],
    [0, 0, 0],
  ]);
});

test("a row range of a file has the day as well", async () => {
  const file = await revision("2026-01-10", "r1-e1", rows(0, 100));
  const work = copyWork(spec(), [], { split: { files: [file], rows: { from: 10, to: 20 } } });
  const done = await runWork(work, delivery(), context(root));
  const written = `'${join(root.path, done.files[0]?.path ?? "")}'`;
  expect(
    await query(`SELECT min(id), max(id), count(*), min(day), max(day) FROM ${written}`),
  ).toEqual([["10", "19", "10", "2026-01-10", "2026-01-10"]]);
});

test("an older form of the job's own dataset lacks a column: NULL there; another job's is an error", async () => {
  const file = await revision("2026-01-10", "r1-e1", "SELECT 7 AS id");
  const done = await runWork(copyWork(spec(), [file]), delivery(), context(root));
  expect(await query(`SELECT * FROM '${join(root.path, done.files[0]?.path ?? "")}'`)).toEqual([
    ["7", null, "2026-01-10"],
  ]);
  await expect(
    runWork(copyWork(spec(false), [file]), delivery(), context(root)),
  ).rejects.toMatchObject(failsWith("inputMalformed", `${file.path}: no column bytes`));
});

test("what does not fit the columns is a reject, as in any Parquet file", async () => {
  const file = await revision("2026-01-10", "r1-e1", "SELECT 'seven' AS id, 1 AS bytes");
  const done = await runWork(copyWork(spec(), [file]), delivery(), context(root));
  expect(done.accounts[0]).toMatchObject({ lines: 1, rows: 0, rejects: 1 });
});

test("a file that lies in no revision has no day", async () => {
  root.write("revisions/usage/x.parquet", "");
  const file = fingerprint(root.path, "revisions/usage/x.parquet");
  await expect(runWork(copyWork(spec(), [file]), delivery(), context(root))).rejects.toMatchObject(
    failsWith("pathForbidden", "x.parquet"),
  );
});
