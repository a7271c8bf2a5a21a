/**
 * The sender against real receivers, beyond what the port's contract says: what each kind of answer becomes, TLS, logins,
 * signatures, notices of several calls, and addresses that are refused.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { sampleAlert, sampleNotice } from "../../client/alert-samples.ts";
import type { ChannelSpec, EmailChannel } from "../../shared/adapters/alert-channel.ts";
import { isLinkLocal } from "../../shared/adapters/alert-http.ts";
import { openAlertSender, type SenderTimes } from "../../shared/adapters/alert-sender.ts";
import { type AlertRule, alertRules, type Notice } from "../../shared/kernel/alert.ts";
import { type Failure, fromUnknown } from "../../shared/kernel/failure.ts";
import type { AlertSender } from "../../shared/ports.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import { answer, closes, httpReceiver, smtpReceiver } from "./receivers.ts";
import { problemsOf } from "./schemas.ts";
import { selfSigned } from "./self-signed.ts";

const nowMs = Date.UTC(2026, 0, 16, 5, 0);
const folder = mkdtempSync(join(tmpdir(), "daymill-alerts-"));
const certified = selfSigned();
const ca = join(folder, "ca.pem");
writeFileSync(ca, certified.cert);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function receiving(tls = false) {
  const receiver = await httpReceiver(tls ? certified : undefined);
  cleanups.push(receiver.close);
  return receiver;
}

const signingKey = Buffer.alloc(32, 9);
const environment: Record<string, string> = {
  ROUTING_KEY: "r0utingk3y",
  NEW: `whsec_${signingKey.toString("base64")}`,
  OLD: `whsec_${Buffer.alloc(24, 1).toString("base64")}`,
  AUTH: "Bearer t0ken-of-the-receiver",
};

function sending(
  spec: ChannelSpec,
  more: { times?: Partial<SenderTimes>; lines?: KeptLine[] } = {},
) {
  const log = quietLog(more.lines);
  const times = { sendMs: 500, ...more.times };
  const sender = openAlertSender({ channels: [spec], environment, log, times });
  cleanups.push(() => sender.close());
  return sender;
}

let made = 0;
function notice(rules: readonly AlertRule[] = ["runFailed"], kind: Notice["kind"] = "opened") {
  made += 1;
  const alerts = rules.map((rule) => sampleAlert(rule, nowMs));
  return { ...sampleNotice("ops", alerts, kind, nowMs), id: `n-${made}` };
}

async function refusal(sender: AlertSender, sent = notice()): Promise<Failure> {
  try {
    await sender.send(sent);
  } catch (error) {
    return fromUnknown(error);
  }
  throw new Error("it was taken");
}

const plain = { name: "ops", allowLinkLocal: false } as const;

describe("what an answer becomes", () => {
  test.each([
    [
      400,
      "no_text",
      "badRequest",
      "channel ops: the receiver answered 400: no_text; it does not take such a message",
    ],
    [
      413,
      "",
      "badRequest",
      "channel ops: the receiver answered 413; it does not take such a message",
    ],
    [
      403,
      "invalid_token",
      "unavailable",
      "channel ops: the receiver answered 403: invalid_token; check the URL, token or key of the channel",
    ],
    [
      404,
      "no_service",
      "unavailable",
      "channel ops: the receiver answered 404: no_service; check the URL, token or key of the channel",
    ],
    [
      500,
      "oh no",
      "unavailable",
      "channel ops: the receiver answered 500: oh no; it is tried again",
    ],
  ])("%i %s: %s", async (status, text, code, message) => {
    const receiver = await receiving();
    receiver.answers = [answer(status, text)];
    const sender = sending({ kind: "mattermost", ...plain, url: receiver.url });
    expect(await refusal(sender)).toEqual({ code, message, detail: { status, channel: "ops" } });
  });

  test("a redirect is not followed", async () => {
    const other = await receiving();
    const receiver = await receiving();
    receiver.answers = [answer(307, "", { location: other.url })];
    const refused = await refusal(sending({ kind: "slack", ...plain, url: receiver.url }));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toBe(
      "channel ops: the receiver answered 307; redirects are not followed: write the URL to which it leads",
    );
    expect(other.received).toEqual([]);
  });

  test("410: nothing more is sent to that URL", async () => {
    const receiver = await receiving();
    receiver.answers = [answer(410), answer(200)];
    const sender = sending({ kind: "slack", ...plain, url: receiver.url });
    expect((await refusal(sender)).code).toBe("badRequest");
    expect((await refusal(sender)).message).toMatch(/gone \(410\)/);
    expect(receiver.received).toHaveLength(1);
  });

  test("503 with a date to come back at; more patience than an hour is an hour", async () => {
    const receiver = await receiving();
    const later = new Date(Date.now() + 90_000).toUTCString();
    receiver.answers = [answer(503, "", { "retry-after": later })];
    const first = await refusal(sending({ kind: "slack", ...plain, url: receiver.url }));
    expect(first.detail?.["retryAfterMs"]).toBeGreaterThan(80_000);
    receiver.answers = [answer(429, "", { "retry-after": "999999" })];
    const second = await refusal(sending({ kind: "slack", ...plain, url: receiver.url }));
    expect(second.detail?.["retryAfterMs"]).toBe(3_600_000);
  });

  test("a receiver that closes, one that is not there, and an answer without end", async () => {
    const receiver = await receiving();
    receiver.answers = [closes];
    const sender = sending({ kind: "slack", ...plain, url: receiver.url });
    expect((await refusal(sender)).message).toBe(
      "channel ops: the connection was closed before an answer came (ECONNRESET)",
    );
    receiver.answers = [answer(500, "x".repeat(1_000_000))];
    const long = await refusal(sender);
    expect(long.message.length).toBeLessThan(300);
    await receiver.close();
    expect((await refusal(sender)).message).toBe(
      "channel ops: nothing listens there (ECONNREFUSED)",
    );
    cleanups.length = 0;
    await sender.close();
  });

  test("an answer that never ends is still an answer", async () => {
    const receiver = await receiving();
    receiver.answers = [
      (response) => {
        response.writeHead(202);
        response.write("accepted");
      },
    ];
    await sending({ kind: "teams", ...plain, url: receiver.url }).send(notice());
    expect(receiver.received).toHaveLength(1);
  });
});

describe("each kind arrives as its receiver wants it", () => {
  const holdMs = { critical: 60_000, warning: 60_000, info: 60_000 };
  const headers = { Authorization: { env: "AUTH" } };
  const signing = [{ env: "NEW" }, { env: "OLD" }];
  const specs = (url: string): readonly Exclude<ChannelSpec, EmailChannel>[] => [
    { kind: "slack", ...plain, url },
    { kind: "teams", ...plain, url },
    { kind: "mattermost", ...plain, url },
    { kind: "pagerduty", ...plain, url, routingKey: { env: "ROUTING_KEY" } },
    { kind: "alertmanager", ...plain, url, headers, holdMs },
    { kind: "webhook", ...plain, url, headers, signing },
  ];

  test("all rules, opened, repeated and resolved", async () => {
    const receiver = await receiving();
    for (const spec of specs(receiver.url)) {
      receiver.received.length = 0;
      const sender = sending(spec);
      for (const kind of ["opened", "repeated", "resolved"] as const) {
        await sender.send(notice(alertRules, kind));
      }
      expect(receiver.received).toHaveLength(spec.kind === "pagerduty" ? 3 * alertRules.length : 3);
      for (const { body, method, headers: sent } of receiver.received) {
        expect(method).toBe("POST");
        expect(sent["content-type"]).toMatch(/^application\/(cloudevents\+)?json/);
        expect(problemsOf(spec.kind, JSON.parse(body))).toEqual([]);
      }
    }
  });

  test("Alertmanager by its address, with the path of its API and a header of ours", async () => {
    const receiver = await receiving();
    const url = `${receiver.url}/am/`;
    await sending({ kind: "alertmanager", ...plain, url, headers, holdMs }).send(notice());
    const [call] = receiver.received;
    expect(call?.path).toBe("/am/api/v2/alerts");
    expect(call?.headers.authorization).toBe("Bearer t0ken-of-the-receiver");
  });

  test("a webhook's signatures: the receiver may know either secret, and the id stays", async () => {
    const receiver = await receiving();
    receiver.answers = [answer(500), answer(204)];
    const sender = sending({ kind: "webhook", ...plain, url: receiver.url, headers: {}, signing });
    const sent = notice();
    await refusal(sender, sent);
    await sender.send(sent);
    const [first, second] = receiver.received;
    expect(second?.headers["webhook-id"]).toBe(sent.id);
    expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
    expect(second?.body).toBe(first?.body);
    for (const key of [signingKey, Buffer.alloc(24, 1)]) {
      expect(isSigned(second?.headers ?? {}, second?.body ?? "", key)).toBe(true);
    }
    expect(isSigned(second?.headers ?? {}, `${second?.body} `, signingKey)).toBe(false);
    expect(isSigned(second?.headers ?? {}, second?.body ?? "", Buffer.alloc(32))).toBe(false);
  });

  test("PagerDuty that fails half-way goes on where it was", async () => {
    const receiver = await receiving();
    const ok = answer(202, '{"status":"success"}');
    receiver.answers = [ok, ok, answer(500), ok];
    const routingKey = { env: "ROUTING_KEY" };
    const sender = sending({ kind: "pagerduty", ...plain, url: receiver.url, routingKey });
    const sent = notice(["runFailed", "deadlineMissed", "rejectsHigh"]);
    await refusal(sender, sent);
    await sender.send(sent);
    const keys = receiver.received.map(
      ({ body }) => (JSON.parse(body) as { dedup_key: string }).dedup_key.split("/")[0],
    );
    expect(keys).toEqual(["runFailed", "deadlineMissed", "rejectsHigh", "rejectsHigh"]);
    // Who has lost the memory sends all of it again, by the same keys.
    await sending({ kind: "pagerduty", ...plain, url: receiver.url, routingKey }).send(sent);
    expect(receiver.received).toHaveLength(7);
  });
});

/** As Standard Webhooks has receivers check. */
function isSigned(headers: NodeJS.Dict<string | string[]>, body: string, key: Buffer): boolean {
  const { "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": given } = headers;
  if (Math.abs(Date.now() / 1_000 - Number(seconds)) > 300) return false;
  const wanted = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest();
  return String(given)
    .split(" ")
    .map((one) => Buffer.from(one.replace(/^v1,/, ""), "base64"))
    .some((one) => one.length === wanted.length && timingSafeEqual(one, wanted));
}

