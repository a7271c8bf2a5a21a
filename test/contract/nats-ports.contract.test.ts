// One suite per port, on the real adapter over a real nats-server and on the memory form: fakes can't lie.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectNats, type NatsLink } from "../../shared/adapters/nats.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { openRegistry } from "../../shared/adapters/nats-registry.ts";
import type { Journal, JournalRecord, LeaderHint, Registry } from "../../shared/ports.ts";
import { memoryJournal, memoryNats, memoryRegistry } from "../fakes/memory-nats.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { eventually } from "../kit/eventually.ts";
import { codeOf } from "../kit/failures.ts";
import { type NatsFixture, startNats } from "./nats-fixture.ts";

let server: NatsFixture;
let link: NatsLink;
let clusters = 0;

beforeAll(async () => {
  server = await startNats();
  link = await connectNats({ servers: [server.url], name: "contract", log: quietLog() });
});
afterAll(async () => {
  await link?.close();
  await server?.stop();
});

async function all(journal: Journal, from: number): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for await (const record of journal.read(from)) records.push(record);
  return records;
}

type Opener<T> = () => Promise<{ one: T; other: T }>;

const journals: Record<string, Opener<Journal>> = {
  "JetStream journal": async () => {
    const options = { cluster: `journal${++clusters}`, replicas: 1 };
    return { one: await openJournal(link, options), other: await openJournal(link, options) };
  },
  "memory journal": async () => {
    const nats = memoryNats();
    return { one: memoryJournal(nats), other: memoryJournal(nats) };
  },
};

describe.each(Object.entries(journals))("%s", (_name, open) => {
  test("starts empty and counts from 1", async () => {
    const { one } = await open();
    expect(await one.lastSequence()).toBe(0);
    expect(await all(one, 1)).toEqual([]);
    expect(await one.append(0, "a")).toBe(1);
    expect(await one.append(1, "b")).toBe(2);
    expect(await one.lastSequence()).toBe(2);
  });

  test("gives the records back in order, from any place", async () => {
    const { one, other } = await open();
    for (let i = 0; i < 100; i++) await one.append(i, `record ${i + 1}`);
    const records = await all(other, 1);
    expect(records.length).toBe(100);
    expect(records[99]).toEqual({ sequence: 100, text: "record 100" });
    expect((await all(other, 97)).map((r) => r.sequence)).toEqual([97, 98, 99, 100]);
    expect(await all(other, 101)).toEqual([]);
  });

  test("refuses an append that does not follow the last record, and stays as it was", async () => {
    const { one, other } = await open();
    await one.append(0, "mine");
    expect(await codeOf(other.append(0, "too low"))).toBe("journalConflict");
    expect(await codeOf(other.append(7, "too high"))).toBe("journalConflict");
    expect((await all(one, 1)).map((r) => r.text)).toEqual(["mine"]);
  });

  test("of many appends after one record exactly one wins", async () => {
    const { one, other } = await open();
    const tries = Array.from({ length: 20 }, (_, i) =>
      codeOf((i % 2 ? one : other).append(0, `writer ${i}`)),
    );
    const outcomes = await Promise.all(tries);
    expect(outcomes.filter((outcome) => outcome === "no error").length).toBe(1);
    expect(await one.lastSequence()).toBe(1);
  });

  test("trimming keeps the numbering", async () => {
    const { one, other } = await open();
    for (let i = 0; i < 5; i++) await one.append(i, `r${i + 1}`);
    await one.trim(3);
    expect((await all(other, 1)).map((r) => r.text)).toEqual(["r4", "r5"]);
    await one.trim(5);
    expect(await all(other, 1)).toEqual([]);
    expect(await other.lastSequence()).toBe(5);
    expect(await other.append(5, "r6")).toBe(6);
  });
});

const registries: Record<string, Opener<Registry>> = {
  "NATS registry": async () => {
    const options = { cluster: `registry${++clusters}`, replicas: 1 };
    return { one: await openRegistry(link, options), other: await openRegistry(link, options) };
  },
  "memory registry": async () => {
    const nats = memoryNats();
    return { one: memoryRegistry(nats), other: memoryRegistry(nats) };
  },
};

const hint = (epoch: number, beat: number): LeaderHint => ({
  epoch,
  coordinator: `c${epoch}`,
  address: `127.0.0.1:${7400 + epoch}`,
  beat,
});

describe.each(Object.entries(registries))("%s", (_name, open) => {
  test("an epoch is taken once, by whoever is first", async () => {
    const { one, other } = await open();
    expect(await one.highestEpoch()).toBe(0);
    const tries = Array.from({ length: 12 }, (_, i) =>
      (i % 2 ? one : other).takeEpoch(1, `c${i}`, "127.0.0.1:1"),
    );
    expect((await Promise.all(tries)).filter(Boolean).length).toBe(1);
    expect(await one.takeEpoch(1, "c1", "127.0.0.1:1")).toBe(false);
    expect(await other.takeEpoch(12, "c2", "127.0.0.1:2")).toBe(true);
    expect(await one.highestEpoch()).toBe(12);
    await one.close();
    await other.close();
  });

  test("tells who leads, at once and after each renewal", async () => {
    const { one, other } = await open();
    expect(await other.leader()).toBeUndefined();
    await one.renew(hint(1, 1));
    const heard: LeaderHint[] = [];
    const stop = await other.watchLeader((one) => void heard.push(one));
    await eventually(() => heard.length >= 1);
    await one.renew(hint(1, 2));
    await one.renew(hint(2, 1));
    await eventually(() => heard.at(-1)?.epoch === 2);
    expect(heard[0]).toEqual(hint(1, 1));
    expect(await other.leader()).toEqual(hint(2, 1));
    stop();
    await one.renew(hint(2, 2));
    expect(heard.at(-1)).toEqual(hint(2, 1));
    await one.close();
    await other.close();
  });
});
