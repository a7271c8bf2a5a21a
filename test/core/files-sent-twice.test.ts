/** Files that were delivered twice count once, whatever order tasks end in, whoever leads, and in later runs too. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { accountsOf } from "../../scripts/simulation/data-plane.ts";
import { pathOfCopy } from "../../scripts/simulation/rows.ts";
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { noNegative, sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const original = sampleFiles(4);
const third = must(original[2], "a third file");

/** Delivers file 2 once more: `first` puts the copy before all others in path order. */
function copyOf(first: boolean, version = 7): FileFingerprint {
  const path = pathOfCopy(third, version, first);
  return { ...third, path, mtimeNs: String(version), inode: `copy-${version}` };
}

function inOrder(files: readonly FileFingerprint[]): readonly FileFingerprint[] {
  return [...files].sort((one, other) => (one.path < other.path ? -1 : 1));
}

function withFiles(files: readonly FileFingerprint[], job: JobSpec = sampleJob()): Bench {
  const bench = new Bench().lead();
  bench.memory.inputs = inOrder(files);
  bench.attach(1, { slots: 8 });
  bench.submit(job);
  return bench;
}

/** Names of all input files in the committed dataset, each once for each of its two groups. */
function committed(bench: Bench, revision = 1): string[] {
  const manifest = bench.memory.manifests.get(`usage.${day}.r${revision}`);
  const files = manifest?.datasets.flatMap((dataset) => dataset.files) ?? [];
  const rows = files.flatMap(({ path }) => bench.memory.files.get(path) ?? []);
  return rows.map((row) => row.replace(/^.*\/|\.csv@.*$/g, "")).sort();
}

function twice(names: readonly string[]): string[] {
  return names.flatMap((name) => [name, name]).sort();
}

const whole = twice(["part-0", "part-1", "part-2", "part-3"]);

function sourceOf(bench: Bench, revision = 1) {
  return bench.memory.manifests.get(`usage.${day}.r${revision}`)?.sources[0];
}

function mapPaths(tasks: readonly Pick<SentTask, "work">[]): string[] {
  return tasks.flatMap(({ work }) =>
    work.kind === "map" ? [work.split.files.map(({ path }) => path).join("+")] : [],
  );
}

