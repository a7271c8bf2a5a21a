/**
 * The journal on a JetStream stream: one subject, appends that name the sequence they follow.
 * The server refuses an append after anybody else's (error 10071), which is what fences an old leader.
 * It never folds or understands a record.
 */
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { Journal, JournalRecord } from "../ports.ts";
import { checkReplicas, isStreamGone, type NatsLink, natsFailure } from "./nats.ts";
import { journalStream, journalSubject } from "./nats-names.ts";

/** Opens the cluster's journal, making its stream when it is missing. */
export async function openJournal(
  link: NatsLink,
  options: { readonly cluster: string; readonly replicas: number },
): Promise<Journal> {
  checkReplicas(link, options.replicas);
  const manager = await jetstreamManager(link.connection, { ...request, checkAPI: false });
  const journal = new NatsJournal(jetstream(link.connection, request), manager, options);
  await journal.make();
  return journal;
}

const request = { timeout: limits.natsRequestMs };

class NatsJournal implements Journal {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #name: string;
  readonly #subject: string;
  readonly #replicas: number;

  constructor(
    client: JetStreamClient,
    manager: JetStreamManager,
    options: { readonly cluster: string; readonly replicas: number },
  ) {
    this.#client = client;
    this.#manager = manager;
    this.#name = journalStream(options.cluster);
    this.#subject = journalSubject(options.cluster);
    this.#replicas = options.replicas;
  }

  async make(): Promise<void> {
    const name = this.#name;
    let replicas: number | undefined;
    try {
      const info = await this.#manager.streams.add({
        name,
        subjects: [this.#subject],
        storage: StorageType.File,
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.New,
        num_replicas: this.#replicas,
        // The server counts the headers (expected sequence) too.
        max_msg_size: limits.journalMessageBytesMax + 1_024,
      });
      replicas = info.config.num_replicas;
    } catch (error) {
      const existing = await this.#manager.streams.info(name).catch(() => undefined);
      if (existing === undefined) throw natsFailure(error, `make the journal stream ${name}`);
      replicas = existing.config.num_replicas;
    }
    // Old servers ignore what they don't know: only what is read back counts.
    if (replicas === this.#replicas) return;
    throw fail(
      "conflict",
      `stream ${name} has ${replicas} replicas, --replicas says ${this.#replicas}: ` +
        "start with the same number as before, or use another --cluster",
    );
  }

  async append(expected: number, text: string): Promise<number> {
    const doing = `append to the journal ${this.#name} after record ${expected}`;
    const bytes = Buffer.byteLength(text);
    if (bytes > limits.journalMessageBytesMax) {
      const most = `at most ${limits.journalMessageBytesMax} fit one record`;
      throw fail("messageTooLarge", `could not ${doing}: ${bytes} bytes, ${most}`);
    }
    // Nothing was found in it: the servers may have lost the stream itself since we made it.
    if (expected === 0) await this.make();
    try {
      const expect = { streamName: this.#name, lastSequence: expected };
      return (await this.#client.publish(this.#subject, text, { expect, ...request })).seq;
    } catch (error) {
      throw natsFailure(error, doing);
    }
  }

  async lastSequence(): Promise<number> {
    return (await this.#state()).last;
  }

  /**
   * Asks the stream's leader for each record, a window at a time. Not a consumer: on a cluster that lost a server
   * one may be placed just there, and a takeover cannot wait for that.
   */
  async *read(from: number): AsyncGenerator<JournalRecord> {
    const { first, last } = await this.#state();
    for (let next = Math.max(from, first); next <= last; next += limits.journalReadWindowRecords) {
      const count = Math.min(limits.journalReadWindowRecords, last - next + 1);
      const window = Array.from({ length: count }, (_, index) => this.#record(next + index));
      yield* await Promise.all(window);
    }
  }

  async trim(sequence: number): Promise<void> {
    try {
      await this.#manager.streams.purge(this.#name, { seq: sequence + 1 });
    } catch (error) {
      throw natsFailure(error, `trim the journal ${this.#name} up to record ${sequence}`);
    }
  }

  async #record(sequence: number): Promise<JournalRecord> {
    const doing = `read record ${sequence} of the journal ${this.#name}`;
    try {
      const message = await this.#manager.streams.getMessage(this.#name, { seq: sequence });
      if (message !== null) return { sequence, text: new TextDecoder().decode(message.data) };
    } catch (error) {
      throw natsFailure(error, doing);
    }
    throw fail("unavailable", `could not ${doing}: it was trimmed meanwhile; start over`);
  }

  /** Sequences of the first and last record; `first` > `last` when there is none. */
  async #state(): Promise<{ first: number; last: number }> {
    try {
      const info = (await this.#manager.streams.info(this.#name)).state;
      return {
        first: info.messages === 0 ? info.last_seq + 1 : info.first_seq,
        last: info.last_seq,
      };
    } catch (error) {
      if (!isStreamGone(error)) throw natsFailure(error, `look at the journal ${this.#name}`);
      // NATS lost its state: an empty journal is the truth now, the rest comes from the manifests.
      await this.make();
      return { first: 1, last: 0 };
    }
  }
}
