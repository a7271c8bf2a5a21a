/**
 * DuckDB's error texts in Daymill's words, once. A text may quote a row's value, so what comes from running over rows
 * is reduced to its kind; only texts about the SQL itself are passed on.
 */
import { DaymillError, type FailureCode, fail } from "../kernel/failure.ts";

interface Rule {
  readonly pattern: RegExp;
  readonly code: FailureCode;
  readonly advice: string;
}

/** First match wins: the disk being full also shows up inside an out-of-memory text. */
const rules: readonly Rule[] = [
  {
    pattern: /No space left on device|Disk quota exceeded/i,
    code: "storageFull",
    advice: "no space left on the device; free some and the task is tried again",
  },
  {
    pattern: /Read-only file system/i,
    code: "storageReadOnly",
    advice: "the file system is read-only; mount it writable",
  },
  {
    pattern: /Permission denied/i,
    code: "storageDenied",
    advice: "permission denied by the operating system; check owner and mode of the storage",
  },
  {
    pattern: /^Out of Memory Error|failed to (pin|allocate|offload)|bad_alloc|could not allocate/i,
    code: "outOfMemory",
    advice: "the engine ran out of its memory; give workers more, or make splits smaller",
  },
  { pattern: /^INTERRUPT Error|Interrupted!/i, code: "cancelled", advice: "interrupted" },
  {
    pattern: /^(Conversion|Out of Range) Error|[Oo]verflow in |out of range for/,
    code: "valueOverflow",
    advice: "a value does not fit its type; cast to a wider type or use TRY_CAST",
  },
  {
    pattern: /^Permission Error/,
    code: "pathForbidden",
    advice: "a file outside the task's own inputs was asked for",
  },
  {
    pattern: /^IO Error/,
    code: "storageFailed",
    advice: "reading or writing a file failed",
  },
];

const refusals: Readonly<Record<string, string>> = {
  "No space left on device": "ENOSPC",
  "Disk quota exceeded": "EDQUOT",
  "Read-only file system": "EROFS",
  "Permission denied": "EACCES",
};

/**
 * Which file the engine could not write or open, and the errno. Only texts of this very form: others may hold a row's
 * value that looks like a path.
 */
function refusedFile(text: string): { readonly path: string; readonly errno: string } | undefined {
  const form =
    /^IO Error: (?:Could not write|Cannot open) file "([^"\n]{1,1000})": ([^"\n]{1,100})$/;
  const [, path, reason = ""] = form.exec(text) ?? [];
  const errno = refusals[reason];
  return path === undefined || errno === undefined ? undefined : { path, errno };
}

/** A DuckDB error as a `DaymillError`; `what` says which part of which task it was, e.g. `model usage_hourly`. */
export function translateDuckDb(error: unknown, what: string): DaymillError {
  if (error instanceof DaymillError) return error;
  const text = error instanceof Error ? error.message : String(error);
  for (const rule of rules) {
    if (rule.pattern.test(text)) {
      const file = refusedFile(text);
      if (file === undefined) return fail(rule.code, `${what}: ${rule.advice}`, undefined, error);
      const where = `${what}: could not use ${file.path}: ${file.errno}`;
      return fail(rule.code, `${where}; ${rule.advice}`, { ...file }, error);
    }
  }
  if (/^INTERNAL Error|^FATAL Error/.test(text)) {
    return fail(
      "internal",
      `${what}: the engine failed inside; a fresh worker is needed`,
      undefined,
      error,
    );
  }
  return fail("sqlFailed", `${what}: ${withoutValues(text)}`, undefined, error);
}

/** Binder and parser texts speak of the SQL; any other may quote a row, so only its kind is passed on. */
function withoutValues(text: string): string {
  const first = (text.split("\n", 1)[0] ?? "").slice(0, 500);
  if (/^(Binder|Parser|Catalog|Not implemented) Error/.test(first)) return first;
  const kind = /^[A-Z][A-Za-z ]* Error/.exec(first)?.[0] ?? "error";
  return `the SQL failed on some row (${kind}); its text is withheld, as it may quote the row`;
}