describe("a run with a file that was delivered twice", () => {
  test("reads its split again without the file, commits the rows once and says so", () => {
    const copy = copyOf(false);
    const bench = withFiles([...original, copy]);
    const tasks = bench.takeTasks();
    expect(mapPaths(tasks)).toHaveLength(5);
    for (const task of tasks) bench.finish(task);
    expect(bench.effects).toContainEqual(
      expect.objectContaining({ kind: "publishEvent", event: "file.dropped" }),
    );
    expect(bench.events()).not.toContain("stage.done");
    expect(bench.run().stages[0]).toMatchObject({ tasks: 5, done: 4, duplicates: 1 });
    const again = bench.takeTasks();
    expect(again.map(({ work }) => work.kind === "map" && work.split)).toEqual([{ files: [] }]);
    for (const task of again) bench.finish(task);
    expect(bench.events()).toContain("stage.done");
    bench.work();
    expect(committed(bench)).toEqual(whole);
    expect(bench.run()).toMatchObject({ state: "committed" });
    expect(bench.run().warnings).toEqual([
      `duplicate file: ${copy.path} holds the bytes of ${third.path}; its rows do not count`,
    ]);
    expect(sourceOf(bench)).toMatchObject({ files: 4, lines: 40, rows: 40, duplicates: 1 });
  });

  test("counts the first by path, and the earlier one that was taken already reads again", () => {
    const copy = copyOf(true);
    const bench = withFiles([...original, copy]);
    const tasks = bench.takeTasks();
    for (const task of [...tasks].reverse()) bench.finish(task);
    expect(mapPaths(bench.takeTasks())).toEqual([""]);
    const [lost] = tasks.filter((task) => mapPaths([task])[0] === third.path);
    const purged = bench.state.durable.attempts.get(lost?.attemptId ?? "");
    expect(purged?.state).toBe("done");
    expect([...bench.memory.streams.values()].some((one) => one.has(lost?.attemptId ?? ""))).toBe(
      false,
    );
  });

  test("in a group of files loses that one only", () => {
    const files = [...original, copyOf(false), copyOf(false, 8)];
    const execution = { ...sampleJob().execution, splitBytes: 300 };
    const bench = new Bench().lead();
    bench.memory.inputs = files;
    bench.attach(1, { slots: 1 });
    bench.submit(sampleJob({ execution }));
    const maps = mapPaths(bench.work().map((work) => ({ work })));
    const [, , two = "", three = ""] = original.map(({ path }) => path);
    expect(maps[0]?.split("+")).toHaveLength(3);
    expect(maps).toHaveLength(3);
    expect(maps[2]).toBe(three);
    expect(two).toBe(third.path);
    expect(committed(bench)).toEqual(whole);
    expect(sourceOf(bench)).toMatchObject({ files: 4, rows: 40, duplicates: 2 });
    expect(bench.run().warnings).toHaveLength(2);
  });

  test("has one output for all that have nothing to read: who is slow at that is not waited for", () => {
    const bench = withFiles([...original, copyOf(false), copyOf(false, 8)]);
    bench.attach(2, { slots: 8 });
    for (const task of bench.takeTasks()) bench.finish(task);
    const [quick, slow] = bench.takeTasks();
    bench.finish(must(quick, "an empty task"));
    expect(bench.run().stages[0]).toMatchObject({ tasks: 6, done: 5, running: 1 });
    bench.effects = [];
    bench.pass(limits.slowAfterMsMin + 2 * limits.slowLookEveryMs, [1, 2]);
    const { attemptId } = must(slow, "another");
    expect(bench.commands()).toContainEqual(
      expect.objectContaining({
        command: expect.objectContaining({ kind: "cancelTask", attemptId }),
      }),
    );
    expect(bench.run().stages[0]).toMatchObject({ done: 6, running: 0, reused: 1 });
    bench.report(must(slow, "another"), { kind: "failed", failure: failure("cancelled", "told") });
    bench.work();
    expect(committed(bench)).toEqual(whole);
  });

  test("keeps it where the job says so", () => {
    const copy = copyOf(false);
    const bench = withFiles([...original, copy], sampleJob({ duplicates: { ipdr: "keep" } }));
    bench.work();
    expect(committed(bench)).toHaveLength(10);
    expect(sourceOf(bench)).toMatchObject({ files: 5, rows: 50, duplicates: 0 });
    expect(bench.run().warnings).toEqual([]);
    bench.submit(sampleJob(), { rerun: true });
    expect(mapPaths(bench.work().map((work) => ({ work })))).toEqual([""]);
    expect(committed(bench, 2)).toEqual(whole);
  });

  test("loses all row ranges of a Parquet file that is too large for one task", () => {
    const bench = new Bench().lead();
    bench.attach(1, { slots: 1 });
    const [first, second] = [must(original[0], "a file"), must(original[1], "another")];
    const copy = { ...first, path: pathOfCopy(first, 7, false), mtimeNs: "7", inode: "copy" };
    bench.memory.inputs = [first, second, copy];
    bench.override = (ask) => {
      if (ask.kind !== "listInputs") return undefined;
      const rows = [250_000, 250_000, 250_000];
      const source = { source: "ipdr", files: bench.memory.inputs, rows };
      return { kind: "listed", sources: [source], dimensions: [] };
    };
    const { sources, execution } = sampleJob();
    const parquet = sources.map((source) => ({ ...source, format: "parquet" as const }));
    const job = sampleJob({ sources: parquet, execution: { ...execution, splitBytes: 50 } });
    bench.submit(job);
    const maps = mapPaths(bench.work().map((work) => ({ work })));
    expect(maps.slice(0, 9)).toEqual(
      [first, second, copy].flatMap(({ path }) => [path, path, path]),
    );
    // One task does for all that have nothing to read.
    expect(maps.slice(9)).toEqual([""]);
    expect(committed(bench)).toHaveLength(12);
    expect(committed(bench).filter((name) => name.includes("again"))).toEqual([]);
    expect(bench.run().stages[0]).toMatchObject({ tasks: 9, done: 9, duplicates: 1 });
    expect(bench.run().warnings).toHaveLength(1);
    expect(sourceOf(bench)).toMatchObject({ files: 2, duplicates: 1 });
    bench.submit("usage", { rerun: true });
    expect(bench.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
    expect(committed(bench, 2)).toEqual(committed(bench, 1));
  });

  test("says a few by name and how many more there are", () => {
    const many = Array.from({ length: limits.filesNamedMax + 3 }, (_, at) =>
      copyOf(false, 100 + at),
    );
    const bench = withFiles([...original, ...many]);
    bench.work();
    expect(committed(bench)).toEqual(whole);
    const { warnings } = bench.run();
    expect(warnings).toHaveLength(limits.filesNamedMax + 1);
    expect(warnings.at(-1)).toBe("duplicate files: 3 more of source ipdr");
  });

  test("is under a new leader what it was: before, between and after", () => {
    for (const acts of [1, 5, 6, 9]) {
      const bench = withFiles([...original, copyOf(true)]);
      let left = acts;
      for (let tasks = bench.takeTasks(); left > 0 && tasks.length > 0; tasks = bench.takeTasks()) {
        for (const task of tasks) if (left-- > 0) bench.finish(task);
      }
      const next = new Bench(bench.memory, "c2");
      next.at = bench.at;
      next.lead();
      next.attach(2, { executor: "e2", slots: 8 });
      next.pass(limits.executorLostMs + 200, [2]);
      for (let round = 0; round < 10; round++) {
        next.work();
        next.pass(500, [2]);
      }
      expect(committed(next)).toEqual(
        twice(["part-0", "part-1", "part-3", copyName(copyOf(true))]),
      );
      expect(sourceOf(next)).toMatchObject({ files: 4, duplicates: 1 });
    }
  });

  test("gives the same rows, splits and manifest in whatever order its tasks end", () => {
    const files = [...original, copyOf(true), copyOf(false), copyOf(false, 8)];
    const commits = (random: (left: number) => number) => {
      const execution = { ...sampleJob().execution, splitBytes: 200 };
      const bench = withFiles(files, sampleJob({ execution }));
      const open: SentTask[] = [];
      for (open.push(...bench.takeTasks()); open.length > 0; open.push(...bench.takeTasks())) {
        for (const task of open.splice(random(open.length), 1)) bench.finish(task);
      }
      const cut = bench.state.durable.days.values().next().value?.splits.get("ipdr");
      const keys = [...bench.state.durable.kept.values()].flatMap((kept) => kept.outputs.mapKeys());
      return [committed(bench), sourceOf(bench), bench.run().warnings, cut, keys.sort()];
    };
    const inOrderOnly = commits(() => 0);
    expect(inOrderOnly[0]).toEqual(twice(["part-0", "part-1", "part-3", copyName(copyOf(true))]));
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat()), (numbers) => {
        const draw = (left: number) => must(numbers.next().value, "it is infinite") % left;
        expect(commits(draw)).toEqual(inOrderOnly);
      }),
      { numRuns: 30 },
    );
  });
});

