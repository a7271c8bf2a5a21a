// A nats-server without room: what is kept free for journal and registry lets them go on, and comes back with room.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JetStreamClient, jetstream } from "@nats-io/jetstream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectNats, type NatsLink } from "../../shared/adapters/nats.ts";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import { createPublisher } from "../../shared/adapters/nats-exchange-publish.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { openRegistry } from "../../shared/adapters/nats-registry.ts";
import {
  journalWithReserve,
  openReserve,
  registryWithReserve,
} from "../../shared/adapters/nats-reserve.ts";
import { exchangeStreams } from "../../shared/kernel/exchange-names.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { eventually } from "../kit/eventually.ts";
import { codeOf } from "../kit/failures.ts";
import { type NatsFixture, startNats } from "./nats-fixture.ts";

const options = { cluster: "daymill", replicas: 1 };
const MB = 1_000_000;
const roomBytes = limits.reserveBytes + 20 * MB;
const stream = "DMX_full";
const hint = { epoch: 1, coordinator: "c1", address: "127.0.0.1:7400", beat: 1 };

let folder = "";
let server: NatsFixture;
let link: NatsLink;
let js: JetStreamClient;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "daymill-nats-conf-"));
  const conf = join(folder, "nats.conf");
  await writeFile(conf, `jetstream { max_file_store: ${roomBytes} }\n`);
  server = await startNats({ extra: ["-c", conf] });
  link = await connectNats({ servers: [server.url], name: "test", log: quietLog() });
  js = jetstream(link.connection);
});
afterEach(async () => {
  await link.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Whoever writes rows writes so many bytes, or until nothing is taken any more. Gives the bytes that were. */
async function fill(most = Number.POSITIVE_INFINITY): Promise<number> {
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  await admin.ensure([stream]);
  const rows = new Uint8Array(500_000);
  for (let bytes = 0; ; bytes += rows.length) {
    if (bytes >= most) return bytes;
    const taken = await js.publish(`x.${stream}.a.data`, rows).then(
      () => true,
      () => false,
    );
    if (!taken) return bytes;
  }
}

test("at its limit a server takes nothing; what was kept free is given to whoever leads, and made again with room", async () => {
  const reserve = await openReserve(link, options);
  const plain = await openJournal(link, options);
  const journal = journalWithReserve(plain, reserve);
  const registry = registryWithReserve(await openRegistry(link, options), reserve);
  expect(await registry.takeEpoch(1, "c1", hint.address)).toBe(true);
  expect(await journal.append(0, "led")).toBe(1);
  expect(await reserve.hold()).toBe(true);
  // Rows have the room that is left, and no more.
  const taken = await fill();
  expect(taken).toBeGreaterThanOrEqual(19 * MB);
  expect(taken).toBeLessThanOrEqual(20 * MB);
  expect(await codeOf(plain.append(1, "no room"))).toBe("exchangeFull");
  // It is whole: nothing more is written, and refused.
  expect(await reserve.hold()).toBe(true);

  // All that are refused at once find room.
  const many = Array.from({ length: 5 }, () => codeOf(registry.renew(hint)));
  expect(await Promise.all(many)).toEqual(Array(5).fill("no error"));
  for (let last = 1; last < 20; last++) {
    expect(await journal.append(last, "x".repeat(limits.journalMessageBytesMax / 2))).toBe(
      last + 1,
    );
  }
  expect(await registry.takeEpoch(2, "c2", hint.address)).toBe(true);

  // Somebody else's rows take that, too: there is no room for it, nor anything left to give.
  await fill();
  expect(await reserve.hold()).toBe(false);
  expect(await codeOf(journal.append(20, "no room"))).toBe("exchangeFull");
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  await admin.drop([stream]);
  expect(await reserve.hold()).toBe(true);
  expect(await reserve.hold()).toBe(true);
  await fill();
  expect(await journal.append(20, "in what was kept")).toBe(21);
  await registry.close();
});

test("it is not made where it would take the last room itself", async () => {
  const reserve = await openReserve(link, options);
  const journal = await openJournal(link, options);
  // What is left is a little less than it takes: its last message would go over the limit, and be taken.
  expect(await fill(roomBytes - limits.reserveBytes)).toBe(20 * MB);
  expect(await reserve.hold()).toBe(false);
  expect(await journal.append(0, "there is room for this")).toBe(1);
  // Tried again at once, and from then on seldom: each try takes what room there is for a moment.
  expect(await reserve.hold()).toBe(false);
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  await admin.drop([stream]);
  expect(await reserve.hold()).toBe(false);
  await eventually(() => reserve.hold());
});

test("given away while it is being made, it is not there: whoever needed the room has it", async () => {
  const reserve = await openReserve(link, options);
  let isOver = false;
  const holding = reserve.hold().finally(() => {
    isOver = true;
  });
  let given = 0;
  while (!isOver) if (await reserve.spend()) given++;
  expect(await holding).toBe(false);
  expect(given).toBeGreaterThan(0);
  expect(await reserve.hold()).toBe(true);
});

test("rows stay out of what is given away, until it is there again; a server that never had it takes them", async () => {
  const scope = { cluster: "daymill", scope: "day", exchange: "x0", generation: 1, groups: 1 };
  const [rows = ""] = exchangeStreams(scope);
  const admin = await openExchangeAdmin(link, { replicas: 1 });
  await admin.ensure([rows]);
  const { signal } = new AbortController();
  const write = async (): Promise<string> => {
    const publisher = createPublisher(link, "a1", signal, quietLog());
    const written = publisher.data(rows, 0, "0:1", new Uint8Array(100_000));
    return codeOf(written.then(() => publisher.settled()));
  };
  expect(await write()).toBe("no error");
  const reserve = await openReserve(link, options);
  const journal = journalWithReserve(await openJournal(link, options), reserve);
  // While it is made for the first time nobody is short of room.
  const outcomes = new Set<string>();
  let isMade = false;
  const making = reserve.hold().finally(() => {
    isMade = true;
  });
  while (!isMade) outcomes.add(await write());
  expect(await making).toBe(true);
  expect([...outcomes]).toEqual(["no error"]);
  expect(await write()).toBe("no error");
  await fill();
  expect(await journal.append(0, "in what was kept")).toBe(1);
  // The server takes it again from anybody.
  expect(await codeOf(js.publish(`x.${rows}.a.data`, new Uint8Array(1)))).toBe("no error");
  expect(await write()).toBe("exchangeFull");
  await admin.drop([stream]);
  expect(await write()).toBe("exchangeFull");
  expect(await reserve.hold()).toBe(true);
  expect(await write()).toBe("no error");
});

test("an attempt that is at it when it is given away is refused a few messages later", async () => {
  const [rows = ""] = exchangeStreams({
    ...options,
    scope: "day",
    exchange: "x0",
    generation: 1,
    groups: 1,
  });
  await (await openExchangeAdmin(link, { replicas: 1 })).ensure([rows]);
  const reserve = await openReserve(link, options);
  expect(await reserve.hold()).toBe(true);
  const { signal } = new AbortController();
  const publisher = createPublisher(link, "a1", signal, quietLog());
  const message = () => publisher.data(rows, 0, "0:1", new Uint8Array(MB));
  await message();
  expect(await reserve.spend()).toBe(true);
  let more = 0;
  while ((await codeOf(message())) === "no error") more++;
  expect(more * MB).toBeLessThanOrEqual(limits.roomLookEveryBytes);
  await publisher.settled();
});

test("other refusals are not taken for a lack of room", async () => {
  const reserve = await openReserve(link, options);
  const journal = journalWithReserve(await openJournal(link, options), reserve);
  expect(await reserve.hold()).toBe(true);
  await journal.append(0, "one");
  expect(await codeOf(journal.append(0, "another's place"))).toBe("journalConflict");
  const bytes = limits.journalMessageBytesMax + 1;
  expect(await codeOf(journal.append(1, "x".repeat(bytes)))).toBe("messageTooLarge");
  expect(await reserve.spend()).toBe(true);
});
