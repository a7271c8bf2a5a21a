// Alerts over a real socket: what each call asks the core, and what the caller gets.
import { describe, expect, test } from "vitest";
import type { AlertStatus } from "../../shared/kernel/alert.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { failureOf } from "../kit/failures.ts";
import { type Script, serve, stamp } from "./serving.ts";

const cleanups = cleanupsOfEachTest();

const served = (script: Script) => serve(script, cleanups);

describe("alerts", () => {
  const match = {
    rule: "runSlow",
    job: "daily",
    day: "",
    subject: "",
    by: "ops",
    reason: "",
  } as const;
  const silence = { ...match, id: "s1", untilMs: 5_000 };

  test("are listed as the core has them; one that is open has no end", async () => {
    const alert: AlertStatus = {
      key: "runSlow/daily//",
      rule: "runSlow",
      severity: "warning",
      job: "daily",
      day: "",
      subject: "",
      summary: "s",
      cause: "c",
      next: "n",
      sinceMs: 1,
      group: "daily",
      state: "open",
      told: ["chat"],
    };
    const channel = { channel: "chat", kind: "slack", state: "working" } as const;
    const channels = [{ ...channel, failures: 0, reason: "", waiting: 0 }];
    const alerts = { isConfigured: true, alerts: [alert], silences: [silence], channels };
    const { client, asked } = await served({ answer: () => ({ kind: "alerts", alerts }) });
    expect(await client.listAlerts({ which: "", job: "daily" })).toEqual({
      stamp,
      ...alerts,
      alerts: [{ ...alert, endedMs: 0 }],
    });
    expect(asked).toMatchObject([{ question: { kind: "alerts", which: "open", job: "daily" } }]);
    const wrong = await failureOf(client.listAlerts({ which: "all", job: "" }));
    expect(wrong.message).toBe('alerts "all" are none of open, history');
  });

  test("are silenced and let speak, a channel is tried", async () => {
    const { client, asked } = await served({
      answer: (message) =>
        message.kind === "alert" && message.action.kind === "silence"
          ? { kind: "silenced", silence }
          : { kind: "said" },
    });
    expect(await client.silenceAlerts({ ...match, forMs: 1_000 })).toEqual({ stamp, silence });
    await client.unsilenceAlerts({ id: "s1" });
    await client.testChannel({ channel: "chat" });
    expect(asked.map((message) => message.kind === "alert" && message.action)).toEqual([
      { kind: "silence", silence: { ...match, forMs: 1_000 } },
      { kind: "unsilence", id: "s1" },
      { kind: "test", channel: "chat" },
    ]);
    const wrong = await failureOf(client.silenceAlerts({ ...match, rule: "slow", forMs: 1 }));
    expect(wrong.message).toMatch(/^rule "slow" is none of: runFailed, /);
  });
});
