// The ExchangeAdmin port: one suite on a real nats-server and on the memory form.
import { afterAll, describe, expect, test } from "vitest";
import { connectNats } from "../../shared/adapters/nats.ts";
import {
  accountSubject,
  completionSubject,
  dataSubject,
  messageHeaders,
} from "../../shared/adapters/nats-exchange.ts";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import { pullStream } from "../../shared/adapters/nats-exchange-pull.ts";
import type { ExchangeAdmin } from "../../shared/ports.ts";
import { startNats } from "../contract/nats-fixture.ts";
import { memoryExchange } from "../fakes/memory-exchange.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { failureOf } from "../kit/failures.ts";

interface Opened {
  readonly admin: ExchangeAdmin;
  /** Two data messages and a completion record of one attempt, in each stream. */
  write(streams: readonly string[], attemptId: string): Promise<void>;
  /** One data message of an attempt that is cut off after it. */
  begin(stream: string, attemptId: string): Promise<void>;
  /** The account of one attempt. */
  account(stream: string, attemptId: string): Promise<void>;
}

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

const forms: Record<string, () => Promise<Opened>> = {
  "nats-server": async () => {
    const server = await startNats();
    closers.push(() => server.stop());
    const link = await connectNats({ servers: [server.url], name: "test", log: quietLog() });
    closers.push(() => link.close());
    const publish = async (subject: string, text: string) => {
      await link.connection.request(subject, text, { timeout: 5_000 });
    };
    return {
      admin: await openExchangeAdmin(link, { replicas: 1 }),
      async write(streams, attemptId) {
        for (const stream of streams) {
          await publish(dataSubject(stream, attemptId), `${attemptId} one`);
          await publish(dataSubject(stream, attemptId), `${attemptId} two`);
          await publish(completionSubject(stream, attemptId), `${attemptId} done`);
        }
      },
      begin: (stream, attemptId) => publish(dataSubject(stream, attemptId), `${attemptId} one`),
      account: (stream, attemptId) =>
        publish(accountSubject(stream, attemptId), `${attemptId} account`),
    };
  },
  "memory exchange": async () => {
    const { admin, put } = memoryExchange();
    return {
      admin,
      async write(streams, attemptId) {
        for (const stream of streams) {
          for (const what of ["one", "two", "done"]) {
            const kind = what === "done" ? "completion" : "data";
            put(stream, { attemptId, text: `${attemptId} ${what}`, kind });
          }
        }
      },
      async begin(stream, attemptId) {
        put(stream, { attemptId, text: `${attemptId} one`, kind: "data" });
      },
      async account(stream, attemptId) {
        put(stream, { attemptId, text: `${attemptId} account`, kind: "account" });
      },
    };
  },
};

const streams = ["DMX_t_p_g0", "DMX_t_p_g1"];

