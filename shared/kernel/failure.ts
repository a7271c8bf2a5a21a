/**
 * The closed vocabulary of what may go wrong, and what it means for a retry.
 * Each library's errors are translated into it once, in that library's adapter.
 */

interface FailureClass {
  /** May the same thing work when tried again, elsewhere or later? */
  readonly retryable: boolean;
  /** Does it use up the attempt budget of the task? A lost executor does not: the task did nothing wrong. */
  readonly counts: boolean;
  /** gRPC status name, used at the wire. */
  readonly grpc: string;
}

const table = {
  // what a user can mend
  jobInvalid: { retryable: false, counts: true, grpc: "INVALID_ARGUMENT" },
  sqlRefused: { retryable: false, counts: true, grpc: "INVALID_ARGUMENT" },
  pathForbidden: { retryable: false, counts: true, grpc: "PERMISSION_DENIED" },
  badRequest: { retryable: false, counts: true, grpc: "INVALID_ARGUMENT" },
  unknownJob: { retryable: false, counts: true, grpc: "NOT_FOUND" },
  unknownRun: { retryable: false, counts: true, grpc: "NOT_FOUND" },
  unknownDataset: { retryable: false, counts: true, grpc: "NOT_FOUND" },
  unknownExecutor: { retryable: false, counts: true, grpc: "NOT_FOUND" },
  conflict: { retryable: false, counts: true, grpc: "FAILED_PRECONDITION" },
  // the input
  inputMissing: { retryable: false, counts: true, grpc: "FAILED_PRECONDITION" },
  inputEmpty: { retryable: false, counts: true, grpc: "FAILED_PRECONDITION" },
  inputTruncated: { retryable: false, counts: true, grpc: "DATA_LOSS" },
  inputChanged: { retryable: true, counts: true, grpc: "ABORTED" },
  inputMalformed: { retryable: false, counts: true, grpc: "FAILED_PRECONDITION" },
  rejectsOverLimit: { retryable: false, counts: true, grpc: "FAILED_PRECONDITION" },
  checkFailed: { retryable: false, counts: true, grpc: "FAILED_PRECONDITION" },
  sqlFailed: { retryable: false, counts: true, grpc: "INVALID_ARGUMENT" },
  valueOverflow: { retryable: false, counts: true, grpc: "OUT_OF_RANGE" },
  // the cluster
  notLeader: { retryable: true, counts: false, grpc: "FAILED_PRECONDITION" },
  noLeader: { retryable: true, counts: false, grpc: "UNAVAILABLE" },
  epochStale: { retryable: false, counts: false, grpc: "FAILED_PRECONDITION" },
  journalConflict: { retryable: false, counts: false, grpc: "ABORTED" },
  alreadyExists: { retryable: false, counts: false, grpc: "ALREADY_EXISTS" },
  versionMismatch: { retryable: false, counts: false, grpc: "FAILED_PRECONDITION" },
  unavailable: { retryable: true, counts: false, grpc: "UNAVAILABLE" },
  timeout: { retryable: true, counts: true, grpc: "DEADLINE_EXCEEDED" },
  cancelled: { retryable: false, counts: false, grpc: "CANCELLED" },
  executorLost: { retryable: true, counts: false, grpc: "UNAVAILABLE" },
  workerLost: { retryable: true, counts: true, grpc: "UNAVAILABLE" },
  drained: { retryable: true, counts: false, grpc: "UNAVAILABLE" },
  outOfMemory: { retryable: true, counts: true, grpc: "RESOURCE_EXHAUSTED" },
  limitExceeded: { retryable: false, counts: true, grpc: "RESOURCE_EXHAUSTED" },
  messageTooLarge: { retryable: false, counts: true, grpc: "RESOURCE_EXHAUSTED" },
  mailboxFull: { retryable: true, counts: false, grpc: "RESOURCE_EXHAUSTED" },
  // exchange and storage
  exchangeShort: { retryable: true, counts: false, grpc: "DATA_LOSS" },
  exchangeFull: { retryable: true, counts: false, grpc: "RESOURCE_EXHAUSTED" },
  storageFull: { retryable: true, counts: false, grpc: "RESOURCE_EXHAUSTED" },
  storageReadOnly: { retryable: true, counts: false, grpc: "FAILED_PRECONDITION" },
  storageDenied: { retryable: true, counts: false, grpc: "PERMISSION_DENIED" },
  storageFailed: { retryable: true, counts: true, grpc: "UNAVAILABLE" },
  /** Our own folder was taken away: a newer leader is there. */
  storageFenced: { retryable: false, counts: false, grpc: "ABORTED" },
  internal: { retryable: true, counts: true, grpc: "INTERNAL" },
} as const satisfies Record<string, FailureClass>;

export type FailureCode = keyof typeof table;

/** A failure as data: it crosses the wire and the journal unchanged. No subscriber values in `message`. */
export interface Failure {
  readonly code: FailureCode;
  /** What, where and what to do next, for a person. */
  readonly message: string;
  /** Structured details (file, line, model, errno …); values only, no row contents. */
  readonly detail?: Readonly<Record<string, string | number>>;
}

export const failureCodes = Object.keys(table) as readonly FailureCode[];

/** What a code means for retries and for the wire. */
export function classOf(code: FailureCode): FailureClass {
  return table[code];
}

/** Did storage refuse for a reason that somebody has to mend? Then it is waited for. */
export function isStorageRefusal(code: FailureCode): boolean {
  return code === "storageFull" || code === "storageReadOnly" || code === "storageDenied";
}

export function isFailureCode(text: string): text is FailureCode {
  return Object.hasOwn(table, text);
}

export function failure(
  code: FailureCode,
  message: string,
  detail?: Readonly<Record<string, string | number>>,
): Failure {
  return detail === undefined ? { code, message } : { code, message, detail };
}

/** The exception form of a `Failure`, for async code. */
export class DaymillError extends Error {
  override readonly name = "DaymillError";
  readonly failure: Failure;
  constructor(value: Failure, cause?: unknown) {
    super(value.message, cause === undefined ? undefined : { cause });
    this.failure = value;
  }
}

/** Shorthand: an error to throw, with its code. */
export function fail(
  code: FailureCode,
  message: string,
  detail?: Readonly<Record<string, string | number>>,
  cause?: unknown,
): DaymillError {
  return new DaymillError(failure(code, message, detail), cause);
}

/** Any caught value as a `Failure`. Unknown errors become `internal`; adapters translate before this. */
export function fromUnknown(error: unknown): Failure {
  if (error instanceof DaymillError) return error.failure;
  if (error instanceof Error) return failure("internal", `${error.name}: ${error.message}`);
  return failure("internal", String(error));
}
