/** Journals that were trimmed behind a snapshot, or lost what the snapshot holds. */
import { expect, test } from "vitest";
import { encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { noNegative, sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

test("what a newer leader has trimmed is not taken for lost: the older candidate gives up", () => {
  const bench = new Bench();
  // Looked at by a standby at its start, by a candidate, and by one that finds a gap.
  let fences = 0;
  const appends: number[] = [];
  bench.override = (ask) => {
    if (ask.kind === "append") appends.push(ask.epoch);
    // While this one reads, epoch 9 leads, and its snapshot has taken the place of records 1 to 40.
    if (ask.kind === "readJournal" && fences === 2) {
      return { kind: "records", last: 41, records: [{ sequence: 41, text: "later" }] };
    }
    if (ask.kind !== "readFences") return undefined;
    return ++fences === 3 ? { kind: "fences", registry: 9, storage: 9 } : undefined;
  };
  bench.lead();
  // It wrote nothing under epoch 1, and leads under a higher one when nobody is heard.
  expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 10 });
  expect([fences, new Set(appends)]).toEqual([4, new Set([10])]);
});

test("a run that a snapshot knows further on than what is left of the journal has no attempts of then", () => {
  const old = new Bench().lead();
  old.attach(1);
  old.submit(sampleJob({ checks: [noNegative] }));
  const planned = old.memory.journalLast;
  for (let tasks = old.takeTasks(); ; tasks = old.takeTasks()) {
    if (tasks[0]?.work.kind === "check") break;
    expect(tasks).not.toEqual([]);
    for (const task of tasks) old.finish(task);
  }
  const [check = ""] = old.state.durable.running;
  expect(old.run()).toMatchObject({ state: "checking" });
  const { memory } = old;
  const texts = encodeSnapshot(old.state.durable);
  memory.snapshot = { sequence: old.state.journal.sequence, texts };
  // NATS loses all that came after the run's first attempts had started.
  memory.journal = memory.journal.filter(({ sequence }) => sequence <= planned);
  memory.journalLast = planned;
  const next = new Bench(memory, "c2");
  next.at = old.at;
  next.lead();
  expect(next.run()).toMatchObject({ state: "running" });
  expect([...next.state.durable.running]).not.toContain(check);
  // Its executor still has the check, which looks at what is not there any more.
  next.attach(1, { runningAttempts: [check] });
  expect(next.commands().map(({ command }) => command)).toContainEqual(
    expect.objectContaining({ kind: "cancelTask", attemptId: check }),
  );
  next.pass(limits.executorLostMs, [1]);
  next.work();
  expect(next.run()).toMatchObject({ state: "committed", checks: [{ state: "passed" }] });
  expect(memory.manifests.get(`usage.${day}.r1`)?.datasets).toMatchObject([{ rows: 8 }]);
});
