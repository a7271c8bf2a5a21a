/**
 * Channels in the file of alerts: the settings of each kind, and what becomes of them. Pure: parsed YAML in, channels
 * out. What routes and rules say is in alert-file-schema.ts.
 */
import { z } from "zod";
import { channelKinds } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import type { ChannelSpec, HttpPlace, SecretHeaders } from "./alert-channel.ts";
import {
  filePath,
  hostName,
  mailAddress,
  mailSender,
  openUrl,
  secret,
  secretUrl,
} from "./alert-file-fields.ts";
import { didYouMean, object } from "./job-fields.ts";

const place = { ca: filePath().optional(), allow_link_local: z.boolean().default(false) };

/** Headers that a message has anyway, or that belong to the connection. */
const ownHeaders =
  /^(content-.*|webhook-.*|host|connection|transfer-encoding|te|trailer|upgrade|expect|user-agent)$/i;

const headers = z
  .record(z.string(), secret)
  .default({})
  .superRefine((value, context) => {
    const refuse = (message: string, path: string[] = []) =>
      context.addIssue({ code: "custom", message, path });
    const names = Object.keys(value);
    if (names.length > limits.headersPerChannelMax) {
      refuse(`at most ${limits.headersPerChannelMax} headers`);
    }
    for (const name of names) {
      if (!/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(name))
        refuse("no name of a header is [A-Za-z0-9-]+");
      else if (ownHeaders.test(name)) refuse("this header is not yours to set", [name]);
    }
  });

const email = object({
  kind: z.literal("email"),
  host: hostName,
  port: z.int().min(1).max(65_535).optional(),
  security: z.enum(["starttls", "tls", "none"]).default("starttls"),
  user: z.union([z.string().min(1).max(320), secret]).optional(),
  password: secret.optional(),
  from: mailSender,
  to: z.array(mailAddress).min(1).max(limits.recipientsMax),
  ca: filePath().optional(),
}).superRefine((value, context) => {
  const refuse = (message: string, path: string[]) =>
    context.addIssue({ code: "custom", message, path });
  if ((value.user === undefined) !== (value.password === undefined)) {
    refuse("a login is user and password: say both, or none", [
      value.user === undefined ? "user" : "password",
    ]);
  }
  if (value.security === "none" && value.password !== undefined) {
    refuse("a password is not sent without TLS: use starttls or tls, or no login", ["security"]);
  }
});

const slack = object({ kind: z.literal("slack"), url: secretUrl, ...place });
const teams = object({ kind: z.literal("teams"), url: secretUrl, ...place });
const mattermost = object({ kind: z.literal("mattermost"), url: secretUrl, ...place });

const pagerduty = object({
  kind: z.literal("pagerduty"),
  routing_key: secret,
  url: openUrl.default("https://events.pagerduty.com/v2/enqueue"),
  ...place,
});

const alertmanager = object({ kind: z.literal("alertmanager"), url: openUrl, headers, ...place });

const webhook = object({
  kind: z.literal("webhook"),
  url: openUrl,
  headers,
  signing: z
    .array(secret)
    .min(1, "at least one signing secret: receivers tell our messages from others' by it")
    .max(limits.signingSecretsMax),
  ...place,
});

export const channel = z.discriminatedUnion(
  "kind",
  [email, slack, teams, mattermost, pagerduty, alertmanager, webhook],
  {
    error: (issue) => {
      const kind = (issue.input as { kind?: unknown } | null | undefined)?.kind;
      const near = typeof kind === "string" ? didYouMean(kind, channelKinds) : "";
      return `a channel has a kind, one of ${channelKinds.join(", ")}${near}`;
    },
  },
);

type ChannelDocument = z.output<typeof channel>;

/** How long an open alert is open to an Alertmanager that hears no more of it. */
export type HoldMs = Extract<ChannelSpec, { kind: "alertmanager" }>["holdMs"];

export function channelSpec(name: string, given: ChannelDocument, holdMs: HoldMs): ChannelSpec {
  switch (given.kind) {
    case "email": {
      const { kind, host, security, from, to, user, password, ca } = given;
      const port = given.port ?? { starttls: 587, tls: 465, none: 25 }[security];
      return {
        ...{ kind, name, host, port, security, from, to },
        ...(user === undefined ? {} : { user }),
        ...(password === undefined ? {} : { password }),
        ...(ca === undefined ? {} : { ca }),
      };
    }
    case "slack":
    case "teams":
    case "mattermost":
      return { kind: given.kind, name, ...placeOf(given) };
    case "pagerduty":
      return { kind: given.kind, name, ...placeOf(given), routingKey: given.routing_key };
    case "alertmanager":
      return { kind: given.kind, name, ...placeOf(given), headers: given.headers, holdMs };
    case "webhook": {
      const { kind, signing } = given;
      return { kind, name, ...placeOf(given), headers: given.headers as SecretHeaders, signing };
    }
  }
}

interface GivenPlace {
  readonly url: HttpPlace["url"];
  readonly ca?: string | undefined;
  readonly allow_link_local: boolean;
}

export function placeOf({ url, ca, allow_link_local }: GivenPlace): HttpPlace {
  return { url, allowLinkLocal: allow_link_local, ...(ca === undefined ? {} : { ca }) };
}

/** The fields of a place that is no channel: the heartbeat's. */
export const heartbeatPlace = { url: openUrl, ...place };
