// Metrics over real HTTP on a real port: what is answered to whom, in which format, and who is sent away.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { serveMetrics } from "../../shared/adapters/metrics-server.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Metric } from "../../shared/kernel/metric.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { readExposition } from "./exposition.ts";

const metrics: readonly Metric[] = [
  {
    name: "daymill_leader",
    type: "gauge",
    labels: [],
    help: "1 while it leads, else 0.",
    samples: [{ labels: {}, value: 1 }],
  },
  {
    name: "daymill_records_read_total",
    type: "counter",
    labels: ["job"],
    help: 'A back\\slash, a "quote"\nand a second line.',
    samples: [
      { labels: { job: "usage" }, value: 40_000_000_000 },
      { labels: { job: 'a"b\\c\nd' }, value: 0.5 },
    ],
  },
  { name: "daymill_days", type: "gauge", labels: ["job", "state"], help: "Days.", samples: [] },
];

const patienceMs = 500;

const cleanups = cleanupsOfEachTest();

async function serve(
  read: () => readonly Metric[] = () => metrics,
  { address = "127.0.0.1:0", lines = [] as KeptLine[] } = {},
) {
  const times = { patienceMs, lookEveryMs: 50 };
  const server = await serveMetrics({ address, read, log: quietLog(lines), times });
  cleanups.push(() => server.close());
  return server.address;
}

/** Sends bytes as they are; gives the first line of what comes back. */
async function raw(address: string, text: string): Promise<string> {
  const socket = await opened(address);
  const parts: string[] = [];
  socket.on("data", (part) => parts.push(String(part)));
  const closed = once(socket, "close");
  socket.write(text);
  await closed;
  return parts.join("").split("\r\n")[0] ?? "";
}

