/**
 * The journal on a JetStream stream: one subject, appends that name the sequence they follow.
 * The server refuses an append after anybody else's (error 10071), which is what fences an old leader.
 * It never folds or understands a record.
 */
import {
  AckPolicy,
  DeliverPolicy,
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

  async *read(from: number): AsyncGenerator<JournalRecord> {
    const { last, messages } = await this.#state();
    if (messages === 0 || from > last) return;
    const doing = `read the journal ${this.#name} from record ${from}`;
    let consumer: string | undefined;
    try {
      consumer = await this.#consumer(from);
      const puller = await this.#client.consumers.get(this.#name, consumer);
      for (let reached = from - 1; reached < last; ) {
        const before = reached;
        // A window of 32 records of at most 512 KiB stays well below the connection's 64 MiB.
        const batch = await puller.fetch({ max_messages: 32, expires: 1_000 });
        for await (const message of batch) {
          if (message.seq <= last) {
            yield { sequence: message.seq, text: message.string() };
          }
          reached = message.seq;
          if (reached >= last) break;
        }
        if (reached === before) throw fail("unavailable", `could not ${doing}: no record came`);
      }
    } catch (error) {
      throw natsFailure(error, doing);
    } finally {
      if (consumer !== undefined) {
        await this.#manager.consumers.delete(this.#name, consumer).catch(() => false);
      }
    }
  }

  async trim(sequence: number): Promise<void> {
    try {
      await this.#manager.streams.purge(this.#name, { seq: sequence + 1 });
    } catch (error) {
      throw natsFailure(error, `trim the journal ${this.#name} up to record ${sequence}`);
    }
  }

  async #consumer(from: number): Promise<string> {
    const made = await this.#manager.consumers.add(this.#name, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, from),
      ack_policy: AckPolicy.None,
      inactive_threshold: 30 * 1_000_000_000,
      mem_storage: true,
      num_replicas: 1,
    });
    return made.name;
  }

  async #state(): Promise<{ last: number; messages: number }> {
    try {
      const info = (await this.#manager.streams.info(this.#name)).state;
      return { last: info.last_seq, messages: info.messages };
    } catch (error) {
      if (!isStreamGone(error)) throw natsFailure(error, `look at the journal ${this.#name}`);
      // NATS lost its state: an empty journal is the truth now, the rest comes from the manifests.
      await this.make();
      return { last: 0, messages: 0 };
    }
  }
}
