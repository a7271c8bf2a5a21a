/** Which files a pattern names, and what it must never reach. */

import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openInputs } from "../../shared/adapters/inputs.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import { query } from "../worker/query.ts";
import { columns, makeRoot, type Root, source } from "../worker/setup.ts";

let root: Root;
beforeAll(() => {
  root = makeRoot();
  root.write("raw/day=2026-01-15/b.csv", "1\n");
  root.write("raw/day=2026-01-15/a.csv", "1\n");
  root.write("raw/day=2026-01-15/a.csv.tmp", "1\n");
  root.write("raw/day=2026-01-15/.hidden.csv", "1\n");
  root.write("raw/day=2026-01-16/a.csv", "1\n");
  root.write("raw/day=2026-01-17/empty.csv", "");
  root.write("dims/apps.csv", "1\n");
  mkdirSync(join(root.path, "raw/day=2026-01-15/folder.csv"));
  mkdirSync(join(root.path, "raw/day=2026-01-18"));
  symlinkSync("/etc/passwd", join(root.path, "raw/day=2026-01-18/evil.csv"));
  symlinkSync(join(root.path, "dims/apps.csv"), join(root.path, "raw/inside.csv"));
});
afterAll(() => root.remove());

const list = (path: string, day = "2026-01-15", allowEmptyFiles = false) =>
  openInputs(root.path).listSource(
    source({ columns: columns("a BIGINT"), path, allowEmptyFiles }),
    day,
  );
const code = (code: string) => ({ failure: { code } });

describe("files of a source", () => {
  test("are regular files that match, in path order, with their fingerprints", async () => {
    const files = await list("raw/day={day}/*.csv");
    expect(files.map(({ path }) => path)).toEqual([
      "raw/day=2026-01-15/a.csv",
      "raw/day=2026-01-15/b.csv",
    ]);
    expect(files[0]).toMatchObject({ size: 2, mtimeNs: expect.stringMatching(/^\d{19}$/) });
  });

  test("wildcards hold inside one folder name", async () => {
    expect((await list("raw/day=*/[ab].csv")).length).toBe(3);
    expect((await list("raw/day=2026-01-1?/a.csv")).length).toBe(2);
    expect((await list("raw/day=*/[!a].csv")).length).toBe(1);
  });

  test("none at all is an error that names the pattern", async () => {
    await expect(list("raw/day={day}/*.csv", "2026-02-01")).rejects.toMatchObject({
      failure: { code: "inputMissing", message: expect.stringContaining("day=2026-02-01/*.csv") },
    });
    await expect(list("raw/day={day}/*.csv", "2026-02-31")).rejects.toMatchObject(
      code("badRequest"),
    );
  });

  test("a file without bytes is an error unless the source allows it", async () => {
    await expect(list("raw/day={day}/*.csv", "2026-01-17")).rejects.toMatchObject({
      failure: { code: "inputEmpty", message: expect.stringContaining("empty.csv") },
    });
    expect((await list("raw/day={day}/*.csv", "2026-01-17", true)).length).toBe(1);
  });

  test("never lie outside the root", async () => {
    for (const path of [
      "/etc/passwd",
      "../x.csv",
      "raw/../../x.csv",
      "raw/a\0.csv",
      "./raw/*.csv",
    ]) {
      await expect(list(path), path).rejects.toMatchObject(code("pathForbidden"));
    }
    await expect(list("raw/day={day}/*.csv", "2026-01-18")).rejects.toMatchObject(
      code("pathForbidden"),
    );
    expect((await list("raw/inside.csv")).length).toBe(1);
  });

  test("a range that runs backwards is the job's fault, and says where", async () => {
    await expect(list("raw/day={day}/[z-a].csv")).rejects.toMatchObject({
      failure: { code: "jobInvalid", message: expect.stringContaining("path part [z-a].csv") },
    });
  });

  test("a pattern over folder levels is refused, not half obeyed", async () => {
    await expect(list("raw/**/*.csv")).rejects.toMatchObject(code("jobInvalid"));
  });
});

test("a dimension is one file", async () => {
  const spec = {
    name: "apps",
    format: "csv" as const,
    columns: columns("a BIGINT"),
    csv: plainCsv,
  };
  const inputs = openInputs(root.path);
  expect(await inputs.dimension({ ...spec, path: "dims/apps.csv" }, "2026-01-15")).toMatchObject({
    path: "dims/apps.csv",
    size: 2,
  });
  await expect(
    inputs.dimension({ ...spec, path: "raw/day={day}/*.csv" }, "2026-01-15"),
  ).rejects.toMatchObject(code("jobInvalid"));
  await expect(
    inputs.dimension({ ...spec, path: "dims/none.csv" }, "2026-01-15"),
  ).rejects.toMatchObject(code("inputMissing"));
});

test("rows of Parquet files come from their footers; a cut file is named", async () => {
  const file = join(root.path, "p.parquet");
  await query(`SELECT 1`);
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(`COPY (SELECT range AS a FROM range(12345)) TO '${file}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  const whole = { path: "p.parquet", size: 1, mtimeNs: "0", ctimeNs: "0", inode: "0" };
  const inputs = openInputs(root.path);
  expect(await inputs.parquetRows([whole])).toEqual([12345]);
  root.write("cut.parquet", "PAR1 no end");
  await expect(inputs.parquetRows([{ ...whole, path: "cut.parquet" }])).rejects.toMatchObject({
    failure: { code: "inputMalformed", message: expect.stringContaining("cut.parquet") },
  });
});
