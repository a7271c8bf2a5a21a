// Alerts as `daymill alerts` prints them.
import { expect, test } from "vitest";
import { alertLines, historyLines, silenceText } from "../../client/alert-view.ts";
import type { AlertStatus } from "../../shared/adapters/grpc-types-alerts.ts";

const nowMs = Date.parse("2026-01-18T06:00:00Z");

const late: AlertStatus = {
  key: "deadlineMissed/usage/2026-01-17/",
  rule: "deadlineMissed",
  severity: "critical",
  job: "usage",
  day: "2026-01-17",
  subject: "",
  summary: "usage 2026-01-17 is late: it was to be done at 2026-01-18 05:00 UTC",
  cause: "running: usage.2026-01-17.r1: running, 3 of 9 tasks",
  next: "daymill watch usage.2026-01-17.r1",
  sinceMs: nowMs - 3_600_000,
  endedMs: 0,
  group: "usage",
  state: "open",
  told: ["chat", "pager"],
};
const lost: AlertStatus = {
  ...late,
  ...{ key: "executorLost///e2", rule: "executorLost", severity: "warning", job: "", day: "" },
  ...{ subject: "", summary: "executor e2 is lost", cause: "it is silent", state: "silenced" },
  told: [],
};
const silence = {
  ...{ id: "s3", rule: "executorLost", job: "", day: "", subject: "" },
  ...{ untilMs: nowMs, by: "ops", reason: "maintenance" },
};
const channels = [
  { channel: "chat", kind: "slack", state: "working", failures: 0, reason: "", waiting: 0 },
  { channel: "pager", kind: "pagerduty", state: "resting", failures: 6, reason: "503", waiting: 2 },
];
const found = { isConfigured: true, alerts: [late, lost], silences: [silence], channels };

test("open alerts with what to do, silences, channels", () => {
  const lines = alertLines(found, nowMs).filter((line) => !line.startsWith("─"));
  expect(lines).toEqual([
    "SEVERITY  RULE            ABOUT             SINCE       TOLD",
    "critical  deadlineMissed  usage 2026-01-17  1 h 00 min  chat, pager",
    "warning   executorLost    the cluster       1 h 00 min  silenced",
    "",
    late.summary,
    `  cause: ${late.cause}`,
    `  next:  ${late.next}`,
    "",
    lost.summary,
    "  cause: it is silent",
    `  next:  ${late.next}`,
    "",
    "silence s3 until 2026-01-18 06:00:00Z: rule executorLost (ops: maintenance)",
    "",
    "CHANNEL  KIND       STATE    WAITING  LAST TRIES",
    "chat     slack      working  0",
    "pager    pagerduty  resting  2        6 failed: 503",
  ]);
});

test("nothing is wrong, nothing is configured, nothing has ended", () => {
  const none = { ...found, alerts: [], silences: [] };
  expect(alertLines(none, nowMs)[0]).toBe("nothing is wrong");
  expect(historyLines(none)).toEqual(["no alert has ended yet"]);
  const unconfigured = { ...none, isConfigured: false };
  const text = "no alerts are configured: start coordinators with --alerts FILE";
  expect([alertLines(unconfigured, nowMs), historyLines(unconfigured)]).toEqual([[text], [text]]);
});

test("what has ended", () => {
  const ended = { ...late, endedMs: nowMs, state: "ended", told: [] };
  expect(historyLines({ ...found, alerts: [ended] })[2]).toMatch(
    /^critical {2}deadlineMissed {2}usage 2026-01-17 {2}2026-01-18 05:00:00Z {2}2026-01-18 06:00:00Z {2}usage 2026-01-17 is late/,
  );
});

test("a silence of everything says so", () => {
  expect(silenceText({ ...silence, rule: "", by: "", reason: "" })).toBe(
    "silence s3 until 2026-01-18 06:00:00Z: everything (somebody)",
  );
});
