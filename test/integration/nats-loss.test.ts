/**
 * NATS loses what it held, a part or all of it, in the middle of a day: done days stay done, promised ones are made,
 * and every dataset equals plain DuckDB's answer. Real processes, a real nats-server; needs ./scripts/build.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectNats } from "../../shared/adapters/nats.ts";
import { journalStream, registryBucket } from "../../shared/adapters/nats-names.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { startTestCluster, type TestCluster, taskCounts } from "./cluster-fixture.ts";
import { troubledDay } from "./troubled-day.ts";

const patienceMs = 240_000;
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster({ executors: 2, slots: 1, memoryBytes: 256 * 1024 * 1024 });
}, patienceMs);

afterAll(async () => {
  await cluster.stop();
}, patienceMs);

/** Something done to JetStream behind the cluster's back. */
async function toJetStream(act: (manager: JetStreamManager) => Promise<unknown>) {
  const { natsUrl } = cluster.cluster;
  const link = await connectNats({ servers: [natsUrl], name: "a test", log: quietLog() });
  try {
    await act(await jetstreamManager(link.connection));
    return undefined;
  } finally {
    await link.close();
  }
}

async function exchangeStreams(manager: JetStreamManager): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const name of manager.streams.names("x.>")) names.push(name);
  return names;
}

/** nats-server dies, something happens without it, it comes back. */
async function withoutNats(act: () => Promise<void> | void): Promise<undefined> {
  const { cluster: local } = cluster;
  const pid = local.processes().find(({ name }) => name === "nats-server")?.pid ?? 0;
  expect(pid).toBeGreaterThan(0);
  local.kill(pid, "SIGKILL");
  expect(await local.ended(pid, 20_000)).toBe(true);
  await act();
  await local.restartNats();
  return undefined;
}

test(
  "the journal's stream is deleted: the run starts again and takes the scans that lie in the exchange",
  async () => {
    const { before, after } = await troubledDay(cluster, "2026-01-10", () =>
      toJetStream(async (manager) => {
        expect(await manager.streams.delete(journalStream("daymill"))).toBe(true);
      }),
    );
    // Whatever was done by then, and perhaps what ended just afterwards.
    const { done } = taskCounts(before, "scan");
    const { tasks, reused } = taskCounts(after, "scan");
    expect(reused).toBeGreaterThanOrEqual(done);
    expect(tasks).toBeGreaterThan(done);
  },
  patienceMs,
);

test(
  "the registry's bucket is deleted: nobody has to know",
  async () => {
    await troubledDay(cluster, "2026-01-11", () =>
      toJetStream(async (manager) => {
        expect(await manager.streams.delete(`KV_${registryBucket("daymill")}`)).toBe(true);
      }),
    );
  },
  patienceMs,
);

test(
  "every exchange stream is deleted: their rows are made again",
  async () => {
    await troubledDay(cluster, "2026-01-12", () =>
      toJetStream(async (manager) => {
        const streams = await exchangeStreams(manager);
        expect(streams.length).toBeGreaterThan(0);
        for (const stream of streams) await manager.streams.delete(stream);
      }),
    );
  },
  patienceMs,
);

test(
  "nats-server is away for 20 seconds: work pauses and goes on",
  async () => {
    await troubledDay(cluster, "2026-01-13", () => withoutNats(() => pause(20_000)));
  },
  patienceMs,
);

test(
  "NATS loses everything: done days stay done, the job is known, the running day is made again",
  async () => {
    await troubledDay(cluster, "2026-01-14", () =>
      withoutNats(() => rmSync(join(cluster.work, "nats"), { recursive: true })),
    );
    const again = cluster.client.submit({ job: "ipdr-daily" }, "2026-01-10");
    expect((await again.then(() => undefined, fromUnknown))?.code).toBe("conflict");
  },
  patienceMs,
);
