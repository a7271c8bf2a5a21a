/** Arrow IPC inputs, file and stream form: by column name, every row accounted for, and damage never a shorter result. */
import { join } from "node:path";
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeBinary,
  LargeUtf8,
  List,
  Schema,
  Struct,
  Table,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import "../../shared/adapters/arrow.ts";
import type { Column } from "../../shared/kernel/job.ts";
import type { AttemptSuccess, FileFingerprint } from "../../shared/kernel/work.ts";
import { batches, copied, forms, ipc, rowsOf, words } from "./arrow-files.ts";
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

const run = (file: FileFingerprint, declared: readonly Column[]) => copied(root, file, declared);

async function rejectsOf(done: AttemptSuccess) {
  const path = join(root.path, done.rejectsFile ?? "");
  return await query(`SELECT line, reason, raw FROM read_parquet('${path}') ORDER BY line`);
}

/** The DuckDB type, the Arrow type, and values with what they are as DuckDB's texts. */
const samples: readonly (readonly [string, DataType, readonly unknown[], readonly string[]])[] = [
  ["BOOLEAN", new Bool(), [true, false], ["true", "false"]],
  ["TINYINT", new Int8(), [-128, 127], ["-128", "127"]],
  ["SMALLINT", new Int16(), [-32768, 32767], ["-32768", "32767"]],
  ["INTEGER", new Int32(), [-2147483648, 7], ["-2147483648", "7"]],
  [
    "BIGINT",
    new Int64(),
    [-9223372036854775808n, 9007199254740993n],
    ["-9223372036854775808", "9007199254740993"],
  ],
  ["UTINYINT", new Uint8(), [0, 255], ["0", "255"]],
  ["USMALLINT", new Uint16(), [0, 65535], ["0", "65535"]],
  ["UINTEGER", new Uint32(), [0, 4294967295], ["0", "4294967295"]],
  ["UBIGINT", new Uint64(), [0n, 18446744073709551615n], ["0", "18446744073709551615"]],
  ["FLOAT", new Float32(), [0.5, Number.NaN], ["0.5", "nan"]],
  ["DOUBLE", new Float64(), [-1e300, 0.1], ["-1e+300", "0.1"]],
  [
    "VARCHAR",
    new Utf8(),
    ["", "more than twelve bytes, 日本"],
    ["", "more than twelve bytes, 日本"],
  ],
  ["VARCHAR", new LargeUtf8(), ["short", "large offsets, 日本"], ["short", "large offsets, 日本"]],
  ["BLOB", new Binary(), [Uint8Array.of(0, 255), Uint8Array.of()], ["\\x00\\xFF", ""]],
  ["BLOB", new LargeBinary(), [Uint8Array.of(65), Uint8Array.of(1)], ["A", "\\x01"]],
  ["TIME", new TimeMicrosecond(), [0n, 86399999999n], ["00:00:00", "23:59:59.999999"]],
  [
    "DECIMAL(38,2)",
    new Decimal(2, 38, 128),
    [words(-1n), words(99999999999999999999999999999999999999n)],
    ["-0.01", "999999999999999999999999999999999999.99"],
  ],
  ["DECIMAL(4,1)", new Decimal(1, 4, 128), [words(-9999n), words(1n)], ["-999.9", "0.1"]],
];

test("every type comes over exactly, NULL and all, in both forms, plain and LZ4", async () => {
  const table = new Table(
    Object.fromEntries(
      samples.map(([, type, values], index) => [
        `c${index}`,
        vectorFromArray([...values, null], type as Utf8),
      ]),
    ),
  );
  const declared = samples.map(([type], index) => ({ name: `c${index}`, type }));
  const expected = [0, 1, 2].map((row) => samples.map((sample) => sample[3][row] ?? null));
  for (const form of forms) {
    for (const lz4 of [false, true]) {
      const done = await run(root.write("raw/a.arrow", ipc(form, table, lz4)), declared);
      expect(done.accounts[0]).toMatchObject({ lines: 3, rows: 3, rejects: 0, blank: 0 });
      expect(await rowsOf(root, done)).toEqual(expected);
    }
  }
});

