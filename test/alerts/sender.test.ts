/**
 * The sender against real receivers, beyond what the port's contract says: what each kind of answer becomes, TLS,
 * signatures, notices of several calls, and addresses that are refused. Mail is in mail.test.ts.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { describe, expect, test } from "vitest";
import { answer, closes, httpReceiver } from "../../scripts/alert-kit/receivers.ts";
import { problemsOf } from "../../scripts/alert-kit/schemas.ts";
import type { ChannelSpec, EmailChannel } from "../../shared/adapters/alert-channel.ts";
import { guardedLookup, isLinkLocal } from "../../shared/adapters/alert-http.ts";
import { openAlertSender } from "../../shared/adapters/alert-sender.ts";
import { alertRules } from "../../shared/kernel/alert.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import {
  ca,
  cleanups,
  environment,
  notice,
  plain,
  receiving,
  refusal,
  sending,
  signingKey,
} from "./sending.ts";

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
    const spec = { kind: "teams", ...plain, url: receiver.url } as const;
    await sending(spec, { times: { sendMs: 1_000 } }).send(notice());
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
    // A name is judged by what it leads to.
    const led = (host: string) =>
      new Promise((resolve) => {
        guardedLookup(host, { all: true }, (error, found) => resolve(error?.code ?? found));
      });
    expect(await led("169.254.0.9")).toBe("ELINKLOCAL");
    expect(await led("127.0.0.1")).toEqual([{ address: "127.0.0.1", family: 4 }]);
    expect(isLinkLocal("::ffff:169.254.169.254")).toBe(true);
    expect(isLinkLocal("10.0.0.7")).toBe(false);
    expect(isLinkLocal("127.0.0.1")).toBe(false);
  });

  test("allowed, such an address is tried like any other", async () => {
    const url = "http://169.254.1.1:9/";
    const spec = { kind: "slack", name: "ops", url, allowLinkLocal: true } as const;
    const refused = await refusal(sending(spec, { times: { sendMs: 300 } }));
    expect(["timeout", "unavailable"]).toContain(refused.code);
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
