// The exchange over a real nats-server: two tasks write, reducers read, and things go wrong on the way.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ExchangeIo, openExchange } from "../../shared/adapters/exchange.ts";
import { connectNats, type NatsLink } from "../../shared/adapters/nats.ts";
import { createByteWindow } from "../../shared/adapters/nats-exchange.ts";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import { createPublisher } from "../../shared/adapters/nats-exchange-publish.ts";
import { pullStream } from "../../shared/adapters/nats-exchange-pull.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { ExchangeAdmin } from "../../shared/ports.ts";
import { type NatsFixture, startNats } from "../contract/nats-fixture.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { eventually } from "../kit/eventually.ts";
import { failureOf } from "../kit/failures.ts";
import { differences, openDuckDb, planOf, routeOf, scalar, winnerOf } from "./kit.ts";

const plan = planOf("k BIGINT, s VARCHAR", 16, 4);
const signal = new AbortController().signal;
let server: NatsFixture;
let link: NatsLink;
let admin: ExchangeAdmin;
let io: ExchangeIo;
let connection: DuckDBConnection;
let names = 0;

beforeAll(async () => {
  server = await startNats();
  const log = quietLog();
  link = await connectNats({ servers: [server.url], name: "test", log });
  admin = await openExchangeAdmin(link, { replicas: 1 });
  io = await openExchange({ servers: [server.url], name: "worker", log });
});
afterAll(async () => {
  await io?.close();
  await link?.close();
  await server?.stop();
});

let route = routeOf("none", 4);
beforeEach(async () => {
  connection = await openDuckDb();
  route = routeOf(`DMX_t_${++names}`, 4);
  await admin.ensure(route.streams);
});
afterEach(async () => {
  connection.closeSync();
  await admin.drop(route.streams);
});

async function makeRows(table: string, from: number, to: number): Promise<void> {
  await connection.run(
    `CREATE TABLE ${table} AS SELECT i AS k, md5(i::VARCHAR) || repeat('-', (i % 50)::INTEGER) AS s, ` +
      `(hash(i) % 16)::INTEGER AS __p FROM range(${from}, ${to}) r(i)`,
  );
}

const write = (attemptId: string, table: string) =>
  io.write(connection, { plan, route, attemptId, producer: `map-${attemptId}`, table, signal });

test("what several tasks wrote is what the reducers read, losers left out", async () => {
  await makeRows("one", 0, 50_000);
  await makeRows("two", 50_000, 100_000);
  const [first, second] = [await write("a1", "one"), await write("b1", "two")];
  await write("a2", "one");
  const winners = [winnerOf("a1", first), winnerOf("b1", second)];
  await connection.run("CREATE TABLE due AS FROM one UNION ALL FROM two");
  await connection.run("CREATE TABLE got AS FROM due LIMIT 0");
  let bytes = 0;
  for (let group = 0; group < 4; group++) {
    const read = await io.read(connection, { plan, route, winners, group, table: "g", signal });
    bytes += read.bytes;
    await connection.run("INSERT INTO got FROM g; DROP TABLE g");
  }
  expect(await differences(connection, "due", "got")).toBe("0");
  expect(first.checksum).not.toBe(second.checksum);
  expect([first.rows, second.rows]).toEqual([50_000, 50_000]);
  expect(bytes).toBe(first.bytes + second.bytes);
});

