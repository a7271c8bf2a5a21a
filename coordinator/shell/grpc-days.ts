/** The part of the Coordinator service about days that run by themselves: decode, ask the core, encode. */
import type * as wire from "../../shared/adapters/grpc-types.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { DayMark } from "../core/days/day.ts";
import type { Calls } from "./calls.ts";

const marks: readonly DayMark[] = ["held", "released", "skipped", "wanted"];

export function daysHandlers(calls: Calls) {
  return {
    getBacklog: async ({ job, days }, { signal }) => {
      const question = { kind: "backlog", job, days } as const;
      const { stamp, result } = await calls.question("backlog", question, signal);
      return { stamp, backlog: result.backlog };
    },
    markDay: async ({ job, day, mark, reason }, { signal }) => {
      const known = marks.find((one) => one === mark);
      if (known === undefined) {
        throw fail("badRequest", `mark ${JSON.stringify(mark)} is none of ${marks.join(", ")}`);
      }
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
  } satisfies Partial<wire.CoordinatorHandlers>;
}
