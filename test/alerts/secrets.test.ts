/**
 * A secret put into every field that holds one, with receivers that repeat all they are sent: found in no error, log
 * line, breaker's reason or message.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sampleAlert, sampleNotice } from "../../client/alert-samples.ts";
import { answer, httpReceiver, smtpReceiver } from "../../scripts/alert-kit/receivers.ts";
import type { ChannelSpec } from "../../shared/adapters/alert-channel.ts";
import { outgoing } from "../../shared/adapters/alert-format.ts";
import { scrubbed } from "../../shared/adapters/alert-secrets.ts";
import { openAlertSender } from "../../shared/adapters/alert-sender.ts";
import { DaymillError, fromUnknown } from "../../shared/kernel/failure.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";

const cleanups = cleanupsOfEachTest();

const canary = "C4nary-s3cret/with+signs=&more";
const token = "t0k3nInTheP4th9876";
const times = { sendMs: 2_000, triesMin: 2, restMs: 60_000 };

/** Answers with everything that came: headers, path and body. */
async function echo(status: number) {
  const receiver = await httpReceiver();
  receiver.answers = [
    (response) => {
      const call = receiver.received.at(-1);
      response.writeHead(status, {});
      response.end(`${call?.path} ${JSON.stringify(call?.headers)} ${call?.body}`);
    },
  ];
  cleanups.push(receiver.close);
  return receiver;
}

/** All that was said: errors with all that hangs on them, log lines, reasons of the breaker. */
async function saidBy(spec: ChannelSpec, environment: Record<string, string>): Promise<string> {
  const lines: KeptLine[] = [];
  const said: unknown[] = [lines];
  const log = quietLog(lines);
  const heartbeat = { url: { env: "LIFE" }, method: "POST", allowLinkLocal: false } as const;
  const sender = openAlertSender({ channels: [spec], heartbeat, environment, log, times });
  cleanups.push(() => sender.close());
  sender.watchChannels((...change) => said.push(change));
  const keep = (error: unknown) => {
    if (!(error instanceof DaymillError)) throw error;
    expect(error.cause).toBeUndefined();
    said.push(error.failure, error.stack, String(error));
  };
  for (let count = 0; count < 4; count++) {
    const notice = sampleNotice(spec.name, [sampleAlert("runFailed", 1)], "opened", count + 1);
    await sender.send(notice).catch(keep);
    said.push(outgoing(spec, notice));
  }
  await sender.heartbeat().catch(keep);
  return JSON.stringify(said);
}

function expectClean(said: string, ...secrets: readonly string[]) {
  for (const secret of secrets) {
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
      expect(said).not.toContain(form);
    }
    expect(said).not.toContain(Buffer.from(secret).toString("base64"));
  }
}

describe.each([500, 400, 401, 404, 302, 410])(
  "a receiver that repeats all and answers %i",
  (status) => {
    const place = { name: "ops", url: { env: "URL" }, allowLinkLocal: false } as const;
    const headers = { "X-Api-Key": { env: "HEADER" }, Authorization: { env: "AUTH" } };
    const holdMs = { critical: 1, warning: 1, info: 1 };
    const specs: readonly ChannelSpec[] = [
      { kind: "slack", ...place },
      { kind: "teams", ...place },
      { kind: "mattermost", ...place },
      { kind: "pagerduty", ...place, routingKey: { env: "KEY" } },
      { kind: "alertmanager", ...place, headers, holdMs },
      { kind: "webhook", ...place, headers, signing: [{ env: "SIGN" }, { env: "BAD_SIGN" }] },
    ];

    test.each(specs.map((spec) => [spec.kind, spec] as const))("%s", async (_, spec) => {
      const receiver = await echo(status);
      const signing = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
      const environment = {
        URL: `${receiver.url}/hooks/${token}?sig=${encodeURIComponent(canary)}`,
        LIFE: `${receiver.url}/ping/${token}`,
        ...{ HEADER: canary, AUTH: `Bearer ${canary}`, KEY: canary, SIGN: signing },
        BAD_SIGN: canary,
      };
      const said = await saidBy(spec, environment);
      expectClean(said, canary, token, signing, environment.URL, environment.LIFE);
      expect(said).toContain("channel ops: ");
    });
  },
);

