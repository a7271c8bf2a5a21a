// NATS that is away, comes back, lost its state or is too old: what each adapter does about it.
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import {
  checkReplicas,
  connectNats,
  type NatsLink,
  natsFailure,
  versionAtLeast,
} from "../../shared/adapters/nats.ts";
import { cloudEvent, openEvents } from "../../shared/adapters/nats-events.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { checkClusterName, eventSubject } from "../../shared/adapters/nats-names.ts";
import { openRegistry } from "../../shared/adapters/nats-registry.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { LeaderHint } from "../../shared/ports.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { eventually } from "../kit/eventually.ts";
import { failureOf } from "../kit/failures.ts";
import { freePort, type NatsFixture, startNats } from "./nats-fixture.ts";

const cleanups = cleanupsOfEachTest();

async function server(): Promise<NatsFixture> {
  const started = await startNats();
  cleanups.push(() => started.stop());
  return started;
}

async function connected(url: string, lines: KeptLine[] = []): Promise<NatsLink> {
  const link = await connectNats({ servers: [url], name: "test", log: quietLog(lines) });
  cleanups.push(() => link.close());
  return link;
}

const hint: LeaderHint = { epoch: 1, coordinator: "c1", address: "127.0.0.1:7400", beat: 1 };
const options = { cluster: "daymill", replicas: 1 };

test("the server survives everybody looking into a registry that is just being made", async () => {
  const { url } = await server();
  const [maker, ...lookers] = await Promise.all([1, 2, 3, 4].map(() => connected(url)));
  if (maker === undefined) throw new Error("no link");
  let cluster = "c0";
  let isOver = false;
  let looks = 0;
  const look = async (link: NatsLink): Promise<void> => {
    while (!isOver) {
      const registry = await openRegistry(link, { cluster }).catch(() => undefined);
      await Promise.allSettled([registry?.leader(), registry?.highestEpoch()]);
      looks++;
    }
  };
  const looking = lookers.flatMap((link) => [look(link), look(link)]);
  try {
    for (let number = 1; number <= 60; number++) {
      cluster = `c${number}`;
      const registry = await openRegistry(maker, { cluster, replicas: 1 });
      await registry.renew({ ...hint, beat: number });
      expect((await registry.leader())?.beat).toBe(number);
    }
  } finally {
    isOver = true;
  }
  await Promise.all(looking);
  expect(looks).toBeGreaterThan(60);
});

describe("connecting", () => {
  test("nobody answers: unavailable, with the address and without the password", async () => {
    const port = await freePort();
    for (const secret of ["anna:geheim", "anna:geh@im/geheim", ":geheim", "geheim"]) {
      const servers = [`nats://${secret}@127.0.0.1:${port}`];
      const failure = await failureOf(
        connectNats({ servers, name: "t", log: quietLog(), waitMs: 300 }),
      );
      expect(failure.code, secret).toBe("unavailable");
      expect(failure.message, secret).toContain(`NATS at nats://127.0.0.1:${port} cannot`);
      expect(failure.message, secret).not.toContain("geheim");
    }
  });

  test("something else listens there: unavailable too, within the wait", async () => {
    const mute = createServer(() => undefined);
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => mute.close());
    const { port } = mute.address() as { port: number };
    const servers = [`127.0.0.1:${port}`];
    const failure = await failureOf(
      connectNats({ servers, name: "t", log: quietLog(), waitMs: 100 }),
    );
    expect(failure.code).toBe("unavailable");
  });

  test("a password with a bare % is told so at once, not as a server that does not answer", async () => {
    const guarded = await startNats({ extra: ["--user", "anna", "--pass", "50%"] });
    cleanups.push(() => guarded.stop());
    const at = (password: string) => guarded.url.replace("nats://", `nats://anna:${password}@`);
    const wrong = connectNats({ servers: [at("50%")], name: "t", log: quietLog(), waitMs: 1_000 });
    const failure = await failureOf(wrong);
    expect(failure).toMatchObject({ code: "badRequest" });
    expect(failure.message).toMatch(
      /^NATS at nats:\/\/127[^%]* has a % that begins no code; write it as %25$/,
    );
    expect((await connected(at("50%25"))).serverVersion()).toMatch(/^2\./);
  });

  test("a wrong password is told apart, at once", async () => {
    const guarded = await startNats({ extra: ["--user", "anna", "--pass", "ri/g@ht"] });
    cleanups.push(() => guarded.stop());
    const at = (password: string) => guarded.url.replace("nats://", `nats://anna:${password}@`);
    const failure = await failureOf(
      connectNats({ servers: [at("wrong")], name: "t", log: quietLog() }),
    );
    expect(failure.message).toContain("refused the credentials");
    const link = await connected(at("ri/g@ht"));
    expect(link.serverVersion()).toMatch(/^2\.\d+\.\d+/);
  });

  test("the server restarts: the same connection goes on, and says so in the log", async () => {
    const nats = await server();
    const lines: KeptLine[] = [];
    const link = await connected(nats.url, lines);
    const journal = await openJournal(link, options);
    await journal.append(0, "before");
    await nats.halt();
    expect((await failureOf(journal.append(1, "while it is down"))).code).toBe("unavailable");
    await nats.start();
    await eventually(async () => (await journal.lastSequence().catch(() => -1)) >= 1);
    const last = await journal.lastSequence();
    expect(await journal.append(last, "after")).toBe(last + 1);
    const messages = lines.map((line) => line.message);
    expect(messages).toContain("NATS connection lost; reconnecting");
    expect(messages).toContain("NATS connection is back");
  });
});

