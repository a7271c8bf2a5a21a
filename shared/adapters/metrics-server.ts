/**
 * Where metrics are scraped: `GET /metrics` over plain HTTP, and nothing else. Whoever asks slowly, too much or with a body
 * is sent away; what is wrong with a figure is answered as such, and never ends the process.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fail, fromUnknown } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { Metric } from "../kernel/metric.ts";
import type { Log } from "../ports.ts";
import { metricsText } from "./metrics-text.ts";

export interface MetricsServer {
  /** `host:port` as bound. */
  readonly address: string;
  /** Connections are closed, also those that are being answered. */
  close(): Promise<void>;
}

export interface MetricsServerOptions {
  /** `[HOST:]PORT`; without a host this machine alone can reach it. Port 0 = any free one. */
  readonly address: string;
  /** As of now; called for each scrape. `unavailable`: there is nothing to tell yet. */
  readonly read: () => readonly Metric[];
  readonly log: Log;
  /** For a request to be there, and for its answer to be taken; how often that is looked at. */
  readonly times?: { readonly patienceMs: number; readonly lookEveryMs: number };
}

const usual = { patienceMs: limits.scrapeMs, lookEveryMs: limits.scrapeLookEveryMs };

/** Errors: `badRequest` for a port that is none, `unavailable` when it can't listen there. */
export async function serveMetrics({
  address,
  read,
  log,
  times = usual,
}: MetricsServerOptions): Promise<MetricsServer> {
  const { host, port } = placeOf(address);
  const server = createServer(
    {
      maxHeaderSize: limits.scrapeHeaderBytesMax,
      headersTimeout: times.patienceMs,
      requestTimeout: times.patienceMs,
      keepAliveTimeout: limits.scrapeIdleMs,
      connectionsCheckingInterval: times.lookEveryMs,
    },
    (request, response) => {
      // Who does not take the answer in time loses the connection.
      response.setTimeout(times.patienceMs, () => response.destroy());
      answer(request, response, read).catch((error: unknown) => {
        const { code, message } = fromUnknown(error);
        if (code === "unavailable") return plain(response, 503, message);
        log.error("metrics could not be told", { reason: message });
        plain(response, 500, "the metrics can't be told; see this coordinator's log");
      });
    },
  );
  server.maxConnections = limits.scrapeConnectionsMax;
  const bound = await listen(server, host, port, address);
  // A connection that could not be taken, for want of files for one.
  server.on("error", ({ message }) => log.warn("a scrape was not taken", { reason: message }));
  return { address: `${host}:${bound}`, close: () => close(server) };
}

function placeOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = colon < 0 ? "127.0.0.1" : address.slice(0, colon);
  const port = Number(address.slice(colon + 1));
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return { host, port };
  throw fail("badRequest", `metrics can't be at ${address}: a port is a number from 0 to 65535`);
}

function listen(server: Server, host: string, port: number, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      const text = `cannot listen on ${address}: ${error.message}; choose another --metrics address`;
      reject(fail("unavailable", text, { address }, error));
    };
    server.once("error", failed);
    server.listen(port, host.replace(/^\[(.*)\]$/, "$1"), () => {
      server.off("error", failed);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  read: () => readonly Metric[],
): Promise<void> {
  const { method, url = "", headers } = request;
  const hasBody =
    headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > 0;
  if (url.split("?", 1)[0] !== "/metrics") return plain(response, 404, "metrics are at /metrics");
  if (method !== "GET") {
    return plain(response, 405, "metrics are read with GET", { allow: "GET" });
  }
  if (hasBody) return plain(response, 413, "a request for metrics has no body");
  const { contentType, text } = await metricsText(read(), headers.accept);
  response.writeHead(200, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}

/** The connection goes: what else is on it is not read. */
function plain(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    connection: "close",
    ...headers,
  });
  response.end(`${text}\n`);
}
