/**
 * SQL for the event-time rule of a source: is a record inside its day, and at which millisecond was it?
 * A day is local to the job's time zone, which is the engine's session zone. Nothing is read or run here.
 */
import { sqlText } from "../../../shared/adapters/duckdb.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { SourceSpec } from "../../../shared/kernel/job.ts";

export interface EventSql {
  /** BIGINT epoch milliseconds, NULL where the record has no time. */
  readonly milliseconds: string;
  /** BOOLEAN, never NULL: a record without a time is in no day. */
  readonly outside: string;
}

const unitsPerMillisecond = { s: 0.001, ms: 1, us: 1000 } as const;

/**
 * `expression` stands for the event-time column (its name, or a column that holds a copy).
 * undefined when the source has no event time, or the work names no day. Errors: `jobInvalid` for a wrong column.
 */
export function eventSql(
  source: SourceSpec,
  day: string | undefined,
  expression: string,
): EventSql | undefined {
  const rule = source.eventTime;
  if (rule === undefined || day === undefined) return undefined;
  const column = source.columns.find((candidate) => candidate.name === rule.column);
  if (column === undefined) {
    throw fail(
      "jobInvalid",
      `source ${source.name}: event_time names no declared column ${rule.column}; declare it, or name another`,
    );
  }
  const milliseconds = inMilliseconds(expression, column.type, rule.unit);
  if (milliseconds === undefined) {
    throw fail(
      "jobInvalid",
      `source ${source.name}: event_time column ${rule.column} is ${column.type}; use an integer, DATE or TIMESTAMP`,
    );
  }
  const start = `epoch_ms(CAST(${sqlText(day)} AS DATE)::TIMESTAMPTZ)`;
  const end = `epoch_ms((CAST(${sqlText(day)} AS DATE) + 1)::TIMESTAMPTZ)`;
  return {
    milliseconds,
    outside: `coalesce(${milliseconds} < ${start} OR ${milliseconds} >= ${end}, true)`,
  };
}

function inMilliseconds(name: string, type: string, unit: "s" | "ms" | "us"): string | undefined {
  switch (type) {
    case "DATE":
    case "TIMESTAMP":
    case "TIMESTAMP WITH TIME ZONE":
      return `CASE WHEN isfinite(${name}) THEN epoch_ms(${name}::TIMESTAMPTZ) END`;
    case "SMALLINT":
    case "INTEGER":
    case "BIGINT":
    case "UINTEGER":
    case "UBIGINT":
      return scaled(name, unitsPerMillisecond[unit]);
    default:
      return undefined;
  }
}

function scaled(name: string, units: number): string {
  if (units === 1) return `TRY_CAST(${name} AS BIGINT)`;
  if (units > 1) return `TRY_CAST(${name} // ${units} AS BIGINT)`;
  // HUGEINT in between: a wrong unit must give a far-away time, not an overflow.
  return `TRY_CAST(${name}::HUGEINT * ${Math.round(1 / units)} AS BIGINT)`;
}
