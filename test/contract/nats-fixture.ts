/**
 * A real nats-server with JetStream for one test file: free port, own store, gone afterwards.
 * It finds the binary as the product does (scripts/nats-server), else on PATH.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface NatsFixture {
  readonly url: string;
  readonly pid: number;
  /** Stops the server; `keepData` lets `start` find its streams again. */
  halt(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and store. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
}

/** Starts one server; resolves when it accepts connections. `extra` are further arguments for nats-server. */
export async function startNats(options: { binary?: string; extra?: string[] } = {}) {
  const store = await mkdtemp(join(tmpdir(), "daymill-nats-"));
  const port = await freePort();
  const binary = options.binary ?? findServer();
  const args = ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", store];
  let child: ChildProcess | undefined;

  const start = async () => {
    const started = spawn(binary, [...args, ...(options.extra ?? [])], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = started;
    tellDeath(started, () => child === started);
    await accepts(port, started);
  };
  const halt = async (signal: NodeJS.Signals = "SIGKILL") => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once("exit", resolve));
    running.kill(signal);
    await ended;
  };
  await start();
  return {
    url: `nats://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? 0;
    },
    start,
    halt,
    async stop() {
      await halt();
      await rm(store, { recursive: true, force: true });
    },
  } satisfies NatsFixture;
}

/** A server that dies by itself takes many tests with it: its last words say why. */
function tellDeath(started: ChildProcess, isWanted: () => boolean): void {
  let words = "";
  started.stderr?.on("data", (chunk) => {
    words = `${words}${chunk}`.slice(-4_000);
  });
  started.once("exit", (code, signal) => {
    if (isWanted()) console.error(`nats-server ended by itself (${signal ?? code}):\n${words}`);
  });
}

function findServer(): string {
  const script = fileURLToPath(new URL("../../scripts/nats-server", import.meta.url));
  if (!existsSync(script)) return "nats-server";
  return execFileSync(script, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

/** A port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

async function accepts(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`nats-server ended with code ${child.exitCode}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection(port, "127.0.0.1");
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("close", () => resolve(false));
      socket.unref();
      setTimeout(() => socket.destroy(), 200).unref();
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nats-server did not listen on port ${port} within 15 s`);
}
