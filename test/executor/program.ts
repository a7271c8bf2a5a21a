/**
 * The compiled executor program with a real nats-server and a leader made by hand, for tests that look at it as the
 * operating system does. Needs ./scripts/build; DAYMILL_TEST_DIST names another folder of compiled files.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { connectNats, type NatsLink } from "../../shared/adapters/nats.ts";
import { openRegistry } from "../../shared/adapters/nats-registry.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import type { Delivery, Work } from "../../shared/kernel/work.ts";
import type { Registry } from "../../shared/ports.ts";
import { type NatsFixture, startNats } from "../contract/nats-fixture.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { type FakeHub, startHub, until } from "./fake-hub.ts";

const dist = process.env["DAYMILL_TEST_DIST"] ?? join(projectRoot(), "dist");
const program = join(dist, "executor/main.js");

export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly workDir: string;
  stdout(): string;
  stderr(): string;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

/** NATS, registry and storage root of one test file; executors and leaders of one test. */
export class Bed {
  readonly root: string;
  readonly nats: NatsFixture;
  readonly link: NatsLink;
  readonly #registry: Registry;
  readonly #cleanups: (() => Promise<void> | void)[] = [];
  #epoch = 0;

  private constructor(root: string, nats: NatsFixture, link: NatsLink, registry: Registry) {
    this.root = root;
    this.nats = nats;
    this.link = link;
    this.#registry = registry;
  }

  static async open(): Promise<Bed> {
    expect(existsSync(program), `${program} is missing: run ./scripts/build`).toBe(true);
    const root = mkdtempSync(join(tmpdir(), "daymill-executor-root-"));
    const nats = await startNats();
    const link = await connectNats({ servers: [nats.url], name: "test", log: quietLog() });
    const registry = await openRegistry(link, { cluster: "daymill", replicas: 1 });
    return new Bed(root, nats, link, registry);
  }

  /** Starts an executor named e1 with two slots. */
  start(args: readonly string[] = [], servers = this.nats.url): Started {
    const workDir = mkdtempSync(join(tmpdir(), "daymill-executor-work-"));
    const options = ["--nats", servers, "--root", this.root, "--id", "e1", "--slots", "2"];
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
    this.#cleanups.push(async () => {
      child.kill("SIGKILL");
      await ended;
      rmSync(workDir, { recursive: true, force: true, maxRetries: 5 });
    });
    const { stdout, stderr } = { stdout: () => texts.stdout, stderr: () => texts.stderr };
    return { child, pid: child.pid ?? 0, workDir, stdout, stderr, ended };
  }

  /** A new leader, heard of in the registry. */
  async lead(acks = true, registry = this.#registry): Promise<FakeHub> {
    const epoch = ++this.#epoch;
    const hub = await startHub({ epoch, acks });
    this.#cleanups.push(() => hub.stop());
    const { address } = hub;
    // As a real leader does: again until it is heard, for NATS may just be coming back.
    for (let beat = 1; ; beat++) {
      try {
        await registry.renew({ epoch, coordinator: `c${epoch}`, address, beat });
        return hub;
      } catch (error) {
        if (beat === 10) throw error;
      }
    }
  }

  /** A leader of a cluster that nobody has made before. */
  async leadNew(cluster: string): Promise<FakeHub> {
    const registry = await openRegistry(this.link, { cluster, replicas: 1 });
    this.#cleanups.push(() => registry.close());
    return await this.lead(true, registry);
  }

  /** Ends what one test has started. */
  async clear(): Promise<void> {
    for (const clean of this.#cleanups.splice(0).reverse()) await clean();
  }

  async close(): Promise<void> {
    await this.clear();
    await this.#registry.close();
    await this.link.close();
    await this.nats.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Sends one attempt with a delivery for it. */
export function dispatch(
  hub: FakeHub,
  attemptId: string,
  work: Work,
  delivery: Partial<Delivery> = {},
): void {
  const complete: Delivery = {
    run: "r1",
    stage: "s0",
    task: 0,
    attemptId,
    epoch: hub.epoch,
    outputs: [],
    inputs: [],
    stagingDir: `staging/r1/0-${attemptId}`,
    lowMemory: false,
    ...delivery,
  };
  hub.run(attemptId, work, complete);
}

/** Process ids of both workers, when both are ready. */
export function workersOf(hub: FakeHub): Promise<readonly number[]> {
  return until("two workers", () => {
    const pids = hub.heartbeats.at(-1)?.workerPids ?? [];
    return pids.length === 2 && pids;
  });
}

/** Waits until so many attempts run. */
export function running(hub: FakeHub, count: number): Promise<boolean> {
  return until(`${count} attempts`, () => hub.heartbeats.at(-1)?.running.length === count);
}