describe("lost state", () => {
  test("the journal's stream is gone: it counts as empty, and takes records again", async () => {
    const nats = await server();
    const link = await connected(nats.url);
    const journal = await openJournal(link, options);
    await journal.append(0, "a");
    await dropStream(link, "DM_daymill_journal");
    expect((await failureOf(journal.append(1, "b"))).code).toBe("unavailable");
    expect(await journal.lastSequence()).toBe(0);
    expect(await journal.append(0, "first again")).toBe(1);
  });

  test("the registry's bucket is gone: the next renewal makes it again, watchers hear it", async () => {
    const nats = await server();
    const link = await connected(nats.url);
    const registry = await openRegistry(link, options);
    const listener = await openRegistry(link, { cluster: "daymill" });
    const heard: number[] = [];
    const stop = await listener.watchLeader(({ beat }) => void heard.push(beat));
    await registry.renew(hint);
    await eventually(() => heard.includes(1));
    await dropStream(link, "KV_dm_daymill_registry");
    await registry.renew({ ...hint, beat: 2 });
    await eventually(() => heard.includes(2));
    expect(await registry.highestEpoch()).toBe(0);
    stop();
    await registry.close();
    await listener.close();
  });

  test("two questions of a watch meet in a pause of the server: only one new watch is made", async () => {
    const nats = await server();
    const registry = await openRegistry(await connected(nats.url), options);
    const listener = await openRegistry(await connected(nats.url), { cluster: "daymill" });
    const heard: number[] = [];
    const stop = await listener.watchLeader(({ beat }) => void heard.push(beat));
    const sleep = (ms: number) => new Promise((resume) => setTimeout(resume, ms));
    let beat = 0;
    const renewing = setInterval(() => {
      beat += 1;
      registry.renew({ ...hint, beat }).catch(() => undefined);
    }, 50);
    cleanups.push(() => clearInterval(renewing));
    // Asked 1.5 s and 2.5 s from now; the first is given up 1.5 s later.
    await sleep(limits.renewEveryMs);
    process.kill(nats.pid, "SIGSTOP");
    await sleep(2_750);
    const paused = beat;
    process.kill(nats.pid, "SIGCONT");
    await eventually(() => (heard.at(-1) ?? 0) > paused);
    await sleep(500);
    stop();
    const last = heard.length;
    await sleep(500);
    expect(heard.length).toBe(last);
    await listener.close();
    await registry.close();
  });

  test("who only looks finds nobody before a coordinator was there, and hears of the first one", async () => {
    const nats = await server();
    const link = await connected(nats.url);
    const listener = await openRegistry(link, { cluster: "daymill" });
    expect(await listener.leader()).toBeUndefined();
    const heard: LeaderHint[] = [];
    const stop = await listener.watchLeader((one) => void heard.push(one));
    const registry = await openRegistry(link, options);
    await registry.renew(hint);
    await eventually(() => heard.length > 0);
    expect(heard[0]).toEqual(hint);
    stop();
    await listener.close();
    await registry.close();
  });
});

