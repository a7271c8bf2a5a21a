/**
 * Judges a run's checks: answers of the engine and figures of the run against what the job expects. Pure look-ups; ends
 * nothing by itself. An answer may be a subscriber's value: sentences, status, logs and events show it only when it is
 * a plain count.
 */
import { unreachable } from "../../shared/kernel/assert.ts";
import {
  type AskedCheck,
  type CheckKind,
  type CheckResult,
  type CheckState,
  checkSentence,
  type FreshCheck,
  type NullsCheck,
  type RowsCheck,
  type SqlCheck,
  type VolumeCheck,
} from "../../shared/kernel/check.ts";
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { grouped, type Judgement, judgeFigure, usualOf } from "./check-history.ts";
import { askedChecks, isAsked } from "./check-query.ts";
import type { Durable, Run, TaskResult } from "./durable.ts";
import { sourceAccounts } from "./rejects-limit.ts";
import { stagedFiles } from "./work-builder.ts";

/** One result per declared check, in order. All tasks of the run are done. */
export function judgeChecks(durable: Durable, job: JobSpec, run: Run): readonly CheckResult[] {
  const tasks = run.stages.find((one) => one.kind === "check")?.tasks ?? [];
  const asked = askedChecks(job.checks);
  return job.checks.map((check) => {
    const found = isAsked(check)
      ? judgeAnswer(check, tasks[asked.indexOf(check)]?.result)
      : compare(durable, job, run, check);
    const { name, model, severity } = check;
    const kind: CheckKind = check.kind ?? "sql";
    return { name, model, kind, severity, passed: found.state !== "failed", ...found };
  });
}

type Found = Pick<CheckResult, "state" | "value" | "bound" | "reason">;

function judgeAnswer(check: AskedCheck, result: TaskResult | undefined): Found {
  const value = result?.checkValue ?? null;
  const problem = result?.checkFailure;
  const found = answered(check, value);
  if (problem === undefined) return found;
  const reason = `gave no answer: ${problem.message}`;
  return { ...found, state: "failed", value: null, reason };
}

function answered(check: AskedCheck, value: string | null): Found {
  switch (check.kind) {
    case undefined:
      return judgeSql(check, value);
    case "nulls":
      return judgeNulls(check, value);
    case "unique": {
      const count = Number(value ?? 0);
      const key = check.columns.length === 1 ? check.columns[0] : `(${check.columns.join(", ")})`;
      return {
        state: stateOf(count === 0),
        value: String(count),
        bound: "0",
        reason: `has ${grouped(count)} rows whose ${key} another row has already, expected none`,
      };
    }
    case "fresh":
      return judgeFresh(check, value);
    default:
      return unreachable(check);
  }
}

function stateOf(isMet: boolean): CheckState {
  return isMet ? "passed" : "failed";
}

function judgeSql(check: SqlCheck, value: string | null): Found {
  const told = value === null ? "NULL" : shownAnswer(check, value);
  const bound = String(check.expect ?? "NULL");
  const reason = `gave ${told ?? hidden}, expected ${bound}`;
  const state = stateOf(isMet(check.expect, value));
  return { state, value: value === null ? null : (told ?? null), bound, reason };
}

/** Numbers are compared as numbers (`0` = `0.00`), texts as they are. */
function isMet(expect: SqlCheck["expect"], value: string | null): boolean {
  if (expect === null || value === null) return expect === value;
  if (typeof expect === "string") return value === expect;
  return value.trim() !== "" && Number(value) === expect;
}

/** What a query that does nothing but count begins with; anything else may pick a value out of the rows. */
const counts = /^\s*select\s+count\s*\([^()]*\)(?:\s+as\s+\w+)?\s+from\s/i;

const hidden =
  "another value (not shown, as it may be a subscriber's: run the check's SQL to see it)";

function shownAnswer(check: SqlCheck, value: string): string | undefined {
  // What was expected stands in the job.
  if (isMet(check.expect, value)) return String(check.expect);
  return counts.test(check.sql) && /^\d+$/.test(value) ? value : undefined;
}

/** `3/100`: three of a hundred rows. */
function judgeNulls(check: NullsCheck, value: string | null): Found {
  const [nulls = 0, rows = 0] = (value ?? "0/0").split("/").map(Number);
  const share = rows === 0 ? 0 : nulls / rows;
  const shown = `${grouped(nulls)} of ${grouped(rows)}`;
  const bound = `at most ${percent(check.maxShare)}`;
  const part = `has ${shown} rows without ${check.column} (${percent(share)})`;
  const state = stateOf(share <= check.maxShare);
  return { state, value, bound, reason: `${part}, allowed ${bound}` };
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

/** The value is how long before the end of the day the newest time is, in milliseconds. */
function judgeFresh(check: FreshCheck, value: string | null): Found {
  const bound = `within ${duration(check.withinMs)}`;
  const allowed = `of the end of the day`;
  if (value === null) {
    const reason = `has no ${check.column} before the end of the day, expected one ${bound} ${allowed}`;
    return { state: "failed", value, bound, reason };
  }
  const shown = duration(Number(value));
  const newest = `has its newest ${check.column} ${shown} before the end of the day`;
  const state = stateOf(Number(value) <= check.withinMs);
  return { state, value, bound, reason: `${newest}, allowed ${bound} ${allowed}` };
}

/** `5400000` → `1h 30m`. */
function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  const parts = [
    [Math.floor(seconds / 3_600), "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const told = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`);
  return told.length === 0 ? "0s" : told.join(" ");
}

function compare(durable: Durable, job: JobSpec, run: Run, check: RowsCheck | VolumeCheck): Found {
  const { value, judgement } =
    check.kind === "rows" ? rowsOf(durable, run, check) : volumeOf(durable, job, run, check);
  const unit = check.kind === "rows" ? "rows" : check.of;
  const { state, bound, expected } = judgement;
  const verb = check.kind === "rows" ? "has" : "brought";
  const reason = `${verb} ${grouped(value)} ${unit}, ${expected}`;
  return { state, value: String(value), bound, reason };
}

interface Compared {
  readonly value: number;
  readonly judgement: Judgement;
}

function rowsOf(durable: Durable, run: Run, check: RowsCheck): Compared {
  const value = stagedFiles(run, check.model).reduce((sum, file) => sum + file.rows, 0);
  const usual = usualOf(durable, run.job, run.day, ({ rows }) => rows[check.model]);
  return { value, judgement: judgeFigure(value, usual, check) };
}

function volumeOf(durable: Durable, job: JobSpec, run: Run, check: VolumeCheck): Compared {
  const account = sourceAccounts(job, run).find(({ source }) => source === check.model);
  const value = account?.[check.of] ?? 0;
  const usual = usualOf(durable, run.job, run.day, ({ sources }) => {
    return sources[check.model]?.[check.of];
  });
  return { value, judgement: judgeFigure(value, usual, check) };
}

export type Verdict =
  | { readonly kind: "commit" }
  | { readonly kind: "block" | "quarantine"; readonly failure: Failure };

/** What the results mean for the run: the first failed check of the severest kind gives the reason. */
export function verdictOf(results: readonly CheckResult[]): Verdict {
  for (const kind of ["block", "quarantine"] as const) {
    const first = results.find((one) => one.state === "failed" && one.severity === kind);
    if (first === undefined) continue;
    const { name, model } = first;
    return { kind, failure: failure("checkFailed", checkSentence(first), { check: name, model }) };
  }
  return { kind: "commit" };
}
