// Messages that are given up, and what is said all the same: nobody believes for ever what is over, or is left without news.
import { describe, expect, test } from "vitest";
import { fold } from "../../../coordinator/core/fold.ts";
import type { Notice } from "../../../shared/kernel/alert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { Bench } from "../bench.ts";
import {
  alertConfig,
  atNight,
  away,
  keys,
  later,
  minuteMs,
  sends,
  taken,
  textOf,
  withAlerts,
} from "./story.ts";

const few = "executorsFew///";

describe("a channel that takes nothing", () => {
  test("for a day: that something is over is said all the same, when it takes messages again", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.pass(2 * minuteMs);
    expect(taken(bench)).toContain(`chat opened _cluster: ${few}`);
    let isAway = true;
    sends(bench, ({ channel }) => (channel === "chat" && isAway ? away() : undefined));
    bench.attach(9);
    bench.pass(6 * minuteMs, [9]);
    expect(taken(bench)).toContain(`pager resolved _cluster: -${few}`);
    later(bench, limits.noticeTriedMs, [9]);
    expect(textOf(bench, "channelFailing")).toMatch(/ was given up after 1 d \|/);
    isAway = false;
    bench.pass(16 * minuteMs, [9]);
    expect(taken(bench)).toContain(`chat opened _cluster: executorLost///e1, -${few}`);
    expect(bench.state.durable.alerts?.told.get("chat|_cluster")?.alerts).toEqual({});
  });

  test("of one message, and takes a test: it does not fail any more", () => {
    const bench = atNight(withAlerts(), "no job");
    const failure = { code: "badRequest", message: "hooks.example answers 422" } as const;
    sends(bench, ({ channel, group }) =>
      channel === "chat" && group === "_cluster" ? { kind: "failed", failure } : undefined,
    );
    bench.pass(2 * minuteMs);
    expect(keys(bench)).toContain("critical channelFailing///chat");
    expect(bench.alert({ kind: "test", channel: "chat" })).toEqual({ kind: "said" });
    bench.pass(2 * minuteMs);
    expect(keys(bench)).toEqual([`critical ${few}`]);
  });
});

describe("more messages wait than there is room for", () => {
  const group = (n: number) => `g${n}`;

  /** As many as there may be wait for the chat, each of a group of its own. */
  function full(bench: Bench): void {
    const texts = { summary: "s", cause: "c", next: "n" };
    const about = { rule: "runSlow", severity: "warning", job: "", day: "", ...texts } as const;
    for (let n = 0; n < limits.noticesWaitingMax; n++) {
      const alert = { ...about, subject: group(n), key: `runSlow///${group(n)}`, sinceMs: 0 };
      const notice: Notice = {
        ...{ id: `test-e0-n${n}`, channel: "chat", group: group(n), kind: "opened", omitted: 0 },
        ...{ alerts: [alert], decidedMs: bench.wallFrom + bench.at },
      };
      const told = { [alert.key]: "warning" } as const;
      fold(bench.state.durable, { kind: "noticeQueued", notice, told });
    }
  }

  test("the oldest goes, but not the one that its channel is just being sent", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.pass(20_000, [1]);
    full(bench);
    bench.hold = (ask) => ask.kind === "sendNotice" && ask.notice.channel === "chat";
    bench.pass(50_000);
    expect(bench.heldAsks).toMatchObject([{ notice: { id: "test-e0-n0" } }]);
    const { waiting } = bench.state.durable.alerts ?? { waiting: new Map() };
    // Two came: one for the chat, and one that the pager has taken.
    expect([...waiting.keys()].slice(0, 2)).toEqual(["test-e0-n0", "test-e0-n3"]);
    expect(waiting.size).toBe(limits.noticesWaitingMax - 1);
  });
});

describe("a clock that was put back", () => {
  test("keeps nobody from being told: the last leader's was a day ahead", () => {
    const bench = atNight(withAlerts(), "no job");
    bench.wallFrom += 24 * 60 * minuteMs;
    bench.pass(70_000);
    expect(taken(bench)).toContain(`pager opened _cluster: ${few}`);
    const next = new Bench(bench.memory, "c2", alertConfig());
    next.wallFrom = bench.wallFrom + bench.at - 24 * 60 * minuteMs;
    next.lead();
    next.attach(9);
    next.pass(7 * minuteMs, [9]);
    expect(taken(next)).toContain(`pager resolved _cluster: -${few}`);
  });
});
