/** Kept map outputs: when they stand in for work, and when they can't. */
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

function afterOneRun(job: JobSpec = sampleJob()): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit(job);
  bench.work();
  return bench;
}

/** Attempts that have messages in any stream. */
function written(bench: Bench): string[] {
  const all = [...bench.memory.streams.values()].flatMap((stream) => [...stream.keys()]);
  return [...new Set(all)].sort();
}

function kinds(bench: Bench): string[] {
  return bench.work().map((work) => work.kind);
}

/** Names of all input files in the committed dataset, sorted. */
function committed(bench: Bench, revision: number): string[] {
  const manifest = bench.memory.manifests.get(`usage.${day}.r${revision}`);
  const files = manifest?.datasets.flatMap((dataset) => dataset.files) ?? [];
  return files.flatMap((file) => bench.memory.files.get(file.path) ?? []).sort();
}

describe("a re-run", () => {
  test("of an unchanged day reads no file again", () => {
    const bench = afterOneRun();
    bench.submit("usage", { rerun: true });
    expect(kinds(bench)).toEqual(["reduce", "reduce"]);
    expect(bench.run(2)).toMatchObject({ state: "committed", rowsIn: 40 });
    expect(bench.run(2).stages[0]).toMatchObject({ tasks: 4, done: 4, reused: 4 });
    expect(committed(bench, 2)).toEqual(committed(bench, 1));
    const sources = [1, 2].map((k) => bench.memory.manifests.get(`usage.${day}.r${k}`)?.sources);
    expect(sources[1]).toEqual(sources[0]);
  });

  test("with a late file reads that one", () => {
    const bench = afterOneRun();
    bench.memory.inputs = sampleFiles(5);
    bench.submit("usage", { rerun: true });
    expect(kinds(bench)).toEqual(["map", "reduce", "reduce"]);
    expect(committed(bench, 2)).toHaveLength(10);
  });

  test("with a changed file reads that one", () => {
    const bench = afterOneRun();
    bench.memory.inputs = bench.memory.inputs.map((file, index) =>
      index === 2 ? { ...file, mtimeNs: "2" } : file,
    );
    bench.submit("usage", { rerun: true });
    expect(kinds(bench)).toEqual(["map", "reduce", "reduce"]);
    expect(committed(bench, 2)).toContain(`raw/day=${day}/part-2.csv@2#0`);
    expect(committed(bench, 2)).not.toContain(`raw/day=${day}/part-2.csv@1#0`);
  });

  test("that commits lets go of outputs that it does not stand on; one that fails does not", () => {
    const bench = afterOneRun();
    const before = written(bench);
    expect(before).toHaveLength(4);
    bench.memory.inputs = bench.memory.inputs.map((file, index) =>
      index === 2 ? { ...file, mtimeNs: "2" } : file,
    );
    bench.submit("usage", { rerun: true, requestId: "cancelled" });
    for (const task of bench.takeTasks()) bench.finish(task);
    bench.cancel(`usage.${day}.r2`);
    for (const task of bench.takeTasks()) bench.fail(task, failure("cancelled", "the run ends"));
    bench.pass(limits.purgeAfterMs + limits.tickEveryMs, [1]);
    const [added = "none", ...rest] = written(bench).filter((id) => !before.includes(id));
    expect([written(bench).length, rest]).toEqual([5, []]);
    bench.submit("usage", { rerun: true, requestId: "committed" });
    expect(kinds(bench)).toEqual(["reduce", "reduce"]);
    bench.pass(limits.purgeAfterMs + limits.tickEveryMs, [1]);
    expect(written(bench)).toHaveLength(4);
    expect(written(bench)).toContain(added);
    bench.submit("usage", { rerun: true, requestId: "again" });
    expect(kinds(bench)).toEqual(["reduce", "reduce"]);
    expect(committed(bench, 4)).toEqual(committed(bench, 3));
  });

  test("without a file that is gone leaves its rows out", () => {
    const bench = afterOneRun();
    bench.memory.inputs = bench.memory.inputs.slice(1);
    bench.submit("usage", { rerun: true });
    expect(kinds(bench)).toEqual(["reduce", "reduce"]);
    expect(committed(bench, 2)).toHaveLength(6);
  });

  test("after streams were lost reads everything again", () => {
    const bench = afterOneRun();
    bench.memory.streams.clear();
    bench.submit("usage", { rerun: true });
    expect(kinds(bench)).toEqual(["map", "map", "map", "map", "reduce", "reduce"]);
    expect(committed(bench, 2)).toEqual(committed(bench, 1));
  });

  test("of a job that reads its files otherwise uses none, and drops what it replaces", () => {
    const bench = afterOneRun();
    const streams = [...bench.memory.streams.keys()];
    const [source] = sampleJob().sources;
    if (source === undefined) throw new Error("the sample has a source");
    const changed = sampleJob({ sources: [{ ...source, csv: { ...source.csv, delimiter: ";" } }] });
    bench.submit(changed, { rerun: true });
    expect(kinds(bench).filter((kind) => kind === "map")).toHaveLength(4);
    for (const stream of streams) expect(bench.memory.streams.has(stream)).toBe(false);
    expect(bench.state.durable.kept.size).toBe(1);
  });

  test("under a new leader uses what the old one's run kept", () => {
    const bench = afterOneRun();
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    next.attach(1);
    next.submit("usage", { rerun: true, requestId: "another" });
    expect(kinds(next)).toEqual(["reduce", "reduce"]);
  });
});

