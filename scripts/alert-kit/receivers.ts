/** Real receivers for tests and trials: an HTTP server that answers as told and keeps what came, and an SMTP server. */
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
  /** When it was there as a whole, epoch milliseconds. */
  readonly atMs: number;
}

export interface HttpReceiver {
  readonly url: string;
  readonly received: Received[];
  /** How the next calls are answered; the last one stays. */
  answers: ((response: ServerResponse, call: Received) => void)[];
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
      const body = Buffer.concat(parts).toString();
      const call = { method, path, headers, body, atMs: Date.now() };
      received.push(call);
      const [next = answer(200)] = receiver.answers;
      if (receiver.answers.length > 1) receiver.answers.shift();
      next(response, call);
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
  /** When each was there, epoch milliseconds. */
  readonly mailsAtMs: number[];
  readonly recipients: string[][];
  /** Mails with this in them are kept, and whoever sent them is told nothing. Empty: all are answered. */
  silentAbout: string;
  close(): Promise<void>;
}

export async function smtpReceiver(options: SMTPServerOptions): Promise<SmtpReceiver> {
  const mails: string[] = [];
  const mailsAtMs: number[] = [];
  const recipients: string[][] = [];
  const server = new SMTPServer({
    logger: false,
    closeTimeout: 100,
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        const mail = Buffer.concat(parts).toString();
        mails.push(mail);
        mailsAtMs.push(Date.now());
        recipients.push(session.envelope.rcptTo.map(({ address }) => address));
        if (receiver.silentAbout === "" || !mail.includes(receiver.silentAbout)) done();
      });
    },
    ...options,
  });
  server.on("error", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.server.address() as AddressInfo;
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  const receiver: SmtpReceiver = { port, mails, mailsAtMs, recipients, silentAbout: "", close };
  return receiver;
}
