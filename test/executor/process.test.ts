/**
 * The executor as the operating system sees it: the compiled program, real workers with a real engine, a real
 * nats-server, and a leader made by hand. Needs ./scripts/build.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connectNats, type NatsLink } from "../../shared/adapters/nats.ts";
import { openRegistry } from "../../shared/adapters/nats-registry.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { CheckWork, Delivery } from "../../shared/kernel/work.ts";
import type { Registry } from "../../shared/ports.ts";
import { type NatsFixture, startNats } from "../contract/nats-fixture.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { type FakeHub, lives, reportOn, startHub, until } from "./fake-hub.ts";

const dist = process.env["DAYMILL_TEST_DIST"] ?? join(projectRoot(), "dist");
const program = join(dist, "executor/main.js");

let nats: NatsFixture;
let link: NatsLink;
let registry: Registry;
let root: string;
let epoch = 0;
const cleanups: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  expect(existsSync(program), `${program} is missing: run ./scripts/build`).toBe(true);
  root = mkdtempSync(join(tmpdir(), "daymill-executor-root-"));
  nats = await startNats();
  link = await connectNats({ servers: [nats.url], name: "test", log: quietLog() });
  registry = await openRegistry(link, { cluster: "daymill", replicas: 1 });
});

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

afterAll(async () => {
  await registry?.close();
  await link?.close();
  await nats?.stop();
  rmSync(root, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly workDir: string;
  stdout(): string;
  stderr(): string;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

function start(args: readonly string[] = [], servers = nats.url): Started {
  const workDir = mkdtempSync(join(tmpdir(), "daymill-executor-work-"));
  const options = ["--nats", servers, "--root", root, "--id", "e1", "--slots", "2"];
  const memory = ["--memory", "256MiB", "--threads", "1", "--work-dir", workDir];
  const child = spawn(process.execPath, [program, ...options, ...memory, ...args], {
    cwd: projectRoot(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const texts = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    texts.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    texts.stderr += chunk;
  });
  const ended = new Promise<number | string>((resolve) =>
    child.once("exit", (code, signal) => resolve(signal ?? code ?? -1)),
  );
  cleanups.push(async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(workDir, { recursive: true, force: true });
  });
  const { stdout, stderr } = { stdout: () => texts.stdout, stderr: () => texts.stderr };
  return { child, pid: child.pid ?? 0, workDir, stdout, stderr, ended };
}

/** A new leader, heard of in the registry. */
async function lead(acks = true): Promise<FakeHub> {
  epoch += 1;
  const hub = await startHub({ epoch, acks });
  cleanups.push(() => hub.stop());
  await registry.renew({ epoch, coordinator: `c${epoch}`, address: hub.address, beat: epoch });
  return hub;
}

/** Work that takes no input: a check's SQL over an empty table. */
function check(hub: FakeHub, attemptId: string, sql: string): void {
  const work: CheckWork = {
    kind: "check",
    duckdb: hub.hellos.at(-1)?.duckdbVersion ?? "",
    timezone: "UTC",
    check: { name: "test", model: "m", sql },
    columns: [{ name: "a", type: "BIGINT" }],
    files: [],
  };
  const delivery: Delivery = {
    run: "r1",
    stage: "checks",
    task: 0,
    attemptId,
    epoch: hub.epoch,
    outputs: [],
    inputs: [],
    stagingDir: `staging/r1/0-${attemptId}`,
    lowMemory: false,
  };
  hub.run(attemptId, work, delivery);
}

/** Takes hours, and can be interrupted. */
const endless =
  "SELECT sum(x.i * y.i % 7) FROM range(10000000) x(i), range(10000000) y(i) WHERE x.i % 3 = y.i % 5";

function workersOf(hub: FakeHub): Promise<readonly number[]> {
  return until("two workers", () => {
    const pids = hub.heartbeats.at(-1)?.workerPids ?? [];
    return pids.length === 2 && pids;
  });
}

function running(hub: FakeHub, count: number): Promise<boolean> {
  return until(`${count} attempts`, () => hub.heartbeats.at(-1)?.running.length === count);
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
    const hub = await lead();
    const executor = start();
    const pids = await workersOf(hub);
    check(hub, "a1", "SELECT 40 + 2");
    expect(await reportOn(hub, "a1")).toMatchObject({ kind: "done", checkValue: "42" });
    check(hub, "a2", "SELECT no_such_column FROM m");
    expect(await reportOn(hub, "a2")).toMatchObject({ failure: { code: "sqlFailed" } });
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

  test("a query is interrupted when its attempt is cancelled; the worker lives on", async () => {
    const hub = await lead();
    start();
    const before = await workersOf(hub);
    check(hub, "slow", endless);
    await running(hub, 1);
    hub.send({ cancelTask: { attemptId: "slow", reason: "test" } });
    expect(await reportOn(hub, "slow")).toMatchObject({ failure: { code: "cancelled" } });
    await running(hub, 0);
    expect(await workersOf(hub)).toEqual(before);
  });

  test("kill -9 of a worker costs its attempt only, and a new leader learns what runs", async () => {
    const first = await lead(false);
    start();
    const pids = await workersOf(first);
    check(first, "one", endless);
    check(first, "two", endless);
    await running(first, 2);
    process.kill(pids[0] ?? 0, "SIGKILL");
    const lost = await until("a lost attempt", () => first.reports[0]);
    expect(lost.outcome).toMatchObject({ failure: { code: "workerLost" } });
    const other = lost.attemptId === "one" ? "two" : "one";
    await first.stop();
    const second = await lead();
    const hello = await until("a hello", () => second.hellos[0]);
    expect(hello).toMatchObject({ runningAttempts: [other, lost.attemptId] });
    expect(await reportOn(second, lost.attemptId)).toMatchObject(lost.outcome);
    second.send({ cancelTask: { attemptId: other, reason: "test" } });
    expect(await reportOn(second, other)).toMatchObject({ failure: { code: "cancelled" } });
  });
});

describe("leaving", () => {
  test("SIGTERM: work is handed back, exit code 0, no process and no file left", async () => {
    const hub = await lead();
    const executor = start();
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
    const hub = await lead();
    const executor = start();
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
    const hub = await lead();
    const executor = start();
    const pids = await workersOf(hub);
    check(hub, "slow", endless);
    await running(hub, 1);
    executor.child.kill("SIGKILL");
    expect(await executor.ended).toBe("SIGKILL");
    await until("the workers' end", () => pids.every((pid) => !lives(pid)), 5);
    const left = readdirSync(executor.workDir);
    expect(left).toHaveLength(1);
    const next = start(["--work-dir", executor.workDir, "--id", "e2"]);
    await until("the next executor", () => next.stdout() !== "");
    const now = readdirSync(executor.workDir);
    expect(now).toHaveLength(1);
    expect(now).not.toEqual(left);
  });

  test("NATS that cannot be reached: exit code 69, the address named", async () => {
    const executor = start([], "nats://127.0.0.1:1");
    expect(await executor.ended).toBe(69);
    expect(executor.stderr()).toContain("127.0.0.1:1");
    expect(executor.stdout()).toBe("");
  });
});
