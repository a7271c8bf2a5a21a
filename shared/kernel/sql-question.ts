/**
 * What the planner asks of the SQL engine, and what comes back. Both are values, so planning itself stays pure:
 * it is a function of the job and the answers so far, and says which answers it lacks.
 */
import type { Column } from "./job.ts";

/** A table that a question's SQL may read: empty, typed. */
export interface QuestionTable {
  readonly name: string;
  readonly columns: readonly Column[];
}

export type SqlQuestion =
  /** Parse a SELECT: JSON text of DuckDB's tree, or the error with its position. */
  | { readonly kind: "parse"; readonly sql: string }
  /** Tree (JSON text) back to SQL, in the engine's own one spelling. */
  | { readonly kind: "format"; readonly tree: string }
  /** Column names and types of a SELECT over empty typed tables. */
  | { readonly kind: "describe"; readonly tables: readonly QuestionTable[]; readonly sql: string }
  /** The same for a SELECT given as a tree. */
  | {
      readonly kind: "describeTree";
      readonly tables: readonly QuestionTable[];
      readonly tree: string;
    };

export type SqlAnswer =
  | { readonly kind: "tree"; readonly tree: string }
  | { readonly kind: "sql"; readonly sql: string }
  | { readonly kind: "columns"; readonly columns: readonly Column[] }
  /** `position`: character offset in the SQL where the engine points, if it does. */
  | { readonly kind: "error"; readonly message: string; readonly position?: number };
