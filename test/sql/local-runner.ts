/**
 * Carries out a JobPlan in one DuckDB exactly as workers do (see shared/kernel/plan.ts): one task per split or partition
 * group, temp tables per task, rows between tasks only through exchanges cut by hash(keys) % P. No network, no files.
 */
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { Column } from "../../shared/kernel/job.ts";
import type { ExchangePlan, JobPlan, StageOutput, StagePlan } from "../../shared/kernel/plan.ts";

export interface RunOptions {
  readonly splits: number;
  readonly partitions: number;
}

export interface ResultSet {
  readonly names: readonly string[];
  readonly types: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/** A DuckDB with the input tables in schema `base`. */
export class LocalRunner {
  private readonly instance: DuckDBInstance;
  private readonly connection: DuckDBConnection;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.instance = instance;
    this.connection = connection;
  }

  /** `statements` make and fill the input tables in schema `base`, which they create. */
  static async open(statements: readonly string[]): Promise<LocalRunner> {
    const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    await connection.run("SET VARIABLE logical_time = TIMESTAMPTZ '2026-01-16 01:00:00+00'");
    for (const statement of statements) await connection.run(statement);
    return new LocalRunner(instance, connection);
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
  }

  /** The answer of plain DuckDB over the whole tables: the models as views, the last one read. */
  async reference(models: readonly { name: string; sql: string }[]): Promise<ResultSet> {
    await this.connection.run("USE base");
    for (const { name, sql } of models)
      await this.connection.run(`CREATE OR REPLACE TEMP TABLE "${name}" AS ${sql}`);
    const last = models.at(-1)?.name ?? "";
    const result = await this.read(`SELECT * FROM "${last}"`);
    for (const { name } of models) await this.connection.run(`DROP TABLE "${name}"`);
    await this.connection.run("USE main");
    return result;
  }

  /** Runs the plan and reads one model's dataset. */
  async run(plan: JobPlan, model: string, options: RunOptions): Promise<ResultSet> {
    await this.execute(plan, options);
    return await this.dataset(model);
  }

  /** What the last plan wrote for a model. */
  async dataset(model: string): Promise<ResultSet> {
    return await this.read(`SELECT * FROM base."out_${model}"`);
  }

  /** Rows that the last plan sent over an exchange. */
  async sent(exchange: string): Promise<number> {
    const { rows } = await this.read(`SELECT count(*) FROM base."data_${exchange}"`);
    return Number(rows[0]?.[0]);
  }

  /** Runs every stage of the plan. */
  async execute(plan: JobPlan, options: RunOptions): Promise<void> {
    const exchanges = new Map(
      plan.exchanges.map((entry) => [entry.id, repartitioned(entry, options.partitions)]),
    );
    const define = (name: string, columns: readonly Column[], more = ""): string => {
      const list = columns.map((entry) => `${quoted(entry.name)} ${entry.type}`).join(", ");
      return `CREATE OR REPLACE TABLE base."${name}" (${list}${more})`;
    };
    const statements = [
      ...plan.exchanges.map((entry) => define(`data_${entry.id}`, entry.columns, ", __p INTEGER")),
      ...plan.datasets.map((entry) => define(`out_${entry.model}`, entry.columns)),
    ];
    // In one transaction: less to do for each statement, and nothing is left of a run that failed.
    await this.connection.run(["BEGIN", ...statements].join(";\n"));
    try {
      for (const stage of plan.stages) await this.runStage(stage, exchanges, options.splits);
      await this.connection.run("COMMIT");
    } catch (error) {
      await this.connection.run("ROLLBACK");
      throw error;
    }
  }

  private async runStage(
    stage: StagePlan,
    exchanges: ReadonlyMap<string, ExchangePlan>,
    splits: number,
  ): Promise<void> {
    const { input } = stage;
    const inputs =
      input.kind === "exchange" ? input.exchanges.map((id) => mustGet(exchanges, id)) : [];
    const tasks =
      input.kind === "scan" ? splits + 1 : Math.max(...inputs.map((entry) => entry.groups));
    // Views over what the task of the moment reads: in one database they hold the same rows as the worker's tables.
    const seen: Table[] = stage.dimensions.map((name) =>
      view(name, `SELECT * FROM base."${name}"`),
    );
    if (input.kind === "scan") {
      // The last split is empty, like a file without rows.
      const pick = `(rowid * 7 + rowid // 100) % ${splits} = getvariable('task')`;
      const keep = input.keep.map((name) => `"${name}"`).join(", ");
      seen.push(view(input.source, `SELECT ${keep} FROM base."${input.source}" WHERE ${pick}`));
      const files = `${input.source}_files`;
      const mine = `rowid % ${splits + 1} = getvariable('task')`;
      if (input.files) seen.push(view(files, `SELECT * FROM base."${files}" WHERE ${mine}`));
    }
    for (const entry of inputs) {
      const group = `floor(__p * ${entry.groups} / ${entry.partitions}) = getvariable('task')`;
      seen.push(view(entry.id, `SELECT * FROM base."data_${entry.id}" WHERE ${group}`));
    }
    const made = stage.tables.map(
      ({ name, sql, materialize }): Table => ({ kind: materialize ? "TABLE" : "VIEW", name, sql }),
    );
    // Where a task makes a table, what is seen of it is made with it.
    const isLasting = made.every(({ kind }) => kind === "VIEW");
    const lasting = isLasting ? [...seen, ...made] : seen;
    const own = isLasting ? [] : made;
    await this.connection.run(["SET VARIABLE task = 0", ...lasting.map(create)].join(";\n"));
    for (let task = 0; task < tasks; task += 1) {
      // All statements of a task in one go: the round trips would cost more than the work.
      const all = [
        `SET VARIABLE task = ${task}`,
        ...own.map(create),
        ...stage.outputs.map((output) => outputStatement(output, exchanges)),
        ...own.toReversed().map(drop),
      ];
      await this.connection.run(all.join(";\n"));
    }
    if (lasting.length > 0) await this.connection.run(lasting.toReversed().map(drop).join(";\n"));
  }

