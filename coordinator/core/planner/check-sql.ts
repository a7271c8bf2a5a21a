/**
 * The SQL of a job's checks, looked at before the job is accepted: the same refusals as a model's, its own model as the
 * only table, and one column. It never runs a check; executors do, over the files that are to be published.
 */
import { must } from "../../../shared/kernel/assert.ts";
import type { CheckSpec, Column, JobSpec } from "../../../shared/kernel/job.ts";
import { type Asker, firstLine } from "./binding.ts";
import { checkStatement, singleStatement } from "./checks.ts";
import { Refusal } from "./refusal.ts";
import { parseTree } from "./tree.ts";

/** `datasets`: columns of each model as written. Throws `Refusal` (`jobInvalid`, `sqlRefused`) that names the check. */
export function readChecks(
  job: JobSpec,
  datasets: ReadonlyMap<string, readonly Column[]>,
  asker: Asker,
): void {
  for (const check of job.checks) asker.ask({ kind: "parse", sql: check.sql });
  asker.settle();
  const asked = job.checks.map((check) =>
    inCheck(check, () => {
      const answer = asker.demand({ kind: "parse", sql: check.sql });
      if (answer.kind !== "tree") throw notBound(answer);
      onlyItsModel(check, answer.tree);
      const columns = datasets.get(check.model);
      if (columns === undefined) {
        const known = [...datasets.keys()].join(", ");
        throw invalid(`model ${check.model}`, `is no model of this job; known are ${known}`);
      }
      // The executor puts the text into a subquery: a closing ; or a last line with a comment ends here, not there.
      const sql = `SELECT * FROM (${check.sql}) LIMIT 2`;
      const tables = [{ name: check.model, columns }];
      return { check, question: { kind: "describe" as const, tables, sql } };
    }),
  );
  for (const { question } of asked) asker.ask(question);
  asker.settle();
  for (const { check, question } of asked) {
    inCheck(check, () => {
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
  return invalid("SQL", text.replace(/^(Binder|Catalog|Parser) Error: /, ""));
}

/** Names the check in what `act` refuses; the place in a model's file means nothing here. */
function inCheck<T>(check: CheckSpec, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const clause = `check ${check.name} of model ${check.model}: ${error.clause}`;
    throw new Refusal(clause, error.message, { code: error.code });
  }
}
