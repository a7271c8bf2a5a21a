/**
 * Fields of a job file as zod schemas with messages a person can act on: names, paths, sizes, columns, zones.
 * Pure: texts in, values or issues out. What may stand where is in job-schema.ts.
 */
import { z } from "zod";
import type { Column } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import { nearestName } from "../kernel/nearest.ts";
import { isWireType, wireTypes } from "../kernel/plan.ts";
import { isTimeZone, timeZones } from "./calendar.ts";

/** An object whose unknown keys are refused by name, with the nearest known one. */
export function object<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const keys = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return undefined;
      const unknown = issue.keys[0] ?? "";
      return `unknown key${didYouMean(unknown, keys)} (allowed: ${keys.join(", ")})`;
    },
  });
}

export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return near === undefined ? "" : `; did you mean ${near}?`;
}

export const jobName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, "a job's name is [a-z][a-z0-9-]*, at most 63 characters");

/** Why a text is no name of a source, dimension or model; undefined when it is one. */
export function tableNameProblem(name: string): string | undefined {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name)) {
    return "a name is [a-z][a-z0-9_]*, at most 63 characters";
  }
  // Every object has it: what is looked up by name would find it where nothing was said.
  if (name in {}) return `the name ${name} is reserved: choose another`;
  if (name.endsWith("_files")) return "names that end in _files are reserved for the file tables";
  if (/^x\d+$/.test(name)) return "x0, x1 … are reserved for exchanges";
  return undefined;
}

export const tableName = z.string().superRefine((name, context) => {
  const message = tableNameProblem(name);
  if (message !== undefined) context.addIssue({ code: "custom", message });
});

/** Why a path may not be used; undefined for one that stays under its root. */
export function pathProblem(path: string): string | undefined {
  if (path === "") return "the path is empty";
  if (path.startsWith("/") || /^[a-zA-Z]:/.test(path) || path.includes("://")) {
    return "the path must be relative to its root";
  }
  if (path.split(/[/\\]/).includes(".."))
    return "the path leaves its root with ..: it has to lie below the root";
  if (path.includes("\\") || path.includes("\0")) return "the path holds a backslash or NUL";
  return undefined;
}

export const dataPath = z.string().superRefine((path, context) => {
  const problem = pathProblem(path);
  if (problem !== undefined) {
    context.addIssue({ code: "custom", message: problem, params: { forbidden: true } });
  }
  if (path.includes("**")) {
    const message = "** is not supported: name each folder level, e.g. */*.csv";
    context.addIssue({ code: "custom", message });
  }
  const placeholder = /\{(?!day\})[^}]*\}?/.exec(path);
  if (placeholder !== null) {
    const message = `unknown placeholder ${placeholder[0]} (known: {day})`;
    context.addIssue({ code: "custom", message });
  }
});

const units: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** `64MiB`, `500KiB` or a number of bytes → bytes; undefined for anything else. */
export function bytesOf(value: unknown): number | undefined {
  if (typeof value === "number")
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  const match = /^(\d{1,9})\s*(B|KiB|MiB|GiB)?$/.exec(typeof value === "string" ? value : "");
  if (!match) return undefined;
  return Number(match[1]) * (units[match[2] ?? "B"] ?? 1);
}

/** A size between two bounds, as bytes. */
export function byteSize(least: number, most: number) {
  return z.union([z.string(), z.number()]).transform((value, context) => {
    const bytes = bytesOf(value);
    if (bytes !== undefined && bytes >= least && bytes <= most) return bytes;
    const message = `a size such as 64MiB (or bytes), between ${least} and ${most} bytes`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });
}

export const timezone = z.string().superRefine((zone, context) => {
  if (isTimeZone(zone)) return;
  const near = zone.length > 60 ? "" : didYouMean(zone, timeZones());
  const message = `an IANA time zone such as UTC or Asia/Kolkata is expected${near}`;
  context.addIssue({ code: "custom", message });
});

// --- columns --------------------------------------------------------------------------------------

