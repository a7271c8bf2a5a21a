// The AlertSender port: one suite on the memory form and on the real one, which sends to real receivers.
import { describe, expect, test } from "vitest";
import { sampleAlert, sampleNotice } from "../../client/alert-samples.ts";
import { answer, hangs, httpReceiver, smtpReceiver } from "../../scripts/alert-kit/receivers.ts";
import type { ChannelSpec } from "../../shared/adapters/alert-channel.ts";
import { openAlertSender } from "../../shared/adapters/alert-sender.ts";
import type { Notice } from "../../shared/kernel/alert.ts";
import { failure, fromUnknown } from "../../shared/kernel/failure.ts";
import type { AlertSender } from "../../shared/ports.ts";
import { memoryAlertSender } from "../fakes/memory-alert-sender.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { eventually } from "../kit/eventually.ts";

type Behaviour = "takes" | "busy" | "refuses" | "hangs" | "asksForPatience";

interface Opened {
  readonly sender: AlertSender;
  behave(how: Behaviour): void;
  /** How many tries have come as far as the receiver. */
  tries(): number;
  beats(): number;
}

const times = { triesMin: 3, restMs: 800, sendMs: 1_200, windowMs: 10_000, failuresShare: 0.5 };
const cleanups = cleanupsOfEachTest();

const failures = {
  takes: undefined,
  busy: failure("unavailable", "busy"),
  refuses: failure("badRequest", "refused"),
  hangs: failure("timeout", "no answer in time"),
  asksForPatience: failure("unavailable", "later", { retryAfterMs: 4_000 }),
};

const answers = {
  takes: answer(202),
  busy: answer(500),
  refuses: answer(400, "no_text"),
  hangs,
  asksForPatience: answer(429, "", { "retry-after": "4" }),
};

async function overHttp(kind: "slack" | "webhook" | "alertmanager"): Promise<Opened> {
  const receiver = await httpReceiver();
  const life = await httpReceiver();
  const url = { env: "URL" };
  const signing = [{ env: "SIGNING" }];
  const place = { name: "ops", url, allowLinkLocal: false, headers: {} };
  const holdMs = { critical: 60_000, warning: 60_000, info: 60_000 };
  const specs: Record<typeof kind, ChannelSpec> = {
    slack: { kind: "slack", ...place },
    webhook: { kind: "webhook", ...place, signing },
    alertmanager: { kind: "alertmanager", ...place, holdMs },
  };
  const sender = openAlertSender({
    channels: [specs[kind]],
    heartbeat: { url: life.url, method: "POST", allowLinkLocal: false },
    environment: { URL: receiver.url, SIGNING: `whsec_${Buffer.alloc(32, 7).toString("base64")}` },
    log: quietLog(),
    times,
  });
  cleanups.push(receiver.close, life.close, () => sender.close());
  return {
    sender,
    behave: (how) => {
      receiver.answers = [answers[how]];
    },
    tries: () => receiver.received.length,
    beats: () => life.received.length,
  };
}

async function overMail(): Promise<Opened> {
  let how: Behaviour = "takes";
  let tries = 0;
  const refusal = (status: number) => Object.assign(new Error("no"), { responseCode: status });
  const receiver = await smtpReceiver({
    disabledCommands: ["STARTTLS", "AUTH"],
    onMailFrom: (_address, _session, done) => {
      tries += 1;
      if (how === "hangs") return;
      done(how === "busy" ? refusal(451) : how === "refuses" ? refusal(550) : null);
    },
  });
  const life = await httpReceiver();
  const { port } = receiver;
  const spec = { kind: "email", name: "ops", host: "127.0.0.1", port, security: "none" } as const;
  const sender = openAlertSender({
    channels: [{ ...spec, from: "daymill@example.net", to: ["ops@example.net"] }],
    heartbeat: { url: life.url, method: "GET", allowLinkLocal: false },
    environment: {},
    log: quietLog(),
    times,
  });
  cleanups.push(receiver.close, life.close, () => sender.close());
  return {
    sender,
    behave: (next) => {
      how = next;
    },
    tries: () => tries,
    beats: () => life.received.length,
  };
}

