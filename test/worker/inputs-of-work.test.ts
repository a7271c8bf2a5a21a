/** Files that are not what a task needs: each has its error, and nothing stays behind in the work folder. */
import { appendFileSync, existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { query } from "./query.ts";
import {
  columns,
  context,
  copyWork,
  delivery,
  failsWith,
  rootOfEachTest,
  source,
} from "./setup.ts";

const root = rootOfEachTest();

const abc = columns("a BIGINT, b VARCHAR, c BIGINT");
const run = (file: FileFingerprint, format: "csv" | "csv.gz" = "csv") =>
  runWork(copyWork(source({ columns: abc, format }), [file]), delivery(), context(root));
describe("input of a map task", () => {
  test("gzip cut anywhere is inputTruncated, never fewer rows", async () => {
    const zipped = gzipSync("1,x,2\n".repeat(50_000));
    for (const share of [0.1, 0.5, 0.99]) {
      const cut = zipped.subarray(0, Math.floor(zipped.length * share));
      const file = root.write("raw/cut.csv.gz", cut);
      await expect(run(file, "csv.gz")).rejects.toMatchObject(
        failsWith("inputTruncated", "raw/cut.csv.gz"),
      );
    }
  });

  test("gzip with a flipped checksum byte is inputMalformed", async () => {
    const zipped = gzipSync("1,x,2\n".repeat(1000));
    zipped[zipped.length - 6] = (zipped[zipped.length - 6] ?? 0) ^ 1;
    const file = root.write("raw/bad.csv.gz", zipped);
    await expect(run(file, "csv.gz")).rejects.toMatchObject(
      failsWith("inputMalformed", "raw/bad.csv.gz"),
    );
  });

  test("gone, or changed since it was planned", async () => {
    const file = root.write("raw/a.csv", "1,x,2\n");
    appendFileSync(join(root.path, "raw/a.csv"), "3,y,4\n");
    await expect(run(file)).rejects.toMatchObject(failsWith("inputChanged", "raw/a.csv"));
    await expect(run({ ...file, path: "raw/none.csv" })).rejects.toMatchObject(
      failsWith("inputMissing", "raw/none.csv"),
    );
    await expect(run({ ...file, path: "../a.csv" })).rejects.toMatchObject(
      failsWith("pathForbidden", "../a.csv"),
    );
  });

  test("changed while it is read is inputChanged, and its rows are dropped", async () => {
    const text = Array.from({ length: 400_000 }, (_, i) => `${i},value ${i * 7919},${i}\n`).join(
      "",
    );
    const file = root.write("raw/live.csv.gz", gzipSync(text, { level: 1 }));
    const running = run(file, "csv.gz");
    let changedAt = 0;
    const watching = setInterval(() => {
      if (changedAt > 0 || !readdirSync(root.temp).some((name) => reading(name))) return;
      changedAt = Date.now();
      appendFileSync(join(root.path, "raw/live.csv.gz"), gzipSync("9,z,9\n"));
    }, 1);
    await expect(running).rejects.toMatchObject(failsWith("inputChanged", "raw/live.csv.gz"));
    clearInterval(watching);
    expect(changedAt).toBeGreaterThan(0);
  });

  const reading = (name: string) => existsSync(join(root.temp, name, "plain-0.csv"));

  test("a wrong column count in every line is all rejects, nothing is lost", async () => {
    const done = await run(root.write("raw/a.csv", "1,2\n3,4\n5,6\n"));
    expect(done.accounts[0]).toMatchObject({ lines: 3, rows: 0, rejects: 3 });
    expect(done.files).toEqual([]);
  });

  test("the rejects file is for the owner's eyes only", async () => {
    const done = await run(root.write("raw/a.csv", "1,secret\n"));
    const path = join(root.path, done.rejectsFile ?? "");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await query(`SELECT file, line, raw FROM '${path}'`)).toEqual([
      ["raw/a.csv", "1", "1,secret"],
    ]);
  });

  test("a folder called like a column does not replace what the file says", async () => {
    const done = await run(root.write("raw/c=7/a.csv", "1,x,2\n"));
    const path = join(root.path, done.files[0]?.path ?? "");
    expect(await query(`SELECT c FROM read_parquet('${path}')`)).toEqual([["2"]]);
  });

  test("several files keep their own accounts", async () => {
    const files = [
      root.write("raw/a.csv", "1,x,2\n\n"),
      root.write("raw/b[1].csv", "q,x,2\r\n3,y,4"),
      root.write("raw/c.csv", "5,z,6\n"),
    ];
    const done = await runWork(
      copyWork(source({ columns: abc }), files),
      delivery(),
      context(root),
    );
    expect(done.accounts.map((a) => [a.file.path, a.lines, a.rows, a.rejects, a.blank])).toEqual([
      ["raw/a.csv", 2, 1, 0, 1],
      ["raw/b[1].csv", 2, 1, 1, 0],
      ["raw/c.csv", 1, 1, 0, 0],
    ]);
    expect(done.accounts.map((a) => a.lastLineUnterminated)).toEqual([false, true, false]);
    expect(done.counters).toMatchObject({ rowsIn: 5, rowsOut: 3 });
    expect(done.counters.peakMemoryBytes).toBeGreaterThan(10_000_000);
  });

  test("several files are read one after the other where memory is short, with the same accounts", async () => {
    const names = ["raw/a.csv", "raw/b.csv", "raw/c.csv"];
    const readWith = async (lowMemory: boolean, missing: boolean) => {
      const files = names.map((name) => root.write(name, "1,x,2\nq,x,2\n"));
      const seen: number[] = [];
      // The last file vanishes as soon as the first one is done: only who has read it by then has its rows.
      const progress = (rows: number): void => {
        if (seen.push(rows) === 1 && missing) rmSync(join(root.path, "raw/c.csv"));
      };
      const work = copyWork(source({ columns: abc }), files);
      return await runWork(work, delivery({ lowMemory }), context(root, { progress }));
    };
    const many = await readWith(false, true);
    await expect(readWith(true, true)).rejects.toMatchObject(
      failsWith("inputMissing", "raw/c.csv"),
    );
    const single = await readWith(true, false);
    const lines = (done: typeof many) =>
      done.accounts.map((a) => [a.file.path, a.lines, a.rows, a.rejects]);
    expect(lines(many)).toEqual(names.map((name) => [name, 2, 1, 1]));
    expect(lines(single)).toEqual(lines(many));
  });
});

test("a dimension with a bad line is refused, naming line and reason but no value", async () => {
  const spec = { name: "apps", path: "dims/apps.csv", format: "csv" as const, columns: abc };
  const { csv } = source({ columns: abc });
  const file = root.write("dims/apps.csv", "1,x,2\nsecret,x,2\n");
  const work = copyWork(source({ columns: abc }), [root.write("raw/a.csv", "1,x,2\n")], {
    dimensions: [{ spec: { ...spec, csv }, file }],
  });
  const joined = { ...work, stage: { ...work.stage, dimensions: ["apps"] } };
  const failed = runWork(joined, delivery(), context(root));
  await expect(failed).rejects.toMatchObject(
    failsWith("inputMalformed", "line 2: value does not fit column a"),
  );
  await expect(failed).rejects.not.toThrow(/secret/);
});
