/** Durable state as texts and back, also from what earlier versions wrote. */
import { describe, expect, test } from "vitest";
import type { Attempt } from "../../coordinator/core/durable.ts";
import { KeptOutputs } from "../../coordinator/core/kept-outputs.ts";
import { packSplits, unpackSplits } from "../../coordinator/core/kept-splits.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import {
  attemptsPerText,
  packAttempts,
  unpackAttempts,
} from "../../coordinator/core/snapshot-attempts.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { Bench, day, type SentTask } from "./bench.ts";

describe("a snapshot", () => {
  test("of an earlier version, where everything is written out, is read as well", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    bench.finish(firstTask(bench));
    const { durable } = bench.state;
    expect([...durable.kept.values()].map(({ outputs }) => outputs.size)).toEqual([1]);
    const text = JSON.stringify({ version: 1, durable }, (key, value: unknown) => {
      if (key === "running" && value instanceof Set) return undefined;
      if (value instanceof KeptOutputs) return { $map: [...value] };
      if (key === "splits" && value instanceof Map) {
        return { $map: [...value].map(([source, cut]) => [source, unpackSplits(String(cut))]) };
      }
      if (value instanceof Map) return { $map: [...value] };
      if (value instanceof Set) return { $set: [...value] };
      return value;
    });
    expect(decodeSnapshot([text])).toEqual(durable);
    expect(encodeSnapshot(decodeSnapshot([text]))).toEqual(encodeSnapshot(durable));
    expect(encodeSnapshot(durable).join("").length).toBeLessThan(text.length);
  });

  test("of version 1, where results and splits of a live run are named, is read as well", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    const done = firstTask(bench);
    bench.finish(done);
    const { task } = done.delivery;
    const { durable } = bench.state;
    const run = `usage.${day}.r1`;
    const text = JSON.stringify({ version: 1, durable }, (key, value: unknown) => {
      if (value instanceof KeptOutputs) {
        return { $map: [...value].map(([mapKey]) => [mapKey, { $task: [run, 0, task] }]) };
      }
      if (key === "splits" && value instanceof Map) {
        return { $map: [...value].map(([source]) => [source, { $splits: [run, 0] }]) };
      }
      if (value instanceof Map) return { $map: [...value] };
      if (value instanceof Set) return { $set: [...value] };
      return value;
    });
    expect(decodeSnapshot([text])).toEqual(durable);
    expect(encodeSnapshot(decodeSnapshot([text]))).toEqual(encodeSnapshot(durable));
  });

  test("of version 2, one text with sections behind its first line, is read as well", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    bench.finish(firstTask(bench));
    const { durable } = bench.state;
    const sections: string[] = [];
    const section = (text: string) => ({ $section: sections.push(text) - 1 });
    const json = JSON.stringify(durable, (key, value: unknown) => {
      if (value instanceof KeptOutputs) return { ...section(value.text()), size: value.size };
      if (key === "splits" && Array.isArray(value)) return section(packSplits(value));
      if (key === "splits" && value instanceof Map) {
        return { $map: [...value].map(([source, cut]) => [source, section(String(cut))]) };
      }
      if (key === "tasks" && Array.isArray(value)) {
        return value.map((task) => (task.starts === 0 ? 0 : task));
      }
      if (value instanceof Map) return { $map: [...value] };
      if (value instanceof Set) return { $set: [...value] };
      return value;
    });
    const lengths = sections.map((text) => text.length);
    const head = `{"version":2,"sections":${JSON.stringify(lengths)},"durable":${json}}`;
    const texts = [[head, ...sections].join("\n")];
    expect(decodeSnapshot(texts)).toEqual(durable);
    expect(encodeSnapshot(decodeSnapshot(texts))).toEqual(encodeSnapshot(durable));
  });

  test("names results that are kept, and says the others in full", () => {
    const bench = new Bench().lead();
    bench.attach(1, { slots: 4 });
    bench.submit();
    const tasks = bench.takeTasks();
    const [first, second] = tasks;
    if (first === undefined || second === undefined) throw new Error("two tasks were sent");
    bench.finish(first);
    bench.fail(second, failure("workerLost", "gone"));
    bench.pass(1_000, [1]);
    for (const task of bench.takeTasks()) bench.finish(task);
    const { durable } = bench.state;
    const run = durable.runs.get(`usage.${day}.r1`);
    const plain = JSON.parse(encodeSnapshot(durable)[0] ?? "").durable;
    const stage = plain.runs.$map[0][1].stages[0];
    const keyOf = (task: number) => run?.stages[0]?.tasks[task]?.result?.mapKey;
    const { task: one } = first.delivery;
    const { task: two } = second.delivery;
    expect(stage.tasks[one]).toEqual([1, "e1", keyOf(one)]);
    expect(stage.tasks[two]).toMatchObject({
      starts: 2,
      failures: 1,
      result: { $kept: keyOf(two), executor: "e1" },
    });
    expect(decodeSnapshot(encodeSnapshot(durable))).toEqual(durable);
    // Where another attempt's output is kept, the result is said in full.
    const kept = [...durable.kept.values()][0]?.outputs;
    const output = kept?.get(keyOf(one) ?? "");
    if (output === undefined) throw new Error("the output is kept");
    kept?.set(keyOf(one) ?? "", { ...output, attemptId: "another" });
    expect(decodeSnapshot(encodeSnapshot(durable))).toEqual(durable);
  });

  test("that is read and written again is the same text, whatever came to a task after its result", () => {
    const bench = new Bench().lead();
    bench.attach(1, { slots: 4 });
    bench.submit();
    for (const task of bench.takeTasks()) bench.finish(task);
    const { durable } = bench.state;
    const task = durable.runs.get(`usage.${day}.r1`)?.stages[0]?.tasks[0];
    if (task === undefined) throw new Error("there is a task");
    task.lost = ["an attempt that was given up"];
    const texts = encodeSnapshot(durable);
    expect(encodeSnapshot(decodeSnapshot(texts))).toEqual(texts);
  });

  test("holds the splits of a live run once, and kept outputs in few letters", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    const task = firstTask(bench);
    bench.finish(task);
    const texts = encodeSnapshot(bench.state.durable);
    const text = texts.join("\n");
    const digest = [...bench.state.durable.kept.values()].flatMap((kept) =>
      [...kept.outputs.values()].flatMap((output) => output.outputs.map((one) => one.digest)),
    );
    expect(digest).toHaveLength(1);
    expect(text).toContain(`["x0","${digest[0]}"`);
    const cut = bench.state.durable.days.get(`usage|${day}`)?.splits.get("ipdr") ?? "";
    expect(text.split(cut).length - 1).toBe(1);
    const read = decodeSnapshot(texts);
    const stage = read.runs.get(`usage.${day}.r1`)?.stages[0];
    const [kept] = read.kept.values();
    const result = stage?.tasks[task.delivery.task]?.result;
    expect(result).toBeDefined();
    expect(kept?.outputs.get(result?.mapKey ?? "")).toEqual({ ...result, executor: "" });
    expect(unpackSplits(cut)).toEqual(stage?.splits);
    expect(read.days.get(`usage|${day}`)?.splits.get("ipdr")).toBe(cut);
  });

  test("has as many texts of attempts as it takes, and all of them in order", () => {
    const attempts = new Map<string, Attempt>();
    const states = ["running", "done", "failed", "lost"] as const;
    for (let task = 0; task < 2 * attemptsPerText + 1; task++) {
      attempts.set(`s0-${task}-e1-1`, {
        run: `usage.${day}.r${task % 2}`,
        stage: task % 3,
        task,
        executor: `e${task % 5}`,
        incarnation: task,
        ...(task % 3 === 0 ? { mapKey: `key ${task}` } : {}),
        ...(task % 7 === 0 ? {} : { startedMs: task }),
        state: states[task % 4] ?? "done",
      });
    }
    const packed = packAttempts(attempts);
    expect(packed.texts).toHaveLength(3);
    expect(packed.texts[2]).toBe('[["s0-16384-e1-1",0,1,16384,4,16384,"running",16384,null]]');
    expect([...unpackAttempts(packed)]).toEqual([...attempts]);
    expect(packAttempts(new Map()).texts).toEqual([]);
  });
});

function firstTask(bench: Bench): SentTask {
  const [task] = bench.takeTasks();
  if (task === undefined) throw new Error("a task was sent");
  return task;
}
