/**
 * Job files: the client reads the YAML and the SQL files it names; the coordinator turns those texts into a JobSpec.
 * `parseJob` touches no file: a coordinator never opens a path that a client named.
 */
import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { type Document, isMap, isScalar, LineCounter, parseDocument, visit } from "yaml";
import type { z } from "zod";
import { type Failure, fail } from "../kernel/failure.ts";
import type { JobSpec } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import type { JobBundle } from "./grpc-types.ts";
import { pathProblem } from "./job-fields.ts";
import { jobSchema, jobSpec } from "./job-schema.ts";

/** Most problems told at once. */
const issuesShown = 8;

/**
 * The YAML at `path` with the SQL files that its models name, read only under the YAML's folder.
 * Errors: `jobInvalid` naming file and line, `pathForbidden` for a path that leaves the folder.
 */
export async function readJobBundle(path: string): Promise<JobBundle> {
  const jobYaml = await readText(path, `job file ${path}`, limits.jobBundleBytesMax);
  const parsed = parseYaml(path, jobYaml);
  const folder = await realpath(dirname(path));
  const sqlFiles: Record<string, string> = {};
  let total = jobYaml.length;
  for (const { model, file } of sqlPaths(parsed.value)) {
    const at = `${path}:${parsed.lineOf(["models", model, "sql"])}`;
    const problem = pathProblem(file);
    if (problem !== undefined) {
      throw fail("pathForbidden", `${at}: models.${model}.sql: ${problem}`, { file: path });
    }
    const real = await realpath(join(folder, file)).catch(() => join(folder, file));
    if (!real.startsWith(folder + sep)) {
      const text = `${at}: models.${model}.sql: ${file} is a link out of the job's folder`;
      throw fail("pathForbidden", text, { file: path });
    }
    const text = await readText(real, `${at}: models.${model}.sql: ${file}`, limits.sqlBytesMax);
    total += text.length;
    if (total > limits.jobBundleBytesMax) {
      const message = `${path}: the job with its SQL is over ${limits.jobBundleBytesMax} bytes`;
      throw fail("jobInvalid", message, { file: path });
    }
    sqlFiles[file] = text;
  }
  return { jobPath: path, jobYaml, sqlFiles };
}

/**
 * The validated job, defaults filled in. Errors: `jobInvalid` (or `pathForbidden`) whose message has one line for each
 * problem: file, line, field, what is allowed; detail: {file, line, field} of the first.
 */
export function parseJob(bundle: JobBundle): JobSpec {
  const { jobPath, jobYaml, sqlFiles } = bundle;
  const parsed = parseYaml(jobPath, jobYaml);
  const result = jobSchema.safeParse(parsed.value);
  if (!result.success) throw refused(jobPath, result.error.issues, parsed.lineOf);
  return jobSpec(result.data, (file) => {
    const sql = Object.hasOwn(sqlFiles, file) ? sqlFiles[file] : undefined;
    if (sql !== undefined && sql.length <= limits.sqlBytesMax) return sql;
    const reason = sql === undefined ? "was not sent with the job" : "is too large";
    throw fail("jobInvalid", `${jobPath}: the SQL file ${file} ${reason}`, { file: jobPath });
  });
}

/**
 * What was refused later, when the job was planned, with the line where it stands: a failure that names a field of the
 * job file (`detail.field`) and no line gets one. Others stay as they are.
 */
export function withLine(bundle: JobBundle, failure: Failure): Failure {
  const { field, line: known } = failure.detail ?? {};
  if (typeof field !== "string" || known !== undefined) return failure;
  const { jobPath: file, jobYaml } = bundle;
  const path = field.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const line = parseYaml(file, jobYaml).lineOf(path);
  const message = `${file}:${line}: ${failure.message}`;
  return { ...failure, message, detail: { ...failure.detail, file, line } };
}

type Path = readonly PropertyKey[];
type LineOf = (path: Path) => number;

interface ParsedYaml {
  readonly value: unknown;
  /** Line (from 1) of the key or entry at `path`, or of its nearest known parent. */
  readonly lineOf: LineOf;
}

