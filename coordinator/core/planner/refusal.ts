/**
 * How planning says no. `Refusal` is the planner's one exception: it ends a deep recursion over the tree and is
 * turned into a `Failure` at the top of plan-job.ts; nothing else catches it and nothing outside sees it.
 */
import { type Failure, type FailureCode, failure } from "../../../shared/kernel/failure.ts";

/** Where in the user's files something stands. */
export interface Place {
  readonly model: string;
  readonly file: string;
  /** 1-based; 0 when unknown. */
  readonly line: number;
}

/** A query that can't be run faithfully, by the clause that stands in the way and a way out. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: FailureCode;
  readonly clause: string;
  readonly position: number | undefined;
  readonly field: string | undefined;
  model: string | undefined;
  constructor(clause: string, message: string, options: RefusalOptions = {}) {
    super(message);
    this.clause = clause;
    this.code = options.code ?? "sqlRefused";
    this.position = options.position;
    this.field = options.field;
    this.model = options.model;
  }
}

export interface RefusalOptions {
  readonly code?: FailureCode;
  /** Character offset in the model's SQL. */
  readonly position?: number | undefined;
  readonly model?: string;
  /** Where it stands in the job file, e.g. `checks.2.sql`: whoever has the file knows the line (job-file.ts). */
  readonly field?: string;
}

/** The failure that a user sees: `models/x.sql:3: LATERAL: …`. */
export function failureAt(refusal: Refusal, place: Place): Failure {
  const where = place.line > 0 ? `${place.file}:${place.line}` : place.file;
  const detail: Record<string, string | number> = {
    model: place.model,
    file: place.file,
    clause: refusal.clause,
  };
  if (place.line > 0) detail["line"] = place.line;
  return failure(refusal.code, `${where}: ${refusal.clause}: ${refusal.message}`, detail);
}

/** 1-based line of a character offset. */
export function lineAt(sql: string, position: number | undefined): number {
  if (position === undefined || position < 0 || position > sql.length) return 0;
  return sql.slice(0, position).split("\n").length;
}

/** Runs `act`, noting the model on refusals that don't name one yet. */
export function inModel<T>(model: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof Refusal) error.model ??= model;
    throw error;
  }
}
