/** Columns that the files of a day lack and those of other days have: NULL in every row, whatever the format and rule. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { Column, SourceSpec } from "../../shared/kernel/job.ts";
import type { FileFingerprint, MapWork } from "../../shared/kernel/work.ts";
import { query } from "./query.ts";
import {
  columns,
  context,
  delivery,
  fingerprint,
  mapWork,
  rootOfEachTest,
  source,
} from "./setup.ts";

const root = rootOfEachTest();

const day = "2026-01-15";
const inside = Date.UTC(2026, 0, 15, 12);

/** Work that writes the columns named here, as they are. */
function copyOf(
  spec: SourceSpec,
  files: readonly FileFingerprint[],
  written: readonly Column[],
): MapWork {
  const list = written.map(({ name }) => `"${name}"`).join(", ");
  const stage = {
    id: "s0",
    input: {
      kind: "scan",
      source: spec.name,
      keep: written.map(({ name }) => name),
      files: false,
    },
    dimensions: [],
    tables: [],
    outputs: [
      {
        kind: "dataset",
        model: "copy",
        sql: `SELECT ${list} FROM "${spec.name}"`,
        columns: written,
        single: false,
      },
    ],
  } as const;
  return mapWork(spec, files, stage, { day });
}

async function copied(work: MapWork, sql: string) {
  const done = await runWork(work, delivery(), context(root));
  const staged = join(root.path, done.files[0]?.path ?? "");
  return { done, rows: await query(`SELECT ${sql} FROM '${staged}' ORDER BY ALL`) };
}

const have = columns("t BIGINT, name VARCHAR");
const lack = columns("added DECIMAL(9,2), since DATE");
const all = [...have, ...lack];

test("lines of text have NULL there, with the declared type", async () => {
  const file = root.write("raw/a.csv", `${inside},a\n${inside},b\n`);
  const spec = source({ columns: have, absent: lack });
  const { done, rows } = await copied(copyOf(spec, [file], all), "name, added, since");
  expect(rows).toEqual([
    ["a", null, null],
    ["b", null, null],
  ]);
  const staged = join(root.path, done.files[0]?.path ?? "");
  const types = await query(`SELECT column_name, column_type FROM (DESCRIBE FROM '${staged}')`);
  expect(types).toEqual(all.map(({ name, type }) => [name, type]));
});

test("a line that has the column already has one too many: a reject", async () => {
  const file = root.write("raw/a.csv", `${inside},a\n${inside},b,3.50,2026-01-01\n`);
  const { done, rows } = await copied(
    copyOf(source({ columns: have, absent: lack }), [file], all),
    "name, added",
  );
  expect(rows).toEqual([["a", null]]);
  expect(done.accounts.map(({ lines, rejects }) => [lines, rejects])).toEqual([[2, 1]]);
});

test("a stage that reads nothing but what the files lack still has all rows", async () => {
  const file = root.write("raw/a.csv", "1,a\n2,b\n3,c\n");
  const { rows } = await copied(
    copyOf(source({ columns: have, absent: lack }), [file], lack),
    "count(*), count(added), count(since)",
  );
  expect(rows).toEqual([["3", "0", "0"]]);
});

test("Parquet files", async () => {
  root.write("raw/x", "");
  const path = join(root.path, "raw/a.parquet");
  await query(
    `COPY (SELECT ${inside}::BIGINT AS t, 'a' AS name) TO '${path}' (FORMAT parquet)`,
    "SELECT 1",
  );
  const spec = source({ columns: have, absent: lack, format: "parquet" });
  const work = copyOf(spec, [fingerprint(root.path, "raw/a.parquet")], all);
  expect((await copied(work, "name, added, since")).rows).toEqual([["a", null, null]]);
});

test("late records are set aside with the columns that they have", async () => {
  const file = root.write("raw/a.csv", `${inside},a\n0,old\n`);
  const spec = source({
    columns: have,
    absent: lack,
    eventTime: { column: "t", outside: "late_table", unit: "ms" },
  });
  const { done, rows } = await copied(copyOf(spec, [file], all), "name, added");
  expect(rows).toEqual([["a", null]]);
  const late = join(root.path, done.lateFile ?? "");
  expect(await query(`SELECT t, name FROM '${late}'`)).toEqual([["0", "old"]]);
});
