/**
 * The ExchangeAdmin port in memory, with a way to put messages where a worker would. The contract suite holds it to what
 * the real one does.
 */
import type { ExchangeAdmin } from "../../shared/ports.ts";

interface MemoryMessage {
  readonly attemptId: string;
  readonly text: string;
  readonly kind: "data" | "completion" | "account";
}

export interface MemoryExchange {
  readonly admin: ExchangeAdmin;
  /** Publishes one message; false when there is no such stream. */
  put(stream: string, message: MemoryMessage): boolean;
}

export function memoryExchange(): MemoryExchange {
  const streams = new Map<string, MemoryMessage[]>();
  return {
    put(stream, message) {
      streams.get(stream)?.push(message);
      return streams.has(stream);
    },
    admin: {
      async ensure(names) {
        const created = names.filter((name) => !streams.has(name));
        for (const name of created) streams.set(name, []);
        return created;
      },
      async drop(names) {
        for (const name of names) streams.delete(name);
      },
      async purge(names, attemptId) {
        for (const name of names) {
          const messages = streams.get(name);
          if (messages === undefined) continue;
          streams.set(
            name,
            messages.filter((message) => message.attemptId !== attemptId),
          );
        }
      },
      async usage() {
        return [...streams].map(([stream, messages]) => ({
          stream,
          bytes: messages.reduce((sum, { text }) => sum + text.length, 0),
          messages: messages.length,
        }));
      },
      async writers(stream) {
        const messages = streams.get(stream);
        return messages && [...new Set(messages.map(({ attemptId }) => attemptId))].sort();
      },
      async completions(stream) {
        const messages = streams.get(stream);
        if (messages === undefined) return undefined;
        // The last of each attempt: it may have been sent twice.
        const of = (kind: MemoryMessage["kind"]) => {
          const last = messages.filter((one) => one.kind === kind);
          return [...new Map(last.map(({ attemptId, text }) => [attemptId, text]))].sort();
        };
        return {
          complete: of("completion").map(([attemptId]) => attemptId),
          accounts: of("account").map(([, text]) => text),
        };
      },
    },
  };
}