describe("TLS and addresses", () => {
  test("a certificate that nobody vouches for is refused, with `ca` it is known", async () => {
    const receiver = await receiving(true);
    const refused = await refusal(sending({ kind: "slack", ...plain, url: receiver.url }));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toMatch(/certificate is not trusted \(\w+\); set ca$/);
    expect(receiver.received).toEqual([]);
    await sending({ kind: "slack", ...plain, url: receiver.url, ca }).send(notice());
    expect(receiver.received).toHaveLength(1);
  });

  test("addresses where clouds hand out credentials are refused, however they are written", async () => {
    for (const url of ["http://169.254.169.254/", "http://2852039166/", "http://[fe80::1]/"]) {
      const refused = await refusal(sending({ kind: "slack", ...plain, url }));
      expect(refused.code).toBe("badRequest");
      expect(refused.message).toMatch(/link-local address.*allow_link_local/);
    }
    expect(isLinkLocal("::ffff:169.254.169.254")).toBe(true);
    expect(isLinkLocal("10.0.0.7")).toBe(false);
    expect(isLinkLocal("127.0.0.1")).toBe(false);
  });
});

describe("mail", () => {
  const mailing = (port: number, more: Partial<EmailChannel> = {}): EmailChannel => ({
    ...{ kind: "email", name: "ops", host: "127.0.0.1", port, security: "starttls" },
    ...{ from: "Daymill <daymill@example.net>", to: ["ops@example.net", "boss@example.net"] },
    ...more,
  });
  const login = { user: "daymill", password: { env: "MAIL_PASSWORD" } } as const;
  environment["MAIL_PASSWORD"] = "c0rrect-h0rse";

  async function server(more: Parameters<typeof smtpReceiver>[0] = {}) {
    const logins: string[] = [];
    const receiver = await smtpReceiver({
      ...certified,
      onAuth: ({ username = "", password = "" }, session, done) => {
        logins.push(`${username} ${session.secure ? "over TLS" : "in the open"}`);
        if (password === "c0rrect-h0rse") done(null, { user: username });
        else done(Object.assign(new Error(`no such password: ${password}`), { responseCode: 535 }));
      },
      ...more,
    });
    cleanups.push(receiver.close);
    return { ...receiver, logins };
  }

  test("over STARTTLS with a login: both forms, its thread, each address", async () => {
    const receiver = await server();
    await sending(mailing(receiver.port, { ...login, ca })).send(notice());
    expect(receiver.logins).toEqual(["daymill over TLS"]);
    expect(receiver.recipients).toEqual([["ops@example.net", "boss@example.net"]]);
    const [mail = ""] = receiver.mails;
    expect(mail).toMatch(
      /^Subject: CRITICAL: ipdr-daily 2026-01-15: the run failed after 4 tries\r$/m,
    );
    expect(mail).toMatch(/^Message-ID: <[0-9a-f]{32}\.notice@example\.net>\r$/m);
    expect(mail).toMatch(/^References: <[0-9a-f]{32}\.group@example\.net>\r$/m);
    expect(mail).toMatch(/^In-Reply-To: <[0-9a-f]{32}\.group@example\.net>\r$/m);
    expect(mail).toMatch(/^Auto-Submitted: auto-generated\r$/m);
    expect(mail).toContain("Content-Type: text/plain");
    expect(mail).toContain("Content-Type: text/html");
  });

  test("over TLS from the first byte", async () => {
    const receiver = await server({ secure: true });
    await sending(mailing(receiver.port, { ...login, ca, security: "tls" })).send(notice());
    expect(receiver.mails).toHaveLength(1);
  });

  test("a server without STARTTLS hears neither login nor mail", async () => {
    const receiver = await server({ disabledCommands: ["STARTTLS"], allowInsecureAuth: true });
    const refused = await refusal(sending(mailing(receiver.port, { ...login, ca })));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toMatch(/^channel ops: .*STARTTLS/);
    expect(receiver.logins).toEqual([]);
    expect(receiver.mails).toEqual([]);
  });

  test("a server whose certificate nobody vouches for hears no login", async () => {
    const receiver = await server();
    const refused = await refusal(sending(mailing(receiver.port, login)));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toMatch(/certificate|TLS/);
    expect(receiver.logins).toEqual([]);
  });

  test("a wrong password is not in what the server's answer becomes", async () => {
    const receiver = await server();
    environment["WRONG"] = "hunter2hunter2";
    const spec = mailing(receiver.port, { ...login, password: { env: "WRONG" }, ca });
    const refused = await refusal(sending(spec));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toContain("no such password: ***; check user and password");
  });

  test("nobody takes it: refused; one of two does: sent, with a line in the log", async () => {
    let known: readonly string[] = [];
    const receiver = await server({
      onRcptTo: ({ address }, _session, done) => {
        if (known.includes(address)) done();
        else done(Object.assign(new Error("user unknown"), { responseCode: 550 }));
      },
    });
    const lines: KeptLine[] = [];
    const sender = sending(mailing(receiver.port, { ...login, ca }), { lines });
    expect(await refusal(sender)).toMatchObject({ code: "badRequest" });
    known = ["boss@example.net"];
    await sender.send(notice());
    expect(receiver.recipients).toEqual([["boss@example.net"]]);
    const told = lines.filter(
      ({ message }) => message === "a mail was not taken for every address",
    );
    expect(told.map(({ fields }) => fields)).toEqual([{ channel: "ops", missed: 1 }]);
  });
});

