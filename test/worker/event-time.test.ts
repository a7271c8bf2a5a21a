/** Records outside their day: kept, set aside or rejected, and always counted for their file. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { OutsideRule, SourceSpec } from "../../shared/kernel/job.ts";
import { query } from "./query.ts";
import { columns, context, copyWork, delivery, mapWork, rootOfEachTest, source } from "./setup.ts";

const root = rootOfEachTest();

const day = "2026-01-15";
// 2026-01-15 in Kolkata begins at 2026-01-14T18:30:00Z.
const start = Date.UTC(2026, 0, 14, 18, 30);
const lines = [start - 1, start, start + 86_399_999, start + 86_400_000].map(
  (ms, i) => `${ms},r${i}`,
);

function spec(outside: OutsideRule, unit: "s" | "ms" | "us" = "ms"): SourceSpec {
  return source({
    columns: columns("t BIGINT, name VARCHAR"),
    eventTime: { column: "t", outside, unit },
  });
}

async function run(rule: OutsideRule) {
  const files = [
    root.write("raw/a.csv", `${lines.join("\n")}\n`),
    root.write("raw/b.csv", `${start + 5},r5\n,r6\n`),
  ];
  const work = copyWork(spec(rule), files, { day, timezone: "Asia/Kolkata" });
  const done = await runWork(work, delivery(), context(root));
  const staged = join(root.path, done.files[0]?.path ?? "");
  const names = await query(`SELECT name FROM '${staged}' ORDER BY name`);
  return { done, names: names.flat().join(" ") };
}

test("keep: rows stay, the day's border is the job's midnight", async () => {
  const { done, names } = await run("keep");
  expect(names).toBe("r0 r1 r2 r3 r5 r6");
  expect(done.accounts.map((a) => [a.rows, a.rejects, a.outsideDay])).toEqual([
    [4, 0, 2],
    [2, 0, 1],
  ]);
});

test("reject: rows become rejects, and the sum still closes", async () => {
  const { done, names } = await run("reject");
  expect(names).toBe("r1 r2 r5");
  expect(done.accounts.map((a) => [a.lines, a.rows, a.rejects, a.outsideDay])).toEqual([
    [4, 2, 2, 2],
    [2, 1, 1, 1],
  ]);
  const rejects = join(root.path, done.rejectsFile ?? "");
  expect(await query(`SELECT file, line, reason, raw FROM '${rejects}' ORDER BY ALL`)).toEqual([
    ["raw/a.csv", null, "event time outside the day", lines[0]],
    ["raw/a.csv", null, "event time outside the day", lines[3]],
    ["raw/b.csv", null, "event time outside the day", ",r6"],
  ]);
});

test("late_table: whole records are set aside, whatever the models need", async () => {
  const { done, names } = await run("late_table");
  expect(names).toBe("r1 r2 r5");
  expect(done.accounts.map((a) => [a.lines, a.rows, a.rejects, a.outsideDay])).toEqual([
    [4, 4, 0, 2],
    [2, 2, 0, 1],
  ]);
  const late = join(root.path, done.lateFile ?? "");
  expect(await query(`SELECT * FROM '${late}' ORDER BY name`)).toEqual([
    ["raw/a.csv", String(start - 1), "r0"],
    ["raw/a.csv", String(start + 86_400_000), "r3"],
    ["raw/b.csv", null, "r6"],
  ]);
});

test("a file of late records that can't be written is called one", async () => {
  const given = delivery();
  mkdirSync(join(root.path, given.stagingDir, "_late-0.parquet"), { recursive: true });
  const work = copyWork(spec("late_table"), [root.write("raw/a.csv", `${lines[0]}\n`)], { day });
  await expect(runWork(work, given, context(root))).rejects.toMatchObject({
    failure: { code: "storageFailed", message: expect.stringMatching(/file of late records/) },
  });
});

test("the files table tells each file's lines and event times, from columns no model keeps", async () => {
  const files = [
    root.write("raw/a.csv", `${lines.join("\n")}\n\nx,bad\n`),
    root.write("raw/b.csv", "\n"),
  ];
  const sql = "SELECT * FROM src_files";
  const types = columns(
    "file VARCHAR, bytes BIGINT, lines BIGINT, rows BIGINT, rejects BIGINT, blank BIGINT, outside_day BIGINT, first_event_ms BIGINT, last_event_ms BIGINT",
  );
  const work = mapWork(
    spec("keep"),
    files,
    {
      id: "s0",
      input: { kind: "scan", source: "src", keep: [], files: true },
      dimensions: [],
      tables: [],
      outputs: [
        { kind: "dataset", model: "feed", sql, columns: types, single: false },
        {
          kind: "dataset",
          model: "total",
          sql: "SELECT count(*) AS n FROM src",
          columns: columns("n BIGINT"),
          single: true,
        },
      ],
    },
    { day, timezone: "Asia/Kolkata" },
  );
  const done = await runWork(work, delivery(), context(root));
  const [feed, total] = done.files.map(({ path }) => join(root.path, path));
  expect(await query(`SELECT * EXCLUDE (bytes) FROM '${feed}' ORDER BY file`)).toEqual([
    ["raw/a.csv", "6", "4", "1", "1", "2", String(start - 1), String(start + 86_400_000)],
    ["raw/b.csv", "1", "0", "0", "1", "0", null, null],
  ]);
  expect(await query(`SELECT n FROM '${total}'`)).toEqual([["4"]]);
});

test("timestamps, dates and other units mean the same moments", async () => {
  const cases: [string, string, "s" | "ms" | "us"][] = [
    ["TIMESTAMP", "2026-01-15 00:00:00\n2026-01-14 23:59:59\ninfinity\n", "ms"],
    ["TIMESTAMP WITH TIME ZONE", "2026-01-14 18:30:00+00\n2026-01-14 18:29:59+00\n\n", "ms"],
    ["DATE", "2026-01-15\n2026-01-14\n2026-01-16\n", "ms"],
    ["BIGINT", `${start / 1000}\n${start / 1000 - 1}\n9223372036854775807\n`, "s"],
    ["BIGINT", `${start * 1000}\n${start * 1000 - 1}\n-1\n`, "us"],
  ];
  for (const [type, text, unit] of cases) {
    const one = source({
      columns: columns(`t ${type}`),
      eventTime: { column: "t", outside: "keep", unit },
    });
    const work = copyWork(one, [root.write("raw/t.csv", text)], { day, timezone: "Asia/Kolkata" });
    const done = await runWork(work, delivery(), context(root));
    expect(done.accounts[0], `${type} ${unit}`).toMatchObject({ rows: 3, outsideDay: 2 });
  }
});
