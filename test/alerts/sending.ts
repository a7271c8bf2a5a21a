/** What tests of the sender share: a place for certificates, senders and receivers that are closed after each test. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { sampleAlert, sampleNotice } from "../../client/alert-samples.ts";
import { httpReceiver } from "../../scripts/alert-kit/receivers.ts";
import { selfSigned } from "../../scripts/alert-kit/self-signed.ts";
import type { ChannelSpec } from "../../shared/adapters/alert-channel.ts";
import { openAlertSender, type SenderTimes } from "../../shared/adapters/alert-sender.ts";
import type { AlertRule, Notice } from "../../shared/kernel/alert.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { AlertSender } from "../../shared/ports.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { failureOf } from "../kit/failures.ts";

const nowMs = Date.UTC(2026, 0, 16, 5, 0);
const folder = mkdtempSync(join(tmpdir(), "daymill-alerts-"));
export const certified = selfSigned();
export const ca = join(folder, "ca.pem");
writeFileSync(ca, certified.cert);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

export const cleanups = cleanupsOfEachTest();

export async function receiving(tls = false) {
  const receiver = await httpReceiver(tls ? certified : undefined);
  cleanups.push(receiver.close);
  return receiver;
}

export const signingKey = Buffer.alloc(32, 9);
export const environment: Record<string, string> = {
  ROUTING_KEY: "r0utingk3y",
  NEW: `whsec_${signingKey.toString("base64")}`,
  OLD: `whsec_${Buffer.alloc(24, 1).toString("base64")}`,
  AUTH: "Bearer t0ken-of-the-receiver",
};

export function sending(
  spec: ChannelSpec,
  more: { times?: Partial<SenderTimes>; lines?: KeptLine[] } = {},
) {
  const log = quietLog(more.lines);
  const times = { sendMs: 4_000, ...more.times };
  const sender = openAlertSender({ channels: [spec], environment, log, times });
  cleanups.push(() => sender.close());
  return sender;
}

let made = 0;
export function notice(
  rules: readonly AlertRule[] = ["runFailed"],
  kind: Notice["kind"] = "opened",
) {
  made += 1;
  const alerts = rules.map((rule) => sampleAlert(rule, nowMs));
  return { ...sampleNotice("ops", alerts, kind, nowMs), id: `n-${made}` };
}

export function refusal(sender: AlertSender, sent = notice()): Promise<Failure> {
  return failureOf(sender.send(sent));
}

export const plain = { name: "ops", allowLinkLocal: false } as const;