function parseYaml(file: string, text: string): ParsedYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) {
    const line = lines.linePos(error.pos[0]).line;
    // `{` opens a map in YAML: an unquoted `raw/{day}` inside `{ … }` is the usual slip.
    const hint = text.split("\n")[line - 1]?.includes("{day}")
      ? "; put a path that holds {day} in quotes"
      : "";
    const message = `${file}:${line}: not valid YAML: ${error.message}${hint}`;
    throw fail("jobInvalid", message, { file, line });
  }
  // A bare `null:` is the key "null" here, not YAML's null.
  visit(document, {
    Pair: (_, pair) => {
      if (isScalar(pair.key) && typeof pair.key.value !== "string") {
        pair.key.value = pair.key.source ?? String(pair.key.value);
      }
    },
  });
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw fail("jobInvalid", `${file}: not usable YAML: ${String(cause)}`, { file }, cause);
  }
  return { value, lineOf: (path) => lines.linePos(offsetOf(document, path)).line };
}

/** Where the key of `path` stands; the longest prefix that exists when it does not. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === part);
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else {
      const items = (node as { items?: readonly unknown[] } | null)?.items;
      if (items === undefined || typeof part !== "number" || part >= items.length) break;
      node = items[part];
      offset = startOf(node) ?? offset;
    }
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0];
}

function refused(file: string, issues: readonly z.core.$ZodIssue[], lineOf: LineOf): Error {
  const told = issues.map((issue) => {
    const keys = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
    const path = [...issue.path, ...keys];
    const field = path.map(String).join(".") || "the file";
    return { line: lineOf(path), field, text: textOf(issue) };
  });
  told.sort((a, b) => a.line - b.line);
  const shown = told
    .slice(0, issuesShown)
    .map(({ line, field, text }) => `${file}:${line}: ${field}: ${text}`);
  if (told.length > issuesShown) shown.push(`… and ${told.length - issuesShown} more`);
  const first = told[0] ?? { line: 1, field: "the file" };
  const forbidden = issues.some((issue) => issue.code === "custom" && issue.params?.["forbidden"]);
  const code = forbidden ? "pathForbidden" : "jobInvalid";
  return fail(code, shown.join("\n"), { file, line: first.line, field: first.field });
}

function textOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_key":
      return issue.issues[0]?.message ?? issue.message;
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")} is expected`;
    case "invalid_type":
      return issue.input === undefined && issue.message.endsWith("undefined")
        ? `is missing (${plain(issue.expected)} expected)`
        : plain(issue.message.replace("Invalid input: ", ""));
    // A bound with a message of the schema's own keeps it.
    case "too_big":
      return issue.message.startsWith("Too big")
        ? `at most ${issue.maximum} is allowed`
        : issue.message;
    case "too_small":
      return issue.message.startsWith("Too small")
        ? `at least ${issue.minimum} is needed`
        : issue.message;
    default:
      return issue.message;
  }
}

/** The schema's kinds in YAML's words. */
function plain(text: string): string {
  return text
    .replace(/\b(object|record)\b/g, "a map of keys")
    .replace(/\barray\b/g, "a list")
    .replace(/\b(string)\b/g, "a text")
    .replace(/\b(number|boolean)\b/g, "a $1")
    .replace(/\bint\b/g, "a whole number")
    .replace(/received (undefined|null)/, "nothing is there")
    .replace("received", "found");
}

/** Tolerant of everything else that may be wrong: the schema speaks about that. */
function sqlPaths(value: unknown): readonly { readonly model: string; readonly file: string }[] {
  const models = (value as { models?: unknown } | null)?.models;
  if (typeof models !== "object" || models === null) return [];
  return Object.entries(models).flatMap(([model, entry]: [string, { sql?: unknown } | null]) =>
    typeof entry?.sql === "string" ? [{ model, file: entry.sql }] : [],
  );
}

async function readText(path: string, what: string, bytesMax: number): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > bytesMax) {
      throw fail("jobInvalid", `${what} is over ${bytesMax} bytes`, { file: path });
    }
    return await readFile(path, "utf8");
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    if (errno === undefined) throw error;
    const how =
      errno === "ENOENT"
        ? "does not exist; check the path"
        : errno === "EISDIR"
          ? "is a folder; name a file"
          : `cannot be read (${errno})`;
    throw fail("jobInvalid", `${what} ${how}`, { file: path, errno }, error);
  }
}