const aliases: Readonly<Record<string, string>> = {
  BOOL: "BOOLEAN",
  LOGICAL: "BOOLEAN",
  INT1: "TINYINT",
  INT2: "SMALLINT",
  SHORT: "SMALLINT",
  INT: "INTEGER",
  INT4: "INTEGER",
  SIGNED: "INTEGER",
  INT8: "BIGINT",
  LONG: "BIGINT",
  FLOAT4: "FLOAT",
  REAL: "FLOAT",
  FLOAT8: "DOUBLE",
  "DOUBLE PRECISION": "DOUBLE",
  DATETIME: "TIMESTAMP",
  TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
  TEXT: "VARCHAR",
  STRING: "VARCHAR",
  CHAR: "VARCHAR",
  BPCHAR: "VARCHAR",
  BYTEA: "BLOB",
  BINARY: "BLOB",
  VARBINARY: "BLOB",
  DECIMAL: "DECIMAL(18,3)",
  NUMERIC: "DECIMAL(18,3)",
};

/** DuckDB's canonical name of a type as users write it; undefined when Daymill has no such column type. */
export function canonicalType(text: string): string | undefined {
  const plain = text.trim().toUpperCase().replace(/\s+/g, " ");
  const decimal = /^(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$/.exec(plain);
  if (decimal) {
    const [width, scale] = [Number(decimal[1]), Number(decimal[2] ?? 0)];
    return width >= 1 && width <= 38 && scale <= width ? `DECIMAL(${width},${scale})` : undefined;
  }
  const name = aliases[plain] ?? plain;
  return isWireType(name) ? name : undefined;
}

/** Names that the workers give columns of their own, and DuckDB's virtual columns of files. */
function isReservedColumn(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith("__") || ["file_row_number", "filename", "file_index"].includes(lower);
}

/** A map `name: TYPE` or a list of `{name, type}`, in file order → columns with canonical types. */
export const columns = z.unknown().transform((value, context): readonly Column[] => {
  const refuse = (message: string, path: (string | number)[] = []) =>
    context.addIssue({ code: "custom", message, path });
  const entries = columnEntries(value);
  if (entries === undefined || entries.length === 0) {
    refuse("columns are a map of name: TYPE, or a list of {name, type}, in file order");
    return z.NEVER;
  }
  if (entries.length > limits.columnsPerTableMax) {
    refuse(`at most ${limits.columnsPerTableMax} columns`);
    return z.NEVER;
  }
  const seen = new Set<string>();
  return entries.map(({ name, type, path }) => {
    const canonical = typeof type === "string" ? canonicalType(type) : undefined;
    if (typeof name !== "string" || !/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name)) {
      refuse("a column's name is [A-Za-z_][A-Za-z0-9_]*", path);
    } else if (isReservedColumn(name) || seen.has(name.toLowerCase())) {
      refuse(`the column name ${name} is reserved or used twice (case does not matter)`, path);
    } else if (canonical === undefined) {
      refuse(typeProblem(type), path);
    }
    seen.add(String(name).toLowerCase());
    return { name: String(name), type: canonical ?? "VARCHAR" };
  });
});

function typeProblem(type: unknown): string {
  const known = [...wireTypes, "DECIMAL(p,s)"];
  const near =
    typeof type === "string" ? didYouMean(type, [...known, ...Object.keys(aliases)]) : "";
  return `unknown column type ${String(type)}${near} (allowed: ${known.join(", ")})`;
}

interface ColumnEntry {
  readonly name: unknown;
  readonly type: unknown;
  readonly path: (string | number)[];
}

function columnEntries(value: unknown): readonly ColumnEntry[] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!Array.isArray(value)) {
    return Object.entries(value).map(([name, type]) => ({ name, type, path: [name] }));
  }
  return value.map((entry: { name?: unknown; type?: unknown } | null, index) => ({
    name: entry?.name,
    type: entry?.type,
    path: [index],
  }));
}
