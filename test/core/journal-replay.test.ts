// Journal records and what a replay of them gives.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyDurable } from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { encodeFacts, readFacts } from "../../coordinator/core/journal-text.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { noNegative, sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const _unavailable = { kind: "failed", failure: failure("unavailable", "no answer") } as const;

describe("records", () => {
  const led: Fact = { kind: "led", epoch: 1, coordinator: "c", wallMs: 0 };

  test("any facts come back, whatever their size and letters", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 50 })), (names) => {
        const facts = names.map((coordinator) => ({ ...led, coordinator }));
        const texts = encodeFacts(1, 1, facts);
        const reader = { pieces: [] };
        expect(texts.flatMap((text) => readFacts(reader, text))).toEqual(facts);
      }),
      { numRuns: 100 },
    );
  });

  test("a group too large for one record is cut, and counts when complete", () => {
    const coordinator = "𝄞é".repeat(300_000);
    const texts = encodeFacts(1, 1, [{ ...led, coordinator }]);
    expect(texts.length).toBeGreaterThan(2);
    for (const text of texts) {
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limits.journalMessageBytesMax);
      expect(Buffer.from(text).toString() === text).toBe(true);
    }
    const reader = { pieces: [] };
    const facts = texts.map((text) => readFacts(reader, text));
    expect(facts.slice(0, -1).every((part) => part.length === 0)).toBe(true);
    expect(facts.at(-1)).toEqual([{ ...led, coordinator }]);
  });

  test("a group cut short by a crash is void", () => {
    const [head = ""] = encodeFacts(1, 1, [{ ...led, coordinator: "x".repeat(500_000) }]);
    const [next = ""] = encodeFacts(2, 0, [{ ...led, epoch: 2 }]);
    const reader = { pieces: [] };
    expect(readFacts(reader, head)).toEqual([]);
    expect(readFacts(reader, next)).toEqual([{ ...led, epoch: 2 }]);
  });
});

/** Durable state as the journal alone gives it. */
function replayed(bench: Bench) {
  const durable = emptyDurable();
  const reader = { pieces: [] };
  for (const record of bench.memory.journal) {
    for (const fact of readFacts(reader, record.text)) fold(durable, fact);
  }
  return durable;
}

