/** A run from submit to commit, and the ways in which it ends otherwise. */
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { noNegative, sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.attach(2);
  bench.effects = [];
  return bench;
}

describe("a day", () => {
  test("goes from submit to committed, each input file once in each group", () => {
    const bench = leader();
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toEqual({
      kind: "submitted",
      run: `usage.${day}.r1`,
      created: true,
    });
    const works = bench.work();
    expect(works.map((work) => work.kind)).toEqual([
      "map",
      "map",
      "map",
      "map",
      "reduce",
      "reduce",
    ]);
    const run = bench.run();
    expect(run.state).toBe("committed");
    expect(run.datasets).toMatchObject([{ dataset: "totals", rows: 8, files: 2 }]);
    expect(run.committedBy).toEqual({ e1: 3, e2: 3 });
    const manifest = bench.memory.manifests.get(run.runId);
    const rows = manifest?.datasets[0]?.files.flatMap(
      (file) => bench.memory.files.get(file.path) ?? [],
    );
    expect(rows?.sort()).toEqual(
      [0, 1, 2, 3].flatMap((file) =>
        [0, 1].map((group) => `raw/day=${day}/part-${file}.csv@1#${group}`),
      ),
    );
    expect(bench.memory.views.get(`usage|${day}`)).toBe(1);
    expect(bench.memory.droppedStaging).toEqual([run.runId]);
  });

  test("tells its story in events, in order", () => {
    const bench = leader();
    bench.submit();
    const told: string[] = [];
    for (let tasks = 1; tasks > 0; ) {
      told.push(...bench.events());
      const sent = bench.takeTasks();
      for (const task of sent) bench.finish(task);
      tasks = sent.length;
    }
    expect(told.filter((event) => !event.startsWith("executor"))).toEqual([
      "run.created",
      "run.planned",
      "run.started",
      "stage.started",
      "stage.done",
      "stage.started",
      "stage.done",
      "dataset.committed",
      "run.committed",
    ]);
  });

  test("reduce starts only when every map task is done", () => {
    const bench = leader();
    bench.submit();
    const maps = bench.takeTasks();
    for (const task of maps.slice(1)) bench.finish(task);
    expect(bench.takeTasks()).toEqual([]);
    bench.finish(maps[0] as (typeof maps)[number]);
    expect(bench.takeTasks().map((task) => task.work.kind)).toEqual(["reduce", "reduce"]);
  });

  test("the manifest accounts for every line of every source", () => {
    const bench = leader();
    bench.submit();
    bench.work();
    const manifest = bench.memory.manifests.get(`usage.${day}.r1`);
    expect(manifest).toMatchObject({
      state: "committed",
      replaces: 0,
      epoch: 1,
      coordinator: "c1",
    });
    expect(manifest?.sources).toMatchObject([
      { source: "ipdr", files: 4, lines: 40, rows: 40, rejects: 0, blank: 0 },
    ]);
  });
});

