// Files that are mapped before their day is ready. Transcripts of one coordinator: files arrive, the day starts.
import { describe, expect, test } from "vitest";
import { fold } from "../../coordinator/core/fold.ts";
import { mappable } from "../../coordinator/core/gathering.ts";
import { accountsOf } from "../../scripts/simulation/data-plane.ts";
import { pathOfCopy } from "../../scripts/simulation/rows.ts";
import type { AttemptOutcome, Work } from "../../shared/kernel/work.ts";
import { sampleFiles } from "../sim/sample-job.ts";
import {
  beforeStart,
  daily,
  day,
  lead,
  live,
  manifest,
  midnight,
  minuteMs,
  plainRows,
  put,
  rows,
  run,
  said,
  toStart,
} from "./ahead-story.ts";
import { Bench } from "./bench.ts";

const otherSql = daily({ models: [{ name: "totals", sql: "SELECT 2", file: "totals.sql" }] });

describe("a day that is not ready", () => {
  test("has its files mapped as they become final; at the start only the last one and the reduces remain", () => {
    const bench = beforeStart(sampleFiles(2));
    expect(live(bench, minuteMs)).toEqual(["map part-0", "map part-1"]);
    put(bench, sampleFiles(3));
    expect(live(bench, minuteMs)).toEqual(["map part-2"]);
    expect(said(bench)).toMatch(/^waiting: starts in \d min .*; 3 of 3 files mapped ahead$/);
    expect(run(bench)).toMatchObject({ lane: "ahead", isGathering: true, state: "running" });
    live(bench, 3 * minuteMs);
    expect(manifest(bench)).toBeUndefined();
    // The fourth comes just before the start: nobody knows yet whether it is whole, and no rule asks.
    live(bench, midnight + 60 * minuteMs - 5_000 - (bench.wallFrom + bench.at));
    put(bench, sampleFiles(4));
    expect(toStart(bench)).toEqual(["map part-3", "reduce 0", "reduce 1"]);
    expect(manifest(bench)).toMatchObject({ state: "committed", revision: 1 });
    expect(manifest(bench)?.sources[0]).toMatchObject({ files: 4, lines: 40 });
    expect(said(bench)).toBe("done: revision 1");
    expect(rows(bench)).toEqual(plainRows(sampleFiles(4)));
    // It was made from all of them: nothing is news.
    live(bench, 5 * minuteMs);
    expect(bench.state.durable.runs.size).toBe(1);
  });

  test("tells of stages and tasks once all of them are known, and counts its time from then on", () => {
    const bench = beforeStart(sampleFiles(2));
    const events: string[] = [];
    const until = (ms: number) => {
      for (let at = 0; at < ms; at += 1_000) {
        bench.pass(1_000, [1]);
        for (let sent = true; sent; ) {
          events.push(...bench.events().filter((event) => /^(run|stage)\./.test(event)));
          const tasks = bench.takeTasks();
          for (const task of tasks) bench.finish(task);
          sent = tasks.length > 0;
        }
      }
    };
    until(5 * minuteMs);
    expect(events).toEqual(["run.created", "run.started", "stage.started"]);
    until(7 * minuteMs);
    expect(events.slice(3)).toEqual([
      "run.planned",
      "stage.done",
      "stage.started",
      "stage.done",
      "run.committed",
    ]);
    const { createdMs = 0, endedMs = 0 } = run(bench).ended ?? {};
    expect(endedMs - createdMs).toBeLessThan(1_000);
  });

  test("begins no reduce and drops no duplicate before it is ready", () => {
    const [first, second] = sampleFiles(2);
    if (first === undefined || second === undefined) throw new Error("two files");
    const copy = { ...second, path: pathOfCopy(second, 7, false), mtimeNs: "7" };
    const bench = beforeStart([first, second, copy]);
    live(bench, 4 * minuteMs);
    const [scan, reduce] = run(bench).stages;
    expect([scan?.done, scan?.tasks.length, scan?.dropped]).toEqual([3, 3, undefined]);
    expect([reduce?.startedMs, reduce?.waiting.size]).toEqual([0, 2]);
    // Its split is read again without it.
    expect(toStart(bench)).toEqual(["map ", "reduce 0", "reduce 1"]);
    expect(manifest(bench)?.sources[0]).toMatchObject({ files: 2, lines: 20, duplicates: 1 });
    expect(rows(bench)).toEqual(plainRows([first, second]));
  });

  test("judges the share of rejected lines when all files are read", () => {
    const bench = beforeStart(sampleFiles(2));
    for (let second = 0; second < 120; second++) {
      bench.pass(1_000, [1]);
      for (const task of bench.takeTasks()) bench.report(task, rejecting(task.work));
    }
    // Two of ten lines, where one may be rejected: of more files it might be less.
    expect(run(bench)).toMatchObject({ state: "running", isGathering: true });
    toStart(bench);
    expect(manifest(bench)).toMatchObject({
      state: "aborted",
      failure: { code: "rejectsOverLimit" },
    });
    expect(said(bench)).toMatch(/^failed: .*4 of 20 lines were rejected/);
  });

  test("does not map ahead where the job says so, nor when it is held", () => {
    const bench = beforeStart(sampleFiles(2), daily({ workAhead: false }));
    expect(live(bench, 2 * minuteMs)).toEqual([]);
    const other = beforeStart(sampleFiles(2));
    live(other, minuteMs);
    const about = { job: "usage", day, mark: "held", reason: "bad feed" } as const;
    other.say({ kind: "markDay", ...about });
    live(other, 10_000);
    expect(run(other).ended?.failure?.message).toBe("mapping ahead has ended: the day is held");
    expect(said(other)).toBe("held: bad feed");
    other.say({ kind: "markDay", ...about, mark: "released" });
    expect(toStart(other)).toEqual(["reduce 0", "reduce 1"]);
    expect(manifest(other, 2)?.state).toBe("committed");
  });

  test("is run at once when somebody submits it", () => {
    const bench = beforeStart(sampleFiles(2));
    live(bench, minuteMs);
    put(bench, sampleFiles(3));
    const reply = bench.replyTo(bench.submit("usage", { day }));
    expect(reply).toMatchObject({ kind: "submitted", run: `usage.${day}.r1`, created: false });
    expect(live(bench, 5_000)).toEqual(["map part-2", "reduce 0", "reduce 1"]);
    expect(manifest(bench)?.state).toBe("committed");
  });

  test("is made by the form of the job that is submitted, whatever was mapped for another one", () => {
    const bench = beforeStart(sampleFiles(2));
    live(bench, minuteMs);
    const submit = () => bench.replyTo(bench.submit(otherSql, { day, requestId: "mine" }));
    expect(submit()).toMatchObject({
      failure: {
        code: "unavailable",
        message: `run usage.${day}.r1 is ending (mapping ahead has ended: the job has changed); submit again in a moment`,
      },
    });
    live(bench, 1_000);
    expect(submit()).toEqual({ kind: "submitted", run: `usage.${day}.r2`, created: true });
    live(bench, 5_000);
    expect(manifest(bench, 2)?.state).toBe("committed");
    expect(manifest(bench, 2)?.jobDigest).not.toBe(manifest(bench, 1)?.jobDigest);
  });

  test("is not made by a form of the job that work ahead for it is just being planned from", () => {
    const bench = beforeStart(sampleFiles(2));
    bench.hold = (ask) => ask.kind === "planJob";
    live(bench, minuteMs);
    expect(bench.heldAsks.map(({ kind }) => kind)).toEqual(["planJob"]);
    const submit = () => bench.replyTo(bench.submit(otherSql, { day, requestId: "mine" }));
    const message = `work ahead for ${day} is just being planned from another form of job usage; submit again in a moment`;
    expect(submit()).toMatchObject({ failure: { code: "unavailable", message } });
    bench.hold = () => false;
    bench.release();
    submit();
    live(bench, 1_000);
    expect(submit()).toEqual({ kind: "submitted", run: `usage.${day}.r2`, created: true });
  });

  test("is made by the newest form also when that comes just before its start", () => {
    // Its files are known to be all there: the desk begins it at its start without another look.
    const ready = { ipdr: { by: "count", value: "2" } } as const;
    const bench = beforeStart(sampleFiles(2), daily({ ready }));
    live(bench, minuteMs);
    bench.wallFrom = midnight + 60 * minuteMs - bench.state.desk.nextAt;
    bench.register({ ...otherSql, ready });
    live(bench, minuteMs);
    expect(manifest(bench)?.failure?.message).toBe("mapping ahead has ended: the job has changed");
    expect(manifest(bench, 2)?.state).toBe("committed");
  });

  test("is begun by a backfill as if nothing was mapped ahead", () => {
    const rule = { by: "count", value: "2" } as const;
    const bench = beforeStart(sampleFiles(2), daily({ ready: { ipdr: rule } }));
    live(bench, minuteMs);
    expect(said(bench)).toMatch(/^waiting: .*; 2 of 2 files mapped ahead$/);
    const wish = { job: "usage", from: day, to: day, redo: "all", order: "oldest" } as const;
    const more = { concurrency: 1, by: "ann", reason: "" };
    const action = { kind: "start", requestId: "b", dryRun: false, wish: { ...wish, ...more } };
    bench.say({ kind: "backfill", action } as Parameters<Bench["say"]>[0]);
    // The day's input is complete, so nothing keeps a backfill from it, though its start has not come.
    expect(live(bench, 2 * minuteMs)).toEqual(["reduce 0", "reduce 1"]);
    const reply = bench.ask({ kind: "backfills", job: "usage" });
    expect(reply).toMatchObject({ backfills: [{ state: "done", days: [{ revision: 1 }] }] });
  });

  test("leaves slots to whoever is in a hurry", () => {
    const bench = beforeStart(sampleFiles(8));
    live(bench, 20_000);
    bench.submit("usage", { day: "2026-01-16" });
    bench.memory.lookedAt.set("ipdr|2026-01-16", []);
    const lanes = new Map<string, number>();
    for (let second = 0; second < 30; second++) {
      bench.pass(1_000, [1]);
      for (const { delivery } of bench.takeTasks()) {
        const lane = delivery.lane ?? "live";
        lanes.set(lane, (lanes.get(lane) ?? 0) + 1);
      }
    }
    // Eight slots: six are live's for as long as it has something to run, none of which ends here.
    expect(lanes.get("live")).toBeGreaterThanOrEqual(6);
    expect(lanes.get("ahead") ?? 0).toBeLessThanOrEqual(2);
  });
});