describe("a missing output", () => {
  test("that a reader names is made again, and only that one", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    let lost = "";
    const seen: string[] = [];
    for (let round = 0; round < 40; round++) {
      for (const task of bench.takeTasks()) {
        seen.push(task.work.kind);
        if (task.work.kind === "reduce" && lost === "") {
          lost = task.delivery.inputs[0]?.winners[1]?.attemptId ?? "";
          for (const stream of bench.memory.streams.values()) stream.delete(lost);
        }
        bench.finish(task);
      }
      bench.pass(300, [1]);
    }
    expect(lost).not.toBe("");
    expect(seen.filter((kind) => kind === "map")).toHaveLength(5);
    expect(bench.run()).toMatchObject({ state: "committed" });
    expect(committed(bench, 1)).toHaveLength(8);
  });

  test("made again with other rows makes every reader of the old ones read again", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    for (const task of bench.takeTasks()) bench.finish(task);
    for (const task of bench.takeTasks()) bench.finish(task);
    const reduces = bench.takeTasks();
    const [first, other] = reduces;
    if (first === undefined || other === undefined) throw new Error("two reduce tasks were sent");
    bench.finish(first);
    const attempt = other.delivery.inputs[0]?.winners[0]?.attemptId ?? "";
    bench.fail(other, failure("exchangeShort", "rows are missing", { attempt, stream: "s" }));
    expect(bench.run().stages).toMatchObject([{ done: 3 }, { done: 1 }]);
    const [again] = bench.takeTasks();
    if (again === undefined) throw new Error("the producer was not started again");
    for (const stream of bench.memory.streams.values()) stream.set(again.attemptId, ["other rows"]);
    const output = {
      exchange: "x0",
      digest: "d",
      checksum: "other",
      rows: 1,
      bytes: 1,
      messages: 1,
    };
    const counters = {
      rowsIn: 1,
      bytesIn: 1,
      rowsOut: 1,
      bytesOut: 1,
      elapsedMs: 1,
      peakMemoryBytes: 1,
    };
    bench.report(again, { kind: "done", outputs: [output], files: [], accounts: [], counters });
    expect(bench.run().stages).toMatchObject([{ done: 4 }, { done: 0 }]);
    bench.pass(limits.retryBackoffMsMax, [1]);
    bench.work();
    expect(committed(bench, 1).filter((name) => name.startsWith("other rows"))).toHaveLength(2);
  });
});

describe("keeping", () => {
  test("ends with the job's backlog days", () => {
    const bench = afterOneRun(sampleJob({ backlogDays: 2 }));
    for (const later of ["2026-01-16", "2026-01-17"]) {
      bench.submit("usage", { day: later });
      bench.work();
    }
    expect([...bench.state.durable.kept.values()].map((kept) => kept.day)).toEqual([
      "2026-01-16",
      "2026-01-17",
    ]);
    expect(bench.memory.streams.size).toBe(4);
  });

  test("reject and late files move to their final places with the commit and stay with the output", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    const withRejects = () => {
      for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
        for (const task of tasks) {
          const rejectsFile = `${task.delivery.stagingDir}/_rejects.parquet`;
          const isMap = task.work.kind === "map";
          bench.rejectsFile = isMap ? rejectsFile : undefined;
          bench.lateFile = isMap ? `${task.delivery.stagingDir}/_late.parquet` : undefined;
          bench.finish(task);
          bench.rejectsFile = undefined;
          bench.lateFile = undefined;
        }
      }
    };
    withRejects();
    const first = bench.memory.manifests.get(`usage.${day}.r1`);
    expect(first?.rejectFiles).toHaveLength(4);
    expect(first?.rejectFiles.every((path) => path.startsWith("revisions/"))).toBe(true);
    expect(first?.lateFiles).toHaveLength(4);
    expect(first?.lateFiles?.every((path) => path.includes("/ipdr_late/"))).toBe(true);
    bench.submit("usage", { rerun: true });
    bench.work();
    const again = bench.memory.manifests.get(`usage.${day}.r2`);
    expect(again?.rejectFiles).toEqual(first?.rejectFiles);
    expect(again?.lateFiles).toEqual(first?.lateFiles);
  });

  test("outputs whose reject files went with a cancelled run are not used", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    for (const task of bench.takeTasks()) {
      bench.rejectsFile = `${task.delivery.stagingDir}/_rejects.parquet`;
      bench.finish(task);
    }
    bench.rejectsFile = undefined;
    for (const task of bench.takeTasks()) bench.finish(task);
    bench.cancel(`usage.${day}.r1`);
    bench.submit();
    bench.work();
    expect(bench.run(2)).toMatchObject({ state: "committed", stages: [{ reused: 2 }, {}] });
  });
});

test("how a day was cut is forgotten when nothing of it is kept any more", () => {
  const bench = new Bench().lead();
  bench.attach(1);
  const days = ["2026-01-11", "2026-01-12", "2026-01-13", "2026-01-14"];
  for (const day of days) {
    bench.submit(sampleJob(), { day });
    bench.work();
  }
  const records = [...bench.state.durable.days.values()];
  expect(records.map((record) => [record.day, record.splits.size])).toEqual([
    ["2026-01-11", 0],
    ["2026-01-12", 0],
    ["2026-01-13", 1],
    ["2026-01-14", 1],
  ]);
});
