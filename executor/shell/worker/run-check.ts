/**
 * One check: its SQL over the staged files of a model, before anybody else can see them. The value goes back as text;
 * what it means is the coordinator's business.
 */
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import { insideRoot } from "../../../shared/adapters/inputs-files.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { CheckWork } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";
import type { WorkResult } from "./result.ts";
import { castColumns } from "./staging.ts";

/** Errors: `sqlFailed` when the SQL fails or gives more or less than one value, `storage…`. */
export async function runCheck(attempt: Attempt, work: CheckWork): Promise<WorkResult> {
  const { engine, context } = attempt;
  const { check, columns, files } = work;
  const what = `check ${check.name}`;
  const paths: string[] = [];
  for (const file of files) paths.push(await insideRoot(context.root, file));
  const rows =
    files.length > 0
      ? `SELECT ${castColumns(columns)} FROM read_parquet([${paths.map(sqlText).join(", ")}], hive_partitioning = false)`
      : `SELECT ${nulls(work)} WHERE false`;
  await engine.run(`CREATE VIEW ${sqlName(check.model)} AS ${rows}`, what);
  const result = await engine.rows(`SELECT COLUMNS(*)::VARCHAR FROM (${check.sql}) LIMIT 2`, what);
  const [row] = result;
  if (row === undefined || result.length > 1 || row.length !== 1) {
    throw fail("sqlFailed", `${what}: must give exactly one row with one column`);
  }
  return {
    outputs: [],
    files: [],
    accounts: [],
    rowsIn: 0,
    bytesIn: 0,
    checkValue: row[0] ?? null,
  };
}

function nulls(work: CheckWork): string {
  return work.columns
    .map(({ name, type }) => `CAST(NULL AS ${type}) AS ${sqlName(name)}`)
    .join(", ");
}
