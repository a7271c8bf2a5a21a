/**
 * What is sent of a notice, by the kind of its channel: one mail, or the bodies of one or more calls. No secret is in
 * it, so a dry run may print it; the sender adds what a receiver wants to know us by. Pure.
 */
import type { Notice } from "../kernel/alert.ts";
import type { ChannelSpec } from "./alert-channel.ts";
import { alertmanagerOf } from "./alert-format-alertmanager.ts";
import { type Mail, mailOf } from "./alert-format-email.ts";
import { mattermostOf } from "./alert-format-mattermost.ts";
import { pagerdutyOf } from "./alert-format-pagerduty.ts";
import { slackOf } from "./alert-format-slack.ts";
import { teamsOf } from "./alert-format-teams.ts";
import { webhookOf } from "./alert-format-webhook.ts";

export type Outgoing =
  | { readonly kind: "mail"; readonly mail: Mail }
  /** Sent in this order; the notice is taken when all are. */
  | { readonly kind: "calls"; readonly bodies: readonly object[] };

export function outgoing(spec: ChannelSpec, notice: Notice): Outgoing {
  switch (spec.kind) {
    case "email":
      return { kind: "mail", mail: mailOf(notice, domainOf(spec.from)) };
    case "slack":
      return { kind: "calls", bodies: [slackOf(notice)] };
    case "teams":
      return { kind: "calls", bodies: [teamsOf(notice)] };
    case "mattermost":
      return { kind: "calls", bodies: [mattermostOf(notice)] };
    case "pagerduty":
      return { kind: "calls", bodies: pagerdutyOf(notice) };
    case "alertmanager":
      return { kind: "calls", bodies: [alertmanagerOf(notice, spec.holdMs)] };
    case "webhook":
      return { kind: "calls", bodies: [webhookOf(notice)] };
  }
}

/** What stands after the @ of the sender. */
function domainOf(from: string): string {
  return /@([A-Za-z0-9.-]+)>?$/.exec(from)?.[1] ?? "daymill.invalid";
}
