/** A log that keeps its lines for a test to look at, and prints nothing. */
import type { Log, LogFields } from "../../shared/ports.ts";

export interface KeptLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

export function quietLog(lines: KeptLine[] = [], always: LogFields = {}): Log {
  const keep = (level: KeptLine["level"]) => (message: string, fields?: LogFields) => {
    lines.push({ level, message, fields: { ...always, ...fields } });
  };
  return {
    debug: keep("debug"),
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
    child: (fields) => quietLog(lines, { ...always, ...fields }),
  };
}
