// The book of alerts through everything that keeps it: journal, snapshot, storage. The rest is values of pure functions.
import { describe, expect, test } from "vitest";
import { type AlertsFact, alertDocument, bookOf } from "../../../coordinator/core/alerts/book.ts";
import { inhibitedAmong } from "../../../coordinator/core/alerts/inhibition.ts";
import { silenceOf } from "../../../coordinator/core/alerts/muting.ts";
import { emptyDurable } from "../../../coordinator/core/durable.ts";
import { fold } from "../../../coordinator/core/fold.ts";
import { encodeFacts, readFacts } from "../../../coordinator/core/journal-text.ts";
import { decodeSnapshot, encodeSnapshot } from "../../../coordinator/core/snapshot.ts";
import {
  type AlertRule,
  alertKey,
  type Finding,
  type Notice,
  type OpenAlert,
  type Severity,
  type Silence,
} from "../../../shared/kernel/alert.ts";
import { limits } from "../../../shared/kernel/limits.ts";

const day = "2026-01-17";

function found(rule: AlertRule, about: Partial<Finding> = {}): Finding {
  const texts = { summary: "s", cause: "c", next: "n" };
  return { rule, severity: "warning", job: "usage", day, subject: "", ...texts, ...about };
}

function open(rule: AlertRule, severity: Severity = "warning"): OpenAlert {
  const finding = found(rule, { severity });
  return { ...finding, key: alertKey(finding), sinceMs: 1_000, group: "usage" };
}

const late = open("deadlineMissed", "critical");
const slow = open("runSlow");

function notice(id: string, kind: Notice["kind"], alerts: Notice["alerts"]): Notice {
  return { id, channel: "chat", group: "usage", kind, alerts, omitted: 0, decidedMs: 2_000 };
}

const silence: Silence = {
  id: "s1",
  rule: "runSlow",
  job: "usage",
  day: "",
  subject: "",
  untilMs: 9_000,
  by: "ops",
  reason: "",
};

const facts: readonly AlertsFact[] = [
  { kind: "alertOpened", alert: late },
  { kind: "alertOpened", alert: slow },
  {
    kind: "noticeQueued",
    notice: notice("n1", "opened", [late]),
    told: { [late.key]: "critical" },
  },
  { kind: "silenced", silence, wallMs: 2_000 },
  { kind: "noticeDone", id: "n1", outcome: "sent", wallMs: 3_000 },
  { kind: "alertEnded", key: late.key, wallMs: 4_000 },
  { kind: "noticeQueued", notice: notice("n2", "resolved", [late]), told: {} },
];

function bookAfter(some: readonly AlertsFact[]) {
  const durable = emptyDurable();
  for (const fact of some) fold(durable, fact);
  return durable;
}

test("what is folded from the journal is what a snapshot gives", () => {
  const durable = bookAfter(facts);
  const texts = encodeFacts(1, 1, facts);
  const read = texts.flatMap((text) => readFacts({ pieces: [] }, text));
  expect(bookAfter(read as readonly AlertsFact[])).toEqual(durable);
  expect(decodeSnapshot(encodeSnapshot(durable))).toEqual(durable);
  expect(encodeSnapshot(decodeSnapshot(encodeSnapshot(durable)))).toEqual(encodeSnapshot(durable));
  expect(durable.alerts).toMatchObject({ changes: 7, ended: [{ key: late.key, endedMs: 4_000 }] });
  expect([...(durable.alerts?.waiting.keys() ?? [])]).toEqual(["n2"]);
});

test("a snapshot of a cluster without alerts has none", () => {
  const texts = encodeSnapshot(emptyDurable());
  expect(texts.join()).not.toContain("alerts");
  expect(decodeSnapshot(texts)).toEqual(emptyDurable());
});

test("what has ended is remembered for as long as some channel believes it open, however much has ended since", () => {
  const many = Array.from({ length: limits.alertsEndedKept + 100 }, (_, n) => {
    const alert = found("executorLost", { job: "", day: "", subject: `e${n}` });
    return { ...alert, key: alertKey(alert), sinceMs: 1_000, group: "_cluster" };
  });
  const told = Object.fromEntries(many.slice(0, 50).map(({ key }) => [key, "warning"] as const));
  const durable = bookAfter([
    ...many.map((alert) => ({ kind: "alertOpened", alert }) as const),
    { kind: "noticeQueued", notice: notice("n1", "opened", many.slice(0, 20)), told },
    ...many.map(({ key }) => ({ kind: "alertEnded", key, wallMs: 4_000 }) as const),
  ]);
  const { ended = [] } = durable.alerts ?? {};
  expect(ended).toHaveLength(limits.alertsEndedKept);
  expect(Object.keys(told).filter((key) => !ended.some((one) => one.key === key))).toEqual([]);
  // Once it has been said, they are as old as others.
  fold(durable, { kind: "noticeQueued", notice: notice("n2", "resolved", many), told: {} });
  fold(durable, { kind: "alertOpened", alert: slow });
  fold(durable, { kind: "alertEnded", key: slow.key, wallMs: 5_000 });
  expect(durable.alerts?.ended.map(({ key }) => key)).toEqual([
    ...many.slice(1, 50).map(({ key }) => key),
    ...many.slice(-(limits.alertsEndedKept - 50)).map(({ key }) => key),
    slow.key,
  ]);
});

test("one that comes and goes while a channel believes it open is remembered as often as others", () => {
  const durable = bookAfter(facts.slice(0, 6));
  for (let n = 0; n < limits.alertsEndedKept + 10; n++) {
    fold(durable, { kind: "alertOpened", alert: late });
    fold(durable, { kind: "alertEnded", key: late.key, wallMs: 5_000 + n });
  }
  const { ended = [] } = durable.alerts ?? {};
  expect([ended.length, ended.at(-1)?.endedMs]).toEqual([
    limits.alertsEndedKept,
    5_009 + limits.alertsEndedKept,
  ]);
});

