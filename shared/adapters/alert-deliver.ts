/**
 * One try to send one notice: secrets are read, the message is made, and what goes wrong is told in the closed
 * vocabulary without any of them. What is remembered between tries is in alert-sender.ts.
 */
import { readFile } from "node:fs/promises";
import type { Notice } from "../kernel/alert.ts";
import { DaymillError, fail, failure } from "../kernel/failure.ts";
import { answerFailure, mailFailure, networkFailure } from "./alert-answer.ts";
import type {
  ChannelSpec,
  EmailChannel,
  HttpChannel,
  HttpPlace,
  SecretRef,
} from "./alert-channel.ts";
import { httpUrl } from "./alert-file-fields.ts";
import { type Outgoing, outgoing } from "./alert-format.ts";
import type { Mail } from "./alert-format-email.ts";
import { noticeId } from "./alert-format-webhook.ts";
import { callHttp } from "./alert-http.ts";
import { type Login, sendMail } from "./alert-mail.ts";
import { type Environment, type SecretReader, secretReader } from "./alert-secrets.ts";
import { signed } from "./alert-sign.ts";
import { projectVersion } from "./project.ts";

export interface Try {
  readonly environment: Environment;
  /** Ends the try. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Calls of this notice that an earlier try has made already: they are not made again. */
  readonly callsMade: number;
  /** Told after each call that the receiver has taken. */
  onCall(made: number): void;
  /** Looked at before the first call; throws to end the try. */
  beforeCall(url: string): void;
}

/** Returns how many addresses of a mail were not taken. Errors: `unavailable`, `timeout`, `badRequest`. */
export async function deliver(spec: ChannelSpec, notice: Notice, attempt: Try): Promise<number> {
  const secrets = secretReader(attempt.environment);
  try {
    const message = outgoing(spec, notice);
    if (spec.kind === "email" && message.kind === "mail") {
      return await mailTo(spec, message.mail, secrets, attempt);
    }
    if (spec.kind !== "email" && message.kind === "calls") {
      await callAll(spec, notice, message, secrets, attempt);
    }
    return 0;
  } catch (error) {
    throw told(`channel ${spec.name}`, spec.name, error, secrets);
  }
}

/** The sign of life. Errors: like `deliver`. */
export async function beat(
  place: HttpPlace & { readonly method: "GET" | "POST" | "HEAD" },
  attempt: Pick<Try, "environment" | "signal">,
): Promise<void> {
  const secrets = secretReader(attempt.environment);
  try {
    const call = await callOf("heartbeat", place, secrets);
    const headers = { "user-agent": userAgent };
    const { method } = place;
    const answer = await callHttp({ ...call, method, headers, signal: attempt.signal });
    throwIfRefused(answer, secrets);
  } catch (error) {
    throw told("heartbeat", "heartbeat", error, secrets);
  }
}

const userAgent = `daymill/${projectVersion()}`;

/** The library's error itself stays behind: it may hold the request. */
function told(what: string, channel: string, error: unknown, secrets: SecretReader): DaymillError {
  const known = error instanceof DaymillError ? error.failure : networkFailure(error);
  const message = `${what}: ${secrets.scrub(known.message)}`;
  return new DaymillError(failure(known.code, message, { ...known.detail, channel }));
}

async function mailTo(
  spec: EmailChannel,
  mail: Mail,
  secrets: SecretReader,
  { timeoutMs, signal }: Try,
): Promise<number> {
  const login = await loginOf(spec, secrets);
  const ca = await certificates(`channels.${spec.name}.ca`, spec.ca);
  // Servers repeat what they refuse.
  const sender = /<(.+)>/.exec(spec.from)?.[1] ?? spec.from;
  for (const text of [spec.host, sender, ...spec.to]) secrets.keep(text);
  const sent = sendMail({
    ...{ spec, mail, timeoutMs },
    ...(login === undefined ? {} : { login }),
    ...(ca === undefined ? {} : { ca }),
  }).catch((error: unknown) => {
    const { response } = error as { response?: string };
    throw new DaymillError(
      mailFailure(Object.assign(Object(error), { response: secrets.scrub(response ?? "") })),
    );
  });
  return (await orAborted(sent, signal)).length;
}

/** The mail goes on in the background: its end is bounded by the same time. */
async function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    promise.catch(() => undefined);
  }
}

