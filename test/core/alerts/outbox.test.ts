// Messages on their way: retries, channels that fail, and leaders that go at the worst moment.
import { describe, expect, test } from "vitest";
import { pauseMs } from "../../../coordinator/core/alerts/outbox.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { Bench } from "../bench.ts";
import {
  alertConfig,
  atNight,
  away,
  keys,
  later,
  lineOf,
  minuteMs,
  openAlerts,
  sends,
  taken,
  textOf,
  withAlerts,
} from "./story.ts";

const few = "executorsFew///";

/** The next coordinator takes over what the last one left in the journal, or on storage. */
function successor(bench: Bench): Bench {
  const next = new Bench(bench.memory, "c2", alertConfig());
  next.wallFrom = bench.wallFrom + bench.at;
  next.lead();
  return next;
}

describe("a channel that takes nothing", () => {
  test("is tried again after growing pauses, with the same id, until it does", () => {
    const bench = atNight(withAlerts(), "no job");
    const times: number[] = [];
    const sent = sends(bench, ({ channel }) => {
      if (channel !== "chat") return undefined;
      times.push(bench.at);
      return times.length < 5 ? away() : undefined;
    });
    bench.pass(4 * minuteMs);
    const chat = sent.filter(({ channel }) => channel === "chat");
    expect(new Set(chat.map(({ id }) => id))).toEqual(new Set(["test-e1-n1"]));
    const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(pauses).toEqual([5_000, 10_000, 20_000, 40_000]);
  });

  test("of one message holds up no other", () => {
    const bench = atNight(withAlerts(), "no job");
    const sent = sends(bench, ({ group }) => (group === "_cluster" ? away() : undefined));
    bench.pass(2 * minuteMs);
    const inputEmpty = { code: "inputEmpty", message: "file 3 is empty" } as const;
    bench.override = (ask) =>
      ask.kind === "listInputs" ? { kind: "failed", failure: inputEmpty } : undefined;
    bench.submit();
    bench.pass(40_000);
    const failed = "runFailed/usage/2026-01-15/";
    expect(taken(bench)).toEqual([`chat opened usage: ${failed}`, `pager opened usage: ${failed}`]);
    expect(sent.filter(({ group }) => group === "_cluster").length).toBeGreaterThan(8);
  });

  test("says when: it is believed, within bounds", () => {
    expect(pauseMs(1, {})).toBe(5_000);
    expect(pauseMs(3, {})).toBe(20_000);
    expect(pauseMs(30, {})).toBe(limits.sendRetryPauseMsMax);
    expect(pauseMs(1, { detail: { retryAfterMs: 90_000 } })).toBe(90_000);
    expect(pauseMs(3, { detail: { retryAfterMs: 1_000 } })).toBe(20_000);
    expect(pauseMs(1, { detail: { retryAfterMs: 1e12 } })).toBe(limits.retryAfterMsMax);
    const bench = atNight(withAlerts(), "no job");
    const sent = sends(bench, () => (sent.length < 2 ? away(60_000) : undefined));
    bench.pass(90_000);
    expect(sent).toHaveLength(2);
    bench.pass(60_000);
    expect(sent.length).toBeGreaterThan(2);
  });

  test("is told of on the other channels, not on itself, and that it is over", () => {
    const bench = atNight(withAlerts(), "no job");
    let isAway = true;
    sends(bench, ({ channel }) => (channel === "chat" && isAway ? away() : undefined));
    bench.pass(8 * minuteMs);
    expect(keys(bench)).toContain("critical channelFailing///chat");
    expect(openAlerts(bench).map(({ rule, told }) => [rule, ...told])).toEqual([
      ["executorsFew", "pager"],
      ["channelFailing", "pager"],
    ]);
    expect(textOf(bench, "channelFailing")).toMatch(
      /^channel chat \(slack\) takes no messages: \d+ tries in a row failed \| hooks.example answers 503 \| daymill alerts test chat$/,
    );
    expect(taken(bench)).toEqual([
      `pager opened _cluster: ${few}`,
      `pager opened _cluster: channelFailing///chat, ${few}`,
    ]);
    isAway = false;
    bench.pass(16 * minuteMs);
    expect(keys(bench)).toEqual([`critical ${few}`]);
    const lines = taken(bench);
    expect(lines[0]).toBe(`chat opened _cluster: ${few}`);
    expect(lines).toContain(`pager repeated _cluster: -channelFailing///chat, ${few}`);
    expect(
      lines.filter((line) => line.startsWith("chat") && line.includes("channelFailing")),
    ).toEqual([]);
  });

  test("is routed nowhere else: all others are told all the same", () => {
    const routes = [
      { severities: [], jobs: [], rules: [], channels: ["chat"], goOn: false },
    ] as const;
    const bench = atNight(withAlerts({ routes }), "no job");
    sends(bench, ({ channel }) => (channel === "chat" ? away() : undefined));
    bench.pass(3 * minuteMs);
    expect(taken(bench)).toEqual(["pager opened _cluster: channelFailing///chat"]);
  });

  test("for a day: the message is given up, that is said, and what is still open is told anew", () => {
    const bench = atNight(withAlerts(), "no job");
    let isAway = true;
    const sent = sends(bench, ({ channel }) => (channel === "chat" && isAway ? away() : undefined));
    bench.pass(3 * minuteMs);
    later(bench, limits.noticeTriedMs, []);
    expect(textOf(bench, "channelFailing")).toMatch(
      /: message test-e1-n1 was given up after 1 d \|/,
    );
    isAway = false;
    bench.pass(16 * minuteMs);
    const chat = sent.filter(({ channel }) => channel === "chat");
    expect(new Set(chat.map(({ id }) => id)).size).toBe(2);
    expect(taken(bench)).toContain(`chat opened _cluster: ${few}`);
  });

  test("and says that trying again is of no use: that message is not sent again", () => {
    const bench = atNight(withAlerts(), "no job");
    const failure = { code: "badRequest", message: "hooks.example answers 410" } as const;
    const sent = sends(bench, ({ channel }) =>
      channel === "chat" ? { kind: "failed", failure } : undefined,
    );
    bench.pass(6 * minuteMs);
    expect(sent.filter(({ channel }) => channel === "chat")).toHaveLength(1);
    expect(textOf(bench, "channelFailing")).toMatch(
      /: message test-e1-n1 was refused \| hooks.example answers 410 \|/,
    );
  });

  test("whose configuration is gone leaves no message behind", () => {
    const bench = atNight(withAlerts(), "no job");
    sends(bench, ({ channel }) => (channel === "chat" ? away() : undefined));
    bench.pass(minuteMs);
    const next = new Bench(
      bench.memory,
      "c2",
      alertConfig({ channels: [{ name: "pager", kind: "pagerduty" }] }),
    );
    next.lead();
    next.pass(20_000);
    expect(next.state.durable.alerts?.waiting.size).toBe(0);
  });

  test("has a breaker: what it says is shown and told", () => {
    const bench = atNight(withAlerts(), "no job");
    const news = {
      kind: "channelChanged",
      channel: "chat",
      state: "resting",
      reason: "5 of 5",
    } as const;
    bench.post(news);
    expect(bench.events()).toContain("channel.changed");
    bench.attach(2);
    bench.pass(30_000, [1]);
    const reply = bench.ask({ kind: "alerts", which: "open", job: "" });
    expect(reply).toMatchObject({
      alerts: {
        channels: [
          { channel: "chat", state: "resting" },
          { channel: "pager", state: "unknown" },
        ],
      },
    });
    expect(keys(bench)).toContain("critical channelFailing///chat");
  });
});

