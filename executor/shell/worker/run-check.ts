/**
 * One check: its SQL over the staged files of a model, before anybody else can see them. The value goes back as text;
 * what it means is the coordinator's business, and so is what it means that the SQL gave none.
 */
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { insideRoot } from "../../../shared/adapters/inputs-files.ts";
import {
  DaymillError,
  type Failure,
  type FailureCode,
  fail,
  failure,
} from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { CheckWork } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";
import type { WorkResult } from "./result.ts";
import { castColumns } from "./staging.ts";

/** The check's own fault, wherever it runs: an answer. Anything else may be the machine's, and another one tries. */
const answers: ReadonlySet<FailureCode> = new Set(["sqlFailed", "valueOverflow", "timeout"]);

/** `timeMs`: how long the SQL may run. Errors: `outOfMemory`, `cancelled`, `storage…`. */
export async function runCheck(
  attempt: Attempt,
  work: CheckWork,
  timeMs: number = limits.checkMs,
): Promise<WorkResult> {
  const none = { outputs: [], files: [], accounts: [], rowsIn: 0, bytesIn: 0 };
  await viewModel(attempt, work);
  try {
    return { ...none, checkValue: await askValue(attempt, work, timeMs) };
  } catch (error) {
    const why = answerOf(error);
    if (why === undefined) throw error;
    return { ...none, checkValue: null, checkFailure: why };
  }
}

function answerOf(error: unknown): Failure | undefined {
  if (!(error instanceof DaymillError)) return undefined;
  return answers.has(error.failure.code) ? error.failure : undefined;
}

async function viewModel({ engine, context }: Attempt, work: CheckWork): Promise<void> {
  const { check, columns, files } = work;
  const paths: string[] = [];
  for (const file of files) paths.push(await insideRoot(context.root, file));
  const rows =
    files.length > 0
      ? `SELECT ${castColumns(columns)} FROM read_parquet([${paths.map(sqlText).join(", ")}], hive_partitioning = false)`
      : `SELECT ${nulls(work)} WHERE false`;
  await engine.run(`CREATE VIEW ${sqlName(check.model)} AS ${rows}`, `check ${check.name}`);
}

async function askValue(
  { engine, context }: Attempt,
  { check }: CheckWork,
  timeMs: number,
): Promise<string | null> {
  const what = `check ${check.name}`;
  let isLate = false;
  const stop = () => {
    isLate = true;
    engine.connection.interrupt();
  };
  const timer = setTimeout(stop, timeMs);
  try {
    const result = await engine.rows(
      `SELECT COLUMNS(*)::VARCHAR FROM (${check.sql}) LIMIT 2`,
      what,
    );
    const [row] = result;
    if (row === undefined || result.length > 1 || row.length !== 1) {
      throw fail("sqlFailed", `${what}: must give exactly one row with one column`);
    }
    return row[0] ?? null;
  } catch (error) {
    if (!isLate || context.signal.aborted) throw error;
    const text = `its SQL ran for ${timeMs / 1_000} s without an end, which is the most: make it cheaper`;
    throw new DaymillError(failure("timeout", `${what}: ${text}`), error);
  } finally {
    clearTimeout(timer);
  }
}

function nulls(work: CheckWork): string {
  return work.columns
    .map(({ name, type }) => `CAST(NULL AS ${type}) AS ${sqlName(name)}`)
    .join(", ");
}
