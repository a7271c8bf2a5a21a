/**
 * Judges the answers of a run's checks against what the job expects. Pure look-ups; ends nothing by itself.
 * An answer may be a subscriber's value: messages, warnings, logs and events show it only when it is a plain count.
 */
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import type { CheckSpec, JobSpec } from "../../shared/kernel/job.ts";
import type { Run } from "./durable.ts";

export interface CheckResult {
  readonly name: string;
  readonly model: string;
  readonly value: string | null;
  readonly passed: boolean;
}

/** One result per declared check, in order; none while the run has no check stage. */
export function checkResults(job: JobSpec, run: Run): readonly CheckResult[] {
  const stage = run.stages.find((one) => one.kind === "check");
  if (stage === undefined) return [];
  return job.checks.map((check, index) => {
    const value = stage.tasks[index]?.result?.checkValue ?? null;
    return { name: check.name, model: check.model, value, passed: isMet(check.expect, value) };
  });
}

/** Numbers are compared as numbers (`0` = `0.00`), texts as they are. */
function isMet(expect: CheckSpec["expect"], value: string | null): boolean {
  if (expect === null || value === null) return expect === value;
  if (typeof expect === "string") return value === expect;
  return value.trim() !== "" && Number(value) === expect;
}

/** What a query that does nothing but count begins with; anything else may pick a value out of the rows. */
const counts = /^\s*select\s+count\s*\([^()]*\)(?:\s+as\s+\w+)?\s+from\s/i;

function shown(check: CheckSpec, value: string | null): string {
  if (value === null) return "NULL";
  if (counts.test(check.sql) && /^\d+$/.test(value)) return value;
  return "another value (not shown, as it may be a subscriber's: run the check's SQL to see it)";
}

/** The first blocking check that failed, and a sentence for each warning. */
export function failedChecks(
  job: JobSpec,
  run: Run,
): { readonly blocking: Failure | undefined; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  let blocking: Failure | undefined;
  checkResults(job, run).forEach((result, index) => {
    const check = job.checks[index];
    if (result.passed || check === undefined) return;
    const text =
      `check ${check.name} on ${check.model} gave ${shown(check, result.value)}, ` +
      `expected ${check.expect ?? "NULL"}`;
    if (check.severity === "warn") warnings.push(text);
    else blocking ??= failure("checkFailed", text, { check: check.name, model: check.model });
  });
  return { blocking, warnings };
}
