/**
 * Messages of each kind of channel as values: what a person reads, what the receiver's schema takes, and that no text
 * of an alert becomes a mention, a link, markup or a header.
 */
import { describe, expect, test } from "vitest";
import { sampleAlert, sampleNotice } from "../../client/alert-samples.ts";
import { problemsOf } from "../../scripts/alert-kit/schemas.ts";
import { alertmanagerOf } from "../../shared/adapters/alert-format-alertmanager.ts";
import { mailOf } from "../../shared/adapters/alert-format-email.ts";
import { mattermostOf } from "../../shared/adapters/alert-format-mattermost.ts";
import { pagerdutyOf } from "../../shared/adapters/alert-format-pagerduty.ts";
import { slackOf } from "../../shared/adapters/alert-format-slack.ts";
import { teamsOf } from "../../shared/adapters/alert-format-teams.ts";
import { noticeId, webhookOf } from "../../shared/adapters/alert-format-webhook.ts";
import { signed } from "../../shared/adapters/alert-sign.ts";
import { headline, spanText } from "../../shared/adapters/alert-text.ts";
import { type Alert, alertRules, type Notice } from "../../shared/kernel/alert.ts";

const nowMs = Date.UTC(2026, 0, 16, 5, 0);
const failed = sampleAlert("runFailed", nowMs);
const late = sampleAlert("deadlineProjected", nowMs);
const holdMs = { critical: 3_600_000, warning: 7_200_000, info: 60_000 };

function about(kind: Notice["kind"], ...alerts: readonly Alert[]): Notice {
  return { ...sampleNotice("ops", alerts, kind, nowMs), id: "n-1" };
}

