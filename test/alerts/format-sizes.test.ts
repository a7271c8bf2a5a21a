/** Whatever an alert holds, and however many there are: each message keeps to its channel's limits and schema. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { problemsOf } from "../../scripts/alert-kit/schemas.ts";
import { alertmanagerOf } from "../../shared/adapters/alert-format-alertmanager.ts";
import { mailOf } from "../../shared/adapters/alert-format-email.ts";
import { mattermostOf } from "../../shared/adapters/alert-format-mattermost.ts";
import { pagerdutyOf } from "../../shared/adapters/alert-format-pagerduty.ts";
import { slackOf } from "../../shared/adapters/alert-format-slack.ts";
import { teamsOf } from "../../shared/adapters/alert-format-teams.ts";
import { webhookOf } from "../../shared/adapters/alert-format-webhook.ts";
import { type Alert, alertRules, type Notice, severities } from "../../shared/kernel/alert.ts";

const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

/** Short texts, and long ones out of what escapes worst, takes most bytes, or is half a character. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc
    .tuple(
      fc.constantFrom(
        "&",
        "<",
        "'",
        "`",
        "@x ",
        "\\",
        '"',
        "é",
        "漢",
        "😀",
        "\ud83d",
        "\0",
        "a b",
        "_",
      ),
      fc.integer({ min: 1, max: 20_000 }),
    )
    .map(([part, times]) => part.repeat(times)),
);

const moment = fc.integer({ min: 0, max: 4_000_000_000_000 });

const alert: fc.Arbitrary<Alert> = fc.record({
  rule: fc.constantFrom(...alertRules),
  severity: fc.constantFrom(...severities),
  ...{ job: text, day: text, subject: text, summary: text, cause: text, next: text },
  // As `alertKey` makes it, or longer.
  key: text.map((end) => `runFailed/${end}`),
  sinceMs: moment,
});

const notice: fc.Arbitrary<Notice> = fc.record({
  ...{ id: text, channel: text, group: text },
  kind: fc.constantFrom("opened" as const, "repeated" as const, "resolved" as const),
  alerts: fc.array(alert, { minLength: 1, maxLength: 40 }),
  omitted: fc.nat({ max: 1_000_000 }),
  decidedMs: moment,
});

const holdMs = { critical: 60_000, warning: 60_000, info: 60_000 };

test("sizes hold for any notice", () => {
  fc.assert(
    fc.property(notice, (given) => {
      // The schema holds Slack's sections to 3,000 characters, PagerDuty's keys to 255 and so on.
      expect(problemsOf("slack", slackOf(given))).toEqual([]);
      const card = teamsOf(given);
      expect(problemsOf("teams", card)).toEqual([]);
      expect(bytes(card)).toBeLessThanOrEqual(21_000);
      expect(JSON.stringify(card).length).toBeLessThanOrEqual(14_336);
      expect(problemsOf("mattermost", mattermostOf(given))).toEqual([]);
      const events = pagerdutyOf(given);
      expect(events).toHaveLength(given.alerts.length);
      for (const event of events) {
        const whole = { routing_key: "k".repeat(32), ...event };
        expect(problemsOf("pagerduty", whole)).toEqual([]);
        expect(bytes(whole)).toBeLessThanOrEqual(512_000);
      }
      expect(problemsOf("alertmanager", alertmanagerOf(given, holdMs))).toEqual([]);
      const event = webhookOf(given);
      expect(problemsOf("webhook", event)).toEqual([]);
      expect(bytes(event)).toBeLessThanOrEqual(20_000);
      const mail = mailOf(given, "example.net");
      expect(Buffer.byteLength(mail.html)).toBeLessThanOrEqual(102_000);
      expect(Buffer.byteLength(mail.text)).toBeLessThanOrEqual(102_000);
      expect(mail.subject.length).toBeLessThanOrEqual(200);
    }),
    { numRuns: 60, endOnFailure: true },
  );
});

test("what is too much is cut where it hurts least: texts first, then alerts, the worst ones stay", () => {
  const long = (index: number): Alert => ({
    rule: "runFailed",
    severity: index === 19 ? "critical" : "warning",
    ...{ job: `job-${index}`, day: "2026-01-15", subject: "", key: `k${index}` },
    ...{ summary: "s".repeat(1_000), cause: "c".repeat(1_000), next: "n".repeat(1_000) },
    sinceMs: 0,
  });
  const given: Notice = {
    ...{ id: "n", channel: "ops", group: "g", kind: "opened", omitted: 2, decidedMs: 0 },
    alerts: Array.from({ length: 20 }, (_, index) => long(index)),
  };
  // 20 alerts of 3,000 characters: Mattermost takes them with shorter texts, Teams fewer of them.
  const { text: told } = mattermostOf(given);
  expect(told).toContain("job-0 2026-01-15");
  expect(told).toContain("job-19 2026-01-15");
  expect(told).toContain("… and 2 more");
  // A program that is not told of one of them would never be: texts as short as can be before one is left out.
  const wide = given.alerts.map((one) => ({
    ...one,
    cause: "é".repeat(1_000),
    next: "é".repeat(1_000),
  }));
  const { data } = webhookOf({ ...given, alerts: wide });
  expect([data.alerts.length, data.omitted]).toEqual([20, 2]);
  const card = JSON.stringify(teamsOf(given));
  expect(card).toContain("job-19 2026-01-15");
  expect(card).toMatch(/… and \d+ more: daymill alerts/);
});
