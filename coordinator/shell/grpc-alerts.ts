/** The part of the Coordinator service about alerts: decode, ask the core, encode. */
import type * as wire from "../../shared/adapters/grpc-types.ts";
import { type AlertRule, type AlertStatus, alertRules } from "../../shared/kernel/alert.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { Calls } from "./calls.ts";

export function alertHandlers(calls: Calls) {
  return {
    listAlerts: async ({ which, job }, { signal }) => {
      const question = { kind: "alerts", which: whichOf(which), job } as const;
      const { stamp, result } = await calls.question("alerts", question, signal);
      return { stamp, ...result.alerts, alerts: result.alerts.alerts.map(toWire) };
    },
    silenceAlerts: async (request, { signal }) => {
      const silence = { ...request, rule: ruleOf(request.rule) };
      const { stamp, result } = await calls.ask(
        "silenced",
        (reply) => ({ kind: "alert", reply, action: { kind: "silence", silence } }),
        signal,
      );
      return { stamp, silence: result.silence };
    },
    unsilenceAlerts: async ({ id }, { signal }) => {
      const { stamp } = await calls.ask(
        "said",
        (reply) => ({ kind: "alert", reply, action: { kind: "unsilence", id } }),
        signal,
      );
      return { stamp };
    },
    testChannel: async ({ channel }, { signal }) => {
      const { stamp } = await calls.ask(
        "said",
        (reply) => ({ kind: "alert", reply, action: { kind: "test", channel } }),
        signal,
      );
      return { stamp };
    },
  } satisfies Partial<wire.CoordinatorHandlers>;
}

function whichOf(text: string): "open" | "history" {
  if (text === "" || text === "open") return "open";
  if (text === "history") return "history";
  throw fail("badRequest", `alerts ${JSON.stringify(text)} are none of open, history`);
}

function ruleOf(text: string): AlertRule | "" {
  const rule = alertRules.find((one) => one === text);
  if (text === "" || rule !== undefined) return rule ?? "";
  throw fail("badRequest", `rule ${JSON.stringify(text)} is none of: ${alertRules.join(", ")}`);
}

function toWire(alert: AlertStatus) {
  return { ...alert, endedMs: alert.endedMs ?? 0 };
}
