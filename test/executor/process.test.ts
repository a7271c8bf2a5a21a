/**
 * The executor as the operating system sees it: the compiled program, real workers with a real engine, a real
 * nats-server, and a leader made by hand.
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { canRaisePriority } from "../../executor/shell/worker/own-process.ts";
import type { Lane } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { type FakeHub, lives, reportOn, until } from "./fake-hub.ts";
import { Bed, dispatch, running, workersOf } from "./program.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.open();
});
afterEach(() => bed.clear());
afterAll(() => bed.close());

/** Work that takes no input: a check's SQL over an empty table. */
function check(hub: FakeHub, attemptId: string, sql: string, lane: Lane = "live"): void {
  const work = {
    kind: "check",
    duckdb: hub.hellos.at(-1)?.duckdbVersion ?? "",
    timezone: "UTC",
    check: { name: "test", model: "m", sql },
    columns: [{ name: "a", type: "BIGINT" }],
    files: [],
  } as const;
  dispatch(hub, attemptId, work, { lane });
}

/** Takes hours, and can be interrupted. */
const endless =
  "SELECT sum(x.i * y.i % 7) FROM range(10000000) x(i), range(10000000) y(i) WHERE x.i % 3 = y.i % 5";

function workerCount(supervisor: number): number {
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, "utf8");
  return children.split(" ").filter((pid) => pid !== "").length;
}

/** Nice value of each thread of a process. */
function nicesOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  });
}

describe("a working executor", () => {
  test("finds the leader by itself, says so in one line, works at low priority", async () => {
    const hub = await bed.lead();
    const executor = bed.start();
    const pids = await workersOf(hub);
    check(hub, "a1", "SELECT 40 + 2");
    expect(await reportOn(hub, "a1")).toMatchObject({ kind: "done", checkValue: "42" });
    check(hub, "a2", "SELECT no_such_column FROM m");
    // What is wrong with a check is told; whether the day may go on is the coordinator's to say.
    expect(await reportOn(hub, "a2")).toMatchObject({
      kind: "done",
      checkFailure: { message: expect.stringContaining("no_such_column") },
    });
    expect(JSON.parse(executor.stdout())).toEqual({
      ready: true,
      role: "executor",
      id: "e1",
      pid: executor.pid,
      slots: 2,
    });
    for (const pid of pids) {
      expect(new Set(nicesOf(pid))).toEqual(new Set([limits.workerNice]));
    }
  });

  test("all threads of background work have the lowest priority, and live work never has", async () => {
    const hub = await bed.lead();
    bed.start(["--threads", "3"]);
    const before = await workersOf(hub);
    const idle = before.map((pid) => nicesOf(pid).length);
    check(hub, "back", endless, "backlog");
    check(hub, "live", endless);
    // Each engine makes two threads beside the one that asks.
    const isAtWork = () => before.every((pid, at) => nicesOf(pid).length >= (idle[at] ?? 0) + 2);
    await until("the engines' threads", isAtWork);
    const nices = () => before.map((pid) => [...new Set(nicesOf(pid))].join()).sort();
    expect(nices()).toEqual([`${limits.workerNice}`, `${limits.backlogNice}`]);
    hub.send({ cancelTask: { attemptId: "back", reason: "test" } });
    await reportOn(hub, "back");
    check(hub, "live2", "SELECT 1");
    expect(await reportOn(hub, "live2")).toMatchObject({ kind: "done", checkValue: "1" });
    const after = await workersOf(hub);
    // Without the right to raise its priority again the process makes room for a fresh one; the other one goes on.
    expect(after.filter((pid) => before.includes(pid))).toHaveLength(canRaisePriority() ? 2 : 1);
    for (const pid of after) expect(new Set(nicesOf(pid))).toEqual(new Set([limits.workerNice]));
  });

  test("a query is interrupted when its attempt is cancelled; the worker lives on", async () => {
    const hub = await bed.lead();
    bed.start();
    const before = await workersOf(hub);
    check(hub, "slow", endless);
    await running(hub, 1);
    hub.send({ cancelTask: { attemptId: "slow", reason: "test" } });
    expect(await reportOn(hub, "slow")).toMatchObject({ failure: { code: "cancelled" } });
    await running(hub, 0);
    expect(await workersOf(hub)).toEqual(before);
  });

  test("kill -9 of a worker costs its attempt only, and a new leader learns what runs", async () => {
    const first = await bed.lead(false);
    bed.start();
    const pids = await workersOf(first);
    check(first, "one", endless);
    check(first, "two", endless);
    await running(first, 2);
    process.kill(pids[0] ?? 0, "SIGKILL");
    const lost = await until("a lost attempt", () => first.reports[0]);
    expect(lost.outcome).toMatchObject({ failure: { code: "workerLost" } });
    const other = lost.attemptId === "one" ? "two" : "one";
    await first.stop();
    const second = await bed.lead();
    const hello = await until("a hello", () => second.hellos[0]);
    expect(hello).toMatchObject({ runningAttempts: [other, lost.attemptId] });
    expect(await reportOn(second, lost.attemptId)).toMatchObject(lost.outcome);
    second.send({ cancelTask: { attemptId: other, reason: "test" } });
    expect(await reportOn(second, other)).toMatchObject({ failure: { code: "cancelled" } });
  });
});