  private async read(sql: string): Promise<ResultSet> {
    const reader = await this.connection.runAndReadAll(sql);
    return {
      names: reader.columnNames(),
      types: reader.columnTypes().map(String),
      rows: reader.getRowsJson(),
    };
  }
}

interface Table {
  readonly kind: "TABLE" | "VIEW";
  readonly name: string;
  readonly sql: string;
}

function view(name: string, sql: string): Table {
  return { kind: "VIEW", name, sql };
}

function create({ kind, name, sql }: Table): string {
  return `CREATE TEMP ${kind} "${name}" AS ${sql}`;
}

function drop({ kind, name }: Table): string {
  return `DROP ${kind} temp."${name}"`;
}

function outputStatement(
  output: StageOutput,
  exchanges: ReadonlyMap<string, ExchangePlan>,
): string {
  if (output.kind === "dataset") return `INSERT INTO base."out_${output.model}" ${output.sql}`;
  const entry = mustGet(exchanges, output.exchange);
  const columns = entry.columns.map(
    (column) => `CAST(${quoted(column.name)} AS ${column.type}) AS ${quoted(column.name)}`,
  );
  const keys = entry.keys.join(", ");
  const hash = entry.keys.length === 0 ? "0" : `(hash(${keys}) % ${entry.partitions})::INTEGER`;
  const rows = `SELECT ${columns.join(", ")} FROM (${output.sql})`;
  return `INSERT INTO base."data_${entry.id}" SELECT *, ${hash} FROM (${rows})`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function repartitioned(plan: ExchangePlan, partitions: number): ExchangePlan {
  if (plan.keys.length === 0) return plan;
  return { ...plan, partitions, groups: Math.min(partitions, 8) };
}

function mustGet<T>(map: ReadonlyMap<string, T>, key: string): T {
  const value = map.get(key);
  if (value === undefined) throw new Error(`the plan names ${key} but has no such exchange`);
  return value;
}

/** The first difference of two results as multisets of rows, undefined when equal; DOUBLE within 1e-9 relative. */
export function firstDifference(actual: ResultSet, expected: ResultSet): string | undefined {
  if (actual.names.join() !== expected.names.join())
    return `columns ${actual.names} ≠ ${expected.names}`;
  for (const [index, type] of expected.types.entries()) {
    const want = type === "HUGEINT" ? "DECIMAL(38,0)" : type;
    if (actual.types[index] !== want)
      return `${expected.names[index]}: type ${actual.types[index]} ≠ ${want}`;
  }
  if (actual.rows.length !== expected.rows.length) {
    return `${actual.rows.length} rows ≠ ${expected.rows.length} rows`;
  }
  const inexact = expected.types.map((type) => type === "DOUBLE" || type === "FLOAT");
  const [a, b] = [sorted(actual.rows, inexact), sorted(expected.rows, inexact)];
  for (const [index, row] of a.entries()) {
    const other = b[index] ?? [];
    const at = row.findIndex(
      (value, column) => !sameValue(value, other[column], inexact[column] === true),
    );
    if (at >= 0) return `row ${index}: ${JSON.stringify(row)} ≠ ${JSON.stringify(other)}`;
  }
  return undefined;
}

function sorted(
  rows: readonly (readonly unknown[])[],
  inexact: readonly boolean[],
): readonly (readonly unknown[])[] {
  const exact = (row: readonly unknown[]): string =>
    JSON.stringify(row.filter((_, index) => !inexact[index]));
  const doubles = (row: readonly unknown[]): readonly number[] =>
    row
      .filter((_, index) => inexact[index])
      .map((value) => (value === null ? Number.NEGATIVE_INFINITY : Number(value)));
  return rows
    .map((row) => ({ row, text: exact(row), numbers: doubles(row) }))
    .sort((x, y) => {
      if (x.text !== y.text) return x.text < y.text ? -1 : 1;
      for (const [index, value] of x.numbers.entries()) {
        const other = y.numbers[index] ?? 0;
        if (value !== other) return value - other;
      }
      return 0;
    })
    .map((entry) => entry.row);
}

function sameValue(a: unknown, b: unknown, inexact: boolean): boolean {
  if (!inexact || a === null || b === null)
    return String(a) === String(b) && (a === null) === (b === null);
  const [x, y] = [Number(a), Number(b)];
  if (Object.is(x, y) || x === y) return true;
  return Math.abs(x - y) <= 1e-9 * Math.max(Math.abs(x), Math.abs(y));
}
