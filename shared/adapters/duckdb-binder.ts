/**
 * The planner's questions, answered by an in-memory DuckDB that can reach nothing: no files, no extensions, no settings.
 * It only parses, formats and binds SELECTs over empty typed tables; it never runs a query over data.
 */
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { Column } from "../kernel/job.ts";
import type { QuestionTable, SqlAnswer, SqlQuestion } from "../kernel/sql-question.ts";
import type { SqlBinder } from "../ports.ts";
import { sqlName, sqlText } from "./duckdb.ts";

/** Opens a binder; `close` frees the engine. Questions are answered one after the other. */
export async function openBinder(): Promise<SqlBinder & { close(): void }> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  await lockDown(connection);
  const version = await firstText(connection, "SELECT version()");
  const tables = new Map<string, string>();
  let last: Promise<unknown> = Promise.resolve();
  return {
    ask(question) {
      const answer = last.then(() => answerQuestion(connection, tables, question));
      last = answer.catch(() => undefined);
      return answer;
    },
    version: () => version,
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

async function lockDown(connection: DuckDBConnection): Promise<void> {
  for (const setting of [
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "allow_community_extensions = false",
    "memory_limit = '256MB'",
    "enable_external_access = false",
    "lock_configuration = true",
  ]) {
    await connection.run(`SET ${setting}`);
  }
}

async function answerQuestion(
  connection: DuckDBConnection,
  tables: Map<string, string>,
  question: SqlQuestion,
): Promise<SqlAnswer> {
  try {
    switch (question.kind) {
      case "parse":
        return parsed(await callJson(connection, "json_serialize_sql", question.sql));
      case "format":
        return {
          kind: "sql",
          sql: await callJson(connection, "json_deserialize_sql", question.tree),
        };
      case "describe":
        await makeTables(connection, tables, question.tables);
        return { kind: "columns", columns: await describe(connection, question.sql) };
      case "describeTree": {
        await makeTables(connection, tables, question.tables);
        const sql = await callJson(connection, "json_deserialize_sql", question.tree);
        return { kind: "columns", columns: await describe(connection, sql) };
      }
    }
  } catch (error) {
    return { kind: "error", message: error instanceof Error ? error.message : String(error) };
  }
}

/** `json_serialize_sql` reports syntax errors inside its JSON. */
function parsed(text: string): SqlAnswer {
  if (!text.startsWith('{"error":true')) return { kind: "tree", tree: text };
  const answer = JSON.parse(text) as { error_message?: string; position?: string };
  const message = answer.error_message ?? "the SQL can't be parsed";
  const position = Number(answer.position);
  return answer.position !== undefined && Number.isInteger(position)
    ? { kind: "error", message, position }
    : { kind: "error", message };
}

async function callJson(
  connection: DuckDBConnection,
  name: "json_serialize_sql" | "json_deserialize_sql",
  text: string,
): Promise<string> {
  const reader = await connection.runAndReadAll(`SELECT ${name}(${sqlText(text)})`);
  return String(reader.getRows()[0]?.[0]);
}

/** Makes the tables that a question names; kept ones are made again only when their columns changed. */
async function makeTables(
  connection: DuckDBConnection,
  made: Map<string, string>,
  wanted: readonly QuestionTable[],
): Promise<void> {
  const names = new Set(wanted.map((table) => table.name));
  for (const name of [...made.keys()].filter((known) => !names.has(known))) {
    await connection.run(`DROP TABLE ${sqlName(name)}`);
    made.delete(name);
  }
  for (const table of wanted) {
    const columns = table.columns.map((entry) => `${sqlName(entry.name)} ${entry.type}`).join(", ");
    if (made.get(table.name) === columns) continue;
    await connection.run(`CREATE OR REPLACE TABLE ${sqlName(table.name)} (${columns})`);
    made.set(table.name, columns);
  }
}

async function describe(connection: DuckDBConnection, sql: string): Promise<readonly Column[]> {
  const reader = await connection.runAndReadAll(`DESCRIBE ${sql}`);
  return reader.getRows().map((row) => ({ name: String(row[0]), type: String(row[1]) }));
}

async function firstText(connection: DuckDBConnection, sql: string): Promise<string> {
  const reader = await connection.runAndReadAll(sql);
  return String(reader.getRows()[0]?.[0]);
}
