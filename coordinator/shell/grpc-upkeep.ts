/** The part of the Coordinator service about what lies around: what goes by retention, and late files. */
import type * as wire from "../../shared/adapters/grpc-types.ts";
import type { RevisionOfDay } from "../../shared/kernel/manifest.ts";
import type { Calls } from "./calls.ts";

export function upkeepHandlers(calls: Calls) {
  return {
    gc: async ({ job, dryRun }, { signal }) => {
      const { stamp, result } = await calls.ask(
        "gc",
        (reply) => ({ kind: "upkeep", reply, action: { kind: "gc", job, dryRun } }),
        signal,
      );
      return { stamp, ...result.report };
    },
    listLate: async ({ job }, { signal }) => {
      const { stamp, result } = await calls.question("late", { kind: "late", job }, signal);
      return { stamp, ...result.late };
    },
  } satisfies Partial<wire.CoordinatorHandlers>;
}

/**
 * Retention leaves the revision alone while its rows are sent. Nobody waits for the answer: the core hears messages in the
 * order in which they are posted, and a reader that retention was faster than is told so.
 */
export function pinRevision(
  calls: Calls,
  { job, day, revision }: RevisionOfDay,
  isPinned: boolean,
): void {
  const action = { kind: "pin", revision: { job, day, revision }, isPinned } as const;
  // Also for a caller that has gone.
  const { signal } = new AbortController();
  calls.ask("said", (reply) => ({ kind: "upkeep", reply, action }), signal).catch(() => undefined);
}
