/** Real receivers for a test: an HTTP server that answers as told and keeps what came, and an SMTP server. */
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import type { Certified } from "./self-signed.ts";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpReceiver {
  readonly url: string;
  readonly received: Received[];
  /** How the next calls are answered; the last one stays. */
  answers: ((response: ServerResponse) => void)[];
  close(): Promise<void>;
}

export function answer(status: number, text = "", headers: Record<string, string> = {}) {
  return (response: ServerResponse) => {
    response.writeHead(status, headers);
    response.end(text);
  };
}

export const hangs = (): void => undefined;

export const closes = (response: ServerResponse): void => {
  response.destroy();
};

export async function httpReceiver(tls?: Certified): Promise<HttpReceiver> {
  const received: Received[] = [];
  const receiver: HttpReceiver = { url: "", received, answers: [answer(200, "ok")], close };
  const listener: RequestListener = (request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      received.push({ method, path, headers, body: Buffer.concat(parts).toString() });
      const [next = answer(200)] = receiver.answers;
      if (receiver.answers.length > 1) receiver.answers.shift();
      next(response);
    });
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer({ ...tls }, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  async function close() {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  const { port } = server.address() as AddressInfo;
  return Object.assign(receiver, { url: `${tls ? "https" : "http"}://127.0.0.1:${port}` });
}

export interface SmtpReceiver {
  readonly port: number;
  readonly mails: string[];
  readonly recipients: string[][];
  close(): Promise<void>;
}

export async function smtpReceiver(options: SMTPServerOptions): Promise<SmtpReceiver> {
  const mails: string[] = [];
  const recipients: string[][] = [];
  const server = new SMTPServer({
    logger: false,
    closeTimeout: 100,
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        mails.push(Buffer.concat(parts).toString());
        recipients.push(session.envelope.rcptTo.map(({ address }) => address));
        done();
      });
    },
    ...options,
  });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.server.address() as AddressInfo;
  return {
    port,
    mails,
    recipients,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