async function loginOf(
  { name, user, password }: EmailChannel,
  secrets: SecretReader,
): Promise<Login | undefined> {
  if (user === undefined || password === undefined) return undefined;
  const field = `channels.${name}`;
  const plain = typeof user === "string" ? user : await secrets.read(`${field}.user`, user);
  secrets.keep(plain);
  const pass = await secrets.read(`${field}.password`, password);
  secrets.keep(`\0${plain}\0${pass}`);
  return { user: plain, pass };
}

async function callAll(
  spec: HttpChannel,
  notice: Notice,
  { bodies }: Extract<Outgoing, { kind: "calls" }>,
  secrets: SecretReader,
  attempt: Try,
): Promise<void> {
  const field = `channels.${spec.name}`;
  const call = await callOf(field, spec, secrets);
  if (spec.kind === "alertmanager") toAlerts(call.url);
  attempt.beforeCall(call.url.href);
  const own = await headersOf(spec, secrets);
  for (const [index, body] of bodies.entries()) {
    if (index < attempt.callsMade) continue;
    const text = JSON.stringify(await keyed(spec, body, secrets));
    const signature = await signatureOf(spec, notice, text, secrets);
    const headers = { ...own, ...signature, "content-type": contentType(spec) };
    const { signal } = attempt;
    const answer = await callHttp({ ...call, method: "POST", headers, body: text, signal });
    throwIfRefused(answer, secrets);
    attempt.onCall(index + 1);
  }
}

function throwIfRefused(answer: Awaited<ReturnType<typeof callHttp>>, secrets: SecretReader): void {
  const text = secrets.scrub(answer.text);
  const refusal = answerFailure({ ...answer, text }, Date.now());
  if (refusal !== undefined) throw new DaymillError(refusal);
}

/** An Alertmanager is named by its address; the path of its API is ours to know. */
function toAlerts(url: URL): void {
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith("/api/v2/alerts") ? path : `${path}/api/v2/alerts`;
}

async function callOf(field: string, place: HttpPlace, secrets: SecretReader) {
  const ca = await certificates(`${field}.ca`, place.ca);
  return {
    url: await urlOf(`${field}.url`, place.url, secrets),
    allowLinkLocal: place.allowLinkLocal,
    ...(ca === undefined ? {} : { ca }),
  };
}

async function urlOf(
  field: string,
  place: string | SecretRef,
  secrets: SecretReader,
): Promise<URL> {
  const text = typeof place === "string" ? place : await secrets.read(field, place);
  const url = httpUrl(text);
  if (url !== undefined) return url;
  throw fail("unavailable", `${field}: what is there is no http or https URL`, { field });
}

async function certificates(field: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw fail("unavailable", `${field}: the file cannot be read (${code})`, { field });
  }
}

async function headersOf(spec: HttpChannel, secrets: SecretReader) {
  const headers: Record<string, string> = { "user-agent": userAgent };
  if (spec.kind !== "alertmanager" && spec.kind !== "webhook") return headers;
  for (const [name, ref] of Object.entries(spec.headers)) {
    const field = `channels.${spec.name}.headers.${name}`;
    const value = await secrets.read(field, ref);
    if (!/^[\x20-\x7e]+$/.test(value)) {
      throw fail("unavailable", `${field}: a header's value is one line of ASCII`, { field });
    }
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

async function keyed(spec: HttpChannel, body: object, secrets: SecretReader): Promise<object> {
  if (spec.kind !== "pagerduty") return body;
  const key = await secrets.read(`channels.${spec.name}.routing_key`, spec.routingKey);
  return { routing_key: key, ...body };
}

async function signatureOf(
  spec: HttpChannel,
  notice: Notice,
  body: string,
  secrets: SecretReader,
): Promise<Readonly<Record<string, string>>> {
  if (spec.kind !== "webhook") return {};
  const values: { field: string; value: string }[] = [];
  for (const [index, ref] of spec.signing.entries()) {
    const field = `channels.${spec.name}.signing.${index}`;
    values.push({ field, value: await secrets.read(field, ref) });
  }
  return { ...signed(noticeId(notice), body, Date.now(), values) };
}

function contentType({ kind }: HttpChannel): string {
  const type = kind === "webhook" ? "application/cloudevents+json" : "application/json";
  return `${type}; charset=utf-8`;
}
