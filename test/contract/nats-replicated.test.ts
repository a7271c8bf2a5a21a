// Journal and registry with three copies on a cluster of three servers. Needs nats-server 2.10.23 or newer; where only an
// older one is to be had, what is tested is that copies are refused, and the output says so.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectNats, type NatsLink, versionAtLeast } from "../../shared/adapters/nats.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { openRegistry } from "../../shared/adapters/nats-registry.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { freePort, type NatsFixture, startNats } from "./nats-fixture.ts";

const servers: NatsFixture[] = [];
let link: NatsLink;

beforeAll(async () => {
  const binary = newServer();
  if (binary === undefined) {
    console.warn("NO nats-server 2.10.23+ HERE: replicated mode is NOT tested, only its refusal");
    servers.push(await startNats());
  } else {
    const routes = [await freePort(), await freePort(), await freePort()];
    const all = routes.map((port) => `nats://127.0.0.1:${port}`).join(",");
    for (const [index, port] of routes.entries()) {
      const cluster = ["--cluster_name", "three", "--cluster", `nats://127.0.0.1:${port}`];
      const extra = [...cluster, "--routes", all, "--server_name", `n${index}`];
      servers.push(await startNats({ binary, extra }));
    }
  }
  const urls = servers.map((server) => server.url);
  link = await connectNats({ servers: urls, name: "replicated", log: quietLog() });
});
afterAll(async () => {
  await link?.close();
  for (const server of servers) await server.stop();
});

function newServer(): string | undefined {
  const script = fileURLToPath(new URL("../../scripts/nats-server", import.meta.url));
  const args = ["--at-least", "2.10.23", "--offline"];
  try {
    return execFileSync(script, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

/** Elections take a moment: whatever is `unavailable` is tried again. */
async function patiently<T>(action: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await action();
    } catch (error) {
      const isWaiting = error instanceof DaymillError && error.failure.code === "unavailable";
      if (!isWaiting || tries >= 60) throw error;
      await new Promise((resume) => setTimeout(resume, 500));
    }
  }
}

test("a number of copies other than the journal has is told, not ignored", async () => {
  const one = { cluster: "copies", replicas: 1 };
  await patiently(() => openJournal(link, one));
  if (!versionAtLeast(link.serverVersion(), "2.10.23")) return;
  const again = patiently(() => openJournal(link, { ...one, replicas: 3 }));
  await expect(again).rejects.toThrow("has 1 replicas, --replicas says 3");
}, 60_000);

test("three copies outlive the loss of one server, or are refused on an old one", async () => {
  const options = { cluster: "replicated", replicas: 3 };
  if (!versionAtLeast(link.serverVersion(), "2.10.23")) {
    await expect(openJournal(link, options)).rejects.toThrow("needs nats-server 2.10.23 or newer");
    await expect(openRegistry(link, options)).rejects.toThrow("or use --replicas 1");
    return;
  }
  const journal = await patiently(() => openJournal(link, options));
  const registry = await patiently(() => openRegistry(link, options));
  expect(await patiently(() => registry.takeEpoch(1, "c1", "127.0.0.1:1"))).toBe(true);
  for (let i = 0; i < 10; i++) await patiently(() => journal.append(i, `record ${i + 1}`));

  await servers[0]?.halt();
  const last = await patiently(() => journal.lastSequence());
  expect(last).toBe(10);
  expect(await patiently(() => journal.append(last, "after the loss"))).toBe(11);
  expect(await patiently(() => registry.takeEpoch(1, "c2", "127.0.0.1:2"))).toBe(false);
  expect(await patiently(() => registry.takeEpoch(2, "c2", "127.0.0.1:2"))).toBe(true);
  expect(await patiently(() => registry.highestEpoch())).toBe(2);
  const texts = await patiently(async () => {
    const read: string[] = [];
    for await (const record of journal.read(10)) read.push(record.text);
    return read;
  });
  expect(texts).toEqual(["record 10", "after the loss"]);
  await registry.close();
}, 120_000);