describe("a leader that goes", () => {
  test("between deciding and sending: the next one sends what was decided, under its id", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.hold = ({ kind }) => kind === "sendNotice";
    bench.pass(70_000);
    const decided = bench.heldAsks.flatMap((ask) =>
      ask.kind === "sendNotice" ? [ask.notice] : [],
    );
    expect(decided.map(lineOf)).toEqual([
      `chat opened _cluster: ${few}`,
      `pager opened _cluster: ${few}`,
    ]);
    expect(bench.memory.taken).toEqual([]);
    const next = successor(bench);
    next.pass(3_000);
    expect(next.memory.taken).toEqual(decided);
    // And once only, whoever looks on.
    next.pass(2 * minuteMs);
    expect(next.memory.taken.filter(({ id }) => id.startsWith("test-e1"))).toHaveLength(2);
  });

  test("before its decision is saved: nothing was sent, and the next one decides again", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.pass(35_000);
    bench.hold = ({ kind }) => kind === "append";
    bench.pass(60_000);
    expect(bench.memory.taken).toEqual([]);
    const next = successor(bench);
    next.pass(60_000);
    expect(taken(next)).toContain(`pager opened _cluster: ${few}`);
  });

  test("between sending and remembering: it is sent again, under the same id", () => {
    const bench = atNight(withAlerts(), "no job");
    // Receivers have it; the leader never hears of that.
    bench.override = (ask) => {
      if (ask.kind !== "sendNotice") return undefined;
      bench.memory.taken.push(ask.notice);
      return away();
    };
    bench.pass(50_000);
    const first = [...new Set(bench.memory.taken.splice(0).map(({ id }) => id))];
    expect(first).toEqual(["test-e1-n1", "test-e1-n2"]);
    const next = successor(bench);
    next.pass(2_000);
    expect(next.memory.taken.map(({ id }) => id)).toEqual(first);
    next.pass(30_000);
    expect(next.memory.taken.filter(({ id }) => first.includes(id))).toHaveLength(2);
  });

  test("gives no id that its successor gives, too", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.pass(70_000);
    const next = successor(bench);
    next.pass(7 * minuteMs);
    const ids = next.memory.taken.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(2);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("with the whole journal: what is open, waits and is silenced is on storage", () => {
    const bench = atNight(withAlerts(), "no job");
    const wish = {
      rule: "executorLost",
      job: "",
      day: "",
      subject: "",
      by: "ops",
      reason: "",
    } as const;
    bench.alert({ kind: "silence", silence: { ...wish, forMs: 60 * minuteMs } });
    sends(bench, ({ channel }) => (channel === "chat" ? away() : undefined));
    bench.pass(2 * minuteMs);
    expect(taken(bench)).toEqual([`pager opened _cluster: ${few}`]);
    bench.memory.loseJournal();
    bench.memory.snapshot = undefined;
    bench.memory.take = () => ({ kind: "ok" });
    const next = successor(bench);
    next.pass(2_000);
    expect(taken(next)).toEqual([`chat opened _cluster: ${few}`]);
    const { open, silences } = next.state.durable.alerts ?? {};
    expect(open?.get(few)?.sinceMs).toBe(bench.state.durable.alerts?.open.get(few)?.sinceMs);
    expect(silences).toMatchObject([{ rule: "executorLost", by: "ops" }]);
    next.attach(9);
    next.pass(7 * minuteMs, [9]);
    expect(taken(next)).toContain(`pager resolved _cluster: -${few}`);
  });
});