test("what is missing at the start is a warning, and an error when it is needed", async () => {
  const receiver = await receiving();
  const { port } = new URL(receiver.url);
  await receiver.close();
  cleanups.length = 0;
  const lines: KeptLine[] = [];
  const sender = openAlertSender({
    channels: [
      { kind: "slack", ...plain, url: { env: "NOT_THERE" } },
      { kind: "mattermost", ...plain, name: "chat", url: `http://127.0.0.1:${port}/hook` },
    ],
    environment,
    log: quietLog(lines),
  });
  cleanups.push(() => sender.close());
  const missing =
    "channels.ops.url: the environment variable NOT_THERE is not set; set it for each coordinator";
  await expect
    .poll(() => lines.map(({ message, fields }) => [message, fields]))
    .toEqual([
      ["an alert channel is not ready", { channel: "ops", reason: missing }],
      [
        "an alert channel cannot be reached",
        { channel: "chat", reason: "nothing listens there (ECONNREFUSED)" },
      ],
    ]);
  expect(await refusal(sender)).toEqual({
    code: "unavailable",
    message: `channel ops: ${missing}`,
    detail: { field: "channels.ops.url", channel: "ops" },
  });
  // Set later, as a file would be: nothing has to be started again.
  const again = await httpReceiver();
  cleanups.push(again.close);
  environment["NOT_THERE"] = again.url;
  await sender.send(notice());
  expect(again.received).toHaveLength(1);
});
