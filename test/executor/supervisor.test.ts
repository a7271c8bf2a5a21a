/**
 * The supervisor with real worker processes (scripted ones) and a real gRPC hub: what the core decides does happen
 * to processes and sockets.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type RunningExecutor, startExecutor } from "../../executor/shell/executor.ts";
import { systemClock } from "../../shared/adapters/system.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { memoryNats, memoryRegistry } from "../fakes/memory-nats.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { type FakeHub, lives, reportOn, startHub, until } from "./fake-hub.ts";
import { identity } from "./script.ts";

const program = fileURLToPath(new URL("./scripted-worker.mjs", import.meta.url));
const cleanups = cleanupsOfEachTest();

interface Bench {
  readonly executor: RunningExecutor;
  readonly baseDir: string;
  readonly readies: number[];
  readonly lines: KeptLine[];
  /** Makes a hub the leader in the registry. */
  lead(hub: FakeHub): Promise<void>;
}

function bench(slots: number, baseDir = mkdtempSync(join(tmpdir(), "daymill-supervisor-"))): Bench {
  const nats = memoryNats();
  const registry = memoryRegistry(nats);
  const readies: number[] = [];
  const lines: KeptLine[] = [];
  const executor = startExecutor({
    identity: { ...identity, slots },
    registry,
    clock: systemClock,
    log: quietLog(lines),
    workers: {
      program,
      baseDir,
      config: {
        executor: "e1",
        servers: ["nats://127.0.0.1:1"],
        root: baseDir,
        memoryBytes: 1e8,
        threads: 1,
        logLevel: "error",
      },
    },
    ready: () => readies.push(1),
  });
  cleanups.push(async () => {
    executor.stop();
    await executor.done;
    rmSync(baseDir, { recursive: true, force: true });
  });
  const lead = (hub: FakeHub) =>
    registry.renew({ epoch: hub.epoch, coordinator: "c", address: hub.address, beat: hub.epoch });
  return { executor, baseDir, readies, lines, lead };
}

async function hubOf(epoch: number, acks = true): Promise<FakeHub> {
  const hub = await startHub({ epoch, acks });
  cleanups.push(() => hub.stop());
  return hub;
}

/** Process ids of the workers as the hub hears them, when there are `count`. */
function pidsOf(hub: FakeHub, count: number): Promise<readonly number[]> {
  return until(`${count} workers`, () => {
    const pids = hub.heartbeats.at(-1)?.workerPids ?? [];
    return pids.length === count && pids;
  });
}

test("attaches, runs work in a process with a clean environment, tells progress", async () => {
  const { lead, readies } = bench(1);
  const hub = await hubOf(1);
  await lead(hub);
  await until("a hello", () => hub.hellos[0]);
  expect(hub.hellos[0]).toMatchObject({
    executorId: "e1",
    incarnation: 77,
    slots: 1,
    duckdbVersion: "v0.0.0-scripted",
  });
  hub.run("a1", { do: "peek" });
  const outcome = await reportOn(hub, "a1");
  const seen = JSON.parse((outcome.kind === "done" && outcome.checkValue) || "{}");
  expect(seen).toMatchObject({
    pool: String(limits.workerPoolThreads),
    inOwnFolder: 1,
  });
  expect(seen.names.split(" ")).not.toContain("PATH");
  expect(seen).toMatchObject({ zone: "UTC", language: "C.UTF-8", isHomeOwn: true });
  hub.run("a2", { do: "wait" });
  await until("progress", () =>
    hub.heartbeats.some(
      (beat) => beat.running[0]?.attemptId === "a2" && beat.running[0].rows === 5,
    ),
  );
  expect(hub.heartbeats.at(-1)?.peakMemoryBytes).toBe(2000);
  expect(readies).toEqual([1]);
});

test("a killed worker fails its attempt with the signal named; the next one runs in its slot", async () => {
  const { lead } = bench(1);
  const hub = await hubOf(1);
  await lead(hub);
  const [before] = await pidsOf(hub, 1);
  hub.run("a1", { do: "wait" });
  await until("a1 to run", () => hub.heartbeats.at(-1)?.running.length === 1);
  process.kill(before ?? 0, "SIGKILL");
  expect(await reportOn(hub, "a1")).toMatchObject({
    kind: "failed",
    failure: { code: "workerLost", detail: { exit: "signal SIGKILL", executor: "e1" } },
  });
  hub.run("a2", { do: "finish" });
  expect(await reportOn(hub, "a2")).toMatchObject({ kind: "done" });
  const [after] = await pidsOf(hub, 1);
  expect(after).not.toBe(before);
});