describe("a test of a channel", () => {
  test("is sent at once, and its outcome told", () => {
    const bench = atNight(withAlerts(), "no job");
    expect(bench.alert({ kind: "test", channel: "chat" })).toEqual({ kind: "said" });
    expect(bench.memory.taken).toMatchObject([
      {
        ...{ channel: "chat", kind: "opened", isTest: true },
        alerts: [{ severity: "info", key: "test/chat" }],
      },
    ]);
    bench.memory.take = () => away();
    expect(bench.alert({ kind: "test", channel: "chat" })).toMatchObject({
      failure: {
        code: "conflict",
        message: "the test message was not taken: hooks.example answers 503",
      },
    });
    expect(bench.alert({ kind: "test", channel: "mail" })).toMatchObject({
      failure: { message: 'channel "mail" is not configured; there are: chat, pager' },
    });
    expect(bench.state.durable.alerts).toBeUndefined();
  });
});

test("a leader that stops tells everybody whom it owes an answer", () => {
  const bench = atNight(withAlerts(), "no job");
  bench.hold = ({ kind }) => kind === "sendNotice" || kind === "saveAlerts";
  const wish = { rule: "", job: "", day: "", subject: "", by: "ops", reason: "" } as const;
  bench.alert({ kind: "silence", silence: { ...wish, forMs: minuteMs } });
  bench.alert({ kind: "silence", silence: { ...wish, subject: "e1", forMs: minuteMs } });
  bench.alert({ kind: "test", channel: "chat" });
  bench.effects = [];
  bench.post({ kind: "stop" });
  const replies = bench.effects.flatMap((one) => (one.kind === "reply" ? [one.result] : []));
  expect(replies).toHaveLength(3);
  for (const reply of replies) expect(reply).toMatchObject({ failure: { code: "noLeader" } });
});

describe("the sign of life", () => {
  test("comes at its interval while somebody leads, one at a time", () => {
    const bench = atNight(withAlerts({ heartbeatEveryMs: 60_000 }), "no job");
    bench.pass(5 * minuteMs, [1]);
    expect(bench.memory.heartbeats).toBeGreaterThanOrEqual(5);
    expect(bench.memory.heartbeats).toBeLessThanOrEqual(6);
    bench.hold = ({ kind }) => kind === "sendHeartbeat";
    bench.pass(5 * minuteMs, [1]);
    expect(bench.heldAsks).toHaveLength(1);
  });

  test("does not leave a leader that can't save what it decides", () => {
    const bench = atNight(withAlerts({ heartbeatEveryMs: 10_000 }), "no job");
    bench.hold = ({ kind }) => kind === "append";
    bench.submit();
    const before = bench.memory.heartbeats;
    bench.pass(minuteMs, [1]);
    expect(bench.memory.heartbeats).toBe(before);
  });
});
