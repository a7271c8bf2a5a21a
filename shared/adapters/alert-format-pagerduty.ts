/**
 * A notice for PagerDuty (Events API v2): one event for each alert, by its key, so that an incident opens, takes
 * repeats and closes, and a notice that is sent again changes nothing. The routing key is added when it is sent. Pure.
 */
import type { Alert, Notice, Severity } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import { sha256Hex } from "../kernel/sha256.ts";
import { bytesIn, cut, fitted, isEnded, line, wordsOf } from "./alert-text.ts";

export interface PagerdutyEvent {
  readonly event_action: "trigger" | "resolve";
  readonly dedup_key: string;
  readonly client: "Daymill";
  readonly payload: {
    readonly summary: string;
    readonly source: string;
    readonly severity: Severity;
    readonly timestamp: string;
    readonly component: string;
    readonly group: string;
    readonly class: string;
    readonly custom_details: Readonly<Record<string, string>>;
  };
}

export function pagerdutyOf(notice: Notice): readonly PagerdutyEvent[] {
  return notice.alerts.map((alert) =>
    fitted(
      { ...notice, alerts: [alert] },
      (short) => event(short, short.alerts[0] ?? alert),
      (made) => bytesIn(JSON.stringify(made)) + routingKeyBytes <= limits.pagerdutyEventBytesMax,
    ),
  );
}

/** Room for the key that is added when it is sent. */
const routingKeyBytes = 100;

function event(notice: Notice, alert: Alert): PagerdutyEvent {
  const words = wordsOf(notice, alert);
  return {
    event_action: isEnded(notice, alert) ? "resolve" : "trigger",
    dedup_key: dedupKey(alert.key),
    client: "Daymill",
    payload: {
      summary: cut(`${words.about}: ${words.what}`, limits.pagerdutySummaryCharactersMax),
      // Never empty: an event without a source is refused.
      source: line(alert.job) || "daymill",
      severity: alert.severity,
      timestamp: new Date(alert.sinceMs).toISOString(),
      component: line(alert.subject) || "daymill",
      group: line(notice.group) || "daymill",
      class: alert.rule,
      custom_details: {
        state: words.state,
        about: words.about,
        when: words.since,
        cause: words.cause,
        run_next: words.next,
      },
    },
  };
}

/** A key that is too long is another one, the same each time. */
function dedupKey(key: string): string {
  return key.length <= limits.pagerdutyKeyCharactersMax ? key : sha256Hex(key);
}
