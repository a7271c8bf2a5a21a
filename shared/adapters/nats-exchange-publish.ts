/**
 * Publishes messages of one attempt, many at a time within a window of bytes. A transient failure is retried with
 * the same number, so a message may lie in the stream twice and readers drop the repeat.
 */
import { type JetStreamClient, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/transport-node";
import { exchangeShort } from "../kernel/exchange-intake.ts";
import { DaymillError, fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { Log } from "../ports.ts";
import { isStreamGone, type NatsLink, natsFailure } from "./nats.ts";
import {
  type ByteWindow,
  completionSubject,
  createByteWindow,
  dataSubject,
  messageHeaders,
} from "./nats-exchange.ts";

export interface ExchangePublisher {
  readonly window: Pick<ByteWindow, "inFlight" | "peak">;
  /** Sends a data message; resolves when it is under way. A failure of any message ends the next call. */
  data(stream: string, sequence: number, rows: string, body: Uint8Array): Promise<void>;
  /** Sends a completion record likewise. */
  completion(stream: string, text: string): Promise<void>;
  /** Resolves when every message so far is stored. */
  settled(): Promise<void>;
}

interface Outgoing {
  readonly stream: string;
  readonly subject: string;
  readonly headers: MsgHdrs;
  readonly body: Uint8Array;
}

/** A publisher for one attempt; errors are `exchangeFull`, `exchangeShort`, `unavailable`, `cancelled` … */
export function createPublisher(
  link: NatsLink,
  attemptId: string,
  signal: AbortSignal,
  log: Log,
): ExchangePublisher {
  const client = jetstream(link.connection, { timeout: limits.publishAckTimeoutMs });
  const window = createByteWindow(limits.publishWindowBytesMax, signal);
  const send = async (message: Outgoing) => {
    const bytes = message.body.byteLength;
    await window.take(bytes);
    publish(client, link, message, signal, log)
      .catch((error: unknown) => window.fail(error))
      .finally(() => window.give(bytes));
  };
  return {
    window,
    data: (stream, sequence, rows, body) =>
      send({
        stream,
        subject: dataSubject(stream, attemptId),
        headers: messageHeaders(sequence, rows),
        body,
      }),
    completion: (stream, text) =>
      send({
        stream,
        subject: completionSubject(stream, attemptId),
        headers: messageHeaders(0, ""),
        body: Buffer.from(text),
      }),
    settled: () => window.drained(),
  };
}

async function publish(
  client: JetStreamClient,
  link: NatsLink,
  message: Outgoing,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const { stream, subject, headers, body } = message;
  const until = performance.now() + limits.publishRetryMs;
  for (let tries = 1; ; tries++) {
    try {
      await client.publish(subject, body, { headers, retries: 0 });
      return;
    } catch (error) {
      const problem = natsFailure(error, `publish to the exchange stream ${stream}`);
      if (problem.failure.code !== "unavailable" || performance.now() >= until) throw problem;
      if (await isGone(link, stream)) {
        throw new DaymillError(exchangeShort(stream, undefined, "the stream is gone"), error);
      }
      log.warn("exchange message not acknowledged; sending it again", { stream, tries });
    }
    await pause(Math.min(2_000, 100 * 2 ** Math.min(tries, 5)), signal);
  }
}

/** Does the server say that there is no such stream? Not reachable is not gone. */
export async function isGone(link: NatsLink, stream: string): Promise<boolean> {
  try {
    const timeout = limits.publishAckTimeoutMs;
    const manager = await jetstreamManager(link.connection, { checkAPI: false, timeout });
    await manager.streams.info(stream);
    return false;
  } catch (error) {
    return isStreamGone(error);
  }
}

/** Waits; `cancelled` when the signal is aborted by then. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise((resume) => setTimeout(resume, milliseconds));
  if (signal.aborted) throw fail("cancelled", "the exchange was cancelled");
}
