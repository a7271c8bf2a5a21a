/**
 * A run while the cluster changes under it: the leader is killed, an executor joins, one drains, one is killed.
 * Each time the day commits once, equal to plain DuckDB, and no committed task runs again.
 */
import { afterEach, expect, test } from "vitest";
import { generate } from "../../scripts/generate/generate.ts";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import {
  differences,
  exampleJob,
  runDay,
  startTestCluster,
  type TestCluster,
  taskCounts,
} from "./cluster-fixture.ts";

const day = "2026-01-15";
let it: TestCluster | undefined;

afterEach(async () => {
  await it?.stop();
  it = undefined;
}, 60_000);

async function clusterWithDay(options: { executors: number; rows: number }) {
  it = await startTestCluster({ executors: options.executors, slots: 1 });
  await generate({ root: it.root, day, rows: options.rows, seed: 7 });
  const job = exampleJob(it.work, "job", (yaml) =>
    yaml.replace("split_bytes: 64MiB", "split_bytes: 512KiB"),
  );
  return { it, job };
}

/** Runs `act` once, when the scans are between a quarter and the end. */
function onceMidMap(act: (run: RunStatus) => void): (run: RunStatus) => void {
  let acted = false;
  return (run) => {
    const scans = taskCounts(run, "scan");
    if (acted || scans.tasks === 0 || scans.done * 4 < scans.tasks || scans.done === scans.tasks)
      return;
    acted = true;
    act(run);
  };
}

test("the leader is killed mid-map: the standby goes on where it was", async () => {
  const { it, job } = await clusterWithDay({ executors: 2, rows: 150_000 });
  let doneBefore = 0;
  let killed = 0;
  const leader = (await it.client.leader()).address;
  const pid = it.cluster.coordinators.find((coordinator) => coordinator.address === leader)?.pid;
  expect(pid).toBeDefined();

  const run = await runDay(it, job, day, {
    watch: onceMidMap((status) => {
      doneBefore = taskCounts(status, "scan").done;
      it.cluster.kill(Number(pid), "SIGKILL");
      killed += 1;
    }),
  });

  expect(killed, "the fault fired").toBe(1);
  expect(doneBefore).toBeGreaterThan(0);
  expect(run.failure).toBeFalsy();
  expect(run.state).toBe("committed");
  expect(run.revision).toBe(1);
  expect((await it.client.leader()).address).not.toBe(leader);
  // Each task has exactly one committed attempt: what was done before the kill was not done again.
  const committed = Object.values(run.committedBy).reduce((total, count) => total + count, 0);
  const all = taskCounts(run, "");
  expect(committed).toBe(all.tasks);
  expect(await differences(it, job, day)).toEqual([]);
}, 240_000);

test("executors join, drain and die while a run is under way", async () => {
  const { it, job } = await clusterWithDay({ executors: 2, rows: 200_000 });
  const [first, second] = it.cluster.executors;
  let fired = 0;
  let joined: Promise<{ readonly id: string }> | undefined;

  const run = await runDay(it, job, day, {
    watch: onceMidMap(() => {
      joined = it.cluster.addExecutor();
      it.cluster.kill(first?.pid ?? 0, "SIGTERM");
      it.cluster.kill(second?.pid ?? 0, "SIGKILL");
      fired += 1;
    }),
  });

  expect(fired, "the faults fired").toBe(1);
  const newcomer = (await joined)?.id ?? "";
  expect(run.failure).toBeFalsy();
  expect(run.state).toBe("committed");
  expect(run.committedBy[newcomer] ?? 0).toBeGreaterThan(0);
  expect(await differences(it, job, day)).toEqual([]);
  const committed = Object.values(run.committedBy).reduce((total, count) => total + count, 0);
  expect(committed).toBe(taskCounts(run, "").tasks);
}, 240_000);
