/**
 * A notice for any other receiver: a CloudEvent (1.0, structured JSON). Its id is the notice's, which stays the same
 * through retries: receivers drop what they have. Signing is in alert-sign.ts. Pure.
 */
import type { Alert, Notice } from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import { sha256Hex } from "../kernel/sha256.ts";
import { bytesIn, fitted, forPrograms, headline, severityTold, wordsOf } from "./alert-text.ts";

export interface CloudAlert {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: "/daymill/alerts";
  readonly type: `daymill.alert.${Notice["kind"]}`;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly data: {
    readonly kind: Notice["kind"];
    readonly group: string;
    readonly channel: string;
    readonly severity: string;
    readonly title: string;
    readonly alerts: readonly Readonly<Record<string, string>>[];
    readonly omitted: number;
  };
}

export function webhookOf(whole: Notice): CloudAlert {
  const fits = (body: CloudAlert) => bytesIn(JSON.stringify(body)) <= limits.webhookBytesMax;
  return fitted(whole, event, fits, forPrograms);
}

function event(notice: Notice): CloudAlert {
  return {
    specversion: "1.0",
    id: noticeId(notice),
    source: "/daymill/alerts",
    type: `daymill.alert.${notice.kind}`,
    subject: notice.group || "daymill",
    time: new Date(notice.decidedMs).toISOString(),
    datacontenttype: "application/json",
    data: {
      kind: notice.kind,
      group: notice.group,
      channel: notice.channel,
      severity: severityTold(notice),
      title: headline(notice),
      alerts: notice.alerts.map((alert) => told(notice, alert)),
      omitted: notice.omitted,
    },
  };
}

function told(notice: Notice, alert: Alert): Readonly<Record<string, string>> {
  const { state, what, since, cause, next } = wordsOf(notice, alert);
  return {
    key: alert.key.length <= limits.pagerdutyKeyCharactersMax ? alert.key : sha256Hex(alert.key),
    rule: alert.rule,
    severity: alert.severity,
    state,
    job: alert.job,
    day: alert.day,
    subject: alert.subject,
    summary: what,
    cause,
    next,
    when: since,
    since: new Date(alert.sinceMs).toISOString(),
    ...(alert.endedMs === undefined ? {} : { ended: new Date(alert.endedMs).toISOString() }),
  };
}

/** As a header carries it: other ids are hashed, the same each time. */
export function noticeId({ id }: Pick<Notice, "id">): string {
  return /^[A-Za-z0-9_-]{1,128}$/.test(id) ? id : sha256Hex(id);
}