describe("what a person reads", () => {
  test("a mail, its thread, and how the forms differ", () => {
    const opened = mailOf(about("opened", failed), "example.net");
    expect(opened.subject).toBe("CRITICAL: ipdr-daily 2026-01-15: the run failed after 4 tries");
    expect(opened.text).toBe(`CRITICAL: ipdr-daily 2026-01-15: the run failed after 4 tries

the run failed after 4 tries
  about:    ipdr-daily 2026-01-15
  state:    open, critical
  when:     since 2026-01-16 02:55 UTC (2 h 05 min)
  cause:    task reduce usage_hourly 12: outOfMemory: the worker was ended at 1.3 GiB
  run next: daymill retry ipdr-daily.2026-01-15.r1
`);
    expect(opened.urgent).toBe(true);
    const again = mailOf({ ...about("repeated", failed), id: "n-2" }, "example.net");
    expect(again.subject).toMatch(/^STILL OPEN \(critical\): ipdr-daily 2026-01-15: /);
    const over = mailOf({ ...about("resolved", failed), id: "n-3" }, "example.net");
    expect(over.subject).toMatch(/^RESOLVED: ipdr-daily 2026-01-15: /);
    expect(over.text).toContain("2026-01-16 02:55 UTC to 2026-01-16 05:00 UTC (2 h 05 min)");
    expect(over.urgent).toBe(false);
    // One thread, three messages; a message that is sent again is the same one.
    expect(new Set([opened, again, over].map(({ references }) => references)).size).toBe(1);
    expect(new Set([opened, again, over].map(({ messageId }) => messageId)).size).toBe(3);
    expect(mailOf(about("opened", failed), "example.net").messageId).toBe(opened.messageId);
    expect(opened.messageId).toMatch(/^<[0-9a-f]{32}\.notice@example\.net>$/);
  });

  test("Slack", () => {
    expect(slackOf(about("opened", late))).toEqual({
      text: "WARNING: ipdr-daily 2026-01-15: will be finished at 06:40; it is to be at 06:00",
      blocks: [
        {
          type: "header",
          text: {
            type: "plain_text",
            text: "WARNING: ipdr-daily 2026-01-15: will be finished at 06:40; it is to be at 06:00",
            emoji: false,
          },
        },
        {
          type: "section",
          text: {
            type: "mrkdwn",
            verbatim: true,
            text: [
              "*open, warning:* will be finished at 06:40; it is to be at 06:00",
              "*About:* ipdr-daily 2026-01-15",
              "*When:* since 2026-01-16 02:55 UTC (2 h 05 min)",
              "*Cause:* `the map stage takes 1.4 times as long as usual`",
              "*Run next:* `daymill watch ipdr-daily.2026-01-15.r1`",
            ].join("\n"),
          },
        },
      ],
      unfurl_links: false,
      unfurl_media: false,
    });
  });

  test("Mattermost: urgent when something critical opens, quiet when it is over", () => {
    const { text, priority } = mattermostOf(about("opened", failed));
    expect(text).toBe(
      [
        "#### CRITICAL: ipdr-daily 2026-01-15: the run failed after 4 tries",
        "",
        "**open, critical:** the run failed after 4 tries",
        "- **About:** ipdr-daily 2026-01-15",
        "- **When:** since 2026-01-16 02:55 UTC (2 h 05 min)",
        "- **Cause:** `task reduce usage_hourly 12: outOfMemory: the worker was ended at 1.3 GiB`",
        "- **Run next:** `daymill retry ipdr-daily.2026-01-15.r1`",
      ].join("\n"),
    );
    expect(priority).toEqual({ priority: "urgent", requested_ack: false });
    expect(mattermostOf(about("resolved", failed)).priority).toBeUndefined();
  });

  test("Teams: all that comes from outside is in text runs", () => {
    const card = teamsOf(about("resolved", failed));
    expect(card.summary).toBe("RESOLVED: ipdr-daily 2026-01-15: the run failed after 4 tries");
    const [{ content }] = card.attachments;
    expect(content.version).toBe("1.4");
    expect(JSON.stringify(content)).not.toMatch(/"(TextBlock|FactSet|Action[^"]*)"/);
    expect(content.body).toHaveLength(2);
  });

  test("PagerDuty: an event for each alert, closed by the same key", () => {
    const ended = { ...failed, endedMs: nowMs };
    const [first, second, ...more] = pagerdutyOf(about("opened", late, ended));
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      event_action: "trigger",
      dedup_key: "deadlineProjected/ipdr-daily/2026-01-15/",
      payload: {
        summary: "ipdr-daily 2026-01-15: will be finished at 06:40; it is to be at 06:00",
        source: "ipdr-daily",
        severity: "warning",
        timestamp: "2026-01-16T02:55:00.000Z",
        class: "deadlineProjected",
        custom_details: { state: "open", run_next: "daymill watch ipdr-daily.2026-01-15.r1" },
      },
    });
    expect(second).toMatchObject({ event_action: "resolve", dedup_key: failed.key });
    const long = { ...failed, key: "k".repeat(600) };
    const [cut] = pagerdutyOf(about("opened", long));
    expect(cut?.dedup_key).toMatch(/^[0-9a-f]{64}$/);
    expect(pagerdutyOf(about("resolved", long))[0]?.dedup_key).toBe(cut?.dedup_key);
  });

  test("Alertmanager: open until it is told again, over when it is over", () => {
    const [open, ...milder] = alertmanagerOf(about("opened", failed), holdMs);
    expect(open).toEqual({
      labels: {
        alertname: "runFailed",
        severity: "critical",
        service: "daymill",
        job: "ipdr-daily",
        day: "2026-01-15",
      },
      annotations: {
        summary: "ipdr-daily 2026-01-15: the run failed after 4 tries",
        description: "task reduce usage_hourly 12: outOfMemory: the worker was ended at 1.3 GiB",
        run_next: "daymill retry ipdr-daily.2026-01-15.r1",
        state: "open",
      },
      startsAt: "2026-01-16T02:55:00.000Z",
      endsAt: "2026-01-16T06:00:00.000Z",
    });
    // It may have been milder before: that one is over.
    expect(milder.map(({ labels, endsAt }) => [labels["severity"], endsAt])).toEqual([
      ["info", "2026-01-16T05:00:00.000Z"],
      ["warning", "2026-01-16T05:00:00.000Z"],
    ]);
    const [over] = alertmanagerOf(about("resolved", failed), holdMs);
    expect(over?.labels).toEqual(open?.labels);
    expect(over?.endsAt).toBe("2026-01-16T05:00:00.000Z");
    // Nobody says that a test is over.
    const [test] = alertmanagerOf({ ...about("opened", failed), isTest: true }, holdMs);
    expect(test?.endsAt).toBe("2026-01-16T05:05:00.000Z");
  });

  test("a webhook's CloudEvent keeps the notice's id", () => {
    const event = webhookOf(about("repeated", failed, late));
    expect(event).toMatchObject({
      specversion: "1.0",
      id: "n-1",
      type: "daymill.alert.repeated",
      time: "2026-01-16T05:00:00.000Z",
      data: { kind: "repeated", severity: "critical", omitted: 0 },
    });
    expect(event.data.alerts.map(({ key, state }) => [key, state])).toEqual([
      ["runFailed/ipdr-daily/2026-01-15/", "still open"],
      ["deadlineProjected/ipdr-daily/2026-01-15/", "still open"],
    ]);
    // An id that is no header's value becomes one.
    expect(noticeId({ id: "ops/ipdr daily\n1" })).toMatch(/^[0-9a-f]{64}$/);
  });

  test("several alerts, of one job, of several, and more than are told", () => {
    const other = { ...failed, job: "sales" };
    expect(headline(about("opened", failed, late))).toBe(
      "CRITICAL: 2 alerts of ipdr-daily 2026-01-15: the run failed after 4 tries, …",
    );
    expect(headline(about("opened", late, other))).toMatch(/^CRITICAL: 2 alerts of 2 jobs: /);
    // A message may tell of some that have ended while others of its group go on.
    const ended = { ...failed, endedMs: nowMs };
    expect(headline(about("repeated", ended, late))).toMatch(
      /^STILL OPEN \(warning\): 2 alerts of ipdr-daily 2026-01-15, 1 ended: the run failed/,
    );
    expect(headline(about("repeated", ended))).toMatch(
      /^RESOLVED IN PART: ipdr-daily 2026-01-15: /,
    );
    expect(mailOf(about("opened", ended, late), "x").urgent).toBe(false);
    const more = { ...about("opened", failed), omitted: 7 };
    expect(headline(more)).toMatch(/^CRITICAL: 8 alerts of ipdr-daily/);
    expect(mailOf(more, "x").text).toContain("… and 7 more: daymill alerts");
    expect(mattermostOf(more).text).toContain("… and 7 more: daymill alerts");
    expect(JSON.stringify(teamsOf(more))).toContain("… and 7 more: daymill alerts");
    expect(JSON.stringify(slackOf(more))).toContain("… and 7 more: daymill alerts");
  });

  test.each([
    [400, "0 s"],
    [59_499, "59 s"],
    [60_000, "1 min"],
    [7_500_000, "2 h 05 min"],
    [3 * 86_400_000 + 4 * 3_600_000, "3 d 04 h"],
    [-5, "0 s"],
  ])("%i ms are %s", (ms, text) => {
    expect(spanText(ms)).toBe(text);
  });
});

