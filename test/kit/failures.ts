/** What a promise fails with, as a value to compare. */
import { DaymillError, type Failure } from "../../shared/kernel/failure.ts";

/** Its failure; throws what is none, and where nothing failed. */
export async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (error instanceof DaymillError) return error.failure;
  throw error;
}

/** Its failure's code; `no error` where nothing failed, and the text of what is no failure. */
export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no error",
    (error: unknown) => (error instanceof DaymillError ? error.failure.code : String(error)),
  );
}
