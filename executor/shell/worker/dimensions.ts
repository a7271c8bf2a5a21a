/**
 * Small tables that the stage joins, each loaded whole under its own name. A dimension is strict: one bad line is an
 * error, because a missing row of it would change joined rows everywhere.
 */
import { sqlName } from "../../../shared/adapters/duckdb.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { DimensionInput, FileAccount } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";
import { rejectsTable } from "./rejects.ts";
import { scanCsv } from "./scan-csv.ts";
import { scanParquet } from "./scan-parquet.ts";

/** Bad lines named in the message. */
const linesShown = 5;

/** Makes one table per dimension that the stage reads. Errors: `inputMalformed` naming file, lines and reasons. */
export async function loadDimensions(
  attempt: Attempt,
  inputs: readonly DimensionInput[],
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    const input = inputs.find(({ spec }) => spec.name === name);
    if (input === undefined) {
      throw fail("internal", `stage reads dimension ${name}, but the work brings no file of it`);
    }
    await load(attempt, input);
  }
}

async function load(attempt: Attempt, { spec, file }: DimensionInput): Promise<void> {
  const { engine, context, folder } = attempt;
  const columns = spec.columns.map(({ name, type }) => `${sqlName(name)} ${type}`).join(", ");
  await engine.run(`CREATE TABLE ${sqlName(spec.name)} (${columns})`, `dimension ${spec.name}`);
  const common = {
    engine,
    root: context.root,
    columns: spec.columns,
    table: spec.name,
    signal: context.signal,
  };
  const select = spec.columns.map(({ name }) => sqlName(name));
  const { csv, format } = spec;
  const one = { select: () => select, numberColumn: undefined };
  const accounts =
    format === "parquet"
      ? [await scanParquet({ ...common, file, select })]
      : await scanCsv({ ...common, ...one, folder, gzip: format === "csv.gz", csv }, [file]);
  for (const account of accounts) {
    if (account.rejects > 0) throw await refused(attempt, spec.name, account);
  }
}

async function refused(attempt: Attempt, name: string, account: FileAccount): Promise<Error> {
  const rows = await attempt.engine.rows(
    `SELECT line::VARCHAR, reason FROM ${rejectsTable} ORDER BY line LIMIT ${linesShown}`,
    `dimension ${name}`,
  );
  const lines = rows.map(([line, reason]) => `line ${line}: ${reason}`).join("; ");
  return fail(
    "inputMalformed",
    `dimension ${name}: file ${account.file.path} has ${account.rejects} bad lines (${lines}); mend the file`,
    { file: account.file.path, dimension: name },
  );
}