test.each(alertRules)("receivers take the sample of %s in each form", (rule) => {
  for (const kind of ["opened", "repeated", "resolved"] as const) {
    const notice = about(kind, sampleAlert(rule, nowMs));
    expect(problemsOf("slack", slackOf(notice))).toEqual([]);
    expect(problemsOf("teams", teamsOf(notice))).toEqual([]);
    expect(problemsOf("mattermost", mattermostOf(notice))).toEqual([]);
    for (const event of pagerdutyOf(notice)) {
      expect(problemsOf("pagerduty", { routing_key: "k", ...event })).toEqual([]);
    }
    expect(problemsOf("alertmanager", alertmanagerOf(notice, holdMs))).toEqual([]);
    expect(problemsOf("webhook", webhookOf(notice))).toEqual([]);
  }
});

describe("no text of an alert is more than text", () => {
  const hostile: Alert = {
    ...failed,
    summary: "<!channel> <@U123> @here @channel <at>all</at> **bold** [a](http://x) & <b>x</b>",
    cause: "`code` ends ``` here @all <script>alert(1)</script> \u202egnp.exe",
    next: "daymill run x; `reboot`",
    subject: 'a"b\r\nBcc: eve@example.net',
  };

  test("Slack", () => {
    const { blocks, text } = slackOf(about("opened", hostile));
    const [header, section] = blocks;
    expect(text).not.toMatch(/[<>]|@(here|channel)/);
    expect(JSON.stringify(header)).not.toMatch(/@(here|channel|all)/);
    if (section?.type !== "section") throw new Error("no section");
    expect(section.text.text).not.toMatch(/[<>]|@(here|channel|all)/);
    expect(section.text.text).toContain("&lt;!channel&gt; &lt;@\u200bU123&gt;");
    expect(section.text.text).toContain("&amp; &lt;b&gt;x");
    // Each code begins and ends on its line.
    const ticks = section.text.text.split("\n").map((one) => one.split("`").length - 1);
    expect(ticks).toEqual([0, 0, 0, 2, 2]);
  });

  test("Mattermost", () => {
    const { text } = mattermostOf(about("opened", hostile));
    expect(text).not.toMatch(/@[a-zA-Z]/);
    expect(text).toContain("\\*\\*bold\\*\\* \\[a\\](http://x)");
    expect(text).toContain("\\<b\\>x");
    expect(text).toContain("`'code' ends ''' here");
  });

  test("Teams", () => {
    const text = JSON.stringify(teamsOf(about("opened", hostile)));
    expect(text).not.toMatch(/<\/?at>/);
    expect(text).not.toContain("entities");
  });

  test("mail: neither markup nor a header", () => {
    const mail = mailOf(about("opened", hostile), "example.net");
    expect(mail.subject).not.toMatch(/[\r\n]/);
    expect(mail.html).not.toContain("<script>");
    expect(mail.html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(mail.html).toContain("a&quot;b Bcc: eve@example.net");
    expect(mail.html + mail.text).not.toMatch(/\u202e/);
  });

  test("each receiver takes it", () => {
    const notice = about("opened", hostile);
    expect(problemsOf("slack", slackOf(notice))).toEqual([]);
    expect(problemsOf("teams", teamsOf(notice))).toEqual([]);
    expect(problemsOf("mattermost", mattermostOf(notice))).toEqual([]);
    expect(problemsOf("alertmanager", alertmanagerOf(notice, holdMs))).toEqual([]);
    expect(problemsOf("webhook", webhookOf(notice))).toEqual([]);
  });
});

test("a signature is the one of the specification's example", () => {
  const field = "channels.ops.signing.0";
  const value = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
  expect(signed(id, '{"test": 2432232314}', 1_614_265_330_999, [{ field, value }])).toEqual({
    "webhook-id": id,
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});