describe("replay", () => {
  test("of a day whose plan needs several records gives it back whole", () => {
    const bench = new Bench();
    bench.memory.inputs = sampleFiles(3_000);
    bench.lead().attach(1);
    bench.submit();
    const headers = bench.memory.journal.map(({ text }) => JSON.parse(text.split("\n")[0] ?? ""));
    expect(Math.max(...headers.map((header) => header.parts))).toBeGreaterThan(1);
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    expect(next.run().stages[0]).toMatchObject({ tasks: 3_000 });
  });

  test("gives the live state after any sequence of happenings", () => {
    const happenings = fc.constantFrom(
      "finish",
      "finishLast",
      "fail",
      "oom",
      "short",
      "lose",
      "attach",
      "submit",
      "rerun",
      "cancel",
      "pass",
      "streamsGone",
    );
    fc.assert(
      fc.property(fc.array(happenings, { minLength: 5, maxLength: 60 }), (story) => {
        const bench = new Bench().lead();
        bench.attach(1);
        bench.submit(sampleJob({ checks: [noNegative] }));
        tell(bench, story);
        expect(bench.state.journal.unsaved).toEqual([]);
        expect(replayed(bench)).toEqual(bench.state.durable);
        expect(decodeSnapshot(encodeSnapshot(bench.state.durable))).toEqual(bench.state.durable);
      }),
      { numRuns: 60 },
    );
  });

  test("a snapshot and the records after it give the same as all records", () => {
    const bench = new Bench().lead();
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    bench.attach(1);
    bench.submit();
    expect(bench.memory.snapshot?.sequence).toBeGreaterThan(0);
    expect(bench.memory.journal[0]?.sequence).toBe((bench.memory.snapshot?.sequence ?? 0) + 1);
    bench.work();
    const durable = decodeSnapshot(bench.memory.snapshot?.texts ?? []);
    const reader = { pieces: [] };
    for (const record of bench.memory.journal) {
      for (const fact of readFacts(reader, record.text)) fold(durable, fact);
    }
    expect(durable).toEqual(bench.state.durable);
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    expect(next.run().state).toBe("committed");
  });

  test("the next snapshot waits until the journal has grown by as much as the last one", () => {
    const bench = new Bench().lead();
    bench.memory.inputs = sampleFiles(40);
    bench.attach(1, { slots: 8 });
    bench.submit();
    const { journal } = bench.state;
    bench.pass(5_000, [1]);
    const taken: number[] = [];
    for (let tasks = bench.takeTasks(); tasks.length > 0; ) {
      for (const task of tasks) {
        journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
        bench.finish(task);
        const last = lengthOf(bench);
        if (last !== taken.at(-1)) taken.push(last);
        expect(journal.snapshotUnits).toBe(last);
      }
      tasks = bench.takeTasks();
    }
    // 42 tasks finished, each time with records enough: a few snapshots, not one for each.
    expect(taken.length).toBeGreaterThan(1);
    expect(taken.length).toBeLessThan(8);
  });

  test("a journal of few and long records is cut, too: a takeover reads less than a mebibyte and a bit", () => {
    const bench = new Bench().lead();
    bench.memory.inputs = sampleFiles(40);
    bench.attach(1, { slots: 8 });
    bench.submit();
    const { journal } = bench.state;
    expect(journal.unitsSinceSnapshot).toBeGreaterThan(0);
    expect(bench.memory.snapshot).toBeUndefined();
    // As if the records so far had been long.
    journal.unitsSinceSnapshot = limits.snapshotEveryUnits;
    bench.finish(firstTask(bench));
    const first = lengthOf(bench);
    expect(first).toBeGreaterThan(0);
    expect(journal.recordsSinceSnapshot).toBeLessThan(5);
    // A large state is left to the number of records.
    journal.snapshotUnits = limits.snapshotUnitsEagerMax + 1;
    journal.unitsSinceSnapshot = 2 * limits.snapshotUnitsEagerMax;
    const before = bench.memory.snapshot?.sequence;
    bench.finish(firstTask(bench));
    expect(bench.memory.snapshot?.sequence).toBe(before);
  });

  test("the next leader counts what it has folded, and knows how long the last snapshot was", () => {
    const bench = new Bench().lead();
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    bench.attach(1);
    bench.submit();
    bench.work();
    const folded = bench.memory.journal.reduce((sum, { text }) => sum + text.length, 0);
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    const { journal } = next.state;
    expect(journal.unitsSinceSnapshot).toBeGreaterThanOrEqual(folded);
    expect(journal.snapshotUnits).toBe(lengthOf(bench));
  });

  test("what was saved while a snapshot was written stays in the journal", () => {
    const bench = new Bench().lead();
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    bench.hold = (ask) => ask.kind === "saveSnapshot";
    bench.attach(1);
    bench.submit();
    bench.work();
    const last = bench.memory.journal.at(-1)?.sequence ?? 0;
    bench.hold = () => false;
    bench.release();
    const held = bench.memory.snapshot?.sequence ?? 0;
    expect(held).toBeLessThan(last);
    expect(bench.memory.journal.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: last - held }, (_, index) => held + 1 + index),
    );
  });

  test("a snapshot that can't be saved leaves the journal as it is", () => {
    const bench = new Bench().lead();
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    bench.override = (ask) => {
      const why = failure("storageFull", "no space");
      return ask.kind === "saveSnapshot" ? { kind: "failed", failure: why } : undefined;
    };
    bench.attach(1);
    bench.submit();
    bench.work();
    expect(bench.run().state).toBe("committed");
    expect(bench.memory.journal[0]?.sequence).toBe(1);
  });
});

/** Of the last snapshot, in characters. */
function lengthOf({ memory }: Bench): number {
  return memory.snapshot?.texts.join("").length ?? 0;
}

function firstTask(bench: Bench): SentTask {
  const [task] = bench.takeTasks();
  if (task === undefined) throw new Error("a task was sent");
  return task;
}

function tell(bench: Bench, story: readonly string[]): void {
  let connection = 1;
  let tasks = bench.takeTasks();
  for (const word of story) {
    tasks.push(...bench.takeTasks());
    const task =
      word === "finishLast"
        ? tasks.pop()
        : ["finish", "fail", "oom", "short"].includes(word)
          ? tasks.shift()
          : undefined;
    if (task !== undefined) {
      if (word === "fail") bench.fail(task, failure("workerLost", "gone"));
      else if (word === "oom") bench.fail(task, failure("outOfMemory", "too small"));
      else if (word === "short") bench.fail(task, failure("exchangeShort", "rows are missing"));
      else bench.finish(task);
    }
    if (word === "lose") bench.pass(limits.executorLostMs + 200);
    if (word === "attach")
      bench.attach(++connection, { executor: `e${connection % 3}`, incarnation: connection });
    if (word === "submit") bench.submit();
    if (word === "rerun") bench.submit("usage", { rerun: true });
    if (word === "cancel") bench.cancel(`usage.${day}.r1`);
    if (word === "pass") bench.pass(700, [connection]);
    if (word === "streamsGone") bench.memory.streams.clear();
  }
  tasks = [];
}
