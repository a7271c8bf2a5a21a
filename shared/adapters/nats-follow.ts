/**
 * Listening to a cluster's events and asking a NATS server how it is: the reading side for the command line.
 * It publishes nothing.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import { limits } from "../kernel/limits.ts";
import { type NatsLink, natsFailure } from "./nats.ts";
import { subjectToken } from "./nats-names.ts";

/** What to hear; absent or empty parts mean all. */
export interface EventFilter {
  readonly job?: string;
  readonly day?: string;
}

export interface HeardEvent {
  readonly subject: string;
  /** The CloudEvents JSON as it came; anybody may publish, so it may be anything. */
  readonly text: string;
}

/** Events from now on, until `signal`. Events are hints: those during a lost connection are not seen. */
export async function* followEvents(
  link: NatsLink,
  filter: EventFilter,
  signal: AbortSignal,
): AsyncGenerator<HeardEvent, void, undefined> {
  const part = (text: string | undefined) =>
    text === undefined || text === "" ? "*" : subjectToken(text);
  const subject = `daymill.events.${part(filter.job)}.${part(filter.day)}.>`;
  const subscription = link.connection.subscribe(subject);
  const stop = () => subscription.unsubscribe();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    for await (const message of subscription) {
      yield { subject: message.subject, text: message.string() };
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

export interface JetStreamFacts {
  readonly streams: number;
  /** Bytes in files now. */
  readonly bytes: number;
}

/** Is JetStream there for us? `unavailable` when it is not enabled. */
export async function jetStreamFacts(link: NatsLink): Promise<JetStreamFacts> {
  try {
    const manager = await jetstreamManager(link.connection, { timeout: limits.natsRequestMs });
    const account = await manager.getAccountInfo();
    return { streams: account.streams, bytes: account.storage };
  } catch (error) {
    throw natsFailure(error, `ask ${link.address} about JetStream`);
  }
}