test("dates and timestamps of every unit, local and with a zone", async () => {
  const zoned = "TIMESTAMP WITH TIME ZONE";
  const at = 1_768_456_800; // 2026-01-15 06:00:00 UTC
  const table = makeMoments(at);
  const declared = columns(
    `d DATE, s TIMESTAMP, ms TIMESTAMP, us TIMESTAMP, ns TIMESTAMP, zs ${zoned}, zus ${zoned}, zns ${zoned}, back TIMESTAMP`,
  );
  const done = await run(root.write("raw/a.arrow", ipc("file", table)), declared);
  expect(await rowsOf(root, done)).toEqual([
    [
      "2026-01-15",
      "2026-01-15 06:00:00",
      "2026-01-15 06:00:00.123",
      "2026-01-15 06:00:00.123456",
      "2026-01-15 06:00:00.123456",
      "2026-01-15 06:00:00+00",
      "2026-01-15 06:00:00.123456+00",
      "2026-01-15 06:00:00.123456+00",
      "1969-12-31 23:59:59",
    ],
  ]);
});

test("a moment of a zone whose last digits would be lost is a reject", async () => {
  const at = 1_768_456_800_000_000_000n;
  const zns = storedAs([at + 123_456_000n, at + 123_456_789n], new TimestampNanosecond("UTC"));
  const file = root.write("raw/a.arrow", ipc("file", new Table({ zns })));
  const done = await run(file, columns("zns TIMESTAMP WITH TIME ZONE"));
  expect(await rowsOf(root, done)).toEqual([["2026-01-15 06:00:00.123456+00"]]);
  expect((await rejectsOf(done)).map(([line, reason]) => [line, reason])).toEqual([
    ["2", "value does not fit column zns"],
  ]);
});

/** The integers themselves, whatever the library takes for a value of the type. */
function storedAs(values: readonly bigint[], type: DataType): Vector {
  const [data] = vectorFromArray(values, new Int64()).data;
  return new Vector([data?.clone(type) as Data]);
}

function makeMoments(seconds: number): Table {
  const whole = BigInt(seconds);
  const plain = {
    d: [new DateDay(), new Date(seconds * 1000)],
    s: [new TimestampSecond(), whole],
    ms: [new TimestampMillisecond(), whole * 1000n + 123n],
    us: [new TimestampMicrosecond(), whole * 1_000_000n + 123_456n],
    ns: [new TimestampNanosecond(), whole * 1_000_000_000n + 123_456_000n],
    zs: [new TimestampSecond("Asia/Kolkata"), whole],
    zus: [new TimestampMicrosecond("UTC"), whole * 1_000_000n + 123_456n],
    zns: [new TimestampNanosecond("UTC"), whole * 1_000_000_000n + 123_456_000n],
    back: [new TimestampSecond(), -1n],
  } as const;
  const made = Object.entries(plain).map(([name, [type, value]]) => {
    if (typeof value !== "bigint") return [name, vectorFromArray([value], new DateDay())] as const;
    return [name, storedAs([value], type)] as const;
  });
  return new Table(Object.fromEntries(made));
}

test("texts of dictionaries, in several batches, with more words later, beside other columns", async () => {
  const type = new Dictionary(new Utf8(), new Int8());
  const rows = 5000;
  const vector = (from: number) =>
    vectorFromArray(
      Array.from({ length: rows }, (_, row) =>
        row % 10 === 3 ? null : `word ${(from + row) % 90}`,
      ),
      type,
    );
  const numbers = (from: number) =>
    vectorFromArray(
      Array.from({ length: rows }, (_, row) => (row % 7 === 0 ? null : from + row)),
      new Int32(),
    );
  const flags = vectorFromArray(
    Array.from({ length: rows }, (_, row) => row % 3 === 0),
    new Bool(),
  );
  const texts = vectorFromArray(
    Array.from({ length: rows }, (_, row) => `t${row}`),
    new Utf8(),
  );
  const table = batches(
    { w: vector(0), n: numbers(0), f: flags, t: texts },
    { w: vector(17), n: numbers(rows), f: flags, t: texts },
  );
  const bytes = ipc("stream", table);
  const done = await run(
    root.write("raw/a.arrow", bytes),
    columns("n INTEGER, w VARCHAR, f BOOLEAN, t VARCHAR"),
  );
  expect(done.accounts[0]).toMatchObject({ lines: 10_000, rows: 10_000, rejects: 0 });
  const expected = [...table].map((row) => {
    const { n, w, f, t } = row.toJSON() as Record<string, unknown>;
    return [n, w, f, t].map((value) => (value === null ? null : String(value)));
  });
  expect((await rowsOf(root, done)).map(String).sort()).toEqual(expected.map(String).sort());
});

