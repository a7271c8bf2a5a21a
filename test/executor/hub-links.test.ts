/** Links to leaders that take nothing, and a registry that is away at first: what is told of them. */
import { expect, test } from "vitest";
import type { Message } from "../../executor/core/protocol.ts";
import { HubLinks } from "../../executor/shell/hub-links.ts";
import { LeaderWatch } from "../../executor/shell/leader-watch.ts";
import { createServer, executorHubService } from "../../shared/adapters/grpc.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { memoryNats, memoryRegistry } from "../fakes/memory-nats.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { until } from "./fake-hub.ts";
import { identity } from "./script.ts";

const cleanups = cleanupsOfEachTest();

test("a leader that takes no messages is left once too many wait", async () => {
  let attached = 0;
  // It never listens: what is sent waits on the way.
  const service = executorHubService({
    attach: () => {
      attached += 1;
    },
  });
  const server = await createServer({
    services: [service],
    address: "127.0.0.1:0",
    log: quietLog(),
  });
  cleanups.push(() => server.stop());
  const posted: Message[] = [];
  const links = new HubLinks((message) => void posted.push(message));
  cleanups.push(() => links.closeAll());
  const hello = { ...identity, duckdbVersion: "v1", runningAttempts: [], highestEpoch: 0 };
  links.open(7, server.address, hello);
  await until("the stream", () => attached === 1);
  const reason = "x".repeat(32 * 1024);
  for (let sent = 0; sent < 5_000 && posted.length === 0; sent++) {
    links.send(7, { kind: "draining", reason });
    if (sent % 100 === 0) await new Promise((resume) => setImmediate(resume));
  }
  links.send(7, { kind: "draining", reason: "" });
  const why = `${limits.attachBacklogMessagesMax} messages wait and none is taken`;
  expect(posted).toEqual([{ kind: "linkLost", link: 7, reason: why }]);
});

test("a watch on a registry that is away is tried again until it stands", async () => {
  const registry = memoryRegistry(memoryNats());
  let tries = 0;
  const away: typeof registry.watchLeader = async (heard) => {
    tries += 1;
    if (tries === 1) throw fail("unavailable", "NATS is away");
    return await registry.watchLeader(heard);
  };
  const posted: Message[] = [];
  const watch = new LeaderWatch(
    { ...registry, watchLeader: away },
    (message) => void posted.push(message),
    quietLog(),
  );
  cleanups.push(() => watch.stop());
  watch.start();
  await until("a second try", () => tries === 2);
  const hint = { epoch: 3, coordinator: "c", address: "127.0.0.1:7400" };
  await registry.renew({ ...hint, beat: 1 });
  expect(posted).toEqual([{ kind: "leaderHeard", ...hint }]);
  watch.stop();
  await registry.renew({ ...hint, beat: 2 });
  expect(posted).toHaveLength(1);
});