describe("the leader's side", () => {
  test("ensure tells what is new, drop and usage do as they say", async () => {
    const [known = ""] = route.streams;
    const fresh = `${known}_fresh`;
    expect(await admin.ensure([known, fresh])).toEqual([fresh]);
    expect(await admin.ensure([known, fresh])).toEqual([]);
    await makeRows("one", 0, 1_000);
    await write("a1", "one");
    const usage = new Map((await admin.usage()).map((entry) => [entry.stream, entry]));
    expect(usage.get(known)?.messages).toBeGreaterThan(1);
    expect(usage.get(fresh)?.bytes).toBe(0);
    await admin.drop([fresh, "DMX_t_never"]);
    expect((await admin.usage()).some((entry) => entry.stream === fresh)).toBe(false);
  });

  test("an account lies beside the rows: it is found again, and no reader is disturbed", async () => {
    await makeRows("one", 0, 1_000);
    const outputs = [await write("a1", "one"), await write("a2", "one")];
    const [first = "", , third = ""] = route.streams;
    await io.account({ stream: first, attemptId: "a2", text: "what a2 gave", signal });
    const complete = ["a1", "a2"];
    expect(await admin.completions(first)).toEqual({ complete, accounts: ["what a2 gave"] });
    expect(await admin.completions(third)).toEqual({ complete, accounts: [] });
    const [, output] = outputs;
    if (output === undefined) throw new Error("both were written");
    const winners = [winnerOf("a2", output)];
    const read = await io.read(connection, { plan, route, winners, group: 0, table: "g", signal });
    expect(read.rows).toBeGreaterThan(0);
  });
});

describe("streams that are not there", () => {
  test("writing and reading name the stream", async () => {
    await makeRows("one", 0, 1_000);
    const output = await write("a1", "one");
    await admin.drop(route.streams);
    const gone = { code: "exchangeShort", detail: { stream: route.streams[0] } };
    expect(await failureOf(write("a2", "one"))).toMatchObject(gone);
    const winners = [winnerOf("a1", output)];
    const read = io.read(connection, { plan, route, winners, group: 0, table: "g", signal });
    expect(await failureOf(read)).toMatchObject(gone);
  });

  test("a stream made anew lacks the old outputs", async () => {
    await makeRows("one", 0, 1_000);
    const output = await write("a1", "one");
    await admin.drop(route.streams);
    expect(await admin.ensure(route.streams)).toEqual(route.streams);
    const winners = [winnerOf("a1", output)];
    const read = io.read(connection, { plan, route, winners, group: 1, table: "g", signal });
    expect(await failureOf(read)).toMatchObject({
      code: "exchangeShort",
      detail: { attempt: "a1", stream: route.streams[1] },
    });
  });
});

describe("bounds", () => {
  test("bytes under way never exceed the window", async () => {
    const publisher = createPublisher(link, "a1", signal, quietLog());
    const body = new Uint8Array(900 * 1024);
    const stream = route.streams[0] ?? "";
    for (let at = 0; at < 60; at++) await publisher.data(stream, at, "0:1", body);
    await publisher.settled();
    expect(publisher.window.peak).toBeLessThanOrEqual(limits.publishWindowBytesMax);
    expect(publisher.window.peak).toBeGreaterThan(4 * body.byteLength);
    expect(publisher.window.inFlight).toBe(0);
    expect((await admin.usage()).find((entry) => entry.stream === stream)?.messages).toBe(60);
  });

  test("a slow reader has no more than its window under way, and gets everything in order", async () => {
    const publisher = createPublisher(link, "a1", signal, quietLog());
    const stream = route.streams[0] ?? "";
    for (let at = 0; at < 100; at++) await publisher.data(stream, at, "0:1", Buffer.from(`${at}`));
    await publisher.settled();
    let most = 0;
    const underWay = (messages: number) => {
      most = Math.max(most, messages);
    };
    const seen: string[] = [];
    for await (const message of pullStream(link, stream, { signal, underWay })) {
      seen.push(Buffer.from(message.body).toString());
      if (seen.length % 10 === 0) await new Promise((resume) => setTimeout(resume, 5));
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, at) => `${at}`));
    expect(most).toBe(limits.readWindowMessagesMax);
  });

  test("a window lets one large thing pass alone and ends its waits on failure", async () => {
    const window = createByteWindow(10, signal);
    await window.take(25);
    let passed = false;
    const waiting = window.take(1).then(() => {
      passed = true;
    });
    await new Promise((resume) => setImmediate(resume));
    expect(passed).toBe(false);
    window.give(25);
    await waiting;
    window.fail(new Error("broken"));
    await expect(window.take(1)).rejects.toThrow("broken");
    await expect(window.drained()).rejects.toThrow("broken");
  });

  test("an abort ends a write and a read with cancelled", async () => {
    await makeRows("one", 0, 20_000);
    const output = await write("a1", "one");
    const abort = new AbortController();
    abort.abort();
    const aborted = { plan, route, signal: abort.signal };
    const writing = io.write(connection, {
      ...aborted,
      attemptId: "a2",
      producer: "m",
      table: "one",
    });
    expect(await failureOf(writing)).toMatchObject({ code: "cancelled" });
    const winners = [winnerOf("a1", output)];
    const reading = io.read(connection, { ...aborted, winners, group: 0, table: "g" });
    expect(await failureOf(reading)).toMatchObject({ code: "cancelled" });
  });
});

