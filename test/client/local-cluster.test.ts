/**
 * Local processes: started, waited for, stopped in order, and none left when the launcher dies a hard death.
 * Needs ./scripts/build for the guard's test; DAYMILL_TEST_DIST names another folder of compiled files.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { startLocalCluster } from "../../client/local-cluster.ts";
import { groupLives, launch, waitUntil } from "../../client/managed-process.ts";
import { MemorySampler } from "../../client/process-memory.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import { connectNats } from "../../shared/adapters/nats.ts";
import { jetStreamFacts } from "../../shared/adapters/nats-follow.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";

const dist = process.env["DAYMILL_TEST_DIST"] ?? join(projectRoot(), "dist");
const cleanups = cleanupsOfEachTest();

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "daymill-local-"));
  cleanups.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function start(work: string, script: string) {
  return launch({
    name: "probe",
    command: process.execPath,
    args: ["-e", script],
    outFile: join(work, "probe.out"),
    logFile: join(work, "probe.log"),
  });
}

const ready = `console.log('{"ready":true,"role":"probe","port":7}');`;
const child = `require("node:child_process").spawn("sleep", ["600"]);`;
const forever = "setInterval(() => {}, 1000);";

describe("one process", () => {
  test("is ready when it says so, and ends with its children", async () => {
    const probe = await start(folder(), child + ready + forever);
    cleanups.push(() => probe.signal("SIGKILL"));
    expect(await probe.ready(20_000)).toEqual({ ready: true, role: "probe", port: 7 });
    const sampler = new MemorySampler(() => [{ name: "probe", pid: probe.pid }]);
    cleanups.push(() => sampler.stop());
    const both = () => {
      sampler.sample();
      return sampler.peaks().length === 2;
    };
    expect(await waitUntil(both, 10_000)).toBe(true);
    expect(sampler.peaks()[0]).toMatchObject({ name: "probe", pid: probe.pid });
    expect(sampler.totalPssBytes()).toBeGreaterThan(1_000_000);
    probe.signal("SIGTERM");
    expect(await probe.ended(20_000)).toBe(true);
    expect(groupLives(probe.pid)).toBe(false);
  });

  test("that ends before it is ready is an error with its last words", async () => {
    const probe = await start(folder(), 'console.error("no disk"); process.exit(69)');
    const got = await probe.ready(20_000).then(() => undefined, fromUnknown);
    expect(got?.code).toBe("unavailable");
    expect(got?.message).toMatch(/probe ended with code 69 before it was ready.*\nno disk$/);
  });

  test("that is no longer waited for once the signal says so", async () => {
    const probe = await start(folder(), forever);
    cleanups.push(() => probe.signal("SIGKILL"));
    const controller = new AbortController();
    const waiting = probe.ready(60_000, controller.signal).then(() => undefined, fromUnknown);
    controller.abort();
    expect(await waiting).toMatchObject({
      code: "cancelled",
      message: "interrupted while probe was starting",
    });
  });

  test("speaks for itself: errors before the log around them, no words of an earlier one", async () => {
    const work = folder();
    const first = await start(work, 'console.error("old news"); process.exit(1)');
    await first.ready(20_000).catch(() => undefined);
    const words =
      'console.error("{}\\nerror: port taken\\n       choose another"); process.exit(69)';
    const got = await (await start(work, words)).ready(20_000).then(() => undefined, fromUnknown);
    expect(got?.message.split("\n").slice(1)).toEqual([
      "error: port taken",
      "       choose another",
    ]);
  });

  test("that cannot be started is an error", async () => {
    const work = folder();
    const files = { outFile: join(work, "o"), logFile: join(work, "l") };
    const got = launch({ name: "nothing", command: join(work, "none"), args: [], ...files });
    await expect(got).rejects.toThrow(/nothing cannot be started/);
  });
});

test("processes end when their launcher is killed, however hard", async () => {
  const work = folder();
  const module = (path: string) => JSON.stringify(pathToFileURL(join(dist, "client", path)).href);
  const script = join(work, "launcher.mjs");
  writeFileSync(
    script,
    `import { launch } from ${module("managed-process.js")};
import { ProcessGuard } from ${module("process-guard.js")};
const guard = new ProcessGuard();
const files = { outFile: ${JSON.stringify(join(work, "o"))}, logFile: ${JSON.stringify(join(work, "l"))} };
const probe = await launch({ name: "probe", command: process.execPath, args: ["-e", ${JSON.stringify(child + ready + forever)}], ...files });
guard.watch(probe.pid);
await probe.ready(20000);
console.log(probe.pid);
${forever}`,
  );
  const launcher = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  cleanups.push(() => launcher.kill("SIGKILL"));
  const group = await new Promise<number>((resolve) => {
    launcher.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())));
  });
  expect(groupLives(group)).toBe(true);
  launcher.kill("SIGKILL");
  expect(await waitUntil(() => !groupLives(group), 20_000)).toBe(true);
});

test("a cluster's nats-server has JetStream, comes back on its port, and is gone after stop", async () => {
  const work = folder();
  const cluster = await startLocalCluster({ work, executors: 0, coordinators: 0, slots: 1 });
  cleanups.push(() => cluster.stop());
  const facts = async () => {
    const log = createLog("silent", {});
    const link = await connectNats({ servers: [cluster.natsUrl], name: "test", log });
    try {
      return await jetStreamFacts(link);
    } finally {
      await link.close();
    }
  };
  expect(await facts()).toEqual({ streams: 0, bytes: 0 });
  const [nats] = cluster.processes();
  const pid = nats?.pid ?? 0;
  cluster.kill(pid, "SIGKILL");
  expect(await cluster.ended(pid, 20_000)).toBe(true);
  expect(cluster.processes()).toEqual([]);
  await cluster.restartNats();
  expect(await facts()).toEqual({ streams: 0, bytes: 0 });
  await cluster.stop();
  expect(cluster.processes()).toEqual([]);
});
