/**
 * Programmer errors stop the process here; nothing else in the pure layers throws on purpose.
 * Trouble that may happen in operation is never an assertion: it is a `Failure` (failure.ts).
 */

/** Thrown when the program contradicts itself. Never caught to carry on. */
class AssertionFailed extends Error {
  override readonly name = "AssertionFailed";
}

/** States an invariant. Kept on in production. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** Ends an exhaustive switch: a new union member is then a type error, not a silent default. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${JSON.stringify(value)}`);
}

/** The value, asserted to exist. For look-ups that an invariant guarantees. */
export function must<T>(value: T | undefined | null, message: string): T {
  assert(value !== undefined && value !== null, message);
  return value;
}
