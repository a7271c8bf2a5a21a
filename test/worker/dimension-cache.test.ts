/** Dimensions kept for later attempts of an executor: read once, never stale, never trusted when damaged. */

import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { findEntry, keepEntry } from "../../executor/shell/worker/dimension-cache.ts";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import { WorkerPool } from "../../executor/shell/worker-pool.ts";
import type { Column, CsvOptions } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import { wireTypes } from "../../shared/kernel/plan.ts";
import type { FileFingerprint, MapWork } from "../../shared/kernel/work.ts";
import type { Log } from "../../shared/ports.ts";
import { query } from "./query.ts";
import { columns, context, delivery, mapWork, rootOfEachTest, source } from "./setup.ts";

const root = rootOfEachTest();
/** What attempts said about their dimensions, in order. */
let said: string[] = [];
beforeEach(() => {
  said = [];
});

const fromFile = "dimension loaded from its file";
const fromCache = "dimension read from the cache";

const log: Log = {
  debug: (text) => said.push(text),
  info: () => undefined,
  warn: (text) => said.push(text),
  error: () => undefined,
  child: () => log,
};

interface Given {
  readonly columns: readonly Column[];
  readonly csv?: Partial<CsvOptions>;
  readonly timezone?: string;
}

const ab = { columns: columns("a BIGINT, b VARCHAR") };

/** Work whose dataset is the dimension `d` itself. */
function workOf(file: FileFingerprint, given: Given): MapWork {
  const spec = {
    name: "d",
    path: file.path,
    format: "csv" as const,
    columns: given.columns,
    csv: { ...plainCsv, ...given.csv },
  };
  return mapWork(
    source({ columns: columns("n BIGINT") }),
    [root.write("raw/one.csv", "1\n")],
    {
      id: "s0",
      input: { kind: "scan", source: "src", keep: ["n"], files: false },
      dimensions: ["d"],
      tables: [],
      outputs: [
        {
          kind: "dataset",
          model: "copy",
          sql: `SELECT ${given.columns.map(({ name }) => name).join(", ")} FROM d`,
          columns: given.columns,
          single: false,
        },
      ],
    },
    { dimensions: [{ spec, file }], timezone: given.timezone ?? "UTC" },
  );
}

async function rowsOf(work: MapWork, lowMemory = false) {
  const done = await runWork(work, delivery({ lowMemory }), context(root, { log }));
  const path = join(root.path, done.files[0]?.path ?? "");
  return await query(`SELECT * FROM read_parquet('${path}') ORDER BY ALL`);
}

const entries = () => readdirSync(root.dimensions).map((name) => join(root.dimensions, name));
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("the first attempt loads the file, later ones read what it left", async () => {
  const file = root.write("dims/d.csv", "1,x\n2,y\n");
  const expected = [
    ["1", "x"],
    ["2", "y"],
  ];
  expect(await rowsOf(workOf(file, ab))).toEqual(expected);
  const [entry = ""] = entries();
  const { ino, size } = statSync(entry);
  expect(await rowsOf(workOf(file, ab))).toEqual(expected);
  expect(await rowsOf(workOf(file, ab), true)).toEqual(expected);
  expect(said).toEqual([fromFile, fromCache, fromCache]);
  expect(entries()).toEqual([entry]);
  expect(statSync(entry)).toMatchObject({ ino, size });
  expect(statSync(entry).mode & 0o777).toBe(0o600);

  // Rows that no file holds: whoever gives them cannot have read the file.
  const planted = join(root.dimensions, "planted");
  await query(
    `ATTACH '${planted}' AS p`,
    "CREATE TABLE p.main.dimension AS SELECT 7::BIGINT AS a, 'planted' AS b",
    "DETACH p",
    "SELECT 1",
  );
  const key = entry.slice(root.dimensions.length + 1).slice(0, 64);
  renameSync(planted, join(root.dimensions, `${key}-${sha256(readFileSync(planted))}.duckdb`));
  rmSync(entry);
  expect(await rowsOf(workOf(file, ab))).toEqual([["7", "planted"]]);
});

test("a file that changed is read again, and is never mixed up with what was planned", async () => {
  const old = workOf(root.write("dims/d.csv", "1,x\n"), ab);
  expect(await rowsOf(old)).toEqual([["1", "x"]]);
  const now = workOf(root.write("dims/d.csv", "9,z\n"), ab);
  await expect(rowsOf(old)).rejects.toMatchObject({
    failure: { code: "inputChanged", detail: { file: "dims/d.csv" } },
  });
  expect(await rowsOf(now)).toEqual([["9", "z"]]);
  expect(said).toEqual([fromFile, fromFile]);
  rmSync(join(root.path, "dims/d.csv"));
  await expect(rowsOf(now)).rejects.toMatchObject({ failure: { code: "inputMissing" } });
});

