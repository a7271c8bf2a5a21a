/**
 * The SQL of a job's checks, looked at before the job is accepted: the same refusals as a model's, its own model as the
 * only table, and one column. It never runs a check; executors do, over the files that are to be published.
 */
import { must } from "../../../shared/kernel/assert.ts";
import type { AskedCheck, CheckSpec, SqlCheck } from "../../../shared/kernel/check.ts";
import type { Column, JobSpec } from "../../../shared/kernel/job.ts";
import type { SqlQuestion } from "../../../shared/kernel/sql-question.ts";
import { checkSql, columnProblem, isAsked } from "../check-query.ts";
import { type Asker, firstLine } from "./binding.ts";
import { checkStatement, singleStatement } from "./checks.ts";
import { Refusal } from "./refusal.ts";
import { parseTree } from "./tree.ts";

/**
 * `datasets`: columns of each model as written; `scanned`: sources that some model reads. Throws `Refusal` (`jobInvalid`,
 * `sqlRefused`) that names the check and where it stands in the job file.
 */
export function readChecks(
  job: JobSpec,
  datasets: ReadonlyMap<string, readonly Column[]>,
  scanned: ReadonlySet<string>,
  asker: Asker,
): void {
  const own = job.checks.filter(isSql);
  for (const check of own) asker.ask({ kind: "parse", sql: check.sql });
  asker.settle();
  const asked = job.checks.flatMap((check, index) =>
    inCheck(check, index, () => {
      if (isAsked(check)) return [{ check, index, question: questionOf(check, datasets, asker) }];
      if (check.kind === "volume" && !scanned.has(check.model)) {
        throw invalid(`source ${check.model}`, "is read by no model, so nothing of it is counted");
      }
      if (check.kind === "rows") columnsOf(check, datasets);
      return [];
    }),
  );
  for (const { question } of asked) asker.ask(question);
  asker.settle();
  for (const { check, index, question } of asked) {
    inCheck(check, index, () => {
      const answer = must(asker.ask(question), "settled");
      if (answer.kind !== "columns") throw notBound(answer);
      if (answer.columns.length !== 1) {
        throw invalid(
          "SELECT",
          `gives ${answer.columns.length} columns; a check gives one value, e.g. SELECT count(*) FROM ${check.model} WHERE …`,
        );
      }
    });
  }
}

function isSql(check: CheckSpec): check is SqlCheck {
  return check.kind === undefined;
}

/** The check's SELECT over the empty model. */
function questionOf(
  check: AskedCheck,
  datasets: ReadonlyMap<string, readonly Column[]>,
  asker: Asker,
): SqlQuestion {
  if (isSql(check)) {
    const answer = asker.demand({ kind: "parse", sql: check.sql });
    if (answer.kind !== "tree") throw notBound(answer);
    onlyItsModel(check, answer.tree);
  }
  const columns = columnsOf(check, datasets);
  const problem = columnProblem(check, columns);
  if (problem !== undefined) throw invalid("columns", problem);
  // The executor puts the text into a subquery: a closing ; or a last line with a comment ends here, not there.
  const sql = `SELECT * FROM (${checkSql(check, columns, anyDay)}) LIMIT 2`;
  return { kind: "describe", tables: [{ name: check.model, columns }], sql };
}

/** Which one the run is for changes no type. */
const anyDay = "2000-01-01";

function columnsOf(
  { model }: CheckSpec,
  datasets: ReadonlyMap<string, readonly Column[]>,
): readonly Column[] {
  const columns = datasets.get(model);
  if (columns !== undefined) return columns;
  const known = [...datasets.keys()].join(", ");
  throw invalid(`model ${model}`, `is no model of this job; known are ${known}`);
}

function onlyItsModel(check: CheckSpec, tree: string): void {
  for (const { name } of checkStatement(singleStatement(parseTree(tree, true))).tables) {
    if (name.toLowerCase() === check.model.toLowerCase()) continue;
    throw invalid(`table ${name}`, `a check reads its own model only, which is ${check.model}`);
  }
}

const invalid = (clause: string, message: string): Refusal =>
  new Refusal(clause, message, { code: "jobInvalid" });

function notBound(answer: { readonly kind: string; readonly message?: string }): Refusal {
  const text = firstLine(answer.message ?? "can't be parsed");
  if (/^Only SELECT statements/i.test(text)) {
    return invalid("SQL", "is not a SELECT; a check is one SELECT that gives one value");
  }
  return invalid("SQL", text.replace(/^(Binder|Catalog|Parser) Error: /, ""));
}

/** Names the check in what `act` refuses; the place in a model's file means nothing here. */
function inCheck<T>(check: CheckSpec, index: number, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const of = check.kind === "volume" ? "source" : "model";
    const clause = `check ${check.name} of ${of} ${check.model}: ${error.clause}`;
    const field = `checks.${index}.${check.kind ?? "sql"}`;
    throw new Refusal(clause, error.message, { code: error.code, field });
  }
}