describe("finding a leader", () => {
  test("an executor that starts before its cluster exists joins when there is a leader", async () => {
    const executor = bed.start(["--cluster", "late"]);
    await until("its workers", () => workerCount(executor.pid) === 2);
    const hub = await bed.leadNew("late");
    await until("a hello", () => hub.hellos[0]);
    await until("the ready line", () => executor.stdout() !== "");
  });

  test("NATS goes and comes back: the link stays, and the next leader is heard of", async () => {
    const first = await bed.lead();
    bed.start();
    await workersOf(first);
    await bed.nats.halt();
    const beats = first.heartbeats.length;
    await until("further heartbeats", () => first.heartbeats.length > beats + 2);
    await bed.nats.start();
    const second = await bed.lead();
    expect(await until("a hello", () => second.hellos[0])).toMatchObject({ executorId: "e1" });
    expect(first.hellos).toHaveLength(1);
    check(second, "a1", "SELECT 1");
    expect(await reportOn(second, "a1")).toMatchObject({ kind: "done" });
  });
});

describe("leaving", () => {
  test("SIGTERM: work is handed back, exit code 0, no process and no file left", async () => {
    const hub = await bed.lead();
    const executor = bed.start();
    const pids = await workersOf(hub);
    check(hub, "slow", endless);
    await running(hub, 1);
    executor.child.kill("SIGTERM");
    expect(await reportOn(hub, "slow")).toMatchObject({ failure: { code: "drained" } });
    expect(await executor.ended).toBe(0);
    expect(hub.drains).toEqual(["SIGTERM received"]);
    expect(pids.filter(lives)).toEqual([]);
    expect(readdirSync(executor.workDir)).toEqual([]);
  });

  test("a second signal does not wait", async () => {
    const hub = await bed.lead();
    const executor = bed.start();
    const pids = await workersOf(hub);
    check(hub, "slow", endless);
    await running(hub, 1);
    executor.child.kill("SIGTERM");
    await until("the drain", () => hub.drains.length === 1);
    executor.child.kill("SIGINT");
    expect(await executor.ended).toBe(130);
    expect(pids.filter(lives)).toEqual([]);
  });

  test("kill -9 of the supervisor: busy workers die with it, the next start sweeps up", async () => {
    const hub = await bed.lead();
    const executor = bed.start();
    const pids = await workersOf(hub);
    check(hub, "slow", endless);
    await running(hub, 1);
    executor.child.kill("SIGKILL");
    expect(await executor.ended).toBe("SIGKILL");
    await until("the workers' end", () => pids.every((pid) => !lives(pid)), 5);
    const left = readdirSync(executor.workDir);
    expect(left).toHaveLength(1);
    const next = bed.start(["--work-dir", executor.workDir, "--id", "e2"]);
    await until("the next executor", () => next.stdout() !== "");
    const now = readdirSync(executor.workDir);
    expect(now).toHaveLength(1);
    expect(now).not.toEqual(left);
  });

  test("NATS that cannot be reached: exit code 69, the address named", async () => {
    const executor = bed.start([], "nats://127.0.0.1:1");
    expect(await executor.ended).toBe(69);
    expect(executor.stderr()).toContain("127.0.0.1:1");
    expect(executor.stdout()).toBe("");
  });
});
