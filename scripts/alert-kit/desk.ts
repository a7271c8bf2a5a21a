/**
 * Everybody who is told in a trial of alerts: one real receiver of each kind, each checking that what comes is as its
 * documentation wants it, one that fails in every way, and a monitor of the heartbeat. Writes the file of alerts.
 */
import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { type AlertSettings, parseAlerts } from "../../shared/adapters/alert-file.ts";
import type { ChannelKind } from "../../shared/kernel/alert.ts";
import {
  answer,
  closes,
  type HttpReceiver,
  hangs,
  httpReceiver,
  type Received,
  type SmtpReceiver,
  smtpReceiver,
} from "./receivers.ts";
import { problemsOf } from "./schemas.ts";
import { selfSigned } from "./self-signed.ts";
import { type Telling, toldBy } from "./tellings.ts";

/** Channels by name; all but the mail's are HTTP. */
const kinds = {
  chat: "slack",
  team: "teams",
  room: "mattermost",
  pager: "pagerduty",
  monitoring: "alertmanager",
  tools: "webhook",
  flaky: "webhook",
} as const satisfies Readonly<Record<string, ChannelKind>>;
type HttpName = keyof typeof kinds;
const httpNames = Object.keys(kinds) as HttpName[];

const taken = answer(200, "ok");

/** Longer than the pause before a second try is by itself. */
export const retryAfterMs = 8_000;

export const channelNames: readonly string[] = ["mail", ...httpNames];

export class AlertDesk {
  readonly settings: AlertSettings;
  /** Of the alert file, and the environment of whoever reads it. */
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly http: Readonly<Record<HttpName, HttpReceiver>>;
  readonly mail: SmtpReceiver;
  readonly monitor: HttpReceiver;
  /** Since when nobody answers, and until when, epoch milliseconds. */
  silentSinceMs = Number.POSITIVE_INFINITY;
  silentUntilMs = Number.POSITIVE_INFINITY;
  readonly #signingKey: Buffer;
  readonly #logins: boolean[];

  private constructor(given: Omit<Opened, "folder">, folder: string, fullShare: number) {
    this.http = given.http;
    this.mail = given.mail;
    this.monitor = given.monitor;
    this.#logins = given.logins;
    this.#signingKey = given.signingKey;
    this.file = path.join(folder, "alerts.yaml");
    this.environment = {
      DAYMILL_ALERTS: this.file,
      TRIAL_MAIL_PASSWORD: given.password,
      TRIAL_PAGER_KEY: "trial-routing-key",
      TRIAL_SIGNING: `whsec_${given.signingKey.toString("base64")}`,
      ...Object.fromEntries(httpNames.map((name) => [urlOf(name), this.http[name].url])),
    };
    const text = yamlOf(this, fullShare);
    writeFileSync(this.file, text);
    this.settings = parseAlerts(text, this.file);
  }

  static async open(folder: string, fullShare: number): Promise<AlertDesk> {
    const certified = selfSigned();
    writeFileSync(path.join(folder, "ca.pem"), certified.cert);
    const password = randomBytes(12).toString("hex");
    const logins: boolean[] = [];
    const mail = await smtpReceiver({
      ...certified,
      onAuth: (login, session, done) => {
        const isRight = login.username === "daymill" && login.password === password;
        logins.push(isRight && session.secure);
        if (isRight) done(null, { user: "daymill" });
        else done(Object.assign(new Error("no such login"), { responseCode: 535 }));
      },
    });
    const opened = await Promise.all(
      httpNames.map(async (name) => [name, await httpReceiver()] as const),
    );
    const http = Object.fromEntries(opened) as unknown as Record<HttpName, HttpReceiver>;
    // In all ways in which a receiver fails; in the end it takes what comes.
    http.flaky.answers = [
      answer(429, "slowly", { "retry-after": String(retryAfterMs / 1_000) }),
      answer(500, "sorry"),
      hangs,
      closes,
      answer(200, "ok"),
    ];
    const signingKey = randomBytes(32);
    const monitor = await httpReceiver();
    return new AlertDesk({ http, mail, monitor, logins, password, signingKey }, folder, fullShare);
  }

  /** Whoever sends something about that job is told nothing; what it sent is kept. The flaky one says when to come again. */
  fallSilent(job: string): void {
    this.silentSinceMs = Date.now();
    const later = answer(503, "later", { "retry-after": "120" });
    for (const name of httpNames) {
      const silent = name === "flaky" ? later : hangs;
      // Nothing else: whoever is told to come again later does so with all that it has.
      this.http[name].answers = [
        (response, { body }) => (body.includes(job) ? silent(response) : taken(response)),
      ];
    }
    this.mail.silentAbout = job;
  }

