/**
 * DuckDB's error texts in Daymill's words, once. A text may quote a row's value, so what comes from running over rows
 * is reduced to its kind; only texts about the SQL itself are passed on.
 */
import { DaymillError, type FailureCode, fail } from "../kernel/failure.ts";

interface Rule {
  readonly pattern: RegExp;
  /** It is the machine that fails, so words that a row or the SQL brought don't count. */
  readonly ofMachine?: true;
  readonly code: FailureCode;
  readonly advice: string;
}

/** First match wins: the disk being full also shows up inside an out-of-memory text. */
const rules: readonly Rule[] = [
  {
    pattern: /No space left on device|Disk quota exceeded/i,
    ofMachine: true,
    code: "storageFull",
    advice: "no space left on the device; free some and the task is tried again",
  },
  {
    pattern: /Read-only file system/i,
    ofMachine: true,
    code: "storageReadOnly",
    advice: "the file system is read-only; mount it writable",
  },
  {
    pattern: /Permission denied/i,
    ofMachine: true,
    code: "storageDenied",
    advice: "permission denied by the operating system; check owner and mode of the storage",
  },
  {
    pattern: /^Out of Memory Error|failed to (pin|allocate|offload)|bad_alloc|could not allocate/i,
    ofMachine: true,
    code: "outOfMemory",
    advice: "the engine ran out of its memory; give workers more, or make splits smaller",
  },
  {
    pattern: /^INTERRUPT Error|Interrupted!/i,
    ofMachine: true,
    code: "cancelled",
    advice: "interrupted",
  },
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

/** The text without what it quotes: a value may read "Permission denied", and no disk has said so. */
function machineWords(text: string): string {
  if (/^(Conversion|Out of Range|Binder|Parser|Catalog) Error/.test(text)) return "";
  if (!text.startsWith("Invalid Input Error")) return text;
  // The first line may wrap what the machine said; a value may hold quotes, too.
  return (text.split("\n", 1)[0] ?? "").replace(/(["']).*\1/, "");
}

/** A DuckDB error as a `DaymillError`; `what` says which part of which task it was, e.g. `model usage_hourly`. */
export function translateDuckDb(error: unknown, what: string): DaymillError {
  if (error instanceof DaymillError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const words = machineWords(text);
  for (const rule of rules) {
    if (rule.pattern.test(rule.ofMachine ? words : text)) {
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
