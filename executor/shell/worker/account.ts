/**
 * The account of a map attempt, left in the exchange after everything else: a leader whose journal is lost finds the
 * output again by it. Nothing else stands on it, so an attempt without one is as good as any other.
 */
import { fromUnknown } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { formatMapAccount } from "../../../shared/kernel/map-account.ts";
import {
  type AttemptSuccess,
  type Delivery,
  type MapWork,
  mapKey,
} from "../../../shared/kernel/work.ts";
import type { WorkerContext } from "./attempt.ts";

/** Never fails: what could not be left is noted. Outputs with dataset files are not kept, so they need none. */
export async function leaveAccount(
  work: MapWork,
  { attemptId, outputs }: Delivery,
  { exchange, log, signal }: WorkerContext,
  success: AttemptSuccess,
): Promise<void> {
  const stream = outputs[0]?.streams[0];
  if (stream === undefined || success.files.length > 0) return;
  const { split } = work;
  const text = formatMapAccount({ version: 1, attemptId, mapKey: mapKey(work), split, success });
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.exchangeMessageBytesMax) {
    log.info("the account is too large to be left in the exchange", { attempt: attemptId, bytes });
    return;
  }
  try {
    await exchange.account({ stream, attemptId, text, signal });
  } catch (error) {
    const { code, message } = fromUnknown(error);
    log.warn(`no account was left: ${message}`, { attempt: attemptId, stream, code });
  }
}