test("batches keep their order and numbers; what does not fit is a reject with its row", async () => {
  const table = batches(
    { b: vectorFromArray(["x", "y"], new Utf8()), a: vectorFromArray([1, 300], new Int32()) },
    { b: vectorFromArray(["z", null], new Utf8()), a: vectorFromArray([-1, 4], new Int32()) },
    { b: vectorFromArray([] as string[], new Utf8()), a: vectorFromArray([], new Int32()) },
  );
  const file = root.write("raw/a.arrow", ipc("file", table));
  const done = await run(file, columns("A UTINYINT, b VARCHAR"));
  expect(done.accounts[0]).toMatchObject({ lines: 4, rows: 2, rejects: 2, plainBytes: file.size });
  expect(await rowsOf(root, done)).toEqual([
    ["1", "x"],
    ["4", null],
  ]);
  expect(await rejectsOf(done)).toEqual([
    ["2", "value does not fit column A", "{'A': 300, 'b': y}"],
    ["3", "value does not fit column A", "{'A': -1, 'b': z}"],
  ]);
});

test("numbers that only fit when rounded are rejects; texts are read as values", async () => {
  const table = new Table({
    d: vectorFromArray([1, 2.5, 3], new Float64()),
    m: vectorFromArray([words(1100n), words(2200n), words(3001n)], new Decimal(3, 9, 128)),
    t: vectorFromArray(["7", "8", "9"], new Utf8()),
  });
  const file = root.write("raw/a.arrow", ipc("stream", table));
  const done = await run(file, columns("d BIGINT, m DECIMAL(4,2), t INTEGER"));
  expect(await rowsOf(root, done)).toEqual([["1", "1.10", "7"]]);
  expect((await rejectsOf(done)).map(([line, reason]) => [line, reason])).toEqual([
    ["2", "value does not fit column d"],
    ["3", "value does not fit column m"],
  ]);
});

test("columns of other types are passed over, and refused by name where they are declared", async () => {
  const list = vectorFromArray([[1, 2], [3]], new List(new Field("item", new Int32())));
  const inner = [new Field("x", new Utf8()), new Field("y", new Int8())];
  const table = new Table({
    l: list,
    s: vectorFromArray([{ x: "p", y: 1 }, null], new Struct(inner)),
    b: vectorFromArray([Uint8Array.of(1), Uint8Array.of(2)], new Binary()),
    a: vectorFromArray([5n, 6n], new Int64()),
    w: vectorFromArray(["u", "v"]),
  });
  for (const form of forms) {
    const file = root.write("raw/a.arrow", ipc(form, table));
    expect(await rowsOf(root, await run(file, columns("a BIGINT, w VARCHAR")))).toEqual([
      ["5", "u"],
      ["6", "v"],
    ]);
    const refused = [
      ["l VARCHAR", "column l is list, which cannot be read"],
      ["s VARCHAR", "column s is struct, which cannot be read"],
      ["b VARCHAR", "column b is binary, which is no VARCHAR"],
      ["a BOOLEAN", "column a is int64, which is no BOOLEAN"],
      ["nope BIGINT", "no column nope"],
    ] as const;
    for (const [declared, text] of refused) {
      await expect(run(file, columns(declared))).rejects.toMatchObject(
        failsWith("inputMalformed", `file raw/a.arrow: ${text}`),
      );
    }
  }
});