test("another spec or zone of the same file is another entry", async () => {
  const file = root.write("dims/d.csv", "01,2026-01-15 06:00:00\n");
  const text = { columns: columns("a VARCHAR, b VARCHAR") };
  const time = { columns: columns("a BIGINT, b TIMESTAMP WITH TIME ZONE") };
  const delhi = { ...time, timezone: "Asia/Kolkata" };
  const null01 = { ...text, csv: { nullString: "01" } };
  const seen = [];
  for (const given of [text, time, delhi, null01, delhi]) {
    seen.push(...(await rowsOf(workOf(file, given))));
  }
  expect(seen).toEqual([
    ["01", "2026-01-15 06:00:00"],
    ["1", "2026-01-15 06:00:00+00"],
    ["1", "2026-01-15 00:30:00+00"],
    [null, "2026-01-15 06:00:00"],
    ["1", "2026-01-15 00:30:00+00"],
  ]);
  expect(said).toEqual([fromFile, fromFile, fromFile, fromFile, fromCache]);
});

test("a torn, altered or foreign entry is made again, not an error", async () => {
  const lines = Array.from({ length: 5000 }, (_, row) => `${row},value ${row}\n`);
  const work = workOf(root.write("dims/d.csv", lines.join("")), ab);
  await rowsOf(work);
  const damages: readonly ((entry: string, bytes: Buffer) => void)[] = [
    (entry) => truncateSync(entry, 0),
    (entry) => truncateSync(entry, 100),
    (entry, bytes) => truncateSync(entry, bytes.length - 4096),
    (entry, bytes) => writeFileSync(entry, bytes.fill(0, 4096, 12_288)),
    (entry, bytes) => {
      const middle = bytes.length >> 1;
      bytes[middle] = (bytes[middle] ?? 0) ^ 1;
      writeFileSync(entry, bytes);
    },
    (entry) => writeFileSync(entry, "no database at all"),
  ];
  for (const damage of damages) {
    const [entry = ""] = entries();
    damage(entry, readFileSync(entry));
    said = [];
    for (let attempt = 0; attempt < 2; attempt++) {
      const rows = await rowsOf(work);
      expect(rows).toHaveLength(5000);
      expect(rows).toContainEqual(["4999", "value 4999"]);
    }
    expect(said).toEqual([fromFile, fromCache]);
    expect(entries()).toHaveLength(1);
  }
});

test("a bad line is the same error in every attempt, and nothing is kept", async () => {
  const work = workOf(root.write("dims/d.csv", "1,x\nq,y\n"), ab);
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(rowsOf(work)).rejects.toMatchObject({
      failure: {
        code: "inputMalformed",
        message: expect.stringContaining("line 2: value does not fit column a"),
      },
    });
  }
  expect(said).toEqual([]);
  expect(() => entries()).toThrow("ENOENT");
});

test("attempts at the same time, and a cache that cannot be written, harm nobody", async () => {
  const work = workOf(root.write("dims/d.csv", "1,x\n"), ab);
  const all = await Promise.all([rowsOf(work), rowsOf(work), rowsOf(work)]);
  expect(all).toEqual([[["1", "x"]], [["1", "x"]], [["1", "x"]]]);
  expect(await rowsOf(work)).toEqual([["1", "x"]]);
  expect(said).toEqual([fromFile, fromFile, fromFile, fromCache]);
  rmSync(root.dimensions, { recursive: true });
  writeFileSync(root.dimensions, "a file in its place");
  said = [];
  expect(await rowsOf(work)).toEqual([["1", "x"]]);
  expect(said).toEqual(["a dimension is not cached"]);
});

/** Type, and texts as they stand in the file: extremes, and what a detour over another format may lose. */
const samples: readonly (readonly [type: string, ...texts: string[]])[] = [
  ["BOOLEAN", "true", "false", "true"],
  ["TINYINT", "-128", "127", "0"],
  ["SMALLINT", "-32768", "32767", "0"],
  ["INTEGER", "-2147483648", "2147483647", "0"],
  ["BIGINT", "-9223372036854775808", "9223372036854775807", "9007199254740993"],
  ["UTINYINT", "0", "255", "1"],
  ["USMALLINT", "0", "65535", "1"],
  ["UINTEGER", "0", "4294967295", "1"],
  ["UBIGINT", "0", "18446744073709551615", "9223372036854775808"],
  ["FLOAT", "nan", "-inf", "-0.0"],
  ["DOUBLE", "nan", "1.7976931348623157e+308", "5e-324"],
  ["DATE", "infinity", "-infinity", "0001-01-01"],
  ["TIMESTAMP", "infinity", "2262-04-11 23:47:16.854775", "1677-01-01 00:00:00.000001"],
  [
    "TIMESTAMP WITH TIME ZONE",
    "-infinity",
    "2026-01-15 06:00:00.123456+00",
    "1969-12-31 23:59:59.999999+00",
  ],
  ["TIME", "00:00:00", "23:59:59.999999", "12:30:00"],
  ["VARCHAR", "", "twelve bytes", "a text of more than twelve bytes, 日本"],
  ["BLOB", "", String.raw`\x00\xFF\x27`, "plain"],
  ["DECIMAL(4,1)", "-999.9", "999.9", "0.1"],
  ["DECIMAL(9,2)", "-9999999.99", "9999999.99", "0.01"],
  ["DECIMAL(18,3)", "-999999999999999.999", "999999999999999.999", "0.001"],
  ["DECIMAL(38,10)", "-9999999999999999999999999999.9999999999", "0.0000000001", "1.0000000000"],
];