/** A success of map work that rejects two of the ten lines of each file. */
function rejecting(work: Work): AttemptOutcome {
  if (work.kind !== "map") throw new Error("only maps are begun");
  const outputs = work.exchanges.map(({ id }) => ({
    exchange: id,
    digest: "d",
    checksum: "1",
    rows: 8,
    bytes: 8,
    messages: 1,
  }));
  const counters = {
    rowsIn: 8,
    bytesIn: 100,
    rowsOut: 8,
    bytesOut: 8,
    elapsedMs: 10,
    peakMemoryBytes: 1,
  };
  const accounts = accountsOf(work).map((account) => ({ ...account, rows: 8, rejects: 2 }));
  return { kind: "done", outputs, files: [], accounts, counters };
}

describe("another leader", () => {
  test("takes a day that gathers over: nothing is mapped twice, and it is closed at its start", () => {
    const bench = beforeStart(sampleFiles(2));
    live(bench, minuteMs);
    put(bench, sampleFiles(3));
    const next = lead(new Bench(bench.memory, "c2"), 53);
    expect(run(next)).toMatchObject({ lane: "ahead", isGathering: true });
    expect(live(next, minuteMs)).toEqual(["map part-2"]);
    expect(toStart(next)).toEqual(["reduce 0", "reduce 1"]);
    expect(manifest(next)?.sources[0]).toMatchObject({ files: 3 });
  });

  test("lists the last files again when it comes between the start and the list", () => {
    const bench = beforeStart(sampleFiles(2));
    bench.hold = (ask) => ask.kind === "listInputs" && ask.sources.length > 0;
    toStart(bench);
    expect(run(bench)).toMatchObject({ lane: "live", isGathering: true });
    const next = lead(new Bench(bench.memory, "c2"), 63);
    expect(live(next, 10_000)).toEqual(["reduce 0", "reduce 1"]);
    expect(manifest(next)?.state).toBe("committed");
  });

  test("finds no journal: the run gathers again and takes what lies in the exchange", () => {
    const bench = beforeStart(sampleFiles(2));
    live(bench, minuteMs);
    const { memory } = bench;
    memory.loseJournal();
    memory.snapshot = undefined;
    const next = lead(new Bench(memory, "c2"), 53);
    expect(live(next, 2 * minuteMs)).toEqual([]);
    expect(run(next)).toMatchObject({ lane: "ahead", isGathering: true });
    expect(toStart(next)).toEqual(["reduce 0", "reduce 1"]);
    expect(manifest(next)?.state).toBe("committed");
  });
});