function copyName({ path }: FileFingerprint): string {
  return path.replace(/^.*\/|\.csv$/g, "").replace(/\.csv@.*$/, "");
}

describe("a later run of the day", () => {
  test("with a late copy maps that one, whatever its path, and keeps the output of its original", () => {
    for (const first of [true, false]) {
      const bench = withFiles(original);
      bench.work();
      const copy = copyOf(first);
      bench.memory.inputs = inOrder([...original, copy]);
      bench.submit("usage", { rerun: true });
      expect(mapPaths(bench.work().map((work) => ({ work })))).toEqual([copy.path, ""]);
      expect(committed(bench, 2)).toEqual(whole);
      expect(bench.run(2).warnings).toHaveLength(1);
    }
  });

  test("does not read again what the last one left out, and still says so", () => {
    const bench = withFiles([...original, copyOf(true)]);
    bench.work();
    bench.effects = [];
    bench.submit("usage", { rerun: true });
    expect(bench.events()).toContain("file.dropped");
    expect(bench.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
    expect(committed(bench, 2)).toEqual(committed(bench, 1));
    expect(bench.run(2).stages[0]).toMatchObject({ tasks: 4, reused: 4, duplicates: 1 });
    expect(sourceOf(bench, 2)).toEqual(sourceOf(bench, 1));
    expect(bench.run(2).warnings).toEqual(bench.run(1).warnings);
  });

  test("does not read it again either after one that was cancelled, or is doubted", () => {
    const doubt = { ...noNegative, expect: 1, severity: "quarantine" } as const;
    for (const ended of ["cancelled", "quarantined"] as const) {
      const job = sampleJob(ended === "cancelled" ? {} : { checks: [doubt] });
      const bench = withFiles([...original, copyOf(true)], job);
      for (const task of [...bench.takeTasks()]) bench.finish(task);
      for (const task of [...bench.takeTasks()]) bench.finish(task);
      if (ended === "cancelled") bench.cancel(`usage.${day}.r1`);
      else bench.work();
      expect(bench.run().state).toBe(ended);
      bench.takeTasks();
      bench.attach(2, { slots: 8 });
      bench.submit(sampleJob(), { rerun: true });
      expect(bench.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
      expect(sourceOf(bench, 2)).toMatchObject({ files: 4, duplicates: 1 });
    }
  });

  test("reads the copy when the one that counted has gone, or has changed", () => {
    const copy = copyOf(false);
    for (const change of ["gone", "changed"]) {
      const bench = withFiles([...original, copy]);
      bench.work();
      const others = original.filter(({ path }) => path !== third.path);
      const changed = { ...third, mtimeNs: "9" };
      bench.memory.inputs = inOrder([...others, ...(change === "gone" ? [] : [changed]), copy]);
      bench.submit("usage", { rerun: true });
      const maps = mapPaths(bench.work().map((work) => ({ work })));
      expect(maps).toEqual(change === "gone" ? [copy.path] : [changed.path, copy.path]);
      expect(committed(bench, 2)).toContain(copyName(copy));
      expect(sourceOf(bench, 2)).toMatchObject({ duplicates: 0 });
    }
  });

  test("after the journal was lost commits the same content once", () => {
    for (const first of [true, false]) {
      const old = withFiles([...original, copyOf(first)]);
      const [, ...rest] = old.takeTasks();
      for (const task of rest) old.finish(task);
      old.memory.loseJournal();
      old.memory.epochs.clear();
      const next = new Bench(old.memory, "c2");
      next.at = old.at;
      next.lead();
      next.attach(1, { incarnation: 2, slots: 8 });
      next.work();
      expect(next.run().state).toBe("committed");
      expect(committed(next)).toHaveLength(8);
      expect(sourceOf(next)).toMatchObject({ files: 4, rows: 40, duplicates: 1 });
    }
  });

  test("starts from a snapshot with what is known of duplicates", () => {
    const bench = withFiles([...original, copyOf(true)]);
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    bench.work();
    bench.state.journal.recordsSinceSnapshot = limits.snapshotEveryRecords;
    bench.submit("usage", { rerun: true });
    bench.work();
    expect(bench.memory.snapshot?.texts.join("")).toContain("copy-7");
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    next.attach(1, { incarnation: 2, slots: 8 });
    next.submit("usage", { rerun: true, requestId: "another" });
    expect(next.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
    expect(next.run(3).stages[0]).toMatchObject({ tasks: 4, reused: 4, duplicates: 1 });
  });
});

describe("a control file's word", () => {
  function told(contentSha256: string): Bench {
    const bench = new Bench().lead();
    bench.attach(1, { slots: 8 });
    bench.memory.inputs = inOrder([...original, copyOf(false)]);
    const twins = [{ path: copyOf(false).path, twin: third.path, contentSha256 }];
    bench.override = (ask) => {
      if (ask.kind !== "listInputs") return undefined;
      const source = { source: "ipdr", files: bench.memory.inputs, twins };
      return { kind: "listed", sources: [source], dimensions: [] };
    };
    bench.submit();
    return bench;
  }

  test("leaves the file out before it is read", () => {
    const [read] = accountsOf({ split: { files: [third] } });
    const bench = told(must(read, "an account").contentSha256);
    expect(mapPaths(bench.work().map((one) => ({ work: one })))).toHaveLength(4);
    expect(committed(bench)).toEqual(whole);
    expect(bench.run().warnings).toEqual([
      `duplicate file: ${copyOf(false).path} is by its control file the same as ${third.path}; its rows do not count`,
    ]);
  });

  test("that proves wrong when the other one was read ends the run: rows would be missing", () => {
    const bench = told("another");
    bench.work();
    expect(bench.run()).toMatchObject({ state: "failed", failure: { code: "inputMalformed" } });
    expect(bench.run().failure?.message).toContain("set duplicates: keep");
  });
});