test("a mail server that repeats the login", async () => {
  const receiver = await smtpReceiver({
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    onMailFrom: (_address, _session, done) =>
      done(Object.assign(new Error(`who is ${canary}?`), { responseCode: 550 })),
  });
  cleanups.push(receiver.close);
  const folder = mkdtempSync(join(tmpdir(), "daymill-secrets-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "password"), `${canary}\n`);
  for (const security of ["none", "starttls", "tls"] as const) {
    const said = await saidBy(
      {
        ...{ kind: "email", name: "ops", host: "127.0.0.1", port: receiver.port, security },
        ...{ from: "daymill@example.net", to: ["ops@example.net"] },
        user: { env: "USER" },
        password: { file: join(folder, "password") },
      },
      { USER: token, LIFE: `http://127.0.0.1:1/${token}` },
    );
    expectClean(said, canary, token);
    expect(said).toContain("channel ops: ");
  }
});

test("a secret that lies where an answer is cut leaves no half", async () => {
  const padded = (units: number) => `${"x".repeat(units)}${canary}`;
  const receiver = await httpReceiver();
  cleanups.push(receiver.close);
  const key = { env: "KEY" };
  const place = { name: "ops", url: receiver.url, allowLinkLocal: false } as const;
  for (const units of [175, 185, 195]) {
    receiver.answers = [answer(401, padded(units))];
    const said = await saidBy(
      { kind: "pagerduty", ...place, routingKey: key },
      { KEY: canary, LIFE: "http://127.0.0.1:1/" },
    );
    expect(said).not.toContain(canary.slice(0, 4));
    expect(said).toContain("the receiver answered 401: xxx");
    const mail = await smtpReceiver({
      disabledCommands: ["STARTTLS", "AUTH"],
      onMailFrom: (_address, _session, done) =>
        done(Object.assign(new Error(`${"x".repeat(units)}${token}@x.net`), { responseCode: 451 })),
    });
    cleanups.push(mail.close);
    const answered = await saidBy(
      {
        ...{ kind: "email", name: "ops", host: "127.0.0.1", port: mail.port, security: "none" },
        ...{ from: "daymill@example.net", to: [`${token}@x.net`] },
      },
      { LIFE: "http://127.0.0.1:1/" },
    );
    expect(answered).not.toContain(token.slice(0, 4));
    expect(answered).toContain("the mail server answered: 451 xxx");
  }
});

test("logins and addresses that are written out are not repeated either", async () => {
  const receiver = await smtpReceiver({
    disabledCommands: ["STARTTLS", "AUTH"],
    onRcptTo: ({ address }, session, done) => {
      const { mailFrom } = session.envelope;
      const from = mailFrom === false ? "" : mailFrom.address;
      done(Object.assign(new Error(`${from} may not write to ${address}`), { responseCode: 550 }));
    },
  });
  cleanups.push(receiver.close);
  const said = await saidBy(
    {
      ...{ kind: "email", name: "ops", host: "127.0.0.1", port: receiver.port, security: "none" },
      ...{ from: "s3nder@example.net", to: ["r3cipient@example.net"] },
    },
    { LIFE: "http://127.0.0.1:1/" },
  );
  expectClean(said, "s3nder@", "r3cipient@");
  expect(said).toContain("550 *** may not write to ***");
});

test("secrets that are none: the error names field and variable, not what is in it", async () => {
  const environment = { URL: `not a url ${canary}`, LIFE: canary, KEY: `${canary}\n${canary}` };
  const place = { name: "ops", allowLinkLocal: false, headers: {} } as const;
  const signing = [{ env: "KEY" }];
  const badUrl = await saidBy({ kind: "slack", ...place, url: { env: "URL" } }, environment);
  expectClean(badUrl, canary);
  expect(badUrl).toContain("channels.ops.url: what is there is no http or https URL");
  expect(badUrl).toContain("heartbeat.url: what is there is no http or https URL");
  const url = "http://127.0.0.1:9";
  const badKey = await saidBy({ kind: "webhook", ...place, url, signing }, environment);
  expectClean(badKey, canary);
  expect(badKey).toContain("channels.ops.signing.0: a signing secret is whsec_");
  const badHeader = await saidBy(
    { kind: "webhook", ...place, url, signing, headers: { "X-Key": { env: "KEY" } } },
    environment,
  );
  expectClean(badHeader, canary);
  expect(badHeader).toContain("channels.ops.headers.X-Key: a header's value is one line of ASCII");
});

test("a file that is missing, empty or too large, by its path", async () => {
  const folder = mkdtempSync(join(tmpdir(), "daymill-secrets-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "empty"), "\n");
  writeFileSync(join(folder, "large"), "x".repeat(9_000));
  for (const [name, what] of [
    ["missing", "cannot be read (ENOENT)"],
    ["empty", "is empty"],
    ["large", "is over 8192 bytes"],
  ] as const) {
    const file = join(folder, name);
    const sender = openAlertSender({
      channels: [{ kind: "slack", name: "ops", url: { file }, allowLinkLocal: false }],
      ...{ environment: {}, log: quietLog(), times },
    });
    cleanups.push(() => sender.close());
    const notice = sampleNotice("ops", [sampleAlert("runFailed", 1)], "opened", 1);
    const refused = await sender.send(notice).then(() => undefined, fromUnknown);
    expect(refused?.message).toContain(`channel ops: channels.ops.url: ${file} ${what}`);
  }
});

test("whatever a secret is, scrubbing leaves none of it", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), fc.string(), (secret, before, after) => {
      // A text that holds nothing but the mark tells nothing.
      fc.pre(!"***".includes(secret));
      const clean = scrubbed(`${before}${secret}${after}`, [secret]);
      expect(clean).not.toContain(secret);
    }),
    { examples: [["*a*", "*", "a*"]] },
  );
});
