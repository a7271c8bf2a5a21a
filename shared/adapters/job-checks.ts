/**
 * The `checks` of a job file: what each kind takes, its defaults, and the rules between checks and the rest of the job.
 * Whether the SQL and the columns of a model exist is known when the job is planned (coordinator/core/planner/check-sql.ts).
 */
import { z } from "zod";
import type { CheckSeverity, CheckSpec } from "../kernel/check.ts";
import { limits } from "../kernel/limits.ts";
import { didYouMean, object } from "./job-fields.ts";

const msOf = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

const withinMs = z
  .string()
  .regex(/^\d{1,5}[smh]$/, "a duration such as 90m")
  .transform((text) => Number(text.slice(0, -1)) * msOf[text.at(-1) as keyof typeof msOf]);

const usual = {
  tolerance: z
    .number()
    .min(0)
    .max(100, "tolerance is a share of the median: 0.4 allows 60 % to 140 % of it")
    .default(limits.checkToleranceDefault),
  floor: z.number().min(0).default(0),
  at_least: z.number().min(0).optional(),
};

const column = z.string().min(1);

const kinds = ["sql", "rows", "volume", "nulls", "unique", "fresh"] as const;

export const check = object({
  name: z.string().min(1).max(100).optional(),
  model: z.string().optional(),
  source: z.string().optional(),
  severity: z.enum(["block", "warn", "quarantine"]).default("block"),
  sql: z.string().min(1).max(limits.sqlBytesMax).optional(),
  expect: z
    .union([z.number(), z.string(), z.null()], {
      error: "expect is a number, a text or null",
    })
    .optional(),
  rows: object(usual).optional(),
  volume: object({
    of: z.enum(["rows", "bytes"], { error: "a volume is of rows or of bytes" }).default("rows"),
    ...usual,
  }).optional(),
  nulls: object({
    column,
    max_share: z
      .number()
      .min(0, "max_share is a share of the rows, 0 to 1")
      .max(1, "max_share is a share of the rows, 0 to 1")
      .default(0),
  }).optional(),
  unique: z
    .array(column, { error: "unique is a list of columns, e.g. [cell, hour]" })
    .min(1, "unique names at least one column")
    .max(limits.checkColumnsMax, `unique names at most ${limits.checkColumnsMax} columns`)
    .optional(),
  fresh: object({
    column,
    within: withinMs,
    unit: z.enum(["s", "ms", "us"]).default("ms"),
  }).optional(),
}).superRefine((value, context) => {
  const refuse = (message: string, path: string[] = []) =>
    context.addIssue({ code: "custom", message, path });
  const given = kinds.filter((kind) => value[kind] !== undefined);
  if (given.length !== 1) {
    refuse(`a check has exactly one of ${kinds.join(", ")}`, given.slice(1, 2));
    return;
  }
  const [kind] = given;
  const isOfSource = kind === "volume";
  if (kind === "sql" && value.expect === undefined) {
    refuse("expect is missing: the value that the SELECT must give (a number, a text or null)");
  }
  if (kind !== "sql" && value.expect !== undefined) {
    refuse("only a check with sql expects a value", ["expect"]);
  }
  if (isOfSource && value.source === undefined) refuse("volume is of a source: name it by source");
  if (isOfSource && value.model !== undefined) refuse("volume is of a source", ["model"]);
  if (!isOfSource && value.model === undefined) refuse("model is missing: whose dataset it checks");
  if (!isOfSource && value.source !== undefined) {
    refuse("only volume is of a source; others check a model's dataset", ["source"]);
  }
  const twice = value.unique?.find((name, index) => value.unique?.indexOf(name) !== index);
  if (twice !== undefined) refuse(`${twice} is named twice`, ["unique"]);
});

export type CheckDocument = z.output<typeof check>;

export interface CheckProblem {
  readonly message: string;
  readonly path: readonly (string | number)[];
}

/** What is wrong between the checks and the rest of the job. `path` begins after `checks`. */
export function checkProblems(
  checks: readonly CheckDocument[],
  models: readonly string[],
  sources: readonly string[],
): readonly CheckProblem[] {
  const problems = checks.flatMap((entry, index): CheckProblem[] => {
    const { model, source } = entry;
    if (model !== undefined && !models.includes(model)) {
      const message = `no model ${model}${didYouMean(model, models)}`;
      return [{ message, path: [index, "model"] }];
    }
    if (source !== undefined && !sources.includes(source)) {
      const message = `no source ${source}${didYouMean(source, sources)}`;
      return [{ message, path: [index, "source"] }];
    }
    return [];
  });
  const named = new Set<string>();
  checkSpecs(checks).forEach(({ name }, index) => {
    const message = `another check is named ${name} already: give each its own name`;
    if (named.has(name)) problems.push({ message, path: [index] });
    named.add(name);
  });
  if (checks.length > limits.checksPerJobMax) {
    problems.push({ message: `at most ${limits.checksPerJobMax} checks`, path: [] });
  }
  return problems;
}

/** Checks without a name are numbered within their model (or source). */
export function checkSpecs(checks: readonly CheckDocument[]): readonly CheckSpec[] {
  const counted = new Map<string, number>();
  return checks.map((entry) => {
    const of = entry.model ?? entry.source ?? "";
    const index = (counted.get(of) ?? 0) + 1;
    counted.set(of, index);
    return checkSpec(entry, { name: entry.name ?? `${of}-${index}`, model: of });
  });
}

function checkSpec(
  entry: CheckDocument,
  head: { readonly name: string; readonly model: string },
): CheckSpec {
  const { rows, volume, nulls, unique, fresh } = entry;
  const severity: CheckSeverity = entry.severity;
  if (rows !== undefined) return { ...head, severity, kind: "rows", ...usualBound(rows) };
  if (volume !== undefined) {
    return { ...head, severity, kind: "volume", of: volume.of, ...usualBound(volume) };
  }
  if (nulls !== undefined) {
    return { ...head, severity, kind: "nulls", column: nulls.column, maxShare: nulls.max_share };
  }
  if (unique !== undefined) return { ...head, severity, kind: "unique", columns: unique };
  if (fresh !== undefined) {
    const { column: of, within, unit } = fresh;
    return { ...head, severity, kind: "fresh", column: of, withinMs: within, unit };
  }
  return { ...head, sql: entry.sql ?? "", expect: entry.expect ?? null, severity };
}

function usualBound({
  tolerance,
  floor,
  at_least: atLeast,
}: {
  readonly tolerance: number;
  readonly floor: number;
  readonly at_least?: number | undefined;
}) {
  return { tolerance, floor, ...(atLeast === undefined ? {} : { atLeast }) };
}
