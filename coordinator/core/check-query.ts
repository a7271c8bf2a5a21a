/**
 * What a check asks the engine: one SELECT with one value over the model's rows. The value goes back as text and is
 * judged in checks.ts. Pure texts; whether they bind is asked when the job is planned (planner/check-sql.ts).
 */
import { unreachable } from "../../shared/kernel/assert.ts";
import type { AskedCheck, CheckSpec, FreshCheck } from "../../shared/kernel/check.ts";
import type { Column } from "../../shared/kernel/job.ts";
import { nearestName } from "../../shared/kernel/nearest.ts";
import type { Day } from "../../shared/kernel/time.ts";

/** Does it look at rows? The others compare figures that the coordinator has. */
export function isAsked(check: CheckSpec): check is AskedCheck {
  return check.kind !== "rows" && check.kind !== "volume";
}

/** The checks that are tasks of a run: task i of its check stage is the i-th of them. */
export function askedChecks(checks: readonly CheckSpec[]): readonly AskedCheck[] {
  return checks.filter(isAsked);
}

/** Why the check can't look at a model with these columns; undefined when it can. */
export function columnProblem(check: AskedCheck, columns: readonly Column[]): string | undefined {
  for (const name of columnsOf(check)) {
    if (findColumn(columns, name) !== undefined) continue;
    const known = columns.map((column) => column.name);
    const near = nearestName(name, known);
    const hint = near === undefined ? `; it has ${known.join(", ")}` : `; did you mean ${near}?`;
    return `model ${check.model} has no column ${name}${hint}`;
  }
  if (check.kind !== "fresh") return undefined;
  const type = findColumn(columns, check.column)?.type ?? "";
  if (milliseconds(check, check.column, type) !== undefined) return undefined;
  return `column ${check.column} is ${type}; a time is an integer, a TIMESTAMP or a DATE`;
}

function columnsOf(check: AskedCheck): readonly string[] {
  switch (check.kind) {
    case undefined:
      return [];
    case "nulls":
    case "fresh":
      return [check.column];
    case "unique":
      return check.columns;
    default:
      return unreachable(check);
  }
}

/** `columns` of the model as planned; `day` is the run's. */
export function checkSql(check: AskedCheck, columns: readonly Column[], day: Day): string {
  const from = quoted(check.model);
  const column = (name: string) => quoted(findColumn(columns, name)?.name ?? name);
  switch (check.kind) {
    case undefined:
      return check.sql;
    case "nulls": {
      const isNull = `${column(check.column)} IS NULL`;
      return `SELECT count(*) FILTER (WHERE ${isNull}) || '/' || count(*) FROM ${from}`;
    }
    case "unique": {
      // Grouped, not DISTINCT: groups go to disk when memory is short.
      const groups = `SELECT count(*) AS n FROM ${from} GROUP BY ${check.columns.map(column).join(", ")}`;
      return `SELECT coalesce(sum(n - 1), 0) FROM (${groups})`;
    }
    case "fresh": {
      const type = findColumn(columns, check.column)?.type ?? "";
      const time = milliseconds(check, column(check.column), type) ?? "NULL";
      // The end of the day in the job's zone, which is the engine's. Records of later days say nothing about this one.
      const end = `epoch_ms((CAST('${day}' AS DATE) + 1)::TIMESTAMPTZ)`;
      return `SELECT ${end} - max(t) FILTER (WHERE t < ${end}) FROM (SELECT ${time} AS t FROM ${from})`;
    }
    default:
      return unreachable(check);
  }
}

/** Epoch milliseconds of a column; undefined for a type that holds no time. */
function milliseconds({ unit }: FreshCheck, name: string, type: string): string | undefined {
  if (/^(DATE|TIMESTAMP( WITH TIME ZONE)?)$/.test(type)) {
    return `CASE WHEN isfinite(${name}) THEN epoch_ms(${name}::TIMESTAMPTZ) END`;
  }
  if (!/^U?(SMALL|BIG)?INT(EGER)?$/.test(type)) return undefined;
  // HUGEINT in between: a wrong unit must give a far-away time, not an overflow.
  const scaled = { s: `${name}::HUGEINT * 1000`, ms: name, us: `${name} // 1000` }[unit];
  return `TRY_CAST(${scaled} AS BIGINT)`;
}

function findColumn(columns: readonly Column[], name: string): Column | undefined {
  return columns.find((column) => column.name.toLowerCase() === name.toLowerCase());
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
