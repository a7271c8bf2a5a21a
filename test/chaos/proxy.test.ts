/**
 * The proxy between real sockets: what it passes, cuts, holds, delays and slows.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TcpProxy } from "../../scripts/chaos-kit/proxy.ts";

let echo: Server;
let proxy: TcpProxy;
const sockets: Socket[] = [];

beforeEach(async () => {
  echo = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  proxy = await TcpProxy.open();
  const address = echo.address();
  proxy.aim(`nats://127.0.0.1:${typeof address === "object" ? address?.port : 0}`);
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxy.close();
  await new Promise<void>((resolve) => echo.close(() => resolve()));
});

interface Client {
  readonly socket: Socket;
  /** Resolves when so many bytes have come back, with the milliseconds since the call. */
  back(bytes: number): Promise<number>;
  readonly closed: Promise<void>;
  received(): Buffer;
}

function dial(): Client {
  const [host = "", port = ""] = proxy.address.split(":");
  const socket = createConnection({ host, port: Number(port) });
  sockets.push(socket);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => undefined);
  const received = () => Buffer.concat(chunks);
  return {
    socket,
    received,
    closed: new Promise((resolve) => socket.once("close", () => resolve())),
    back: async (bytes) => {
      const from = performance.now();
      while (received().length < bytes) await new Promise((resume) => setTimeout(resume, 2));
      return performance.now() - from;
    },
  };
}

test("a good line passes every byte in order, both ways", async () => {
  const client = dial();
  const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => index % 251));
  client.socket.write(sent);
  await client.back(sent.length);
  expect(client.received().equals(sent)).toBe(true);
  expect(proxy.passed).toBe(2 * sent.length);
});

test("a cut line destroys what there is, refuses what comes, and is good again afterwards", async () => {
  const before = dial();
  before.socket.write("hello");
  await before.back(5);
  proxy.set({ cut: true });
  await before.closed;
  const during = dial();
  await during.closed;
  expect(during.received()).toHaveLength(0);
  proxy.set({});
  const after = dial();
  after.socket.write("again");
  await after.back(5);
  expect(after.received().toString()).toBe("again");
});

test("a held line loses nothing and says nothing", async () => {
  const client = dial();
  client.socket.write("a");
  await client.back(1);
  proxy.set({ hold: true });
  client.socket.write("bcd");
  await new Promise((resume) => setTimeout(resume, 150));
  expect(client.received().toString()).toBe("a");
  proxy.set({});
  await client.back(4);
  expect(client.received().toString()).toBe("abcd");
});

test("a delay is paid on the way there and on the way back", async () => {
  const client = dial();
  client.socket.write("a");
  await client.back(1);
  proxy.set({ delayMs: 80 });
  client.socket.write("b");
  expect(await client.back(2)).toBeGreaterThanOrEqual(155);
});

test("a slow line carries so many bytes a second and no more", async () => {
  const client = dial();
  proxy.set({ bytesPerSecond: 400_000 });
  const sent = Buffer.alloc(200_000, 7);
  client.socket.write(sent);
  // Half a second's worth; its first piece goes at once.
  expect(await client.back(sent.length)).toBeGreaterThan(400);
  expect(client.received().equals(sent)).toBe(true);
});

test("the end of one side reaches the other after what was under way", async () => {
  proxy.set({ delayMs: 50 });
  const client = dial();
  client.socket.end("last words");
  await client.closed;
  expect(client.received().toString()).toBe("last words");
});