const forms: Record<string, () => Promise<Opened>> = {
  "memory sender": async () => {
    const sender = memoryAlertSender(["ops"], times);
    cleanups.push(() => sender.close());
    return {
      sender,
      behave: (how) => sender.fail("ops", failures[how]),
      tries: () => sender.tries,
      beats: () => sender.beats,
    };
  },
  "Slack over HTTP": () => overHttp("slack"),
  "a signed webhook": () => overHttp("webhook"),
  Alertmanager: () => overHttp("alertmanager"),
  "mail over SMTP": overMail,
};

let made = 0;
function notice(channel = "ops"): Notice {
  made += 1;
  return { ...sampleNotice(channel, [sampleAlert("runFailed", 0)], "opened", made) };
}

async function refusal(promise: Promise<void>) {
  return promise.then(() => undefined, fromUnknown);
}

describe.each(Object.entries(forms))("%s", (_, open) => {
  test("what the receiver takes is sent", async () => {
    const { sender, tries, beats } = await open();
    await sender.send(notice());
    expect(tries()).toBe(1);
    await sender.heartbeat();
    expect(beats()).toBe(1);
  });

  test.each([
    ["busy", "unavailable"],
    ["refuses", "badRequest"],
    ["hangs", "timeout"],
  ] as const)("a receiver that %s is %s", async (how, code) => {
    const { sender, behave } = await open();
    behave(how);
    expect(await refusal(sender.send(notice()))).toMatchObject({ code });
  });

  test("a channel that nobody named is refused", async () => {
    const { sender, tries } = await open();
    const refused = await refusal(sender.send(notice("pager")));
    expect(refused).toMatchObject({ code: "badRequest", detail: { channel: "pager" } });
    expect(tries()).toBe(0);
  });

  test("a channel that fails too often is left alone, then tried once", async () => {
    const { sender, behave, tries } = await open();
    const states: string[] = [];
    sender.watchChannels((channel, state) => states.push(`${channel} ${state}`));
    behave("busy");
    for (let count = 0; count < 3; count++) await refusal(sender.send(notice()));
    expect(tries()).toBe(3);
    const refused = await refusal(sender.send(notice()));
    expect(refused).toMatchObject({ code: "unavailable" });
    expect(refused?.detail?.["retryAfterMs"]).toBeGreaterThan(0);
    expect(tries()).toBe(3);
    await eventually(() => states.at(-1) === "ops probing");
    behave("takes");
    await sender.send(notice());
    expect(states).toEqual(["ops working", "ops resting", "ops probing", "ops working"]);
  });

  test("messages that a receiver refuses for good say that it is there", async () => {
    const { sender, behave, tries } = await open();
    behave("refuses");
    for (let count = 0; count < 6; count++) await refusal(sender.send(notice()));
    expect(tries()).toBe(6);
    behave("takes");
    await sender.send(notice());
    expect(tries()).toBe(7);
  });

  test("nothing is sent after the end", async () => {
    const { sender, tries } = await open();
    await sender.close();
    expect(await refusal(sender.send(notice()))).toMatchObject({ code: "unavailable" });
    expect(tries()).toBe(0);
  });
});

// SMTP has no word for how long to wait.
describe.each(Object.entries(forms).filter(([name]) => name !== "mail over SMTP"))(
  "%s",
  (_, open) => {
    test("a receiver that asks for patience has it", async () => {
      const { sender, behave, tries } = await open();
      behave("asksForPatience");
      const first = await refusal(sender.send(notice()));
      expect(first).toMatchObject({ code: "unavailable", detail: { retryAfterMs: 4_000 } });
      behave("takes");
      const second = await refusal(sender.send(notice()));
      expect(second?.code).toBe("unavailable");
      expect(second?.detail?.["retryAfterMs"]).toBeGreaterThan(500);
      expect(tries()).toBe(1);
    });
  },
);