test("a cancelled attempt ends by itself, or its worker is killed and replaced", async () => {
  const { lead } = bench(2);
  const hub = await hubOf(1);
  await lead(hub);
  const before = await pidsOf(hub, 2);
  hub.run("polite", { do: "wait" });
  hub.run("deaf", { do: "ignore" });
  await until("both to run", () => hub.heartbeats.at(-1)?.running.length === 2);
  hub.send({ cancelTask: { attemptId: "polite", reason: "test" } });
  hub.send({ cancelTask: { attemptId: "deaf", reason: "test" } });
  expect(await reportOn(hub, "polite")).toMatchObject({ failure: { code: "cancelled" } });
  expect(await reportOn(hub, "deaf")).toMatchObject({ failure: { code: "cancelled" } });
  const after = await until("a fresh worker", () => {
    const pids = hub.heartbeats.at(-1)?.workerPids ?? [];
    return pids.length === 2 && pids.some((pid) => !before.includes(pid)) && pids;
  });
  expect(after.filter((pid) => before.includes(pid))).toHaveLength(1);
});

test("a new leader: attempts run on, are listed, and their reports go to it", async () => {
  const { lead, readies } = bench(2);
  const first = await hubOf(3, false);
  await lead(first);
  await pidsOf(first, 2);
  first.run("slow", { do: "wait" });
  first.run("quick", { do: "finish" });
  await reportOn(first, "quick");
  await first.stop();
  const second = await hubOf(4);
  await lead(second);
  const hello = await until("a hello", () => second.hellos[0]);
  expect(hello.runningAttempts).toEqual(["slow", "quick"]);
  expect(hello.highestEpoch).toBe(3);
  expect(await reportOn(second, "quick")).toMatchObject({ kind: "done" });
  second.send({ cancelTask: { attemptId: "slow", reason: "not known here" } });
  expect(await reportOn(second, "slow")).toMatchObject({ failure: { code: "cancelled" } });
  expect(readies).toEqual([1]);
});

test("the same leader restarted at its address is found again without a new hint", async () => {
  const { lead } = bench(1);
  const first = await hubOf(1, false);
  await lead(first);
  await pidsOf(first, 1);
  first.run("a1", { do: "finish" });
  await reportOn(first, "a1");
  await first.stop();
  const again = await startHub({ epoch: 1, acks: true, address: first.address });
  cleanups.push(() => again.stop());
  expect(await reportOn(again, "a1")).toMatchObject({ kind: "done" });
});

test("draining: the leader is told, work is handed back, workers and folders are gone", async () => {
  const { lead, executor, baseDir } = bench(2);
  const hub = await hubOf(1);
  await lead(hub);
  const pids = await pidsOf(hub, 2);
  hub.run("a1", { do: "wait" });
  await until("a1 to run", () => hub.heartbeats.at(-1)?.running.length === 1);
  expect(readdirSync(baseDir)).toHaveLength(2);
  executor.drain("SIGTERM received", 100);
  expect(await reportOn(hub, "a1")).toMatchObject({ failure: { code: "drained" } });
  expect(await executor.done).toEqual({ code: 0, reason: "drained: SIGTERM received" });
  expect(hub.drains).toEqual(["SIGTERM received"]);
  expect(pids.filter(lives)).toEqual([]);
  expect(readdirSync(baseDir)).toEqual([]);
  await until("the link to end", () => hub.attached() === 0);
});

test("workers that end at their start make the executor give up, with the way they ended", async () => {
  const baseDir = mkdtempSync(join(tmpdir(), "daymill-supervisor-"));
  cleanups.push(() => rmSync(baseDir, { recursive: true, force: true }));
  const broken = join(baseDir, "broken.mjs");
  writeFileSync(broken, "process.exit(3);");
  const executor = startExecutor({
    identity: { ...identity, slots: 1 },
    registry: memoryRegistry(memoryNats()),
    clock: systemClock,
    log: quietLog(),
    workers: {
      program: broken,
      baseDir,
      config: {
        executor: "e1",
        servers: [],
        root: baseDir,
        memoryBytes: 1e8,
        threads: 1,
        logLevel: "error",
      },
    },
    ready: () => undefined,
  });
  const end = await executor.done;
  expect(end.code).toBe(70);
  expect(end.reason).toContain("exit code 3");
  expect(readdirSync(baseDir)).toEqual(["broken.mjs"]);
});

test("an executor that gives up before its start is over leaves no timer running", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((one) => one === "Timeout").length;
  const before = timers();
  const baseDir = mkdtempSync(join(tmpdir(), "daymill-supervisor-"));
  for (let slot = 0; slot < limits.workerStartsFailedMax; slot++) {
    writeFileSync(join(baseDir, `slot-${slot}-${slot + 1}`), "in the way of the worker's folder");
  }
  const { executor } = bench(limits.workerStartsFailedMax, baseDir);
  const { code, reason } = await executor.done;
  expect(code).toBe(70);
  expect(reason).toContain("EEXIST");
  expect(timers()).toBe(before);
});

test("an address that cannot be dialled is no more than a failed try", async () => {
  const { lead, lines } = bench(1);
  const hub = await hubOf(2);
  await lead({ ...hub, address: "", epoch: 1 });
  await until("the failed try", () =>
    lines.some((line) => line.message.includes("cannot be dialled")),
  );
  await lead(hub);
  expect(await until("a hello", () => hub.hellos[0])).toMatchObject({ executorId: "e1" });
});
