/**
 * Structured log lines on standard error; the only importer of pino and the only writer of logs.
 * Secrets are scrubbed here, at the source: pino's own redaction misses nested keys, URLs and messages.
 */
import { pino } from "pino";
import type { Log, LogFields } from "../ports.ts";

const standardError = 2;

/** A logger for one process; `fields` (role, id, epoch …) are on each of its lines. `to`: file descriptor. */
export function createLog(level: string, fields: LogFields, to: number = standardError): Log {
  const base = pino(
    { level, base: { ...fields }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(to),
  );
  return wrap(base);
}

type Pino = Pick<ReturnType<typeof pino>, "debug" | "info" | "warn" | "error"> & {
  child(fields: Record<string, unknown>): Pino;
};

function wrap(logger: Pino): Log {
  return {
    debug: (message, fields) => logger.debug(clean(fields), scrub(message)),
    info: (message, fields) => logger.info(clean(fields), scrub(message)),
    warn: (message, fields) => logger.warn(clean(fields), scrub(message)),
    error: (message, fields) => logger.error(clean(fields), scrub(message)),
    child: (fields) => wrap(logger.child(clean(fields))),
  };
}

function clean(fields: LogFields | undefined): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields ?? {})) {
    out[key] = typeof value === "string" ? scrub(value) : value;
  }
  return out;
}

/** Removes credentials from URLs and from `password=…`-like texts. */
function scrub(text: string): string {
  return text
    .replace(/(\w+:\/\/)[^@\s]+@/g, "$1[redacted]@")
    .replace(
      /\b(password|token|secret|authorization)(["']?\s*[=:]\s*["']?)[^\s"',;&]+/gi,
      "$1$2[redacted]",
    );
}
