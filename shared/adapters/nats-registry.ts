/**
 * Who leads, on a NATS key-value bucket: epochs are taken by creating keys, signs of life are plain writes.
 * It never updates by revision (several winners on replicated 2.9 servers) and never judges expiry.
 */
import { JetStreamApiError, jetstream, jetstreamManager, type StreamAPI } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { LeaderHint, Registry } from "../ports.ts";
import { checkReplicas, isStreamGone, type NatsLink, natsFailure } from "./nats.ts";
import { registryBucket } from "./nats-names.ts";

const leaderKey = "leader";

/**
 * Opens the cluster's registry. Coordinators say how many replicas it has and make it when it is missing;
 * executors and clients leave that out and only look: until it is there, nobody leads.
 */
export async function openRegistry(
  link: NatsLink,
  options: { readonly cluster: string; readonly replicas?: number },
): Promise<Registry> {
  const { replicas } = options;
  const request = { timeout: limits.natsRequestMs };
  const manager = new Kvm(jetstream(link.connection, request));
  const name = registryBucket(options.cluster);
  // Direct gets may be answered by a replica that lags.
  const reads = { allow_direct: false };
  if (replicas !== undefined) checkReplicas(link, replicas);
  const open = () =>
    replicas === undefined
      ? manager.open(name, reads)
      : manager.create(name, { history: 1, replicas, ...reads });
  try {
    const { streams } = await jetstreamManager(link.connection, { ...request, checkAPI: false });
    return new NatsRegistry(name, { streams, open, bucket: await open() });
  } catch (error) {
    throw natsFailure(error, `open the registry ${name}`);
  }
}

class NatsRegistry implements Registry {
  readonly #name: string;
  readonly #streams: StreamAPI;
  readonly #open: () => Promise<KV>;
  readonly #stops = new Set<() => void>();
  #bucket: KV;

  constructor(name: string, opened: { streams: StreamAPI; open: () => Promise<KV>; bucket: KV }) {
    this.#name = name;
    this.#streams = opened.streams;
    this.#open = opened.open;
    this.#bucket = opened.bucket;
  }

  async takeEpoch(epoch: number, coordinator: string, address: string): Promise<boolean> {
    const value = JSON.stringify({ coordinator, address });
    return this.#act(`take epoch ${epoch}`, async (bucket) => {
      try {
        await bucket.create(`epoch.${epoch}`, value);
        return true;
      } catch (error) {
        if (error instanceof JetStreamApiError && [10071, 10164].includes(error.code)) return false;
        throw error;
      }
    });
  }

  /** From the stream's list of subjects: unlike a listing of keys it needs no consumer, which may be slow to place. */
  async highestEpoch(): Promise<number> {
    return this.#act("list the epochs", async () => {
      if (await this.#isEmpty()) return 0;
      const prefix = `$KV.${this.#name}.epoch.`;
      const filter = { subjects_filter: `${prefix}*` };
      const info = await this.#streams.info(`KV_${this.#name}`, filter);
      const subjects = Object.keys(info.state.subjects ?? {});
      return Math.max(0, ...subjects.map((subject) => Number(subject.slice(prefix.length))));
    });
  }

  async renew(hint: LeaderHint): Promise<void> {
    const value = JSON.stringify(hint);
    await this.#act("renew the leadership", (bucket) => bucket.put(leaderKey, value));
  }

  async leader(): Promise<LeaderHint | undefined> {
    const entry = await this.#act("read the leader", async (bucket) => {
      try {
        return (await this.#isEmpty()) ? null : await bucket.get(leaderKey);
      } catch (error) {
        if (isStreamGone(error)) return null;
        throw error;
      }
    });
    return entry === null ? undefined : decodeHint(entry.value);
  }

  /** A watch may fall silent when the server loses it, so silence is checked by asking, and a new watch made. */
  async watchLeader(heard: (hint: LeaderHint) => void): Promise<() => void> {
    let last = "";
    let heardAt = performance.now();
    let watch: Watch | undefined;
    let isAsking = false;
    let isStopped = false;
    const tell = (hint: LeaderHint | undefined) => {
      const text = JSON.stringify(hint);
      if (isStopped || hint === undefined || text === last) return;
      last = text;
      heardAt = performance.now();
      heard(hint);
    };
    const listen = async () => {
      watch?.stop();
      watch = await this.#bucket.watch({ key: leaderKey }).catch(() => undefined);
      if (isStopped) watch?.stop();
      else if (watch !== undefined) void follow(watch, tell);
    };
    const ask = async () => {
      const before = last;
      tell(await this.leader());
      if (last !== before) await listen();
    };
    tell(await this.leader());
    await listen();
    const askEveryMs = limits.renewEveryMs * 2;
    const timer = setInterval(() => {
      if (isAsking || performance.now() - heardAt < askEveryMs) return;
      // One at a time: of two watches that are made at once, one would never be stopped.
      isAsking = true;
      ask()
        .catch(() => undefined)
        .finally(() => {
          isAsking = false;
        });
    }, askEveryMs);
    const stop = () => {
      isStopped = true;
      clearInterval(timer);
      watch?.stop();
      this.#stops.delete(stop);
    };
    this.#stops.add(stop);
    return stop;
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop();
  }

  /**
   * Asked before anything in it is. nats-server 2.9.10 dies of a read (of a message, of a list of subjects) that meets a
   * stream in the making, as when executors look while the first coordinator makes the bucket; this question is safe.
   */
  async #isEmpty(): Promise<boolean> {
    const { state } = await this.#streams.info(`KV_${this.#name}`);
    return state.messages === 0;
  }

  /** Runs one action; when the bucket is gone (NATS lost its state) it is made again first. */
  async #act<T>(what: string, action: (bucket: KV) => Promise<T>): Promise<T> {
    const doing = `${what} in the registry ${this.#name}`;
    try {
      return await action(this.#bucket);
    } catch (error) {
      if (!isStreamGone(error) && !isUnanswered(error)) throw natsFailure(error, doing);
    }
    try {
      this.#bucket = await this.#open();
      return await action(this.#bucket);
    } catch (error) {
      throw natsFailure(error, doing);
    }
  }
}

type Watch = Awaited<ReturnType<KV["watch"]>>;

async function follow(watch: Watch, tell: (hint: LeaderHint) => void): Promise<void> {
  try {
    for await (const entry of watch) tell(decodeHint(entry.value));
  } catch {
    // The connection or the bucket went: asking goes on, and makes a new watch.
  }
}

/** No stream listens on the subject: the library says it in two ways. */
function isUnanswered(error: unknown): boolean {
  return error instanceof Error && /^(NoRespondersError|JetStreamNotEnabled)$/.test(error.name);
}

/** A hint from the bytes of the registry. Anything else there is somebody else's: `internal`. */
function decodeHint(bytes: Uint8Array): LeaderHint {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isHint(value)) return value;
  } catch {
    // Not JSON: the same answer as for any other foreign value.
  }
  throw fail("internal", "the registry's leader entry is not one of Daymill's");
}

function isHint(value: unknown): value is LeaderHint {
  if (typeof value !== "object" || value === null) return false;
  const hint = value as Record<string, unknown>;
  return (
    typeof hint["epoch"] === "number" &&
    typeof hint["coordinator"] === "string" &&
    typeof hint["address"] === "string" &&
    typeof hint["beat"] === "number"
  );
}
