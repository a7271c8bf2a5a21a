/** The part of the Coordinator service about days that run by themselves: decode, ask the core, encode. */
import type * as wire from "../../shared/adapters/grpc-types.ts";
import { backfillOrders, redos } from "../../shared/kernel/backfill.ts";
import { dayMarks } from "../../shared/kernel/days.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { Calls } from "./calls.ts";

const backfillMarks = ["pause", "resume", "cancel"] as const;

function oneOf<Word extends string>(what: string, text: string, words: readonly Word[]): Word {
  const known = words.find((one) => one === text);
  if (known !== undefined) return known;
  throw fail("badRequest", `${what} ${JSON.stringify(text)} is none of ${words.join(", ")}`);
}

export function daysHandlers(calls: Calls) {
  return {
    getBacklog: async ({ job, days }, { signal }) => {
      const question = { kind: "backlog", job, days } as const;
      const { stamp, result } = await calls.question("backlog", question, signal);
      return { stamp, backlog: result.backlog };
    },
    markDay: async ({ job, day, mark, reason }, { signal }) => {
      const known = oneOf("mark", mark, dayMarks);
      const { stamp } = await calls.ask(
        "said",
        (reply) => ({ kind: "markDay", reply, job, day, mark: known, reason }),
        signal,
      );
      return { stamp };
    },
    delivered: async ({ job, day, source }, { signal }) => {
      const { stamp } = await calls.ask(
        "said",
        (reply) => ({ kind: "delivered", reply, job, day, source }),
        signal,
      );
      return { stamp };
    },
    pauseBacklog: async ({ job, paused, reason }, { signal }) => {
      const { stamp } = await calls.ask(
        "said",
        (reply) => ({ kind: "pauseBacklog", reply, job, paused, reason }),
        signal,
      );
      return { stamp };
    },
    startBackfill: async ({ requestId, dryRun, ...wish }, { signal }) => {
      const redo = oneOf("redo", wish.redo, redos);
      const order = oneOf("order", wish.order, backfillOrders);
      const start = { kind: "start", requestId, dryRun, wish: { ...wish, redo, order } } as const;
      const { stamp, result } = await calls.ask(
        "backfills",
        (reply) => ({ kind: "backfill", reply, action: start }),
        signal,
      );
      return { stamp, backfills: result.backfills };
    },
    markBackfill: async ({ id, action, reason }, { signal }) => {
      const kind = oneOf("action", action, backfillMarks);
      const { stamp, result } = await calls.ask(
        "backfills",
        (reply) => ({ kind: "backfill", reply, action: { kind, id, reason } }),
        signal,
      );
      return { stamp, backfills: result.backfills };
    },
    listBackfills: async ({ job }, { signal }) => {
      const question = { kind: "backfills", job } as const;
      const { stamp, result } = await calls.question("backfills", question, signal);
      return { stamp, backfills: result.backfills };
    },
    acknowledge: async (wish, { signal }) => {
      const { stamp, result } = await calls.ask(
        "deliveries",
        (reply) => ({ kind: "acknowledge", reply, wish }),
        signal,
      );
      return { stamp, deliveries: result.deliveries };
    },
    listDeliveries: async ({ job, days }, { signal }) => {
      const question = { kind: "deliveries", job, days } as const;
      const { stamp, result } = await calls.question("deliveries", question, signal);
      return { stamp, deliveries: result.deliveries };
    },
  } satisfies Partial<wire.CoordinatorHandlers>;
}
