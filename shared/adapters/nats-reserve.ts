/**
 * Room in NATS that is kept for what must be written when all else is full: the journal and the registry. A server at
 * its limit refuses every byte; without these nobody could lead, save that kept outputs go, and make room at all.
 * A stream of filler stands for it. It is emptied when a journal or registry write is refused, and filled again when the
 * leader looks at what the exchange holds. From when it is emptied until it is full again no rows are written
 * (nats-exchange-room.ts): they would take the room at once. Where it never fitted there is no such stream, and rows take
 * what there is.
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
import { DaymillError } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { Journal, Registry, Reserve } from "../ports.ts";
import { isStreamGone, type NatsLink, natsFailure } from "./nats.ts";
import { reserveStream, reserveSubject } from "./nats-names.ts";

const justNowMs = 1_000;

/** Opens it; nothing is made before the first `hold`. `replicas` is that of the journal. */
export async function openReserve(
  link: NatsLink,
  options: { readonly cluster: string; readonly replicas: number },
): Promise<Reserve> {
  const request = { timeout: limits.natsRequestMs };
  const manager = await jetstreamManager(link.connection, { ...request, checkAPI: false });
  return new NatsReserve(jetstream(link.connection, request), manager, options);
}

class NatsReserve implements Reserve {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #name: string;
  readonly #subject: string;
  readonly #replicas: number;
  /** When it was given away last, on our own clock. */
  #spentAt = Number.NEGATIVE_INFINITY;
  /** Tries in a row that found no room, and when the next one may be made. */
  #failures = 0;
  #nextTryAt = 0;

  constructor(
    client: JetStreamClient,
    manager: JetStreamManager,
    options: { readonly cluster: string; readonly replicas: number },
  ) {
    this.#client = client;
    this.#manager = manager;
    this.#name = reserveStream(options.cluster);
    this.#subject = reserveSubject(options.cluster);
    this.#replicas = options.replicas;
  }

  async hold(): Promise<boolean> {
    // Each try fills what room there is for a moment: where there is none for long it is made seldom.
    if (performance.now() < this.#nextTryAt) return false;
    const spentAt = this.#spentAt;
    let isNew = false;
    try {
      const found = await this.#held();
      const held = found ?? 0;
      if (held >= limits.reserveBytes) return true;
      isNew = found === undefined;
      if (isNew) await this.#make();
      const filler = new Uint8Array(limits.exchangeMessageBytesMax);
      for (let bytes = held; bytes < limits.reserveBytes; bytes += filler.length) {
        await this.#client.publish(this.#subject, filler);
      }
      // The message that goes over the limit is taken, and the next one is not.
      await this.#client.publish(this.#subject, "");
      // Who was refused while it was being filled has emptied it: there was no room for it.
      if (this.#spentAt !== spentAt) return false;
      this.#failures = 0;
      return true;
    } catch (error) {
      if (!isFull(natsFailure(error, ""))) throw natsFailure(error, `fill ${this.#name}`);
      if (isNew) await this.#drop();
      else await this.spend();
      const pauseMs = Math.min(limits.reserveRetryMsMax, 1_000 * 2 ** (this.#failures - 1));
      if (this.#failures++ > 0) this.#nextTryAt = performance.now() + pauseMs;
      return false;
    }
  }

  async spend(): Promise<boolean> {
    try {
      const { purged } = await this.#manager.streams.purge(this.#name);
      // Of two that were refused at once the second finds nothing, and room all the same.
      if (purged === 0) return performance.now() - this.#spentAt < justNowMs;
      this.#spentAt = performance.now();
      return true;
    } catch (error) {
      if (isStreamGone(error)) return false;
      throw natsFailure(error, `empty ${this.#name}`);
    }
  }

  /** Bytes of it that are there; undefined: it was never made here, or did not fit. */
  async #held(): Promise<number | undefined> {
    try {
      return (await this.#manager.streams.info(this.#name)).state.bytes;
    } catch (error) {
      if (isStreamGone(error)) return undefined;
      throw error;
    }
  }

  async #drop(): Promise<void> {
    try {
      await this.#manager.streams.delete(this.#name);
    } catch (error) {
      if (!isStreamGone(error)) throw natsFailure(error, `drop ${this.#name}`);
    }
  }

  async #make(): Promise<void> {
    await this.#manager.streams.add({
      name: this.#name,
      subjects: [this.#subject],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      num_replicas: this.#replicas,
    });
  }
}

function isFull({ failure }: DaymillError): boolean {
  return failure.code === "exchangeFull";
}

/** Writes once more in the room that the reserve gives, when the server has none. */
async function spending<T>(reserve: Reserve, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof DaymillError) || !isFull(error)) throw error;
    if (!(await reserve.spend().catch(() => false))) throw error;
    return await write();
  }
}

export function journalWithReserve(journal: Journal, reserve: Reserve): Journal {
  return {
    append: (expected, text) => spending(reserve, () => journal.append(expected, text)),
    lastSequence: () => journal.lastSequence(),
    read: (from) => journal.read(from),
    trim: (sequence) => journal.trim(sequence),
  };
}

export function registryWithReserve(registry: Registry, reserve: Reserve): Registry {
  return {
    takeEpoch: (epoch, coordinator, address) =>
      spending(reserve, () => registry.takeEpoch(epoch, coordinator, address)),
    highestEpoch: () => registry.highestEpoch(),
    renew: (hint) => spending(reserve, () => registry.renew(hint)),
    leader: () => registry.leader(),
    watchLeader: (heard) => registry.watchLeader(heard),
    close: () => registry.close(),
  };
}