test("behind a gap in the journal splits with other numbers are not taken", () => {
  const bench = beforeStart(sampleFiles(2));
  live(bench, minuteMs);
  const { durable } = bench.state;
  const splits = [{ files: sampleFiles(4).slice(3) }];
  const grown = { kind: "runGrown", run: run(bench).id, digests: {}, wallMs: 0 } as const;
  fold(durable, { ...grown, scans: [{ stage: "s0", from: 3, splits }] });
  expect(run(bench)).toMatchObject({ isGathering: true });
  expect(run(bench).stages[0]?.tasks).toHaveLength(2);
  fold(durable, { ...grown, scans: [{ stage: "s0", from: 2, splits }] });
  expect(run(bench).isGathering).toBeUndefined();
  expect([...(run(bench).stages[0]?.waiting ?? [])]).toEqual([2]);
});

test("Parquet files that are cut by rows are not mapped ahead, nor files without a byte", () => {
  const [small, large] = sampleFiles(2);
  if (small === undefined || large === undefined) throw new Error("two files");
  const files = [small, { ...large, size: 101 }, { ...large, size: 0 }];
  expect(mappable(daily(), "parquet", files)).toEqual([small]);
  expect(mappable(daily(), "csv", files)).toEqual(files.slice(0, 2));
});
