/** Standbys and candidates beside others of their kind: what they hear late, what they find in the journal. */
import { expect, test } from "vitest";
import { encodeFacts } from "../../coordinator/core/journal-text.ts";
import { ClusterMemory } from "../../scripts/simulation/cluster-memory.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { Bench } from "./bench.ts";

test("a late sign of life of a deposed leader neither hides the new one nor stretches its lease", () => {
  const memory = new ClusterMemory();
  memory.epochs.set(5, "c5");
  const bench = new Bench(memory);
  const hint = (epoch: number) => {
    const from = { coordinator: `c${epoch}`, address: `c${epoch}:1`, beat: 1 };
    bench.post({ kind: "leaderHeard", epoch, ...from });
  };
  hint(5);
  bench.pass(limits.leaseExpiresMs - 500);
  hint(4);
  expect(bench.replyTo(bench.submit())).toMatchObject({ leader: "c5:1" });
  bench.pass(limits.candidateJitterMsMax + 1_000);
  expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 6 });
});

test("a newer leader in the journal ends a candidacy, and the next one is above it", () => {
  const bench = new Bench();
  const [led = ""] = encodeFacts(7, 0, [{ kind: "led", epoch: 7, coordinator: "c7", wallMs: 1 }]);
  // It took epoch 7 in a registry that was lost since, and has not claimed storage yet.
  bench.memory.journal = [{ sequence: 1, text: led }];
  bench.memory.journalLast = 1;
  bench.pass(limits.tickEveryMs);
  expect(bench.state.role.kind).toBe("standby");
  expect(bench.memory.journal.map(({ sequence }) => sequence)).toEqual([1]);
  bench.lead();
  expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 8 });
});

test("a `led` that a server without room refuses is not made in a circle, and soon after there is room", () => {
  const bench = new Bench();
  const appends = bench.withoutRoom();
  bench.pass(limits.tickEveryMs);
  expect(bench.state.role).toMatchObject({ kind: "candidate", epoch: 1 });
  expect(appends()).toBe(2);
  bench.pass(1_000);
  // A look at the journal, 250 ms later another try, and so on.
  expect(appends()).toBe(5);
  bench.override = () => undefined;
  bench.pass(limits.retryBackoffMsMin + limits.tickEveryMs);
  expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 1 });
  expect(bench.memory.journal).toHaveLength(1);
});
