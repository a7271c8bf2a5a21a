/**
 * The day as a careful person would run it with DuckDB alone: the bench's yardstick, a process of its own.
 *
 *   node dist/scripts/bench-plain.js --mode model|table --job job.json --root DIR --day D --threads N
 *
 * `model`: each model is one query over the files. `table`: the columns that some model names are loaded once, all
 * models read that table. Writes `out/<model>/day=D/`; prints {"seconds": …}. For files without damaged lines.
 */
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { DimensionSpec, JobSpec, SourceSpec } from "../shared/kernel/job.ts";

interface Exam {
  readonly job: JobSpec;
  readonly root: string;
  readonly day: string;
  readonly mode: "model" | "table";
}

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { mode: text, job: text, root: text, day: text, threads: text },
});
const exam: Exam = {
  job: JSON.parse(readFileSync(values.job ?? "", "utf8")),
  root: values.root ?? "",
  day: values.day ?? "",
  mode: values.mode === "table" ? "table" : "model",
};

const startedAt = process.hrtime.bigint();
const instance = await DuckDBInstance.create(":memory:", { threads: values.threads ?? "2" });
const connection = await instance.connect();
await connection.run("SET preserve_insertion_order = false");
await connection.run(`SET TimeZone = ${quoted(exam.job.timezone)}`);
for (const source of exam.job.sources) await defineSource(connection, exam, source);
for (const dimension of exam.job.dimensions) {
  const from = csvScan(dimension, path.join(exam.root, dimension.path), false);
  await connection.run(`CREATE TABLE ${dimension.name} AS SELECT * FROM ${from}`);
}
await writeModels(connection, exam);
console.log(JSON.stringify({ seconds: Number(process.hrtime.bigint() - startedAt) / 1e9 }));
connection.closeSync();
instance.closeSync();

/** The source and its file table: as views over the files, or as one table and a view over it. */
async function defineSource(at: DuckDBConnection, of: Exam, source: SourceSpec): Promise<void> {
  const pattern = path.join(of.root, source.path.replaceAll("{day}", of.day));
  const scan = csvScan(source, pattern, true);
  const sql = of.job.models.map((model) => model.sql).join("\n");
  const named = source.columns.filter((column) => new RegExp(`\\b${column.name}\\b`).test(sql));
  const columns = [...named.map((column) => column.name), "__file"].join(", ");
  const kind = of.mode === "table" ? "TABLE" : "VIEW";
  await at.run(`CREATE ${kind} "all ${source.name}" AS SELECT ${columns} FROM ${scan}`);
  await at.run(`CREATE VIEW ${source.name} AS SELECT * EXCLUDE (__file) FROM "all ${source.name}"`);
  const time = source.eventTime?.column ?? "NULL::BIGINT";
  const day = `epoch_ms(DATE ${quoted(of.day)}::TIMESTAMPTZ)`;
  const nextDay = `epoch_ms((DATE ${quoted(of.day)} + 1)::TIMESTAMPTZ)`;
  await at.run(`CREATE VIEW ${source.name}_files AS
    SELECT __file[${of.root.length + 2}:] AS file, any_value(size)::BIGINT AS bytes,
      count(*) AS lines, count(*) AS "rows", 0::BIGINT AS rejects, 0::BIGINT AS blank,
      count(*) FILTER (WHERE ${time} < ${day} OR ${time} >= ${nextDay}) AS outside_day,
      min(${time}) AS first_event_ms, max(${time}) AS last_event_ms
    FROM "all ${source.name}"
    JOIN (SELECT filename, size FROM read_blob(${quoted(pattern)})) ON filename = __file
    GROUP BY __file`);
}

function csvScan(spec: SourceSpec | DimensionSpec, file: string, named: boolean): string {
  const types = spec.columns.map((column) => `${quoted(column.name)}: ${quoted(column.type)}`);
  const options = [
    `columns = {${types.join(", ")}}`,
    "auto_detect = false",
    `header = ${spec.csv.header}`,
    `delim = ${quoted(spec.csv.delimiter)}`,
    `quote = ${quoted(spec.csv.quote)}`,
    `escape = ${quoted(spec.csv.escape)}`,
    `nullstr = ${quoted(spec.csv.nullString)}`,
    ...(named ? ["filename = '__file'"] : []),
  ];
  return `read_csv(${quoted(file)}, ${options.join(", ")})`;
}

/** Each model once, after those it reads; later ones read its result, as a person would have it. */
async function writeModels(at: DuckDBConnection, of: Exam): Promise<void> {
  let waiting = [...of.job.models];
  while (waiting.length > 0) {
    const ready = waiting.filter(
      (model) => !waiting.some((other) => new RegExp(`\\b${other.name}\\b`).test(model.sql)),
    );
    if (ready.length === 0) throw new Error("the models read each other in a circle");
    for (const model of ready) {
      await at.run(`CREATE TABLE ${model.name} AS (${model.sql}\n)`);
      const folder = path.join(of.root, "out", model.name, `day=${of.day}`);
      mkdirSync(folder, { recursive: true });
      const described = await at.runAndReadAll(`DESCRIBE ${model.name}`);
      // Parquet would get a HUGEINT as DOUBLE.
      const casts = described
        .getRowObjectsJson()
        .filter((row) => row["column_type"] === "HUGEINT")
        .map((row) => `${row["column_name"]}::DECIMAL(38,0) AS ${row["column_name"]}`);
      const replace = casts.length > 0 ? `REPLACE (${casts.join(", ")})` : "";
      const target = quoted(path.join(folder, "plain.parquet"));
      await at.run(
        `COPY (SELECT * ${replace} FROM ${model.name}) TO ${target} (FORMAT parquet, COMPRESSION zstd)`,
      );
    }
    waiting = waiting.filter((model) => !ready.includes(model));
  }
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
