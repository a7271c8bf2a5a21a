/**
 * The leader's side of the exchange: streams are made, dropped, cleaned and weighed here; rows never pass.
 * Streams have no `max_bytes`, because the server reserves it in full; the leader keeps a byte budget instead.
 */
import {
  DiscardPolicy,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { limits } from "../kernel/limits.ts";
import type { ExchangeAdmin, ExchangeRecords, ExchangeUsage } from "../ports.ts";
import { checkReplicas, isStreamGone, type NatsLink, natsFailure } from "./nats.ts";
import {
  accountSubject,
  allSubjects,
  completionSubject,
  dataSubject,
  recordSubjects,
} from "./nats-exchange.ts";

/** Opens the admin side; `replicas` is that of every stream made. */
export async function openExchangeAdmin(
  link: NatsLink,
  options: { readonly replicas: number },
): Promise<ExchangeAdmin> {
  checkReplicas(link, options.replicas);
  const timeout = limits.publishAckTimeoutMs;
  const manager = await jetstreamManager(link.connection, { checkAPI: false, timeout });
  return {
    async ensure(streams) {
      const made = await eachOf(streams, (stream) => ensureStream(manager, stream, options));
      return streams.filter((_, index) => made[index]);
    },
    async drop(streams) {
      // One that can't be reached must not keep the others: all are tried, then the first trouble is told.
      const problems = await eachOf(streams, (stream) =>
        dropStream(manager, stream).then(
          () => [],
          (error: unknown) => [error],
        ),
      );
      for (const problem of problems.flat()) throw problem;
    },
    async purge(streams, attemptId) {
      await eachOf(streams, (stream) => purgeAttempt(manager, stream, attemptId));
    },
    usage: () => usageOf(manager),
    writers: (stream) => ifThere(writersOf(manager, stream), "attempts", stream),
    completions: (stream) => ifThere(completionsOf(manager, stream), "records", stream),
  };
}

/** true when the stream was not there before. */
async function ensureStream(
  manager: JetStreamManager,
  stream: string,
  options: { readonly replicas: number },
): Promise<boolean> {
  try {
    await manager.streams.info(stream);
    return false;
  } catch (error) {
    if (!isStreamGone(error))
      throw natsFailure(error, `look at the exchange stream ${stream}`, { stream });
  }
  try {
    await manager.streams.add({
      name: stream,
      subjects: [allSubjects(stream)],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      num_replicas: options.replicas,
      max_msg_size: limits.exchangeMessageBytesMax + limits.exchangeHeaderBytesMax,
      // Repeats are told apart by their number, not by the server: the smallest window it takes.
      duplicate_window: 100 * 1_000_000,
    });
    return true;
  } catch (error) {
    throw natsFailure(error, `make the exchange stream ${stream}`, { stream });
  }
}

async function dropStream(manager: JetStreamManager, stream: string): Promise<void> {
  try {
    await manager.streams.delete(stream);
  } catch (error) {
    if (!isStreamGone(error)) throw natsFailure(error, `drop the exchange stream ${stream}`);
  }
}

/** Found by the stream's list of subjects and fetched one by one: no consumer has to be placed, and no row is read. */
async function completionsOf(manager: JetStreamManager, stream: string): Promise<ExchangeRecords> {
  const found = await subjectsOf(manager, stream, recordSubjects(stream));
  const attempts = (suffix: string) =>
    found.flatMap(([, , attemptId = "", last]) => (last === suffix ? [attemptId] : [])).sort();
  const texts = await eachOf(attempts("account"), async (attemptId) => {
    const last = { last_by_subj: accountSubject(stream, attemptId) };
    const message = await manager.streams.getMessage(stream, last);
    return message === null ? [] : [new TextDecoder().decode(message.data)];
  });
  return { complete: attempts("done"), accounts: texts.flat() };
}

/** By subject, so an attempt that was cut off before its records is among them. */
async function writersOf(manager: JetStreamManager, stream: string): Promise<readonly string[]> {
  const found = await subjectsOf(manager, stream, allSubjects(stream));
  return [...new Set(found.map(([, , attemptId = ""]) => attemptId))].sort();
}

/** A look for something in a stream; undefined when the stream is gone. */
async function ifThere<T>(look: Promise<T>, what: string, stream: string): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    if (isStreamGone(error)) return undefined;
    throw natsFailure(error, `look for ${what} in the exchange stream ${stream}`, { stream });
  }
}

/** Subjects with messages, in tokens. nats-server 2.9.10 dies when it lists those of a stream that is being made. */
async function subjectsOf(
  manager: JetStreamManager,
  stream: string,
  filter: string,
): Promise<readonly (readonly string[])[]> {
  const { state: plain } = await manager.streams.info(stream);
  if (plain.messages === 0) return [];
  const { state } = await manager.streams.info(stream, { subjects_filter: filter });
  return Object.keys(state.subjects ?? {}).map((subject) => subject.split("."));
}

/** Records first: an attempt that is half removed must not look complete. */
async function purgeAttempt(
  manager: JetStreamManager,
  stream: string,
  attemptId: string,
): Promise<void> {
  try {
    for (const subject of [accountSubject, completionSubject, dataSubject]) {
      await manager.streams.purge(stream, { filter: subject(stream, attemptId) });
    }
  } catch (error) {
    if (isStreamGone(error)) return;
    throw natsFailure(error, `remove attempt ${attemptId} from the exchange stream ${stream}`);
  }
}

async function usageOf(manager: JetStreamManager): Promise<readonly ExchangeUsage[]> {
  try {
    const found: ExchangeUsage[] = [];
    for await (const { config, state } of manager.streams.list("x.>")) {
      found.push({ stream: config.name, bytes: state.bytes, messages: state.messages });
    }
    return found;
  } catch (error) {
    throw natsFailure(error, "list the exchange streams");
  }
}

/** Calls in order of the items, a few at a time; results in order of the items. */
async function eachOf<T, R>(items: readonly T[], call: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += limits.exchangeAdminCallsMax) {
    results.push(
      ...(await Promise.all(items.slice(from, from + limits.exchangeAdminCallsMax).map(call))),
    );
  }
  return results;
}