describe.each(Object.entries(forms))("%s", (_name, open) => {
  test("a purge takes away what one attempt wrote, in the streams named, and nothing else", async () => {
    const { admin, write } = await open();
    expect(await admin.ensure([...streams, "DMX_t_other_g0"])).toHaveLength(3);
    await write([...streams, "DMX_t_other_g0"], "a1");
    await write(streams, "a1-e2");
    await write(streams, "b1");
    const messages = async () =>
      Object.fromEntries((await admin.usage()).map((one) => [one.stream, one.messages]));
    const before = { DMX_t_p_g0: 9, DMX_t_p_g1: 9, DMX_t_other_g0: 3 };
    expect(await messages()).toEqual(before);
    await admin.purge(streams, "a1");
    const after = { DMX_t_p_g0: 6, DMX_t_p_g1: 6, DMX_t_other_g0: 3 };
    expect(await messages()).toEqual(after);
    const left = { complete: ["a1-e2", "b1"], accounts: [] };
    expect(await admin.completions("DMX_t_p_g0")).toEqual(left);
    // Again, an attempt that never wrote, and a stream that is gone: all the same.
    await admin.purge(streams, "a1");
    await admin.purge([...streams, "DMX_t_never"], "nobody");
    expect(await messages()).toEqual(after);
  });

  test("the records of a stream: whose output is whole, and the accounts that lie in it", async () => {
    const { admin, write, account } = await open();
    const [first = "", second = ""] = streams;
    expect(await admin.completions(first)).toBeUndefined();
    await admin.ensure(streams);
    expect(await admin.completions(first)).toEqual({ complete: [], accounts: [] });
    await write(streams, "b1");
    await write([first], "a1");
    await account(first, "b1");
    await account(first, "b1");
    const found = { complete: ["a1", "b1"], accounts: ["b1 account"] };
    expect(await admin.completions(first)).toEqual(found);
    expect(await admin.completions(second)).toEqual({ complete: ["b1"], accounts: [] });
    await admin.purge(streams, "b1");
    expect(await admin.completions(first)).toEqual({ complete: ["a1"], accounts: [] });
  });

  test("writers are all of whom anything is in a stream, whole or cut off", async () => {
    const { admin, write, begin, account } = await open();
    const [first = "", second = ""] = streams;
    expect(await admin.writers(first)).toBeUndefined();
    await admin.ensure(streams);
    expect(await admin.writers(first)).toEqual([]);
    await write(streams, "b1");
    await account(first, "b1");
    await begin(first, "a1");
    expect(await admin.writers(first)).toEqual(["a1", "b1"]);
    expect(await admin.writers(second)).toEqual(["b1"]);
    expect(await admin.completions(first)).toMatchObject({ complete: ["b1"] });
    await admin.purge(streams, "b1");
    expect(await admin.writers(first)).toEqual(["a1"]);
    expect(await admin.writers(second)).toEqual([]);
  });

  test("usage says how much each stream holds, also after a purge", async () => {
    const { admin, write } = await open();
    await admin.ensure(streams);
    await write(streams, "a1");
    const total = async () => (await admin.usage()).reduce((sum, { bytes }) => sum + bytes, 0);
    const one = await total();
    expect(one).toBeGreaterThan(0);
    await write(streams, "a2");
    expect(await total()).toBeGreaterThan(one);
    await admin.purge(streams, "a2");
    expect(await total()).toBe(one);
    await admin.drop(streams);
    expect(await admin.usage()).toEqual([]);
  });
});

test("a reader under way when losers behind it are purged comes to its end with the winners", async () => {
  const server = await startNats();
  closers.push(() => server.stop());
  const link = await connectNats({ servers: [server.url], name: "test", log: quietLog() });
  closers.push(() => link.close());
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  const [stream = ""] = streams;
  await admin.ensure([stream]);
  const publish = (attemptId: string, n: number) => {
    const options = { timeout: 5_000, headers: messageHeaders(n, "") };
    return link.connection.request(dataSubject(stream, attemptId), attemptId, options);
  };
  for (let n = 0; n < 5; n++) await publish("winner", n);
  for (let n = 0; n < 40; n++) await publish("loser", n);
  const seen: string[] = [];
  const signal = new AbortController().signal;
  for await (const { body } of pullStream(link, stream, { signal, windowMessagesMax: 2 })) {
    seen.push(Buffer.from(body).toString());
    if (seen.length === 1) await admin.purge([stream], "loser");
  }
  expect(seen.filter((one) => one === "winner")).toHaveLength(5);
  expect(seen.length).toBeLessThan(45);
}, 20_000);

test("a look at streams that nobody answers names the stream", async () => {
  const server = await startNats();
  const link = await connectNats({ servers: [server.url], name: "test", log: quietLog() });
  closers.push(() => link.close());
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  const [stream = ""] = streams;
  await admin.ensure([stream]);
  await server.stop();
  const failed = await failureOf(admin.ensure([stream]));
  expect(failed).toMatchObject({ code: "unavailable", detail: { stream } });
}, 30_000);
