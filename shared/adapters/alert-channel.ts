/**
 * What a sender has to know of each channel. No secret is in here: only where each one is read when something is sent.
 */
import type { Severity } from "../kernel/alert.ts";

/** An environment variable, or a file: read at each sending, so that a new secret needs no restart where it is a file. */
export type SecretRef = { readonly env: string } | { readonly file: string };

/** A URL that holds no secret, or where one is read that does. */
export type UrlPlace = string | SecretRef;

/** Values that are secrets, by the name of their header. */
export type SecretHeaders = Readonly<Record<string, SecretRef>>;

export interface EmailChannel {
  readonly kind: "email";
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** `starttls`: no message without it. `tls`: from the first byte. `none`: for a relay on this machine; no login. */
  readonly security: "starttls" | "tls" | "none";
  readonly user?: string | SecretRef;
  readonly password?: SecretRef;
  readonly from: string;
  readonly to: readonly string[];
  /** Path of a PEM file: trusted instead of the well-known authorities. */
  readonly ca?: string;
}

/** What all that is called over HTTP has in common. */
export interface HttpPlace {
  readonly url: UrlPlace;
  /** Path of a PEM file: trusted instead of the well-known authorities. */
  readonly ca?: string;
  /** Link-local addresses are where clouds hand out credentials of a machine: refused unless this is true. */
  readonly allowLinkLocal: boolean;
}

export interface ChatChannel extends HttpPlace {
  readonly kind: "slack" | "teams" | "mattermost";
  readonly name: string;
}

export interface PagerdutyChannel extends HttpPlace {
  readonly kind: "pagerduty";
  readonly name: string;
  readonly routingKey: SecretRef;
}

export interface AlertmanagerChannel extends HttpPlace {
  readonly kind: "alertmanager";
  readonly name: string;
  readonly headers: SecretHeaders;
  /** How long the receiver may take an open alert for open without hearing of it again, milliseconds. */
  readonly holdMs: Readonly<Record<Severity, number>>;
}

export interface WebhookChannel extends HttpPlace {
  readonly kind: "webhook";
  readonly name: string;
  readonly headers: SecretHeaders;
  /** At least one; each signs, so that a receiver may know any of them. */
  readonly signing: readonly SecretRef[];
}

export type HttpChannel = ChatChannel | PagerdutyChannel | AlertmanagerChannel | WebhookChannel;

export type ChannelSpec = EmailChannel | HttpChannel;

/** The monitor outside that misses us when we are silent. */
export interface HeartbeatSpec extends HttpPlace {
  readonly method: "GET" | "POST" | "HEAD";
}

/** The secrets that a channel needs, each with the field that names it. */
export function secretsOf(
  spec: ChannelSpec,
): readonly { readonly field: string; readonly ref: SecretRef }[] {
  const found: { field: string; ref: SecretRef }[] = [];
  const add = (field: string, value: string | SecretRef | undefined) => {
    if (typeof value === "object")
      found.push({ field: `channels.${spec.name}.${field}`, ref: value });
  };
  if (spec.kind === "email") {
    add("user", spec.user);
    add("password", spec.password);
    return found;
  }
  add("url", spec.url);
  if (spec.kind === "pagerduty") add("routing_key", spec.routingKey);
  if (spec.kind === "alertmanager" || spec.kind === "webhook") {
    for (const [name, ref] of Object.entries(spec.headers)) add(`headers.${name}`, ref);
  }
  if (spec.kind === "webhook") {
    for (const [index, ref] of spec.signing.entries()) add(`signing.${index}`, ref);
  }
  return found;
}
