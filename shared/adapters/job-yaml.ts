/**
 * YAML as people write it: read with its lines, and what a schema refuses told by file, line, field and what is allowed.
 * Knows nothing of jobs: the file of alerts is read by it as well.
 */
import { readFile, stat } from "node:fs/promises";
import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import type { z } from "zod";
import { fail } from "../kernel/failure.ts";

/** Most problems told at once. */
const issuesShown = 8;

type Path = readonly PropertyKey[];
export type LineOf = (path: Path) => number;

export interface ParsedYaml {
  readonly value: unknown;
  /** Line (from 1) of the key or entry at `path`, or of its nearest known parent. */
  readonly lineOf: LineOf;
}

/** What the library finds wrong. */
export type Told = Pick<YAMLError, "code" | "message">;

/**
 * Errors: `jobInvalid` with file and line. `tell` says what is wrong with the text: the library's own words may repeat
 * what stands there.
 */
export function parseYaml(
  file: string,
  text: string,
  tell: (error: Told) => string = ({ message }) => message,
): ParsedYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) {
    const line = lines.linePos(error.pos[0]).line;
    // `{` opens a map in YAML: an unquoted `raw/{day}` inside `{ … }` is the usual slip.
    const hint = text.split("\n")[line - 1]?.includes("{day}")
      ? "; put a path that holds {day} in quotes"
      : "";
    const message = `${file}:${line}: not valid YAML: ${tell(error)}${hint}`;
    throw fail("jobInvalid", message, { file, line });
  }
  const at = (offset = 0) => lines.linePos(offset).line;
  // A bare `null:` is the key "null" here, not YAML's null.
  visit(document, {
    Pair: (_, pair) => {
      if (isScalar(pair.key) && typeof pair.key.value !== "string") {
        pair.key.value = pair.key.source ?? String(pair.key.value);
      }
    },
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return;
      const line = at(alias.range?.[0]);
      const message = `nothing is called &${alias.source} before *${alias.source}`;
      const what = tell({ code: "BAD_ALIAS", message });
      throw fail("jobInvalid", `${file}:${line}: not valid YAML: ${what}`, { file, line });
    },
  });
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw fail("jobInvalid", `${file}: not usable YAML: ${String(cause)}`, { file }, cause);
  }
  return { value, lineOf: (path) => at(offsetOf(document, path)) };
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

/** The failure that tells a schema's issues, one line each. */
export function refused(file: string, issues: readonly z.core.$ZodIssue[], lineOf: LineOf): Error {
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

/** A file's text. Errors: `jobInvalid` when it is too large, is not there or cannot be read; `what` names it. */
export async function readText(path: string, what: string, bytesMax: number): Promise<string> {
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