async function opened(address: string): Promise<Socket> {
  const [host = "", port] = address.split(":");
  const socket = connect(Number(port), host);
  cleanups.push(() => socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

test("GET /metrics in the Prometheus text format, every byte of it as that wants it", async () => {
  const address = await serve();
  expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d+$/);
  const response = await fetch(`http://${address}/metrics?collect=all`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(response.headers.get("cache-control")).toBe("no-store");
  const { families, series } = readExposition(await response.text(), "text");
  expect(Object.fromEntries(families)).toEqual({
    daymill_leader: { type: "gauge", help: "1 while it leads, else 0." },
    daymill_records_read_total: {
      type: "counter",
      help: 'A back\\\\slash, a "quote"\\nand a second line.',
    },
    daymill_days: { type: "gauge", help: "Days." },
  });
  expect(Object.fromEntries(series)).toEqual({
    daymill_leader: 1,
    'daymill_records_read_total{job="usage"}': 40_000_000_000,
    'daymill_records_read_total{job="a\\"b\\\\c\\nd"}': 0.5,
  });
});

test("OpenMetrics for who asks for it, one after the other and in turn with the other format", async () => {
  const address = await serve();
  const accept =
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
  for (let turn = 0; turn < 2; turn++) {
    const response = await fetch(`http://${address}/metrics`, { headers: { accept } });
    expect(response.headers.get("content-type")).toBe(
      "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    const { families, series } = readExposition(await response.text(), "openmetrics");
    expect(families.get("daymill_records_read")?.type).toBe("counter");
    expect(series.get('daymill_records_read_total{job="usage"}')).toBe(40_000_000_000);
    const plain = await fetch(`http://${address}/metrics`);
    expect(readExposition(await plain.text(), "text").series).toEqual(series);
  }
});

test("each scrape tells what is true then", async () => {
  let value = 0;
  const leader = metrics[0];
  if (leader === undefined) throw new Error("no metric");
  const address = await serve(() => [{ ...leader, samples: [{ labels: {}, value: ++value }] }]);
  for (const expected of [1, 2, 3]) {
    const text = await (await fetch(`http://${address}/metrics`)).text();
    expect(readExposition(text, "text").series.get("daymill_leader")).toBe(expected);
  }
});

test("anything else is told plainly what it is", async () => {
  const address = await serve();
  const calls = [
    ["GET", "/", undefined],
    ["GET", "/metrics/x", undefined],
    ["POST", "/metrics", "x"],
    ["HEAD", "/metrics", undefined],
    ["DELETE", "/metrics", undefined],
  ] as const;
  const answers = [];
  for (const [method, path, body] of calls) {
    const response = await fetch(`http://${address}${path}`, { method, ...(body && { body }) });
    answers.push([response.status, response.headers.get("allow"), (await response.text()).trim()]);
  }
  expect(answers).toEqual([
    [404, null, "metrics are at /metrics"],
    [404, null, "metrics are at /metrics"],
    [405, "GET", "metrics are read with GET"],
    [405, "GET", ""],
    [405, "GET", "metrics are read with GET"],
  ]);
});

test("a body, long headers and what is no HTTP end the connection, and nothing is read of them", async () => {
  const address = await serve();
  const get = (more: string) => `GET /metrics HTTP/1.1\r\nhost: x\r\n${more}\r\n`;
  const long = `x: ${"y".repeat(limits.scrapeHeaderBytesMax)}\r\n`;
  const large = "HTTP/1.1 413 Payload Too Large";
  expect(await raw(address, get("content-length: 5\r\n"))).toBe(large);
  expect(await raw(address, `${get("content-length: 5\r\n")}12345`)).toBe(large);
  expect(await raw(address, get("transfer-encoding: chunked\r\n"))).toContain(" 413 ");
  expect(await raw(address, get(long))).toBe("HTTP/1.1 431 Request Header Fields Too Large");
  expect(await raw(address, "what is true?\r\n\r\n")).toBe("HTTP/1.1 400 Bad Request");
});

test("whoever sends nothing, or never the end, is gone after a while", async () => {
  const address = await serve();
  const from = performance.now();
  const half = raw(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n");
  const silent = opened(address).then((socket) => once(socket.resume(), "close"));
  expect(await half).toBe("HTTP/1.1 408 Request Timeout");
  await silent;
  expect(performance.now() - from).toBeGreaterThan(patienceMs - 100);
});

test("whoever asks and takes no answer is gone after a while", async () => {
  const [leader] = metrics;
  if (leader === undefined) throw new Error("no metric");
  // More than the sockets between the two hold.
  const help = "x".repeat(32 * 1024 * 1024);
  const address = await serve(() => [{ ...leader, help }]);
  const socket = await opened(address);
  socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
  await once(socket, "readable");
  await new Promise((resume) => setTimeout(resume, 2 * patienceMs));
  let taken = 0;
  socket.on("data", (part: Buffer) => {
    taken += part.length;
  });
  await once(socket.resume(), "close");
  expect(taken).toBeLessThan(help.length);
});

test("closing it ends those who are still asking, too", async () => {
  const log = quietLog();
  const server = await serveMetrics({ address: "127.0.0.1:0", read: () => metrics, log });
  const socket = await opened(server.address);
  socket.write("GET /metrics HTTP/1.1\r\n");
  const closed = once(socket.resume(), "close");
  // It is taken, and what it has asked so far is read.
  expect((await fetch(`http://${server.address}/metrics`)).status).toBe(200);
  const from = performance.now();
  await server.close();
  await closed;
  expect(performance.now() - from).toBeLessThan(limits.scrapeMs / 2);
});

test("connections beyond the bound are closed at once; when others go there is room again", async () => {
  const address = await serve();
  const held = [];
  for (let n = 0; n < limits.scrapeConnectionsMax; n++) held.push(await opened(address));
  const over = await opened(address);
  await once(over, "close");
  const gone = held.slice(0, 4).map((socket) => once(socket, "close"));
  for (const socket of held.slice(0, 4)) socket.destroy();
  await Promise.all(gone);
  await expect
    .poll(() =>
      fetch(`http://${address}/metrics`).then(
        ({ status }) => status,
        () => 0,
      ),
    )
    .toBe(200);
});

test("what is not there yet is 503, what is wrong is 500 and a line in the log; both end nothing", async () => {
  let read: () => readonly Metric[] = () => {
    throw fail("unavailable", "this coordinator is starting");
  };
  const lines: KeptLine[] = [];
  const address = await serve(() => read(), { lines });
  const ask = async () => {
    const response = await fetch(`http://${address}/metrics`);
    return `${response.status} ${(await response.text()).trim()}`;
  };
  expect(await ask()).toBe("503 this coordinator is starting");
  expect(lines).toEqual([]);
  read = () => [{ name: "not a name!", type: "gauge", labels: [], help: "?", samples: [] }];
  expect(await ask()).toBe("500 the metrics can't be told; see this coordinator's log");
  expect(lines).toMatchObject([{ level: "error", message: "metrics could not be told" }]);
  read = () => metrics;
  expect(await ask()).toMatch(/^200 # HELP daymill_leader/);
});

test("without a host it is this machine alone; addresses that are none, or taken, are refused", async () => {
  const address = await serve(() => metrics, { address: "0" });
  expect(address).toMatch(/^127\.0\.0\.1:/);
  const at = (text: string) =>
    serveMetrics({ address: text, read: () => metrics, log: quietLog() });
  await expect(at("127.0.0.1:65536")).rejects.toMatchObject({ failure: { code: "badRequest" } });
  await expect(at(address)).rejects.toMatchObject({
    failure: { code: "unavailable", message: expect.stringContaining("EADDRINUSE") },
  });
});
