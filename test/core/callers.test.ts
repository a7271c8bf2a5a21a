// A leader that is replaced tells everybody whom it owes an answer: they ask the next one, and do not wait in vain.
import { expect, test } from "vitest";
import type { Ask, Message } from "../../coordinator/core/protocol.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { atNoon, wish } from "./backfill-story.ts";
import { Bench } from "./bench.ts";

const reply = 900;
const action = { kind: "start", requestId: "one", dryRun: false, wish } as const;
const held = {
  kind: "markDay",
  job: "usage",
  day: "2026-01-12",
  mark: "held",
  reason: "",
} as const;

const waits: readonly { on: Ask["kind"]; message: Message }[] = [
  { on: "append", message: { ...held, reply } },
  { on: "saveDesk", message: { ...held, reply } },
  { on: "planCalendar", message: { kind: "backfill", reply, action } },
  { on: "saveDesk", message: { kind: "backfill", reply, action } },
  { on: "release", message: { kind: "releaseRun", reply, run: "usage.2026-01-11.r1" } },
  { on: "publish", message: { kind: "releaseRun", reply, run: "usage.2026-01-11.r1" } },
  {
    on: "planJob",
    message: {
      kind: "submit",
      reply,
      requestId: "two",
      job: "usage",
      day: "2026-01-12",
      rerun: false,
    },
  },
];

/** The answer of a leader that has to stop before this ask is answered. */
function answerOf(on: Ask["kind"], message: Message) {
  const bench = atNoon(new Bench(), sampleJob({ schedule: "0 1 * * *", backlogDays: 0 }));
  bench.hold = ({ kind }) => kind === on;
  bench.post(message);
  expect(bench.replyTo(reply)).toBeUndefined();
  const hint = { coordinator: "c2", address: "c2:1", beat: 1 };
  bench.post({ kind: "leaderHeard", epoch: bench.state.epochSeen + 1, ...hint });
  return bench.replyTo(reply);
}

test.each(waits)("$message.kind that waits for $on", ({ on, message }) => {
  expect(answerOf(on, message)).toMatchObject({
    kind: "failed",
    failure: { code: "notLeader" },
    leader: "c2:1",
  });
});