describe("submit", () => {
  test("the same request gives the same run, also when it is done", () => {
    const bench = leader();
    bench.submit(undefined, { requestId: "a" });
    const again = bench.submit(undefined, { requestId: "a" });
    expect(bench.replyTo(again)).toMatchObject({ run: `usage.${day}.r1`, created: false });
    bench.work();
    const later = bench.submit(undefined, { requestId: "a", rerun: true });
    expect(bench.replyTo(later)).toMatchObject({ run: `usage.${day}.r1`, created: false });
  });

  test("a live day gives its live run, and remembers that request, too", () => {
    const bench = leader();
    bench.submit(undefined, { requestId: "a" });
    const other = bench.submit(undefined, { requestId: "b", rerun: true });
    expect(bench.replyTo(other)).toMatchObject({ run: `usage.${day}.r1`, created: false });
    bench.work();
    const later = bench.submit(undefined, { requestId: "b", rerun: true });
    expect(bench.replyTo(later)).toMatchObject({ run: `usage.${day}.r1`, created: false });
  });

  test("two submits while the plan is being made give one run", () => {
    const bench = leader();
    bench.hold = (ask) => ask.kind === "planJob";
    const first = bench.submit();
    const second = bench.submit();
    expect(bench.heldAsks).toHaveLength(1);
    bench.hold = () => false;
    bench.release();
    expect(bench.replyTo(first)).toMatchObject({ run: `usage.${day}.r1`, created: true });
    expect(bench.replyTo(second)).toMatchObject({ run: `usage.${day}.r1`, created: false });
  });

  test("a committed day is refused without rerun, and gets a new revision with it", () => {
    const bench = leader();
    bench.submit();
    bench.work();
    expect(bench.replyTo(bench.submit())).toMatchObject({ failure: { code: "conflict" } });
    const rerun = bench.submit("usage", { rerun: true });
    expect(bench.replyTo(rerun)).toMatchObject({ run: `usage.${day}.r2`, created: true });
    bench.work();
    expect(bench.memory.manifests.get(`usage.${day}.r2`)).toMatchObject({ replaces: 1 });
  });

  test("bad SQL is refused and starts nothing", () => {
    const bench = leader();
    const why = failure("sqlRefused", "totals.sql:1: PIVOT");
    bench.override = (ask) =>
      ask.kind === "planJob" ? { kind: "failed", failure: why } : undefined;
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toEqual({ kind: "failed", failure: why, leader: "" });
    expect(bench.ask({ kind: "runs", job: "", limit: 10 })).toEqual({ kind: "runs", runs: [] });
    expect(bench.memory.jobs.size).toBe(0);
  });

  test("an unknown job, a day that is none, and a missing request id are refused", () => {
    const bench = leader();
    expect(bench.replyTo(bench.submit("nope"))).toMatchObject({ failure: { code: "unknownJob" } });
    const never = bench.submit(undefined, { day: "2026-02-30" });
    expect(bench.replyTo(never)).toMatchObject({ failure: { code: "badRequest" } });
    const empty = bench.submit(undefined, { requestId: "" });
    expect(bench.replyTo(empty)).toMatchObject({ failure: { code: "badRequest" } });
  });

  test("the job is on storage before the submit is answered", () => {
    const bench = leader();
    bench.hold = (ask) => ask.kind === "saveJob";
    const reply = bench.submit();
    expect(bench.replyTo(reply)).toBeUndefined();
    bench.hold = () => false;
    bench.release();
    expect(bench.memory.jobs.has("usage")).toBe(true);
    expect(bench.replyTo(reply)).toMatchObject({ created: true });
  });
});

