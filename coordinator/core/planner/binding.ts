/**
 * Questions to the SQL engine while planning. Planning runs from the start with the answers so far; a question without
 * answer is noted, and `Pending` ends this attempt when the answer can't be done without.
 */
import { canonicalJson } from "../../../shared/kernel/canonical.ts";
import type { Column } from "../../../shared/kernel/job.ts";
import type { QuestionTable, SqlAnswer, SqlQuestion } from "../../../shared/kernel/sql-question.ts";
import { relationNode, statement, withTables } from "./emit.ts";
import { Refusal } from "./refusal.ts";
import { inputsOf, type Relations } from "./relation.ts";
import { printTree, type Tree } from "./tree.ts";

/** Same question, same key: how answers are found again. */
export function questionKey(question: SqlQuestion): string {
  return canonicalJson({ ...question } as never);
}

/** Ends a planning attempt that lacks answers; caught in plan-job.ts only. */
export class Pending extends Error {
  override readonly name = "Pending";
}

export class Asker {
  private readonly answers: ReadonlyMap<string, SqlAnswer>;
  private readonly open = new Map<string, SqlQuestion>();

  constructor(answers: ReadonlyMap<string, SqlAnswer>) {
    this.answers = answers;
  }

  /** The answer, or undefined after noting the question. */
  ask(question: SqlQuestion): SqlAnswer | undefined {
    const key = questionKey(question);
    const answer = this.answers.get(key);
    if (answer === undefined) this.open.set(key, question);
    return answer;
  }

  /** The answer; ends this attempt when it is not there yet. */
  demand(question: SqlQuestion): SqlAnswer {
    const answer = this.ask(question);
    if (answer === undefined) throw new Pending("an answer is missing");
    return answer;
  }

  /** Ends this attempt when any question so far is open. */
  settle(): void {
    if (this.open.size > 0) throw new Pending("answers are missing");
  }

  questions(): readonly SqlQuestion[] {
    return [...this.open.values()];
  }
}

/** Known tables by relation name: where a chain of relations may stop. */
export type KnownTables = ReadonlyMap<string, readonly Column[]>;

/**
 * The question for the columns of `name`: its SELECT with every relation below it as a CTE, down to known tables.
 * `select` replaces the SELECT (over the table `name`) for asking about expressions.
 */
export function describeQuestion(
  name: string,
  relations: Relations,
  known: KnownTables,
  select?: Tree,
): SqlQuestion {
  const ctes: { name: string; node: Tree }[] = [];
  const tables = new Map<string, QuestionTable>();
  const seen = new Set<string>();
  const visit = (relation: string, top: boolean): void => {
    if (seen.has(relation)) return;
    seen.add(relation);
    const columns = known.get(relation);
    if (columns !== undefined && !(top && select === undefined)) {
      tables.set(relation, { name: relation, columns });
      return;
    }
    const entry = relations.get(relation);
    for (const input of inputsOf(entry.body)) visit(input, false);
    if (!(top && select === undefined)) {
      ctes.push({ name: relation, node: relationNode(entry, (table) => table) });
    }
  };
  visit(name, true);
  const node = select ?? relationNode(relations.get(name), (table) => table);
  const tree = printTree(statement(withTables(node, ctes)));
  const sorted = [...tables.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { kind: "describeTree", tables: sorted, tree };
}

/** Columns from an answer; the engine's refusal becomes ours. */
export function columnsOf(answer: SqlAnswer, model: string): readonly Column[] {
  if (answer.kind === "columns") return answer.columns;
  const message = answer.kind === "error" ? answer.message : `unexpected answer ${answer.kind}`;
  throw new Refusal("query", firstLine(message), { code: "jobInvalid", model });
}

export function firstLine(message: string): string {
  return message.split("\n")[0] ?? message;
}