describe("the account on storage", () => {
  test("brings back every end that somebody is still to be told, however many they are", () => {
    const ended = Array.from({ length: limits.alertsEndedKept + 20 }, (_, n) => {
      const alert = found("executorLost", { job: "", day: "", subject: `e${n}` });
      return { ...alert, key: alertKey(alert), sinceMs: 1_000, endedMs: 4_000 };
    });
    const alerts = Object.fromEntries(ended.map(({ key }) => [key, "warning"] as const));
    const told = [{ channel: "chat", group: "usage", lastMs: 2_000, alerts }];
    const document = { changes: 9, open: [], ended, waiting: [], told, silences: [] };
    expect(bookAfter([{ kind: "alertsFound", document }]).alerts?.ended).toEqual(ended);
  });

  test("brings back what is open, what waits and who is silent, and what somebody believes open", () => {
    const { alerts } = bookAfter(facts.slice(0, 6));
    if (alerts === undefined) throw new Error("there is a book");
    const document = alertDocument(alerts);
    expect(document.ended.map(({ key }) => key)).toEqual([late.key]);
    const back = bookAfter([{ kind: "alertsFound", document }]).alerts;
    expect(back).toEqual(alerts);
    const later = bookAfter(facts).alerts;
    expect(later && alertDocument(later).ended).toEqual([]);
  });

  test("that is older than the journal changes nothing", () => {
    const durable = bookAfter(facts);
    const before = structuredClone(durable.alerts);
    const empty = bookOf({
      ...{ changes: 7, open: [], ended: [] },
      waiting: [],
      told: [],
      silences: [],
    });
    fold(durable, { kind: "alertsFound", document: alertDocument(empty) });
    expect(durable.alerts).toEqual(before);
  });
});

test("what was given up was told to nobody, what was refused was", () => {
  const after = (outcome: "givenUp" | "refused") =>
    bookAfter([
      ...facts.slice(0, 4),
      { kind: "noticeDone", id: "n1", outcome, wallMs: 3_000 },
    ]).alerts?.told.get("chat|usage")?.alerts;
  expect(after("givenUp")).toEqual({});
  expect(after("refused")).toEqual({ [late.key]: "critical" });
});

test("what was over when a message was given up is still to be said, be it in that message or not", () => {
  const third = open("volumeOdd");
  const toldAll = { [late.key]: "critical", [slow.key]: "warning" } as const;
  const { alerts } = bookAfter([
    { kind: "alertOpened", alert: late },
    { kind: "alertOpened", alert: slow },
    { kind: "noticeQueued", notice: notice("n1", "opened", [late, slow]), told: toldAll },
    { kind: "noticeDone", id: "n1", outcome: "sent", wallMs: 3_000 },
    { kind: "alertEnded", key: slow.key, wallMs: 4_000 },
    { kind: "alertOpened", alert: third },
    {
      kind: "noticeQueued",
      notice: notice("n2", "opened", [third]),
      told: { ...toldAll, [third.key]: "warning" },
    },
    { kind: "noticeDone", id: "n2", outcome: "givenUp", wallMs: 5_000 },
  ]);
  expect(alerts?.told.get("chat|usage")?.alerts).toEqual({ [slow.key]: "warning" });
});

test("a silence matches what it names, until its end", () => {
  const at = (nowMs: number, finding: Finding) => silenceOf([silence], finding, nowMs)?.id;
  expect(at(8_999, slow)).toBe("s1");
  expect(at(9_000, slow)).toBeUndefined();
  expect(at(1_000, late)).toBeUndefined();
  expect(at(1_000, { ...slow, job: "other" })).toBeUndefined();
  expect(at(1_000, { ...slow, subject: "x" })).toBe("s1");
});

describe("inhibition", () => {
  const inhibited = (findings: readonly Finding[], hasOutage = false) => {
    const all = new Map(findings.map((one) => [alertKey(one), one]));
    return [...inhibitedAmong(all, hasOutage)]
      .map((key) => key.replace(`/usage/${day}/`, ""))
      .sort();
  };
  const about = { job: "", day: "" };
  const days = [
    "deadlineMissed",
    "deadlineProjected",
    "runNotStarted",
    "runSlow",
    "volumeOdd",
  ] as const;
  const ofDay = days.map((rule) => found(rule));

  test.each([
    ["too few executors", found("executorsFew", about), days.slice(0, 4)],
    ["no input", found("inputMissing"), days],
    ["no input of another day", found("inputMissing", { day: "2026-01-16" }), []],
    ["a run that failed", found("runFailed"), days.slice(1)],
    ["a new leader", found("leaderChanged", about), ["deadlineProjected", "runSlow"]],
    [
      "a storage that is full",
      found("storageNearLimit", { ...about, severity: "critical" }),
      ["deadlineProjected", "runSlow"],
    ],
    ["a storage that is nearly full", found("storageNearLimit", about), []],
    ["a check that warns", found("checkFailed", { subject: "x" }), []],
  ] as const)("by %s", (_what, by, muted) => {
    expect(inhibited([by, ...ofDay])).toEqual([...muted].sort());
  });

  test("by streams that can't be reached, of models by their day, of records a second by a slow run", () => {
    expect(inhibited(ofDay, true)).toEqual(["deadlineProjected", "runSlow"]);
    const model = found("deadlineMissed", { subject: "totals" });
    expect(inhibited([model])).toEqual([]);
    expect(inhibited([model, found("deadlineMissed")])).toEqual(["deadlineMissedtotals"]);
    expect(inhibited([found("runSlow"), found("throughputLow")])).toEqual(["throughputLow"]);
  });
});
