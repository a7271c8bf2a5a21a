/**
 * Runs a stage's SQL in a worker: its tables in order, then its outputs, each to its exchange or staged file.
 * What feeds the tables (a scan, an exchange, dimensions) is there already. The same program for map and reduce.
 */
import { sqlName } from "../../../shared/adapters/duckdb.ts";
import type { ExchangePlan, StageOutput, StagePlan } from "../../../shared/kernel/plan.ts";
import { partitionColumn } from "../../../shared/kernel/plan.ts";
import type { ExchangeOutput, StagedFile } from "../../../shared/kernel/work.ts";
import { type Attempt, exchangePlan, exchangeRoute } from "./attempt.ts";
import { castColumns, stageDataset } from "./staging.ts";

export interface StageProgram {
  readonly stage: StagePlan;
  readonly exchanges: readonly ExchangePlan[];
  /** Map key, or run/stage/task of a reduce task. */
  readonly producer: string;
  /** This task writes the empty files of `single` datasets. */
  readonly first: boolean;
  /** Drops what the stage read; called once nothing reads it any more. */
  readonly release: () => Promise<void>;
}

export interface StageOutputs {
  readonly outputs: readonly ExchangeOutput[];
  readonly files: readonly StagedFile[];
}

/** Errors: `sqlFailed`, `valueOverflow`, `outOfMemory`, `storage…`, and those of the exchange. */
export async function runStage(attempt: Attempt, program: StageProgram): Promise<StageOutputs> {
  const { stage } = program;
  for (const table of stage.tables) {
    const kind = table.materialize ? "TABLE" : "VIEW";
    await attempt.engine.run(
      `CREATE ${kind} ${sqlName(table.name)} AS ${table.sql}`,
      `stage ${stage.id}, table ${table.name}`,
    );
  }
  const outputs: ExchangeOutput[] = [];
  const files: StagedFile[] = [];
  for (const [index, output] of stage.outputs.entries()) {
    const last = index === stage.outputs.length - 1;
    if (output.kind === "exchange") {
      outputs.push(await toExchange(attempt, program, output, last));
    } else {
      const keepEmpty = output.single && program.first;
      const file = await stageDataset(attempt, { ...output, keepEmpty });
      if (file !== undefined) files.push(file);
    }
  }
  return { outputs, files };
}

async function toExchange(
  attempt: Attempt,
  program: StageProgram,
  output: Extract<StageOutput, { kind: "exchange" }>,
  last: boolean,
): Promise<ExchangeOutput> {
  const { engine, context, delivery } = attempt;
  const plan = exchangePlan(program.exchanges, output.exchange);
  const route = exchangeRoute(delivery.outputs, output.exchange);
  const table = `__out_${plan.id}`;
  const what = `stage ${program.stage.id}, exchange ${plan.id}`;
  const rows = `SELECT *, ${partitionOf(plan)} AS ${partitionColumn}
     FROM (SELECT ${castColumns(plan.columns)} FROM (${output.sql}))`;
  const kind = (await isCheap(attempt, rows, what)) ? "VIEW" : "TABLE";
  await engine.run(`CREATE ${kind} ${sqlName(table)} AS ${rows}`, what);
  // A table has its rows copied out: the memory of the inputs is better used for sending.
  if (last && kind === "TABLE") await releaseAll(attempt, program);
  const { attemptId } = delivery;
  const sent = await context.exchange.write(engine.connection, {
    plan,
    route,
    attemptId,
    producer: program.producer,
    table,
    signal: context.signal,
  });
  await engine.run(`DROP ${kind} ${sqlName(table)}`, what);
  return sent;
}

const cheapOperators = ["PROJECTION", "FILTER", "SEQ_SCAN", "TABLE_SCAN", "UNION", "EMPTY_RESULT"];

/** Sending reads the rows twice: what only picks and computes is not copied for it, anything else is. */
async function isCheap(attempt: Attempt, sql: string, what: string): Promise<boolean> {
  const [row] = await attempt.engine.rows(`EXPLAIN (FORMAT json) ${sql}`, what);
  const names = [...(row?.[1] ?? "").matchAll(/"name":\s*"([^"]*)"/g)].map((match) => match[1]);
  return names.length > 0 && names.every((name) => cheapOperators.includes(name?.trim() ?? ""));
}

async function releaseAll(attempt: Attempt, program: StageProgram): Promise<void> {
  for (const table of [...program.stage.tables].reverse()) {
    const kind = table.materialize ? "TABLE" : "VIEW";
    await attempt.engine.run(
      `DROP ${kind} ${sqlName(table.name)}`,
      `stage ${program.stage.id}, table ${table.name}`,
    );
  }
  await program.release();
}

/** The bucket of a row; the hash is part of `hashVersion`. */
function partitionOf(plan: ExchangePlan): string {
  if (plan.keys.length === 0) return "0::INTEGER";
  return `(hash(${plan.keys.join(", ")}) % ${plan.partitions})::INTEGER`;
}
