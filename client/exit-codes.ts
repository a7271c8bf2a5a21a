/**
 * Exit codes of the `daymill` command and the text of an error: a pure table, documented in docs/cli.md.
 */
import { classOf, type Failure, type FailureCode } from "../shared/kernel/failure.ts";

export const exitCodes = {
  ok: 0,
  /** The run ended as failed or cancelled. */
  runFailed: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** Understood and refused: bad job, unknown name, conflict. */
  refused: 3,
  /** Something needed is not there (or not now): coordinator, NATS, space. */
  unavailable: 69,
  /** A defect of Daymill. */
  internal: 70,
  /** Ended by Ctrl-C. */
  interrupted: 130,
} as const;

/** Which exit code a failure of the command itself gives. */
export function exitCodeOf(code: FailureCode): number {
  if (code === "badRequest") return exitCodes.usage;
  if (code === "internal") return exitCodes.internal;
  if (code === "cancelled") return exitCodes.interrupted;
  return classOf(code).retryable ? exitCodes.unavailable : exitCodes.refused;
}

/** `error: …`, with further lines set in; never a stack trace. */
export function errorLines(failure: Failure): readonly string[] {
  const [first = "", ...rest] = failure.message.split("\n");
  return [`error: ${first}`, ...rest.map((line) => `       ${line}`)];
}
