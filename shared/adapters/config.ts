/**
 * Options of a process: flags first, else the environment (DAYMILL_*), else the default. Read once into a frozen
 * object; nothing else reads the environment. A wrong value is refused with its name and what is allowed.
 */
import { resolve } from "node:path";
import { fail } from "../kernel/failure.ts";

/** `kind` says how the text is understood: `bytes` takes `256MiB`, `path` becomes absolute, `list` splits at commas. */
export interface OptionSpec {
  readonly kind: "text" | "integer" | "bytes" | "path" | "list";
  readonly help: string;
  /** How the value is called in `--help`, e.g. `HOST:PORT`. */
  readonly placeholder: string;
  /** As the user would write it. Without it and not `optional`, the option must be given. */
  readonly fallback?: string;
  readonly optional?: true;
  readonly minimum?: number;
  readonly maximum?: number;
  /** The whole text must fit. */
  readonly pattern?: RegExp;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

type ValueOf<S extends OptionSpec> = S["kind"] extends "integer" | "bytes"
  ? number
  : S["kind"] extends "list"
    ? readonly string[]
    : string;

/** Values by option name; `optional` ones may be undefined. */
export type Options<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends { readonly optional: true }
    ? ValueOf<T[K]> | undefined
    : ValueOf<T[K]>;
};

/** What was read: the options, or that the user asked for help. */
export type ReadOptions<T extends OptionTable> =
  | { readonly kind: "options"; readonly options: Options<T> }
  | { readonly kind: "help" };

/**
 * Reads `--name value`, `--name=value`, then DAYMILL_NAME. `badRequest` for anything unknown, missing or wrong.
 * `workDir` in the table is `--work-dir` and DAYMILL_WORK_DIR.
 */
export function readOptions<T extends OptionTable>(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  table: T,
): ReadOptions<T> {
  const given = flags(argv, table);
  if (given === "help") return { kind: "help" };
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) {
    const variable = variableOf(name);
    const fromEnvironment = environment[variable] === "" ? undefined : environment[variable];
    const flag = given.get(name);
    const text = flag ?? fromEnvironment ?? spec.fallback;
    if (text === undefined) {
      if (spec.optional) continue;
      const hint = `${spec.help} (or set ${variable}); see --help`;
      throw fail("badRequest", `${flagOf(name)} ${spec.placeholder} is missing: ${hint}`);
    }
    const origin = flag === undefined && fromEnvironment !== undefined ? variable : flagOf(name);
    values[name] = parseValue(origin, text, spec);
  }
  return { kind: "options", options: Object.freeze(values) as Options<T> };
}

/** The text of `--help`: one line per option with its variable and default. */
export function helpText(title: string, table: OptionTable): string {
  const rows = Object.entries(table).map(([name, spec]) => {
    const given = spec.fallback === undefined ? "" : `, default ${spec.fallback}`;
    return [
      `  ${flagOf(name)} ${spec.placeholder}`,
      `${spec.help} (${variableOf(name)}${given})`,
    ] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return [title, "", ...rows.map(([left, right]) => left.padEnd(width) + right), ""].join("\n");
}

function flags(argv: readonly string[], table: OptionTable): Map<string, string> | "help" {
  const names = new Map(Object.keys(table).map((name) => [flagOf(name), name]));
  const given = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const [flag = "", ...rest] = (argv[i] ?? "").split("=");
    if (flag === "--help" || flag === "-h") return "help";
    const name = names.get(flag);
    if (name === undefined) {
      const known = [...names.keys()].join(", ");
      throw fail("badRequest", `unknown option ${JSON.stringify(flag)}; known: ${known}, --help`);
    }
    const value = rest.length > 0 ? rest.join("=") : argv[++i];
    if (value === undefined) throw fail("badRequest", `${flag} needs a value`);
    given.set(name, value);
  }
  return given;
}

function parseValue(origin: string, text: string, spec: OptionSpec): unknown {
  if (spec.pattern !== undefined && !spec.pattern.test(text)) throw wrong(origin, text, spec);
  switch (spec.kind) {
    case "text":
      if (text === "") throw wrong(origin, text, spec);
      return text;
    case "path":
      if (text === "") throw wrong(origin, text, spec);
      return resolve(text);
    case "list": {
      const parts = text.split(",").map((part) => part.trim());
      if (parts.some((part) => part === "")) throw wrong(origin, text, spec);
      return parts;
    }
    case "integer":
    case "bytes": {
      const value = spec.kind === "bytes" ? parseBytes(text) : parseInteger(text);
      const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = spec;
      if (value === undefined || value < minimum || value > maximum) {
        throw wrong(origin, text, spec, ` from ${minimum} to ${maximum}`);
      }
      return value;
    }
  }
}

function wrong(origin: string, text: string, spec: OptionSpec, range = "") {
  const want = `${spec.placeholder}${range}`;
  return fail(
    "badRequest",
    `${origin} is ${JSON.stringify(text)}; it must be ${want}: ${spec.help}`,
  );
}

function parseInteger(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** `1048576`, `256MiB`, `1.5GiB`, `500MB`: bytes; undefined for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const unit = (match[2] ?? "B").toLowerCase();
  const power = ["b", "k", "m", "g", "t"].indexOf(unit[0] ?? "b");
  return Math.round(Number(match[1]) * (unit.endsWith("ib") ? 1024 : 1000) ** power);
}

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function variableOf(name: string): string {
  return `DAYMILL_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
