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
  accountSubject,
  type ByteWindow,
  completionSubject,
  createByteWindow,
  dataSubject,
  messageHeaders,
} from "./nats-exchange.ts";
import { createRoomLook } from "./nats-exchange-room.ts";

export interface ExchangePublisher {
  readonly window: Pick<ByteWindow, "inFlight" | "peak">;
  /** Sends a data message; resolves when it is under way. A failure of any message ends the next call. */
  data(stream: string, sequence: number, rows: string, body: Uint8Array): Promise<void>;
  /** Sends a completion record likewise. */
  completion(stream: string, text: string): Promise<void>;
  /** Sends the attempt's account likewise. */
  account(stream: string, text: string): Promise<void>;
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
  const room = createRoomLook(link);
  const send = async (message: Outgoing) => {
    const bytes = message.body.byteLength;
    await window.take(bytes);
    publish(client, link, message, signal, log)
      .catch((error: unknown) => window.fail(error))
      .finally(() => window.give(bytes));
  };
  const record = (stream: string, subject: string, text: string) =>
    send({ stream, subject, headers: messageHeaders(0, ""), body: Buffer.from(text) });
  return {
    window,
    data: async (stream, sequence, rows, body) => {
      await room.pass(stream, body.byteLength);
      const subject = dataSubject(stream, attemptId);
      await send({ stream, subject, headers: messageHeaders(sequence, rows), body });
    },
    completion: (stream, text) => record(stream, completionSubject(stream, attemptId), text),
    account: (stream, text) => record(stream, accountSubject(stream, attemptId), text),
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
      const problem = natsFailure(error, `publish to the exchange stream ${stream}`, { stream });
      const late = performance.now() >= until;
      if (problem.failure.code !== "unavailable" || late) throw problem;
      log.warn("exchange message not acknowledged; it is sent again", { stream, tries });
      await answering(link, stream, until, problem, signal);
    }
  }
}

/**
 * Waits until the stream's server answers. Only then is a message sent again: what is published while the
 * connection is down piles up in the client.
 */
async function answering(
  link: NatsLink,
  stream: string,
  until: number,
  problem: DaymillError,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await pause(200, signal);
    const found = await lookUp(link, stream);
    if (found === "there") return;
    if (found === "gone") {
      throw new DaymillError(exchangeShort(stream, [], "the stream is gone"), problem);
    }
    if (performance.now() >= until) throw problem;
  }
}

async function lookUp(link: NatsLink, stream: string): Promise<"there" | "gone" | "unknown"> {
  try {
    const options = { checkAPI: false, timeout: limits.publishAckTimeoutMs / 5 };
    const manager = await jetstreamManager(link.connection, options);
    await manager.streams.info(stream);
    return "there";
  } catch (error) {
    return isStreamGone(error) ? "gone" : "unknown";
  }
}

/** Waits; `cancelled` when the signal is aborted by then. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await new Promise((resume) => setTimeout(resume, milliseconds));
  if (signal.aborted) throw fail("cancelled", "the exchange was cancelled");
}
