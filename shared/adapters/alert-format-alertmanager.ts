/**
 * A notice for an Alertmanager (`POST /api/v2/alerts`): one alert each, and its milder forms as ended. Labels are its
 * identity there, so texts that change are annotations; the severity has to be a label, as routes there go by it, so an
 * alert that got worse is another one, and the one before it has to end. Pure.
 */
import { type Alert, type Notice, type Severity, severities } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import type { AlertmanagerChannel } from "./alert-channel.ts";
import { endOf, isEnded, line, shortened, wordsOf } from "./alert-text.ts";

export interface PostableAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  /** Of an open alert: until when it is open if nothing more is heard. Without it the receiver's own few minutes count. */
  readonly endsAt: string;
}

export function alertmanagerOf(
  whole: Notice,
  holdMs: AlertmanagerChannel["holdMs"],
): readonly PostableAlert[] {
  const notice = shortened(whole, limits.alertTextCharactersMax, whole.alerts.length);
  return notice.alerts.flatMap((alert) => {
    const over = endOf(notice, alert);
    const forMs = notice.isTest === true ? limits.testAlertMs : holdMs[alert.severity];
    const endsMs = isEnded(notice, alert) ? over : notice.decidedMs + forMs;
    const milder = severities.slice(0, severities.indexOf(alert.severity));
    return [
      postable(notice, alert, alert.severity, endsMs),
      ...milder.map((severity) => postable(notice, alert, severity, over)),
    ];
  });
}

function postable(notice: Notice, alert: Alert, severity: Severity, endsMs: number): PostableAlert {
  const words = wordsOf(notice, alert);
  return {
    labels: filled({
      alertname: alert.rule,
      severity,
      service: "daymill",
      job: alert.job,
      day: alert.day,
      subject: alert.subject,
    }),
    annotations: filled({
      summary: `${words.about}: ${words.what}`,
      description: words.cause,
      run_next: words.next,
      state: words.state,
    }),
    startsAt: new Date(alert.sinceMs).toISOString(),
    // An end before the beginning is refused.
    endsAt: new Date(Math.max(endsMs, alert.sinceMs + 1)).toISOString(),
  };
}

/** An empty label is none. */
function filled(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(labels).flatMap(([name, value]) =>
      line(value) === "" ? [] : [[name, line(value)] as const],
    ),
  );
}