describe("a run that can't be done", () => {
  test("a day without files fails, is closed by an aborted manifest, and may be submitted again", () => {
    const bench = leader();
    bench.memory.inputs = [];
    bench.submit();
    expect(bench.run()).toMatchObject({ state: "failed", failure: { code: "inputMissing" } });
    expect(bench.memory.manifests.get(`usage.${day}.r1`)?.state).toBe("aborted");
    bench.memory.inputs = sampleFiles(4);
    expect(bench.replyTo(bench.submit())).toMatchObject({ run: `usage.${day}.r2`, created: true });
    bench.work();
    expect(bench.run(2).state).toBe("committed");
  });

  test("too many rejected lines stop it before anything is reduced", () => {
    const bench = leader();
    bench.submit(sampleJob());
    for (const task of bench.takeTasks()) {
      const output = { exchange: "x0", digest: "d", checksum: "1", rows: 8, bytes: 1, messages: 1 };
      const outputs = [output];
      const accounts = [
        {
          file: (task.work.kind === "map" && task.work.split.files[0]) || sampleFiles(1)[0],
          contentSha256: "",
          lines: 10,
          rows: 8,
          rejects: 2,
          blank: 0,
        },
      ];
      const counters = {
        rowsIn: 10,
        bytesIn: 1,
        rowsOut: 1,
        bytesOut: 1,
        elapsedMs: 1,
        peakMemoryBytes: 1,
      };
      bench.report(task, { kind: "done", outputs, files: [], accounts, counters } as never);
    }
    expect(bench.run()).toMatchObject({
      state: "failed",
      failure: { code: "rejectsOverLimit", detail: { source: "ipdr", rejects: 8, lines: 40 } },
    });
    const [first, second, third] = sampleFiles(4).map(({ path }) => path);
    expect(bench.run().failure?.message).toContain(
      `most of them in ${first} (2 of 10), ${second} (2 of 10), ${third} (2 of 10); correct`,
    );
    expect(bench.takeTasks().filter((task) => task.work.kind === "reduce")).toEqual([]);
  });

  test("cancel stops its attempts, closes the revision and answers", () => {
    const bench = leader();
    bench.submit();
    const tasks = bench.takeTasks();
    expect(bench.cancel(`usage.${day}.r1`)).toEqual({ kind: "cancelled", state: "cancelled" });
    const cancelled = bench
      .commands()
      .flatMap(({ command }) => (command.kind === "cancelTask" ? [command.attemptId] : []));
    expect(cancelled.sort()).toEqual(tasks.map((task) => task.attemptId).sort());
    expect(bench.run().state).toBe("cancelled");
    expect(bench.memory.manifests.get(`usage.${day}.r1`)).toMatchObject({
      state: "aborted",
      failure: { code: "cancelled" },
    });
    // A task that ends all the same changes nothing and is acknowledged.
    bench.effects = [];
    bench.finish(tasks[0] as (typeof tasks)[number]);
    expect(bench.commands()).toMatchObject([{ command: { kind: "reportAck" } }]);
    expect(bench.run().state).toBe("cancelled");
  });

  test("a submit while it ends is asked to come again; the run's own request still gives it", () => {
    const bench = leader();
    bench.submit(undefined, { requestId: "a" });
    bench.hold = (ask) => ask.kind === "commit";
    bench.cancel(`usage.${day}.r1`);
    const other = bench.submit(undefined, { requestId: "b" });
    expect(bench.replyTo(other)).toMatchObject({ failure: { code: "unavailable" } });
    const same = bench.submit(undefined, { requestId: "a" });
    expect(bench.replyTo(same)).toMatchObject({ run: `usage.${day}.r1`, created: false });
    bench.hold = () => false;
    bench.release();
    const later = bench.submit(undefined, { requestId: "b" });
    expect(bench.replyTo(later)).toMatchObject({ run: `usage.${day}.r2`, created: true });
  });

  test("cancelling what is being committed comes too late, and says so", () => {
    const bench = leader();
    bench.submit();
    bench.hold = (ask) => ask.kind === "arrange";
    bench.work();
    expect(bench.cancel(`usage.${day}.r1`)).toEqual({ kind: "cancelled", state: "committing" });
    bench.hold = () => false;
    bench.release();
    expect(bench.run()).toMatchObject({ state: "committed", datasets: [{ rows: 8 }] });
    expect(bench.memory.commits).toHaveLength(1);
  });

  test("cancelling what is committed says so", () => {
    const bench = leader();
    bench.submit();
    bench.work();
    expect(bench.cancel(`usage.${day}.r1`)).toEqual({ kind: "cancelled", state: "committed" });
    expect(bench.cancel("usage.2020-01-01.r9")).toMatchObject({ failure: { code: "unknownRun" } });
  });
});

test("a check that only warns does not stop its run", () => {
  const bench = leader();
  const check = { ...noNegative, expect: 7, severity: "warn" } as const;
  bench.submit(sampleJob({ checks: [check] }));
  expect(bench.run().warnings).toEqual([]);
  bench.work();
  expect(bench.run()).toMatchObject({
    state: "committed",
    warnings: [],
    checks: [{ name: "no-negative", state: "failed", reason: "gave 0, expected 7" }],
  });
});

describe("commit", () => {
  test("waits out a full disk and goes on by itself", () => {
    const bench = leader();
    let isFull = true;
    bench.override = (ask) =>
      isFull && (ask.kind === "arrange" || ask.kind === "commit")
        ? { kind: "failed", failure: failure("storageFull", "revisions: ENOSPC") }
        : undefined;
    bench.submit();
    bench.work();
    bench.pass(2_000, [1, 2]);
    expect(bench.run().state).toBe("committing");
    isFull = false;
    bench.pass(limits.retryBackoffMsMax, [1, 2]);
    expect(bench.run().state).toBe("committed");
  });

  test("what is on storage under the run's name wins over what we meant", () => {
    const bench = leader();
    bench.submit();
    bench.hold = (ask) => ask.kind === "commit";
    bench.work();
    const aborted = bench.heldAsks.flatMap((ask) =>
      ask.kind === "commit" ? [ask.manifest] : [],
    )[0];
    if (aborted === undefined) throw new Error("no commit was asked");
    bench.memory.manifests.set(aborted.run, { ...aborted, state: "aborted" });
    bench.hold = () => false;
    bench.release();
    expect(bench.run().state).toBe("cancelled");
    expect(bench.memory.views.size).toBe(0);
  });
});