test("an Arrow file gives what the same rows as CSV give, over splits, rules and the late table", async () => {
  const schema = new Schema([new Field("ms", new Int64()), new Field("k", new Utf8())]);
  const start = Date.UTC(2026, 0, 15);
  const made = Array.from({ length: 3000 }, (_, row) => ({
    ms: BigInt(start + row * 40_000 - 1_000_000),
    k: row % 11 === 0 ? null : `k${row % 13}`,
  }));
  const parts = [made.slice(0, 1000), made.slice(1000, 1001), made.slice(1001)].map(
    (rows) =>
      new Table({
        ms: vectorFromArray(
          rows.map(({ ms }) => ms),
          new Int64(),
        ),
        k: vectorFromArray(
          rows.map(({ k }) => k),
          new Utf8(),
        ),
      }),
  );
  const [first, second, third] = parts as [Table, Table, Table];
  expect(first.schema.fields.map(String)).toEqual(schema.fields.map(String));
  const arrows = [
    root.write("raw/1.arrow", ipc("file", new Table([...first.batches, ...second.batches]))),
    root.write("raw/2.arrow", ipc("stream", third, true)),
  ];
  const text = (rows: typeof made) => rows.map(({ ms, k }) => `${ms},${k ?? ""}\n`).join("");
  const csvs = [
    root.write("raw/1.csv", text(made.slice(0, 1001))),
    root.write("raw/2.csv", text(made.slice(1001))),
  ];
  const results = [];
  for (const [format, files] of [
    ["arrow", arrows],
    ["csv", csvs],
  ] as const) {
    const spec = source({
      columns: columns("ms BIGINT, k VARCHAR"),
      format,
      eventTime: { column: "ms", outside: "late_table", unit: "ms" },
    });
    const done = await runWork(
      copyWork(spec, files, { day: "2026-01-15" }),
      delivery(),
      context(root),
    );
    const late = await query(
      `SELECT ms, k FROM read_parquet('${join(root.path, done.lateFile ?? "")}') ORDER BY ms`,
    );
    const accounts = done.accounts.map(({ lines, rows, rejects, outsideDay }) => ({
      lines,
      rows,
      rejects,
      outsideDay,
    }));
    results.push({ accounts, late, rows: (await rowsOf(root, done)).map(String).sort() });
  }
  expect(results[0]).toEqual(results[1]);
  expect(results[0]?.accounts.map(({ lines }) => lines)).toEqual([1001, 1999]);
  expect(results[0]?.accounts[0]?.outsideDay).toBe(25);
  const outside = results[0]?.accounts.reduce((sum, { outsideDay }) => sum + outsideDay, 0) ?? 0;
  expect(results[0]?.late).toHaveLength(outside);
  expect(results[0]?.rows).toHaveLength(3000 - outside);
});

test("a dimension may be Arrow, and is as strict as any", async () => {
  const spec = {
    name: "d",
    path: "d.arrow",
    format: "arrow" as const,
    columns: columns("a TINYINT"),
  };
  const work = (values: readonly number[]) => {
    const table = new Table({ a: vectorFromArray([...values], new Int32()) });
    const file = root.write("d.arrow", ipc("file", table));
    const base = copyWork(
      source({ columns: columns("a TINYINT") }),
      [root.write("raw/a.csv", "1\n")],
      {
        dimensions: [{ spec: { ...spec, csv: source({ columns: [] }).csv }, file }],
      },
    );
    const [output] = base.stage.outputs;
    if (output?.kind !== "dataset") throw new Error("a dataset");
    const outputs = [{ ...output, sql: "SELECT a FROM d" }];
    return { ...base, stage: { ...base.stage, dimensions: ["d"], outputs } };
  };
  const good = work([1, 2]);
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(await rowsOf(root, await runWork(good, delivery(), context(root)))).toEqual([
      ["1"],
      ["2"],
    ]);
  }
  await expect(runWork(work([1, 200]), delivery(), context(root))).rejects.toMatchObject(
    failsWith("inputMalformed", "line 2: value does not fit column a"),
  );
});
