/**
 * `daymill alerts check` as a user meets it: what would be sent to whom, without a cluster, and a sample that is sent.
 * Needs ./scripts/build; DAYMILL_TEST_DIST names another folder of compiled files.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { alertsCommand } from "../../client/commands/alerts.ts";
import { answer, type HttpReceiver, httpReceiver } from "../../scripts/alert-kit/receivers.ts";
import { projectRoot } from "../../shared/adapters/project.ts";

const dist = process.env["DAYMILL_TEST_DIST"] ?? join(projectRoot(), "dist");
const folder = mkdtempSync(join(tmpdir(), "daymill-alerts-check-"));
const file = join(folder, "alerts.yaml");
let receiver: HttpReceiver;
beforeAll(async () => {
  receiver = await httpReceiver();
});
afterEach(() => {
  receiver.received.length = 0;
  receiver.answers = [answer(200)];
});
afterAll(async () => {
  await receiver.close();
  rmSync(folder, { recursive: true, force: true });
});

const settings = `channels:
  mail: { kind: email, host: m.net, from: a@m.net, to: [b@m.net], user: u, password: { env: MAIL_PASSWORD } }
  chat: { kind: slack, url: { env: CHAT_URL } }
  pager: { kind: pagerduty, routing_key: { env: PAGER_KEY } }
routes:
  - { severities: [critical], channels: [pager, mail] }
  - { severities: [warning], channels: [chat] }
rules: { leaderChanged: off, runSlow: critical }
`;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command in this process: what it writes is caught. */
async function check(text: string, ...args: readonly string[]): Promise<Ended> {
  writeFileSync(file, text);
  process.env["CHAT_URL"] = `${receiver.url}/hook/s3cretPart`;
  const written = { out: "", err: "" };
  const catching = (name: keyof typeof written) => (chunk: unknown) => {
    written[name] += String(chunk);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(catching("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(catching("err")),
  ];
  try {
    await alertsCommand().parseAsync(["check", file, ...args], { from: "user" });
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  const code = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { code, ...written };
}

/** The compiled command. */
function daymill(...words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(dist, "client/main.js"), ...words], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe("a dry run", () => {
  test("says who is told of each rule and what, and what is missing; sends nothing", async () => {
    const { code, out } = await check(settings);
    expect(code).toBe(0);
    expect(out).toContain(`${file}: 3 channels, 2 routes\n`);
    expect(out).toContain(
      "warning: mail: channels.mail.password: the environment variable MAIL_PASSWORD is not set",
    );
    expect(out).toContain("\nrunFailed (critical): mail, pager\n");
    expect(out).toContain("\nrunSlow (critical): mail, pager\n");
    expect(out).toContain("\nvolumeOdd (warning): chat\n");
    expect(out).toContain("\nleaderChanged: off\n");
    expect(out).toContain(
      "--- runFailed to mail (email)\nSubject: CRITICAL: ipdr-daily 2026-01-15: the run failed after 4 tries\n",
    );
    expect(out).toContain('--- runFailed to pager (pagerduty)\n{\n  "event_action": "trigger"');
    expect(out).not.toContain("s3cretPart");
    expect(receiver.received).toEqual([]);
  });

  test("of one rule, another form, as JSON", async () => {
    const { code, out } = await check(
      settings,
      "--rule",
      "volumeOdd",
      "--kind",
      "resolved",
      "--json",
    );
    expect(code).toBe(0);
    const [told, ...more] = (JSON.parse(out) as { rules: Record<string, unknown>[] }).rules;
    expect(more).toEqual([]);
    expect(told).toMatchObject({ rule: "volumeOdd", severity: "warning", channels: ["chat"] });
    expect(out).toContain("RESOLVED: ipdr-daily 2026-01-15");
  });

  test("a bad file is refused with line and field", async () => {
    const { code, err } = await check(settings.replace("[chat]", "[chart]"));
    expect(code).toBe(3);
    expect(err).toContain(
      `error: ${file}:7: routes.1.channels.0: no channel of that name; did you mean chat?`,
    );
  });

  test("a rule or channel that is none is a wrong command line", async () => {
    const rule = await check(settings, "--rule", "runFail");
    expect([rule.code, rule.err]).toEqual([
      2,
      "error: --rule runFail: no rule of that name; did you mean runFailed?\n",
    ]);
    const channel = await check(settings, "--send", "caht");
    expect([channel.code, channel.err]).toEqual([
      2,
      "error: --send caht: no channel of that name; did you mean chat?\n",
    ]);
  });
});

describe("--send", () => {
  test("sends a sample to one channel, whatever the routes say", async () => {
    const { code, out } = await check(settings, "--send", "chat");
    expect([code, out]).toEqual([0, "a sample of runFailed was sent to chat\n"]);
    expect(receiver.received.map(({ path }) => path)).toEqual(["/hook/s3cretPart"]);
    expect(receiver.received[0]?.body).toContain("the run failed after 4 tries");
  });

  test.each([
    [400, 3],
    [503, 69],
  ])("an answer of %i ends with %i, and the URL is not told", async (status, wanted) => {
    receiver.answers = [answer(status, "no /hook/s3cretPart here")];
    const { code, out, err } = await check(settings, "--send", "chat", "--rule", "volumeOdd");
    expect(code).toBe(wanted);
    expect(out).toBe("");
    expect(err).toContain(`error: channel chat: the receiver answered ${status}: no /*** here; `);
  });

  test("a secret that is not there", async () => {
    const { code, err } = await check(settings, "--send", "pager");
    expect(code).toBe(69);
    expect(err).toContain(
      "error: channel pager: channels.pager.routing_key: the environment variable PAGER_KEY is not set",
    );
  });
});

test("the compiled command: exit codes of a good file and of a wrong command line", async () => {
  const sample = join(projectRoot(), "jobs/alerts.yaml");
  const good = await daymill("alerts", "check", sample, "--rule", "runFailed");
  expect(good.code).toBe(0);
  expect(good.out).toContain(
    "runFailed (critical): ops-mail, ops-chat, ops-teams, ops-mattermost, pager, monitoring, own-tools",
  );
  expect((await daymill("alerts", "check")).code).toBe(2);
});
