/**
 * Reads one stream from its first message to the last one it has now, in order, each once, with a bounded number of
 * messages under way. The library's own `consume` asks for more as soon as messages arrive, used or not, so the
 * pull requests are made here. A lost connection or consumer is taken up again after the last message seen.
 */
import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamManager,
  jetstreamManager,
} from "@nats-io/jetstream";
import { createInbox, type Msg, type Subscription } from "@nats-io/transport-node";
import { exchangeShort } from "../kernel/exchange-intake.ts";
import { DaymillError, fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import { isStreamGone, type NatsLink, natsFailure } from "./nats.ts";
import { type MessageHead, parseHead } from "./nats-exchange.ts";
import { pause } from "./nats-exchange-publish.ts";

export interface PulledMessage {
  readonly head: MessageHead;
  readonly body: Uint8Array;
}

export interface PullOptions {
  readonly signal: AbortSignal;
  /** Only these subjects; default all. */
  readonly filter?: string;
  readonly windowMessagesMax?: number;
  /** Told how many messages were asked for and not yet used, whenever that changes. */
  readonly underWay?: (messages: number) => void;
}

/** The stream's messages. A stream that is gone: `exchangeShort`; nobody answers for long: `unavailable`. */
export async function* pullStream(
  link: NatsLink,
  stream: string,
  options: PullOptions,
): AsyncGenerator<PulledMessage, void, undefined> {
  let stalledSince = performance.now();
  let reached = 0;
  let last: number | undefined;
  for (;;) {
    const before = reached;
    try {
      const timeout = limits.publishAckTimeoutMs;
      const manager = await jetstreamManager(link.connection, { checkAPI: false, timeout });
      last ??= await lastSequence(manager, stream);
      if (reached >= last) return;
      for await (const message of pullOnce(link, manager, stream, reached + 1, last, options)) {
        reached = message.sequence;
        if (message.head !== undefined) yield { head: message.head, body: message.body };
      }
      return;
    } catch (error) {
      if (isStreamGone(error)) {
        throw new DaymillError(exchangeShort(stream, [], "the stream is gone"), error);
      }
      const problem = natsFailure(error, `read the exchange stream ${stream}`, { stream });
      if (reached > before) stalledSince = performance.now();
      const stalled = performance.now() - stalledSince >= limits.readStallMs;
      if (problem.failure.code !== "unavailable" || stalled) throw problem;
      await pause(250, options.signal);
    }
  }
}

/** 0 when there is nothing to read. */
async function lastSequence(manager: JetStreamManager, stream: string): Promise<number> {
  const { state } = await manager.streams.info(stream);
  return state.messages === 0 ? 0 : state.last_seq;
}

interface Delivered {
  readonly sequence: number;
  readonly head: MessageHead | undefined;
  readonly body: Uint8Array;
}

/** One consumer's life: from `first` until `last`, or an error that says to begin again behind what came. */
async function* pullOnce(
  link: NatsLink,
  manager: JetStreamManager,
  stream: string,
  first: number,
  last: number,
  options: PullOptions,
): AsyncGenerator<Delivered, void, undefined> {
  const { name, num_pending: due } = await manager.consumers.add(stream, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: first,
    ack_policy: AckPolicy.None,
    inactive_threshold: 60 * 1_000_000_000,
    mem_storage: true,
    num_replicas: 1,
    ...(options.filter === undefined ? {} : { filter_subject: options.filter }),
  });
  if (due === 0) {
    await manager.consumers.delete(stream, name).catch(() => false);
    return;
  }
  const puller = new Puller(link, `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`, options);
  try {
    for (let delivered = 1; ; delivered++) {
      const message = await puller.next();
      const { streamSequence, consumerSequence, pending } = deliveryOf(message);
      if (consumerSequence !== delivered) {
        throw fail("unavailable", `messages of ${stream} were lost on the way`);
      }
      if (streamSequence > last) return;
      const head = parseHead(message.subject, message.headers);
      yield { sequence: streamSequence, head, body: message.data };
      if (streamSequence >= last || pending === 0) return;
    }
  } finally {
    puller.stop();
    await manager.consumers.delete(stream, name).catch(() => false);
  }
}

/** Asks for messages in half windows and hands them out; never more than a window is asked for and unused. */
class Puller {
  readonly #link: NatsLink;
  readonly #subject: string;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #window: number;
  readonly #options: PullOptions;
  readonly #received: Msg[] = [];
  #asked = 0;
  #broken: unknown;
  #wake: () => void = () => undefined;

  constructor(link: NatsLink, subject: string, options: PullOptions) {
    this.#link = link;
    this.#subject = subject;
    this.#options = options;
    this.#window = options.windowMessagesMax ?? limits.readWindowMessagesMax;
    this.#inbox = createInbox();
    this.#subscription = link.connection.subscribe(this.#inbox, {
      callback: (error, message) => this.#onMessage(error, message),
    });
    options.signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#ask(this.#window);
  }

  async next(): Promise<Msg> {
    const half = Math.max(1, this.#window >> 1);
    if (this.#asked <= this.#window - half) this.#ask(this.#window - this.#asked);
    if (this.#options.signal.aborted) this.#onAbort();
    if (this.#received.length === 0 && this.#broken === undefined) await this.#arrival();
    const message = this.#received.shift();
    if (message === undefined) throw this.#broken;
    this.#asked--;
    this.#options.underWay?.(this.#asked);
    return message;
  }

  stop(): void {
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#subscription.unsubscribe();
  }

  #ask(batch: number): void {
    this.#asked += batch;
    this.#options.underWay?.(this.#asked);
    // Long enough never to run out while rows are being loaded.
    const request = JSON.stringify({ batch, expires: 600 * 1_000_000_000 });
    this.#link.connection.publish(this.#subject, request, { reply: this.#inbox });
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#break(fail("unavailable", `no message came within ${limits.readSilenceMs} ms`));
      }, limits.readSilenceMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        resolve();
      };
    });
  }

  #onMessage(error: Error | null, message: Msg): void {
    if (error !== null) {
      this.#break(error);
      return;
    }
    // Statuses (no consumer, request expired, server going down) have a code and no delivery subject.
    if (message.headers !== undefined && message.headers.code !== 0) {
      this.#break(fail("unavailable", `the server ended the read: ${message.headers.code}`));
      return;
    }
    this.#received.push(message);
    this.#wake();
  }

  readonly #onAbort = (): void => {
    this.#break(fail("cancelled", "reading the exchange was cancelled"));
  };

  #break(error: unknown): void {
    this.#broken ??= error;
    this.#wake();
  }
}

/** Sequences from `$JS.ACK.[domain.account.]stream.consumer.delivered.stream-seq.consumer-seq.time.pending[.token]`. */
function deliveryOf(message: Msg): {
  readonly streamSequence: number;
  readonly consumerSequence: number;
  readonly pending: number;
} {
  const tokens = (message.reply ?? "").split(".");
  const shift = tokens.length >= 11 ? 2 : 0;
  const number = (at: number) => {
    const value = Number(tokens[at + shift] ?? Number.NaN);
    if (Number.isSafeInteger(value)) return value;
    throw fail("internal", `not a JetStream delivery: ${tokens.length} tokens`);
  };
  return { streamSequence: number(5), consumerSequence: number(6), pending: number(8) };
}