test("every column type comes back exactly, NULL and an empty text apart", async () => {
  expect(samples.map(([type]) => type)).toEqual(expect.arrayContaining([...wireTypes]));
  const declared = samples.map(([type], index) => ({ name: `c${index}`, type }));
  const texts = [1, 2, 3].map((row) => samples.map((sample) => sample[row] ?? "").join("|"));
  const lines = [...texts, samples.map(() => "~").join("|")];
  const file = root.write("dims/d.csv", lines.map((line) => `${line}\n`).join(""));
  const work = workOf(file, { columns: declared, csv: { delimiter: "|", nullString: "~" } });
  const [loaded, cached] = [await rowsOf(work), await rowsOf(work)];
  expect(said).toEqual([fromFile, fromCache]);
  expect(cached).toEqual(loaded);

  const attach = ["SET TimeZone = 'UTC'", `ATTACH '${entries()[0]}' AS e (READ_ONLY)`] as const;
  const rows = "SELECT row_number() OVER () AS n, * FROM e.main.dimension";
  for (const [index, [type, ...given]] of samples.entries()) {
    const stored = await query(
      ...attach,
      `SELECT typeof(c${index}), c${index} FROM (${rows}) ORDER BY n`,
    );
    const expected = [...given, undefined].map((text) => [type, text === undefined ? null : text]);
    const plain = await query(
      "SET TimeZone = 'UTC'",
      `SELECT t, CAST(x AS ${type}) FROM (VALUES ${expected
        .map(([t, x], row) => `(${row}, '${t}', ${x === null ? "NULL" : `'${x}'`})`)
        .join(", ")}) v(n, t, x) ORDER BY n`,
    );
    expect(stored).toEqual(plain);
    expect(stored.map(([, value]) => value === null)).toEqual([false, false, false, true]);
  }
});

test("what was unused for longest makes room; an entry larger than all room is not kept", async () => {
  const key = (letter: string) => letter.repeat(64);
  const folder = root.dimensions;
  mkdirSync(folder);
  const bounds = { bytesMax: 1000, entriesMax: 3 };
  const keep = async (letter: string, bytes: number) => {
    const path = join(root.path, letter);
    writeFileSync(path, Buffer.alloc(bytes, letter));
    await keepEntry(folder, key(letter), path, bounds);
    rmSync(path, { force: true });
  };
  const kept = () => readdirSync(folder).map((name) => name[0]);
  const age = (letter: string, seconds: number) => {
    const name = readdirSync(folder).find((entry) => entry.startsWith(letter)) ?? "";
    const at = Date.now() / 1000 - seconds;
    utimesSync(join(folder, name), at, at);
  };
  for (const [at, letter] of ["a", "b", "c"].entries()) {
    await keep(letter, 100);
    age(letter, 30 - at);
  }
  expect(await findEntry(folder, key("a"))).toContain(key("a"));
  await keep("d", 100);
  expect(kept()).toEqual(["a", "c", "d"]);
  await keep("e", 1001);
  expect(kept()).toEqual(["a", "c", "d"]);
  await keep("f", 850);
  expect(kept()).toEqual(expect.arrayContaining(["f"]));
  const bytes = readdirSync(folder).reduce((sum, n) => sum + statSync(join(folder, n)).size, 0);
  expect(bytes).toBeLessThanOrEqual(1000);
  expect(await findEntry(folder, key("b"))).toBeUndefined();
});

test("the folder goes with the executor's workers", async () => {
  await rowsOf(workOf(root.write("dims/d.csv", "1,x\n"), ab));
  const baseDir = dirname(root.dimensions);
  const config = { executor: "e1", servers: [], root: root.path, memoryBytes: 1e8, threads: 1 };
  const pool = new WorkerPool({
    config: { ...config, logLevel: "error" },
    baseDir,
    log,
    post: () => undefined,
  });
  expect(entries()).toHaveLength(1);
  await pool.close();
  expect(readdirSync(baseDir).sort()).toEqual(["root", "temp"]);
});
