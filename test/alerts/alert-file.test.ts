/**
 * The file of alerts: what is accepted and becomes what, and what each mistake is told: the line, the field and what is
 * allowed, and never what stood there.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseAlerts, readAlertFile } from "../../shared/adapters/alert-file.ts";
import { openUrlProblem } from "../../shared/adapters/alert-file-fields.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { alertRules } from "../../shared/kernel/alert.ts";
import { channelsFor, severityIn } from "../../shared/kernel/alert-routes.ts";
import { type Failure, fromUnknown } from "../../shared/kernel/failure.ts";

const chat = "channels:\n  chat: { kind: slack, url: { env: SLACK_URL } }\n";

function refusal(text: string): Failure {
  try {
    parseAlerts(text, "jobs/alerts.yaml");
  } catch (error) {
    return fromUnknown(error);
  }
  throw new Error("it was accepted");
}

describe("accepted", () => {
  test("one channel is enough: everything goes to it, with times and thresholds of their own", () => {
    const { config, channels, heartbeat } = parseAlerts(chat);
    expect(config).toMatchObject({
      channels: [{ name: "chat", kind: "slack" }],
      routes: [{ severities: [], jobs: [], rules: [], channels: ["chat"], goOn: false }],
      groupWaitMs: 30_000,
      groupIntervalMs: 300_000,
      repeatMs: { critical: 14_400_000, warning: 86_400_000, info: 0 },
      rules: {},
      thresholds: {
        baselineRuns: 14,
        baselineRunsMin: 7,
        slowFactor: 1.5,
        notStartedAfterMs: 1_800_000,
      },
    });
    expect(config.quietHours).toBeUndefined();
    expect(config.heartbeatEveryMs).toBeUndefined();
    expect(heartbeat).toBeUndefined();
    expect(channels).toEqual([
      { kind: "slack", name: "chat", url: { env: "SLACK_URL" }, allowLinkLocal: false },
    ]);
  });

  test("everything at once; paths are found from the file's folder", () => {
    const { config, channels, heartbeat } = parseAlerts(
      `channels:
  mail:
    kind: email
    host: smtp.example.net
    user: daymill
    password: { file: secrets/mail }
    from: Daymill <daymill@example.net>
    to: [ops@example.net]
    ca: ca.pem
  pager: { kind: pagerduty, routing_key: { env: PAGER_KEY } }
  own: { kind: alertmanager, url: "http://alertmanager:9093", headers: { Authorization: { env: AM_AUTH } } }
  hook: { kind: webhook, url: "https://hooks.example.net/daymill", signing: [{ env: NEW }, { env: OLD }] }
routes:
  - { severities: [critical], channels: [pager, mail], go_on: true }
  - { jobs: [sales], rules: [volumeOdd], channels: [mail] }
  - { channels: [own, hook] }
group_wait: 10s
group_interval: 2m
repeat: { critical: 1h, warning: never }
quiet_hours: { from: "22:00", to: "06:00", timezone: Asia/Kolkata }
rules: { leaderChanged: off, runSlow: critical, volumeOdd: { severity: info } }
thresholds: { executors_min: 3, slow_floor: 5m }
heartbeat: { url: { env: LIFE_URL }, every: 5m, method: GET }
`,
      "/etc/daymill/alerts.yaml",
    );
    expect(channels).toEqual([
      {
        ...{
          kind: "email",
          name: "mail",
          host: "smtp.example.net",
          port: 587,
          security: "starttls",
        },
        ...{ from: "Daymill <daymill@example.net>", to: ["ops@example.net"], user: "daymill" },
        password: { file: "/etc/daymill/secrets/mail" },
        ca: "/etc/daymill/ca.pem",
      },
      {
        ...{ kind: "pagerduty", name: "pager", allowLinkLocal: false },
        ...{ url: "https://events.pagerduty.com/v2/enqueue", routingKey: { env: "PAGER_KEY" } },
      },
      {
        ...{ kind: "alertmanager", name: "own", url: "http://alertmanager:9093" },
        ...{ allowLinkLocal: false, headers: { Authorization: { env: "AM_AUTH" } } },
        // Twice the repeat and an interval; told once only: a month. Not told at night: eight hours more.
        holdMs: { critical: 7_320_000, warning: 2_620_800_000, info: 2_620_800_000 },
      },
      {
        ...{ kind: "webhook", name: "hook", url: "https://hooks.example.net/daymill" },
        ...{ allowLinkLocal: false, headers: {}, signing: [{ env: "NEW" }, { env: "OLD" }] },
      },
    ]);
    expect(config).toMatchObject({
      repeatMs: { critical: 3_600_000, warning: 0, info: 0 },
      quietHours: { from: "22:00", to: "06:00", timezone: "Asia/Kolkata" },
      rules: {
        leaderChanged: { off: true },
        runSlow: { severity: "critical" },
        volumeOdd: { severity: "info" },
      },
      thresholds: { executorsMin: 3, slowFloorMs: 300_000 },
      heartbeatEveryMs: 300_000,
    });
    expect(heartbeat).toEqual({ url: { env: "LIFE_URL" }, method: "GET", allowLinkLocal: false });
    const of = (rule: "runFailed" | "volumeOdd", severity: "critical" | "warning", job: string) =>
      channelsFor(config, { rule, severity, job, subject: "" });
    expect(of("runFailed", "critical", "sales")).toEqual(["mail", "pager", "own", "hook"]);
    expect(of("volumeOdd", "critical", "sales")).toEqual(["mail", "pager"]);
    expect(of("volumeOdd", "warning", "sales")).toEqual(["mail"]);
    expect(of("volumeOdd", "warning", "ipdr-daily")).toEqual(["own", "hook"]);
    expect(
      severityIn(config, { rule: "leaderChanged", severity: "info", job: "" }),
    ).toBeUndefined();
    expect(severityIn(config, { rule: "runSlow", severity: "warning", job: "" })).toBe("critical");
  });

  test("the sample beside the jobs", async () => {
    const { channels, config } = await readAlertFile(join(projectRoot(), "jobs/alerts.yaml"));
    expect(new Set(channels.map(({ kind }) => kind)).size).toBe(7);
    for (const rule of alertRules) {
      expect(
        channelsFor(config, { rule, severity: "critical", job: "ipdr-daily", subject: "" }),
      ).not.toEqual([]);
    }
  });
});

describe("refused, with line and field", () => {
  test.each([
    [
      "channels: {}\n",
      "jobs/alerts.yaml:1: channels: at least one channel is needed: nobody would be told",
    ],
    ["# nothing\n", "jobs/alerts.yaml:1: channels: is missing (a map of keys expected)"],
    [
      `${chat}routes: [{ channels: [chart] }]\n`,
      "jobs/alerts.yaml:3: routes.0.channels.0: no channel of that name; did you mean chat? (channels: chat)",
    ],
    [
      `${chat}routes: []\n`,
      "jobs/alerts.yaml:3: routes: no route leads to a channel; leave routes out to tell all",
    ],
    [
      `${chat}routes: [{ channels: [] }]\n`,
      "jobs/alerts.yaml:3: routes.0.channels: a route leads to at least one channel",
    ],
    [
      `${chat}routes: [{ severities: [fatal], channels: [chat] }]\n`,
      "jobs/alerts.yaml:3: routes.0.severities.0: one of info, warning, critical is expected",
    ],
    [
      `${chat}rules: { runFail: off }\n`,
      "jobs/alerts.yaml:3: rules.runFail: no rule of that name; did you mean runFailed? (rules: ",
    ],
    [
      `${chat}rules: { runFailed: loud }\n`,
      "jobs/alerts.yaml:3: rules.runFailed: off, a severity (info, warning, critical), or { off, severity }",
    ],
    [
      `${chat}  chat: { kind: slack, url: { env: OTHER } }\n`,
      "jobs/alerts.yaml:3: not valid YAML: the same key stands here twice",
    ],
    [
      `${chat}group_wiat: 30s\n`,
      "jobs/alerts.yaml:3: group_wiat: unknown key; did you mean group_wait? (allowed: channels, ",
    ],
    [
      `${chat}group_wait: 30\n`,
      "jobs/alerts.yaml:3: group_wait: a duration from 0s to 1h, such as 90s, 30m, 2h or 1d",
    ],
    [
      `${chat}repeat: { critical: often }\n`,
      "jobs/alerts.yaml:3: repeat.critical: a duration from 1m to 30d, such as 4h, or never",
    ],
    [
      `${chat}quiet_hours: { from: "22:00", to: "24:00", timezone: UTC }\n`,
      "jobs/alerts.yaml:3: quiet_hours.to: a time of day from 00:00 to 23:59, such as 06:00, quoted",
    ],
    [
      `${chat}quiet_hours: { from: "22:00", to: "22:00", timezone: UTC }\n`,
      "jobs/alerts.yaml:3: quiet_hours: from and to are the same: quiet hours have a length",
    ],
    [
      `${chat}quiet_hours: { from: "22:00", to: "06:00", timezone: Europe/Berlni }\n`,
      "jobs/alerts.yaml:3: quiet_hours.timezone: an IANA time zone such as UTC or Asia/Kolkata is expected; did you mean Europe/Berlin?",
    ],
    [
      `${chat}thresholds: { baseline_runs_min: 3 }\n`,
      "jobs/alerts.yaml:3: thresholds.baseline_runs_min: fewer than 7 runs say nothing about what is usual",
    ],
    [
      `${chat}thresholds: { slow_factor: 0.5 }\n`,
      "jobs/alerts.yaml:3: thresholds.slow_factor: a multiple above 1, such as 1.5",
    ],
    [
      "channels: { Ops: { kind: slack, url: { env: U } } }\n",
      "jobs/alerts.yaml:1: channels.Ops: a channel's name is [a-z][a-z0-9-]*, at most 63 characters",
    ],
    [
      "channels: { ops: { kind: slak } }\n",
      "jobs/alerts.yaml:1: channels.ops.kind: a channel has a kind, one of email, slack, teams, mattermost, pagerduty, alertmanager, webhook; did you mean slack?",
    ],
    [
      "channels: { ops: { kind: slack } }\n",
      "jobs/alerts.yaml:1: channels.ops.url: is missing: write { env: NAME } for an environment variable or { file: PATH } for a file",
    ],
    [
      "channels: { ops: { kind: alertmanager, url: alertmanager:9093 } }\n",
      "jobs/alerts.yaml:1: channels.ops.url: a URL such as https://host:port/path is expected (http or https)",
    ],
    [
      "channels: { ops: { kind: alertmanager, url: 5 } }\n",
      "jobs/alerts.yaml:1: channels.ops.url: a URL as a text, or",
    ],
    [
      'channels: { ops: { kind: webhook, url: "https://x.net", signing: [] } }\n',
      "jobs/alerts.yaml:1: channels.ops.signing: at least one signing secret: receivers tell our messages from others' by it",
    ],
    [
      'channels: { ops: { kind: webhook, url: "https://x.net", signing: [{ env: S }], headers: { Content-Type: { env: C } } } }\n',
      "jobs/alerts.yaml:1: channels.ops.headers.Content-Type: this header is not yours to set",
    ],
    [
      "channels: { ops: { kind: email, host: m.net, from: a@m.net, to: [] } }\n",
      "jobs/alerts.yaml:1: channels.ops.to: at least 1 is needed",
    ],
    [
      "channels: { ops: { kind: email, host: m.net, from: a@m.net, to: [nobody] } }\n",
      "jobs/alerts.yaml:1: channels.ops.to.0: an address such as ops@example.net",
    ],
    [
      'channels: { ops: { kind: email, host: m.net, from: "a@m.net\\nBcc: b@m.net", to: [c@m.net] } }\n',
      "jobs/alerts.yaml:1: channels.ops.from: an address such as daymill@example.net",
    ],
    [
      "channels: { ops: { kind: email, host: m.net, from: a@m.net, to: [c@m.net], user: x } }\n",
      "jobs/alerts.yaml:1: channels.ops.password: a login is user and password: say both, or none",
    ],
    [
      "channels: { ops: { kind: email, host: m.net, from: a@m.net, to: [c@m.net], user: x, password: { env: P }, security: none } }\n",
      "jobs/alerts.yaml:1: channels.ops.security: a password is not sent without TLS",
    ],
    [
      "channels: { ops: { kind: email, host: 'http://m.net', from: a@m.net, to: [c@m.net] } }\n",
      "jobs/alerts.yaml:1: channels.ops.host: the name or address of a host, without port and protocol",
    ],
    [
      `${chat}heartbeat: { url: "ftp://x.net" }\n`,
      "jobs/alerts.yaml:3: heartbeat.url: a URL such as https://host:port/path is expected (http or https)",
    ],
  ])("%s", (text, message) => {
    const refused = refusal(text);
    expect(refused.code).toBe("jobInvalid");
    expect(refused.message).toContain(message);
    expect(refused.detail).toMatchObject({ file: "jobs/alerts.yaml" });
  });

  test("a file that is not there", async () => {
    await expect(readAlertFile("/nowhere/alerts.yaml")).rejects.toThrow(
      "the file of alerts /nowhere/alerts.yaml does not exist; check the path",
    );
  });
});

describe("URLs in the open", () => {
  test.each([
    "http://alertmanager:9093",
    "https://alertmanager-operated.monitoring.svc:9093/prefix",
    "https://hooks.example.net/daymill/ops-team?format=short",
    "http://10.1.2.3:8080/alerts/production-eu-west-1",
    "https://events.eu.pagerduty.com/v2/enqueue",
  ])("%s may stand there", (url) => {
    expect(openUrlProblem(url)).toBeUndefined();
  });

  test.each([
    ["https://user:pw@hooks.example.net/", "holds a login"],
    ["https://hc-ping.com/5f0f6ab9-7d0c-4e0f-9e3e-0c6b1f2a3d4e", "seems to hold a token"],
    [
      "https://hooks.slack.com/services/T000/B000/XXXXXXXXabcdefgh12345678",
      "seems to hold a token",
    ],
    ["https://x.net/hook?token=abc", "seems to hold a token"],
    ["https://x.net/workflows?sv=1.0&sig=Zm9vYmFy", "seems to hold a token"],
    ["https://x.net/hook#part", "no # part"],
  ])("%s may not", (url, reason) => {
    expect(openUrlProblem(url)).toContain(reason);
  });
});

describe("a secret is never repeated", () => {
  const secret = "hunter2hunter2XYZ";
  const folder = mkdtempSync(join(tmpdir(), "daymill-alert-file-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The sample with each of its values replaced in turn. */
  const sample = readFileSync(join(projectRoot(), "jobs/alerts.yaml"), "utf8");
  const values = [
    ...sample.matchAll(
      /(?<=[:[,] )(?:\{ (?:env|file): [^}]+ \}|"[^"]*"|[A-Za-z0-9][^\s,{}[\]#]*)/g,
    ),
  ];

  test("whatever field it is put into", async () => {
    expect(values.length).toBeGreaterThan(40);
    const told: string[] = [];
    for (const [index, value] of values.entries()) {
      for (const written of [
        secret,
        `*${secret}`,
        `!${secret} 1`,
        `{ ${secret}: 1 }`,
        `https://${secret}@x.net/${secret}`,
      ]) {
        const text = `${sample.slice(0, value.index)}${written}${sample.slice(value.index + value[0].length)}`;
        const path = join(folder, `alerts-${index}.yaml`);
        writeFileSync(path, text);
        await readAlertFile(path).catch((error: unknown) => told.push(fromUnknown(error).message));
      }
    }
    expect(told.length).toBeGreaterThan(values.length);
    expect(told.filter((message) => message.includes(secret))).toEqual([]);
  });

  test.each([
    "channels: { ops: { kind: slack, url: hunter2hunter2XYZ } }",
    "channels: { ops: { kind: slack, url: { hunter2hunter2XYZ } } }",
    "channels: { ops: { kind: slack, url: { env: hunter2hunter2XYZ } } }",
    "channels: { ops: { kind: slack, url: { env: U }, hunter2hunter2XYZ: } }",
    "channels: { ops: { kind: pagerduty, routing_key: *hunter2hunter2XYZ } }",
    "channels: { ops: { kind: pagerduty, routing_key: 'hunter2hunter2XYZ } }",
  ])("%s", (text) => {
    const { message } = refusal(text);
    expect(message).toMatch(/^jobs\/alerts.yaml:\d+: /);
    expect(message).not.toContain(secret);
  });
});