  speakAgain(): void {
    this.silentUntilMs = Date.now();
    for (const name of httpNames) this.http[name].answers = [taken];
    this.mail.silentAbout = "";
  }

  /** What has come on a channel, in the order in which it came. */
  tellings(channel: string): readonly Telling[] {
    if (channel === "mail") {
      return this.mail.mails.map((mail, index) => ({
        channel,
        atMs: this.mail.mailsAtMs[index] ?? 0,
        id: /^Message-ID: (\S+)/m.exec(mail)?.[1] ?? "",
        alerts: toldBy("email", mail),
      }));
    }
    const name = channel as HttpName;
    return this.http[name].received.map(({ atMs, body, headers }) => ({
      channel,
      atMs,
      id: String(headers["webhook-id"] ?? body),
      alerts: toldBy(kinds[name], body),
    }));
  }

  /** What receivers would have refused: wrong forms, signatures, logins. */
  problems(): readonly string[] {
    const bad = httpNames.flatMap((name) =>
      this.http[name].received.flatMap((call) =>
        [...problemsOf(kinds[name], JSON.parse(call.body)), ...this.#unsigned(name, call)].map(
          (problem) => `${name}: ${problem}`,
        ),
      ),
    );
    const unread = channelNames.flatMap((channel) =>
      this.tellings(channel)
        .filter(({ alerts }) => alerts.length === 0)
        .map(() => `${channel}: a message without alerts`),
    );
    const mails = this.mail.mails.flatMap((mail) =>
      ["text/plain", "text/html", "Message-ID: <", "References: <"]
        .filter((part) => !mail.includes(part))
        .map((part) => `mail: no ${part}`),
    );
    const logins = this.#logins.every(Boolean)
      ? []
      : ["mail: a login that is wrong or in the open"];
    return [...bad, ...unread, ...mails, ...logins];
  }

  #unsigned(name: HttpName, { headers, body }: Received): readonly string[] {
    if (kinds[name] !== "webhook") return [];
    const text = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const mac = createHmac("sha256", this.#signingKey).update(text).digest("base64");
    return headers["webhook-signature"] === `v1,${mac}` ? [] : ["its signature is wrong"];
  }

  async close(): Promise<void> {
    await Promise.all(
      [...Object.values(this.http), this.monitor, this.mail].map((one) => one.close()),
    );
  }
}

interface Opened {
  readonly folder: string;
  readonly http: Readonly<Record<HttpName, HttpReceiver>>;
  readonly mail: SmtpReceiver;
  readonly monitor: HttpReceiver;
  readonly logins: boolean[];
  readonly password: string;
  readonly signingKey: Buffer;
}

function urlOf(name: HttpName): string {
  return `TRIAL_${name.toUpperCase()}_URL`;
}

/** Times as short as the file allows, thresholds that small days reach. */
function yamlOf({ http, mail, monitor }: AlertDesk, fullShare: number): string {
  return `channels:
  mail:
    { kind: email, host: 127.0.0.1, port: ${mail.port}, security: starttls, user: daymill, password: { env: TRIAL_MAIL_PASSWORD },
      from: Daymill <daymill@example.net>, to: [operations@example.net], ca: ca.pem }
  chat: { kind: slack, url: { env: ${urlOf("chat")} } }
  team: { kind: teams, url: { env: ${urlOf("team")} } }
  room: { kind: mattermost, url: { env: ${urlOf("room")} } }
  pager: { kind: pagerduty, routing_key: { env: TRIAL_PAGER_KEY }, url: "${http.pager.url}" }
  monitoring: { kind: alertmanager, url: "${http.monitoring.url}" }
  tools: { kind: webhook, url: "${http.tools.url}", signing: [{ env: TRIAL_SIGNING }] }
  flaky: { kind: webhook, url: "${http.flaky.url}", signing: [{ env: TRIAL_SIGNING }] }
routes:
  - { channels: [monitoring, tools], go_on: true }
  - { rules: [runFailed, checkFailed], channels: [flaky], go_on: true }
  - { severities: [critical], channels: [pager, mail], go_on: true }
  - { channels: [chat, team, room] }
group_wait: 5s
group_interval: 10s
repeat: { critical: 1m, warning: 1m }
thresholds:
  slow_factor: 2.5
  slow_floor: 5s
  trend_factor: 2
  trend_floor: 5s
  rejects_share: 0.01
  executors_min: 2
  backlog_days: 2
  full_share: ${fullShare}
  not_started_after: 1m
heartbeat: { url: "${monitor.url}", every: 10s }
`;
}
