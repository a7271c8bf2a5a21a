/**
 * Everybody who works dies at once, or the leader sleeps through its lease: the day goes on where it was, and nothing
 * is done or committed twice. Real processes; needs ./scripts/build.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { DaymillClient } from "../../client/client.ts";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { startTestCluster, type TestCluster, taskCounts } from "./cluster-fixture.ts";
import { troubledDay } from "./troubled-day.ts";

const patienceMs = 240_000;
const day = "2026-01-15";
const closers = cleanupsOfEachTest(patienceMs);

async function start(): Promise<TestCluster> {
  const cluster = await startTestCluster({
    executors: 2,
    slots: 1,
    memoryBytes: 256 * 1024 * 1024,
  });
  closers.push(() => cluster.stop());
  return cluster;
}

function clientOf(coordinators: readonly string[]): DaymillClient {
  const client = new DaymillClient({ coordinators, deadlineMs: 60_000 });
  closers.push(() => client.close());
  return client;
}

function committed(run: RunStatus, executors: readonly string[]): number {
  return executors.reduce((sum, id) => sum + (run.committedBy[id] ?? 0), 0);
}

test(
  "every coordinator and every executor is killed at once: the day goes on from the journal",
  async () => {
    const cluster = await start();
    const { cluster: local } = cluster;
    const dead = local.executors.map(({ id }) => id);
    const { before, after } = await troubledDay(cluster, day, async () => {
      const everybody = [...local.coordinators, ...local.executors];
      for (const { pid } of everybody) local.kill(pid, "SIGKILL");
      for (const { pid } of everybody) expect(await local.ended(pid, 20_000)).toBe(true);
      const [first, second] = await Promise.all([local.addCoordinator(), local.addCoordinator()]);
      await Promise.all([local.addExecutor(), local.addExecutor()]);
      return clientOf([first.address, second.address]);
    });
    // What the dead had committed stays theirs: done again, it would be somebody else's.
    expect(committed(before, dead)).toBeGreaterThan(0);
    expect(committed(after, dead)).toBeGreaterThanOrEqual(committed(before, dead));
    const all = Object.keys(after.committedBy);
    const tasks = taskCounts(after, "");
    expect(committed(after, all)).toBe(tasks.tasks);
    expect(tasks.reused).toBe(0);
    // Only what was under way was lost with its executor: at most one attempt a slot.
    expect(tasks.failedAttempts).toBeLessThanOrEqual(2);
    expect(committed(after, all) - committed(after, dead)).toBeGreaterThan(0);
  },
  patienceMs,
);

test(
  "the leader sleeps past its lease and wakes up: it stands by, and the day is committed once",
  async () => {
    const cluster = await start();
    const { cluster: local, client, root } = cluster;
    const { address: asleep } = await client.leader();
    const leader = local.coordinators.find(({ address }) => address === asleep);
    const standby = local.coordinators.find(({ address }) => address !== asleep);
    const other = clientOf([standby?.address ?? ""]);
    const { before, after } = await troubledDay(cluster, day, async () => {
      local.kill(leader?.pid ?? 0, "SIGSTOP");
      const epoch = (await other.leader()).stamp?.epoch ?? 0;
      expect(epoch).toBeGreaterThan(1);
      const runId = `ipdr-daily.${day}.r1`;
      const done = async () => taskCounts(await other.run(runId), "").done;
      const doneAtFirst = await done();
      while ((await done()) <= doneAtFirst) await pause(100);
      local.kill(leader?.pid ?? 0, "SIGCONT");
      return other;
    });
    expect((await client.status(asleep)).role).toBe("standby");
    expect((await client.status(asleep)).leader).toBe(standby?.address);
    expect(readdirSync(join(root, "manifests/ipdr-daily", day))).toEqual(["r1.json"]);
    const all = Object.keys(after.committedBy);
    expect(committed(after, all)).toBe(taskCounts(after, "").tasks);
    for (const id of Object.keys(before.committedBy)) {
      expect(after.committedBy[id]).toBeGreaterThanOrEqual(before.committedBy[id] ?? 0);
    }
  },
  patienceMs,
);