test("a server without room: exchangeFull, and it works again when there is room", async () => {
  const folder = await mkdtemp(join(tmpdir(), "daymill-nats-conf-"));
  const conf = join(folder, "nats.conf");
  await writeFile(conf, "jetstream { max_file_store: 3MB }\n");
  const small = await startNats({ extra: ["-c", conf] });
  const log = quietLog();
  const smallLink = await connectNats({ servers: [small.url], name: "test", log });
  const smallAdmin = await openExchangeAdmin(smallLink, { replicas: 1 });
  const smallIo = await openExchange({ servers: [small.url], name: "worker", log });
  try {
    await smallAdmin.ensure(route.streams);
    await makeRows("big", 0, 300_000);
    const request = { plan, route, producer: "m", table: "big", signal };
    const failed = await failureOf(smallIo.write(connection, { ...request, attemptId: "a1" }));
    expect(failed).toMatchObject({ code: "exchangeFull" });
    await smallAdmin.drop(route.streams);
    await smallAdmin.ensure(route.streams);
    await makeRows("few", 0, 1_000);
    const again = { ...request, table: "few", attemptId: "a2" };
    expect((await smallIo.write(connection, again)).rows).toBe(1_000);
  } finally {
    await smallIo.close();
    await smallLink.close();
    await small.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

describe("nats-server dies", () => {
  test("while a task writes: it goes on after the restart, and nothing is lost or doubled", async () => {
    await makeRows("big", 0, 600_000);
    let ended = false;
    const writing = write("a1", "big").finally(() => {
      ended = true;
    });
    const stream = route.streams[0] ?? "";
    await eventually(async () => (await messagesOf(stream)) >= 2);
    await server.halt("SIGKILL");
    expect(ended).toBe(false);
    await new Promise((resume) => setTimeout(resume, 300));
    await server.start();
    const output = await writing;
    expect(output.rows).toBe(600_000);
    await readAll(winnerOf("a1", output), "big");
  });

  test("while a task reads: it goes on behind the last message", async () => {
    await makeRows("big", 0, 600_000);
    const output = await write("a1", "big");
    const stream = route.streams[3] ?? "";
    let halted = 0;
    const sequences: number[] = [];
    for await (const { head } of pullStream(link, stream, { signal, windowMessagesMax: 2 })) {
      if (head.kind === "data") sequences.push(head.sequence);
      if (sequences.length === 2 && halted++ === 0) {
        await server.halt("SIGKILL");
        await server.start();
      }
    }
    expect(halted).toBe(1);
    expect(sequences.length).toBeGreaterThan(4);
    expect(sequences).toEqual(sequences.map((_, at) => at));
    expect(output.messages).toBeGreaterThan(sequences.length);
  });

  async function readAll(winner: ReturnType<typeof winnerOf>, due: string): Promise<void> {
    await connection.run(`CREATE TABLE got AS FROM ${due} LIMIT 0`);
    for (let group = 0; group < 4; group++) {
      const request = { plan, route, winners: [winner], group, table: "g", signal };
      await io.read(connection, request);
      await connection.run("INSERT INTO got FROM g; DROP TABLE g");
    }
    expect(await differences(connection, due, "got")).toBe("0");
    expect(await scalar(connection, "SELECT count(*) FROM got")).toBe("600000");
  }
});

async function messagesOf(stream: string): Promise<number> {
  return (await admin.usage()).find((entry) => entry.stream === stream)?.messages ?? 0;
}