async function dropStream(link: NatsLink, name: string): Promise<void> {
  const reply = await link.connection.request(`$JS.API.STREAM.DELETE.${name}`, "");
  expect(reply.json()).toMatchObject({ success: true });
}

describe("limits and versions", () => {
  test("a record over the limit is refused before it is sent", async () => {
    const nats = await server();
    const journal = await openJournal(await connected(nats.url), options);
    const text = "x".repeat(limits.journalMessageBytesMax + 1);
    expect((await failureOf(journal.append(0, text))).code).toBe("messageTooLarge");
    expect(await journal.append(0, text.slice(2))).toBe(1);
  });

  test("JetStream is off: unavailable, saying so", async () => {
    const nats = await server();
    const link = await connected(nats.url);
    const error = await failureOf(
      link.connection.request("$JS.API.NOTHING.HERE", "").catch((reason: unknown) => {
        throw natsFailure(reason, "look at the journal");
      }),
    );
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("JetStream (-js)");
  });

  test.each([
    ["2.9.10", "2.10.23", false],
    ["2.10.22", "2.10.23", false],
    ["2.10.23", "2.10.23", true],
    ["2.12.0-RC.1", "2.10.23", true],
    ["3.0.0", "2.10.23", true],
  ])("%s is at least %s: %s", (version, least, expected) => {
    expect(versionAtLeast(version, least)).toBe(expected);
  });

  test("replicas are refused below 2.10.23, naming version and way out", () => {
    const old = { serverVersion: () => "2.9.10", address: "nats://a:1" } as NatsLink;
    expect(() => checkReplicas(old, 1)).not.toThrow();
    expect(() => checkReplicas(old, 3)).toThrow(
      "--replicas 3 needs nats-server 2.10.23 or newer, nats://a:1 runs 2.9.10: upgrade the servers, or use --replicas 1",
    );
  });

  test.each(["Daymill", "9", "a.b", "a b", "", "a".repeat(33)])(
    "cluster name %j is refused",
    (name) => {
      expect(() => checkClusterName(name)).toThrow(DaymillError);
    },
  );
});

describe("events", () => {
  const event = {
    job: "ipdr-daily",
    day: "2026-01-15",
    kind: "run.committed",
    wallMs: Date.UTC(2026, 0, 16, 3, 4, 5),
    data: { revision: 2, datasets: ["a", "b"] },
  };

  test("anyone can subscribe; what arrives is a CloudEvent", async () => {
    const nats = await server();
    const link = await connected(nats.url);
    const listener = await connected(nats.url);
    const subscription = listener.connection.subscribe("daymill.events.ipdr-daily.>", { max: 1 });
    await listener.connection.flush();
    openEvents(link, "c1", quietLog()).publish(event);
    for await (const message of subscription) {
      expect(message.subject).toBe("daymill.events.ipdr-daily.2026-01-15.run.committed");
      expect(message.json()).toEqual({
        specversion: "1.0",
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        source: "/daymill/c1",
        type: "daymill.run.committed",
        subject: "ipdr-daily/2026-01-15",
        time: "2026-01-16T03:04:05.000Z",
        datacontenttype: "application/json",
        data: event.data,
      });
    }
  });

  test("data over the limit is left out, short members stay", () => {
    const big = { ...event, data: { revision: 2, files: ["x".repeat(limits.eventBytesMax)] } };
    const text = cloudEvent(big, "c1", "id");
    expect(text.length).toBeLessThan(1_000);
    expect(JSON.parse(text).data).toEqual({ revision: 2, omitted: "over 65536 bytes" });
  });

  test("what NATS would read as structure never comes from a name", () => {
    expect(eventSubject("a.b>*c", "", "run.done")).toBe("daymill.events.a_b__c._.run.done");
  });
});
